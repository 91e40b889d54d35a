"""Drawing by hand: strokes of a round brush, and smoothing."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from ir_nav.geometry import FloatArray, apply, unit
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.segmentation.segments import (
    Box,
    Segment,
    Segmentation,
    trimmed,
    widened,
    within,
)
from ir_nav.imaging.volume import spacing_of

SMALLEST_MM, LARGEST_MM = 1.0, 40.0
SMOOTHEST_MM = 5.0


def brushed(
    segmentation: Segmentation,
    segment: Segment,
    points_ct_mm: ArrayLike,
    radius_mm: float,
    *,
    erase: bool = False,
    disc_normal_ct: ArrayLike | None = None,
) -> Segment:
    """The segment with a stroke added or taken away.

    points_ct_mm: (n, 3) where the brush's middle went; every voxel centre within radius_mm of
    that line belongs to the stroke, so its border is a sphere's or a tube's. disc_normal_ct:
    (3,) for a flat brush, half a voxel thick to each side of its plane through the first point.
    """
    if not SMALLEST_MM <= radius_mm <= LARGEST_MM:
        raise ImagingError(f"the brush is between {SMALLEST_MM:g} and {LARGEST_MM:g} mm wide")
    points = np.atleast_2d(np.asarray(points_ct_mm, dtype=np.float64))
    box = _box_of(segmentation, points, radius_mm)
    if box is None:
        return segment
    normal, thickness_mm = np.zeros(3), 0.0
    if disc_normal_ct is not None:
        normal = unit(disc_normal_ct)
        thickness_mm = _half_voxel_mm(segmentation, normal)
    stroke = np.zeros([side.stop - side.start for side in box], np.bool_)
    _stroke(
        stroke,
        np.array([side.start for side in box], np.int64),
        segmentation.ct_from_voxel,
        points,
        radius_mm,
        normal,
        thickness_mm,
    )
    corner, part = widened(segment.structure, box)
    here = part[within(box, corner)]
    if erase:
        here &= ~stroke
    else:
        here |= stroke
    return segment.shaped(*trimmed(corner, part))


def smoothed(segmentation: Segmentation, segment: Segment, width_mm: float) -> Segment:
    """The segment with a smoother surface and the same number of voxels.

    Gaussian of `width_mm` (standard deviation) on the mask, cut at the level that keeps the
    volume; details narrower than about the width go.
    """
    if not 0.0 < width_mm <= SMOOTHEST_MM:
        raise ImagingError(f"smoothing takes a width of up to {SMOOTHEST_MM:g} mm")
    structure = segment.structure
    count = structure.voxel_count
    if count == 0:
        return segment
    sigma = [width_mm / step for step in spacing_of(segmentation.ct_from_voxel)[::-1]]
    k, j, i = (
        slice(max(side.start - math.ceil(3.0 * s), 0), min(side.stop + math.ceil(3.0 * s), size))
        for side, s, size in zip(structure.box, sigma, segmentation.shape_kji, strict=True)
    )
    corner, part = widened(structure, (k, j, i))
    # At the image's faces the structure is taken to go on.
    soft = ndimage.gaussian_filter(part.astype(np.float32), sigma, mode="nearest", truncate=3.0)
    level = np.partition(soft.ravel(), soft.size - count)[soft.size - count]
    return segment.shaped(*trimmed(corner, soft >= max(level, 1e-6)))


def _box_of(segmentation: Segmentation, points: FloatArray, radius_mm: float) -> Box | None:
    """Voxels that the stroke can reach; None when it misses the grid."""
    voxel_from_ct = np.asarray(np.linalg.inv(segmentation.ct_from_voxel), np.float64)
    places = apply(voxel_from_ct, points)[:, ::-1]
    reach = radius_mm / np.array(spacing_of(segmentation.ct_from_voxel)[::-1]) + 1.0
    low = np.maximum(np.floor(places.min(axis=0) - reach), 0).astype(int)
    high = np.ceil(places.max(axis=0) + reach).astype(int) + 1
    high = np.minimum(high, segmentation.shape_kji)
    if np.any(high <= low):
        return None
    k, j, i = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return k, j, i


def _half_voxel_mm(segmentation: Segmentation, normal: FloatArray) -> float:
    """Half a voxel's extent along the normal: every plane then holds a layer of centres."""
    return float(np.abs(normal @ segmentation.ct_from_voxel[:3, :3]).sum()) / 2.0 + 1e-6


@njit(nogil=True, cache=True)
def _stroke(
    out: NDArray[np.bool_],
    start_kji: NDArray[np.int64],
    ct_from_voxel: NDArray[np.float64],
    points: NDArray[np.float64],
    radius_mm: float,
    normal: NDArray[np.float64],
    thickness_mm: float,
) -> None:
    """Voxel centres within radius_mm of the polyline; thickness_mm 0 for a sphere."""
    place = np.empty(3)
    for k in range(out.shape[0]):
        for j in range(out.shape[1]):
            for i in range(out.shape[2]):
                off = 0.0
                for axis in range(3):
                    place[axis] = (
                        ct_from_voxel[axis, 0] * (i + start_kji[2])
                        + ct_from_voxel[axis, 1] * (j + start_kji[1])
                        + ct_from_voxel[axis, 2] * (k + start_kji[0])
                        + ct_from_voxel[axis, 3]
                    )
                    off += normal[axis] * (place[axis] - points[0, axis])
                if thickness_mm > 0.0 and abs(off) > thickness_mm:
                    continue
                flat = off if thickness_mm > 0.0 else 0.0
                out[k, j, i] = _near(place, points, radius_mm * radius_mm, flat * flat)


@njit(nogil=True, cache=True, inline="always")
def _near(
    place: NDArray[np.float64], points: NDArray[np.float64], limit_mm2: float, spared_mm2: float
) -> bool:
    """Whether a point lies within the limit of the polyline, `spared_mm2` taken off."""
    last = max(len(points) - 1, 1)
    for n in range(last):
        m = min(n + 1, len(points) - 1)
        length = 0.0
        along = 0.0
        for axis in range(3):
            edge = points[m, axis] - points[n, axis]
            length += edge * edge
            along += edge * (place[axis] - points[n, axis])
        share = 0.0 if length < 1e-12 else min(max(along / length, 0.0), 1.0)
        away = -spared_mm2
        for axis in range(3):
            foot = points[n, axis] + share * (points[m, axis] - points[n, axis])
            away += (place[axis] - foot) ** 2
        if away <= limit_mm2:
            return True
    return False
