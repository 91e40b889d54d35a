"""Compiled loops for growing a lesion in a small cube of cells; arrays are [z, y, x]."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ir_nav.imaging.kernels import trilinear

Floats = NDArray[np.float64]
Cube = NDArray[np.float32]


@njit(nogil=True, cache=True)
def cube_of(voxels: NDArray[np.int16], voxel_from_cell: Floats, side: int) -> Cube:
    """(side, side, side) CT numbers at the cells; beyond the CT those of its face."""
    m = voxel_from_cell
    out = np.empty((side, side, side), np.float32)
    last_i, last_j, last_k = voxels.shape[2] - 1, voxels.shape[1] - 1, voxels.shape[0] - 1
    for z in range(side):
        for y in range(side):
            for x in range(side):
                i = m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3]
                j = m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3]
                k = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3]
                out[z, y, x] = trilinear(
                    voxels,
                    min(max(i, 0.0), last_i),
                    min(max(j, 0.0), last_j),
                    min(max(k, 0.0), last_k),
                )
    return out


@njit(nogil=True, cache=True, error_model="numpy")
def blurred(field: Cube, passes: int) -> Cube:
    """Smoothed by [1 2 1] / 4 along each axis, so often; edges repeated."""
    out = field.copy()
    depth, rows, columns = field.shape
    quarter = np.float32(0.25)
    for _ in range(passes):
        for z in range(depth):
            for y in range(rows):
                line = out[z, y]
                before = line[0]
                for x in range(columns):
                    here = line[x]
                    after = line[min(x + 1, columns - 1)]
                    line[x] = quarter * (before + here + here + after)
                    before = here
        for z in range(depth):
            above = out[z, 0].copy()
            for y in range(rows):
                here = out[z, y].copy()
                below = out[z, min(y + 1, rows - 1)]
                for x in range(columns):
                    out[z, y, x] = quarter * (above[x] + here[x] + here[x] + below[x])
                above = here
        before_plane = out[0].copy()
        for z in range(depth):
            here_plane = out[z].copy()
            after_plane = out[min(z + 1, depth - 1)]
            for y in range(rows):
                for x in range(columns):
                    middle = here_plane[y, x]
                    out[z, y, x] = quarter * (
                        before_plane[y, x] + middle + middle + after_plane[y, x]
                    )
            before_plane = here_plane
    return out


@njit(nogil=True, cache=True)
def flood(
    hu: Cube,
    start: NDArray[np.bool_],
    low_hu: float,
    high_hu: float,
    distance_mm: Cube,
    limit_mm: float,
) -> NDArray[np.bool_]:
    """Cells between the limits that are joined to `start` by such cells, not too far away."""
    depth, rows, columns = hu.shape
    taken = np.zeros(hu.shape, np.bool_)
    queue = np.empty((hu.size, 3), np.int32)
    count = 0
    for z in range(depth):
        for y in range(rows):
            for x in range(columns):
                if start[z, y, x] and low_hu <= hu[z, y, x] <= high_hu:
                    taken[z, y, x] = True
                    queue[count] = (z, y, x)
                    count += 1
    first = 0
    while first < count:
        z, y, x = queue[first]
        first += 1
        for n in range(6):
            c = z + (1 if n == 0 else -1 if n == 1 else 0)
            b = y + (1 if n == 2 else -1 if n == 3 else 0)
            a = x + (1 if n == 4 else -1 if n == 5 else 0)
            if not (0 <= c < depth and 0 <= b < rows and 0 <= a < columns):
                continue
            if taken[c, b, a] or distance_mm[c, b, a] > limit_mm:
                continue
            if low_hu <= hu[c, b, a] <= high_hu:
                taken[c, b, a] = True
                queue[count] = (c, b, a)
                count += 1
    return taken


@njit(nogil=True, cache=True)
def looked_up(hu: Cube, table: Cube, lowest_hu: float, hu_per_bin: float) -> Cube:
    """The table's entry for every cell's CT number; the ends hold beyond them."""
    out = np.empty(hu.shape, np.float32)
    last = len(table) - 1
    for z in range(hu.shape[0]):
        for y in range(hu.shape[1]):
            for x in range(hu.shape[2]):
                place = int((hu[z, y, x] - lowest_hu) / hu_per_bin)
                out[z, y, x] = table[min(max(place, 0), last)]
    return out


@njit(nogil=True, cache=True, inline="always")
def _between(field: Cube, x: float, y: float, z: float) -> float:
    """Trilinear value inside the cube; written out, for it is most of the work."""
    a = min(int(x), field.shape[2] - 2)
    b = min(int(y), field.shape[1] - 2)
    c = min(int(z), field.shape[0] - 2)
    fx, fy, fz = np.float32(x - a), np.float32(y - b), np.float32(z - c)
    near, far = field[c], field[c + 1]
    p = near[b, a] + fx * (near[b, a + 1] - near[b, a])
    q = near[b + 1, a] + fx * (near[b + 1, a + 1] - near[b + 1, a])
    r = far[b, a] + fx * (far[b, a + 1] - far[b, a])
    s = far[b + 1, a] + fx * (far[b + 1, a + 1] - far[b + 1, a])
    front = p + fy * (q - p)
    return float(front + fz * (r + fy * (s - r) - front))


@njit(nogil=True, cache=True)
def voxels_within(
    shape_kji: tuple[int, int, int], cell_from_voxel: Floats, voxel_from_cell: Floats, field: Cube
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """First voxel (k, j, i) and mask of the voxels at which the field lies above 0."""
    side = field.shape[0]
    first = np.full(3, side)
    last = np.zeros(3, np.int64)
    for z in range(side):
        for y in range(side):
            for x in range(side):
                if field[z, y, x] > 0.0:
                    first[0], last[0] = min(first[0], x), max(last[0], x)
                    first[1], last[1] = min(first[1], y), max(last[1], y)
                    first[2], last[2] = min(first[2], z), max(last[2], z)
    low = np.full(3, 1e9)
    high = np.full(3, -1e9)
    for corner in range(8):
        for axis in range(3):
            place = voxel_from_cell[axis, 3]
            for other in range(3):
                end = last[other] + 1 if (corner >> other) & 1 else first[other] - 1
                place += voxel_from_cell[axis, other] * end
            low[axis] = min(low[axis], place)
            high[axis] = max(high[axis], place)
    start = np.empty(3, np.int64)
    size = np.empty(3, np.int64)
    for axis in range(3):
        limit = shape_kji[2 - axis]
        start[2 - axis] = min(max(int(np.floor(low[axis])), 0), limit - 1)
        size[2 - axis] = max(min(int(np.ceil(high[axis])) + 1, limit) - start[2 - axis], 1)
    out = np.zeros((size[0], size[1], size[2]), np.bool_)
    m = cell_from_voxel
    for k in range(size[0]):
        for j in range(size[1]):
            for i in range(size[2]):
                a, b, c = i + start[2], j + start[1], k + start[0]
                x = m[0, 0] * a + m[0, 1] * b + m[0, 2] * c + m[0, 3]
                y = m[1, 0] * a + m[1, 1] * b + m[1, 2] * c + m[1, 3]
                z = m[2, 0] * a + m[2, 1] * b + m[2, 2] * c + m[2, 3]
                if 0 <= x <= side - 1 and 0 <= y <= side - 1 and 0 <= z <= side - 1:
                    out[k, j, i] = _between(field, x, y, z) > 0.0
    return start, out
