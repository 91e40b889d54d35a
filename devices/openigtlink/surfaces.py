"""POLYDATA: points, cells and attributes of a surface.

Layout: protocol v3 page polydata.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from devices.openigtlink.envelope import Envelope, seal
from devices.openigtlink.header import MessageError, fixed_text

_HEADER = struct.Struct(">10I")
_ATTRIBUTE = struct.Struct(">BBI")

Cells = tuple[NDArray[np.uint32], ...]


@dataclass(frozen=True, slots=True, eq=False)
class SurfaceAttribute:
    """Numbers at every point or cell. kind: the protocol's code (0 scalars at points, 1 vectors,
    ... 16 and more at cells); values (n, components)."""

    name: str
    kind: int
    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """points_mm (n, 3) in the sender's frame; each cell an array of point numbers."""

    name: str
    points_mm: NDArray[np.float32]
    polygons: Cells = ()
    vertices: Cells = ()
    lines: Cells = ()
    strips: Cells = ()
    attributes: tuple[SurfaceAttribute, ...] = ()
    source_s: float = field(default=0.0)
    received_s: float = field(default=0.0)


def pack_surface(surface: Surface, timestamp_s: float, version: int = 1) -> bytes:
    """POLYDATA. Raises MessageError where a cell names a point that is not there."""
    points = np.ascontiguousarray(surface.points_mm, dtype=">f4").reshape(-1, 3)
    groups = (surface.vertices, surface.lines, surface.polygons, surface.strips)
    blocks = [_pack_cells(cells, len(points)) for cells in groups]
    counts = [
        n for cells, block in zip(groups, blocks, strict=True) for n in (len(cells), len(block))
    ]
    heads, names, values = b"", b"", b""
    for attribute in surface.attributes:
        if attribute.values.ndim != 2 or not 0 < attribute.values.shape[1] <= 0xFF:
            raise MessageError("bad surface", f"attribute {attribute.name!r}")
        rows, components = attribute.values.shape
        heads += _ATTRIBUTE.pack(attribute.kind, components, rows)
        names += attribute.name.encode() + b"\0"
        values += np.ascontiguousarray(attribute.values, dtype=">f4").tobytes()
    names += b"\0" * (len(names) % 2)
    header = _HEADER.pack(len(points), *counts, len(surface.attributes))
    content = b"".join((header, points.tobytes(), *blocks, heads, names, values))
    return seal("POLYDATA", surface.name, content, timestamp_s=timestamp_s, version=version)


def decode_surface(envelope: Envelope) -> list[Surface]:
    """Raises MessageError where sizes contradict each other or a cell names no point."""
    content, header = envelope.content, envelope.header
    if len(content) < _HEADER.size:
        raise MessageError("wrong length", f"POLYDATA of {len(content)} bytes")
    count, *cells, attributes = _HEADER.unpack_from(content)
    raw = _Bytes(content, _HEADER.size)
    points = raw.numbers(">f4", 3 * count).astype(np.float32).reshape(-1, 3)
    vertices, lines, polygons, strips = (
        _read_cells(raw, cells[2 * i], cells[2 * i + 1], count) for i in range(4)
    )
    found = _read_attributes(raw, attributes)
    if raw.left():
        raise MessageError("wrong length", f"{raw.left()} bytes after the surface")
    points.flags.writeable = False
    return [
        Surface(
            header.device_name,
            points,
            polygons,
            vertices,
            lines,
            strips,
            found,
            header.timestamp_s,
            envelope.received_s,
        )
    ]


class _Bytes:
    """What is left of a message's content."""

    def __init__(self, content: memoryview, start: int) -> None:
        self._content = content
        self._at = start

    def take(self, size: int) -> memoryview:
        if size > self.left():
            raise MessageError("wrong length", f"{size} bytes announced, {self.left()} left")
        self._at += size
        return self._content[self._at - size : self._at]

    def numbers(self, dtype: str, count: int) -> NDArray[np.generic]:
        found: NDArray[np.generic] = np.frombuffer(
            self.take(count * np.dtype(dtype).itemsize), dtype
        )
        return found

    def until_nul(self) -> bytes:
        rest = bytes(self._content[self._at : self._at + 256])
        end = rest.find(b"\0")
        if end < 0:
            raise MessageError("bad surface", "an attribute's name does not end")
        self._at += end + 1
        return rest[:end]

    def left(self) -> int:
        return len(self._content) - self._at


def _pack_cells(cells: Sequence[NDArray[np.uint32]], points: int) -> bytes:
    block = bytearray()
    for cell in cells:
        numbers = np.asarray(cell)
        if numbers.size and not (int(numbers.min()) >= 0 and int(numbers.max()) < points):
            raise MessageError("bad surface", "a cell names a point that is not there")
        block += struct.pack(">I", len(numbers)) + numbers.astype(">u4").tobytes()
    return bytes(block)


def _read_cells(raw: _Bytes, count: int, size: int, points: int) -> Cells:
    if size % 4:
        raise MessageError("bad surface", f"{size} bytes of cells")
    numbers = raw.numbers(">u4", size // 4).astype(np.uint32)
    cells: list[NDArray[np.uint32]] = []
    at = 0
    for _ in range(count):
        if at >= len(numbers):
            raise MessageError("bad surface", f"{count} cells announced, {len(cells)} there")
        end = at + 1 + int(numbers[at])
        cell = numbers[at + 1 : end]
        if end > len(numbers) or (cell.size and int(cell.max()) >= points):
            raise MessageError("bad surface", "a cell names a point that is not there")
        cell.flags.writeable = False
        cells.append(cell)
        at = end
    if at != len(numbers):
        raise MessageError("bad surface", f"{len(numbers) - at} numbers after the cells")
    return tuple(cells)


def _read_attributes(raw: _Bytes, count: int) -> tuple[SurfaceAttribute, ...]:
    heads = [_ATTRIBUTE.unpack(raw.take(_ATTRIBUTE.size)) for _ in range(count)]
    names = [raw.until_nul() for _ in range(count)]
    if sum(len(name) + 1 for name in names) % 2:
        raw.take(1)
    found = []
    for (kind, components, rows), name in zip(heads, names, strict=True):
        values = raw.numbers(">f4", components * rows).astype(np.float32)
        values = values.reshape(rows, components)
        values.flags.writeable = False
        found.append(SurfaceAttribute(fixed_text(name), kind, values))
    return tuple(found)
