"""Fluoro frames made ready for comparing: absorption, what may vote, at several resolutions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from ir_nav.geometry import CArmGeometry, FloatArray
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.fluoro.attenuation import Attenuation
from ir_nav.registration.fluoro.masks import collimated, instruments, saturated
from ir_nav.registration.fluoro.projector import coarsened, cropped
from ir_nav.registration.fluoro.similarity_kernels import normalised_gradients
from ir_nav.registration.fluoro.view import FluoroFrame, Pixels
from ir_nav.threads import in_ranges

Image = NDArray[np.float32]

# Detector pixel of a level per voxel of its CT: at 1.4 times magnification about the same.
PIXEL_PER_VOXEL = 1.2
# Side of the square over which gradients are normalised, and of the blocks in which residuals
# are taken as one observation, on the detector.
NEIGHBOURHOOD_MM = 31.0
BLOCK_MM = 38.0
FLOOR = 0.1
# Finest width at which blades and instruments are looked for.
BLADES_PX, INSTRUMENTS_PX = 128, 256
# Darker than this part of the brightest pixel is the detector's zero level.
DARKEST = 5e-4
LEAST_VOTES = 0.08
LEAST_PIXELS = 24


@dataclass(frozen=True, slots=True, eq=False)
class PreparedFrame:
    """counts: (rows, columns) proportional to the dose that arrived, or the absorption.
    usable: the same shape, uint8, 1 where a pixel may vote.
    """

    frame: FluoroFrame
    counts: Image
    usable: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class LevelView:
    """One view at one resolution, its window about what votes. weight, across, down: (rows,
    columns); the latter two are the frame's normalised gradients. voting: (m,) flat places of
    weight that are not zero.
    """

    geometry: CArmGeometry
    carm_from_world: FloatArray
    weight: Image
    across: Image
    down: Image
    voting: NDArray[np.int32]
    radius_px: int
    block_px: int


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """A CT's voxels and every view at a resolution that suits them."""

    attenuation: Attenuation
    views: tuple[LevelView, ...]


def prepare_frame(frame: FluoroFrame) -> PreparedFrame:
    """Find what in a frame may vote: not saturated, not collimated, no instrument.

    Raises RegistrationError when the frame is of another size than its geometry, or when too
    little of it is left.
    """
    image = np.asarray(frame.image, dtype=np.float32)
    width, height = frame.view.geometry.size_px
    if image.shape != (height, width):
        raise RegistrationError(
            f"the frame is {image.shape[1]} x {image.shape[0]} px, but its geometry says "
            f"{width} x {height}: give the geometry that belongs to the frame"
        )
    if not np.isfinite(image).all():
        raise RegistrationError("the frame holds numbers that are not finite: export it again")
    bright = image if frame.view.pixels is Pixels.INTENSITY else -image
    if float(bright.max()) <= float(bright.min()):
        raise RegistrationError("the frame is of one grey all over: it shows nothing")
    if frame.view.pixels is Pixels.INTENSITY and float(image.max()) <= 0.0:
        raise RegistrationError("the frame says intensity but holds nothing above zero")
    unusable = saturated(bright)
    for find, finest in ((collimated, BLADES_PX), (instruments, INSTRUMENTS_PX)):
        factor = max(round(width / finest), 1)
        found = find(absorbed(binned(image, factor), frame.view.pixels, float(image.max())))
        unusable |= _enlarged(found, factor, image.shape)
    usable = (~unusable).astype(np.uint8)
    if usable.mean() < LEAST_VOTES:
        raise RegistrationError(
            f"only {100 * usable.mean():.0f} % of the frame is neither saturated nor collimated: "
            "open the collimator or lower the dose, and take another"
        )
    return PreparedFrame(frame, image, usable)


