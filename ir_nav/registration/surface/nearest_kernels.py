"""Compiled loops: the nearest of a surface's samples.

A grid names a near sample of every cell; from there a walk over each sample's neighbours goes
down to the nearest one. That takes two or three steps, so that a point costs some 0.1 us.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ir_nav.geometry import FloatArray

Floats32 = NDArray[np.float32]
Ints32 = NDArray[np.int32]

# Columns of a sample: place, normal, 1 on the rim of an open surface.
RIM = 6
MOST_WALK = 200
# Off the rim by more than this many spacings, a point lies beside the surface, not on it.
BESIDE = 1.5


@njit(nogil=True, cache=True)
def spread_nearest(
    samples: Floats32, origin_mm: FloatArray, cell_mm: float, nearest: Ints32
) -> None:
    """Fill nearest (k, j, i) with the number of a sample near each cell's centre.

    Vector propagation in two raster passes (Danielsson 1980, with all 26 neighbours).
    """
    size_k, size_j, size_i = nearest.shape
    nearest[:] = -1
    for s in range(len(samples)):
        i = int((samples[s, 0] - origin_mm[0]) / cell_mm + 0.5)
        j = int((samples[s, 1] - origin_mm[1]) / cell_mm + 0.5)
        k = int((samples[s, 2] - origin_mm[2]) / cell_mm + 0.5)
        old = nearest[k, j, i]
        x = origin_mm[0] + i * cell_mm
        y = origin_mm[1] + j * cell_mm
        z = origin_mm[2] + k * cell_mm
        if old < 0 or _square(samples, s, x, y, z) < _square(samples, old, x, y, z):
            nearest[k, j, i] = s
    for back in range(2):
        for step_k in range(size_k):
            k = size_k - 1 - step_k if back else step_k
            z = origin_mm[2] + k * cell_mm
            for step_j in range(size_j):
                j = size_j - 1 - step_j if back else step_j
                y = origin_mm[1] + j * cell_mm
                for step_i in range(size_i):
                    i = size_i - 1 - step_i if back else step_i
                    x = origin_mm[0] + i * cell_mm
                    best = nearest[k, j, i]
                    least = _square(samples, best, x, y, z) if best >= 0 else np.inf
                    for offset in range(13):
                        # The half of the 26 neighbours that this pass has been to.
                        dk, dj, di = offset // 9 - 1, offset // 3 % 3 - 1, offset % 3 - 1
                        if back:
                            dk, dj, di = -dk, -dj, -di
                        nk, nj, ni = k + dk, j + dj, i + di
                        if not (0 <= nk < size_k and 0 <= nj < size_j and 0 <= ni < size_i):
                            continue
                        other = nearest[nk, nj, ni]
                        if other < 0 or other == best:
                            continue
                        square = _square(samples, other, x, y, z)
                        if square < least:
                            best, least = other, square
                    nearest[k, j, i] = best


@njit(nogil=True, cache=True, inline="always")
def _square(samples: Floats32, s: int, x: float, y: float, z: float) -> float:
    dx, dy, dz = samples[s, 0] - x, samples[s, 1] - y, samples[s, 2] - z
    return float(dx * dx + dy * dy + dz * dz)


@njit(nogil=True, cache=True)
def _nearest(
    samples: Floats32,
    neighbours: Ints32,
    nearest: Ints32,
    origin_mm: FloatArray,
    cell_mm: float,
    x: float,
    y: float,
    z: float,
    guess: int,
) -> int:
    size_k, size_j, size_i = nearest.shape
    i = int(min(max((x - origin_mm[0]) / cell_mm + 0.5, 0.0), size_i - 1.0))
    j = int(min(max((y - origin_mm[1]) / cell_mm + 0.5, 0.0), size_j - 1.0))
    k = int(min(max((z - origin_mm[2]) / cell_mm + 0.5, 0.0), size_k - 1.0))
    best = nearest[k, j, i]
    least = _square(samples, best, x, y, z)
    # From the second step of a fit on, the sample of the step before is nearer.
    square = _square(samples, guess, x, y, z)
    if square < least:
        best, least = guess, square
    for _ in range(MOST_WALK):
        found = best
        for n in range(neighbours.shape[1]):
            other = neighbours[best, n]
            square = _square(samples, other, x, y, z)
            if square < least:
                found, least = other, square
        if found == best:
            break
        best = found
    return int(best)


@njit(nogil=True, cache=True)
def distances(
    points_mm: FloatArray,
    matrix: FloatArray,
    samples: Floats32,
    neighbours: Ints32,
    nearest: Ints32,
    origin_mm: FloatArray,
    cell_mm: float,
    spacing_mm: float,
    moved_mm: FloatArray,
    found: Ints32,
    signed_mm: FloatArray,
) -> None:
    """Points (n, 3) through matrix (4, 4): moved (n, 3), the nearest sample of each, and how far
    it lies outside that sample's plane; infinite beside the rim of an open surface. found (n,)
    also says where to look first."""
    beside = (BESIDE * spacing_mm) ** 2
    for p in range(len(points_mm)):
        for row in range(3):
            moved_mm[p, row] = (
                matrix[row, 0] * points_mm[p, 0]
                + matrix[row, 1] * points_mm[p, 1]
                + matrix[row, 2] * points_mm[p, 2]
                + matrix[row, 3]
            )
        x, y, z = moved_mm[p, 0], moved_mm[p, 1], moved_mm[p, 2]
        s = _nearest(samples, neighbours, nearest, origin_mm, cell_mm, x, y, z, found[p])
        found[p] = s
        dx, dy, dz = x - samples[s, 0], y - samples[s, 1], z - samples[s, 2]
        off = dx * samples[s, 3] + dy * samples[s, 4] + dz * samples[s, 5]
        along = dx * dx + dy * dy + dz * dz - off * off
        signed_mm[p] = np.inf if samples[s, RIM] > 0.5 and along > beside else off
