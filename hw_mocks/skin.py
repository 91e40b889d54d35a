"""The patient's skin: where a line leaves the body, and where fiducials can be stuck."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from hw_mocks.anatomy import Anatomy, AnatomyError, body_mask
from ir_nav.geometry import FloatArray, apply, unit

MARCH_MM = 0.5
HALFWAY_HU = -480.0
EDGE_MARGIN_MM = 15.0


def skin_mask(anatomy: Anatomy) -> NDArray[np.bool_]:
    """The body (k, j, i), air inside filled, table and everything outside excluded."""
    return body_mask(anatomy.hu, anatomy.spacing_mm)


def skin_entry(
    anatomy: Anatomy,
    inside_ct_mm: ArrayLike,
    direction_out: ArrayLike,
    mask: NDArray[np.bool_] | None = None,
) -> FloatArray:
    """Where a ray (3,) from inside the body last leaves it, (3,) mm, sub-voxel.

    The last crossing, so that a fold, lung or bowel gas on the way is no skin. `mask` spares
    computing `skin_mask` again. Raises AnatomyError when the start is outside the body or the
    ray leaves through the end of the volume.
    """
    body = skin_mask(anatomy) if mask is None else mask
    start = np.asarray(inside_ct_mm, dtype=np.float64)
    direction = unit(direction_out)
    length = float(np.linalg.norm(np.array(anatomy.hu.shape[::-1]) * anatomy.spacing_mm))
    along_mm = np.arange(0.0, length, MARCH_MM)
    points = start + along_mm[:, None] * direction
    ijk = apply(anatomy.voxel_from_ct, points)
    in_volume = np.all((ijk > -0.5) & (ijk < np.array(body.shape[::-1]) - 0.5), axis=1)
    filled = _interpolate(body, ijk)
    if filled[0] < 0.5:
        raise AnatomyError("the starting point is not inside the body")
    last = int(np.flatnonzero((filled >= 0.5) & in_volume)[-1])
    if last + 1 >= len(points) or not in_volume[last + 1]:
        raise AnatomyError("the line leaves the CT before it reaches the skin")
    return _halfway_to_air(anatomy, points[last], direction)


def _halfway_to_air(anatomy: Anatomy, near_ct_mm: FloatArray, direction: FloatArray) -> FloatArray:
    """Where the CT number last falls half-way from tissue to air, within 2 voxels of the mask."""
    reach = 2.0 * float(anatomy.spacing_mm.max())
    along = np.linspace(-reach, reach, 161)
    hu = anatomy.sample_hu(near_ct_mm + along[:, None] * direction)
    falls = np.flatnonzero((hu[:-1] >= HALFWAY_HU) & (hu[1:] < HALFWAY_HU))
    return np.asarray(near_ct_mm + (along[falls[-1]] if falls.size else 0.0) * direction)


def skin_normal(
    anatomy: Anatomy, point_ct_mm: ArrayLike, mask: NDArray[np.bool_] | None = None
) -> FloatArray:
    """Outward unit normal (3,) of the skin near a point: gradient of the mask over ~20 mm."""
    body = skin_mask(anatomy) if mask is None else mask
    spacing = anatomy.spacing_mm
    reach = np.maximum(2, np.rint(20.0 / spacing)).astype(int)
    centre = np.rint(apply(anatomy.voxel_from_ct, point_ct_mm)).astype(int)
    spans = [slice(max(0, c - r), c + r + 1) for c, r in zip(centre, reach, strict=True)]
    block = body[spans[2], spans[1], spans[0]].astype(np.float32)
    smooth = ndimage.gaussian_filter(block, tuple(5.0 / spacing[::-1]), mode="nearest")
    k, j, i = (int(centre[axis] - spans[axis].start) for axis in (2, 1, 0))
    slopes = np.gradient(smooth)
    downhill = -np.array([slopes[2][k, j, i], slopes[1][k, j, i], slopes[0][k, j, i]]) / spacing
    if np.linalg.norm(downhill) < 1e-9:
        raise AnatomyError("the point is not near the skin")
    return unit(anatomy.ct_from_voxel[:3, :3] / spacing @ downhill)


def place_fiducials(
    anatomy: Anatomy,
    around_ct_mm: ArrayLike,
    count: int = 6,
    spread_mm: float = 120.0,
) -> FloatArray:
    """Skin points (count, 3) in front and to the right of a target, well spread, not coplanar.

    Farthest-point sampling (Gonzalez 1985) over rays from the target, kept `spread_mm` at most
    from the skin point nearest to the target and off the ends of the volume. Raises
    AnatomyError when the skin there is too small.
    """
    body = skin_mask(anatomy)
    candidates = _candidates(anatomy, np.asarray(around_ct_mm, dtype=np.float64), body, spread_mm)
    if len(candidates) < count:
        raise AnatomyError(f"the CT shows too little skin around the target for {count} fiducials")
    distance_mm = np.linalg.norm(candidates - np.asarray(around_ct_mm), axis=1)
    chosen = [int(np.argmax(distance_mm))]
    while len(chosen) < count:
        gaps = np.linalg.norm(candidates[:, None] - candidates[chosen][None], axis=2).min(axis=1)
        chosen.append(int(np.argmax(gaps)))
    return np.asarray(candidates[chosen])


def _candidates(
    anatomy: Anatomy, target: FloatArray, body: NDArray[np.bool_], spread_mm: float
) -> FloatArray:
    found = []
    for azimuth_deg in np.arange(-10.0, 121.0, 10.0):  # 0: to the right; 90: to the front
        for climb in (-0.8, -0.5, -0.25, 0.0, 0.25, 0.5, 0.8):
            angle = np.radians(azimuth_deg)
            direction = np.array([-np.cos(angle), -np.sin(angle), climb])
            try:
                point = skin_entry(anatomy, target, direction, body)
            except AnatomyError:
                continue
            if _clear_of_edges(anatomy, point):
                found.append(point)
    if not found:
        return np.empty((0, 3))
    points = np.array(found)
    nearest = points[np.argmin(np.linalg.norm(points - target, axis=1))]
    return np.asarray(points[np.linalg.norm(points - nearest, axis=1) <= spread_mm])


def _clear_of_edges(anatomy: Anatomy, point_ct_mm: FloatArray) -> bool:
    ijk = apply(anatomy.voxel_from_ct, point_ct_mm)
    margin = EDGE_MARGIN_MM / anatomy.spacing_mm
    margin[:2] = 3.0 / anatomy.spacing_mm[:2]
    return bool(np.all((ijk > margin) & (ijk < np.array(anatomy.hu.shape[::-1]) - 1 - margin)))


def _interpolate(body: NDArray[np.bool_], ijk: FloatArray) -> FloatArray:
    low = np.maximum(np.floor(ijk.min(axis=0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(ijk.max(axis=0)).astype(int) + 2, np.array(body.shape[::-1]))
    block = body[low[2] : high[2], low[1] : high[1], low[0] : high[0]].astype(np.float32)
    return np.asarray(
        ndimage.map_coordinates(block, (ijk - low)[:, ::-1].T, order=1, mode="nearest")
    )
