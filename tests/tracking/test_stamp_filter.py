"""Which streams are smoothed, how well, and which are left alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ir_nav.tracking.stamp_filter import StampFilter, StampReport

COUNT = 1500


def filtered(
    times_s: np.ndarray, numbers: np.ndarray | None = None
) -> tuple[np.ndarray, StampReport | None, float]:
    """Times used, the report at the end, and the share of items that were smoothed."""
    one, used, smoothed = StampFilter(), [], 0
    for place, time_s in enumerate(times_s):
        number = None if numbers is None else int(numbers[place])
        used.append(one.push(float(time_s), number))
        smoothed += one.report is not None and one.report.smoothed
    return np.array(used), one.report, smoothed / len(times_s)


def steady(rate_hz: float) -> np.ndarray:
    return 1.7e9 + np.arange(COUNT) / rate_hz


@pytest.mark.parametrize("rate_hz", [10.0, 30.0, 60.0])
@pytest.mark.parametrize("lost", [0.0, 0.05])
def test_jitter_of_a_steady_source_is_more_than_halved(rate_hz: float, lost: float) -> None:
    rng = np.random.default_rng(1)
    true_s = steady(rate_hz)
    true_s = true_s[rng.random(COUNT) >= lost]
    times_s = true_s + rng.normal(0.0, 0.08 / rate_hz, len(true_s))
    used_s, report, share = filtered(times_s)
    before, after = (times_s - true_s)[200:].std(), (used_s - true_s)[200:].std()
    assert before / after > 2.0
    assert share > 0.95
    assert (np.diff(used_s) > 0.0).all()
    assert np.abs(used_s - times_s).max() < 0.08
    assert report is not None
    assert report.smoothed
    assert report.raw_s / report.used_s > 4.0


@pytest.mark.parametrize("jitter_s", [0.0, 0.0003])
def test_a_regular_source_is_not_touched(jitter_s: float) -> None:
    times_s = steady(50.0) + np.random.default_rng(2).normal(0.0, jitter_s, COUNT)
    used_s, report, share = filtered(times_s)
    np.testing.assert_array_equal(used_s, times_s)
    assert share == 0.0
    assert report is not None
    assert report.raw_s == report.used_s


def intervals(kind: str) -> np.ndarray:
    rng = np.random.default_rng(3)
    if kind == "by chance":
        return rng.exponential(0.03, COUNT)
    if kind == "varying":
        return np.maximum(rng.normal(0.03, 0.006, COUNT), 0.001)
    return np.where(np.arange(COUNT) // 40 % 2, 0.02, 0.033)


@pytest.mark.parametrize("kind", ["by chance", "varying", "two rates"])
def test_a_source_that_is_irregular_itself_is_not_touched(kind: str) -> None:
    times_s = 1.7e9 + np.cumsum(intervals(kind))
    used_s, _, share = filtered(times_s)
    np.testing.assert_array_equal(used_s, times_s)
    assert share == 0.0


@pytest.mark.parametrize("step_s", [5.0, -5.0, 3600.0])
def test_after_a_gap_or_a_clock_that_was_set_stamps_pass_as_they_are(step_s: float) -> None:
    times_s = steady(30.0) + np.random.default_rng(4).normal(0.0, 0.003, COUNT)
    times_s[700:] += step_s
    used_s, report, _ = filtered(times_s)
    np.testing.assert_array_equal(used_s[700:764], times_s[700:764])
    assert np.abs(used_s - times_s).max() < 0.02
    assert report is not None
    assert report.smoothed


def test_it_stops_when_the_source_turns_irregular() -> None:
    rng = np.random.default_rng(5)
    calm = steady(30.0)[:500] + rng.normal(0.0, 0.003, 500)
    times_s = np.concatenate([calm, calm[-1] + np.cumsum(intervals("by chance"))])
    used_s, report, _ = filtered(times_s)
    assert (used_s[200:500] != times_s[200:500]).all()
    np.testing.assert_array_equal(used_s[-800:], times_s[-800:])
    assert report is not None
    assert not report.smoothed


def test_a_stamp_that_comes_again_or_late_keeps_its_place() -> None:
    times_s = steady(30.0)[:300] + np.random.default_rng(6).normal(0.0, 0.003, 300)
    one = StampFilter()
    used_s = [one.push(float(time_s)) for time_s in times_s]
    assert one.push(float(times_s[-1])) == used_s[-1] != times_s[-1]
    late_s = float(times_s[-1]) - 0.004
    assert late_s - 0.02 < one.push(late_s) < used_s[-1]
    assert one.push(float(times_s[-1]) + 1 / 30.0) > used_s[-1]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(st.floats(0.0005, 0.2), st.floats(0.02, 0.04), st.floats(-40.0, 40.0)),
        min_size=2,
        max_size=200,
    ),
    st.booleans(),
)
def test_never_far_and_always_in_order(steps_s: list[float], jitters: bool) -> None:
    rng = np.random.default_rng(7)
    calm = np.arange(150) / 30.0 + rng.normal(0.0, 0.003 if jitters else 0.0, 150)
    times_s = np.concatenate([calm, calm[-1] + np.cumsum(steps_s)])
    used_s, _, _ = filtered(times_s)
    assert np.abs(used_s - times_s).max() <= 0.08 + 1e-6
    rising = np.diff(times_s) > 0.0
    assert (np.diff(used_s)[rising] > 0.0).all()
