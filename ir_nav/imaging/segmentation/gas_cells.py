"""Lungs, airway and bowel gas on coarse cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ir_nav.geometry import FloatArray
from ir_nav.imaging.balls import grown, one_less, one_more, shrunk, squared_distance
from ir_nav.imaging.segmentation.cells import Cells, closed, pieces_of_at_least
from ir_nav.imaging.volume import BoolArray, Volume

AERATED_HU = -400.0
# The median of a lung lies well above air, that of a bowel full of gas does not.
PUREST_LUNG_HU = -960.0
LUNG_MM3 = 100e3
GAS_MM3 = 100.0

AIR_HU = -950.0
EVEN_HU = 20.0
AIRWAY_MM3 = (3e3, 120e3)
AIRWAY_TALL_MM = 40.0

# Vessels of the lung are taken with it up to this width.
VESSEL_MM = 4.0
HILUM_MM = 8.0
# Skin folds hold air outside the body.
UNDER_SKIN_MM = 5.0
SPLIT_SHARE = 0.15
SPLIT_MM = (3.0, 6.0, 9.0, 12.0)
SPLIT_REACH_MM = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class Gas:
    """Cells (k, j, i) bool of each kind; deep_*: lung throughout, with its vessels; chest: the
    lungs with their vessels and hila, where nothing is bone."""

    lung_right: BoolArray
    lung_left: BoolArray
    deep_right: BoolArray
    deep_left: BoolArray
    airway: BoolArray
    bowel: BoolArray
    chest: BoolArray


def find_gas(cells: Cells, body: BoolArray, volume: Volume) -> Gas:
    """Lungs (aerated pieces of 100 ml and more), airway, and the gas left over: bowel's."""
    aerated = body & (cells.mean_hu < AERATED_HU)
    lungs = _lungs(cells, aerated)
    airway = _airway(cells, lungs)
    lungs &= ~one_more(airway)
    right, left = _sides(cells, lungs, volume)
    inner = shrunk(cells.size_mm, body, UNDER_SKIN_MM)
    gas = (
        inner
        & (cells.lowest_hu < AERATED_HU)
        & ~grown(cells.size_mm, lungs | airway, UNDER_SKIN_MM)
    )
    return Gas(
        right,
        left,
        _deep(cells, right),
        _deep(cells, left),
        airway,
        pieces_of_at_least(cells, gas, GAS_MM3),
        closed(cells, lungs, HILUM_MM),
    )


def _deep(cells: Cells, lung: BoolArray) -> BoolArray:
    """Cells that the lung surrounds: vessels and all."""
    return one_less(closed(cells, lung, VESSEL_MM))


def _lungs(cells: Cells, aerated: BoolArray) -> BoolArray:
    labels, count = ndimage.label(aerated)
    sizes = np.bincount(labels.ravel(), minlength=count + 1) * cells.cell_mm3
    lungs = np.zeros(aerated.shape, np.bool_)
    for number in range(1, count + 1):
        if sizes[number] < LUNG_MM3:
            continue
        piece = labels == number
        if float(np.median(cells.mean_hu[piece])) > PUREST_LUNG_HU:
            lungs |= piece
    return lungs


def _airway(cells: Cells, lungs: BoolArray) -> BoolArray:
    """Trachea and main bronchi: even air within the lungs' piece, in a tall tube; or nothing."""
    even = (cells.mean_hu < AIR_HU) & (cells.deviation_hu < EVEN_HU) & lungs
    labels, _ = ndimage.label(even)
    best, volume_mm3 = 0, 0.0
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        here = box[cells.axial]
        tall_mm = (here.stop - here.start) * cells.size_mm[cells.axial]
        if tall_mm < AIRWAY_TALL_MM:
            continue
        size_mm3 = float((labels[box] == number).sum()) * cells.cell_mm3
        if AIRWAY_MM3[0] <= size_mm3 <= AIRWAY_MM3[1] and size_mm3 > volume_mm3:
            best, volume_mm3 = number, size_mm3
    return np.asarray(labels == best) if best else np.zeros_like(lungs)


def _sides(cells: Cells, lungs: BoolArray, volume: Volume) -> tuple[BoolArray, BoolArray]:
    """Right and left. Lungs that touch are eroded until two large pieces are left, and every
    cell goes to the nearer one."""
    empty = np.zeros_like(lungs)
    if not lungs.any():
        return empty, empty
    labels, count = ndimage.label(lungs)
    parts = _two_largest(labels, count)
    for radius_mm in SPLIT_MM:
        if parts is not None:
            break
        labels, count = ndimage.label(shrunk(cells.size_mm, lungs, radius_mm))
        parts = _two_largest(labels, count)
    x_mm = _x_of(cells, volume)
    if parts is None:
        on_left = float((lungs * x_mm).sum()) / float(lungs.sum()) > _middle_x_mm(volume)
        return (empty, lungs) if on_left else (lungs, empty)
    first, second = parts
    to_first = squared_distance(cells.size_mm, first, SPLIT_REACH_MM)
    to_second = squared_distance(cells.size_mm, second, SPLIT_REACH_MM)
    ours = lungs & (to_first <= to_second)
    theirs = lungs & ~ours
    if float((first * x_mm).sum()) / first.sum() > float((second * x_mm).sum()) / second.sum():
        ours, theirs = theirs, ours
    return ours, theirs


def _two_largest(labels: NDArray[np.int32], count: int) -> tuple[BoolArray, BoolArray] | None:
    if count < 2:
        return None
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    second, first = np.argsort(sizes)[-2:]
    if sizes[second] < SPLIT_SHARE * sizes[first]:
        return None
    return labels == first, labels == second


def _x_of(cells: Cells, volume: Volume) -> FloatArray:
    """`ct` x in mm of each cell, broadcast over (k, j, i)."""
    axes = []
    for axis, (count, stride) in enumerate(zip(cells.mean_hu.shape, cells.strides, strict=True)):
        along = (np.arange(count) * stride + (stride - 1) / 2.0) * volume.ct_from_voxel[0, 2 - axis]
        axes.append(along.reshape([-1 if a == axis else 1 for a in range(3)]))
    return np.asarray(axes[0] + axes[1] + axes[2] + volume.ct_from_voxel[0, 3])


def _middle_x_mm(volume: Volume) -> float:
    return float(volume.centre_ct_mm[0])
