"""A calibration can be taken back, and holds for eight hours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ir_nav.recording import EventKind, read_log
from ir_nav.session.collection import CALIBRATION_LIFE_S, CollectionKind, ToolCalibration
from ir_nav.session.errors import SessionError
from ir_nav.session.landmark_touching import LandmarkTouching
from ir_nav.session.resting import Touch
from ir_nav.session.session import Session
from ir_nav.session.state import Role
from ir_nav.session.touching import Fiducial
from tests.session.rig import NEEDLE_TIP, NOW_S, STYLUS_TIP, Rig, calibration

HOUR_S = 3600.0


class Bench:
    """A session whose clock the test turns, with tools that can be pivoted."""

    def __init__(self) -> None:
        self.now_s = NOW_S
        self.rig = Rig()
        self.session = Session(lambda: self.now_s)
        self.session.connection.room, self.session.connection.streams = (
            self.rig.room,
            self.rig.streams,
        )

    def pivot(self, role: Role, tip_mm: np.ndarray) -> None:
        """Two hundred poses about one point, 60 Hz."""
        self.session.tools.start(CollectionKind.PIVOT, role)
        random = np.random.default_rng(4)
        for _ in range(200):
            self.now_s += 1 / 60
            matrix = np.eye(4)
            angles = np.radians(random.uniform(-40, 40, 3))
            matrix[:3, :3] = Rotation.from_rotvec(angles).as_matrix()
            matrix[:3, 3] = [10.0, 20.0, 30.0] - matrix[:3, :3] @ tip_mm
            matrix[:3, 3] += random.normal(0.0, 0.1, 3)
            self.rig.send(role, matrix, self.now_s)
        self.session.tick(self.now_s)
        self.session.tools.finish()


def aged(found: ToolCalibration, hours: float) -> ToolCalibration:
    return found.aged(NOW_S + hours * HOUR_S)


def test_undo_goes_back_to_the_calibration_before_step_by_step() -> None:
    bench = Bench()
    session = bench.session
    with pytest.raises(SessionError, match="the stylus has no earlier calibration"):
        session.tools.undo(Role.STYLUS)
    bench.pivot(Role.STYLUS, STYLUS_TIP)
    first = session.tools.stylus
    assert first.tool_from_tip is not None
    np.testing.assert_allclose(first.tool_from_tip[:3, 3], STYLUS_TIP, atol=0.2)
    bench.pivot(Role.STYLUS, STYLUS_TIP + np.array([0.0, 7.0, 0.0]))
    assert session.tools.stylus.tool_from_tip is not None
    assert session.tools.stylus.tool_from_tip[1, 3] == pytest.approx(7.0, abs=0.2)
    session.tools.undo(Role.STYLUS)
    assert session.tools.stylus is first
    session.tools.undo(Role.STYLUS)
    assert session.tools.stylus.tool_from_tip is None
    assert session.tools.stylus.missing() == "pivot it"


def test_undoing_one_tool_leaves_the_other() -> None:
    bench = Bench()
    bench.pivot(Role.STYLUS, STYLUS_TIP)
    stylus = bench.session.tools.stylus
    bench.pivot(Role.NEEDLE, NEEDLE_TIP)
    bench.session.tools.undo(Role.NEEDLE)
    assert bench.session.tools.needle.pivot is None
    assert bench.session.tools.needle.needs_spin
    assert bench.session.tools.stylus is stylus


@pytest.mark.parametrize(("touched_later_s", "dropped"), [(5.0, True), (-5.0, False)])
def test_points_touched_with_a_calibration_that_is_taken_back_are_dropped(
    touched_later_s: float, dropped: bool
) -> None:
    bench = Bench()
    session = bench.session
    bench.pivot(Role.STYLUS, STYLUS_TIP)
    touching = LandmarkTouching((Fiducial("A", (0.0, 0.0, 0.0)),))
    touching.touches = (Touch(np.zeros(3), 0.1, bench.now_s + touched_later_s),)
    session.registering.landmarks = touching
    session.tools.undo(Role.STYLUS)
    assert (session.registering.landmarks is not touching) == dropped


def test_a_calibration_expires_after_eight_hours_and_says_so() -> None:
    assert CALIBRATION_LIFE_S == 8 * HOUR_S
    made = replace(calibration(NEEDLE_TIP, True), pivot_s=NOW_S, spin_s=NOW_S + 600.0)
    assert made.made_s == NOW_S
    assert made.expires_in_s(NOW_S + HOUR_S) == 7 * HOUR_S
    assert aged(made, 7.99) is made
    old = aged(made, 8.0)
    assert old.tool_from_tip is None
    assert old.missing() == "calibration expired: pivot it again"
    assert aged(old, 8.1) is old
    spun_long_ago = replace(made, pivot_s=NOW_S + 4 * HOUR_S, spin_s=NOW_S)
    assert aged(spun_long_ago, 9.0).missing() == "calibration expired: spin it again"
    assert aged(calibration(NEEDLE_TIP, True), 100.0).tool_from_tip is not None


def test_an_expired_tool_is_of_no_use_until_it_is_pivoted_again(
    tmp_path: Path,
) -> None:
    bench = Bench()
    session = bench.session
    session.start_log(tmp_path / "a.irlog")
    bench.pivot(Role.STYLUS, STYLUS_TIP)
    bench.now_s += CALIBRATION_LIFE_S - 1.0
    session.tick(bench.now_s)
    assert session.tools.stylus.tool_from_tip is not None
    bench.now_s += 2.0
    session.tick(bench.now_s)
    session.tick(bench.now_s + 0.1)
    assert session.tools.stylus.tool_from_tip is None
    assert session.tools.stylus.missing() == "calibration expired: pivot it again"
    bench.pivot(Role.STYLUS, STYLUS_TIP)
    assert session.tools.stylus.tool_from_tip is not None
    session.tools.undo(Role.STYLUS)
    assert session.tools.stylus.tool_from_tip is None
    session.close()
    events = read_log(tmp_path / "a.irlog").events
    words = [one.text for one in events if one.kind is EventKind.CALIBRATION]
    assert words == [
        "pivot of the stylus: accepted",
        "stylus calibration expired: pivot it again",
        "pivot of the stylus: accepted",
        "stylus calibration undone: calibration expired: pivot it again",
    ]
