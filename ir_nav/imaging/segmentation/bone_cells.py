"""Bone told from contrast medium, on coarse cells.

Blood with contrast is as dense as bone, but even: within a cell of 2.5 mm its CT numbers spread
no more than the noise, while cortex and trabeculae spread widely. Even cells in clumps are the
cores of vessels, heart and kidneys; dense uneven cells away from them are seeds of bone; what is
dense in between goes to the nearer of the two. Pieces without cortex (600 HU) are dropped.
Idea after the texture step of automatic bone removal in CT angiography (Fiebich et al. 1999,
J Comput Assist Tomogr 23:155); the measures here are the console's own.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ir_nav.imaging.balls import filled_in_slices, one_less, squared_distance
from ir_nav.imaging.segmentation.cells import ALL_NEIGHBOURS, Cells, closed, pieces_of_at_least
from ir_nav.imaging.volume import BoolArray, Float32Array

DENSE_HU = 180
SEED_HU = 300
CORTEX_HU = 600
CORTEX_SHARE = 0.15
BLOOD_HU = 110.0
MARROW_HU = 55.0

# Spread of even tissue: that of the image's noise, more where beam hardening adds streaks.
EVENNESS_PER_NOISE = 2.0
LEAST_EVENNESS_HU = 26.0
STREAKS_FROM_HU = 250.0
STREAKS_PER_HU = 0.25

CORE_MM3 = 1000.0
PIECE_MM3 = 1500.0
APART_MM = 4.0
REACH_MM = 8.0
GAP_MM = 4.0


def find_bone(cells: Cells, where: BoolArray) -> tuple[BoolArray, BoolArray]:
    """Cells that are bone throughout (marrow), and cells whose dense voxels are bone.

    where: the cells that can hold bone.
    """
    core = _contrast(cells, where)
    dense = (cells.highest_hu > DENSE_HU) & where
    to_core = squared_distance(cells.size_mm, core, REACH_MM)
    even = cells.deviation_hu < _evenness_hu(cells, where)
    seed = dense & (to_core > APART_MM**2) & ~even & (cells.highest_hu > SEED_HU)
    seed = pieces_of_at_least(cells, seed, PIECE_MM3, ALL_NEIGHBOURS)
    to_seed = squared_distance(cells.size_mm, seed, REACH_MM)
    bone = _with_cortex(cells, dense & (to_seed <= np.minimum(to_core, REACH_MM**2)))
    return _marrow(cells, bone), bone


def _contrast(cells: Cells, where: BoolArray) -> BoolArray:
    """Cores of vessels, heart and kidneys: even, dense, in clumps."""
    even = (cells.mean_hu > BLOOD_HU) & (cells.deviation_hu < _evenness_hu(cells, where)) & where
    company = ndimage.uniform_filter(even.astype(np.float32), 3)
    return pieces_of_at_least(cells, even & (company > 8.5 / 27.0), CORE_MM3)


def _evenness_hu(cells: Cells, where: BoolArray) -> Float32Array:
    """Largest spread of even tissue in each cell, from the spread of the soft tissue at hand."""
    soft = cells.deviation_hu[where & (cells.mean_hu > 20.0) & (cells.mean_hu < 110.0)]
    # Half of all soft tissue is even, whatever else is in it.
    noise_hu = float(np.percentile(soft, 25)) if len(soft) else 0.0
    least = max(LEAST_EVENNESS_HU, EVENNESS_PER_NOISE * noise_hu)
    above = np.maximum(cells.mean_hu - STREAKS_FROM_HU, 0.0)
    return np.asarray(least + STREAKS_PER_HU * above, dtype=np.float32)


def _with_cortex(cells: Cells, bone: BoolArray) -> BoolArray:
    """Pieces that are large enough and in fair part as dense as cortex."""
    labels, count = ndimage.label(bone, ALL_NEIGHBOURS)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    cortex = np.bincount(labels[cells.highest_hu > CORTEX_HU], minlength=count + 1)
    keep = (sizes * cells.cell_mm3 >= PIECE_MM3) & (cortex >= CORTEX_SHARE * sizes)
    keep[0] = False
    return np.asarray(keep[labels])


def _marrow(cells: Cells, bone: BoolArray) -> BoolArray:
    """What the cortex encloses, the spinal canal left out: that is less dense."""
    shell = closed(cells, bone, GAP_MM)
    inside = filled_in_slices(cells.axial, shell) & (cells.mean_hu > MARROW_HU)
    around = one_less(inside | bone)
    return np.asarray(inside & (around | ~bone))
