"""Which codec reads which message type."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from devices.contract import Sample
from devices.openigtlink.arrays import (
    ColourTable,
    NumberArray,
    SensorReading,
    decode_array,
    decode_colours,
    decode_sensor,
)
from devices.openigtlink.bundles import unbundle
from devices.openigtlink.commands import Command, decode_command
from devices.openigtlink.envelope import Content, Envelope, unseal
from devices.openigtlink.header import HEADER_SIZE, MessageError, parse_header
from devices.openigtlink.images import Volume, decode_image
from devices.openigtlink.listings import decode_image_list, decode_label_list
from devices.openigtlink.poses import (
    decode_position,
    decode_qtdata,
    decode_tdata,
    decode_transform,
)
from devices.openigtlink.records import Table, decode_points, decode_trajectories
from devices.openigtlink.surfaces import Surface, decode_surface
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

Notice = (
    DeviceStatus
    | Capability
    | Query
    | Command
    | Table
    | Surface
    | SensorReading
    | NumberArray
    | ColourTable
    | Volume
)
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
    "COMMAND": decode_command,
    "POINT": decode_points,
    "TRAJ": decode_trajectories,
    "IMGMETA": decode_image_list,
    "LBMETA": decode_label_list,
    "POLYDATA": decode_surface,
    "SENSOR": decode_sensor,
    "NDARRAY": decode_array,
    "COLORT": decode_colours,
}
# Known, and left alone on purpose: compressed video needs a codec of its own.
SKIPPED = ("VIDEO", "VIDEOMETA")


def decode(envelope: Envelope) -> Sequence[Message | MessageError]:
    """What a message says; a MessageError in the list stands for one refused part of it.

    Raises MessageError where the whole message is refused.
    """
    kind = envelope.header.type
    decoder = DECODERS.get(kind)
    if decoder is not None:
        return decoder(envelope)
    if kind == "BIND":
        return _decode_bundle(envelope)
    if kind in SKIPPED:
        raise MessageError(f"{kind} is skipped")
    if kind.startswith(QUERY_PREFIXES):
        return decode_query(envelope)
    raise MessageError(f"unknown type {kind}")


def _decode_bundle(envelope: Envelope) -> Sequence[Message | MessageError]:
    found: list[Message | MessageError] = []
    for child in unbundle(envelope):
        try:
            found.extend(decode(child))
        except MessageError as error:
            found.append(error)
    return found


def decode_bytes(data: Content, received_s: float) -> Sequence[Message | MessageError]:
    """Decode one complete message, header included. Raises MessageError."""
    header = parse_header(memoryview(data)[:HEADER_SIZE])
    return decode(unseal(header, memoryview(data)[HEADER_SIZE:], received_s))
