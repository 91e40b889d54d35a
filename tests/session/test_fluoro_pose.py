"""A C-arm that says where it stands: its pose at the frame's time places the overlay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from devices.contract import ImageSample, PoseSample, PoseStatus
from ir_nav.session.navigation import navigate
from ir_nav.session.room import Room
from ir_nav.session.state import Role
from ir_nav.session.streams import Streams
from tests.session.rig import (
    CT_FROM_REFERENCE,
    NOW_S,
    TRACKER_FROM_REFERENCE,
    Rig,
    needle_at,
    room_values,
)

FLUORO: dict[str, Any] = {
    "device": "tracker",
    "image": "Fluoro",
    "sid_mm": 1000.0,
    "pixel_mm": (0.5, 0.5),
    "size_px": (64, 64),
    "principal_px": (31.5, 31.5),
}
PIXELS = np.zeros((64, 64), np.uint8)


def carm(angle_deg: float) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("z", angle_deg, degrees=True).as_matrix()
    pose[:3, 3] = (10.0, -700.0, 40.0)
    return pose


@pytest.fixture
def rig() -> Rig:
    values = room_values(fluoro=FLUORO)
    tool = {"role": "carm", "name": "C-arm", "device": "tracker", "transform": "CArmToTracker"}
    values["tools"] = [*values["tools"], tool]
    made = Rig(Room.model_validate(values))
    for step in range(9, -1, -1):
        made.send(Role.REFERENCE, TRACKER_FROM_REFERENCE, NOW_S - 0.05 * step)
    made.send(Role.NEEDLE, needle_at((0, -40, 0), (0, 1, 0)), NOW_S)
    return made


def report(streams: Streams, angle_deg: float, time_s: float) -> None:
    streams.take(PoseSample("CArmToTracker", carm(angle_deg), PoseStatus.OK, time_s, time_s))


def frame(streams: Streams, time_s: float) -> None:
    streams.take(ImageSample("Fluoro", PIXELS, np.eye(4), time_s, time_s))


def test_the_pose_of_the_frames_time_counts_not_the_newest(rig: Rig) -> None:
    report(rig.streams, 10.0, NOW_S - 0.3)
    frame(rig.streams, NOW_S - 0.3)
    report(rig.streams, 50.0, NOW_S - 0.05)
    state = navigate(rig.inputs(), NOW_S)
    assert state.fluoro is not None
    assert state.fluoro.carm_from_ct is not None, state.fluoro
    expected = np.linalg.inv(carm(10.0)) @ TRACKER_FROM_REFERENCE @ np.linalg.inv(CT_FROM_REFERENCE)
    np.testing.assert_allclose(state.fluoro.carm_from_ct.matrix, expected, atol=1e-6)


def test_a_c_arm_that_said_nothing_gives_no_overlay_and_does_not_stop_guidance(rig: Rig) -> None:
    frame(rig.streams, NOW_S - 0.1)
    state = navigate(rig.inputs(), NOW_S)
    assert state.fluoro is not None
    assert state.fluoro.carm_from_ct is None
    assert state.fluoro.reason
    assert state.refusal is None or "arm" not in state.refusal.reason
