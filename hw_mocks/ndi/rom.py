"""Tool definition files as the mock tracker reads them.

NDI does not publish the format. Where the marks stand was found by JHU's tool maker
(jhu-saw/sawNDITracker, core/share/tool-maker): "NDI", the sum of all bytes from the seventh as
u16, little endian, in bytes 4 and 5, markers from byte 72, part number in bytes 592 to 611, 752
bytes in all.
"""

from __future__ import annotations

import struct

from ir_nav.geometry import FloatArray

_SIZE = 752
_SUM = struct.Struct("<H")
_SUM_AT, _SUMMED_FROM = 4, 6
_COUNT_AT, _MARKERS_AT = 28, 72
_PART = slice(592, 612)


def tool_definition(part_number: str, markers_mm: FloatArray) -> bytes:
    """A .rom file. part_number: at most 20 ASCII characters. markers_mm: (n, 3)."""
    data = bytearray(_SIZE)
    data[:3] = b"NDI"
    data[_COUNT_AT] = len(markers_mm)
    markers = markers_mm.astype("<f4").tobytes()
    data[_MARKERS_AT : _MARKERS_AT + len(markers)] = markers
    data[_PART] = part_number.encode("ascii").ljust(20, b"\0")
    _SUM.pack_into(data, _SUM_AT, _sum(data))
    return bytes(data)


def part_number(data: bytes | bytearray) -> str | None:
    """Part number of a tool definition, or None where it is damaged."""
    if not data.startswith(b"NDI") or _SUM.unpack_from(data, _SUM_AT)[0] != _sum(data):
        return None
    return bytes(data[_PART]).rstrip(b"\0").decode("ascii", errors="replace")


def _sum(data: bytes | bytearray) -> int:
    return sum(data[_SUMMED_FROM:]) & 0xFFFF