def prepare_levels(
    frames: Sequence[FluoroFrame], attenuations: Sequence[Attenuation]
) -> tuple[Level, ...]:
    """One level for each CT grid, all frames in each. Raises as prepare_frame, and without one."""
    if not frames:
        raise RegistrationError("no fluoro frame was given")
    _require_different(frames)
    views: dict[int, list[LevelView]] = {}

    def prepare(part: tuple[int, int]) -> None:
        for number in range(*part):
            prepared = prepare_frame(frames[number])
            views[number] = [_level_view(prepared, min(grid.spacing_mm)) for grid in attenuations]

    in_ranges(len(frames), prepare)
    by_level = zip(*(views[number] for number in range(len(frames))), strict=True)
    return tuple(map(Level, attenuations, by_level))


def _require_different(frames: Sequence[FluoroFrame]) -> None:
    """One image given twice would count as two witnesses of the same error."""
    for second, first in combinations(reversed(range(len(frames))), 2):
        if np.array_equal(frames[first].image, frames[second].image):
            raise RegistrationError(
                f"frames {first + 1} and {second + 1} are one and the same image: give another view"
            )


def _level_view(prepared: PreparedFrame, voxel_mm: float) -> LevelView:
    view = prepared.frame.view
    own_mm = max(view.geometry.pixel_mm)
    factor = max(round(PIXEL_PER_VOXEL * voxel_mm / own_mm), 1)
    factor = min(factor, min(view.geometry.size_px) // 8)
    top = float(prepared.counts.max())
    image = absorbed(binned(prepared.counts, factor), view.pixels, top)
    votes = (binned(prepared.usable.astype(np.float32), factor) > 0.99).astype(np.uint8)
    # A gradient takes its eight neighbours along.
    weight = cv2.erode(votes, np.ones((3, 3), np.uint8), borderValue=0).astype(np.float32)
    if np.count_nonzero(weight) < LEAST_PIXELS:
        raise RegistrationError(
            "what the collimator, saturation and instruments leave of the frame is in too small "
            "pieces: open the collimator or lower the dose, and take another"
        )
    geometry, image, weight = _window(coarsened(view.geometry, factor), image, weight)
    across, down = np.empty_like(image), np.empty_like(image)
    pixel_mm = own_mm * factor
    radius = max(round(NEIGHBOURHOOD_MM / pixel_mm / 2.0 - 0.5), 1)
    normalised_gradients(image, weight, radius, FLOOR, across, down)
    voting = np.flatnonzero(weight).astype(np.int32)
    for array in (weight, across, down, voting):
        array.flags.writeable = False
    return LevelView(
        geometry,
        view.carm_from_world,
        weight,
        across,
        down,
        voting,
        radius,
        max(round(BLOCK_MM / pixel_mm), 2),
    )


def _window(
    geometry: CArmGeometry, image: Image, weight: Image
) -> tuple[CArmGeometry, Image, Image]:
    """The part of a view that votes, with one pixel round it for the gradients."""
    (top, bottom), (left, right) = (
        (int(filled[0]) - 1, int(filled[-1]) + 2)
        for filled in (np.flatnonzero(weight.any(axis=axis)) for axis in (1, 0))
    )
    window = np.s_[top:bottom, left:right]
    return (
        cropped(geometry, (left, top), (right - left, bottom - top)),
        np.ascontiguousarray(image[window]),
        np.ascontiguousarray(weight[window]),
    )


def absorbed(image: Image, pixels: Pixels, top: float) -> Image:
    """Line integrals up to scale and offset; intensity by the law of Lambert and Beer."""
    if pixels is Pixels.ATTENUATION:
        return image
    return np.asarray(-np.log(np.maximum(image * np.float32(1.0 / top), DARKEST)), np.float32)


def binned(image: Image, factor: int) -> Image:
    """Means of factor x factor pixels; what is left over at the right and below is cut off."""
    rows, columns = (size // factor for size in image.shape)
    cut = np.ascontiguousarray(image[: rows * factor, : columns * factor])
    if factor == 1:
        return cut
    return np.asarray(cv2.resize(cut, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)


def _enlarged(mask: NDArray[np.bool_], factor: int, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The mask at full resolution; what binning cut off takes its neighbour's value."""
    large = np.repeat(np.repeat(mask, factor, axis=0), factor, axis=1)
    return np.pad(large, [(0, n - m) for n, m in zip(shape, large.shape, strict=True)], mode="edge")
