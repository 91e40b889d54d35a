"""Compiled loops over the skin: which voxels are skin, and which way it faces."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int32]
Floats = NDArray[np.float64]


@njit(nogil=True, cache=True)
def shell(body: Bytes, slices: tuple[int, int], out: Bytes) -> None:
    """out (k, j, i) = 1 where a body voxel has air at one of its six sides, for slices
    [start, stop); the cut faces of the image are none."""
    depth, height, width = body.shape
    for k in range(slices[0], slices[1]):
        below = body[max(k - 1, 0)]
        above = body[min(k + 1, depth - 1)]
        here = body[k]
        out[k, 0] = 0
        out[k, height - 1] = 0
        for j in range(1, height - 1):
            line = out[k, j]
            row, before, behind = here[j], here[j - 1], here[j + 1]
            under, over = below[j], above[j]
            for i in range(1, width - 1):
                closed = row[i - 1] & row[i + 1] & before[i] & behind[i] & under[i] & over[i]
                line[i] = row[i] & (closed ^ 1)
            line[0] = 0
            line[width - 1] = 0


@njit(nogil=True, cache=True)
def facing(
    mask: Bytes,
    chosen: NDArray[np.bool_],
    at: Ints,
    ball: Ints,
    weights: Floats,
    rows: tuple[int, int],
    out: Floats,
) -> None:
    """out[n] = outward normal (3,) along i, j, k at voxel at[n] (i, j, k); zero where none shows.

    mask: (k, j, i) values; chosen[value]: whether it belongs. ball: (m, 3) offsets on one half
    of a ball. weights: (3,) what an offset of one voxel along i, j, k adds. Pairs of offsets of
    which one leaves the grid count for nothing: a cut face of the image does not look like a
    surface.
    """
    depth, height, width = mask.shape
    for n in range(rows[0], rows[1]):
        i, j, k = at[n, 0], at[n, 1], at[n, 2]
        x = y = z = 0.0
        for m in range(len(ball)):
            a, b, c = ball[m, 0], ball[m, 1], ball[m, 2]
            if i - abs(a) < 0 or i + abs(a) >= width or j - abs(b) < 0 or j + abs(b) >= height:
                continue
            if k - abs(c) < 0 or k + abs(c) >= depth:
                continue
            ahead = chosen[mask[k + c, j + b, i + a]]
            behind = chosen[mask[k - c, j - b, i - a]]
            if ahead == behind:
                continue
            sign = -1.0 if ahead else 1.0
            x += sign * a * weights[0]
            y += sign * b * weights[1]
            z += sign * c * weights[2]
        length = np.sqrt(x * x + y * y + z * z)
        if length > 1e-9:
            x, y, z = x / length, y / length, z / length
        out[n, 0], out[n, 1], out[n, 2] = x, y, z
