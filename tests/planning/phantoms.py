"""Water blocks with planted obstacles: where the best path runs is known."""

from __future__ import annotations

import numpy as np

from ir_nav.imaging import LabelMap, Volume, VolumeInfo
from ir_nav.planning import Ground, Limit, Protocol, StructureRule, prepare

RADIUS_MM = 0.6


def kept(name: str, pattern: str, margin_mm: float, **more: object) -> StructureRule:
    """A structure to keep away from."""
    values = {"name": name, "role": "avoid", "patterns": (pattern,), "margin_mm": margin_mm}
    return StructureRule.model_validate(values | {"source": "test"} | more)


BONE = kept("Bone", "rib*", 2.0, without_label={"above_hu": 250.0}, shadows=True)
LUNG = kept("Lung", "lung*", 5.0, without_label={"below_hu": -400.0}, shadows=True)
VESSEL = kept("Vessel", "*vein*", 5.0)
ORGAN = kept("Organ", "kidney*", 3.0)
NAMES = {1: "rib_left_7", 2: "portal_vein", 3: "Kidney right"}


def limit(criterion: str, hard: bool = False, **ends: float) -> Limit:
    return Limit.model_validate({"criterion": criterion, "hard": hard, "source": "test"} | ends)


def protocol(**changes: object) -> Protocol:
    """30 to 150 mm, 60 degrees to the skin, from the front; every key can be changed."""
    values: dict[str, object] = {
        "format": 2,
        "name": "Test",
        "reachable_from": ("A",),
        "needles": ({"name": "18 G", "gauge": 18, "radius_mm": RADIUS_MM, "length_mm": 150.0},),
        "structures": (BONE, VESSEL, ORGAN),
        "limits": (
            limit("length_mm", hard=True, min=30.0, max=150.0),
            limit("skin_angle_deg", hard=True, max=60.0),
        ),
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

    def ground(
        self,
        rules: Protocol | None = None,
        names: dict[int, str] | None = None,
        labelled: bool = True,
        sampling_mm: float = 1.5,
    ) -> Ground:
        """Ready to plan on; the body is known, not found."""
        return prepare(
            self.volume(),
            self.label_map(names) if labelled else None,
            protocol() if rules is None else rules,
            body=self.body,
            sampling_mm=sampling_mm,
        )
