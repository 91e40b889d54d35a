"""How often the guiding stage is painted, and how old the newest pose was when it was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CAPACITY = 120_000
RATE_WINDOW = 60


@dataclass(frozen=True, slots=True)
class PaintSummary:
    """paints: how many were noted. rate_hz: while the stage was on screen.

    Ages in ms over all paints that had a pose; None without.
    """

    paints: int
    rate_hz: float
    age_p50_ms: float | None
    age_p99_ms: float | None
    age_max_ms: float | None


class PaintClock:
    """A ring of paint times and sample ages; half an hour at 60 Hz, then the oldest go."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._times = np.zeros(capacity)
        self._intervals = np.full(capacity, np.nan)
        self._ages = np.full(capacity, np.nan)
        self._count = 0
        self._last_s: float | None = None

    def begin(self) -> None:
        """The stage comes on screen: the time it was away counts for nothing."""
        self._last_s = None

    def note(self, newest_pose_s: float | None, painted_s: float) -> None:
        """One paint is done; Unix times. newest_pose_s None when no pose went into it."""
        place = self._count % len(self._times)
        self._times[place] = painted_s
        self._intervals[place] = np.nan if self._last_s is None else painted_s - self._last_s
        self._last_s = painted_s
        self._ages[place] = np.nan if newest_pose_s is None else painted_s - newest_pose_s
        self._count += 1

    def rate_hz(self) -> float:
        """Over the last second or so; 0 before the second paint."""
        kept = min(self._count, RATE_WINDOW, len(self._times))
        if kept < 2:
            return 0.0
        newest = self._times[(self._count - 1) % len(self._times)]
        oldest = self._times[(self._count - kept) % len(self._times)]
        return float((kept - 1) / max(newest - oldest, 1e-9))

    def summary(self) -> PaintSummary:
        """Rate and ages over everything kept."""
        kept = min(self._count, len(self._times))
        ages = self._ages[:kept] * 1e3
        ages = ages[np.isfinite(ages)]
        intervals = self._intervals[:kept]
        intervals = intervals[np.isfinite(intervals)]
        spent = float(intervals.sum())
        rate = len(intervals) / spent if spent > 0.0 else 0.0
        if not len(ages):
            return PaintSummary(self._count, rate, None, None, None)
        middle, high = (float(value) for value in np.percentile(ages, (50.0, 99.0)))
        return PaintSummary(self._count, rate, middle, high, float(ages.max()))
