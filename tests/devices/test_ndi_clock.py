"""Frame numbers as Unix time."""

from __future__ import annotations

import numpy as np
import pytest

from devices.ndi.clock import FrameClock, Timeline

START_S = 1.7e9


def replies(
    count: int, rate_hz: float, seed: int = 0, drift: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Frame numbers and times of arrival: 2 ms at least, now and then 40 ms."""
    rng = np.random.default_rng(seed)
    frames = np.arange(1000, 1000 + count)
    delay_s = 0.002 + rng.exponential(0.003, count) + 0.04 * (rng.random(count) < 0.02)
    return frames, START_S + (frames - 1000) * (1 + drift) / rate_hz + delay_s


@pytest.mark.parametrize("drift", [-1e-4, 0.0, 1e-4])
def test_times_are_monotone_smooth_and_not_after_arrival(drift: float) -> None:
    frames, received_s = replies(6000, 60.0, drift=drift)
    line = Timeline(FrameClock(60.0))
    at_s = np.array([line.unix_s(*pair) for pair in zip(frames, received_s, strict=True)])
    assert (at_s <= received_s).all()
    steps_s = np.diff(at_s)
    assert (steps_s >= 0.0).all()
    settled = slice(600, None)
    truth_s = START_S + (frames - 1000) * (1 + drift) / 60.0 + 0.002
    assert np.abs(at_s - truth_s)[settled].max() < 0.003
    # Arrival times scatter by 6 ms.
    assert steps_s[settled].std() < 0.0005


def test_counter_that_restarts_is_followed() -> None:
    clock = FrameClock(60.0)
    line = Timeline(clock)
    assert line.unix_s(50_000, START_S) == START_S
    assert line.is_new(10)
    assert line.unix_s(10, START_S + 5.0) == START_S + 5.0
    assert clock.anchored == 2


def test_wrong_rate_is_off_by_a_quarter_second_at_most_and_noticed() -> None:
    frames, received_s = replies(600, 20.0)
    clock = FrameClock(60.0)
    line = Timeline(clock)
    for frame, arrived_s in zip(frames, received_s, strict=True):
        assert 0.0 <= arrived_s - line.unix_s(frame, arrived_s) <= 0.251
    assert clock.anchored > 10


def test_frames_are_new_once() -> None:
    line = Timeline(FrameClock(60.0))
    assert not line.is_new(0)
    assert line.is_new(100)
    line.unix_s(100, START_S)
    assert not line.is_new(100)
    assert not line.is_new(98)  # overtaken
    assert line.is_new(101)


def test_tools_share_a_clock_though_their_frames_differ() -> None:
    clock = FrameClock(60.0)
    first, second = Timeline(clock), Timeline(clock)
    for frame in range(100, 200):
        now_s = START_S + frame / 60.0
        assert first.unix_s(frame, now_s) - second.unix_s(frame - 1, now_s) == pytest.approx(
            1 / 60.0, abs=1e-6
        )


def test_computer_clock_set_back() -> None:
    line = Timeline(FrameClock(60.0))
    line.unix_s(100, START_S)
    assert line.unix_s(101, START_S - 3600.0) == START_S - 3600.0
