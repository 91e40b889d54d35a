"""When a stylus tip rests: each gate by itself."""

from __future__ import annotations

import numpy as np
import pytest

from ir_nav.session.touching import resting_touch

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


@pytest.mark.parametrize(("count", "seconds"), [(19, 0.8), (48, 0.6), (0, 0.0)])
def test_too_few_poses_or_too_short_a_dwell_is_no_rest(count: int, seconds: float) -> None:
    assert resting_touch(*track(count=count, seconds=seconds)) is None
