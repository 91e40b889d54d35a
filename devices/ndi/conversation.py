"""One question, one answer: commands to the tracker and what it says to them."""

from __future__ import annotations

import threading
import time

from devices.contract import ConnectionLostError
from devices.ndi.faults import check_refusal, warning_words
from devices.ndi.framing import (
    BINARY_HEAD_SIZE,
    CHECKSUM_SIZE,
    MAX_BODY_SIZE,
    ReplyError,
    body_size,
    open_binary,
    open_text,
    seal_text,
    starts_binary,
)
from devices.ndi.replies import TrackingReply, parse_bx, parse_tx
from devices.ndi.transport import Line, await_quiet

# Transformations and status; also those out of volume. NDI's guide, TX, reply options.
_REPLY_OPTIONS = 0x0001 | 0x0800
_MAX_TEXT = 2 * MAX_BODY_SIZE


class StoppedError(Exception):
    """Waiting ended because this side asked for it."""


class Conversation:
    """Asks over a line until `stopping` is set. Used by one thread at a time.

    warnings: what the tracker answered with WARNING, in words.
    """

    def __init__(self, line: Line, stopping: threading.Event) -> None:
        self.warnings: list[str] = []
        self._line = line
        self._stopping = stopping

    def ask(self, command: str, timeout_s: float) -> bytes:
        """The content of the answer to a command such as "INIT:".

        Raises TrackerRefusedError where it is an ERROR, ReplyError where it is damaged or does
        not come in time, ConnectionLostError, StoppedError.
        """
        self._line.discard()
        self._line.write(seal_text(command.encode("ascii")))
        content = open_text(self._read(timeout_s))
        self._check(command, content)
        return content

    def track(self, binary: bool, timeout_s: float) -> TrackingReply:
        """The tools as the tracker sees them now. Raises as `ask` does."""
        command = f"{'BX' if binary else 'TX'}:{_REPLY_OPTIONS:04X}"
        self._line.write(seal_text(command.encode("ascii")))
        reply = self._read(timeout_s)
        if starts_binary(reply):
            if not binary:
                raise ReplyError("not a text reply")
            return parse_bx(open_binary(reply))
        content = open_text(reply)
        self._check(command, content)
        if binary:
            raise ReplyError("not a binary reply", repr(content[:40]))
        return parse_tx(content)

    def resynchronise(self, limit_s: float) -> None:
        """Let the rest of a damaged or late reply pass. Raises ConnectionLostError."""
        await_quiet(self._line, limit_s)

    def await_reset(self, timeout_s: float) -> bool:
        """Whether the tracker says within `timeout_s` that it was reset."""
        deadline = time.monotonic() + timeout_s
        heard = b""
        while time.monotonic() < deadline and not self._stopping.is_set():
            heard += self._line.read()
            # A break may leave a byte of noise before the word.
            if b"RESETBE6F\r" in heard:
                return True
        return False

    def _check(self, command: str, content: bytes) -> None:
        name = command.partition(":")[0]
        check_refusal(name, content)
        if words := warning_words(name, content):
            self.warnings.append(words)
        if content == b"RESET":
            raise ConnectionLostError("the tracker was reset")

    def _read(self, timeout_s: float) -> bytes:
        """One whole reply, text or binary."""
        deadline = time.monotonic() + timeout_s
        reply = b""
        while not _is_whole(reply):
            if self._stopping.is_set():
                raise StoppedError
            if time.monotonic() > deadline:
                raise ReplyError("reply cut short" if reply else "no reply")
            if len(reply) > _MAX_TEXT:
                raise ReplyError("reply too long")
            reply += self._line.read()
        return reply


def _is_whole(reply: bytes) -> bool:
    if not starts_binary(reply):
        return reply.endswith(b"\r")
    if len(reply) < BINARY_HEAD_SIZE:
        return False
    size = body_size(reply[:BINARY_HEAD_SIZE])
    return len(reply) >= BINARY_HEAD_SIZE + size + CHECKSUM_SIZE
