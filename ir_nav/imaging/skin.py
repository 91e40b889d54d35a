"""The body in a CT and its skin, without the table.

Coarse work runs on a grid of about 2.5 mm; the boundary itself is decided on the full grid, so
the skin is found to within a voxel and, where points are returned, below it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ir_nav.geometry import FloatArray, apply, unit
from ir_nav.imaging.ball_kernels import dense_in_rim
from ir_nav.imaging.balls import (
    filled_in_slices,
    grown,
    in_two,
    largest_piece,
    one_less,
    one_more,
    shrunk,
)
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.kernels import cross_skin
from ir_nav.imaging.volume import BoolArray, Volume, sample

SKIN_HU = -300.0
AIR_HU = -1000
COARSE_MM = 2.5

# Wider than tubes and sheet edges, narrower than an arm.
OPENING_RADIUS_MM = 6.0


def body_mask(volume: Volume) -> BoolArray:
    """(k, j, i) bool: the patient, with lungs and bowel gas, without table and blankets.

    Threshold at -300 HU, opening by 6 mm, largest component, holes filled in each axial slice,
    on a grid of about 2.5 mm; then each voxel near that outline is decided at full resolution.
    Raises ImagingError when nothing in the image is as dense as a body.
    """
    strides = _strides(volume)
    coarse = _coarse_body(_pooled(volume.voxels, strides) > SKIN_HU, volume, strides)
    # Deep inside everything is body, gas included; in the rim only what is dense.
    sure, possible = one_less(one_less(coarse)), one_more(coarse)
    body = np.empty(volume.voxels.shape, np.bool_)
    in_two(
        lambda first, last: dense_in_rim(
            volume.voxels, strides, sure, possible, SKIN_HU, body, first, last
        ),
        len(body),
    )
    return body


def skin_points(
    volume: Volume, body: BoolArray | None = None, max_points: int = 50_000
) -> FloatArray:
    """(n, 3) `ct` mm on the skin, below voxel size, spread evenly over it; n <= max_points.

    Each is where the CT number falls through -300 HU between a body voxel and its neighbour
    outside, by linear interpolation. The image's cut faces are not skin.
    """
    mask = body_mask(volume) if body is None else body
    points = np.concatenate([_crossings(volume, mask, axis) for axis in range(3)])
    keep = np.linspace(0, len(points) - 1, min(max_points, len(points))).astype(np.int64)
    kji = points[keep]
    return apply(volume.ct_from_voxel, kji[:, ::-1])


def skin_crossing(
    volume: Volume,
    inside_ct_mm: ArrayLike,
    outward_dir: ArrayLike,
    body: BoolArray | None = None,
) -> FloatArray | None:
    """(3,) where a ray from inside the body first leaves it; None when the image ends first.

    See skin_crossings. Pass `body` when asking more than once: the mask takes a second.
    """
    mask = body_mask(volume) if body is None else body
    found = skin_crossings(volume, mask, inside_ct_mm, [unit(outward_dir)])[0]
    return found if np.isfinite(found).all() else None


def skin_crossings(
    volume: Volume, body: BoolArray, inside_ct_mm: ArrayLike, outward_dirs: ArrayLike
) -> FloatArray:
    """(n, 3) `ct` mm where rays from one point along directions (n, 3) first leave the body.

    The mask tells which crossing is the skin; the CT number falling through -300 HU places it
    below voxel size. A row is NaN when the start is outside the body or the image ends first.
    """
    start = np.asarray(inside_ct_mm, dtype=np.float64)
    directions = np.atleast_2d(np.asarray(outward_dirs, dtype=np.float64))
    directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    matrix = volume.voxel_from_ct
    slopes = np.ascontiguousarray(directions @ matrix[:3, :3].T)
    travelled_mm = cross_skin(volume.voxels, body, apply(matrix, start), slopes, SKIN_HU)
    return np.asarray(start + travelled_mm[:, None] * directions)


def skin_facing(
    volume: Volume, body: BoolArray, from_ct_mm: ArrayLike, towards_dir: ArrayLike
) -> FloatArray | None:
    """(3,) `ct` mm where a ray from outside first meets the body; None where it meets none.

    The mask (k, j, i) tells where that is; the CT number rising through -300 HU places it below
    voxel size. The image's cut faces are not skin: a ray that comes in through one meets none.
    """
    start, step_mm = np.asarray(from_ct_mm, dtype=np.float64), 0.5 * min(volume.spacing_mm)
    direction = unit(towards_dir)
    matrix, top = volume.voxel_from_ct, np.array(volume.voxels.shape[::-1]) - 1.0
    origin, slope = apply(matrix, start), matrix[:3, :3] @ direction
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.sort([(0.0 - origin) / slope, (top - origin) / slope], axis=0)
    first, last = max(float(np.nanmax(ends[0])), 0.0), float(np.nanmin(ends[1]))
    if not first < last:
        return None
    steps_mm = np.arange(first, last, step_mm)
    i, j, k = np.rint(origin + steps_mm[:, None] * slope).astype(np.int64).T
    met = np.flatnonzero(body[k, j, i])
    if not len(met) or met[0] == 0:
        return None
    near_mm = steps_mm[met[0]] + np.arange(-2.0 * step_mm, 2.0 * step_mm, 0.1)
    dense = np.flatnonzero(sample(volume, start + near_mm[:, None] * direction) >= SKIN_HU)
    at_mm = near_mm[dense[0]] if len(dense) else steps_mm[met[0]]
    return np.asarray(start + at_mm * direction)


def _strides(volume: Volume) -> tuple[int, int, int]:
    """Voxels (k, j, i) that make up one coarse cell."""
    i, j, k = (max(1, round(COARSE_MM / spacing)) for spacing in volume.spacing_mm)
    return k, j, i


def _pooled(voxels: NDArray[np.int16], strides: tuple[int, int, int]) -> NDArray[np.int16]:
    """The middle voxel of each coarse cell; air where the last cells have none."""
    k, j, i = (stride // 2 if stride > 1 else 0 for stride in strides)
    sk, sj, si = strides
    padded = [-(-size // stride) for size, stride in zip(voxels.shape, strides, strict=True)]
    coarse = np.full(padded, AIR_HU, dtype=np.int16)
    picked = voxels[k::sk, j::sj, i::si]
    coarse[: picked.shape[0], : picked.shape[1], : picked.shape[2]] = picked
    return coarse


def _coarse_body(dense: BoolArray, volume: Volume, strides: tuple[int, int, int]) -> BoolArray:
    x_mm, y_mm, z_mm = volume.spacing_mm
    size_mm = (strides[0] * z_mm, strides[1] * y_mm, strides[2] * x_mm)
    core = largest_piece(shrunk(size_mm, dense, OPENING_RADIUS_MM))
    if not core.any():
        raise ImagingError("no body found: nothing in the image is denser than -300 HU")
    near = grown(size_mm, core, OPENING_RADIUS_MM)
    return filled_in_slices(_axial_axis(volume), near & dense)


def _axial_axis(volume: Volume) -> int:
    """The array axis closest to the patient's head-feet axis."""
    return 2 - int(np.argmax(np.abs(volume.ct_from_voxel[2, :3]) / np.array(volume.spacing_mm)))


def _crossings(volume: Volume, mask: BoolArray, axis: int) -> FloatArray:
    """(n, 3) positions [k, j, i] where the skin crosses grid lines along one array axis."""
    low = tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
    high = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
    at = np.argwhere(mask[low] != mask[high])
    other = at.copy()
    other[:, axis] += 1
    first = volume.voxels[tuple(at.T)].astype(np.float64)
    second = volume.voxels[tuple(other.T)].astype(np.float64)
    # Where a filled hole meets air nothing falls through the threshold: take the middle.
    real = (first > SKIN_HU) != (second > SKIN_HU)
    fraction = np.full(len(at), 0.5)
    np.divide(SKIN_HU - first, second - first, out=fraction, where=real)
    points = at.astype(np.float64)
    points[:, axis] += fraction
    return points
