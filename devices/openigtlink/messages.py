"""Which codec reads which message type."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from devices.contract import Sample
from devices.openigtlink.envelope import Content, Envelope, unseal
from devices.openigtlink.header import HEADER_SIZE, MessageError, parse_header
from devices.openigtlink.images import decode_image
from devices.openigtlink.poses import (
    decode_position,
    decode_qtdata,
    decode_tdata,
    decode_transform,
)
from devices.openigtlink.texts import (
    QUERY_PREFIXES,
    Capability,
    DeviceStatus,
    Query,
    decode_capability,
    decode_query,
    decode_status,
    decode_string,
)

Notice = DeviceStatus | Capability | Query
Message = Sample | Notice
Decoder = Callable[[Envelope], Sequence[Message | MessageError]]

DECODERS: dict[str, Decoder] = {
    "TRANSFORM": decode_transform,
    "TDATA": decode_tdata,
    "POSITION": decode_position,
    "QTDATA": decode_qtdata,
    "IMAGE": decode_image,
    "STRING": decode_string,
    "STATUS": decode_status,
    "CAPABILITY": decode_capability,
}


def decode(envelope: Envelope) -> Sequence[Message | MessageError]:
    """What a message says; a MessageError in the list stands for one refused part of it.

    Raises MessageError where the whole message is refused.
    """
    kind = envelope.header.type
    decoder = decode_query if kind.startswith(QUERY_PREFIXES) else DECODERS.get(kind)
    if decoder is None:
        raise MessageError(f"unknown type {kind}")
    return decoder(envelope)


def decode_bytes(data: Content, received_s: float) -> Sequence[Message | MessageError]:
    """Decode one complete message, header included. Raises MessageError."""
    header = parse_header(memoryview(data)[:HEADER_SIZE])
    return decode(unseal(header, memoryview(data)[HEADER_SIZE:], received_s))
