"""A source's clock against ours, from the times its samples carry and the times they arrive."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

BUCKET_S = 1.0
WINDOW_BUCKETS = 60
# Crystals stay within 100 ppm, and NTP turns a clock by 500 ppm at most.
MAX_DRIFT_PPM = 1000.0
# A slope through fewer seconds than this is mostly the network's jitter.
MIN_DRIFT_SPAN_S = 30.0
JUMP_S = 0.1
# A network may stall for a second or two; a clock that was set stays set.
BUCKETS_TO_BELIEVE = 3


@dataclass(frozen=True, slots=True)
class ClockEstimate:
    """Where a source's clock stands against ours.

    offset_s: our clock minus the source's at source time `at_s`, with the shortest way that a
    sample took included: no one-way measurement can tell the two apart. drift_ppm: how the
    offset grows, us per s. latency_s, jitter_s: mean and standard deviation of how much later
    than that the samples arrived. span_s: stretch of the source's time it is drawn from.
    reason: why drift and offset may not be relied on, or None.
    """

    offset_s: float
    drift_ppm: float
    at_s: float
    latency_s: float
    jitter_s: float
    span_s: float
    samples: int
    reason: str | None = None

    def offset_at(self, source_s: float) -> float:
        """Offset in s at a time of the source's clock."""
        return self.offset_s + self.drift_ppm * 1e-6 * (source_s - self.at_s)

    def ours_s(self, source_s: float) -> float:
        """A time of the source's clock on our clock, s."""
        return source_s + self.offset_at(source_s)


@dataclass(slots=True)
class _Second:
    """Samples that arrived in one second: the quickest, and sums over (offset - base)."""

    number: int
    source_s: float
    offset_s: float
    count: int = 1
    total: float = 0.0
    squares: float = 0.0


