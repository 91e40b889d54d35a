"""Recent poses of one tool: written by a reader thread, read by the tick."""

from __future__ import annotations

import bisect
from collections import deque
from operator import attrgetter
from threading import Lock

import numpy as np

from devices.contract import PoseSample
from ir_nav.geometry import FloatArray, FrameError, interpolate

DEFAULT_CAPACITY = 4096
MAX_INTERPOLATION_GAP_S = 0.1
# Samples that travel together may arrive in any order, but not further apart than this.
SWAPPED_S = 0.5
LOOKED_AT = 1024

_source_s = attrgetter("source_s")


class PoseBuffer:
    """The last `capacity` samples, in order of arrival. The newest is never waited for."""

    __slots__ = ("_lock", "_samples", "name")

    def __init__(self, name: str, capacity: int = DEFAULT_CAPACITY) -> None:
        self.name = name
        self._samples: deque[PoseSample] = deque(maxlen=capacity)
        self._lock = Lock()

    def push(self, sample: PoseSample) -> None:
        with self._lock:
            self._samples.append(sample)

    def latest(self) -> PoseSample | None:
        """The newest sample, seen or not, or None before the first."""
        with self._lock:
            return self._samples[-1] if self._samples else None

    def since(self, received_s: float) -> tuple[PoseSample, ...]:
        """Samples that arrived after `received_s`, oldest first."""
        found: list[PoseSample] = []
        with self._lock:
            for sample in reversed(self._samples):
                if sample.received_s <= received_s:
                    break
                found.append(sample)
        return tuple(reversed(found))

    def at(self, source_s: float, max_gap_s: float = MAX_INTERPOLATION_GAP_S) -> FloatArray:
        """Pose (4, 4) at a time stamped by the source, between two valid neighbours.

        Rotation by slerp. Raises FrameError when no two valid samples no further than
        `max_gap_s` apart enclose the time; never extrapolates.
        """
        earlier, later = self._around(source_s)
        if earlier is None or later is None:
            raise FrameError(f"{self.name} has no pose around the image's time")
        if earlier.matrix is None or later.matrix is None:
            raise FrameError(f"{self.name} was not seen at the image's time")
        span_s = later.source_s - earlier.source_s
        if span_s > max_gap_s:
            raise FrameError(f"{self.name} has a gap of {span_s:.2f} s at the image's time")
        if span_s <= 0.0:
            return earlier.matrix
        return interpolate(earlier.matrix, later.matrix, (source_s - earlier.source_s) / span_s)

    def _around(self, source_s: float) -> tuple[PoseSample | None, PoseSample | None]:
        tail: list[PoseSample] = []
        with self._lock:
            for sample in reversed(self._samples):
                tail.append(sample)
                if sample.source_s < source_s - SWAPPED_S or len(tail) == LOOKED_AT:
                    break
        # Network and driver may swap neighbours.
        tail.sort(key=_source_s)
        index = bisect.bisect_right(tail, source_s, key=_source_s)
        earlier = tail[index - 1] if index > 0 else None
        if earlier is not None and earlier.source_s == source_s:
            return earlier, earlier
        return earlier, tail[index] if index < len(tail) else None


def scatter_mm(positions_mm: FloatArray) -> float:
    """Noise of successive positions (n, 3), rms over three axes, mm; a steady motion cancels.

    0 for fewer than three.
    """
    if len(positions_mm) < 3:
        return 0.0
    # The variance of second differences is 6 times the noise's.
    second = positions_mm[2:] - 2.0 * positions_mm[1:-1] + positions_mm[:-2]
    return float(np.sqrt(np.mean(np.sum(second**2, axis=1)) / 6.0))
