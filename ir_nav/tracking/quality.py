"""How well one stream of samples comes in: rate, latency, jitter, losses."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from statistics import median
from threading import Lock

from devices.contract import PoseStatus
from ir_nav.tracking.clock import MIN_DRIFT_SPAN_S, ClockTracker

WINDOW_S = 5
# A gap of so many periods means that a sample is missing; jitter moves one by less than half.
LOST_AFTER_PERIODS = 1.5
INTERVALS_FOR_PERIOD = 31
# A source that paused was switched off or on; it did not lose thousands of samples.
PAUSE_S = 2.0


@dataclass(frozen=True, slots=True)
class QualityReport:
    """The last five seconds of a stream, up to `now_s` (our clock).

    samples: that arrived. rate_hz: of arrival, 0 for none. age_s: since the newest arrived,
    None before the first. latency_s: mean of how much later samples arrived than the quickest
    of the last minute; jitter_s: their standard deviation; both None without samples.
    period_s: nominal, None until known. dropped: samples that the gaps in the source's time
    tell of; dropped_share: of those sent. invalid_share: of those that arrived, tools not seen
    or not measured. offset_s, drift_ppm: see ClockEstimate; no drift in the first 30 s.
    clock_jumps: since the start. clock_reason: why offset and latency may not be relied on, or
    None.
    """

    samples: int
    rate_hz: float
    age_s: float | None
    latency_s: float | None
    jitter_s: float | None
    period_s: float | None
    dropped: int
    dropped_share: float
    invalid_share: float
    offset_s: float | None
    drift_ppm: float | None
    clock_jumps: int
    clock_reason: str | None


@dataclass(slots=True)
class _Second:
    """What arrived in one second of our clock."""

    number: int
    first_received_s: float
    samples: int = 0
    invalid: int = 0
    dropped: int = 0


class StreamQuality:
    """Fed by a reader thread, read by another: a few microseconds per sample, whatever the rate.

    nominal_period_s: as the device states it; otherwise the median of the last intervals of the
    source's time.
    """

    __slots__ = (
        "_clock",
        "_dropped",
        "_fixed_period",
        "_intervals",
        "_last_received_s",
        "_last_source_s",
        "_lock",
        "_period_s",
        "_seconds",
    )

    def __init__(self, nominal_period_s: float | None = None) -> None:
        self._period_s = nominal_period_s
        self._fixed_period = nominal_period_s is not None
        self._intervals: list[float] = []
        self._clock = ClockTracker()
        self._last_source_s: float | None = None
        self._last_received_s: float | None = None
        self._seconds: deque[_Second] = deque(maxlen=WINDOW_S + 1)
        self._lock = Lock()

    def push(self, source_s: float, received_s: float, status: PoseStatus = PoseStatus.OK) -> None:
        """One sample in order of arrival; times in s, the source's and ours."""
        with self._lock:
            self._clock.push(source_s, received_s)
            number = int(received_s)
            if not self._seconds or self._seconds[-1].number != number:
                self._seconds.append(_Second(number, received_s))
            second = self._seconds[-1]
            second.samples += 1
            if status is not PoseStatus.OK:
                second.invalid += 1
            last_s = self._last_source_s
            if last_s is not None:
                interval_s = source_s - last_s
                if 0.0 < interval_s < PAUSE_S:
                    second.dropped += self._lost(interval_s)
            # A late one that overtakes nobody must not make the next look early.
            if last_s is None or source_s > last_s or last_s - source_s > PAUSE_S:
                self._last_source_s = source_s
            self._last_received_s = received_s

    def report(self, now_s: float) -> QualityReport:
        """What came in the five seconds before `now_s`."""
        with self._lock:
            recent = [s for s in self._seconds if s.number > now_s - WINDOW_S - 1]
            samples = sum(second.samples for second in recent)
            dropped = sum(second.dropped for second in recent)
            invalid = sum(second.invalid for second in recent)
            clock = self._clock.estimate(WINDOW_S) if samples else None
            last_s = self._last_received_s
            drifts = clock is not None and clock.span_s >= MIN_DRIFT_SPAN_S
            return QualityReport(
                samples=samples,
                rate_hz=self._rate_hz(recent, samples, now_s),
                age_s=None if last_s is None else max(now_s - last_s, 0.0),
                latency_s=None if clock is None else clock.latency_s,
                jitter_s=None if clock is None else clock.jitter_s,
                period_s=self._period_s,
                dropped=dropped,
                dropped_share=dropped / (samples + dropped) if samples else 0.0,
                invalid_share=invalid / samples if samples else 0.0,
                offset_s=None if clock is None else clock.offset_s,
                drift_ppm=clock.drift_ppm if clock is not None and drifts else None,
                clock_jumps=self._clock.jumps,
                clock_reason=None if clock is None else clock.reason,
            )

    def _rate_hz(self, recent: list[_Second], samples: int, now_s: float) -> float:
        """Up to the newest sample while it is fresh, else up to now."""
        last_s = self._last_received_s
        if samples < 2 or last_s is None:
            return 0.0
        fresh = now_s - last_s < 2.0 * (self._period_s or PAUSE_S)
        lasted_s = (last_s if fresh else now_s) - recent[0].first_received_s
        return (samples - 1) / lasted_s if lasted_s > 0.0 else 0.0

    def _lost(self, interval_s: float) -> int:
        """Samples missing in an interval of the source's time."""
        if not self._fixed_period:
            self._intervals.append(interval_s)
            if len(self._intervals) == INTERVALS_FOR_PERIOD:
                self._period_s = median(self._intervals)
                self._intervals.clear()
        period_s = self._period_s
        if period_s is None or interval_s <= LOST_AFTER_PERIODS * period_s:
            return 0
        return round(interval_s / period_s) - 1
