"""Clocks, smoothed timestamps and the quality of a stream, against sources that are known."""

from __future__ import annotations

import re
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.contract import PoseStatus
from ir_nav.tracking import (
    ClockTracker,
    StreamQuality,
    TimestampSmoother,
    estimate_clock,
    smooth_timestamps,
)
from tests.data import data_path

OFFSET_S = 1.6e9
QUICKEST_S = 0.003


def plus_items() -> tuple[np.ndarray, np.ndarray]:
    """Frame numbers and timestamps as they were taken, of PLUS's own test."""
    text = data_path("plus", "TimestampFilteringTest.igs.mha").read_bytes()
    numbers = re.findall(rb"_FrameNumber = (\d+)", text)
    times = re.findall(rb"_UnfilteredTimestamp = ([\d.]+)", text)
    assert len(numbers) == len(times) == 500
    return np.array(numbers, dtype=int), np.array(times, dtype=float)


def test_jitter_of_plus_is_reduced_threefold_within_80_ms() -> None:
    """The standard deviation of the time per frame number, over all items, as PLUS counts."""
    numbers, times = plus_items()
    smooth = smooth_timestamps(numbers, times)
    before = np.std(np.diff(times) / np.diff(numbers))
    after = np.std(np.diff(smooth) / np.diff(numbers))
    assert before / after > 4.5
    assert np.abs(smooth - times).max() < 0.08
    assert (np.diff(smooth) > 0.0).all()


def test_smoothing_is_causal_and_the_same_online() -> None:
    numbers, times = plus_items()
    smooth = smooth_timestamps(numbers, times)
    smoother = TimestampSmoother()
    online = [smoother.push(int(n), float(t)) for n, t in zip(numbers[:300], times, strict=False)]
    np.testing.assert_array_equal(online, smooth[:300])


def test_a_steady_source_is_left_as_it_is_for_days() -> None:
    """Sums over large numbers lose no digits: 100 Hz, a week in, with a drop now and then."""
    numbers = np.cumsum(np.random.default_rng(1).integers(1, 3, 60_000))
    times = 1.7e9 + 0.01 * numbers
    np.testing.assert_allclose(smooth_timestamps(numbers, times), times, rtol=0, atol=2e-6)


def test_after_a_pause_or_a_clock_set_back_the_line_begins_anew() -> None:
    rng = np.random.default_rng(2)
    times = 50.0 + 0.02 * np.arange(300) + rng.normal(0, 0.003, 300)
    times[100:] += 5.0
    times[200:] -= 30.0
    smooth = smooth_timestamps(np.arange(300), times)
    assert np.abs(smooth - times).max() < 0.02
    assert smooth[100] == times[100]
    assert smooth[200] == times[200]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.0005, 0.2), min_size=2, max_size=80))
def test_times_that_rise_come_out_rising(intervals: list[float]) -> None:
    times = np.cumsum(intervals)
    smooth = smooth_timestamps(np.arange(len(times)), times)
    assert (np.diff(smooth) > 0.0).all()
    assert np.abs(smooth - times).max() <= 0.08 + 1e-6


def stream(drift_ppm: float, seed: int = 1, rate_hz: float = 40.0) -> tuple[np.ndarray, np.ndarray]:
    """Two minutes: the way takes 3 ms and an exponential delay of 6 ms on average."""
    rng = np.random.default_rng(seed)
    source = 1e5 + np.arange(0.0, 120.0, 1.0 / rate_hz)
    delays = QUICKEST_S + rng.exponential(0.006, len(source))
    return source, source * (1.0 + drift_ppm * 1e-6) + OFFSET_S + delays


def true_offset(source_s: float, drift_ppm: float) -> float:
    return OFFSET_S + QUICKEST_S + source_s * drift_ppm * 1e-6


@pytest.mark.parametrize("drift_ppm", [0.0, 50.0, -200.0])
@pytest.mark.parametrize("seed", range(3))
def test_offset_and_drift_are_found_under_jitter(drift_ppm: float, seed: int) -> None:
    source, received = stream(drift_ppm, seed)
    tracker = ClockTracker()
    for one, other in zip(source, np.maximum.accumulate(received), strict=True):
        tracker.push(float(one), float(other))
    for found in (estimate_clock(source, received), tracker.estimate()):
        assert found is not None
        assert found.reason is None
        assert found.drift_ppm == pytest.approx(drift_ppm, abs=4.0)
        assert found.offset_at(source[-1]) == pytest.approx(
            true_offset(source[-1], drift_ppm), abs=3e-4
        )
        assert found.ours_s(source[-1]) == pytest.approx(source[-1] + found.offset_at(source[-1]))
        assert found.latency_s == pytest.approx(0.006, rel=0.15)
        assert found.jitter_s == pytest.approx(0.006, rel=0.15)
    assert tracker.jumps == 0


@pytest.mark.parametrize("jump_s", [7.0, -5.0, 0.3, -0.3])
def test_a_clock_that_is_set_is_noticed_and_followed(jump_s: float) -> None:
    rng = np.random.default_rng(3)
    tracker = ClockTracker()
    for now_s in np.arange(0.0, 40.0, 0.02):
        source_s = now_s + 10.0 + (jump_s if now_s > 20.0 else 0.0)
        tracker.push(float(source_s), float(now_s + 0.002 + 0.004 * rng.random()))
    found = tracker.estimate()
    assert tracker.jumps == 1
    assert found is not None
    assert found.offset_at(50.0 + jump_s) == pytest.approx(-10.0 - jump_s + 0.002, abs=1e-3)


