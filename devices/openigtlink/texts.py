"""STRING, STATUS, CAPABILITY and the queries (GET_, STT_, STP_, RTS_).

Layouts: protocol v3 pages string, status, capability and query.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from devices.contract import TextSample
from devices.openigtlink.envelope import Envelope, decode_text, encode_text, seal
from devices.openigtlink.header import MessageError, fixed_bytes, fixed_text

QUERY_PREFIXES = ("GET_", "STT_", "STP_", "RTS_")

_TEXT = struct.Struct(">HH")
_STATUS = struct.Struct(">Hq20s")
_START = struct.Struct(">I32s")  # resolution in ms, name of the coordinate system
_TYPE_SIZE = 12


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """What a sender says of itself. code: 1 is OK, 2 to 19 are the protocol's errors."""

    name: str
    code: int
    subcode: int
    error_name: str
    text: str
    source_s: float
    received_s: float


@dataclass(frozen=True, slots=True)
class Capability:
    """The message types a peer understands."""

    name: str
    types: tuple[str, ...]
    source_s: float
    received_s: float


@dataclass(frozen=True, slots=True)
class Query:
    """A request (GET_, STT_, STP_) or the answer to one (RTS_). content: its bytes as they came."""

    type: str
    name: str
    content: bytes
    source_s: float
    received_s: float


def pack_string(
    name: str, text: str, timestamp_s: float, version: int = 1, *, encoding: int | None = None
) -> bytes:
    """STRING, up to 65,535 bytes. Raises MessageError.

    encoding: IANA number of the character set (3 ASCII, 4 Latin-1, 106 UTF-8); None takes ASCII
    where it will do, else UTF-8.
    """
    raw, encoding = encode_text(text, encoding)
    if len(raw) > 0xFFFF:
        raise MessageError("text too long", f"{len(raw)} bytes; STRING carries 65,535")
    content = _TEXT.pack(encoding, len(raw)) + raw
    return seal("STRING", name, content, timestamp_s=timestamp_s, version=version)


def pack_status(
    name: str,
    code: int,
    text: str,
    timestamp_s: float,
    *,
    subcode: int = 0,
    error_name: str = "",
    version: int = 1,
) -> bytes:
    """STATUS. Raises MessageError."""
    raw, _ = encode_text(text)
    if not (0 <= code <= 0xFFFF and -(2**63) <= subcode < 2**63):
        raise MessageError("bad status code", f"{code}, {subcode}")
    content = _STATUS.pack(code, subcode, fixed_bytes(error_name, 20)) + raw + b"\0"
    return seal("STATUS", name, content, timestamp_s=timestamp_s, version=version)


def pack_capability(name: str, types: Sequence[str], timestamp_s: float, version: int = 1) -> bytes:
    """CAPABILITY: message types of up to 12 characters. Raises MessageError."""
    content = b"".join(fixed_bytes(kind, _TYPE_SIZE) for kind in types)
    return seal("CAPABILITY", name, content, timestamp_s=timestamp_s, version=version)


def pack_query(
    message_type: str, name: str, timestamp_s: float, *, content: bytes = b"", version: int = 1
) -> bytes:
    """A GET_, STT_, STP_ or RTS_ message. Raises MessageError."""
    if not message_type.startswith(QUERY_PREFIXES):
        raise MessageError("bad message type", f"{message_type!r} is no query")
    return seal(message_type, name, content, timestamp_s=timestamp_s, version=version)


def pack_start_tracking(
    kind: str, name: str, timestamp_s: float, *, interval_ms: int = 10, version: int = 1
) -> bytes:
    """STT_TDATA or STT_QTDATA: ask for poses each `interval_ms`. Raises MessageError."""
    content = _START.pack(interval_ms, b"")
    return pack_query(f"STT_{kind}", name, timestamp_s, content=content, version=version)


def decode_string(envelope: Envelope) -> list[TextSample]:
    """Raises MessageError on wrong lengths and characters outside the set it names."""
    if len(envelope.content) < _TEXT.size:
        raise MessageError("wrong length", f"STRING of {len(envelope.content)} bytes")
    encoding, size = _TEXT.unpack_from(envelope.content)
    if len(envelope.content) != _TEXT.size + size:
        raise MessageError("wrong length", f"text of {size} in {len(envelope.content)} bytes")
    text = decode_text(envelope.content[_TEXT.size :], encoding)
    header = envelope.header
    return [TextSample(header.device_name, text, header.timestamp_s, envelope.received_s)]


def decode_status(envelope: Envelope) -> list[DeviceStatus]:
    """Raises MessageError where it is too short."""
    if len(envelope.content) < _STATUS.size:
        raise MessageError("wrong length", f"STATUS of {len(envelope.content)} bytes")
    code, subcode, error_name = _STATUS.unpack_from(envelope.content)
    header = envelope.header
    status = DeviceStatus(
        name=header.device_name,
        code=code,
        subcode=subcode,
        error_name=fixed_text(error_name),
        text=fixed_text(bytes(envelope.content[_STATUS.size :])),
        source_s=header.timestamp_s,
        received_s=envelope.received_s,
    )
    return [status]


def decode_capability(envelope: Envelope) -> list[Capability]:
    """Raises MessageError where the list is no whole number of names."""
    content = bytes(envelope.content)
    if len(content) % _TYPE_SIZE:
        raise MessageError("wrong length", f"CAPABILITY of {len(content)} bytes")
    types = tuple(
        fixed_text(content[start : start + _TYPE_SIZE])
        for start in range(0, len(content), _TYPE_SIZE)
    )
    header = envelope.header
    return [Capability(header.device_name, types, header.timestamp_s, envelope.received_s)]


def decode_query(envelope: Envelope) -> list[Query]:
    """Any query; its content is left to whoever answers it."""
    header = envelope.header
    content = bytes(envelope.content)
    return [
        Query(header.type, header.device_name, content, header.timestamp_s, envelope.received_s)
    ]
