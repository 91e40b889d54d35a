"""Commands and replies of NDI's combined API as bytes, with their checksums.

Source: Polaris Application Program Interface Guide (NDI IL-1070101), "Communicating with the
system" and BX. A command is text with a colon, its CRC-16 as four hexadecimal digits, a carriage
return. A text reply ends the same way. A binary reply is 0xA5C4, length of the body, CRC-16 of
these four bytes, body, CRC-16 of the body; all u16, little endian. The CRC has the polynomial
x^16 + x^15 + x^2 + 1, reflected, and starts at 0.
"""

from __future__ import annotations

import struct

from fastcrc import crc16

from devices.contract import DeviceError

BINARY_HEAD_SIZE = 6
CHECKSUM_SIZE = 2
MAX_BODY_SIZE = 8 * 1024  # some 200 tools; a longer announcement is a fault of the line

_START = 0xA5C4
_HEAD = struct.Struct("<HHH")
_HEAD_START = struct.Struct("<HH")
_CHECKSUM = struct.Struct("<H")
_TEXT_TAIL = 5  # four digits and the carriage return


class ReplyError(DeviceError):
    """A reply cannot be understood; the next one may be.

    reason: a few words that stay the same for every such reply, to count by.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


def checksum(data: bytes) -> int:
    """CRC-16 as the combined API has it."""
    return int(crc16.arc(data))


def seal_text(content: bytes) -> bytes:
    """A command or a text reply, ready for the wire."""
    return b"%s%04X\r" % (content, checksum(content))


def open_text(line: bytes) -> bytes:
    """What a text reply says; `line` ends with its carriage return. Raises ReplyError."""
    if len(line) < _TEXT_TAIL or not line.endswith(b"\r"):
        raise ReplyError("reply cut short", repr(line[-40:]))
    content, digits = line[:-_TEXT_TAIL], line[-_TEXT_TAIL:-1]
    if digits.upper() != b"%04X" % checksum(content):
        raise ReplyError("bad checksum", repr(line[:40]))
    return content


def starts_binary(head: bytes) -> bool:
    """Whether these first bytes open a binary reply."""
    return head[:2] == _CHECKSUM.pack(_START)


def seal_binary(body: bytes) -> bytes:
    """A binary reply, ready for the wire. Raises ReplyError where it is too long."""
    if len(body) > MAX_BODY_SIZE:
        raise ReplyError("reply too long", f"{len(body)} bytes")
    start = _HEAD_START.pack(_START, len(body))
    sums = (_CHECKSUM.pack(checksum(part)) for part in (start, body))
    return b"".join((start, next(sums), body, next(sums)))


def body_size(head: bytes) -> int:
    """Bytes that the body will have, from the six before it. Raises ReplyError."""
    if len(head) != BINARY_HEAD_SIZE:
        raise ReplyError("reply cut short", f"head of {len(head)} bytes")
    start, size, claimed = _HEAD.unpack(head)
    if start != _START:
        raise ReplyError("not a binary reply", repr(head))
    if claimed != checksum(head[: _HEAD_START.size]):
        raise ReplyError("bad checksum", "head of a binary reply")
    if size > MAX_BODY_SIZE:
        raise ReplyError("reply too long", f"{size} bytes announced")
    return int(size)


def open_binary(reply: bytes) -> bytes:
    """The body of a whole binary reply. Raises ReplyError."""
    size = body_size(reply[:BINARY_HEAD_SIZE])
    body, tail = reply[BINARY_HEAD_SIZE : BINARY_HEAD_SIZE + size], reply[BINARY_HEAD_SIZE + size :]
    if len(body) != size or len(tail) != CHECKSUM_SIZE:
        raise ReplyError("wrong length", f"{len(reply)} bytes")
    if _CHECKSUM.unpack(tail)[0] != checksum(body):
        raise ReplyError("bad checksum", "body of a binary reply")
    return body
