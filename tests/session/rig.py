"""A room without devices: samples are handed to its streams, time is a number."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from devices.contract import ImageSample, PoseSample, PoseStatus
from ir_nav.geometry import Frame, Transform
from ir_nav.guidance import BreathingModel
from ir_nav.imaging import Volume, VolumeInfo
from ir_nav.planning import Plan
from ir_nav.registration import LandmarkFit, Method, Registration, Residual
from ir_nav.registration.tre import motion_covariance
from ir_nav.session.collection import ToolCalibration
from ir_nav.session.inputs import Inputs
from ir_nav.session.room import Room
from ir_nav.session.state import Role
from ir_nav.session.streams import Streams
from ir_nav.tracking.calibration import PivotCalibration, SpinCalibration

NOW_S = 1_700_000_000.0
WIRE = {
    Role.NEEDLE: "NeedleToTracker",
    Role.STYLUS: "StylusToTracker",
    Role.REFERENCE: "ReferenceToTracker",
    Role.PROBE: "ProbeToTracker",
}
# Half a millimetre a pixel; the image's plane is the probe's x and z.
PROBE_FROM_IMAGE = [[0.5, 0, 0, -50.0], [0, 0, -0.5, 10.0], [0, 0.5, 0, 0.0], [0, 0, 0, 1.0]]
SHAFT = (0.0, 0.0, 1.0)


def room_values(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "format": 1,
        "name": "Test room",
        "source": "simulated",
        "devices": [{"name": "tracker", "kind": "openigtlink", "port": 18944}],
        "tools": [
            {
                "role": str(role),
                "name": str(role).capitalize(),
                "device": "tracker",
                "transform": wire,
            }
            for role, wire in WIRE.items()
        ],
        "ultrasound": {
            "device": "tracker",
            "image": "US",
            "depth_mm": 120.0,
            "probe_from_image": PROBE_FROM_IMAGE,
        },
    }
    return values | changes


def pose(seed: int, place: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.random(random_state=seed).as_matrix()
    matrix[:3, 3] = place
    return matrix


TRACKER_FROM_REFERENCE = pose(1, (100.0, -40.0, 900.0))
CT_FROM_REFERENCE = pose(2, (5.0, 60.0, -200.0))
NEEDLE_TIP = np.array([0.0, 3.0, 150.0])
STYLUS_TIP = np.array([0.0, 0.0, 120.0])


def calibration(tip: np.ndarray, needs_spin: bool) -> ToolCalibration:
    turned, offsets, kept = np.zeros((100, 2)), np.zeros((100, 3)), np.ones(100, dtype=bool)
    pivot = PivotCalibration(
        tip, np.zeros(3), 0.2, 0.5, 40.0, 0.1, 100, 0, turned, offsets, kept, None
    )
    spin = SpinCalibration(np.array(SHAFT), 0.2, 180.0, 100, None) if needs_spin else None
    return ToolCalibration(pivot, spin, needs_spin)


def registration() -> Registration:
    return landmark_fit().registration


def landmark_fit(tre_mm: float | None = None) -> LandmarkFit:
    """Four landmarks that leave 0.5 mm each; tre_mm: what is predicted at the CT's origin."""
    points = np.array([[0.0, 0, 0], [90, 0, 0], [0, 90, 0], [0, 0, 90]])
    residuals = np.full(4, 0.5)
    # FRE^2 = (1 - 2/n) FLE^2, a third of FLE^2 along each axis.
    each = np.broadcast_to(np.eye(3) * 0.5**2 / (1.0 - 2.0 / 4.0) / 3.0, (4, 3, 3))
    made = Registration(
        Method.LANDMARKS,
        Transform(Frame.CT, Frame.REFERENCE, CT_FROM_REFERENCE),
        tuple(Residual(name, 0.5) for name in "ABCD"),
        motion_covariance(points, each, np.zeros(3)),
        np.zeros(3),
        1.0,
        1,
        0.0,
        NOW_S - 60.0,
        True,
    )
    if tre_mm is not None:
        scale = (tre_mm / made.tre_mm((0.0, 0.0, 0.0))) ** 2
        made = replace(made, covariance=made.covariance * scale)
    return LandmarkFit(
        made, tuple("ABCD"), points, points, residuals, np.full(4, 0.7), np.full(4, 0.5)
    )


