"""Moving the probe up and down over a flat bottom, seen by image and tracker alike."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from devices.contract import ImageSample
from ir_nav.geometry import FloatArray
from ir_nav.session.frame_tap import MAX_WAITING, FrameTap, grey
from ir_nav.tracking import PoseBuffer
from ir_nav.tracking.calibration.delay import DelayCalibration, calibrate_delay
from ir_nav.tracking.calibration.water_tank import find_bottom_line

BATCH_FRAMES = 16


@dataclass(frozen=True, slots=True, eq=False)
class DelaySignals:
    """heights_px (n,): of the bottom in images taken at image_times_s (n,), NaN without a line.
    along_mm (m,): the probe along the axis it moved on, at tracker_times_s (m,); positions_mm
    (m, 3) in `tracker`. Times are the sources' own, rising, on our clock."""

    image_times_s: FloatArray
    heights_px: FloatArray
    tracker_times_s: FloatArray
    positions_mm: FloatArray

    @property
    def along_mm(self) -> FloatArray:
        if len(self.positions_mm) < 2:
            return np.zeros(len(self.positions_mm))
        centred = self.positions_mm - self.positions_mm.mean(axis=0)
        _, axes = np.linalg.eigh(centred.T @ centred)
        return np.asarray(centred @ axes[:, -1])


@dataclass(frozen=True, slots=True, eq=False)
class DelayOutcome:
    """What was seen, and what came of it."""

    signals: DelaySignals
    result: DelayCalibration


Heights = tuple[tuple[float, float], ...]


def find_heights(frames: tuple[ImageSample, ...]) -> Heights:
    """(source_s, height in px or NaN) of each frame; a few ms for each: for a worker's thread."""
    found = []
    for frame in frames:
        line = find_bottom_line(grey(frame))
        found.append((frame.source_s, float("nan") if line is None else line.height_px))
    return tuple(found)


def solve_delay(signals: DelaySignals) -> DelayOutcome:
    """The delay of the tracker; CalibrationError when there are no samples of one of the two."""
    return DelayOutcome(
        signals,
        calibrate_delay(
            signals.image_times_s,
            signals.heights_px,
            signals.tracker_times_s,
            signals.positions_mm,
        ),
    )


class DelayRun:
    """Frames and poses since the user started. Use it from one thread; the search for the bottom
    (`find_heights`) runs elsewhere on what `next_batch` gives and comes back to `add`."""

    def __init__(self, tap: FrameTap, poses: PoseBuffer, started_s: float) -> None:
        self.started_s = started_s
        self.finished = False
        self._tap = tap
        self._buffer = poses
        self._seen_s = started_s
        self._poses: list[tuple[float, FloatArray]] = []
        self._waiting: deque[ImageSample] = deque()
        self._searching = 0
        self._heights: list[tuple[float, float]] = []

    @property
    def ready(self) -> bool:
        """Finished, and every frame searched."""
        return self.finished and not self._waiting and not self._searching

    @property
    def overrun(self) -> int:
        """Frames that were dropped because the computer could not keep up."""
        return self._tap.overrun

    @property
    def counts(self) -> tuple[int, int]:
        """Frames with a line, and frames without."""
        seen = sum(np.isfinite(height) for _, height in self._heights)
        return int(seen), len(self._heights) - int(seen)

    def gather(self) -> None:
        """Take what arrived; at each tick."""
        for frame in self._tap.arrived():
            if len(self._waiting) < MAX_WAITING:
                self._waiting.append(frame)
            else:
                self._tap.overrun += 1
        if self.finished:
            return
        for sample in self._buffer.since(self._seen_s):
            self._seen_s = sample.received_s
            if sample.matrix is not None:
                self._poses.append((sample.source_s, sample.matrix[:3, 3]))

    def finish(self) -> None:
        """Take no more; the frames that have arrived are still searched."""
        self.gather()
        self.finished = True
        self._tap.close()

    def next_batch(self) -> tuple[ImageSample, ...]:
        """Frames to search now; empty while others are being searched, or none waits."""
        if self._searching:
            return ()
        self._searching = min(BATCH_FRAMES, len(self._waiting))
        return tuple(self._waiting.popleft() for _ in range(self._searching))

    def add(self, heights: Heights) -> None:
        """Take a batch back from the search."""
        self._searching = 0
        self._heights.extend(heights)

    def signals(self) -> DelaySignals:
        """What was seen so far, in order of the sources' times."""
        images = np.array(self._heights).reshape(-1, 2)
        _, first = np.unique(images[:, 0], return_index=True)
        images = images[first]
        times_s = np.array([time_s for time_s, _ in self._poses])
        positions = np.array([place for _, place in self._poses]).reshape(-1, 3)
        times_s, first = np.unique(times_s, return_index=True)
        return DelaySignals(images[:, 0], images[:, 1], times_s, positions[first])
