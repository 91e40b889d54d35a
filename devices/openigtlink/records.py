"""Tables of fixed-size records: POINT, TRAJ.

Layouts: protocol v3 pages of the two types. Positions are in the sender's frame, mm; 3D Slicer
reads them as RAS.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from devices.openigtlink.envelope import Envelope, seal
from devices.openigtlink.header import MessageError, fixed_bytes, fixed_text

PointMm = tuple[float, float, float]
Colour = tuple[int, int, int, int]
WHITE: Colour = (255, 255, 255, 255)

_POINT = np.dtype(
    [
        ("name", "S64"),
        ("group", "S32"),
        ("rgba", "u1", 4),
        ("position", ">f4", 3),
        ("radius", ">f4"),
        ("owner", "S20"),
    ]
)
_TRAJECTORY = np.dtype(
    [
        ("name", "S64"),
        ("group", "S32"),
        ("kind", "i1"),
        ("reserved", "i1"),
        ("rgba", "u1", 4),
        ("entry", ">f4", 3),
        ("target", ">f4", 3),
        ("radius", ">f4"),
        ("owner", "S20"),
    ]
)


class TrajectoryKind(IntEnum):
    """What of a trajectory is given."""

    ENTRY_ONLY = 1
    TARGET_ONLY = 2
    BOTH = 3


@dataclass(frozen=True, slots=True)
class NamedPoint:
    """A landmark. position_mm in the sender's frame; radius_mm 0 for a bare point; owner: name
    of the image it lies in."""

    name: str
    position_mm: PointMm
    group: str = "Landmark"
    rgba: Colour = WHITE
    radius_mm: float = 0.0
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Trajectory:
    """A straight path from an entry to a target, in the sender's frame, mm."""

    name: str
    entry_mm: PointMm
    target_mm: PointMm
    group: str = "Trajectory"
    kind: TrajectoryKind = TrajectoryKind.BOTH
    rgba: Colour = WHITE
    radius_mm: float = 0.0
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """One message of records, all of one kind. type: POINT, TRAJ, IMGMETA or LBMETA, whose
    records are NamedPoint, Trajectory, ImageDescription or LabelDescription."""

    type: str
    name: str
    records: tuple[object, ...]
    source_s: float
    received_s: float


def pack_points(
    name: str, points: Sequence[NamedPoint], timestamp_s: float, version: int = 1
) -> bytes:
    """POINT. Raises MessageError."""
    return pack_table(
        "POINT", name, _POINT, [_point_row(point) for point in points], timestamp_s, version
    )


def pack_trajectories(
    name: str, trajectories: Sequence[Trajectory], timestamp_s: float, version: int = 1
) -> bytes:
    """TRAJ. Raises MessageError."""
    rows = [_trajectory_row(trajectory) for trajectory in trajectories]
    return pack_table("TRAJ", name, _TRAJECTORY, rows, timestamp_s, version)


def decode_points(envelope: Envelope) -> list[Table]:
    """POINT. Raises MessageError; so does the one below."""
    return decode_table(envelope, _POINT, _point)


def decode_trajectories(envelope: Envelope) -> list[Table]:
    """TRAJ."""
    return decode_table(envelope, _TRAJECTORY, _trajectory)


def pack_table(
    kind: str,
    name: str,
    layout: np.dtype[Any],
    rows: list[tuple[Any, ...]],
    timestamp_s: float,
    version: int,
) -> bytes:
    """Rows of one layout as a message. Raises MessageError."""
    try:
        with np.errstate(over="raise"):
            content = np.array(rows, dtype=layout).tobytes()
    except (OverflowError, ValueError, TypeError, FloatingPointError) as error:
        raise MessageError("bad record", f"{kind}: {error}") from error
    return seal(kind, name, content, timestamp_s=timestamp_s, version=version)


def decode_table(
    envelope: Envelope, layout: np.dtype[Any], read: Callable[[Any], object]
) -> list[Table]:
    """Rows of one layout, each read by `read`. Raises MessageError."""
    header = envelope.header
    if len(envelope.content) % layout.itemsize:
        raise MessageError(
            "wrong length", f"{header.type}: {len(envelope.content)} bytes are no whole records"
        )
    rows = np.frombuffer(envelope.content, layout)
    records = tuple(read(row) for row in rows)
    return [
        Table(header.type, header.device_name, records, header.timestamp_s, envelope.received_s)
    ]


def _point_row(point: NamedPoint) -> tuple[Any, ...]:
    return (
        fixed_bytes(point.name, 64),
        fixed_bytes(point.group, 32),
        point.rgba,
        _finite(point.position_mm),
        point.radius_mm,
        fixed_bytes(point.owner, 20),
    )


def _point(row: Any) -> NamedPoint:
    return NamedPoint(
        fixed_text(row["name"]),
        _place(row["position"]),
        fixed_text(row["group"]),
        colour(row["rgba"]),
        float(row["radius"]),
        fixed_text(row["owner"]),
    )


def _trajectory_row(trajectory: Trajectory) -> tuple[Any, ...]:
    return (
        fixed_bytes(trajectory.name, 64),
        fixed_bytes(trajectory.group, 32),
        trajectory.kind,
        0,
        trajectory.rgba,
        _finite(trajectory.entry_mm),
        _finite(trajectory.target_mm),
        trajectory.radius_mm,
        fixed_bytes(trajectory.owner, 20),
    )


def _trajectory(row: Any) -> Trajectory:
    try:
        kind = TrajectoryKind(int(row["kind"]))
    except ValueError as error:
        raise MessageError("bad record", f"trajectory of kind {int(row['kind'])}") from error
    return Trajectory(
        fixed_text(row["name"]),
        _place(row["entry"]),
        _place(row["target"]),
        fixed_text(row["group"]),
        kind,
        colour(row["rgba"]),
        float(row["radius"]),
        fixed_text(row["owner"]),
    )


def _finite(point_mm: PointMm) -> PointMm:
    if not all(map(math.isfinite, point_mm)):
        raise MessageError("position not finite", str(point_mm))
    return point_mm


def _place(raw: Any) -> PointMm:
    x, y, z = (float(value) for value in raw)
    return _finite((x, y, z))


def colour(raw: Any) -> Colour:
    """Red, green, blue, alpha of a row."""
    red, green, blue, alpha = (int(value) for value in raw)
    return red, green, blue, alpha
