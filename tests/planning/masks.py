"""Targets of known shape."""

from __future__ import annotations

import numpy as np

from ir_nav.planning.target_mask import TargetMask


def ball(
    radius_mm: float,
    centre_ct_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0),
    half_mm: float = 40.0,
) -> TargetMask:
    """A ball in a cube of 2 x half_mm about the origin of `ct`."""
    points, ct_from_voxel = grid(spacing_mm, half_mm)
    inside = np.linalg.norm(points - centre_ct_mm, axis=-1) <= radius_mm
    return TargetMask(inside, ct_from_voxel)


def grid(spacing_mm: tuple[float, float, float], half_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Centres (k, j, i, 3) of the voxels and ct_from_voxel (4, 4)."""
    axes = [np.arange(-half_mm, half_mm + step / 2, step) for step in spacing_mm]
    z, y, x = np.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
    ct_from_voxel = np.diag([*spacing_mm, 1.0])
    ct_from_voxel[:3, 3] = -half_mm
    return np.stack([x, y, z], axis=-1), ct_from_voxel
