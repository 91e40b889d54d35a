"""Review numbers of procedures whose outcome was put there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ir_nav.planning import PlannedPath
from ir_nav.recording import LogError
from ir_nav.review import placement, review
from tests.review.synthetic import PLAN, REST_S, START_S, write


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "case.irlog"


def test_a_needle_beside_and_past_the_target(path: Path) -> None:
    """3 and 4 mm to the sides, 2 mm too deep: lateral 5, depth +2."""
    result = review(write(path, (8.0, 2.0, 11.0)))
    assert result.achieved is not None
    place = result.achieved.placement
    assert place.lateral_mm == pytest.approx(5.0, abs=0.05)
    assert place.depth_mm == pytest.approx(2.0, abs=0.05)
    assert place.angle_deg == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_allclose(result.achieved.tip_ct_mm, (8.0, 2.0, 11.0), atol=0.05)
    assert result.achieved.marked
    # 1.0 s before the mark to 0.5 s after it, at 20 Hz.
    assert result.achieved.ticks in (30, 31)
    assert result.achieved.start_s == REST_S + 2.0
    # A needle parallel to the plan enters as far off as it ends.
    assert result.entry_error_mm == pytest.approx(5.0, abs=0.05)
    assert result.plan == PLAN


def test_a_needle_short_of_the_target_has_a_negative_depth(path: Path) -> None:
    result = review(write(path, (5.0, -6.0, 7.0)))
    assert result.achieved is not None
    assert result.achieved.placement.depth_mm == pytest.approx(-6.0, abs=0.05)
    assert result.achieved.placement.lateral_mm == pytest.approx(0.0, abs=0.05)


def test_a_tilted_needle_through_the_target_has_angle_and_entry_error(path: Path) -> None:
    """Tip on the target, shaft 0.1 in 1 off: at the entry, 100 mm up, it is 10 mm beside."""
    result = review(write(path, (5.0, 0.0, 7.0), (0.1, 1.0, 0.0)))
    assert result.achieved is not None
    assert result.achieved.placement.angle_deg == pytest.approx(np.degrees(np.arctan(0.1)))
    assert result.achieved.placement.lateral_mm == pytest.approx(0.0, abs=0.05)
    assert result.entry_error_mm == pytest.approx(10.0, abs=0.1)


def test_without_a_mark_the_closest_approach_counts_and_is_said(path: Path) -> None:
    result = review(write(path, (8.0, 0.5, 7.0), marked_s=None, withdraw=True))
    assert result.achieved is not None
    assert not result.achieved.marked
    assert result.achieved.placement.lateral_mm == pytest.approx(3.0, abs=0.1)
    assert result.achieved.placement.depth_mm == pytest.approx(0.5, abs=0.2)
    assert REST_S - 1.5 < result.achieved.start_s < REST_S + 12.0


def test_only_valid_ticks_round_the_mark_count(path: Path) -> None:
    result = review(write(path, (8.0, 0.0, 7.0), blank=(32.5, 33.2)))
    assert result.achieved is not None
    assert result.achieved.ticks in (16, 17)
    assert result.achieved.placement.lateral_mm == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize("blank", [(31.9, 33.6), (0.0, 61.0)])
def test_no_valid_tick_at_the_mark_leaves_no_result(path: Path, blank: tuple[float, float]) -> None:
    result = review(write(path, (8.0, 0.0, 7.0), blank=blank))
    assert result.achieved is None
    assert result.entry_error_mm is None


def test_nothing_valid_and_no_mark_leaves_no_result(path: Path) -> None:
    result = review(write(path, (8.0, 0.0, 7.0), blank=(0.0, 61.0), marked_s=None))
    assert result.achieved is None
    assert result.valid_share == 0.0


def test_times_and_shares_count_from_the_accepted_registration(path: Path) -> None:
    result = review(write(path, (5.0, 0.0, 7.0), blank=(10.0, 21.0)))
    assert result.guided_s == pytest.approx(55.0, abs=0.06)
    assert result.valid_share == pytest.approx(44.0 / 55.0, abs=0.002)


def test_the_quality_of_the_set_up_is_read_from_its_events(path: Path) -> None:
    """The needle's pivot, not the stylus's; the accepted registration, not the failed fit."""
    result = review(write(path, (5.0, 0.0, 7.0)))
    assert result.pivot_rms_mm == 0.31
    assert result.fre_mm == 0.9
    assert result.tre_predicted_mm == 1.4


def test_a_log_without_a_plan_cannot_be_judged(path: Path) -> None:
    with pytest.raises(LogError, match="no plan was approved in this log"):
        review(write(path, (5.0, 0.0, 7.0), plan=None))


def test_a_mark_outside_the_log_finds_nothing(path: Path) -> None:
    assert review(write(path, (5.0, 0.0, 7.0), marked_s=START_S + 500.0)).achieved is None


NUMBERS = st.floats(-80.0, 80.0)
POINTS = st.tuples(NUMBERS, NUMBERS, NUMBERS)


@given(POINTS, POINTS, POINTS)
def test_placement_is_cylinder_coordinates_about_the_plan(
    entry: tuple[float, ...], target: tuple[float, ...], tip: tuple[float, ...]
) -> None:
    if np.linalg.norm(np.subtract(entry, target)) < 5.0:
        return
    path = PlannedPath.between(entry, target)
    found = placement(path, np.array(tip), -path.direction_ct)
    away = np.linalg.norm(np.subtract(tip, target))
    assert np.hypot(found.lateral_mm, found.depth_mm) == pytest.approx(away, abs=1e-9)
    beyond = np.array(target) + found.depth_mm * path.direction_ct
    assert np.linalg.norm(tip - beyond) == pytest.approx(found.lateral_mm, abs=1e-9)
    assert found.angle_deg == pytest.approx(180.0)
