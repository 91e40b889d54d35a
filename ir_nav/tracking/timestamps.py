"""Timestamps of a steady source, freed of the jitter of whoever took them."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from numpy.typing import ArrayLike

from ir_nav.geometry import FloatArray

WINDOW = 20
MIN_ITEMS = 10
# Further than this from the line, a timestamp is no jitter: the source paused or its clock jumped.
MAX_CHANGE_S = 0.08
# Sums of squares of numbers this many windows long still hold the digits of one window.
WINDOWS_A_BASE = 1000


class TimestampSmoother:
    """Causal filter, one item at a time, for the reader thread that owns it.

    A straight line of time over item number through the last `window` items tells the time of
    the newest, as PLUS does (vtkPlusTimestampedCircularBuffer, 20 items); the first few pass
    unchanged. Times that rise come out rising. When a timestamp lies further than
    `max_change_s` from the line it passes as it is, and the line begins anew with it.
    Running sums: an item costs the same whatever the window.
    """

    __slots__ = ("_items", "_last_s", "_max_change_s", "_sums", "_window")

    def __init__(self, window: int = WINDOW, max_change_s: float = MAX_CHANGE_S) -> None:
        self._window = max(window, 3)
        self._max_change_s = max_change_s
        self._last_s = -math.inf
        self._items: deque[tuple[int, float]] = deque()
        self._sums = _LineSums(0, 0.0)

    def push(self, index: int, time_s: float) -> float:
        """The filtered time of item `index` (rising; gaps are items lost), stamped `time_s`."""
        if not self._items or index <= self._items[-1][0]:
            self._begin(index, time_s)
        else:
            self._append(index, time_s)
        smooth_s = self._sums.time_at(index)
        if smooth_s is None:
            smooth_s = time_s
        elif abs(smooth_s - time_s) > self._max_change_s:
            self._begin(index, time_s)
            smooth_s = time_s
        # The line turns a little with every item; a clock set back is another matter.
        if time_s - self._max_change_s < self._last_s and smooth_s <= self._last_s:
            set_back = self._last_s - smooth_s > self._max_change_s
            smooth_s = smooth_s if set_back else math.nextafter(self._last_s, math.inf)
        self._last_s = smooth_s
        return smooth_s

    def _begin(self, index: int, time_s: float) -> None:
        self._items.clear()
        self._sums = _LineSums(index, time_s)
        self._items.append((index, time_s))
        self._sums.add(index, time_s, 1)

    def _append(self, index: int, time_s: float) -> None:
        if index - self._sums.index_0 > WINDOWS_A_BASE * self._window:
            self._sums = _LineSums(*self._items[0])
            for item in self._items:
                self._sums.add(*item, 1)
        self._items.append((index, time_s))
        self._sums.add(index, time_s, 1)
        if len(self._items) > self._window:
            self._sums.add(*self._items.popleft(), -1)


class _LineSums:
    """Sums over item numbers n and times t, both counted from the first item's."""

    __slots__ = ("count", "index_0", "n", "nn", "nt", "t", "time_0_s")

    def __init__(self, index_0: int, time_0_s: float) -> None:
        self.index_0, self.time_0_s = index_0, time_0_s
        self.count = 0
        self.n = self.t = self.nn = self.nt = 0.0

    def add(self, index: int, time_s: float, sign: int) -> None:
        n, t = float(index - self.index_0), time_s - self.time_0_s
        self.count += sign
        self.n += sign * n
        self.t += sign * t
        self.nn += sign * n * n
        self.nt += sign * n * t

    def time_at(self, index: int) -> float | None:
        """The line's time, or None while there are too few items to tell it."""
        spread = self.count * self.nn - self.n * self.n
        if self.count < MIN_ITEMS or spread <= 0.0:
            return None
        slope = (self.count * self.nt - self.n * self.t) / spread
        from_middle = index - self.index_0 - self.n / self.count
        return self.time_0_s + self.t / self.count + slope * from_middle


def smooth_timestamps(
    indices: ArrayLike,
    times_s: ArrayLike,
    window: int = WINDOW,
    max_change_s: float = MAX_CHANGE_S,
) -> FloatArray:
    """(n,) filtered times of items numbered (n,) and stamped (n,) s, each from those before it."""
    smoother = TimestampSmoother(window, max_change_s)
    numbers = np.asarray(indices, dtype=np.int64)
    times = np.asarray(times_s, dtype=np.float64)
    return np.array([smoother.push(int(n), float(t)) for n, t in zip(numbers, times, strict=True)])
