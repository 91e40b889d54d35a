"""Compiled loop over single rays, for chosen pixels: numba, no GIL."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def cast_rays(
    levels: NDArray[np.int16],
    lines: tuple[int, int],
    sizes: tuple[int, int, int],
    source: Floats,
    direction: Floats,
    per_pixel: Floats,
    pixels: Floats,
    places: tuple[int, int],
    out: NDArray[np.float32],
) -> None:
    """A range of rays, one by one. pixels: (n, 2) u, v. Other arguments as in
    projector_kernels' sum_slices and warp.

    direction: (3, 3), (u, v, 1) -> (main, row, column) voxels.
    """
    main_size, row_size, column_size = sizes
    d, m = direction, per_pixel
    for n in range(places[0], places[1]):
        u, v = pixels[n, 0], pixels[n, 1]
        along = d[0, 0] * u + d[0, 1] * v + d[0, 2]
        if abs(along) < 1e-12:
            continue
        row_step = (d[1, 0] * u + d[1, 1] * v + d[1, 2]) / along
        column_step = (d[2, 0] * u + d[2, 1] * v + d[2, 2]) / along
        row_at = source[1] - row_step * source[0]
        column_at = source[2] - column_step * source[0]
        low, high = 0.0, main_size - 1.0
        if along > 0.0:
            low = max(low, source[0])
        else:
            high = min(high, source[0])
        low, high = _within(row_at, row_step, row_size - 1.001, low, high)
        low, high = _within(column_at, column_step, column_size - 1.001, low, high)
        total = 0.0
        for k in range(math.ceil(low), math.floor(high) + 1):
            y = row_at + row_step * k
            x = column_at + column_step * k
            j = np.int64(y)
            i = np.int64(x)
            down = np.float32(y - j)
            across = np.float32(x - i)
            at = np.uint64((k * lines[0] + j * lines[1]) * column_size + i)
            below = at + np.uint64(lines[1] * column_size)
            one = np.uint64(1)
            upper = levels[at] + across * np.float32(levels[at + one] - levels[at])
            lower = levels[below] + across * np.float32(levels[below + one] - levels[below])
            total += upper + down * (lower - upper)
        dx = m[0, 0] * u + m[0, 1] * v + m[0, 2]
        dy = m[1, 0] * u + m[1, 1] * v + m[1, 2]
        dz = m[2, 0] * u + m[2, 1] * v + m[2, 2]
        out[n] = np.float32(total * math.sqrt(dx * dx + dy * dy + dz * dz) / abs(along))


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy", inline="always")
def _within(start: float, step: float, last: float, low: float, high: float) -> tuple[float, float]:
    """[low, high] narrowed to where 0 <= start + step * place <= last; empty as (1, 0)."""
    if abs(step) < 1e-12:
        if start < 0.0 or start > last:
            return 1.0, 0.0
        return low, high
    first = -start / step
    second = (last - start) / step
    return max(low, min(first, second)), min(high, max(first, second))
