"""Compiled inner loops over voxel grids: numba, no GIL, no allocation per pixel.

Voxel coordinates are (i, j, k) = (column, row, slice) at voxel centres; arrays are [k, j, i].
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# A point this far outside the outermost voxel centres, in voxels, still counts as on them.
EDGE = 1e-4


@njit(nogil=True, cache=True, inline="always")
def _clip_range(start: float, step: float, last: float, low: int, high: int) -> tuple[int, int]:
    """Narrow columns [low, high) to those where 0 <= start + column * step <= last."""
    if abs(step) < 1e-12:
        if start < -EDGE or start > last + EDGE:
            return 0, 0
        return low, high
    first = (-EDGE - start) / step
    second = (last + EDGE - start) / step
    if first > second:
        first, second = second, first
    if second < 0.0 or first > high:
        return 0, 0
    return max(low, math.ceil(first)), min(high, math.floor(second) + 1)


@njit(nogil=True, cache=True, inline="always")
def row_range(
    i: float, j: float, k: float, di: float, dj: float, dk: float, shape: Any, columns: int
) -> tuple[int, int]:
    """Columns [low, high) of a view row that lie inside the grid."""
    low, high = _clip_range(i, di, shape[2] - 1.0, 0, columns)
    low, high = _clip_range(j, dj, shape[1] - 1.0, low, high)
    return _clip_range(k, dk, shape[0] - 1.0, low, high)


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def window_plane(
    voxels: NDArray[np.int16],
    voxel_from_view: Floats,
    low_hu: float,
    grey_per_hu: float,
    out: NDArray[np.uint8],
) -> None:
    """Trilinear oblique slice, windowed to 0..255, into `out` (rows, columns); 0 outside."""
    flat = voxels.ravel()
    stride_j = np.int32(voxels.shape[2])
    stride_k = np.int64(voxels.shape[1]) * voxels.shape[2]
    top_i = np.int32(voxels.shape[2] - 2)
    top_j = np.int32(voxels.shape[1] - 2)
    top_k = np.int32(voxels.shape[0] - 2)
    di = np.float32(voxel_from_view[0, 0])
    dj = np.float32(voxel_from_view[1, 0])
    dk = np.float32(voxel_from_view[2, 0])
    gain = np.float32(grey_per_hu)
    offset = np.float32(0.5 - low_hu * grey_per_hu)
    for row in range(out.shape[0]):
        i0 = voxel_from_view[0, 1] * row + voxel_from_view[0, 3]
        j0 = voxel_from_view[1, 1] * row + voxel_from_view[1, 3]
        k0 = voxel_from_view[2, 1] * row + voxel_from_view[2, 3]
        low, high = row_range(
            i0,
            j0,
            k0,
            voxel_from_view[0, 0],
            voxel_from_view[1, 0],
            voxel_from_view[2, 0],
            voxels.shape,
            out.shape[1],
        )
        line = out[row]
        line[:low] = 0
        line[max(low, high) :] = 0
        si = np.float32(i0)
        sj = np.float32(j0)
        sk = np.float32(k0)
        for column in range(low, high):
            c = np.float32(column)
            x = max(si + c * di, np.float32(0.0))
            y = max(sj + c * dj, np.float32(0.0))
            z = max(sk + c * dk, np.float32(0.0))
            i = min(np.int32(x), top_i)
            j = min(np.int32(y), top_j)
            k = min(np.int32(z), top_k)
            fx = x - np.float32(i)
            fy = y - np.float32(j)
            fz = z - np.float32(k)
            at = k * stride_k + j * stride_j + i
            a = np.float32(flat[at])
            b = np.float32(flat[at + stride_j])
            a += fx * (np.float32(flat[at + 1]) - a)
            b += fx * (np.float32(flat[at + stride_j + 1]) - b)
            a += fy * (b - a)
            at += stride_k
            b = np.float32(flat[at])
            d = np.float32(flat[at + stride_j])
            b += fx * (np.float32(flat[at + 1]) - b)
            d += fx * (np.float32(flat[at + stride_j + 1]) - d)
            b += fy * (d - b)
            grey = (a + fz * (b - a)) * gain + offset
            line[column] = np.uint8(np.int32(min(max(grey, np.float32(0.0)), np.float32(255.0))))


@njit(nogil=True, cache=True)
def nearest_plane(voxels: NDArray[Any], voxel_from_view: Floats, out: NDArray[Any]) -> None:
    """Nearest-voxel oblique slice into `out` (rows, columns); 0 outside."""
    di = voxel_from_view[0, 0]
    dj = voxel_from_view[1, 0]
    dk = voxel_from_view[2, 0]
    for row in range(out.shape[0]):
        i0 = voxel_from_view[0, 1] * row + voxel_from_view[0, 3]
        j0 = voxel_from_view[1, 1] * row + voxel_from_view[1, 3]
        k0 = voxel_from_view[2, 1] * row + voxel_from_view[2, 3]
        low, high = row_range(i0, j0, k0, di, dj, dk, voxels.shape, out.shape[1])
        line = out[row]
        line[:low] = 0
        line[max(low, high) :] = 0
        for column in range(low, high):
            i = int(i0 + column * di + 0.5)
            j = int(j0 + column * dj + 0.5)
            k = int(k0 + column * dk + 0.5)
            line[column] = voxels[k, j, i]


@njit(nogil=True, cache=True, inline="always")
def trilinear(voxels: NDArray[np.int16], i: float, j: float, k: float) -> float:
    """Value at a voxel position that lies inside the grid."""
    i0 = min(max(int(i), 0), voxels.shape[2] - 2)
    j0 = min(max(int(j), 0), voxels.shape[1] - 2)
    k0 = min(max(int(k), 0), voxels.shape[0] - 2)
    fi = i - i0
    fj = j - j0
    fk = k - k0
    value = 0.0
    for c in range(2):
        wk = fk if c == 1 else 1.0 - fk
        for b in range(2):
            wj = fj if b == 1 else 1.0 - fj
            low = voxels[k0 + c, j0 + b, i0]
            high = voxels[k0 + c, j0 + b, i0 + 1]
            value += wk * wj * (low * (1.0 - fi) + high * fi)
    return value


@njit(nogil=True, cache=True, inline="always")
def inside(voxels: NDArray[Any], i: float, j: float, k: float) -> bool:
    """Whether a voxel position lies in the hull of the voxel centres."""
    return (
        -EDGE <= i <= voxels.shape[2] - 1 + EDGE
        and -EDGE <= j <= voxels.shape[1] - 1 + EDGE
        and -EDGE <= k <= voxels.shape[0] - 1 + EDGE
    )


@njit(nogil=True, cache=True)
def sample_trilinear(
    voxels: NDArray[np.int16], voxel_from_ct: Floats, points_ct_mm: Floats
) -> NDArray[np.float32]:
    """float32 (n,) at points (n, 3); NaN outside."""
    values = np.full(len(points_ct_mm), np.nan, dtype=np.float32)
    m = voxel_from_ct
    for n in range(len(points_ct_mm)):
        x, y, z = points_ct_mm[n]
        i = m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3]
        j = m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3]
        k = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3]
        if inside(voxels, i, j, k):
            values[n] = trilinear(voxels, i, j, k)
    return values