def still_breath() -> BreathingModel:
    return BreathingModel(
        np.array([0.0, 0.0, 1.0]), TRACKER_FROM_REFERENCE[:3, 3].copy(), 8.0, 2.0, 12.0
    )


def plan() -> Plan:
    return Plan(name="P", ct_identity="ct", entry_ct_mm=(0.0, -100.0, 0.0), target_ct_mm=(0, 0, 0))


def needle_at(tip_ct_mm: tuple[float, ...], shaft_ct: tuple[float, ...]) -> np.ndarray:
    """tracker_from_needle that puts the tip and the shaft there; worked out with numpy alone."""
    z = np.array(shaft_ct) / np.linalg.norm(shaft_ct)
    x = np.cross(z, (0.3, 0.4, 0.86))
    x /= np.linalg.norm(x)
    ct_from_needle = np.eye(4)
    ct_from_needle[:3, :3] = np.column_stack([x, np.cross(z, x), z])
    ct_from_needle[:3, 3] = np.array(tip_ct_mm) - ct_from_needle[:3, :3] @ NEEDLE_TIP
    return TRACKER_FROM_REFERENCE @ np.linalg.inv(CT_FROM_REFERENCE) @ ct_from_needle


@dataclass
class Rig:
    """Streams of the test room with everything that guidance wants; take parts away."""

    room: Room = field(default_factory=lambda: Room.model_validate(room_values()))
    streams: Streams = field(init=False)

    def __post_init__(self) -> None:
        self.streams = Streams(self.room)

    def send(
        self,
        role: Role,
        matrix: np.ndarray | None,
        source_s: float,
        status: PoseStatus | None = None,
        delay_s: float = 0.0,
    ) -> None:
        if status is None:
            status = PoseStatus.MISSING if matrix is None else PoseStatus.OK
        self.streams.take(PoseSample(WIRE[role], matrix, status, source_s, source_s + delay_s))

    def frame(self, source_s: float, received_s: float, fill: int = 0) -> ImageSample:
        pixels = np.full((400, 300), fill, dtype=np.uint8)
        sample = ImageSample("US", pixels, np.eye(4), source_s, received_s)
        self.streams.take(sample)
        return sample

    def all_seen(
        self,
        tip_ct_mm: tuple[float, ...] = (0.0, -40.0, 0.0),
        shaft_ct: tuple[float, ...] = (0.0, 1.0, 0.0),
        until_s: float = NOW_S,
        seconds: float = 0.7,
    ) -> None:
        """60 Hz of needle and reference at rest."""
        needle = needle_at(tip_ct_mm, shaft_ct)
        for step in range(-round(60 * seconds), 1):
            self.send(Role.REFERENCE, TRACKER_FROM_REFERENCE, until_s + step / 60)
            self.send(Role.NEEDLE, needle, until_s + step / 60)

    def inputs(self, **changes: Any) -> Inputs:
        values: dict[str, Any] = {
            "room": self.room,
            "streams": self.streams,
            "devices": (),
            "plan": plan(),
            "plan_withdrawn": None,
            "needle": calibration(NEEDLE_TIP, True),
            "stylus": calibration(STYLUS_TIP, False),
            "registration": registration(),
            "breathing": still_breath(),
        }
        return Inputs(**(values | changes))


def volume(identity: str = "ct") -> Volume:
    """400 mm of water about the origin."""
    ct_from_voxel = np.diag([10.0, 10.0, 10.0, 1.0])
    ct_from_voxel[:3, 3] = -200.0
    return Volume(np.zeros((41, 41, 41), np.int16), ct_from_voxel, identity, VolumeInfo())


def wait_for(condition: Callable[[], object], what: str, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.005)
