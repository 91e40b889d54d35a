"""Skin, bone, lungs, airway and bowel gas of a CT by density, texture and place.

Everything is decided on cells of about 2.5 mm; then each voxel in the rim of what was found is
taken or left by its own CT number. No training, no atlas: where contrast medium and bone touch,
or a lung is solid, the result is wrong and has to be corrected by hand. How often it is stands in
docs/measurements-structures.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ir_nav.imaging.balls import (
    filled_in_slices,
    grown,
    in_two,
    largest_piece,
    one_less,
    one_more,
    shrunk,
)
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.segmentation import block_kernels as kernels
from ir_nav.imaging.segmentation.bone_cells import find_bone
from ir_nav.imaging.segmentation.cells import Cells, cells_of
from ir_nav.imaging.segmentation.gas_cells import Gas, find_gas
from ir_nav.imaging.segmentation.segments import (
    Box,
    Origin,
    Segment,
    bounding_box,
    trimmed,
)
from ir_nav.imaging.skin import OPENING_RADIUS_MM, SKIN_HU
from ir_nav.imaging.structures import Structure
from ir_nav.imaging.volume import BoolArray, Volume
from ir_nav.progress import Progress

BONE_HU = 150
LUNG_HU = -350
GAS_HU = -400

# Names as the protocols' patterns know them, bit of the code, colour.
FOUND = (
    ("skin", kernels.SKIN, "#d9b8a2"),
    ("bone", kernels.BONE, "#b4c46c"),
    ("lung_right", kernels.LUNG_RIGHT, "#7fa8c9"),
    ("lung_left", kernels.LUNG_LEFT, "#7fa8c9"),
    ("trachea", kernels.AIRWAY, "#8fc9c1"),
    ("bowel_gas", kernels.GAS, "#b9a0c9"),
)

Codes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Cells of each kind. sure: the whole cell; possible: what its voxels confirm."""

    sure: Codes
    possible: Codes


def automatic_structures(volume: Volume, progress: Progress | None = None) -> tuple[Segment, ...]:
    """Skin (the body without the table), bone, right and left lung, trachea and bowel gas.

    Numbered from 1; those that the CT does not show are left out. `progress` is called with
    0..1 and stops the work by raising. Raises ImagingError when nothing in the image is as dense
    as a body.
    """
    report = progress or (lambda _: None)
    report(0.0)
    cells = cells_of(volume)
    report(0.25)
    body = _body(cells)
    report(0.4)
    gas = find_gas(cells, body, volume)
    report(0.55)
    bone = find_bone(cells, body & ~gas.chest)
    report(0.7)
    kinds = _gathered(cells, body, gas, bone)
    code = _decided(volume, cells, kinds)
    report(0.9)
    found = [
        _segment(code, box, number, bit, name, colour)
        for number, (name, bit, colour) in enumerate(FOUND, start=1)
        if (box := _reach(cells, kinds, bit, code.shape)) is not None
    ]
    report(1.0)
    return tuple(segment for segment in found if segment is not None)


def _body(cells: Cells) -> BoolArray:
    """As skin.body_mask: denser than -300 HU, opened by 6 mm, the largest piece, filled."""
    dense = cells.mean_hu > SKIN_HU
    core = largest_piece(shrunk(cells.size_mm, dense, OPENING_RADIUS_MM))
    if not core.any():
        raise ImagingError("no body found: nothing in the image is denser than -300 HU")
    return filled_in_slices(cells.axial, grown(cells.size_mm, core, OPENING_RADIUS_MM) & dense)


def _gathered(cells: Cells, body: BoolArray, gas: Gas, bone: tuple[BoolArray, BoolArray]) -> _Found:
    sure, possible = (np.zeros(body.shape, np.uint8) for _ in range(2))
    sure |= one_less(one_less(body)) * np.uint8(kernels.SKIN)
    possible |= one_more(body) * np.uint8(kernels.SKIN)
    whole, rim = bone
    sure |= whole * np.uint8(kernels.BONE)
    possible |= rim * np.uint8(kernels.BONE)
    free = body.copy()
    for mask, bit in (
        (gas.airway, kernels.AIRWAY),
        (gas.lung_right, kernels.LUNG_RIGHT),
        (gas.lung_left, kernels.LUNG_LEFT),
        (gas.bowel, kernels.GAS),
    ):
        # A voxel belongs to one of these only: what comes first keeps it.
        near = one_more(mask) & free
        possible |= near * np.uint8(bit)
        free &= ~near
    for mask, bit in ((gas.deep_right, kernels.LUNG_RIGHT), (gas.deep_left, kernels.LUNG_LEFT)):
        sure |= (mask & (possible & bit > 0)) * np.uint8(bit)
    return _Found(sure, possible)


def _decided(volume: Volume, cells: Cells, found: _Found) -> Codes:
    code = np.empty(volume.voxels.shape, np.uint8)
    in_two(
        lambda first, last: kernels.decide(
            volume.voxels,
            cells.strides,
            found.sure,
            found.possible,
            int(SKIN_HU),
            BONE_HU,
            LUNG_HU,
            GAS_HU,
            code,
            first,
            last,
        ),
        len(code),
    )
    return code


def _reach(cells: Cells, found: _Found, bit: int, shape_kji: tuple[int, ...]) -> Box | None:
    """The part of the grid whose cells can hold this kind."""
    box = bounding_box((found.possible & bit) > 0)
    if box is None:
        return None
    k, j, i = (
        slice(side.start * stride, min(side.stop * stride, size))
        for side, stride, size in zip(box, cells.strides, shape_kji, strict=True)
    )
    return k, j, i


def _segment(
    code: Codes, box: Box, number: int, bit: int, name: str, colour: str
) -> Segment | None:
    here = code[box]
    mask = np.empty(here.shape, np.bool_)
    in_two(
        lambda first, last: kernels.same_bits(here[first:last], bit, mask[first:last]), len(here)
    )
    if not mask.any():
        return None
    corner, part = trimmed((box[0].start, box[1].start, box[2].start), mask)
    return Segment(Structure(number, name, part.copy(), corner), colour, Origin.AUTOMATIC)
