"""A volume in coarse cells, and pieces of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ir_nav.imaging.balls import grown, in_two, shrunk
from ir_nav.imaging.segmentation.block_kernels import summarise
from ir_nav.imaging.volume import BoolArray, Float32Array, Int16Array, Volume

CELL_MM = 2.5
# Of a cell, for a spread of their own.
FEWEST_VOXELS = 8
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


def closed(cells: Cells, mask: BoolArray, radius_mm: float) -> BoolArray:
    """Gaps up to twice the radius closed."""
    return shrunk(cells.size_mm, grown(cells.size_mm, mask, radius_mm), radius_mm) | mask


def pieces_of_at_least(
    cells: Cells, mask: BoolArray, least_mm3: float, neighbours: NDArray[np.bool_] | None = None
) -> BoolArray:
    """The connected pieces of at least this volume."""
    labels, count = ndimage.label(mask, neighbours)
    sizes = np.bincount(labels.ravel(), minlength=count + 1) * cells.cell_mm3
    keep = sizes >= least_mm3
    keep[0] = False
    return np.asarray(keep[labels])
