"""Whether a stream's timestamps jitter though its source is steady, and what they should be."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from statistics import median

import numpy as np

from ir_nav.geometry import FloatArray
from ir_nav.tracking.timestamps import MAX_CHANGE_S, TimestampSmoother

REMEMBERED = 128
ENOUGH, ENOUGH_NUMBERED = 64, 32
JUDGED_EVERY = 16
INTERVALS_FOR_PERIOD = 31
FEWEST_INTERVALS = 8
# Below, a hand at 100 mm/s is misplaced by a tenth of a millimetre: not worth a change.
WORTH_IT_S = 0.001
# Stamps of a steady clock that are read late now and then come one too long, next too short: their
# intervals correlate with -0.5. Those of a source that is itself irregular do not at all.
STEADY, STEADY_NUMBERED = -0.25, -0.1
# Times that come anywhere scatter by 0.29 periods round the nearest multiple of the period.
WIDEST_PERIODS = 0.2
# What turned it on must be lost by half before it is turned off.
KEEPS = 0.5
GAP_S, GAP_PERIODS = 1.0, 20.0
SWAPPED_S = 0.5
# Where items are counted from their times, further off than this is a wrong count.
MISCOUNTED_PERIODS = 0.6


@dataclass(frozen=True, slots=True)
class StampReport:
    """The last items of a stream. raw_s, used_s: standard deviation of the time per item, s, as
    stamped and as used (PLUS counts jitter so). smoothed: whether they differ now."""

    raw_s: float
    used_s: float
    smoothed: bool


class StampFilter:
    """Causal, one item at a time. Not thread-safe: its owner locks.

    Stamps pass as they are until the source has shown that it is steady and that they jitter by
    more than 1 ms; then they come from TimestampSmoother, within 0.08 s of what was stamped. After
    a gap, a clock that was set, or while the source turns out irregular, they pass again. In order
    in, in order out.
    """

    __slots__ = (
        "_count",
        "_intervals",
        "_last",
        "_numbered",
        "_period_s",
        "_recent",
        "_report",
        "_smoother",
    )

    def __init__(self) -> None:
        self._report: StampReport | None = None
        self._numbered: bool = False
        self._begin()

    @property
    def report(self) -> StampReport | None:
        """None until there are enough items to tell."""
        return self._report

    def push(self, time_s: float, number: int | None = None) -> float:
        """The time to use of an item stamped `time_s`; number: that the source counted it as,
        None where it does not count."""
        last = self._last
        if last is not None:
            index, last_s, used_s, _ = last
            since_s = time_s - last_s
            if since_s == 0.0:
                return used_s
            if -SWAPPED_S < since_s < 0.0:
                return time_s + min(used_s - last_s, 0.0)
            counted = number is None or number > index
            if not self._follows(since_s, counted) or (number is not None) != self._numbered:
                self._begin()
        self._numbered = number is not None
        return self._take(time_s, number)

    def _begin(self) -> None:
        self._numbered = False
        self._period_s: float | None = None
        self._intervals: deque[float] = deque(maxlen=INTERVALS_FOR_PERIOD)
        self._smoother = TimestampSmoother()
        # Index, stamp, time used, and time on the line.
        self._last: tuple[int, float, float, float] | None = None
        self._recent: deque[tuple[int, float, float]] = deque(maxlen=REMEMBERED)
        self._count = 0
        if self._report is not None:
            self._report = StampReport(self._report.raw_s, self._report.raw_s, False)

    def _follows(self, since_s: float, counted: bool) -> bool:
        """Whether an item goes on where the last one left off."""
        period_s = self._period_s or GAP_S
        return counted and 0.0 < since_s < max(GAP_S, GAP_PERIODS * period_s)

    def _take(self, time_s: float, number: int | None) -> float:
        index = self._index(time_s) if number is None else number
        smooth_s = self._smoother.push(index, time_s)
        used_s = smooth_s if self._report is not None and self._report.smoothed else time_s
        if self._last is not None:
            # A change from the one to the other must not turn time back.
            used_s = max(used_s, math.nextafter(self._last[2], math.inf))
        self._last = (index, time_s, used_s, smooth_s)
        self._recent.append((index, time_s, smooth_s))
        self._count += 1
        if self._count % JUDGED_EVERY == 0:
            self._judge()
        return used_s

    def _index(self, time_s: float) -> int:
        """Of an item that nobody counts: how many periods after the last one's place on the
        line, one at least."""
        if self._last is None:
            return 0
        index, last_s, _, line_s = self._last
        self._intervals.append(time_s - last_s)
        if len(self._intervals) < FEWEST_INTERVALS:
            return index + 1
        period_s = median(self._intervals)
        if self._period_s is None or abs(period_s - self._period_s) > 0.2 * self._period_s:
            reach_s = min(MAX_CHANGE_S, MISCOUNTED_PERIODS * period_s)
            self._smoother = TimestampSmoother(max_change_s=reach_s)
            self._period_s = period_s
        return index + max(1, round((time_s - line_s) / self._period_s))

    def _judge(self) -> None:
        """Look whether the source is steady, and whether smoothing it is worth it."""
        if len(self._recent) < (ENOUGH_NUMBERED if self._numbered else ENOUGH):
            return
        numbers, stamps_s, smooth_s = np.array(self._recent).T
        steps, before = np.diff(numbers), self._report is not None and self._report.smoothed
        period_s = float((stamps_s[-1] - stamps_s[0]) / (numbers[-1] - numbers[0]))
        off_s = np.diff(stamps_s) - steps * period_s
        jitter_s = float(np.sqrt(np.mean(off_s**2) / 2.0))
        keeps = KEEPS if before else 1.0
        if self._numbered:
            steady = _correlation(off_s) < keeps * STEADY_NUMBERED
        else:
            # Counting items by where they lie on the line makes any source look a little steady.
            alone = np.maximum(np.round(np.diff(stamps_s) / period_s), 1.0)
            most = max(_correlation(off_s), _correlation(np.diff(stamps_s) - alone * period_s))
            steady = most < keeps * STEADY and jitter_s < WIDEST_PERIODS * period_s
        smoothed = steady and jitter_s > keeps * WORTH_IT_S
        raw_s = _per_item(stamps_s, steps)
        self._report = StampReport(
            raw_s, _per_item(smooth_s, steps) if smoothed else raw_s, smoothed
        )


def _correlation(off_s: FloatArray) -> float:
    """Of each interval's deviation with the next one's."""
    variance = float(np.mean(off_s**2))
    return float(np.mean(off_s[1:] * off_s[:-1])) / variance if variance > 0.0 else 0.0


def _per_item(times_s: FloatArray, steps: FloatArray) -> float:
    return float(np.std(np.diff(times_s) / steps))
