"""Exact line integrals, slowly: every crossing of every voxel plane (Siddon 1985), in numpy.

Shares nothing with the projector but the definition of a pinhole.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ir_nav.geometry import CArmGeometry

Floats = NDArray[np.float64]


def exact_integrals(
    per_mm: NDArray[np.float32],
    ct_from_voxel: Floats,
    geometry: CArmGeometry,
    carm_from_ct: Floats,
    pixels_px: Floats,
) -> Floats:
    """(n,) integrals through voxel boxes (k, j, i) of 1/mm, along the rays of pixels (n, 2)."""
    ct_from_carm = np.linalg.inv(carm_from_ct)
    u, v = (np.asarray(pixels_px, dtype=np.float64) - geometry.principal_px).T
    on_detector = np.stack(
        [u * geometry.pixel_mm[0], v * geometry.pixel_mm[1], np.full(len(u), geometry.sid_mm)], 1
    )
    ends_ct = on_detector @ ct_from_carm[:3, :3].T + ct_from_carm[:3, 3]
    voxel_from_ct = np.linalg.inv(ct_from_voxel)
    start = voxel_from_ct[:3, :3] @ ct_from_carm[:3, 3] + voxel_from_ct[:3, 3]
    ends = ends_ct @ voxel_from_ct[:3, :3].T + voxel_from_ct[:3, 3]
    length_mm = np.linalg.norm(ends_ct - ct_from_carm[:3, 3], axis=1)
    return np.array(
        [
            _one(per_mm, start, end - start) * length
            for end, length in zip(ends, length_mm, strict=True)
        ]
    )


def _one(per_mm: NDArray[np.float32], start: Floats, way: Floats) -> float:
    """Sum of value times part of the way, in voxel coordinates i, j, k."""
    crossings = [np.array([0.0, 1.0])]
    for axis, size in enumerate(per_mm.shape[::-1]):
        if abs(way[axis]) > 1e-12:
            crossings.append((np.arange(size + 1) - 0.5 - start[axis]) / way[axis])
    at = np.sort(np.concatenate(crossings))
    at = at[(at >= 0.0) & (at <= 1.0)]
    middle = (at[1:] + at[:-1]) / 2.0
    i, j, k = np.floor(start[:, None] + way[:, None] * middle + 0.5).astype(np.int64)
    inside = (i >= 0) & (j >= 0) & (k >= 0)
    inside &= (i < per_mm.shape[2]) & (j < per_mm.shape[1]) & (k < per_mm.shape[0])
    return float((per_mm[k[inside], j[inside], i[inside]] * np.diff(at)[inside]).sum())
