"""Compiled loops for exact distances between one straight path and the boxes of label voxels."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
HALVINGS = 48


@njit(nogil=True, cache=True, inline="always")
def _to_segment_sq(p: Floats, start: Floats, along: Floats, length: float) -> float:
    """Squared distance of a point to the segment."""
    x, y, z = p[0] - start[0], p[1] - start[1], p[2] - start[2]
    t = min(max(x * along[0] + y * along[1] + z * along[2], 0.0), length)
    x, y, z = x - t * along[0], y - t * along[1], z - t * along[2]
    return float(x * x + y * y + z * z)


@njit(nogil=True, cache=True)
def box_distance_sq(
    centre: Floats, half: Floats, start: Floats, along: Floats, length: float
) -> float:
    """Squared distance of the segment start + t along, t in [0, length], to a box.

    The square is convex in t and its slope is piecewise linear: the slope's root is bisected.
    """
    low, high = 0.0, length
    for _ in range(HALVINGS):
        t = 0.5 * (low + high)
        slope = 0.0
        for axis in range(3):
            offset = start[axis] + t * along[axis] - centre[axis]
            gap = max(abs(offset) - half[axis], 0.0)
            slope += gap * (along[axis] if offset > 0.0 else -along[axis])
        if slope > 0.0:
            high = t
        else:
            low = t
    t = 0.5 * (low + high)
    total = 0.0
    for axis in range(3):
        offset = start[axis] + t * along[axis] - centre[axis]
        total += max(abs(offset) - half[axis], 0.0) ** 2
    return total


@njit(nogil=True, cache=True)
def nearest_squares(
    ids: NDArray[np.uint8],
    wanted: NDArray[np.bool_],
    spacing: Floats,
    start: Floats,
    end: Floats,
    reach: float,
    best: Floats,
) -> None:
    """best (256,) = squared distance in mm2 of the segment to each wanted id; inf beyond reach.

    start, end: (3,) in the grid's own mm along i, j, k. Looks at the voxels of a tube only:
    first at their centres, then at the boxes of those that can be the nearest.
    """
    half = 0.5 * spacing
    corner = np.sqrt(half[0] ** 2 + half[1] ** 2 + half[2] ** 2)
    wide = reach + corner
    offset = end - start
    length = np.sqrt(offset[0] ** 2 + offset[1] ** 2 + offset[2] ** 2)
    along = offset / max(length, 1e-9)
    low = np.empty(3, np.int64)
    high = np.empty(3, np.int64)
    for axis in range(3):
        first = (min(start[axis], end[axis]) - wide) / spacing[axis]
        last = (max(start[axis], end[axis]) + wide) / spacing[axis]
        low[axis] = max(0, int(np.floor(first)))
        high[axis] = min(ids.shape[2 - axis] - 1, int(np.ceil(last)))
    near = np.full(256, np.inf)
    best[:] = np.inf
    centre = np.empty(3)
    for exact in range(2):
        for k in range(low[2], high[2] + 1):
            centre[2] = k * spacing[2]
            for j in range(low[1], high[1] + 1):
                centre[1] = j * spacing[1]
                first_i, last_i = _chord(centre, start, along, wide, spacing[0])
                for i in range(max(low[0], first_i), min(high[0], last_i) + 1):
                    found = ids[k, j, i]
                    if not wanted[found]:
                        continue
                    centre[0] = i * spacing[0]
                    square = _to_segment_sq(centre, start, along, length)
                    if exact == 0:
                        near[found] = min(near[found], square)
                    elif square <= (np.sqrt(near[found]) + corner + 1e-9) ** 2:
                        square = box_distance_sq(centre, half, start, along, length)
                        best[found] = min(best[found], square)
    for n in range(256):
        if best[n] > reach * reach:
            best[n] = np.inf


@njit(nogil=True, cache=True, inline="always")
def _chord(
    centre: Floats, start: Floats, along: Floats, wide: float, size: float
) -> tuple[int, int]:
    """Voxels (first, last) of a row along i that lie in the tube round the endless line."""
    y, z = centre[1] - start[1], centre[2] - start[2]
    a = 1.0 - along[0] ** 2
    toward = y * along[1] + z * along[2]
    b = -along[0] * toward
    c = y * y + z * z - toward * toward - wide * wide
    if a < 1e-9:
        return (0, 1 << 30) if c <= 0.0 else (1, 0)
    root = b * b - a * c
    if root < 0.0:
        return 1, 0
    root = np.sqrt(root)
    first = (start[0] + (-b - root) / a) / size
    last = (start[0] + (-b + root) / a) / size
    return int(np.floor(first)), int(np.ceil(last))
