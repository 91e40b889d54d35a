"""Samples of a device whose clock is not ours, on our clock."""

from __future__ import annotations

from dataclasses import replace
from threading import Lock
from typing import TypeVar

from devices.contract import ImageSample, PoseSample
from ir_nav.tracking.clock import ClockTracker

# Closer than this, clocks are taken to be set by the same server: what is seen of the offset is
# then mostly the way the samples took, which differs between devices.
SAME_CLOCK_S = 0.25
ESTIMATE_EVERY_S = 5.0
# The first sample may have been late: it is not believed for long.
SOONEST_S = 0.05

S = TypeVar("S", PoseSample, ImageSample)


class DeviceClock:
    """One device's clock against ours. Any thread.

    Devices whose clocks differ would never find each other's samples: image and pose are matched
    by the times they carry, and the age of a pose is counted from it.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._tracker = ClockTracker()
        self._shift_s = 0.0
        self._next_s = float("-inf")
        self._first_s = float("inf")

    @property
    def shift_s(self) -> float:
        """What is added to the device's times; 0 while its clock is ours."""
        return self._shift_s

    def ours(self, sample: S) -> S:
        """The sample with its source time on our clock, s; the same object where it is ours."""
        with self._lock:
            jumps = self._tracker.jumps
            self._tracker.push(sample.source_s, sample.received_s)
            if sample.received_s >= self._next_s or self._tracker.jumps != jumps:
                self._first_s = min(self._first_s, sample.received_s)
                known_s = sample.received_s - self._first_s
                self._next_s = sample.received_s + min(max(known_s, SOONEST_S), ESTIMATE_EVERY_S)
                estimate = self._tracker.estimate()
                offset_s = 0.0 if estimate is None else estimate.offset_at(sample.source_s)
                self._shift_s = offset_s if abs(offset_s) > SAME_CLOCK_S else 0.0
            shift_s = self._shift_s
        return replace(sample, source_s=sample.source_s + shift_s) if shift_s else sample