@dataclass(slots=True)
class ClockTracker:
    """Clock of one source over the last minute. Not thread-safe: its owner locks.

    A sample can only be late, so the clock is the lower envelope of (received - source) over
    source time (Moon, Skelly and Towsley 1999). Of each second only the quickest sample and
    two sums are kept: a fixed cost per sample, and 60 points for the envelope. A clock that was
    set, by more than 0.1 s, begins anew: at once when samples come too early, after three
    seconds when all come late. jumps: how often that happened.
    """

    jumps: int = 0
    _base_s: float = 0.0
    _seconds: deque[_Second] = field(default_factory=lambda: deque(maxlen=WINDOW_BUCKETS))
    _line: tuple[float, float, float, str | None] | None = None

    def push(self, source_s: float, received_s: float) -> None:
        """One sample, in order of arrival."""
        offset_s = received_s - source_s
        number = int(received_s // BUCKET_S)
        seconds = self._seconds
        if not seconds:
            self._base_s = offset_s
        elif offset_s < seconds[-1].offset_s - JUMP_S and self._earlier_than_ever(offset_s):
            self.jumps += 1
            seconds.clear()
            self._base_s = offset_s
        from_base = offset_s - self._base_s
        if seconds and seconds[-1].number == number:
            last = seconds[-1]
            last.count += 1
            last.total += from_base
            last.squares += from_base * from_base
            if offset_s < last.offset_s:
                last.source_s, last.offset_s = source_s, offset_s
            return
        if len(seconds) > BUCKETS_TO_BELIEVE:
            self._forget_before_a_jump()
        self._line = None
        squared = from_base * from_base
        seconds.append(_Second(number, source_s, offset_s, 1, from_base, squared))

    def estimate(self, last_s: int = WINDOW_BUCKETS) -> ClockEstimate | None:
        """The clock by now; latency and jitter over the last so many seconds.

        None before the first sample. The line is drawn through the seconds that are over.
        """
        if not self._seconds:
            return None
        if self._line is None:
            over = list(self._seconds)[:-1] or list(self._seconds)
            self._line = _envelope([s.source_s for s in over], [s.offset_s for s in over])
        at_s, offset_s, slope, reason = self._line
        count, total, squares = 0, 0.0, 0.0
        for second in list(self._seconds)[-last_s:]:
            least = offset_s + slope * (second.source_s - at_s) - self._base_s
            count += second.count
            total += second.total - second.count * least
            squares += second.squares - 2.0 * least * second.total + second.count * least * least
        mean = total / count
        return ClockEstimate(
            offset_s=offset_s,
            drift_ppm=slope * 1e6,
            at_s=at_s,
            latency_s=max(mean, 0.0),
            jitter_s=max(squares / count - mean * mean, 0.0) ** 0.5,
            span_s=self._seconds[-1].source_s - self._seconds[0].source_s,
            samples=sum(second.count for second in self._seconds),
            reason=reason,
        )

    def _earlier_than_ever(self, offset_s: float) -> bool:
        """By a jump; a network that no longer stalls only comes back to where it was."""
        return offset_s < min(second.offset_s for second in self._seconds) - JUMP_S

    def _forget_before_a_jump(self) -> None:
        """Drop what came before when the last seconds' quickest were all late by a jump."""
        recent = list(self._seconds)[-BUCKETS_TO_BELIEVE:]
        before = self._seconds[-BUCKETS_TO_BELIEVE - 1]
        if min(second.offset_s for second in recent) < before.offset_s + JUMP_S:
            return
        self.jumps += 1
        self._seconds.clear()
        self._seconds.extend(recent)


def estimate_clock(source_s: ArrayLike, received_s: ArrayLike) -> ClockEstimate:
    """From a whole recording: times of the source (n,) and of arrival (n,), s, n > 0."""
    source = np.asarray(source_s, dtype=np.float64)
    offsets = np.asarray(received_s, dtype=np.float64) - source
    order = np.argsort(source, kind="stable")
    at_s, offset_s, slope, reason = _envelope(source[order].tolist(), offsets[order].tolist())
    late = offsets - offset_s - slope * (source - at_s)
    return ClockEstimate(
        offset_s=offset_s,
        drift_ppm=slope * 1e6,
        at_s=at_s,
        latency_s=float(late.mean()),
        jitter_s=float(late.std()),
        span_s=float(np.ptp(source)),
        samples=len(source),
        reason=reason,
    )


def _envelope(
    times_s: Sequence[float], offsets_s: Sequence[float]
) -> tuple[float, float, float, str | None]:
    """Middle of the times, offset there, slope, and why not to rely on them.

    The line below all points that comes closest to them in the sum is the edge of their lower
    convex hull above the times' mean. times_s rise, but for neighbours.
    """
    points = sorted(zip(times_s, offsets_s, strict=True))
    middle_s = sum(times_s) / len(times_s)
    newest_s = points[-1][0]
    least = min(offset for _, offset in points[-BUCKETS_TO_BELIEVE:])
    if newest_s - points[0][0] < MIN_DRIFT_SPAN_S:
        return newest_s, min(offsets_s), 0.0, None
    hull: list[tuple[float, float]] = []
    for point in points:
        while len(hull) >= 2 and _turns_right(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    after = next(i for i, (time_s, _) in enumerate(hull) if time_s >= middle_s)
    (t0, o0), (t1, o1) = hull[max(after - 1, 0)], hull[max(after, 1)]
    slope = (o1 - o0) / (t1 - t0) if t1 > t0 else 0.0
    if abs(slope) * 1e6 > MAX_DRIFT_PPM:
        words = f"its clock runs {abs(slope) * 1e6:.0f} ppm off ours: set both by the same server"
        return newest_s, least, 0.0, words
    return middle_s, o0 + slope * (middle_s - t0), slope, None


def _turns_right(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[0] - a[0]) * (c[1] - a[1]) <= (b[1] - a[1]) * (c[0] - a[0])
