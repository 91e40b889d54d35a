"""The target's voxels, asked by position."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from ir_nav.geometry import FloatArray, apply, read_only
from ir_nav.imaging import (
    BoolArray,
    LabelMap,
    Structure,
    StructureSet,
    Volume,
    write_segmentation,
)
from ir_nav.planning.plan_errors import PlanError


@dataclass(frozen=True, slots=True, eq=False)
class TargetMask:
    """Where the target is.

    voxels: (k, j, i) bool, made read-only. ct_from_voxel: (4, 4) of the voxels' centres.
    """

    voxels: BoolArray
    ct_from_voxel: FloatArray

    def __post_init__(self) -> None:
        if self.voxels.ndim != 3 or not self.voxels.any():
            raise PlanError("the target holds no voxel: choose a structure that is in the labels")
        view = self.voxels.view()
        view.flags.writeable = False
        object.__setattr__(self, "voxels", view)
        object.__setattr__(self, "ct_from_voxel", read_only(self.ct_from_voxel))

    @staticmethod
    def of(labels: LabelMap, structure: str | int) -> TargetMask:
        """The mask of a structure; ImagingError when the labels name none, PlanError when it is
        empty."""
        return TargetMask(labels.mask(structure), labels.ct_from_voxel)

    @staticmethod
    def shown_as(labels: LabelMap, name: str) -> TargetMask | None:
        """The mask of the structure that the console shows under this name, as in Plan.structure;
        None when the labels hold none such."""
        ids = [number for number in labels.names if labels.display_name(number) == name]
        mask = labels.mask(ids)
        return TargetMask(mask, labels.ct_from_voxel) if mask.any() else None

    def holds(self, points_ct_mm: ArrayLike) -> BoolArray:
        """(n,) whether the voxel nearest to each point (n, 3) belongs; False outside the grid."""
        voxel_from_ct = np.linalg.inv(self.ct_from_voxel).astype(np.float64)
        index = np.rint(apply(voxel_from_ct, points_ct_mm)).astype(np.int64)
        size = np.array(self.voxels.shape[::-1])
        there = np.all((index >= 0) & (index < size), axis=1)
        i, j, k = np.where(there[:, None], index, 0).T
        return np.asarray(there & self.voxels[k, j, i])

    @property
    def volume_mm3(self) -> float:
        voxel_mm3 = abs(float(np.linalg.det(self.ct_from_voxel[:3, :3])))
        return float(np.count_nonzero(self.voxels)) * voxel_mm3

    @property
    def bounds_mm(self) -> FloatArray:
        """(2, 3): lowest and highest `ct` x, y, z of the target, to the faces of its voxels."""
        ranges = []
        for axes in ((0, 1), (0, 2), (1, 2)):
            used = np.flatnonzero(self.voxels.any(axis=axes))
            ranges.append((used[0] - 0.5, used[-1] + 0.5))
        corners = np.array(np.meshgrid(*ranges)).reshape(3, 8).T
        points = apply(self.ct_from_voxel, corners)
        return np.array([points.min(axis=0), points.max(axis=0)])


def write_target(
    path: Path, target: TargetMask, name: str, volume: Volume, *, description: str = "Target"
) -> None:
    """Write the target as DICOM SEG on its CT; ImagingError as of write_segmentation."""
    structure = Structure.of_mask(1, name, target.voxels)
    shape = volume.voxels.shape
    whole = StructureSet((structure,), shape, target.ct_from_voxel)
    write_segmentation(path, whole, volume, description=description)
