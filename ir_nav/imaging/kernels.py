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
NUDGE = 2e-4

# Fixed-point one: of voxel positions, and of grey levels per HU.
ONE = 4294967296.0
GREY_ONE = 16777216.0

# Rays are walked in these steps; the skin itself lies within reach of the mask's edge.
RAY_STEP_MM = 0.5
FALL_STEP_MM = 0.1
SKIN_REACH_MM = 2.0


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
def row_range(voxel_from_view: Floats, row: int, shape: Any, columns: int) -> tuple[int, int]:
    """Columns [low, high) of a view row that lie inside the grid."""
    low, high = 0, columns
    for axis in range(3):
        start = voxel_from_view[axis, 1] * row + voxel_from_view[axis, 3]
        last = shape[2 - axis] - 1.0
        low, high = _clip_range(start, voxel_from_view[axis, 0], last, low, high)
    return low, max(low, high)


@njit(nogil=True, cache=True)
def _nudged(voxel_from_view: Floats, shape: Any) -> Floats:
    """The same map drawn in by 2e-4 voxel, so that no tap of a point inside lies outside."""
    nudged = np.empty((3, 4))
    for axis in range(3):
        scale = 1.0 - 2.0 * NUDGE / (shape[2 - axis] - 1.0)
        for column in range(4):
            nudged[axis, column] = voxel_from_view[axis, column] * scale
        nudged[axis, 3] += NUDGE
    return nudged


@njit(nogil=True, cache=True, error_model="numpy")
def window_plane(
    voxels: NDArray[np.int16],
    voxel_from_view: Floats,
    low_hu: float,
    grey_per_hu: float,
    out: NDArray[np.uint8],
) -> None:
    """Trilinear oblique slice, windowed to 0..255, into `out` (rows, columns); 0 outside.

    Fixed point, for speed: positions carry 32 fractional bits, weights 12, partial sums 2; the
    result is within one grey level of the exact one. Indices are unsigned because numba checks
    signed ones for wrapping around.
    """
    flat = voxels.ravel()
    line_size = np.int64(voxels.shape[2])
    slice_size = np.int64(voxels.shape[1]) * line_size
    right = np.uint64(1)
    down = np.uint64(line_size)
    below = np.uint64(slice_size)
    down_right = down + right
    m = _nudged(voxel_from_view, voxels.shape)
    di = np.int64(m[0, 0] * ONE)
    dj = np.int64(m[1, 0] * ONE)
    dk = np.int64(m[2, 0] * ONE)
    gain = np.int64(grey_per_hu * GREY_ONE)
    offset = np.int64((0.5 - low_hu * grey_per_hu) * 4.0 * GREY_ONE)
    for row in range(out.shape[0]):
        low, high = row_range(voxel_from_view, row, voxels.shape, out.shape[1])
        out[row, :low] = 0
        out[row, high:] = 0
        line = out[row, low:high]
        x = np.int64((m[0, 0] * low + m[0, 1] * row + m[0, 3]) * ONE)
        y = np.int64((m[1, 0] * low + m[1, 1] * row + m[1, 3]) * ONE)
        z = np.int64((m[2, 0] * low + m[2, 1] * row + m[2, 3]) * ONE)
        for column in range(line.shape[0]):
            at = np.uint64((z >> 32) * slice_size + (y >> 32) * line_size + (x >> 32))
            fx = np.int32((x >> 20) & 4095)
            fy = np.int32((y >> 20) & 4095)
            fz = np.int32((z >> 20) & 4095)
            a = np.int32(flat[at])
            b = np.int32(flat[at + down])
            a = (a << 2) + ((fx * (np.int32(flat[at + right]) - a)) >> 10)
            b = (b << 2) + ((fx * (np.int32(flat[at + down_right]) - b)) >> 10)
            near = a + ((fy * (b - a)) >> 12)
            at += below
            a = np.int32(flat[at])
            b = np.int32(flat[at + down])
            a = (a << 2) + ((fx * (np.int32(flat[at + right]) - a)) >> 10)
            b = (b << 2) + ((fx * (np.int32(flat[at + down_right]) - b)) >> 10)
            far = a + ((fy * (b - a)) >> 12)
            value = np.int64(near + ((fz * (far - near)) >> 12))
            grey = (value * gain + offset) >> 26
            line[column] = np.uint8(min(max(grey, np.int64(0)), np.int64(255)))
            x += di
            y += dj
            z += dk


