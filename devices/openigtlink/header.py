"""The 58 bytes before every OpenIGTLink message.

Layout (protocol v1 to v3, header page), big endian: version u16, type char[12], device name
char[20], timestamp u64 as 32.32 fixed-point Unix seconds, body size u64, CRC-64 of the body
(ECMA-182, not reflected, initial value 0).
"""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from typing import NamedTuple

from fastcrc import crc64

from devices.contract import DeviceError

HEADER_SIZE = 58
NAME_SIZE = 20
NEWEST_VERSION = 3

_IDENTITY = struct.Struct(">H12s20s")  # version, type, name: the same in every message of a tool
_HEADER = struct.Struct(">34sIIQQ")  # identity, seconds, fraction, body size, CRC
_TYPE = re.compile(rb"[A-Za-z][A-Za-z0-9_]{0,11}")
_KIB, _MIB = 1024, 1024 * 1024

# The largest body believed for each type. A length beyond it is a fault of the sender, and
# allocating it would take the console down.
_SMALL = ("TRANSFORM", "POSITION", "STATUS", "STRING", "CAPABILITY")
_LARGE = ("IMAGE", "BIND", "NDARRAY", "POLYDATA", "VIDEO")
BODY_CAPS = (
    dict.fromkeys(_SMALL, 128 * _KIB) | {"QTDATA": 256 * _KIB} | dict.fromkeys(_LARGE, 64 * _MIB)
)
OTHER_BODY_CAP = 4 * _MIB


class MessageError(DeviceError):
    """One message cannot be packed or understood; the stream itself is still in step.

    reason: a few words that stay the same for every such message, to count by.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class GarbageError(MessageError):
    """These bytes are no OpenIGTLink header: the stream is out of step."""


class Header(NamedTuple):
    """What is known of a message before its body.

    version: 1, or 2 and 3 with extended header and metadata. timestamp_s: Unix time the sender
    stamped, 0 where it did not. body_size: bytes.
    """

    version: int
    type: str
    device_name: str
    timestamp_s: float
    body_size: int
    crc: int


def checksum(body: bytes | bytearray | memoryview) -> int:
    """CRC-64 of a body as it stands in the header."""
    return int(crc64.ecma_182(body))


def body_cap(message_type: str) -> int:
    """The largest body, in bytes, accepted for this type."""
    return BODY_CAPS.get(message_type, OTHER_BODY_CAP)


def parse_header(data: bytes | bytearray | memoryview) -> Header:
    """Read 58 bytes. Raises GarbageError where they are no header."""
    if len(data) != HEADER_SIZE:
        raise GarbageError("not a message header", f"{len(data)} bytes where a header has 58")
    identity, seconds, fraction, size, crc = _HEADER.unpack(data)
    return Header(*_parse_identity(identity), seconds + fraction / 2**32, size, crc)


def pack_header(header: Header) -> bytes:
    """58 bytes. Raises MessageError on a name or type that does not fit, or a bad time."""
    version, message_type, name, timestamp_s, size, crc = header
    if not 0.0 <= timestamp_s < 2**32:
        raise MessageError("bad timestamp", f"{timestamp_s} is no Unix time of this protocol")
    seconds = int(timestamp_s)
    fraction = min(int((timestamp_s - seconds) * 2**32), 2**32 - 1)
    identity = _pack_identity(version, message_type, name)
    return _HEADER.pack(identity, seconds, fraction, size, crc)


def fixed_text(raw: bytes) -> str:
    """Text of a NUL-padded field: UTF-8, or Latin-1 as older senders write it."""
    text = raw.split(b"\0", 1)[0]
    try:
        return text.decode("utf-8").rstrip(" \t\r\n")
    except UnicodeDecodeError:
        return text.decode("latin-1").rstrip(" \t\r\n")


@lru_cache(maxsize=1024)
def fixed_bytes(text: str, size: int) -> bytes:
    """A NUL-padded field. Raises MessageError where it does not fit: cut names can collide."""
    try:
        raw = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise MessageError("bad name", repr(text)) from error
    if len(raw) > size:
        raise MessageError(
            "name too long", f"{text!r} takes {len(raw)} bytes; OpenIGTLink carries {size}"
        )
    if b"\0" in raw:
        raise MessageError("bad name", f"{text!r} holds a NUL")
    return raw.ljust(size, b"\0")


@lru_cache(maxsize=1024)
def _parse_identity(raw: bytes) -> tuple[int, str, str]:
    version, raw_type, raw_name = _IDENTITY.unpack(raw)
    if not 1 <= version <= NEWEST_VERSION:
        raise GarbageError("not a message header", f"version {version}")
    kind = raw_type.split(b"\0", 1)[0].rstrip(b" ")
    if _TYPE.fullmatch(kind) is None:
        raise GarbageError("not a message header", f"message type {raw_type!r}")
    return version, kind.decode("ascii"), fixed_text(raw_name)


@lru_cache(maxsize=1024)
def _pack_identity(version: int, message_type: str, device_name: str) -> bytes:
    kind = message_type.encode("utf-8", errors="replace")
    if _TYPE.fullmatch(kind) is None:
        raise MessageError("bad message type", f"{message_type!r} is not 1 to 12 letters, digits")
    return _IDENTITY.pack(version, kind, fixed_bytes(device_name, NAME_SIZE))
