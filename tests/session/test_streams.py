"""The state of each tool, and where its samples go."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from devices.contract import ImageSample, PoseSample, PoseStatus
from ir_nav.recording import NeedleLog, read_log
from ir_nav.session.state import Role, ToolState, ToolStatus
from tests.session.rig import NOW_S, Rig, pose


@pytest.fixture
def rig() -> Rig:
    return Rig()


def state(rig: Rig, now_s: float = NOW_S, role: Role = Role.NEEDLE) -> ToolStatus:
    return rig.streams.tool_status(role, rig.streams.poses[role].latest(), now_s)


def test_a_tool_that_was_never_seen_is_not_lost(rig: Rig) -> None:
    found = state(rig)
    assert (found.state, found.age_s, found.usable) == (ToolState.NEVER, None, False)
    assert found.name == "Needle"


@pytest.mark.parametrize(
    ("status", "matrix", "expected", "usable"),
    [
        (PoseStatus.OK, pose(1), ToolState.OK, True),
        (PoseStatus.UNKNOWN, pose(1), ToolState.UNKNOWN, True),
        (PoseStatus.MISSING, None, ToolState.MISSING, False),
        (PoseStatus.OUT_OF_VOLUME, None, ToolState.OUT_OF_VOLUME, False),
        (PoseStatus.INVALID, None, ToolState.INVALID, False),
    ],
)
def test_each_status_of_the_tracker_has_its_state(
    rig: Rig, status: PoseStatus, matrix: np.ndarray | None, expected: ToolState, usable: bool
) -> None:
    rig.send(Role.NEEDLE, matrix, NOW_S - 0.1, status)
    found = state(rig)
    assert (found.state, found.usable) == (expected, usable)


def test_unknown_is_not_invalid() -> None:
    assert ToolState.UNKNOWN is not ToolState.INVALID
    assert ToolState.UNKNOWN.value != ToolState.INVALID.value


@pytest.mark.parametrize(("age_s", "expected"), [(0.2, ToolState.OK), (0.2501, ToolState.STALE)])
def test_a_tool_the_tracker_says_nothing_of_is_stale(
    rig: Rig, age_s: float, expected: ToolState
) -> None:
    rig.send(Role.NEEDLE, pose(1), NOW_S - 1.0, delay_s=1.0 - age_s)
    found = state(rig)
    assert found.state is expected
    assert found.age_s == pytest.approx(age_s, abs=1e-6)


def test_silence_outweighs_what_was_said_last(rig: Rig) -> None:
    rig.send(Role.NEEDLE, None, NOW_S - 1.0)
    assert state(rig).state is ToolState.STALE


def test_the_age_of_a_missing_tool_counts_from_its_last_valid_pose(rig: Rig) -> None:
    rig.send(Role.NEEDLE, pose(1), NOW_S - 2.0)
    for step in range(19):
        rig.send(Role.NEEDLE, None, NOW_S - 1.9 + step / 10)
    found = state(rig)
    assert found.state is ToolState.MISSING
    assert found.age_s == pytest.approx(2.0, abs=1e-6)


def test_a_tool_missing_from_the_start_has_no_age(rig: Rig) -> None:
    rig.send(Role.NEEDLE, None, NOW_S)
    assert state(rig).age_s is None


def test_samples_go_to_their_tool_and_strangers_nowhere(rig: Rig) -> None:
    rig.send(Role.NEEDLE, pose(1), NOW_S)
    rig.send(Role.PROBE, pose(2), NOW_S)
    rig.streams.take(PoseSample("ScannerToTracker", pose(3), PoseStatus.OK, NOW_S, NOW_S))
    rig.streams.take(ImageSample("Other", np.zeros((4, 4), np.uint8), np.eye(4), NOW_S, NOW_S))
    frame = rig.frame(NOW_S, NOW_S)
    counts = {role: len(buffer.since(0.0)) for role, buffer in rig.streams.poses.items()}
    assert counts == {Role.NEEDLE: 1, Role.PROBE: 1, Role.STYLUS: 0, Role.REFERENCE: 0}
    assert rig.streams.ultrasound.newest_first() == (frame,)
    assert rig.streams.fluoro.newest_first() == ()


def test_every_sample_is_logged_strangers_too(rig: Rig, tmp_path: Path) -> None:
    with NeedleLog(tmp_path / "a.irlog") as log:
        rig.streams.log = log
        rig.send(Role.NEEDLE, None, NOW_S)
        rig.streams.take(PoseSample("ScannerToTracker", pose(3), PoseStatus.OK, NOW_S, NOW_S))
        rig.frame(NOW_S, NOW_S)
    counts = read_log(log.path).sample_counts
    assert counts == {"NeedleToTracker": 1, "ScannerToTracker": 1, "US": 1}


def test_only_the_newest_frames_are_kept(rig: Rig) -> None:
    frames = [rig.frame(NOW_S + n, NOW_S + n) for n in range(20)]
    kept = rig.streams.ultrasound.newest_first()
    assert kept == tuple(reversed(frames[-len(kept) :]))
    assert 2 <= len(kept) < 20
