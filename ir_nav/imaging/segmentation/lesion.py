"""A lesion by one click and drag: the click is inside it, the drag goes out to its rim.

The method, on a cube of at most 37 even cells each way round the click:
1. Seed statistics: the cells round the click, then the connected ones within 2.5 standard
   deviations, once again (confidence connected growth, as in ITK's ConfidenceConnected filter).
2. Two classes: the lesion a normal distribution, its surroundings the histogram of what lies
   beyond the drag's radius; each cell gets the logarithm of the ratio of the two (the data
   term of GrabCut, Rother et al. 2004, ACM Trans Graph 23:309).
3. The drag as prior: zero at the radius, growing inwards, so that a lesion with no edge of its own
   becomes the ball that was drawn; nothing beyond 1.15 of the radius.
4. One smoothing of that field, as one mean-field step of a Markov random field would, then zero
   crossing, the piece that holds the click, holes filled.
The CT's voxels are decided by the smooth field, so that the surface is finer than the cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from ir_nav.geometry import FloatArray, apply
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.segmentation.lesion_kernels import (
    blurred,
    cube_of,
    flood,
    looked_up,
    voxels_within,
)
from ir_nav.imaging.segmentation.segments import Corner, trimmed
from ir_nav.imaging.volume import BoolArray, Float32Array, Volume

SMALLEST_MM, LARGEST_MM = 2.0, 60.0
CELLS = 36
BEYOND = 1.3
LIMIT = 1.15

SEED_MM = 2.5
LEAST_SPREAD_HU = 8.0
WIDTH = 2.5
ROUNDS = 2

BINS = 480
LOWEST_HU, HU_PER_BIN = -1100.0, 5.0
# Of either class: of any density whatever.
ANYTHING = 0.02
STRONGEST = 4.0
PRIOR = 2.0
SMOOTHING_CELLS = 2


@dataclass(frozen=True, slots=True, eq=False)
class Grown:
    """What grew from a click. part: (k, j, i) bool, its first voxel at corner_kji of the CT's
    grid. mean_hu, spread_hu: of its middle, 8 HU added in square to the standard deviation."""

    corner_kji: Corner
    part: BoolArray
    mean_hu: float
    spread_hu: float


def grow_lesion(volume: Volume, seed_ct_mm: ArrayLike, radius_mm: float) -> Grown:
    """The lesion round a point (3,) in `ct`, mm, that a drag of radius_mm describes.

    Needs under 15 ms up to 30 mm, so that it can follow the drag. Raises ImagingError when the
    point lies outside the CT or the radius is not 2 to 60 mm.
    """
    if not SMALLEST_MM <= radius_mm <= LARGEST_MM:
        raise ImagingError(
            f"a lesion's radius is between {SMALLEST_MM:g} and {LARGEST_MM:g} mm: drag to its rim"
        )
    seed = np.asarray(seed_ct_mm, dtype=np.float64)
    place = apply(volume.voxel_from_ct, seed)
    if not (np.all(place >= -0.5) and np.all(place <= np.array(volume.size_ijk) - 0.5)):
        raise ImagingError("the click lies outside the CT")
    half_mm = BEYOND * radius_mm
    step_mm = max(2.0 * half_mm / CELLS, min(volume.spacing_mm))
    side = 2 * int(np.ceil(half_mm / step_mm)) + 1
    cell_from_voxel, voxel_from_cell = _frames(volume, seed, step_mm, side)
    hu = blurred(cube_of(volume.voxels, voxel_from_cell, side), 1)
    distance_mm = _distance_mm(side, step_mm)
    mean, spread = _statistics(hu, distance_mm, radius_mm)
    field = _field(hu, distance_mm, radius_mm, mean, spread)
    inside = _piece(field > 0.0, side // 2)
    # Other pieces and their voxels must not come back when voxels are decided.
    field = np.where(inside, np.maximum(field, 0.05), np.minimum(field, -0.05)).astype(np.float32)
    start, part = voxels_within(volume.voxels.shape, cell_from_voxel, voxel_from_cell, field)
    corner, kept = trimmed((int(start[0]), int(start[1]), int(start[2])), part)
    return Grown(corner, kept, mean, spread)


def _frames(
    volume: Volume, seed: FloatArray, step_mm: float, side: int
) -> tuple[FloatArray, FloatArray]:
    """(4, 4) from voxels (i, j, k) to cells (x, y, z) and back; axes as the patient's."""
    ct_from_cell = np.diag([step_mm, step_mm, step_mm, 1.0])
    ct_from_cell[:3, 3] = seed - step_mm * (side // 2)
    voxel_from_cell = volume.voxel_from_ct @ ct_from_cell
    return np.asarray(np.linalg.inv(voxel_from_cell), np.float64), voxel_from_cell


def _distance_mm(side: int, step_mm: float) -> Float32Array:
    squares = ((np.arange(side) - side // 2) * step_mm).astype(np.float32) ** 2
    return np.asarray(
        np.sqrt(squares[:, None, None] + squares[None, :, None] + squares[None, None, :])
    )


def _statistics(
    hu: Float32Array, distance_mm: Float32Array, radius_mm: float
) -> tuple[float, float]:
    """Mean and standard deviation of the lesion's inside."""
    middle = len(hu) // 2
    first = np.zeros(hu.shape, np.bool_)
    near = slice(middle - 1, middle + 2)
    first[near, near, near] = True
    first |= distance_mm <= min(SEED_MM, 0.5 * radius_mm)
    values = hu[first]
    mean = float(np.median(values))
    spread = float(np.hypot(1.4826 * np.median(np.abs(values - mean)), LEAST_SPREAD_HU))
    for _ in range(ROUNDS):
        width = WIDTH * spread
        piece = flood(hu, first, mean - width, mean + width, distance_mm, 0.8 * radius_mm)
        values = hu[piece]
        if len(values) < 7:
            break
        mean = float(values.mean())
        spread = float(np.hypot(values.std(), LEAST_SPREAD_HU))
    return mean, spread


def _field(
    hu: Float32Array, distance_mm: Float32Array, radius_mm: float, mean: float, spread: float
) -> Float32Array:
    """Above 0 where the lesion is more likely than its surroundings."""
    around = distance_mm > radius_mm
    bins = np.clip((hu[around] - LOWEST_HU) / HU_PER_BIN, 0, BINS - 1).astype(np.int64)
    counts = np.bincount(bins, minlength=BINS).astype(np.float64)
    # As wide as the least spread of the lesion: where there is no edge the two classes are one.
    counts = ndimage.gaussian_filter1d(counts, LEAST_SPREAD_HU / HU_PER_BIN)
    middles = LOWEST_HU + HU_PER_BIN * (np.arange(BINS) + 0.5)
    lesion = np.exp(-0.5 * ((middles - mean) / spread) ** 2)
    uniform = ANYTHING / BINS
    ours, theirs = (
        uniform + (1.0 - ANYTHING) * shares / max(float(shares.sum()), 1e-12)
        for shares in (lesion, counts)
    )
    table = np.clip(np.log(ours / theirs), -STRONGEST, STRONGEST).astype(np.float32)
    field = looked_up(hu, table, LOWEST_HU, HU_PER_BIN)
    field += PRIOR * (1.0 - distance_mm / radius_mm)
    field = blurred(field, SMOOTHING_CELLS)
    field[distance_mm > LIMIT * radius_mm] = -1.0
    return np.asarray(field, dtype=np.float32)


def _piece(inside: BoolArray, middle: int) -> BoolArray:
    """The piece at or nearest to the click, holes filled."""
    labels, count = ndimage.label(inside)
    if count == 0:
        lone = np.zeros_like(inside)
        lone[middle, middle, middle] = True
        return lone
    number = labels[middle, middle, middle]
    if number == 0:
        around = labels[middle - 2 : middle + 3, middle - 2 : middle + 3, middle - 2 : middle + 3]
        number = int(around.max()) or 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    outside, _ = ndimage.label(labels != number)
    return np.asarray(outside != outside[0, 0, 0])
