"""Compiled inner loops of slabs and curved slices: numba, no GIL, no allocation per pixel.

Fixed point as in `window_plane`: positions carry 32 fractional bits, weights 12, values 2. Extremes
are kept without branches, which the processor would guess wrong at every edge.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ir_nav.imaging.kernels import GREY_ONE, ONE, _nudged, inside, row_range, trilinear

Floats = NDArray[np.float64]

MAXIMUM, MINIMUM, MEAN = 0, 1, 2
_NOTHING = -(1 << 30)


@njit(nogil=True, cache=True, inline="always")
def _tap(flat: Any, x: Any, y: Any, z: Any, line_size: Any, slice_size: Any) -> Any:
    """Trilinear value in quarters of HU at a fixed-point place inside the grid."""
    down = np.uint64(line_size)
    at = np.uint64((z >> 32) * slice_size + (y >> 32) * line_size + (x >> 32))
    right = np.uint64(1)
    fx = np.int32((x >> 20) & 4095)
    fy = np.int32((y >> 20) & 4095)
    fz = np.int32((z >> 20) & 4095)
    a = np.int32(flat[at])
    b = np.int32(flat[at + down])
    a = (a << 2) + ((fx * (np.int32(flat[at + right]) - a)) >> 10)
    b = (b << 2) + ((fx * (np.int32(flat[at + down + right]) - b)) >> 10)
    near = a + ((fy * (b - a)) >> 12)
    at += np.uint64(slice_size)
    a = np.int32(flat[at])
    b = np.int32(flat[at + down])
    a = (a << 2) + ((fx * (np.int32(flat[at + right]) - a)) >> 10)
    b = (b << 2) + ((fx * (np.int32(flat[at + down + right]) - b)) >> 10)
    far = a + ((fy * (b - a)) >> 12)
    return near + ((fz * (far - near)) >> 12)


@njit(nogil=True, cache=True, error_model="numpy")
def slab_rows(
    voxels: NDArray[np.int16],
    voxel_from_view: Floats,
    depths_px: Floats,
    kind: int,
    low_hu: float,
    grey_per_hu: float,
    first_row: int,
    out: NDArray[np.uint8],
) -> None:
    """Project samples at several depths onto a plane and window the result to 0..255.

    depths_px: where the samples lie, in units of voxel_from_view's third column. out: the
    rows from `first_row` on. A pixel takes the samples inside the grid; 0 where there are none.
    """
    flat = voxels.ravel()
    line_size = np.int64(voxels.shape[2])
    slice_size = np.int64(voxels.shape[1]) * line_size
    columns = out.shape[1]
    best = np.empty(columns, np.int32)
    count = np.empty(columns, np.int32)
    m = _nudged(voxel_from_view, voxels.shape)
    shifted = np.empty((3, 4))
    di = np.int64(m[0, 0] * ONE)
    dj = np.int64(m[1, 0] * ONE)
    dk = np.int64(m[2, 0] * ONE)
    gain = np.int64(grey_per_hu * GREY_ONE)
    offset = np.int64((0.5 - low_hu * grey_per_hu) * 4.0 * GREY_ONE)
    start = _NOTHING if kind == MAXIMUM else (0 if kind == MEAN else -_NOTHING)
    for line in range(out.shape[0]):
        row = first_row + line
        best[:] = start
        count[:] = 0
        for depth in depths_px:
            for axis in range(3):
                for column in range(4):
                    shifted[axis, column] = voxel_from_view[axis, column]
                shifted[axis, 3] += depth * voxel_from_view[axis, 2]
            low, high = row_range(shifted, row, voxels.shape, columns)
            x = np.int64((m[0, 0] * low + m[0, 1] * row + m[0, 2] * depth + m[0, 3]) * ONE)
            y = np.int64((m[1, 0] * low + m[1, 1] * row + m[1, 2] * depth + m[1, 3]) * ONE)
            z = np.int64((m[2, 0] * low + m[2, 1] * row + m[2, 2] * depth + m[2, 3]) * ONE)
            kept = best[low:high]
            if kind == MAXIMUM:
                for column in range(kept.shape[0]):
                    more = np.int64(_tap(flat, x, y, z, line_size, slice_size)) - kept[column]
                    kept[column] += more & ~(more >> 63)
                    x += di
                    y += dj
                    z += dk
            elif kind == MINIMUM:
                for column in range(kept.shape[0]):
                    more = np.int64(_tap(flat, x, y, z, line_size, slice_size)) - kept[column]
                    kept[column] += more & (more >> 63)
                    x += di
                    y += dj
                    z += dk
            else:
                for column in range(kept.shape[0]):
                    kept[column] += _tap(flat, x, y, z, line_size, slice_size)
                    x += di
                    y += dj
                    z += dk
            for column in range(low, high):
                count[column] += 1
        for column in range(columns):
            if count[column] == 0:
                out[line, column] = 0
                continue
            value = np.int64(best[column])
            if kind == MEAN:
                value = value // count[column]
            grey = (value * gain + offset) >> 26
            out[line, column] = np.uint8(min(max(grey, np.int64(0)), np.int64(255)))


@njit(nogil=True, cache=True)
def curved_rows(
    voxels: NDArray[np.int16],
    voxel_from_ct: Floats,
    starts_ct_mm: Floats,
    steps_ct_mm: Floats,
    out: NDArray[np.float32],
) -> None:
    """Trilinear values on one straight line per row, float32 (rows, columns); NaN outside.

    starts_ct_mm, steps_ct_mm: (rows, 3) first pixel and way to the next one.
    """
    m = voxel_from_ct
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            px = starts_ct_mm[row, 0] + column * steps_ct_mm[row, 0]
            py = starts_ct_mm[row, 1] + column * steps_ct_mm[row, 1]
            pz = starts_ct_mm[row, 2] + column * steps_ct_mm[row, 2]
            i = m[0, 0] * px + m[0, 1] * py + m[0, 2] * pz + m[0, 3]
            j = m[1, 0] * px + m[1, 1] * py + m[1, 2] * pz + m[1, 3]
            k = m[2, 0] * px + m[2, 1] * py + m[2, 2] * pz + m[2, 3]
            if inside(voxels, i, j, k):
                out[row, column] = trilinear(voxels, i, j, k)
            else:
                out[row, column] = np.nan
