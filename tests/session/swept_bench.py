"""A session whose room sends the rendered liver sweep of tests/registration/ultrasound_scene.py."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache

import numpy as np

from devices.contract import ImageSample
from ir_nav.geometry import FloatArray, Frame, Transform, unit
from ir_nav.imaging import LabelMap
from ir_nav.registration import Registration
from ir_nav.session.room import Room
from ir_nav.session.session import Session
from ir_nav.session.state import NavigationState, Role
from tests.registration.ultrasound_scene import (
    CT_FROM_REFERENCE,
    GEOMETRY,
    NAMES,
    TARGET_CT_MM,
    Scene,
    make_scene,
)
from tests.session.rig import (
    TRACKER_FROM_REFERENCE,
    Rig,
    calibration,
    pose,
    registration,
    room_values,
    still_breath,
)

FRAMES = 6
STEP_S = 0.3
MM = GEOMETRY.mm_per_px
# Any rigid place of the image at the probe.
PROBE_FROM_IMAGE = pose(9, (4.0, -7.0, 30.0)) @ np.diag([MM, MM, 1.0, 1.0])


@cache
def scene() -> Scene:
    return make_scene(frames=FRAMES)


def labels() -> LabelMap:
    names = {number: name for number, name in NAMES.items() if number}
    return LabelMap(scene().labels, scene().ct.ct_from_voxel, names)


def room() -> Room:
    entry = {
        "device": "tracker",
        "image": "US",
        "depth_mm": 150.0,
        "probe_from_image": PROBE_FROM_IMAGE.tolist(),
    }
    return Room.model_validate(room_values(ultrasound=entry))


def found_by_landmarks(ct_from_reference: FloatArray, now_s: float) -> Registration:
    """As if landmarks had led there."""
    made = Transform(Frame.CT, Frame.REFERENCE, ct_from_reference)
    return replace(registration(), ct_from_reference=made, created_s=now_s)


class SweptBench:
    """Give it a session to fill, or one that has its case and plan already.

    now_s: what the session's clock says.
    """

    def __init__(self, session: Session | None = None, now_s: float = 1_700_000_000.0) -> None:
        self.now_s = now_s
        self.session = Session(lambda: self.now_s) if session is None else session
        self.rig = Rig(room())
        self.session.load_case(scene().ct, labels())
        self.session.planning.set_target(TARGET_CT_MM, "liver")
        self.session.planning.set_entry(TARGET_CT_MM + np.array([0.0, -70.0, 0.0]))
        self.session.approving.approve("P", confirmed=True)
        self.session.connection.room = self.rig.room
        self.session.connection.streams = self.rig.streams
        self.session.tools.stylus = calibration(np.array([0.0, 0.0, 120.0]), False)
        self.session.breath.model = still_breath()

    def use(self, ct_from_reference: FloatArray) -> None:
        """Have the session registered."""
        found = found_by_landmarks(ct_from_reference, self.now_s)
        self.session.registering.take(found, confirmed=True)

    def send(
        self, number: int, breath_mm: float = 0.0, slipped_mm: Iterable[float] = (0.0, 0.0, 0.0)
    ) -> NavigationState:
        """The next frame of the sweep, with its poses, and a tick. breath_mm: of the reference;
        slipped_mm: of the patient against the reference, CT axes."""
        self.now_s += STEP_S
        reference = np.array(TRACKER_FROM_REFERENCE)
        reference[2, 3] += breath_mm
        image = np.array(scene().sweep.reference_from_image[number])
        slip = np.array(tuple(slipped_mm))
        image[:3, 3] += CT_FROM_REFERENCE[:3, :3].T @ slip
        image[:3, 2] = unit(np.cross(image[:3, 0], image[:3, 1]))
        probe = reference @ image @ np.linalg.inv(PROBE_FROM_IMAGE)
        for delay_s in (-0.02, 0.0, 0.02):
            self.rig.send(Role.REFERENCE, reference, self.now_s - 0.03 + delay_s)
            self.rig.send(Role.PROBE, probe, self.now_s - 0.03 + delay_s)
        taken_s = self.now_s - 0.03
        pixels = scene().sweep.images[number]
        self.rig.streams.take(ImageSample("US", pixels, np.eye(4), taken_s, taken_s))
        return self.session.tick(self.now_s)

    def sweep(self, **changed: object) -> None:
        """All frames of the scene, once."""
        for number in range(len(scene().sweep.images)):
            self.send(number, **changed)  # type: ignore[arg-type]

    def error_mm(self) -> float:
        """True error at the target of the registration in use."""
        used = self.session.registering.registration
        assert used is not None
        return scene().error_mm(used.ct_from_reference.matrix)

    def judge(self, rounds: int = 2, **changed: object) -> None:
        """Have every frame of the sweep, so many times, judged by the live check."""
        quality = self.session.quality
        for _ in range(rounds):
            for number in range(len(scene().sweep.images)):
                self.send(number, **changed)  # type: ignore[arg-type]
                check = quality.next_check()
                if check is not None:
                    quality.add(check())
