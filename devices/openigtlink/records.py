"""Tables of fixed-size records: POINT, TRAJ, IMGMETA, LBMETA.

Layouts: protocol v3 pages of the four types. Positions are in the sender's frame, mm; 3D Slicer
reads them as RAS.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeVar

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
_IMAGE = np.dtype(
    [
        ("name", "S64"),
        ("device", "S20"),
        ("modality", "S32"),
        ("patient_name", "S64"),
        ("patient_id", "S64"),
        ("time", ">u8"),
        ("size", ">u2", 3),
        ("scalar", "u1"),
        ("reserved", "u1"),
    ]
)
_LABEL = np.dtype(
    [
        ("name", "S64"),
        ("device", "S20"),
        ("label", "u1"),
        ("reserved", "u1"),
        ("rgba", "u1", 4),
        ("size", ">u2", 3),
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
class ImageDescription:
    """An image the sender can give. device: name to ask for it by; size: columns, rows, slices;
    scalar: the protocol's number of the pixel type."""

    name: str
    device: str
    modality: str
    patient_name: str
    patient_id: str
    time_s: float
    size: tuple[int, int, int]
    scalar: int


@dataclass(frozen=True, slots=True)
class LabelDescription:
    """A label map the sender can give. device: name to ask for it by; owner: its image."""

    name: str
    device: str
    label: int
    rgba: Colour
    size: tuple[int, int, int]
    owner: str


Record = NamedPoint | Trajectory | ImageDescription | LabelDescription
R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Table:
    """One message of records, all of one kind. type: POINT, TRAJ, IMGMETA or LBMETA."""

    type: str
    name: str
    records: tuple[Record, ...]
    source_s: float
    received_s: float


def pack_points(
    name: str, points: Sequence[NamedPoint], timestamp_s: float, version: int = 1
) -> bytes:
    """POINT. Raises MessageError."""
    return _pack(
        "POINT", name, _POINT, [_point_row(point) for point in points], timestamp_s, version
    )


def pack_trajectories(
    name: str, trajectories: Sequence[Trajectory], timestamp_s: float, version: int = 1
) -> bytes:
    """TRAJ. Raises MessageError."""
    rows = [_trajectory_row(trajectory) for trajectory in trajectories]
    return _pack("TRAJ", name, _TRAJECTORY, rows, timestamp_s, version)


def pack_image_list(
    name: str, images: Sequence[ImageDescription], timestamp_s: float, version: int = 1
) -> bytes:
    """IMGMETA. Raises MessageError."""
    rows = [_image_row(image) for image in images]
    return _pack("IMGMETA", name, _IMAGE, rows, timestamp_s, version)


def pack_label_list(
    name: str, labels: Sequence[LabelDescription], timestamp_s: float, version: int = 1
) -> bytes:
    """LBMETA. Raises MessageError."""
    rows = [_label_row(label) for label in labels]
    return _pack("LBMETA", name, _LABEL, rows, timestamp_s, version)


def decode_points(envelope: Envelope) -> list[Table]:
    """POINT. Raises MessageError; so do the three below."""
    return _decode(envelope, _POINT, _point)


def decode_trajectories(envelope: Envelope) -> list[Table]:
    """TRAJ."""
    return _decode(envelope, _TRAJECTORY, _trajectory)


def decode_image_list(envelope: Envelope) -> list[Table]:
    """IMGMETA."""
    return _decode(envelope, _IMAGE, _image)


def decode_label_list(envelope: Envelope) -> list[Table]:
    """LBMETA."""
    return _decode(envelope, _LABEL, _label)


def _pack(
    kind: str,
    name: str,
    layout: np.dtype[Any],
    rows: list[tuple[Any, ...]],
    timestamp_s: float,
    version: int,
) -> bytes:
    try:
        with np.errstate(over="raise"):
            content = np.array(rows, dtype=layout).tobytes()
    except (OverflowError, ValueError, TypeError, FloatingPointError) as error:
        raise MessageError("bad record", f"{kind}: {error}") from error
    return seal(kind, name, content, timestamp_s=timestamp_s, version=version)


def _decode(
    envelope: Envelope, layout: np.dtype[Any], read: Callable[[Any], Record]
) -> list[Table]:
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
        _colour(row["rgba"]),
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
        _colour(row["rgba"]),
        float(row["radius"]),
        fixed_text(row["owner"]),
    )


def _image_row(image: ImageDescription) -> tuple[Any, ...]:
    return (
        fixed_bytes(image.name, 64),
        fixed_bytes(image.device, 20),
        fixed_bytes(image.modality, 32),
        fixed_bytes(image.patient_name, 64),
        fixed_bytes(image.patient_id, 64),
        round(image.time_s * 2**32),
        image.size,
        image.scalar,
        0,
    )


def _image(row: Any) -> ImageDescription:
    return ImageDescription(
        fixed_text(row["name"]),
        fixed_text(row["device"]),
        fixed_text(row["modality"]),
        fixed_text(row["patient_name"]),
        fixed_text(row["patient_id"]),
        int(row["time"]) / 2**32,
        _size(row["size"]),
        int(row["scalar"]),
    )


def _label_row(label: LabelDescription) -> tuple[Any, ...]:
    return (
        fixed_bytes(label.name, 64),
        fixed_bytes(label.device, 20),
        label.label,
        0,
        label.rgba,
        label.size,
        fixed_bytes(label.owner, 20),
    )


def _label(row: Any) -> LabelDescription:
    return LabelDescription(
        fixed_text(row["name"]),
        fixed_text(row["device"]),
        int(row["label"]),
        _colour(row["rgba"]),
        _size(row["size"]),
        fixed_text(row["owner"]),
    )


def _finite(point_mm: PointMm) -> PointMm:
    if not all(map(math.isfinite, point_mm)):
        raise MessageError("position not finite", str(point_mm))
    return point_mm


def _place(raw: Any) -> PointMm:
    x, y, z = (float(value) for value in raw)
    return _finite((x, y, z))


def _colour(raw: Any) -> Colour:
    red, green, blue, alpha = (int(value) for value in raw)
    return red, green, blue, alpha


def _size(raw: Any) -> tuple[int, int, int]:
    columns, rows, slices = (int(value) for value in raw)
    return columns, rows, slices
