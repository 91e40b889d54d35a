"""COMMAND: a named request with text, answered by RTS_COMMAND.

Layout: protocol v3 page command.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from devices.openigtlink.envelope import Envelope, decode_text, encode_text, seal
from devices.openigtlink.header import MessageError, fixed_bytes, fixed_text

_COMMAND = struct.Struct(">I128sHI")


@dataclass(frozen=True, slots=True)
class Command:
    """number: the asker's, repeated in the answer. text: often XML."""

    name: str
    number: int
    command: str
    text: str
    source_s: float
    received_s: float


def pack_command(
    name: str, number: int, command: str, text: str, timestamp_s: float, version: int = 1
) -> bytes:
    """COMMAND. Raises MessageError."""
    raw, encoding = encode_text(text)
    if not 0 <= number < 2**32:
        raise MessageError("bad command", f"number {number}")
    content = _COMMAND.pack(number, fixed_bytes(command, 128), encoding, len(raw)) + raw
    return seal("COMMAND", name, content, timestamp_s=timestamp_s, version=version)


def decode_command(envelope: Envelope) -> list[Command]:
    """Raises MessageError on wrong lengths and characters outside the set it names."""
    content, header = envelope.content, envelope.header
    if len(content) < _COMMAND.size:
        raise MessageError("wrong length", f"COMMAND of {len(content)} bytes")
    number, command, encoding, size = _COMMAND.unpack_from(content)
    if len(content) != _COMMAND.size + size:
        raise MessageError("wrong length", f"text of {size} in {len(content)} bytes")
    text = decode_text(content[_COMMAND.size :], encoding)
    return [
        Command(
            header.device_name,
            number,
            fixed_text(command),
            text,
            header.timestamp_s,
            envelope.received_s,
        )
    ]
