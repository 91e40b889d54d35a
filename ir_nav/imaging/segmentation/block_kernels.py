"""Compiled loops over coarse cells and full grids; each works on slices [first, last) only, so
that two threads can share a volume. Arrays are [k, j, i]."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Cells = NDArray[np.float32]
Flags = NDArray[np.bool_]

# Bits of the full-grid code that `decide` writes.
SKIN, BONE, LUNG_RIGHT, LUNG_LEFT, AIRWAY, GAS = 1, 2, 4, 8, 16, 32


@njit(nogil=True, cache=True)
def summarise(
    voxels: NDArray[np.int16],
    strides: tuple[int, int, int],
    mean: Cells,
    deviation: Cells,
    highest: NDArray[np.int16],
    lowest: NDArray[np.int16],
    first: int,
    last: int,
) -> None:
    """Mean, standard deviation and extremes of each cell of `strides` (k, j, i) voxels."""
    sk, sj, si = strides
    slices, rows, columns = voxels.shape
    width = mean.shape[2]
    total = np.empty(width, np.int64)
    squares = np.empty(width, np.int64)
    high = np.empty(width, np.int16)
    low = np.empty(width, np.int16)
    for ck in range(first, last):
        for cj in range(mean.shape[1]):
            total[:] = 0
            squares[:] = 0
            high[:] = -32768
            low[:] = 32767
            lines = 0
            for k in range(ck * sk, min((ck + 1) * sk, slices)):
                for j in range(cj * sj, min((cj + 1) * sj, rows)):
                    lines += 1
                    for ci in range(width):
                        for i in range(ci * si, min((ci + 1) * si, columns)):
                            value = voxels[k, j, i]
                            # Padding outside the scan circle is no denser than air.
                            wide = np.int64(max(value, np.int16(-1024)))
                            total[ci] += wide
                            squares[ci] += wide * wide
                            high[ci] = max(high[ci], value)
                            low[ci] = min(low[ci], value)
            for ci in range(width):
                count = lines * (min((ci + 1) * si, columns) - ci * si)
                middle = total[ci] / count
                mean[ck, cj, ci] = middle
                deviation[ck, cj, ci] = np.sqrt(max(squares[ci] / count - middle * middle, 0.0))
                highest[ck, cj, ci] = high[ci]
                lowest[ck, cj, ci] = low[ci]


@njit(nogil=True, cache=True)
def decide(
    voxels: NDArray[np.int16],
    strides: tuple[int, int, int],
    sure: NDArray[np.uint8],
    possible: NDArray[np.uint8],
    skin_hu: int,
    bone_hu: int,
    lung_hu: int,
    gas_hu: int,
    out: NDArray[np.uint8],
    first: int,
    last: int,
) -> None:
    """Code of every voxel: the bits its cell is sure of, and those possible that its CT number
    confirms. Lung, airway and gas lie inside the skin and shut out what is dense."""
    sk, sj, si = strides
    columns = voxels.shape[2]
    aerated = np.uint8(LUNG_RIGHT | LUNG_LEFT | AIRWAY)
    aired = np.uint8(LUNG_RIGHT | LUNG_LEFT | AIRWAY | GAS)
    for k in range(first, last):
        for j in range(voxels.shape[1]):
            line, written = voxels[k, j], out[k, j]
            sures, mays = sure[k // sk, j // sj], possible[k // sk, j // sj]
            for cell in range(len(mays)):
                may, known = mays[cell], sures[cell]
                for i in range(cell * si, min((cell + 1) * si, columns)):
                    value = line[i]
                    code = known
                    if value > skin_hu:
                        code |= may & np.uint8(SKIN)
                    if value > bone_hu:
                        code |= may & np.uint8(BONE)
                    if value < lung_hu:
                        code |= may & aerated
                    if value < gas_hu:
                        code |= may & np.uint8(GAS)
                    # One of these, never two: what is dense is bone, what is not is lung or gas.
                    if code & BONE:
                        code &= np.uint8(SKIN) | (np.uint8(BONE) if value > lung_hu else aired)
                    written[i] = code if code & SKIN else np.uint8(0)


@njit(nogil=True, cache=True)
def same_bits(code: NDArray[np.uint8], bit: int, out: Any) -> None:
    """out (k, j, i) bool: where `code` has the bit."""
    for k in range(code.shape[0]):
        for j in range(code.shape[1]):
            for i in range(code.shape[2]):
                out[k, j, i] = (code[k, j, i] & bit) != 0