def test_a_network_that_stalls_for_two_seconds_is_no_jump() -> None:
    tracker = ClockTracker()
    for now_s in np.arange(0.0, 30.0, 0.02):
        stalled = 0.4 if 15.0 < now_s < 17.0 else 0.0
        tracker.push(float(now_s), float(now_s + 0.002 + stalled))
    found = tracker.estimate()
    assert tracker.jumps == 0
    assert found is not None
    assert found.offset_at(30.0) == pytest.approx(0.002, abs=1e-6)


def test_a_clock_that_runs_too_fast_is_told() -> None:
    source = np.arange(0.0, 60.0, 0.02)
    found = estimate_clock(source, source * 1.01 + 3.0)
    assert "10000 ppm off ours" in str(found.reason)


def fed(rate_hz: float, lost: float, unseen: float, seconds: float = 20.0) -> StreamQuality:
    rng = np.random.default_rng(4)
    quality = StreamQuality()
    received_s = 0.0
    for index in range(round(rate_hz * seconds)):
        source_s = 1000.0 + index / rate_hz
        received_s = max(received_s, source_s - 900.0 + 0.01 + float(rng.exponential(0.004)))
        if rng.random() < lost:
            continue
        status = PoseStatus.MISSING if rng.random() < unseen else PoseStatus.OK
        quality.push(source_s, received_s, status)
    return quality


@pytest.mark.parametrize("rate_hz", [10.0, 60.0, 250.0])
@pytest.mark.parametrize(("lost", "unseen"), [(0.0, 0.0), (0.1, 0.0), (0.0, 0.3), (0.05, 0.2)])
def test_a_stream_is_described_as_it_was_made(rate_hz: float, lost: float, unseen: float) -> None:
    report = fed(rate_hz, lost, unseen).report(120.0)
    tolerance = 3.0 / np.sqrt(5.0 * rate_hz)
    assert report.rate_hz == pytest.approx(rate_hz * (1.0 - lost), rel=0.05 + tolerance * lost)
    assert report.period_s == pytest.approx(1.0 / rate_hz, rel=0.01)
    assert report.dropped_share == pytest.approx(lost, abs=tolerance * np.sqrt(lost) + 0.001)
    assert report.invalid_share == pytest.approx(unseen, abs=tolerance * np.sqrt(unseen))
    assert report.latency_s == pytest.approx(0.004, rel=0.6)
    assert report.jitter_s == pytest.approx(0.004, rel=0.6)
    assert report.offset_s == pytest.approx(-899.99, abs=0.002)
    assert report.clock_jumps == 0


def test_a_stream_that_stops_ages_and_its_rate_falls() -> None:
    quality = fed(50.0, 0.0, 0.0)
    assert quality.report(120.1).age_s == pytest.approx(0.1, abs=0.02)
    assert 20.0 < quality.report(122.5).rate_hz < 40.0
    silent = quality.report(140.0)
    assert (silent.samples, silent.rate_hz, silent.latency_s) == (0, 0.0, None)
    assert silent.age_s == pytest.approx(20.0, abs=0.05)


def test_nothing_is_said_before_the_first_sample() -> None:
    report = StreamQuality().report(5.0)
    assert (report.samples, report.age_s, report.period_s) == (0, None, None)


def test_a_stated_period_counts_and_a_pause_is_no_loss() -> None:
    quality = StreamQuality(nominal_period_s=0.02)
    for source_s in (0.0, 0.02, 0.04, 0.10, 0.12, 9.0, 9.02):
        quality.push(source_s, 50.0 + min(source_s, 1.0))
    assert quality.report(51.0).dropped == 2


def test_a_sample_costs_microseconds_while_another_thread_reads() -> None:
    quality = StreamQuality()
    times = [(0.005 * i, 0.005 * i + 0.001) for i in range(20_000)]
    done = threading.Event()

    def read() -> None:
        while not done.wait(0.01):
            quality.report(50.0)

    reader = threading.Thread(target=read)
    reader.start()
    spent = []
    for part in range(0, len(times), 1000):
        begun = time.perf_counter()
        for source_s, received_s in times[part : part + 1000]:
            quality.push(source_s, received_s)
        spent.append(time.perf_counter() - begun)
    done.set()
    reader.join()
    # About 3 us each; the quickest part of twenty is not slowed by what else the machine does.
    assert min(spent) / 1000 < 15e-6
    assert quality.report(100.0).rate_hz == pytest.approx(200.0, rel=0.01)


def test_a_stream_tells_its_drift_only_after_half_a_minute() -> None:
    quality = StreamQuality()
    for step in range(40 * 60):
        source_s = step / 60
        quality.push(source_s, source_s * (1.0 + 100e-6) + 5.0)
        report = quality.report(source_s + 5.0)
        if source_s < 29.0:
            assert report.drift_ppm is None
    assert report.drift_ppm == pytest.approx(100.0, abs=5.0)
