"""Poses on the wire: TRANSFORM, TDATA, POSITION, QTDATA.

Layouts: protocol v3 pages of the four types. Matrices travel as 12 float32, column by column
(three axes, then the position in mm); quaternions as x, y, z, w.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devices.contract import PoseSample, PoseStatus
from devices.openigtlink.envelope import Envelope, seal
from devices.openigtlink.header import NAME_SIZE, MessageError, fixed_bytes, fixed_text

# float32 rotations are orthonormal to 1e-6; more than 1e-3 moves a tip 200 mm away by 0.2 mm.
RIGID_TOLERANCE = 1e-3

# PlusLib's words for a tool (igsioCommon.h), under the metadata key "TransformStatus".
STATUS_KEY = "TransformStatus"
_WORD_OF_STATUS = {
    PoseStatus.OK: "OK",
    PoseStatus.MISSING: "MISSING",
    PoseStatus.OUT_OF_VOLUME: "OUT_OF_VOLUME",
    PoseStatus.INVALID: "INVALID",
    PoseStatus.UNKNOWN: "UNKNOWN",
}
_STATUS_OF_WORD = {word: status for status, word in _WORD_OF_STATUS.items()} | {
    "OUT_OF_VIEW": PoseStatus.MISSING,
}
_WITH_POSE = (PoseStatus.OK, PoseStatus.UNKNOWN)

_MATRIX = struct.Struct(">12f")
_DOUBLES = struct.Struct("=16d")
_ELEMENT = struct.Struct(">20sBB")  # name, kind of tool, reserved
_QUATERNIONS = {28: struct.Struct(">7f"), 24: struct.Struct(">6f")}
_IDENTITY_CONTENT = _MATRIX.pack(1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0)

Matrix = NDArray[np.float64]
_Rows = Sequence[Sequence[float]]
_Reader = Callable[[memoryview], _Rows]


@dataclass(frozen=True, slots=True, eq=False)
class TrackedElement:
    """One tool of a TDATA message. matrix: (4, 4), mm. kind: 1 tracker, 2 6D, 3 3D, 4 5D."""

    name: str
    matrix: ArrayLike
    kind: int = 2


def pack_transform(
    name: str,
    matrix: ArrayLike | None,
    timestamp_s: float,
    status: PoseStatus | None = None,
    version: int = 1,
) -> bytes:
    """TRANSFORM. matrix: (4, 4), mm, or None for a tool that was not seen.

    Under version 2 the status travels in the metadata. Under version 1 it cannot, so a tool that
    was not seen raises MessageError: its matrix would be taken for a pose.
    """
    seen = status is None or status in _WITH_POSE
    if seen and matrix is None:
        raise MessageError("pose without matrix", f"{name!r} with status {status}")
    if not seen and version == 1:
        raise MessageError("status needs version 2", f"{name!r} is {status}")
    content = _matrix_content(matrix) if seen and matrix is not None else _IDENTITY_CONTENT
    if version == 1:
        return seal("TRANSFORM", name, content, timestamp_s=timestamp_s)
    metadata = {STATUS_KEY: _WORD_OF_STATUS[status]} if status is not None else {}
    return seal(
        "TRANSFORM",
        name,
        content,
        timestamp_s=timestamp_s,
        version=version,
        metadata=metadata,
    )


def pack_tdata(
    name: str, elements: Sequence[TrackedElement], timestamp_s: float, version: int = 1
) -> bytes:
    """TDATA: the poses of several tools at one instant. Raises MessageError."""
    content = b"".join(_element_content(element) for element in elements)
    return seal("TDATA", name, content, timestamp_s=timestamp_s, version=version)


def pack_position(name: str, matrix: ArrayLike, timestamp_s: float, version: int = 1) -> bytes:
    """POSITION with a full quaternion (28 bytes). matrix: (4, 4), mm. Raises MessageError."""
    return seal(
        "POSITION", name, _quaternion_content(matrix), timestamp_s=timestamp_s, version=version
    )


def pack_qtdata(
    name: str, elements: Sequence[TrackedElement], timestamp_s: float, version: int = 1
) -> bytes:
    """QTDATA: as TDATA, with quaternions. Raises MessageError."""
    content = b"".join(
        _element_head(element) + _quaternion_content(element.matrix) for element in elements
    )
    return seal("QTDATA", name, content, timestamp_s=timestamp_s, version=version)


def decode_transform(envelope: Envelope) -> list[PoseSample]:
    """One pose. Raises MessageError where it is not finite, not rigid or reflected."""
    _check_length(envelope, _MATRIX.size)
    return [_sample(envelope, envelope.header.device_name, _read_matrix, envelope.content)]


def decode_position(envelope: Envelope) -> list[PoseSample]:
    """One pose, with a full (28 bytes) or a compressed (24 bytes) quaternion."""
    if len(envelope.content) not in _QUATERNIONS:
        raise MessageError("wrong length", f"POSITION of {len(envelope.content)} bytes")
    return [_sample(envelope, envelope.header.device_name, _read_quaternion, envelope.content)]


def decode_tdata(envelope: Envelope) -> list[PoseSample | MessageError]:
    """A pose per tool; a MessageError in the list stands for one refused tool."""
    return _decode_elements(envelope, _read_matrix, _MATRIX.size)


def decode_qtdata(envelope: Envelope) -> list[PoseSample | MessageError]:
    """As TDATA, with quaternions."""
    return _decode_elements(envelope, _read_quaternion, 28)


def rigid_rows(matrix: ArrayLike) -> _Rows:
    """The rows of a (4, 4) pose. Raises MessageError, by reason, where it is not rigid."""
    try:
        pose = np.asarray(matrix, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise MessageError("pose is no matrix", str(error)) from error
    if pose.shape != (4, 4):
        raise MessageError("pose is no matrix", f"shape {pose.shape}")
    rows: _Rows = pose.tolist()
    _check_rigid(rows)
    return rows


def _check_rigid(rows: _Rows) -> None:
    # Plain floats: on 3 x 3 numpy's calls cost ten times the arithmetic, at every pose.
    (a, b, c, x), (d, e, f, y), (g, h, i, z), (k, m, n, one) = rows
    if k or m or n or one != 1.0:
        raise MessageError("pose is no matrix", f"last row {rows[3]}")
    # A number that is not finite makes a sum that is not.
    if not isfinite(a + b + c + d + e + f + g + h + i + x + y + z):
        raise MessageError("pose not finite")
    off = max(
        abs(a * a + d * d + g * g - 1.0),
        abs(b * b + e * e + h * h - 1.0),
        abs(c * c + f * f + i * i - 1.0),
        abs(a * b + d * e + g * h),
        abs(a * c + d * f + g * i),
        abs(b * c + e * f + h * i),
    )
    if not off <= RIGID_TOLERANCE:
        raise MessageError("pose not rigid", "its axes are scaled or sheared")
    if a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g) < 0.0:
        raise MessageError("pose reflected", "its axes are left-handed")


def _status(metadata: Mapping[str, str]) -> PoseStatus:
    """UNKNOWN where nothing was said; INVALID for words that are not known to mean a pose."""
    word = metadata.get(STATUS_KEY) if metadata else None
    if word is None:
        return PoseStatus.UNKNOWN
    # PlusLib before 2.3 wrote TOOL_MISSING and so on.
    return _STATUS_OF_WORD.get(word.strip().upper().removeprefix("TOOL_"), PoseStatus.INVALID)


def _sample(envelope: Envelope, name: str, read: _Reader, raw: memoryview) -> PoseSample:
    status = _status(envelope.metadata)
    matrix = _pose(read(raw)) if status in _WITH_POSE else None
    return PoseSample(name, matrix, status, envelope.header.timestamp_s, envelope.received_s)


def _decode_elements(
    envelope: Envelope, read: _Reader, pose_size: int
) -> list[PoseSample | MessageError]:
    size = _ELEMENT.size + pose_size
    if len(envelope.content) % size:
        raise MessageError("wrong length", f"{len(envelope.content)} bytes are no whole records")
    found: list[PoseSample | MessageError] = []
    for start in range(0, len(envelope.content), size):
        raw_name, _, _ = _ELEMENT.unpack_from(envelope.content, start)
        name = fixed_text(raw_name) or envelope.header.device_name
        raw = envelope.content[start + _ELEMENT.size : start + size]
        try:
            found.append(_sample(envelope, name, read, raw))
        except MessageError as error:
            found.append(error)
    return found


def _pose(rows: _Rows) -> Matrix:
    _check_rigid(rows)
    # Memory of immutable bytes is read-only from the start, at half the price of np.array.
    return np.ndarray((4, 4), np.float64, _DOUBLES.pack(*rows[0], *rows[1], *rows[2], *rows[3]))


def _read_matrix(raw: memoryview) -> _Rows:
    x1, x2, x3, y1, y2, y3, z1, z2, z3, p1, p2, p3 = _MATRIX.unpack(raw)
    return ((x1, y1, z1, p1), (x2, y2, z2, p2), (x3, y3, z3, p3), (0.0, 0.0, 0.0, 1.0))


def _read_quaternion(raw: memoryview) -> _Rows:
    numbers = _QUATERNIONS[len(raw)].unpack(raw)
    x, y, z = numbers[3:6]
    squared = x * x + y * y + z * z
    w = numbers[6] if len(numbers) == 7 else max(0.0, 1.0 - squared) ** 0.5
    length = sqrt(squared + w * w)
    # The C++ library scales what it reads to length 1, and its own senders rely on it.
    if not 0.5 <= length <= 2.0:
        raise MessageError("pose not rigid", f"quaternion ({x}, {y}, {z}, {w}) is no rotation")
    x, y, z, w = x / length, y / length, z / length, w / length
    return (
        (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w), numbers[0]),
        (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w), numbers[1]),
        (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y), numbers[2]),
        (0.0, 0.0, 0.0, 1.0),
    )


def _matrix_content(matrix: ArrayLike) -> bytes:
    (a, b, c, x), (d, e, f, y), (g, h, i, z), _ = rigid_rows(matrix)
    try:
        return _MATRIX.pack(a, d, g, b, e, h, c, f, i, x, y, z)
    except OverflowError as error:
        raise MessageError("pose not finite", "its position does not fit float32") from error


def _element_content(element: TrackedElement) -> bytes:
    return _element_head(element) + _matrix_content(element.matrix)


def _element_head(element: TrackedElement) -> bytes:
    if not 1 <= element.kind <= 4:
        raise MessageError("bad kind of tool", str(element.kind))
    return _ELEMENT.pack(fixed_bytes(element.name, NAME_SIZE), element.kind, 0)


def _quaternion_content(matrix: ArrayLike) -> bytes:
    rows = rigid_rows(matrix)
    (a, b, c, px), (d, e, f, py), (g, h, i, pz) = rows[:3]
    # Shepperd: divide by the largest of the four, which is never small.
    squares = (1 + a + e + i, 1 + a - e - i, 1 - a + e - i, 1 - a - e + i)
    largest = squares.index(max(squares))
    s = 2.0 * sqrt(squares[largest])
    w, x, y, z = (
        (s / 4, (h - f) / s, (c - g) / s, (d - b) / s),
        ((h - f) / s, s / 4, (b + d) / s, (c + g) / s),
        ((c - g) / s, (b + d) / s, s / 4, (f + h) / s),
        ((d - b) / s, (c + g) / s, (f + h) / s, s / 4),
    )[largest]
    try:
        return _QUATERNIONS[28].pack(px, py, pz, x, y, z, w)
    except OverflowError as error:
        raise MessageError("pose not finite", "its position does not fit float32") from error


def _check_length(envelope: Envelope, size: int) -> None:
    if len(envelope.content) != size:
        raise MessageError("wrong length", f"{len(envelope.content)} bytes where {size} belong")
