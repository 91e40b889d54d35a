"""An independent judge of paths: 0.1 mm steps against the boxes of label voxels, by KD-tree.

Shares no code with the search: no distance map, no kernel.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from ir_nav.geometry import FloatArray
from ir_nav.imaging import LabelMap

STEP_MM = 0.1


class BoxJudge:
    """Distances to the voxels of some labels, each a box of the grid's spacing."""

    def __init__(self, labels: LabelMap, ids: list[int]) -> None:
        self._half = np.array(labels.spacing_mm) / 2.0
        self._corner = float(np.linalg.norm(self._half))
        self._axes = labels.ct_from_voxel[:3, :3] / np.array(labels.spacing_mm)
        self._origin = labels.ct_from_voxel[:3, 3]
        index = np.argwhere(np.isin(labels.voxels, ids))[:, ::-1]
        self._centres = index * np.array(labels.spacing_mm)
        self._tree = cKDTree(self._centres, balanced_tree=False) if len(index) else None

    def distance_mm(
        self, entry_ct_mm: FloatArray, target_ct_mm: FloatArray, far_mm: float = np.inf
    ) -> float:
        """Least distance of the samples of a path to any box; beyond `far_mm` only that much
        is promised. inf without a box."""
        if self._tree is None:
            return float("inf")
        points = self._walk(np.asarray(entry_ct_mm), np.asarray(target_ct_mm))
        rough, _ = self._tree.query(points[::10])
        if rough.min() - self._corner - 5.0 * STEP_MM > far_mm:
            return far_mm
        # The nearest box need not be the one with the nearest centre.
        reach = float(rough.min()) + 2.0 * self._corner + 10.0 * STEP_MM
        near = np.flatnonzero(np.repeat(rough <= reach, 10)[: len(points)])
        boxes = np.unique(
            np.concatenate(self._tree.query_ball_point(points[near[::10]], reach)).astype(int)
        )
        least = float("inf")
        for some in np.array_split(near, max(1, len(near) * len(boxes) // 200_000)):
            gaps = np.abs(self._centres[boxes] - points[some][:, None]) - self._half
            least = min(least, float(np.square(np.maximum(gaps, 0.0)).sum(axis=2).min()))
        return least**0.5

    def _walk(self, entry: FloatArray, target: FloatArray) -> FloatArray:
        length = float(np.linalg.norm(target - entry))
        parts = np.append(np.arange(0.0, length, STEP_MM) / length, 1.0)[:, None]
        points = (1.0 - parts) * entry + parts * target
        return np.asarray((points - self._origin) @ self._axes)
