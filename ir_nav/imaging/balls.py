"""Balls, pieces and holes on a mask of coarse cells. Arrays are [k, j, i]."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import ndimage

from ir_nav.imaging.ball_kernels import squares_across, squares_in_slices
from ir_nav.imaging.volume import BoolArray, Float32Array

# Of a cell along k, j, i.
SizeMm = tuple[float, float, float]

THREADS = 2
FAR_MM2 = np.float32(1e9)


def in_two(work: Callable[[int, int], object], count: int) -> None:
    """`work(first, last)` over halves of range(count), on two threads: the loops hold no GIL."""
    cuts = np.linspace(0, count, 4 * THREADS + 1).astype(int)
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, cuts[:-1].tolist(), cuts[1:].tolist()))


def squared_distance(size_mm: SizeMm, mask: BoolArray, limit_mm: float) -> Float32Array:
    """mm^2 from each cell to the mask, exact up to `limit_mm`; 1e9 beyond.

    Separable minimum of parabolas (Felzenszwalb and Huttenlocher 2012), taps within the limit.
    """
    reach = [math.ceil(limit_mm / size) for size in size_mm]
    row, flat = np.empty(mask.shape, np.float32), np.empty(mask.shape, np.float32)
    steps_mm, reaches = size_mm[1:], (reach[1], reach[2])
    in_two(
        lambda first, last: squares_in_slices(mask, steps_mm, reaches, row, flat, first, last),
        len(mask),
    )
    in_two(
        lambda first, last: squares_across(flat, size_mm[0], reach[0], row, first, last),
        len(mask),
    )
    row[row > limit_mm * limit_mm] = FAR_MM2
    return row


def grown(size_mm: SizeMm, mask: BoolArray, radius_mm: float) -> BoolArray:
    """The mask dilated by a ball."""
    return squared_distance(size_mm, mask, radius_mm) < FAR_MM2


def shrunk(size_mm: SizeMm, mask: BoolArray, radius_mm: float) -> BoolArray:
    """The mask eroded by a ball; it is taken to go on beyond the image."""
    return ~grown(size_mm, ~mask, radius_mm)


def largest_piece(mask: BoolArray) -> BoolArray:
    """The connected piece with the most cells; nothing when there is none."""
    labels, count = ndimage.label(mask)
    if count == 0:
        return np.zeros_like(mask)
    return np.asarray(labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:])))


def filled_in_slices(axial: int, mask: BoolArray) -> BoolArray:
    """Holes filled within each slice across the array axis: what its border does not reach."""
    stack = np.moveaxis(mask, axial, 0)
    neighbours = np.zeros((3, 3, 3), np.bool_)
    neighbours[1] = ndimage.generate_binary_structure(2, 1)
    labels, count = ndimage.label(~stack, neighbours)
    outside = np.zeros(count + 1, np.bool_)
    for edge in (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]):
        outside[np.unique(edge)] = True
    outside[0] = False
    return np.moveaxis(~outside[labels], 0, axial)


def one_more(mask: BoolArray) -> BoolArray:
    """With the six neighbours of each cell."""
    out = mask.copy()
    for axis in range(3):
        low = tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
        high = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        out[low] |= mask[high]
        out[high] |= mask[low]
    return out


def one_less(mask: BoolArray) -> BoolArray:
    """Without the cells that have a neighbour outside; it goes on beyond the image."""
    return ~one_more(~mask)
