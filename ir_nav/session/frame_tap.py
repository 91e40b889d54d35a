"""Every ultrasound frame of a stretch of time, and the probe's pose at the instant of each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.contract import ImageSample
from ir_nav.geometry import FloatArray, FrameError
from ir_nav.session.streams import ImageBuffer

# Poses travel on a connection of their own: one that is not here by then will not come.
AWAITED_S = 0.6
# About half a gigabyte of the usual frames.
MAX_WAITING = 1000

PoseAt = Callable[[float], FloatArray]


class FrameTap:
    """Takes every frame on the reader thread from its making to `close`: none is passed over
    because the screen is slow. overrun: frames dropped because too many waited."""

    def __init__(self, images: ImageBuffer) -> None:
        self._images = images
        self._arrived: deque[ImageSample] = deque()
        self.overrun = 0
        # One bound method for good: by its identity it is told whose tap is open.
        self._sink = self._take
        images.follower = self._sink

    def close(self) -> None:
        """Take no more; what has arrived stays."""
        if self._images.follower is self._sink:
            self._images.follower = None

    def arrived(self) -> tuple[ImageSample, ...]:
        """Frames that came since the last call, oldest first."""
        found = []
        while self._arrived:
            found.append(self._arrived.popleft())
        return tuple(found)

    def _take(self, frame: ImageSample) -> None:
        """On the reader thread; a deque needs no lock to append."""
        if len(self._arrived) < MAX_WAITING:
            self._arrived.append(frame)
        else:
            self.overrun += 1


@dataclass(frozen=True, slots=True, eq=False)
class PairedFrame:
    """A frame, and the probe's pose (4, 4), mm, when it was taken; None with a reason."""

    frame: ImageSample
    pose: FloatArray | None
    reason: str | None


class PosePairing:
    """Frames on the way to their poses.

    pose_at(source_s): pose (4, 4) at a time of the image; FrameError where there is none.
    """

    def __init__(self, pose_at: PoseAt) -> None:
        self._pose_at = pose_at
        self._pending: deque[ImageSample] = deque()

    @property
    def pending(self) -> int:
        """Frames that still wait for their pose."""
        return len(self._pending)

    def paired(self, frames: tuple[ImageSample, ...], now_s: float) -> tuple[PairedFrame, ...]:
        """Take frames in; out come those whose pose is known, or will not come any more."""
        self._pending.extend(frames)
        found: list[PairedFrame] = []
        while self._pending:
            frame = self._pending[0]
            try:
                one = PairedFrame(frame, self._pose_at(frame.source_s), None)
            except FrameError as error:
                if now_s - frame.received_s < AWAITED_S:
                    break
                one = PairedFrame(frame, None, str(error))
            found.append(one)
            self._pending.popleft()
        return tuple(found)


def grey(frame: ImageSample) -> NDArray[Any]:
    """(rows, columns): scanners that send colour draw the image itself in grey."""
    pixels = frame.pixels
    return pixels if pixels.ndim == 2 else np.asarray(pixels.mean(axis=2))
