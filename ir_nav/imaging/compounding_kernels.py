"""Compiled inner loops of volume reconstruction: numba, no GIL. Arrays are [k, j, i]."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@njit(nogil=True, cache=True)
def insert_image(
    pixels: NDArray[np.uint8],
    voxel_from_image: Floats,
    low_u: int,
    low_v: int,
    sums: NDArray[np.uint32],
    counts: NDArray[np.uint16],
) -> None:
    """Add every pixel to the voxel nearest to it; those outside the grid are left out.

    pixels (rows, columns) begin at (low_u, low_v) of the image. Counts stop at 65,535.
    """
    m = voxel_from_image
    nk, nj, ni = counts.shape
    for row in range(pixels.shape[0]):
        v = row + low_v
        i0 = m[0, 1] * v + m[0, 3] + 0.5
        j0 = m[1, 1] * v + m[1, 3] + 0.5
        k0 = m[2, 1] * v + m[2, 3] + 0.5
        for column in range(pixels.shape[1]):
            u = column + low_u
            i = int(np.floor(i0 + m[0, 0] * u))
            j = int(np.floor(j0 + m[1, 0] * u))
            k = int(np.floor(k0 + m[2, 0] * u))
            if 0 <= i < ni and 0 <= j < nj and 0 <= k < nk and counts[k, j, i] < 65535:
                sums[k, j, i] += pixels[row, column]
                counts[k, j, i] += 1


@njit(nogil=True, cache=True)
def fill_along_sticks(
    voxels: NDArray[np.uint8],
    filled: NDArray[np.bool_],
    directions: NDArray[np.int64],
    longest: int,
    out: NDArray[np.uint8],
    out_filled: NDArray[np.bool_],
) -> None:
    """Empty voxels between two filled ones on a straight line take the value between them.

    directions (n, 3): steps (i, j, k). Of all lines no longer than `longest` voxels between the
    two the shortest counts, the first of equals. What was filled here fills nothing further.
    """
    nk, nj, ni = filled.shape
    for k in range(nk):
        for j in range(nj):
            for i in range(ni):
                if filled[k, j, i]:
                    continue
                shortest = 1e9
                for d in range(len(directions)):
                    di, dj, dk = directions[d, 0], directions[d, 1], directions[d, 2]
                    step = np.sqrt(float(di * di + dj * dj + dk * dk))
                    ahead = 0
                    for n in range(1, longest):
                        x, y, z = i + n * di, j + n * dj, k + n * dk
                        if not (0 <= x < ni and 0 <= y < nj and 0 <= z < nk):
                            break
                        if filled[z, y, x]:
                            ahead = n
                            break
                    if ahead == 0:
                        continue
                    for n in range(1, longest - ahead + 1):
                        x, y, z = i - n * di, j - n * dj, k - n * dk
                        if not (0 <= x < ni and 0 <= y < nj and 0 <= z < nk):
                            break
                        if filled[z, y, x]:
                            length = (ahead + n) * step
                            if length < shortest:
                                shortest = length
                                near = float(voxels[z, y, x])
                                far = float(voxels[k + ahead * dk, j + ahead * dj, i + ahead * di])
                                value = (near * ahead + far * n) / (ahead + n)
                                out[k, j, i] = np.uint8(value + 0.5)
                                out_filled[k, j, i] = True
                            break
