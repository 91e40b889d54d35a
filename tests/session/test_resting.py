"""When a stylus tip rests: each gate by itself."""

from __future__ import annotations

import numpy as np
import pytest

from ir_nav.session.resting import dwell_s, resting_touch

PLACE = np.array([40.0, -20.0, 110.0])


def track(
    sigma_mm: float = 0.15, count: int = 48, seconds: float = 0.8
) -> tuple[np.ndarray, np.ndarray]:
    """Tip at rest but for the tracker's noise, as it is seen over one dwell."""
    noise = np.random.default_rng(8).normal(0, sigma_mm, (count, 3))
    return PLACE + noise, np.linspace(0.0, seconds, count)


def test_a_tip_that_only_shows_the_trackers_noise_rests() -> None:
    tips, times = track()
    touch = resting_touch(tips, times)
    assert touch is not None
    np.testing.assert_allclose(touch.reference_mm, tips.mean(axis=0))
    assert touch.spread_mm == pytest.approx(0.15 * np.sqrt(3), rel=0.2)
    assert touch.time_s == times[-1]


def test_a_slow_drift_within_the_noise_is_no_rest() -> None:
    """1 mm/s: the spread hardly grows, the halves of the dwell differ by 0.4 mm."""
    tips, times = track()
    tips[:, 1] += 1.0 * times
    assert resting_touch(tips, times) is None


def test_a_tremor_that_comes_back_to_its_place_is_no_rest() -> None:
    """Two whole swings: both halves have the same mean."""
    tips, times = track()
    tips[:, 0] += 0.7 * np.sin(2 * np.pi * 2 * np.arange(48) / 48)
    assert resting_touch(tips, times) is None


def test_a_tracker_too_noisy_for_a_landmark_gives_none() -> None:
    assert resting_touch(*track(sigma_mm=1.5)) is None


@pytest.mark.parametrize("rate_hz", [6.0, 10.0, 15.0, 20.0])
def test_a_slow_tracker_shows_a_rest_in_a_longer_dwell(rate_hz: float) -> None:
    """Of 200 dwells as long as that tracker needs, most are a rest; drifts and shorter ones are
    none."""
    rng = np.random.default_rng(3)
    seconds = dwell_s(np.arange(5) / rate_hz)
    assert 0.8 <= seconds <= 1.6
    count = int(seconds * rate_hz) + 1
    assert count >= 8
    times = np.arange(count) / rate_hz
    still = PLACE + rng.normal(0, 0.15, (200, count, 3))
    assert sum(resting_touch(tips, times) is not None for tips in still) > 140
    drift = np.outer(times, (0.0, 2.5, 0.0))
    assert sum(resting_touch(tips + drift, times) is not None for tips in still) < 10
    assert not any(resting_touch(tips[: count // 2], times[: count // 2]) for tips in still)


def test_a_fast_tracker_that_is_hardly_seen_gives_none() -> None:
    """19 poses in 0.8 s are enough at 20 Hz, not at 60 Hz."""
    times = np.concatenate([np.arange(10) / 60, 0.65 + np.arange(9) / 60])
    tips, _ = track(count=19)
    assert resting_touch(tips, np.linspace(0.0, 0.8, 19)) is not None
    assert resting_touch(tips, times) is None


@pytest.mark.parametrize(("count", "seconds"), [(7, 1.6), (48, 0.6), (0, 0.0)])
def test_too_few_poses_or_too_short_a_dwell_is_no_rest(count: int, seconds: float) -> None:
    assert resting_touch(*track(count=count, seconds=seconds)) is None
