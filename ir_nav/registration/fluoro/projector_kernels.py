"""Compiled inner loops of the projector: numba, no GIL, no allocation per sample.

Positions are voxel coordinates at voxel centres, sorted (main, row, column): `main` is the grid
axis that the rays follow most, `column` the one whose voxels lie side by side in memory.
Planning a pose is compiled too: numpy on 3 x 3 would cost more than a small frame. All of it
stands in one file because numba's cache does not see that a callee in another file has changed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Float32s = NDArray[np.float32]
Levels = NDArray[np.int16]
Triple = tuple[int, int, int]

# Base rows summed together: their sums stay in the first cache.
TILE_ROWS = 32
# A slice nearer to the focal spot than this part of the base plane's distance does not count.
NEAREST = 0.02
# Base pixels beyond what is seen, so that every bicubic has its sixteen.
MARGIN = 3
# Most base pixels along one side: rays far aslant to every axis would ask for no end.
MOST_BASE = 4096

# What planning a pose finds.
SEEN, UNSEEN, WITHIN, ASLANT = 0, 1, 2, 3


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def sum_slices(
    levels: Levels,
    extents: Levels,
    lines: tuple[int, int],
    sizes: tuple[int, int, int],
    source: Floats,
    base_main: float,
    corner: Floats,
    tiles: tuple[int, int],
    base: Float32s,
) -> None:
    """Fill a range of tiles of `base`, TILE_ROWS each: the sum over slices of what rays meet there.

    levels: flat, two voxels of air round it. extents: (line, 2), first and last + 1 column of
    each of its lines that is not air. lines: how many lines (all columns) from slice to slice and
    from row to row. sizes: voxels along main, row, column. source: (3,) the focal spot. corner:
    (2,) row and column of base[0, 0] in the plane main = base_main; base pixels are voxels apart.
    Through the focal spot every slice is the base plane scaled and shifted, so rows and columns
    are interpolated linearly one after the other (Lacroute and Levoy 1994), four rows abreast:
    they share the column's place, and their sums make one vector.
    """
    columns = base.shape[1]
    index = np.empty(columns, np.uint32)
    weight = np.empty(columns, np.float32)
    blend = np.zeros(4 * sizes[2], np.float32)
    sums = np.empty((TILE_ROWS // 4, 4 * columns), np.float32)
    # Beyond the last place that has a neighbour there is only air.
    last_y = sizes[1] - 1.001
    for tile in range(tiles[0], tiles[1]):
        top = tile * TILE_ROWS
        rows = min(TILE_ROWS, base.shape[0] - top)
        sums[:] = 0.0
        for k in range(sizes[0]):
            scale = (k - source[0]) / (base_main - source[0])
            if scale < NEAREST:
                continue
            row_at = source[1] + (corner[0] + top - source[1]) * scale
            column_at = source[2] + (corner[1] - source[2]) * scale
            low = max(0, math.ceil(-column_at / scale))
            high = min(columns, math.ceil((sizes[2] - 1 - column_at) / scale))
            if row_at + scale * (rows - 1) <= 0.0 or row_at >= last_y or low >= high:
                continue
            for c in range(low, high):
                x = column_at + scale * c
                i = np.int32(x)
                index[c] = np.uint32(4 * i)
                weight[c] = np.float32(x - i)
            for group in range((rows + 3) // 4):
                y = row_at + scale * 4 * group
                y0 = min(max(y, 0.0), last_y)
                y1 = min(max(y + scale, 0.0), last_y)
                y2 = min(max(y + 2.0 * scale, 0.0), last_y)
                y3 = min(max(y + 3.0 * scale, 0.0), last_y)
                left, right = _filled(extents, k * lines[0], lines[1], int(y0), int(y3) + 2)
                if left >= right:
                    continue
                places = (y0, y1, y2, y3)
                _blend(levels, k * lines[0], lines[1], sizes[2], places, left, right, blend)
                begin = max(low, math.ceil((left - 1 - column_at) / scale))
                end = min(high, math.ceil((right - column_at) / scale))
                _add(blend, index, weight, begin, end, sums[group])
        for row in range(rows):
            for c in range(columns):
                base[top + row, c] = sums[row // 4, 4 * c + row % 4]


@njit(nogil=True, cache=True, inline="always")
def _filled(extents: Levels, line: int, step: int, first: int, last: int) -> tuple[int, int]:
    """The columns that are not air in any of the rows [first, last); left >= right for none."""
    left, right = 1 << 30, 0
    for j in range(first, last):
        n = line + j * step
        if extents[n, 1] > extents[n, 0]:
            left = min(left, extents[n, 0])
            right = max(right, extents[n, 1])
    return left, right


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _blend(
    levels: Levels,
    line: int,
    step: int,
    columns: int,
    places: tuple[float, float, float, float],
    left: int,
    right: int,
    blend: Float32s,
) -> None:
    """Lines interpolated at four row places, side by side: blend[4 * column + place].

    Written out, not looped: so the compiler keeps four vectors and writes them woven.
    """
    j0, j1, j2, j3 = int(places[0]), int(places[1]), int(places[2]), int(places[3])
    u0, l0 = _two_lines(levels, line + j0 * step, step, columns)
    u1, l1 = _two_lines(levels, line + j1 * step, step, columns)
    u2, l2 = _two_lines(levels, line + j2 * step, step, columns)
    u3, l3 = _two_lines(levels, line + j3 * step, step, columns)
    f0, f1 = np.float32(places[0] - j0), np.float32(places[1] - j1)
    f2, f3 = np.float32(places[2] - j2), np.float32(places[3] - j3)
    one = np.float32(1.0)
    g0, g1, g2, g3 = one - f0, one - f1, one - f2, one - f3
    for i in range(np.uint32(left - 2), np.uint32(right + 2)):
        x0 = g0 * np.float32(u0[i]) + f0 * np.float32(l0[i])
        x1 = g1 * np.float32(u1[i]) + f1 * np.float32(l1[i])
        x2 = g2 * np.float32(u2[i]) + f2 * np.float32(l2[i])
        x3 = g3 * np.float32(u3[i]) + f3 * np.float32(l3[i])
        blend[4 * i] = x0
        blend[4 * i + 1] = x1
        blend[4 * i + 2] = x2
        blend[4 * i + 3] = x3


@njit(nogil=True, cache=True, inline="always")
def _two_lines(levels: Levels, line: int, step: int, columns: int) -> tuple[Levels, Levels]:
    below = line + step
    return (
        levels[line * columns : (line + 1) * columns],
        levels[below * columns : (below + 1) * columns],
    )


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _add(
    blend: Float32s,
    index: NDArray[np.uint32],
    weight: Float32s,
    begin: int,
    end: int,
    sums: Float32s,
) -> None:
    """Columns [begin, end) of four rows: sums[4 * c + row] += blend between two columns.

    index: four times the left column, as `blend` is woven.
    """
    for c in range(np.uint64(begin), np.uint64(end)):
        i = np.uint64(index[c])
        w = weight[c]
        a0, a1, a2, a3 = blend[i], blend[i + 1], blend[i + 2], blend[i + 3]
        b0, b1, b2, b3 = blend[i + 4], blend[i + 5], blend[i + 6], blend[i + 7]
        o = 4 * c
        s0, s1, s2, s3 = sums[o], sums[o + 1], sums[o + 2], sums[o + 3]
        s0 += a0 + w * (b0 - a0)
        s1 += a1 + w * (b1 - a1)
        s2 += a2 + w * (b2 - a2)
        s3 += a3 + w * (b3 - a3)
        sums[o] = s0
        sums[o + 1] = s1
        sums[o + 2] = s2
        sums[o + 3] = s3


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy", inline="always")
def _cubic(t: np.float32) -> tuple[np.float32, np.float32, np.float32, np.float32]:
    """Catmull-Rom weights of the four samples round a place `t` between the middle two."""
    t2 = t * t
    t3 = t2 * t
    return (
        np.float32(0.5) * (-t + t2 + t2 - t3),
        np.float32(0.5) * (np.float32(2.0) - np.float32(5.0) * t2 + np.float32(3.0) * t3),
        np.float32(0.5) * (t + np.float32(4.0) * t2 - np.float32(3.0) * t3),
        np.float32(0.5) * (t3 - t2),
    )


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def warp(
    base: Float32s, base_from_pixel: Floats, per_pixel: Floats, rows: tuple[int, int], out: Float32s
) -> None:
    """A range of rows of the frame: the base image through a homography, times path length.

    base_from_pixel: (3, 3), (u, v, 1) -> (column, row, 1) of base, times the voxels that the ray
    goes along main. per_pixel: (3, 3), (u, v, 1) -> the same ray in `carm`, mm, times what one
    level absorbs per mm. Bicubic (Keys 1981, a = -1/2).
    """
    m, d = base_from_pixel, per_pixel
    last_x, last_y = base.shape[1] - 2, base.shape[0] - 2
    for v in range(rows[0], rows[1]):
        for u in range(out.shape[1]):
            w = m[2, 0] * u + m[2, 1] * v + m[2, 2]
            inverse = 1.0 / w
            x = (m[0, 0] * u + m[0, 1] * v + m[0, 2]) * inverse
            y = (m[1, 0] * u + m[1, 1] * v + m[1, 2]) * inverse
            if not (w > 0.0 and x >= 1.0 and y >= 1.0 and x < last_x and y < last_y):
                out[v, u] = 0.0
                continue
            i = np.int64(x)
            j = np.int64(y)
            a, b, c, e = _cubic(np.float32(x - i))
            p, q, r, s = _cubic(np.float32(y - j))
            total = p * _line(base, j - 1, i, a, b, c, e)
            total += q * _line(base, j, i, a, b, c, e)
            total += r * _line(base, j + 1, i, a, b, c, e)
            total += s * _line(base, j + 2, i, a, b, c, e)
            dx = d[0, 0] * u + d[0, 1] * v + d[0, 2]
            dy = d[1, 0] * u + d[1, 1] * v + d[1, 2]
            dz = d[2, 0] * u + d[2, 1] * v + d[2, 2]
            length = math.sqrt(dx * dx + dy * dy + dz * dz) * inverse
            out[v, u] = total * np.float32(length)


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy", inline="always")
def _line(
    base: Float32s,
    row: int,
    column: int,
    a: np.float32,
    b: np.float32,
    c: np.float32,
    d: np.float32,
) -> Any:
    line = base[np.uint64(row)]
    i = np.uint64(column)
    one = np.uint64(1)
    return a * line[i - one] + b * line[i] + c * line[i + one] + d * line[i + one + one]


@njit(nogil=True, cache=True, error_model="numpy")
def main_axis(rays: Floats, spacing: tuple[float, float, float], size_px: tuple[int, int]) -> int:
    """Which of i, j, k the middle ray follows most. rays: (3, 3), (u, v, 1) -> voxels i, j, k."""
    u, v = (size_px[0] - 1) / 2.0, (size_px[1] - 1) / 2.0
    best, found = -1.0, 0
    for axis in range(3):
        along = abs(rays[axis, 0] * u + rays[axis, 1] * v + rays[axis, 2]) * spacing[axis]
        if along > best:
            best, found = along, axis
    return found


@njit(nogil=True, cache=True)
def ordered(main: int, shape: Triple) -> tuple[Triple, Triple, tuple[int, int]]:
    """(i, j, k axes as main, row, column), (voxels along them), (lines per slice, per row).

    shape: (k, j, i). Along i the grid is read as [k, i, j], else as [k, j, i].
    """
    k, j, i = shape
    if main == 0:
        return (0, 2, 1), (i, k, j), (1, i)
    if main == 1:
        return (1, 2, 0), (j, k, i), (1, j)
    return (2, 1, 0), (k, j, i), (j, 1)


@njit(nogil=True, cache=True, error_model="numpy")
def planned(
    source: Floats, rays: Floats, sizes: Triple, size_px: tuple[int, int]
) -> tuple[int, float, Floats, Floats, tuple[int, int]]:
    """(state, base_main, corner, base_from_pixel, (rows, columns) of base).

    source: (3,), rays: (3, 3), both as (main, row, column) voxels. See sum_slices and warp.
    """
    corner = np.zeros(2)
    base_from_pixel = np.zeros((3, 3))
    base_main = (sizes[0] - 1) / 2.0
    depth = base_main - source[0]
    if abs(depth) < 1.0:
        return WITHIN, base_main, corner, base_from_pixel, (0, 0)
    sign = 1.0 if depth > 0.0 else -1.0
    low, high = _shadow(source, sizes, depth)
    # (row, column, 1) where a pixel's ray meets the base plane, homogeneous, last above zero.
    place = np.empty((3, 3))
    for n in range(3):
        place[2, n] = rays[0, n] * sign
        for axis in range(2):
            place[axis, n] = source[1 + axis] * place[2, n] + rays[1 + axis, n] * abs(depth)
    _narrow(place, size_px, low, high)
    if low[0] >= high[0] or low[1] >= high[1]:
        return UNSEEN, base_main, corner, base_from_pixel, (0, 0)
    if max(high[0] - low[0], high[1] - low[1]) > MOST_BASE:
        return ASLANT, base_main, corner, base_from_pixel, (0, 0)
    corner[:] = low - MARGIN
    for n in range(3):
        base_from_pixel[0, n] = place[1, n] - corner[1] * place[2, n]
        base_from_pixel[1, n] = place[0, n] - corner[0] * place[2, n]
        base_from_pixel[2, n] = place[2, n]
    rows = math.ceil(high[0] - low[0]) + 2 * MARGIN + 1
    columns = math.ceil(high[1] - low[1]) + 2 * MARGIN + 1
    return SEEN, base_main, corner, base_from_pixel, (rows, columns)


@njit(nogil=True, cache=True, error_model="numpy")
def _shadow(source: Floats, sizes: Triple, depth: float) -> tuple[Floats, Floats]:
    """(row, column) of the first and last place in the base plane that any voxel falls on."""
    low, high = np.full(2, np.inf), np.full(2, -np.inf)
    for k in (0.0, sizes[0] - 1.0):
        scale = max((k - source[0]) / depth, NEAREST)
        for axis in range(2):
            for end in (0.0, sizes[1 + axis] - 1.0):
                at = source[1 + axis] + (end - source[1 + axis]) / scale
                low[axis] = min(low[axis], at)
                high[axis] = max(high[axis], at)
    return low, high


@njit(nogil=True, cache=True, error_model="numpy")
def _narrow(place: Floats, size_px: tuple[int, int], low: Floats, high: Floats) -> None:
    """Leave of [low, high] what the detector sees, when all of it looks at the base plane."""
    seen_low, seen_high = np.full(2, np.inf), np.full(2, -np.inf)
    for u in (0.0, size_px[0] - 1.0):
        for v in (0.0, size_px[1] - 1.0):
            w = place[2, 0] * u + place[2, 1] * v + place[2, 2]
            if w < 1e-9:
                return
            for axis in range(2):
                at = (place[axis, 0] * u + place[axis, 1] * v + place[axis, 2]) / w
                seen_low[axis] = min(seen_low[axis], at)
                seen_high[axis] = max(seen_high[axis], at)
    for axis in range(2):
        low[axis] = max(low[axis], seen_low[axis])
        high[axis] = min(high[axis], seen_high[axis])


@njit(nogil=True, cache=True, error_model="numpy")
def render_poses(
    grids: tuple[Levels, Levels],
    extents: tuple[Levels, Levels],
    shape: Triple,
    spacing: tuple[float, float, float],
    sources: Floats,
    rays: Floats,
    per_pixel: Floats,
    part: tuple[int, int],
    frames: Float32s,
) -> None:
    """Frames of a range of poses. grids, extents: [k, j, i] and [k, i, j], flat and by line.

    sources: (n, 3) and rays: (n, 3, 3) in voxels i, j, k. A pose that cannot be rendered is NaN.
    """
    size_px = (frames.shape[2], frames.shape[1])
    for n in range(part[0], part[1]):
        main = main_axis(rays[n], spacing, size_px)
        order, sizes, lines = ordered(main, shape)
        source, turned = np.empty(3), np.empty((3, 3))
        for to in range(3):
            source[to] = sources[n, order[to]]
            turned[to] = rays[n, order[to]]
        state, base_main, corner, base_from_pixel, size = planned(source, turned, sizes, size_px)
        if state != SEEN:
            frames[n] = 0.0 if state == UNSEEN else np.nan
            continue
        base = np.empty(size, np.float32)
        tiles = (0, (size[0] + TILE_ROWS - 1) // TILE_ROWS)
        if main == 0:
            sum_slices(grids[1], extents[1], lines, sizes, source, base_main, corner, tiles, base)
        else:
            sum_slices(grids[0], extents[0], lines, sizes, source, base_main, corner, tiles, base)
        warp(base, base_from_pixel, per_pixel, (0, size_px[1]), frames[n])


@njit(nogil=True, cache=True, error_model="numpy")
def plan_poses(
    shape: Triple,
    spacing: tuple[float, float, float],
    sources: Floats,
    rays: Floats,
    size_px: tuple[int, int],
) -> tuple[NDArray[np.int32], Float32s, Floats]:
    """What a device needs to render poses: (plans, slices, maps), arguments as in render_poses.

    plans: (n, 9) int32: state, main axis, voxels along main, row, column, lines per slice, per
    row, rows and columns of the base plane. slices: (n, slice, 3): scale, then row and column of
    base[0, 0] there; scale 0 does not count. maps: (n, 3, 3) base_from_pixel.
    """
    count = len(sources)
    plans = np.zeros((count, 9), np.int32)
    slices = np.zeros((count, max(shape[0], shape[1], shape[2]), 3), np.float32)
    maps = np.zeros((count, 3, 3))
    for n in range(count):
        main = main_axis(rays[n], spacing, size_px)
        order, sizes, lines = ordered(main, shape)
        source, turned = np.empty(3), np.empty((3, 3))
        for to in range(3):
            source[to] = sources[n, order[to]]
            turned[to] = rays[n, order[to]]
        state, base_main, corner, base_from_pixel, size = planned(source, turned, sizes, size_px)
        maps[n] = base_from_pixel
        facts = (state, main, sizes[0], sizes[1], sizes[2], lines[0], lines[1], size[0], size[1])
        for fact in range(9):
            plans[n, fact] = facts[fact]
        if state != SEEN:
            continue
        for k in range(sizes[0]):
            scale = (k - source[0]) / (base_main - source[0])
            if scale >= NEAREST:
                slices[n, k, 0] = scale
                slices[n, k, 1] = source[1] + (corner[0] - source[1]) * scale
                slices[n, k, 2] = source[2] + (corner[1] - source[2]) * scale
    return plans, slices, maps