@njit(nogil=True, cache=True)
def nearest_plane(voxels: NDArray[Any], voxel_from_view: Floats, out: NDArray[Any]) -> None:
    """Nearest-voxel oblique slice into `out` (rows, columns); 0 outside."""
    m = voxel_from_view
    for row in range(out.shape[0]):
        low, high = row_range(m, row, voxels.shape, out.shape[1])
        line = out[row]
        line[:low] = 0
        line[high:] = 0
        i0 = m[0, 1] * row + m[0, 3] + 0.5
        j0 = m[1, 1] * row + m[1, 3] + 0.5
        k0 = m[2, 1] * row + m[2, 3] + 0.5
        for column in range(low, high):
            i = int(i0 + column * m[0, 0])
            j = int(j0 + column * m[1, 0])
            k = int(k0 + column * m[2, 0])
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
    return bool(
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


@njit(nogil=True, cache=True)
def nearest_grid(voxels: NDArray[Any], voxel_from_out: Floats, out: NDArray[Any]) -> int:
    """Nearest-voxel copy onto another grid, 0 outside; returns how many voxels were inside."""
    m = voxel_from_out
    count = 0
    for k in range(out.shape[0]):
        for j in range(out.shape[1]):
            for i in range(out.shape[2]):
                x = int(np.floor(m[0, 0] * i + m[0, 1] * j + m[0, 2] * k + m[0, 3] + 0.5))
                y = int(np.floor(m[1, 0] * i + m[1, 1] * j + m[1, 2] * k + m[1, 3] + 0.5))
                z = int(np.floor(m[2, 0] * i + m[2, 1] * j + m[2, 2] * k + m[2, 3] + 0.5))
                if (
                    0 <= x < voxels.shape[2]
                    and 0 <= y < voxels.shape[1]
                    and 0 <= z < voxels.shape[0]
                ):
                    out[k, j, i] = voxels[z, y, x]
                    count += 1
    return count


@njit(nogil=True, cache=True)
def cross_skin(
    voxels: NDArray[np.int16],
    body: NDArray[np.bool_],
    origin_ijk: Floats,
    slopes_ijk: Floats,
    skin_hu: float,
) -> Floats:
    """(n,) mm along rays to where they first leave the body mask; NaN when they never do.

    origin_ijk: (3,) start in voxels. slopes_ijk: (n, 3) voxels per mm.
    """
    travelled_mm = np.full(len(slopes_ijk), np.nan)
    if not _in_body(body, origin_ijk):
        return travelled_mm
    for n in range(len(slopes_ijk)):
        near_mm = _leave(body, origin_ijk, slopes_ijk[n])
        if near_mm >= 0.0:
            travelled_mm[n] = _fall(voxels, origin_ijk, slopes_ijk[n], near_mm, skin_hu)
    return travelled_mm


@njit(nogil=True, cache=True)
def _in_body(body: NDArray[np.bool_], at: Floats) -> bool:
    if not inside(body, at[0], at[1], at[2]):
        return False
    return bool(body[int(at[2] + 0.5), int(at[1] + 0.5), int(at[0] + 0.5)])


@njit(nogil=True, cache=True)
def _leave(body: NDArray[np.bool_], origin: Floats, slope: Floats) -> float:
    """Distance in mm to the first sample outside the mask; -1 when the image ends first."""
    travelled = 0.0
    while True:
        travelled += RAY_STEP_MM
        i = origin[0] + travelled * slope[0]
        j = origin[1] + travelled * slope[1]
        k = origin[2] + travelled * slope[2]
        if not inside(body, i, j, k):
            return -1.0
        if not body[int(k + 0.5), int(j + 0.5), int(i + 0.5)]:
            return travelled


@njit(nogil=True, cache=True)
def _fall(
    voxels: NDArray[np.int16], origin: Floats, slope: Floats, near_mm: float, skin_hu: float
) -> float:
    """The distance closest to `near_mm` at which HU falls through the skin's; else near_mm."""
    best = near_mm
    gap = 2.0 * SKIN_REACH_MM
    previous = np.nan
    for n in range(int(2.0 * SKIN_REACH_MM / FALL_STEP_MM) + 1):
        travelled = near_mm - SKIN_REACH_MM + n * FALL_STEP_MM
        i = origin[0] + travelled * slope[0]
        j = origin[1] + travelled * slope[1]
        k = origin[2] + travelled * slope[2]
        if travelled < 0.0 or not inside(voxels, i, j, k):
            continue
        value = trilinear(voxels, i, j, k)
        if previous > skin_hu >= value:
            exact = travelled - FALL_STEP_MM * (skin_hu - value) / (previous - value)
            if abs(exact - near_mm) < gap:
                best, gap = exact, abs(exact - near_mm)
        previous = value
    return best
