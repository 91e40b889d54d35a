"""A gliding tip becomes points; a resting, lifted or leaping one does not."""

from __future__ import annotations

import numpy as np
import pytest

from ir_nav.registration.surface import SwipedPoints


def glided(
    swiped: SwipedPoints, speed_mm_s: float, seconds: float, *, on_surface: bool = True
) -> SwipedPoints:
    """Along x from 0, at 50 Hz."""
    for step in range(round(50 * seconds)):
        at_s = step / 50.0
        swiped = swiped.with_tip([speed_mm_s * at_s, 0.0, 0.0], at_s, on_surface=on_surface)
    return swiped


def test_one_point_every_two_millimetres() -> None:
    found = glided(SwipedPoints(), 40.0, 2.0)
    assert 32 <= len(found) <= 40
    gaps = np.diff(found.points_reference_mm[:, 0])
    assert (gaps >= 2.0).all()
    assert gaps.max() < 3.0


def test_going_over_it_again_adds_nothing() -> None:
    once = glided(SwipedPoints(), 40.0, 2.0)
    assert len(glided(once.lifted(), 40.0, 2.0)) <= len(once) + 1


@pytest.mark.parametrize("speed_mm_s", [0.0, 2.0, 400.0])
def test_resting_and_leaping_tips_give_no_points(speed_mm_s: float) -> None:
    assert len(glided(SwipedPoints(), speed_mm_s, 2.0)) == 0


def test_off_the_surface_nothing_is_taken() -> None:
    assert len(glided(SwipedPoints(), 40.0, 1.0, on_surface=False)) == 0


def test_the_way_through_the_air_is_no_swipe() -> None:
    swiped = SwipedPoints().with_tip([0, 0, 0], 0.0, on_surface=True)
    swiped = swiped.with_tip([5, 0, 0], 0.1, on_surface=False)
    swiped = swiped.with_tip([10, 0, 0], 0.2, on_surface=True)
    assert len(swiped) == 0
    assert len(swiped.with_tip([14, 0, 0], 0.3, on_surface=True)) == 1


def test_after_a_gap_or_a_clock_that_jumps_back_nothing_is_taken() -> None:
    swiped = SwipedPoints().with_tip([0, 0, 0], 1.0, on_surface=True)
    assert len(swiped.with_tip([20, 0, 0], 2.0, on_surface=True)) == 0
    assert len(swiped.with_tip([5, 0, 0], 0.9, on_surface=True)) == 0


def test_a_tip_that_is_not_finite_counts_as_lost() -> None:
    swiped = SwipedPoints().with_tip([0, 0, 0], 0.0, on_surface=True)
    lost = swiped.with_tip([np.nan, 0, 0], 0.1, on_surface=True)
    assert lost.last_mm is None
    assert len(lost) == 0


def test_it_is_never_changed() -> None:
    first = glided(SwipedPoints(), 40.0, 1.0)
    count = len(first)
    first.with_tip([500, 0, 0], 1.0, on_surface=True)
    assert len(first) == count
    with pytest.raises(ValueError, match="read-only"):
        first.points_reference_mm[0, 0] = 1.0


def test_what_is_missing_is_said() -> None:
    few = glided(SwipedPoints(), 40.0, 1.0)
    assert few.doubt() == f"{len(few)} of 100 points: go on swiping"
    assert "swipe a wider area" in few.doubt(wanted=12)
    assert glided(SwipedPoints(), 100.0, 2.5).doubt() == ""
