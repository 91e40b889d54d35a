"""Whole messages out of a TCP stream, however it is cut, and bytes into it in bounded time."""

from __future__ import annotations

import socket
import threading
import time
from types import MappingProxyType
from typing import NoReturn

import numpy as np

from devices.contract import ConnectionLostError, StreamCounts
from devices.openigtlink.envelope import Envelope, unseal
from devices.openigtlink.header import (
    HEADER_SIZE,
    GarbageError,
    Header,
    MessageError,
    body_cap,
    parse_header,
)

TICK_S = 0.1  # how often a blocked thread looks whether it should stop
_BUFFER_SIZE = 64 * 1024
# A body beyond its cap but below this is believed to end, and skipped; 2 s at 1 Gbit/s.
_SKIP_LIMIT = 256 * 1024 * 1024
_MAX_REASONS = 64


class StreamStoppedError(Exception):
    """Reading or sending ended because this side asked for it."""


class Tally:
    """Counts of one connection. Written by its reader thread, read by any."""

    def __init__(self) -> None:
        self._received = 0
        self._refused: dict[str, int] = {}
        self._last_received_s: float | None = None

    def receive(self, received_s: float) -> None:
        self._received += 1
        self._last_received_s = received_s

    def refuse(self, error: MessageError) -> None:
        # A hostile peer could invent type names for ever.
        known = error.reason in self._refused or len(self._refused) < _MAX_REASONS
        reason = error.reason if known else "other"
        self._refused[reason] = self._refused.get(reason, 0) + 1

    def counts(self) -> StreamCounts:
        refused = MappingProxyType(self._refused.copy())
        return StreamCounts(self._received, refused, self._last_received_s)


def prepare(sock: socket.socket) -> None:
    """Send small messages at once, and let no call block longer than a tick."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.settimeout(TICK_S)


def hang_up(sock: socket.socket) -> None:
    """Wake whatever thread is blocked on the socket; the thread that reads closes it."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the peer was quicker


def send_all(
    sock: socket.socket,
    data: bytes,
    stopping: threading.Event,
    timeout_s: float | None = None,
) -> None:
    """Send everything. Raises StreamStoppedError, or ConnectionLostError, after `timeout_s` too."""
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    rest = memoryview(data)
    while rest:
        if stopping.is_set():
            raise StreamStoppedError
        try:
            rest = rest[sock.send(rest) :]
        except TimeoutError:
            if deadline is not None and time.monotonic() > deadline:
                raise ConnectionLostError(f"the peer took no data for {timeout_s:.1f} s") from None
        except OSError as error:
            raise ConnectionLostError(f"sending failed ({error.strerror or error})") from error


class StreamReader:
    """Reads messages from a socket that went through `prepare`.

    silence_s: how long the peer may send nothing before it counts as dead; None for ever.
    """

    def __init__(
        self, sock: socket.socket, stopping: threading.Event, silence_s: float | None = None
    ) -> None:
        self._sock = sock
        self._stopping = stopping
        self._silence_s = silence_s
        self._buffer = memoryview(bytearray(_BUFFER_SIZE))
        self._start = self._end = 0
        self._inside_message = False
        self._heard_s = time.monotonic()
        self._received_s = 0.0

    def read(self) -> Envelope:
        """The next message, its checksum verified.

        Raises MessageError for one dropped message, after which reading goes on;
        ConnectionLostError when the stream ended or is out of step; StreamStoppedError when this
        side stopped it.
        """
        self._inside_message = False
        try:
            header = parse_header(self._take(HEADER_SIZE))
        except GarbageError as error:
            raise ConnectionLostError(f"the peer does not send OpenIGTLink ({error})") from error
        self._inside_message = True
        if header.body_size > body_cap(header.type):
            self._skip_oversize(header)
        return unseal(header, self._take(header.body_size), self._received_s)

    def _skip_oversize(self, header: Header) -> NoReturn:
        oversize = f"{header.type} of {header.body_size} bytes"
        if header.body_size > _SKIP_LIMIT:
            raise ConnectionLostError(f"the peer announced an impossible message ({oversize})")
        self._skip(header.body_size)
        raise MessageError("message too large", oversize)

    def _take(self, size: int) -> bytes | memoryview:
        """The next `size` bytes, in memory of their own."""
        if self._end - self._start < size:
            if size > _BUFFER_SIZE:
                return self._take_large(size, self._end - self._start)
            self._fill(size)
        start = self._start
        self._start = start + size
        return self._buffer[start : start + size].tobytes()

    def _fill(self, size: int) -> None:
        held = self._end - self._start
        if held == 0 or self._start + size > _BUFFER_SIZE:
            self._buffer[:held] = bytes(self._buffer[self._start : self._end])
            self._start, self._end = 0, held
        while self._end - self._start < size:
            self._end += self._receive(self._buffer[self._end :])

    def _take_large(self, size: int, held: int) -> memoryview:
        # numpy leaves the memory untouched, so an announced image costs nothing until it comes.
        body = np.empty(size, dtype=np.uint8).data
        body[:held] = self._buffer[self._start : self._end]
        self._start = self._end = 0
        while held < size:
            held += self._receive(body[held:])
        return body

    def _skip(self, size: int) -> None:
        while size > 0:
            size -= len(self._take(min(size, _BUFFER_SIZE)))

    def _receive(self, into: memoryview) -> int:
        if self._end > self._start:
            self._inside_message = True
        while not self._stopping.is_set():
            try:
                count = self._sock.recv_into(into)
            except TimeoutError:
                self._check_silence()
                continue
            except OSError as error:
                if self._stopping.is_set():
                    break
                reason = error.strerror or str(error)
                raise ConnectionLostError(f"the connection broke ({reason})") from error
            if count:
                self._received_s = time.time()
                self._heard_s = time.monotonic()
                return count
            if not self._stopping.is_set():
                where = " in the middle of a message" if self._inside_message else ""
                raise ConnectionLostError(f"the peer closed the connection{where}")
        raise StreamStoppedError

    def _check_silence(self) -> None:
        silent_s = time.monotonic() - self._heard_s
        if self._silence_s is not None and silent_s > self._silence_s:
            raise ConnectionLostError(f"the peer has sent nothing for {silent_s:.1f} s")
