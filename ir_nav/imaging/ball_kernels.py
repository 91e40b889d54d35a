"""Compiled loops over masks of coarse cells and the grid below them; each works on slices
[first, last) only, so that two threads can share a volume. Arrays are [k, j, i]."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Cells = NDArray[np.float32]
Flags = NDArray[np.bool_]


@njit(nogil=True, cache=True)
def squares_along_row(mask: Flags, step_mm: float, reach: int, out: Cells, k: int) -> None:
    """Squared distance in mm^2 along i to the mask, up to `reach` cells; 1e9 beyond; slice k."""
    columns = mask.shape[2]
    for j in range(mask.shape[1]):
        gone = reach + 1
        for i in range(columns):
            gone = 0 if mask[k, j, i] else min(gone + 1, reach + 1)
            out[k, j, i] = gone
        gone = reach + 1
        for i in range(columns - 1, -1, -1):
            gone = 0 if mask[k, j, i] else min(gone + 1, reach + 1)
            cells = min(np.float32(gone), out[k, j, i])
            out[k, j, i] = 1e9 if cells > reach else cells * cells * step_mm * step_mm


@njit(nogil=True, cache=True)
def squares_in_slices(
    mask: Flags,
    steps_mm: tuple[float, float],
    reaches: tuple[int, int],
    row: Cells,
    out: Cells,
    first: int,
    last: int,
) -> None:
    """The same within each slice; steps and reaches along (j, i). `row`: scratch."""
    rows = mask.shape[1]
    for k in range(first, last):
        squares_along_row(mask, steps_mm[1], reaches[1], row, k)
        for j in range(rows):
            out[k, j] = row[k, j]
            for other in range(max(j - reaches[0], 0), min(j + reaches[0] + 1, rows)):
                away = np.float32((steps_mm[0] * (other - j)) ** 2)
                for i in range(mask.shape[2]):
                    out[k, j, i] = min(out[k, j, i], row[k, other, i] + away)


@njit(nogil=True, cache=True)
def squares_across(
    flat: Cells, step_mm: float, reach: int, out: Cells, first: int, last: int
) -> None:
    """From squared distances within slices to those in space; step and reach along k."""
    slices, rows, columns = flat.shape
    for k in range(first, last):
        for j in range(rows):
            out[k, j] = flat[k, j]
            for other in range(max(k - reach, 0), min(k + reach + 1, slices)):
                away = np.float32((step_mm * (other - k)) ** 2)
                for i in range(columns):
                    out[k, j, i] = min(out[k, j, i], flat[other, j, i] + away)


@njit(nogil=True, cache=True)
def dense_in_rim(
    voxels: NDArray[np.int16],
    strides: tuple[int, int, int],
    sure: Flags,
    possible: Flags,
    threshold: float,
    out: Flags,
    first: int,
    last: int,
) -> None:
    """Voxels of `sure` cells, and those above the threshold in `possible` cells."""
    sk, sj, si = strides
    columns = voxels.shape[2]
    for k in range(first, last):
        for j in range(voxels.shape[1]):
            for ci in range(sure.shape[2]):
                whole = sure[k // sk, j // sj, ci]
                some = possible[k // sk, j // sj, ci]
                for i in range(ci * si, min((ci + 1) * si, columns)):
                    out[k, j, i] = whole or (some and voxels[k, j, i] > threshold)
