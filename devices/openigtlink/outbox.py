"""Messages waiting for one client. Bounded; the newest wins and every drop is counted."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

# Bytes are handed to the network in pieces of this size; a larger message is left to the writer
# thread, so that whoever puts it does not pay for copying it into the kernel.
_BATCH_BYTES = 64 * 1024


class Outbox:
    """Thread-safe queue of packed messages, by stream (a device name).

    Beyond `limit_bytes` the oldest message of the same stream goes first, so a slow client loses
    old poses before it loses another tool. A message put with `coalesce` replaces a waiting one.
    Nothing is lost where `await_room` is asked before each message; that is for recordings.

    send_now: sends what the network takes at once and returns how many bytes that was. Used when
    nothing waits: waking the writer thread would double the latency of a pose.
    """

    def __init__(self, limit_bytes: int, send_now: Callable[[bytes], int]) -> None:
        self._limit_bytes = limit_bytes
        self._send_now = send_now
        self._rest = b""
        self._writer_busy = False
        lock = threading.RLock()
        self._changed, self._emptied = threading.Condition(lock), threading.Condition(lock)
        self._streams: dict[str, deque[tuple[int, bytes]]] = {}
        self._drops: dict[str, int] = {}
        self._bytes = 0
        self._next = 0
        self._closed = False
        self._quiet = False
        self._taken_s = 0.0

    def put(self, stream: str, message: bytes, *, coalesce: bool = False) -> None:
        """Queue a message; never blocks on the network."""
        with self._changed:
            self._quiet = False
            if self._sent_at_once(message):
                return
            if coalesce:
                while stream in self._streams:
                    self._drop_oldest(stream)
            while self._streams and self._bytes + len(message) > self._limit_bytes:
                self._drop_oldest(stream if stream in self._streams else self._oldest_stream())
            if not self._streams:
                self._taken_s = time.monotonic()
            self._streams.setdefault(stream, deque()).append((self._next, message))
            self._next += 1
            self._bytes += len(message)
            self._changed.notify()

    def await_room(self, timeout_s: float, patience_s: float) -> bool:
        """Whether less than half of the limit waits, after at most `timeout_s`: a message that is
        not put with `coalesce` then pushes no other out, unless it alone takes more than the
        other half. True too once closed, and while nothing has been taken for `patience_s`."""
        with self._changed:
            return self._emptied.wait_for(
                lambda: self._has_room() or self._idle_s() > patience_s, timeout_s
            )

    def take(self, timeout_s: float | None = None) -> bytes | None:
        """The oldest messages as one piece, b"" after a quiet `timeout_s`, None once closed."""
        with self._changed:
            self._writer_busy = False
            while not self._changed.wait_for(self._has_work, timeout_s) and not self._quiet:
                self._quiet = True  # something was sent at once meanwhile; wait once more
            if self._closed:
                return None
            self._writer_busy = True
            batch, size = [self._rest] if self._rest else [], len(self._rest)
            self._rest, self._taken_s = b"", time.monotonic()
            while self._streams and size < _BATCH_BYTES:
                message = self._pop(self._oldest_stream())
                batch.append(message)
                size += len(message)
            if self._has_room():
                self._emptied.notify_all()
            return b"".join(batch)

    def close(self) -> None:
        """Wake the taker for the last time."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._emptied.notify_all()

    def drops(self) -> Mapping[str, int]:
        """Messages dropped so far, by stream."""
        with self._changed:
            return dict(self._drops)

    def _has_work(self) -> bool:
        return self._closed or bool(self._rest) or bool(self._streams)

    def _has_room(self) -> bool:
        return self._closed or 2 * self._bytes < self._limit_bytes

    def _idle_s(self) -> float:
        """How long what waits has been waiting without any of it being taken."""
        return time.monotonic() - self._taken_s

    def _sent_at_once(self, message: bytes) -> bool:
        if self._writer_busy or self._has_work() or len(message) > _BATCH_BYTES:
            return False
        count = self._send_now(message)
        if 0 < count < len(message):
            self._rest = message[count:]
            self._changed.notify()
        return count > 0

    def _oldest_stream(self) -> str:
        return min(self._streams, key=lambda stream: self._streams[stream][0][0])

    def _pop(self, stream: str) -> bytes:
        queue = self._streams[stream]
        _, message = queue.popleft()
        if not queue:
            del self._streams[stream]
        self._bytes -= len(message)
        return message

    def _drop_oldest(self, stream: str) -> None:
        self._pop(stream)
        self._drops[stream] = self._drops.get(stream, 0) + 1
