"""Plain numbers: SENSOR, NDARRAY, COLORT.

Layouts: protocol v3 pages sensor, ndarray and colortable.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devices.openigtlink.envelope import Envelope, seal
from devices.openigtlink.header import MessageError

SCALARS: dict[int, np.dtype[Any]] = {
    2: np.dtype(np.int8),
    3: np.dtype(np.uint8),
    4: np.dtype(np.int16),
    5: np.dtype(np.uint16),
    6: np.dtype(np.int32),
    7: np.dtype(np.uint32),
    10: np.dtype(np.float32),
    11: np.dtype(np.float64),
    13: np.dtype(np.complex128),
}
_CODE_OF_SCALAR = {scalar: code for code, scalar in SCALARS.items()}
_SENSOR = struct.Struct(">BBQ")
_ARRAY = struct.Struct(">BB")
_TABLE = struct.Struct(">bb")
_RGB = 19
_ENTRIES = {3: 256, 5: 65536}
_TABLE_TYPES: dict[int, tuple[np.dtype[Any], int]] = {
    3: (np.dtype(np.uint8), 1),
    5: (np.dtype(">u2"), 1),
    _RGB: (np.dtype(np.uint8), 3),
}


@dataclass(frozen=True, slots=True, eq=False)
class SensorReading:
    """values (n,), n up to 255. unit: the protocol's 64-bit code of the unit."""

    name: str
    values: NDArray[np.float64]
    unit: int
    status: int
    source_s: float
    received_s: float


@dataclass(frozen=True, slots=True, eq=False)
class NumberArray:
    """An array of any shape, read-only."""

    name: str
    values: NDArray[np.generic]
    source_s: float
    received_s: float


@dataclass(frozen=True, slots=True, eq=False)
class ColourTable:
    """colours: (256,) or (65536,) grey values, or with a second axis of three for RGB."""

    name: str
    colours: NDArray[np.generic]
    source_s: float
    received_s: float


def pack_sensor(
    name: str, values: ArrayLike, timestamp_s: float, *, unit: int = 0, version: int = 1
) -> bytes:
    """SENSOR. Raises MessageError on more than 255 values."""
    numbers = np.asarray(values, dtype=">f8").reshape(-1)
    if len(numbers) > 0xFF or not 0 <= unit < 2**64:
        raise MessageError("bad sensor reading", f"{len(numbers)} values of unit {unit}")
    content = _SENSOR.pack(len(numbers), 0, unit) + numbers.tobytes()
    return seal("SENSOR", name, content, timestamp_s=timestamp_s, version=version)


def pack_array(
    name: str, values: NDArray[np.generic], timestamp_s: float, version: int = 1
) -> bytes:
    """NDARRAY. Raises MessageError on types and sizes the wire cannot carry."""
    code = _CODE_OF_SCALAR.get(values.dtype.newbyteorder("="))
    if code is None or values.ndim > 0xFF or max(values.shape, default=0) > 0xFFFF:
        raise MessageError("bad array", f"{values.dtype} of shape {values.shape}")
    sizes = struct.pack(f">{values.ndim}H", *values.shape)
    big = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder(">"))
    content = _ARRAY.pack(code, values.ndim) + sizes + big.tobytes()
    return seal("NDARRAY", name, content, timestamp_s=timestamp_s, version=version)


def pack_colours(
    name: str, colours: NDArray[np.generic], timestamp_s: float, version: int = 1
) -> bytes:
    """COLORT. colours: (256 or 65536,) uint8 or uint16, or (.., 3) uint8. Raises MessageError."""
    index = {size: code for code, size in _ENTRIES.items()}.get(len(colours))
    table = _RGB if colours.ndim == 2 else 3 if colours.dtype.itemsize == 1 else 5
    dtype, components = _TABLE_TYPES[table]
    whole = colours.dtype.kind == "u" and colours.dtype.itemsize == dtype.itemsize
    shape = colours.shape[1:] == ((components,) if table == _RGB else ())
    if index is None or not whole or not shape:
        raise MessageError("bad colour table", f"{colours.dtype} of shape {colours.shape}")
    content = _TABLE.pack(index, table) + np.ascontiguousarray(colours, dtype=dtype).tobytes()
    return seal("COLORT", name, content, timestamp_s=timestamp_s, version=version)


def decode_sensor(envelope: Envelope) -> list[SensorReading]:
    """Raises MessageError where the values announced are not there."""
    content, header = envelope.content, envelope.header
    if len(content) < _SENSOR.size:
        raise MessageError("wrong length", f"SENSOR of {len(content)} bytes")
    count, status, unit = _SENSOR.unpack_from(content)
    if len(content) != _SENSOR.size + 8 * count:
        raise MessageError("wrong length", f"{count} values in {len(content)} bytes")
    values = np.frombuffer(content[_SENSOR.size :], ">f8").astype(np.float64)
    values.flags.writeable = False
    return [
        SensorReading(
            header.device_name, values, unit, status, header.timestamp_s, envelope.received_s
        )
    ]


def decode_array(envelope: Envelope) -> list[NumberArray]:
    """Raises MessageError on unknown types and wrong lengths."""
    content, header = envelope.content, envelope.header
    if len(content) < _ARRAY.size:
        raise MessageError("wrong length", f"NDARRAY of {len(content)} bytes")
    code, dimensions = _ARRAY.unpack_from(content)
    scalar = SCALARS.get(code)
    start = _ARRAY.size + 2 * dimensions
    # numpy itself carries at most 64 dimensions.
    if scalar is None or dimensions > 64 or len(content) < start:
        raise MessageError("bad array", f"scalar type {code}, {dimensions} dimensions")
    shape = struct.unpack_from(f">{dimensions}H", content, _ARRAY.size)
    if len(content) != start + prod(shape) * scalar.itemsize:
        raise MessageError("wrong length", f"shape {shape} in {len(content)} bytes")
    big = np.frombuffer(content[start:], scalar.newbyteorder(">"))
    values = big.astype(scalar).reshape(shape)
    values.flags.writeable = False
    return [NumberArray(header.device_name, values, header.timestamp_s, envelope.received_s)]


def decode_colours(envelope: Envelope) -> list[ColourTable]:
    """Raises MessageError on unknown types and wrong lengths."""
    content, header = envelope.content, envelope.header
    if len(content) < _TABLE.size:
        raise MessageError("wrong length", f"COLORT of {len(content)} bytes")
    index, table = _TABLE.unpack_from(content)
    if index not in _ENTRIES or table not in _TABLE_TYPES:
        raise MessageError("bad colour table", f"index type {index}, table type {table}")
    dtype, components = _TABLE_TYPES[table]
    count = _ENTRIES[index] * components
    if len(content) != _TABLE.size + count * dtype.itemsize:
        raise MessageError("wrong length", f"colour table of {len(content)} bytes")
    flat = np.frombuffer(content[_TABLE.size :], dtype).astype(dtype.newbyteorder("="))
    colours = flat.reshape(-1, 3) if components == 3 else flat
    colours.flags.writeable = False
    return [ColourTable(header.device_name, colours, header.timestamp_s, envelope.received_s)]
