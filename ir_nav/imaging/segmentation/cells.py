"""Coarse cells of a volume, and balls, pieces and holes on them."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ir_nav.imaging.segmentation.block_kernels import squares_across, squares_in_slices, summarise
from ir_nav.imaging.volume import BoolArray, Float32Array, Int16Array, Volume

CELL_MM = 2.5
THREADS = 2
# Of a cell, for a spread of their own.
FEWEST_VOXELS = 8
FAR_MM2 = np.float32(1e9)
ALL_NEIGHBOURS = np.ones((3, 3, 3), np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """A volume in cells of about 2.5 mm.

    strides: voxels per cell; size_mm: of a cell; both (k, j, i). axial: the array axis closest
    to the patient's head-feet axis. mean_hu, deviation_hu float32,
    highest_hu and lowest_hu int16: of the voxels of each cell.
    """

    strides: tuple[int, int, int]
    size_mm: tuple[float, float, float]
    axial: int
    mean_hu: Float32Array
    deviation_hu: Float32Array
    highest_hu: Int16Array
    lowest_hu: Int16Array

    @property
    def cell_mm3(self) -> float:
        return float(np.prod(self.size_mm))


def in_two(work: Callable[[int, int], object], count: int) -> None:
    """`work(first, last)` over halves of range(count), on two threads: the loops hold no GIL."""
    cuts = np.linspace(0, count, 4 * THREADS + 1).astype(int)
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, cuts[:-1].tolist(), cuts[1:].tolist()))


def cells_of(volume: Volume) -> Cells:
    """The volume in cells."""
    i, j, k = (max(1, round(CELL_MM / spacing)) for spacing in volume.spacing_mm)
    strides = (k, j, i)
    shape = tuple(-(-size // s) for size, s in zip(volume.voxels.shape, strides, strict=True))
    mean, deviation = np.empty(shape, np.float32), np.empty(shape, np.float32)
    highest, lowest = np.empty(shape, np.int16), np.empty(shape, np.int16)
    in_two(
        lambda first, last: summarise(
            volume.voxels, strides, mean, deviation, highest, lowest, first, last
        ),
        shape[0],
    )
    if k * j * i < FEWEST_VOXELS:
        deviation = _spread_around(mean, axes=(1, 2) if volume.spacing_mm[2] > CELL_MM else None)
    x_mm, y_mm, z_mm = volume.spacing_mm
    size_mm = (k * z_mm, j * y_mm, i * x_mm)
    along_head = np.abs(volume.ct_from_voxel[2, :3]) / np.array(volume.spacing_mm)
    axial = 2 - int(np.argmax(along_head))
    return Cells(strides, size_mm, axial, mean, deviation, highest, lowest)


def _spread_around(mean: Float32Array, axes: tuple[int, ...] | None) -> Float32Array:
    """Standard deviation among each cell's neighbours: a cell of one voxel has none of its own."""
    size = [3 if axes is None or axis in axes else 1 for axis in range(3)]
    middle = ndimage.uniform_filter(mean, size)
    squares = ndimage.uniform_filter(mean * mean, size) - middle * middle
    return np.asarray(np.sqrt(np.maximum(squares, 0.0)), dtype=np.float32)


def squared_distance(cells: Cells, mask: BoolArray, limit_mm: float) -> Float32Array:
    """mm^2 from each cell to the mask, exact up to `limit_mm`; 1e9 beyond.

    Separable minimum of parabolas (Felzenszwalb and Huttenlocher 2012), taps within the limit.
    """
    reach = [math.ceil(limit_mm / size) for size in cells.size_mm]
    row, flat = np.empty(mask.shape, np.float32), np.empty(mask.shape, np.float32)
    steps_mm, reaches = cells.size_mm[1:], (reach[1], reach[2])
    in_two(
        lambda first, last: squares_in_slices(mask, steps_mm, reaches, row, flat, first, last),
        len(mask),
    )
    in_two(
        lambda first, last: squares_across(flat, cells.size_mm[0], reach[0], row, first, last),
        len(mask),
    )
    row[row > limit_mm * limit_mm] = FAR_MM2
    return row


def grown(cells: Cells, mask: BoolArray, radius_mm: float) -> BoolArray:
    """The mask dilated by a ball."""
    return squared_distance(cells, mask, radius_mm) < FAR_MM2


def shrunk(cells: Cells, mask: BoolArray, radius_mm: float) -> BoolArray:
    """The mask eroded by a ball; it is taken to go on beyond the image."""
    return ~grown(cells, ~mask, radius_mm)


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


def closed(cells: Cells, mask: BoolArray, radius_mm: float) -> BoolArray:
    """Gaps up to twice the radius closed."""
    return shrunk(cells, grown(cells, mask, radius_mm), radius_mm) | mask


def pieces_of_at_least(
    cells: Cells, mask: BoolArray, least_mm3: float, neighbours: NDArray[np.bool_] | None = None
) -> BoolArray:
    """The connected pieces of at least this volume."""
    labels, count = ndimage.label(mask, neighbours)
    sizes = np.bincount(labels.ravel(), minlength=count + 1) * cells.cell_mm3
    keep = sizes >= least_mm3
    keep[0] = False
    return np.asarray(keep[labels])


def largest_piece(mask: BoolArray) -> BoolArray:
    """The connected piece with the most cells; nothing when there is none."""
    labels, count = ndimage.label(mask)
    if count == 0:
        return np.zeros_like(mask)
    return np.asarray(labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:])))


def filled_in_slices(cells: Cells, mask: BoolArray) -> BoolArray:
    """Holes filled within each axial slice: what is not joined to the slice's border."""
    stack = np.moveaxis(mask, cells.axial, 0)
    neighbours = np.zeros((3, 3, 3), np.bool_)
    neighbours[1] = ndimage.generate_binary_structure(2, 1)
    labels, count = ndimage.label(~stack, neighbours)
    outside = np.zeros(count + 1, np.bool_)
    for edge in (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]):
        outside[np.unique(edge)] = True
    outside[0] = False
    return np.moveaxis(~outside[labels], 0, cells.axial)
