"""A real chest under a C-arm that reports its place; frames by a projector of the simulated room,
which shares no code with the registration's."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.contract import ImageSample, PoseSample, PoseStatus
from hw_mocks.anatomy import Anatomy, NeedleShape, TissueMotion
from hw_mocks.site import carm_from_rest
from hw_mocks.xray import XRayRenderer
from ir_nav.geometry import (
    CArmGeometry,
    Frame,
    Transform,
    apply,
    rigid,
    rigid_inverse,
    rotation_from_vector,
)
from ir_nav.imaging import Volume, read_volume
from ir_nav.registration import Registration
from ir_nav.session.room import Room
from ir_nav.session.session import Session
from ir_nav.session.state import Role
from tests.data import data_path
from tests.session.rig import (
    CT_FROM_REFERENCE,
    NOW_S,
    TRACKER_FROM_REFERENCE,
    Rig,
    landmark_fit,
    room_values,
    still_breath,
)

SIZE = 256
GEOMETRY = CArmGeometry(1020.0, (1.2, 1.2), (SIZE, SIZE), ((SIZE - 1) / 2, (SIZE - 1) / 2))
FOCUS_CT_MM = np.array([5.0, 0.0, -205.0])
ENTRY_CT_MM = np.array([60.0, -60.0, -205.0])
BOX_CT_MM = (np.indices((3, 3, 3)).reshape(3, 27).T / 2.0 - 0.5) * 100.0 + FOCUS_CT_MM
NEEDLE = NeedleShape(np.array([20.0, -20.0, -200.0]), np.array([70.0, -130.0, -180.0]), 1.2)


@cache
def chest() -> Volume:
    return read_volume(data_path("ct", "chest_LIDC-IDRI-0001_2mm.nii.gz"))


@cache
def _renderer() -> XRayRenderer:
    # Every other voxel: the renderer's own preparation takes most of the time otherwise.
    hu = np.ascontiguousarray(chest().voxels[::2, ::2, ::2])
    ct_from_voxel = chest().ct_from_voxel @ np.diag([2.0, 2.0, 2.0, 1.0])
    nothing = np.zeros(hu.shape, np.uint8)
    return XRayRenderer(Anatomy(hu, nothing, ct_from_voxel, {}), GEOMETRY, 1)


@cache
def picture(orbit_deg: float) -> NDArray[np.uint16]:
    """The chest with a needle in it, from the C-arm turned so far round the focus."""
    made = _renderer().render(carm_from_rest(FOCUS_CT_MM, orbit_deg), TissueMotion.rest(), NEEDLE)
    made.flags.writeable = False
    return made


def off_by(mm: float, deg: float, seed: int = 0) -> np.ndarray:
    """ct_from_reference, wrong by so much about the focus."""
    rng = np.random.default_rng(seed)
    shift, axis = rng.normal(size=3), rng.normal(size=3)
    turn = rotation_from_vector(np.radians(deg) * axis / np.linalg.norm(axis))
    shift *= mm / np.linalg.norm(shift)
    return np.asarray(rigid(turn, FOCUS_CT_MM + shift - turn @ FOCUS_CT_MM) @ CT_FROM_REFERENCE)


def landmarks(ct_from_reference: np.ndarray) -> Registration:
    """A registration by landmarks as it is accepted, about the focus."""
    return replace(
        landmark_fit().registration,
        ct_from_reference=Transform(Frame.CT, Frame.REFERENCE, ct_from_reference),
        about_ct_mm=FOCUS_CT_MM,
    )


def mtre_mm(found: Registration) -> float:
    """Mean true error over a box of 100 mm about the focus."""
    reference_mm = apply(rigid_inverse(CT_FROM_REFERENCE), BOX_CT_MM)
    shown_ct_mm = found.ct_from_reference.apply(reference_mm)
    return float(np.linalg.norm(shown_ct_mm - BOX_CT_MM, axis=1).mean())


def room(**changes: Any) -> Room:
    """The tracker's room with a C-arm that reports its place. changes: of its fluoro entry."""
    fluoro: dict[str, Any] = {
        "device": "tracker",
        "image": "Fluoro",
        "sid_mm": GEOMETRY.sid_mm,
        "pixel_mm": GEOMETRY.pixel_mm,
        "size_px": GEOMETRY.size_px,
        "principal_px": GEOMETRY.principal_px,
        **changes,
    }
    values = room_values(fluoro=fluoro)
    tool = {"role": "carm", "name": "C-arm", "device": "tracker", "transform": "CArmToTracker"}
    values["tools"] = [*values["tools"], tool]
    return Room.model_validate(values)


class FluoroBench:
    """A session with the chest, a plan and a landmark registration 8 mm and 4 deg off."""

    def __init__(self, made: Room | None = None) -> None:
        self.now_s = NOW_S
        self.rig = Rig(made or room())
        self.session = session = Session(lambda: self.now_s)
        session.load_case(chest())
        session.planning.set_target(FOCUS_CT_MM)
        session.planning.set_entry(ENTRY_CT_MM)
        session.approving.approve("P", confirmed=True)
        session.connection.room, session.connection.streams = self.rig.room, self.rig.streams
        session.breath.model = still_breath()
        session.registering.take(landmarks(off_by(8.0, 4.0)))

    def shine(
        self,
        orbit_deg: float,
        *,
        frames: int = 2,
        reference: np.ndarray = TRACKER_FROM_REFERENCE,
        says_place: bool = True,
        pixels: np.ndarray | None = None,
        patient_moved: np.ndarray | None = None,
    ) -> None:
        """X-rays for as many frames, 0.13 s apart, from a C-arm that stands. patient_moved:
        (4, 4) in `ct`, the body against the reference."""
        shown = picture(orbit_deg) if pixels is None else pixels
        carm_from_ct = carm_from_rest(FOCUS_CT_MM, orbit_deg)
        if patient_moved is not None:
            # Seen from where the CT was, the C-arm moved the other way.
            carm_from_ct = carm_from_ct @ rigid_inverse(patient_moved)
        tracker_from_ct = TRACKER_FROM_REFERENCE @ rigid_inverse(CT_FROM_REFERENCE)
        tracker_from_carm = tracker_from_ct @ rigid_inverse(carm_from_ct)
        for _ in range(frames):
            for _ in range(8):
                self.now_s += 1 / 60
                self.rig.send(Role.REFERENCE, reference, self.now_s)
            at_s = self.now_s
            if says_place:
                self.rig.streams.take(
                    PoseSample("CArmToTracker", tracker_from_carm, PoseStatus.OK, at_s, at_s)
                )
            self.rig.streams.take(ImageSample("Fluoro", shown, np.eye(4), at_s, at_s))

    def pause(self, seconds: float = 1.0) -> None:
        """No X-rays for a while: the C-arm turns."""
        for _ in range(round(60 * seconds)):
            self.now_s += 1 / 60
            self.rig.send(Role.REFERENCE, TRACKER_FROM_REFERENCE, self.now_s)

    def take(self, *orbits_deg: float) -> None:
        """A view from each."""
        for orbit_deg in orbits_deg:
            self.pause()
            self.shine(orbit_deg)
            self.session.fluoro.take_view()
