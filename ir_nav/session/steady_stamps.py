"""Samples whose source stamps them unsteadily, at the times at which they were taken."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from threading import Lock
from typing import TypeVar

from devices.contract import ImageSample, PoseSample
from ir_nav.tracking.stamp_filter import StampFilter, StampReport

# What a source that counts its images says besides, as PLUS names it.
NUMBER_KEY = "FrameNumber"
REMEMBERED = 512

S = TypeVar("S", PoseSample, ImageSample)


class SteadyStamps:
    """One filter for each of the streams that may be smoothed. Any thread.

    What was stamped with the same instant keeps the same instant, whichever stream it came in:
    tools are compared where they were measured at once, images matched with poses by time.
    """

    def __init__(self, streams: Iterable[str]) -> None:
        self._filters = {stream: StampFilter() for stream in streams}
        self._instants: dict[float, float] = {}
        self._lock = Lock()

    def steadied(self, sample: S) -> S:
        """The sample with the time to use; the same object where its stamp is good."""
        one = self._filters.get(sample.name)
        if one is None:
            return sample
        with self._lock:
            used_s = one.push(sample.source_s, _number(sample))
            used_s = self._instants.setdefault(sample.source_s, used_s)
            if len(self._instants) > REMEMBERED:
                del self._instants[next(iter(self._instants))]
        return sample if used_s == sample.source_s else replace(sample, source_s=used_s)

    def report(self, stream: str) -> StampReport | None:
        """Jitter of a stream's stamps; None until it is known, and of one that is not watched."""
        one = self._filters.get(stream)
        return None if one is None else one.report


def _number(sample: PoseSample | ImageSample) -> int | None:
    text = sample.metadata.get(NUMBER_KEY, "") if isinstance(sample, ImageSample) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
