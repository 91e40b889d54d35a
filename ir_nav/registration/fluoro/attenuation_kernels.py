"""Compiled inner loops that prepare a CT for projecting: numba, no GIL. Arrays are [k, j, i]."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Triple = tuple[int, int, int]


@njit(nogil=True, cache=True, error_model="numpy")
def bin_means(
    voxels: NDArray[np.int16],
    body: NDArray[np.bool_],
    table: NDArray[np.float32],
    low: Triple,
    high: Triple,
    factors: Triple,
    pad: int,
    first: int,
    last: int,
    levels: NDArray[np.int16],
) -> None:
    """Slices [first, last) of `levels`, less the pad: means of table[HU] over joined voxels.

    table: (65536,) levels of every CT number from -32768 on. Outside `body` and [low, high) is
    air.
    """
    columns = levels.shape[2] - 2 * pad
    sums = np.empty(columns, np.float64)
    share = 1.0 / (factors[0] * factors[1] * factors[2])
    for k in range(first, last):
        for j in range(levels.shape[1] - 2 * pad):
            sums[:] = 0.0
            k_begin, j_begin = low[0] + k * factors[0], low[1] + j * factors[1]
            for kk in range(k_begin, min(k_begin + factors[0], high[0])):
                for jj in range(j_begin, min(j_begin + factors[1], high[1])):
                    for c in range(columns):
                        begin = low[2] + c * factors[2]
                        for i in range(begin, min(begin + factors[2], high[2])):
                            if body[kk, jj, i]:
                                sums[c] += table[np.int64(voxels[kk, jj, i]) + 32768]
            for c in range(columns):
                levels[k + pad, j + pad, c + pad] = np.int16(math.floor(sums[c] * share + 0.5))


@njit(nogil=True, cache=True)
def row_extents(levels: NDArray[np.int16]) -> NDArray[np.int16]:
    """(k, j, 2): first and last + 1 voxel above zero of every line; equal where there is none."""
    found = np.zeros((levels.shape[0], levels.shape[1], 2), np.int16)
    for k in range(levels.shape[0]):
        for j in range(levels.shape[1]):
            line = levels[k, j]
            left, right = 0, line.shape[0]
            while right > 0 and line[right - 1] == 0:
                right -= 1
            while left < right and line[left] == 0:
                left += 1
            found[k, j, 0] = left
            found[k, j, 1] = right
    return found
