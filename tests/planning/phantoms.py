"""Water blocks with planted obstacles: where the best path runs is known."""

from __future__ import annotations

import numpy as np

from ir_nav.imaging import LabelMap, Volume, VolumeInfo
from ir_nav.planning import Avoid, Protocol

BONE = Avoid(name="Bone", structures=("rib*",), margin_mm=2.0, source="test")
VESSEL = Avoid(name="Vessel", structures=("*vein*",), margin_mm=5.0, source="test")
ORGAN = Avoid(name="Organ", structures=("kidney*",), margin_mm=3.0, source="test")
NAMES = {1: "rib_left_7", 2: "portal_vein", 3: "Kidney right"}


def protocol(**changes: object) -> Protocol:
    values: dict[str, object] = {
        "format": 1,
        "name": "Test",
        "min_length_mm": 30.0,
        "max_length_mm": 150.0,
        "max_skin_angle_deg": 60.0,
        "reachable_from": ("A",),
        "avoid": (BONE, VESSEL, ORGAN),
    }
    return Protocol.model_validate(values | changes)


class Block:
    """A block of water, 120 x 100 x 120 mm about the origin of `ct`, in air.

    points: (k, j, i, 3) mm of every voxel centre; paint obstacles with masks over them.
    """

    def __init__(self, spacing_mm: tuple[float, float, float] = (2.0, 2.0, 2.0)) -> None:
        size = [round(180.0 / step) for step in spacing_mm]
        self.ct_from_voxel = np.diag([*spacing_mm, 1.0])
        self.ct_from_voxel[:3, 3] = [
            -(count - 1) * step / 2 for count, step in zip(size, spacing_mm, strict=True)
        ]
        index = np.moveaxis(np.indices(size[::-1])[::-1], 0, -1).astype(float)
        self.points = index * spacing_mm + self.ct_from_voxel[:3, 3]
        x, y, z = np.moveaxis(np.abs(self.points), -1, 0)
        self.body = (x <= 60.0) & (y <= 50.0) & (z <= 60.0)
        self.labels = np.zeros(self.body.shape, dtype=np.uint8)

    def wall(self, number: int, y_mm: float, thick_mm: float = 4.0) -> np.ndarray:
        """Fill a plane across the whole block, between the skin in front and the middle."""
        plane = (np.abs(self.points[..., 1] - y_mm) < thick_mm / 2) & self.body
        self.labels[plane] = number
        return plane

    def hole(self, x_mm: float, z_mm: float, radius_mm: float) -> None:
        """Clear a round way along y."""
        across = np.hypot(self.points[..., 0] - x_mm, self.points[..., 2] - z_mm)
        self.labels[across < radius_mm] = 0

    def volume(self) -> Volume:
        hu = np.where(self.body, 40, -1000).astype(np.int16)
        hu[self.labels == 1] = 700
        return Volume(hu, self.ct_from_voxel, "test", VolumeInfo())

    def label_map(self, names: dict[int, str] | None = None) -> LabelMap:
        return LabelMap(self.labels, self.ct_from_voxel, NAMES if names is None else names)
