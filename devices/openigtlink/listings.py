"""What images and label maps a sender has: IMGMETA, LBMETA.

Layouts: protocol v3 pages of the two types.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from devices.openigtlink.envelope import Envelope
from devices.openigtlink.header import fixed_bytes, fixed_text
from devices.openigtlink.records import Colour, Table, colour, decode_table, pack_table

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


def pack_image_list(
    name: str, images: Sequence[ImageDescription], timestamp_s: float, version: int = 1
) -> bytes:
    """IMGMETA. Raises MessageError."""
    rows = [_image_row(image) for image in images]
    return pack_table("IMGMETA", name, _IMAGE, rows, timestamp_s, version)


def pack_label_list(
    name: str, labels: Sequence[LabelDescription], timestamp_s: float, version: int = 1
) -> bytes:
    """LBMETA. Raises MessageError."""
    rows = [_label_row(label) for label in labels]
    return pack_table("LBMETA", name, _LABEL, rows, timestamp_s, version)


def decode_image_list(envelope: Envelope) -> list[Table]:
    """IMGMETA."""
    return decode_table(envelope, _IMAGE, _image)


def decode_label_list(envelope: Envelope) -> list[Table]:
    """LBMETA."""
    return decode_table(envelope, _LABEL, _label)


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
        colour(row["rgba"]),
        _size(row["size"]),
        fixed_text(row["owner"]),
    )


def _size(raw: Any) -> tuple[int, int, int]:
    columns, rows, slices = (int(value) for value in raw)
    return columns, rows, slices
