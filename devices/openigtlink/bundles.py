"""BIND: several messages as one.

Layout: protocol v3 page bind: count, then type and size of each child, the names, the bodies;
names and bodies padded to even lengths.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from devices.openigtlink.envelope import Envelope, seal
from devices.openigtlink.header import (
    HEADER_SIZE,
    Header,
    MessageError,
    body_cap,
    checksum,
    fixed_text,
    parse_header,
)

_COUNT = struct.Struct(">H")
_CHILD = struct.Struct(">12sQ")


def pack_bundle(name: str, messages: Sequence[bytes], timestamp_s: float) -> bytes:
    """BIND of packed v1 messages. Raises MessageError on other versions and nested bundles."""
    if len(messages) > 0xFFFF:
        raise MessageError("bad bundle", f"{len(messages)} messages")
    index, names, bodies = bytearray(_COUNT.pack(len(messages))), bytearray(), bytearray()
    for message in messages:
        header = parse_header(message[:HEADER_SIZE])
        if header.version != 1 or header.type == "BIND":
            raise MessageError("bad bundle", f"{header.type} of version {header.version} in it")
        index += _CHILD.pack(header.type.encode(), header.body_size)
        names += header.device_name.encode() + b"\0"
        bodies += message[HEADER_SIZE:] + b"\0" * (header.body_size % 2)
    names += b"\0" * (len(names) % 2)
    content = bytes(index) + _COUNT.pack(len(names)) + bytes(names) + bytes(bodies)
    return seal("BIND", name, content, timestamp_s=timestamp_s)


def unbundle(envelope: Envelope) -> list[Envelope]:
    """The messages inside, with the bundle's times. Raises MessageError."""
    content = envelope.content
    if len(content) < _COUNT.size:
        raise MessageError("wrong length", f"BIND of {len(content)} bytes")
    (count,) = _COUNT.unpack_from(content)
    names_at = _COUNT.size + count * _CHILD.size
    if len(content) < names_at + _COUNT.size:
        raise MessageError("wrong length", f"{count} messages in {len(content)} bytes")
    (names_size,) = _COUNT.unpack_from(content, names_at)
    body_at = names_at + _COUNT.size + names_size
    names = bytes(content[names_at + _COUNT.size : body_at]).split(b"\0")
    if body_at > len(content) or len(names) <= count:
        raise MessageError("bad bundle", f"{len(names)} names for {count} messages")
    found = []
    for number in range(count):
        raw_type, size = _CHILD.unpack_from(content, _COUNT.size + number * _CHILD.size)
        kind = fixed_text(raw_type)
        end = body_at + size
        if kind == "BIND" or size > body_cap(kind) or end > len(content):
            raise MessageError("bad bundle", f"{kind} of {size} bytes in it")
        body = content[body_at:end]
        header = Header(
            1, kind, fixed_text(names[number]), envelope.header.timestamp_s, size, checksum(body)
        )
        found.append(envelope._replace(header=header, content=body))
        body_at = end + size % 2
    if body_at < len(content):
        raise MessageError("wrong length", f"{len(content) - body_at} bytes after the messages")
    return found
