"""Frames on their way to whoever wants every one of them."""

from __future__ import annotations

from collections import deque
from threading import Lock

from devices.contract import ImageSample
from ir_nav.session.state import Source

# Of a live room the last seconds: nobody may be looking. A recording is kept until it is fetched.
KEPT_BYTES = {Source.LIVE: 64 << 20, Source.SIMULATED: 64 << 20, Source.REPLAY: 512 << 20}


class FrameQueue:
    """Frames from a reader thread to whoever collects them. Never waits; beyond `limit_bytes` of
    pixels the oldest goes. lost: how many went uncollected."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._frames: deque[ImageSample] = deque()
        self._bytes = 0
        self._lock = Lock()
        self.lost = 0

    def put(self, frame: ImageSample) -> None:
        with self._lock:
            self._frames.append(frame)
            self._bytes += frame.pixels.nbytes
            while self._bytes > self._limit_bytes and len(self._frames) > 1:
                self._bytes -= self._frames.popleft().pixels.nbytes
                self.lost += 1

    def take(self, count: int) -> tuple[ImageSample, ...]:
        """The oldest, at most `count`."""
        with self._lock:
            found = tuple(self._frames.popleft() for _ in range(min(count, len(self._frames))))
            self._bytes -= sum(frame.pixels.nbytes for frame in found)
        return found
