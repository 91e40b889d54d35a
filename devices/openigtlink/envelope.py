"""Header, extended header, content and metadata as one message.

Version 1 carries the content alone. Versions 2 and 3 (protocol v3, header and metadata pages)
put an extended header before it and metadata after it: extended header = own size u16, metadata
index size u16, metadata size u32, message id u32; index = count u16, then key size u16, encoding
u16, value size u32 for each pair; then all keys and values.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from devices.openigtlink.header import (
    NEWEST_VERSION,
    Header,
    MessageError,
    body_cap,
    checksum,
    pack_header,
)

ASCII, UTF8 = 3, 106  # IANA character set numbers (MIBenum)
_CODECS = {ASCII: "ascii", UTF8: "utf-8", 4: "latin-1"}

_EXTENDED = struct.Struct(">HHII")
_COUNT = struct.Struct(">H")
_PAIR = struct.Struct(">HHI")
_NO_METADATA: Mapping[str, str] = MappingProxyType({})

Content = bytes | bytearray | memoryview


class Envelope(NamedTuple):
    """One checked message, its content not yet understood. received_s: Unix time of arrival."""

    header: Header
    content: memoryview
    received_s: float
    metadata: Mapping[str, str] = _NO_METADATA
    message_id: int = 0


def seal(
    message_type: str,
    name: str,
    content: Content,
    *,
    timestamp_s: float,
    version: int = 1,
    metadata: Mapping[str, str] | None = None,
    message_id: int = 0,
) -> bytes:
    """A complete message. Raises MessageError on names, sizes or versions the wire cannot carry."""
    if not 1 <= version <= NEWEST_VERSION:
        raise MessageError("bad version", f"OpenIGTLink has no header version {version}")
    if version == 1 and metadata:
        raise MessageError("metadata needs version 2", f"{sorted(metadata)} cannot travel in v1")
    body = content
    if version > 1:
        before, after = _extensions(metadata or {}, message_id)
        body = b"".join((before, content, after))
    if len(body) > body_cap(message_type):
        raise MessageError("message too large", f"{message_type} of {len(body)} bytes")
    header = Header(version, message_type, name, timestamp_s, len(body), checksum(body))
    return b"".join((pack_header(header), body))


def unseal(header: Header, body: Content, received_s: float) -> Envelope:
    """Check a body against its header and split it. Raises MessageError; body is not copied."""
    view = memoryview(body).toreadonly()
    if len(view) != header.body_size:
        raise MessageError("wrong length", f"{len(view)} bytes for a body of {header.body_size}")
    if checksum(view) != header.crc:
        raise MessageError("bad checksum", f"{header.type} of {header.device_name!r}")
    if header.version == 1:
        return Envelope(header, view, received_s)
    return _unseal_extended(header, view, received_s)


def decode_text(raw: Content, encoding: int) -> str:
    """Text in one of the wire's character sets. Raises MessageError."""
    codec = _CODECS.get(encoding)
    if codec is None:
        raise MessageError("unknown character set", str(encoding))
    try:
        return bytes(raw).decode(codec)
    except UnicodeDecodeError as error:
        raise MessageError("text is not in its character set", codec) from error


def encode_text(text: str, encoding: int | None = None) -> tuple[bytes, int]:
    """Bytes and character set: ASCII where it will do, else UTF-8. Raises MessageError."""
    if encoding is None:
        encoding = ASCII if text.isascii() else UTF8
    codec = _CODECS.get(encoding)
    if codec is None:
        raise MessageError("unknown character set", str(encoding))
    try:
        return text.encode(codec), encoding
    except UnicodeEncodeError as error:
        raise MessageError("text cannot be encoded", repr(text)) from error


def _extensions(metadata: Mapping[str, str], message_id: int) -> tuple[bytes, bytes]:
    index, pairs = bytearray(_COUNT.pack(len(metadata))), bytearray()
    for key, text in metadata.items():
        raw_key, _ = encode_text(key)
        raw_text, encoding = encode_text(text)
        index += _PAIR.pack(len(raw_key), encoding, len(raw_text))
        pairs += raw_key + raw_text
    before = _EXTENDED.pack(_EXTENDED.size, len(index), len(pairs), message_id)
    return before, bytes(index + pairs)


def _unseal_extended(header: Header, view: memoryview, received_s: float) -> Envelope:
    if len(view) < _EXTENDED.size:
        raise MessageError("bad extended header", f"body of {len(view)} bytes")
    own_size, index_size, pairs_size, message_id = _EXTENDED.unpack_from(view)
    content_end = len(view) - index_size - pairs_size
    if not _EXTENDED.size <= own_size <= content_end:
        raise MessageError(
            "bad extended header", f"sizes {own_size}, {index_size}, {pairs_size} in {len(view)}"
        )
    index = view[content_end : content_end + index_size]
    metadata = _read_metadata(index, view[content_end + index_size :])
    return Envelope(header, view[own_size:content_end], received_s, metadata, message_id)


def _read_metadata(index: memoryview, pairs: memoryview) -> Mapping[str, str]:
    if len(index) == 0:
        return _NO_METADATA
    if len(index) < _COUNT.size:
        raise MessageError("bad metadata", "index of one byte")
    (count,) = _COUNT.unpack_from(index)
    if len(index) < _COUNT.size + count * _PAIR.size:
        raise MessageError("bad metadata", f"{count} pairs in an index of {len(index)} bytes")
    metadata, start = {}, 0
    for number in range(count):
        key_size, encoding, size = _PAIR.unpack_from(index, _COUNT.size + number * _PAIR.size)
        middle, end = start + key_size, start + key_size + size
        if end > len(pairs):
            raise MessageError("bad metadata", f"pair {number} ends beyond the message")
        metadata[decode_text(pairs[start:middle], UTF8)] = decode_text(pairs[middle:end], encoding)
        start = end
    return MappingProxyType(metadata)
