"""Find the wires of an N-wire phantom in an ultrasound image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ir_nav.geometry import FloatArray, read_only
from ir_nav.tracking.calibration.nwire_pose import PlaneFits, best_planes
from ir_nav.tracking.calibration.phantom import Phantom
from ir_nav.tracking.calibration.result import CalibrationError, Rejection

MAX_SPOTS = 40
MIN_CONTRAST = 0.03
# Where there are more maxima than any phantom has wires, most are speckle.
OVER_SPECKLE = 2.5
# Grey levels.
MIN_RESPONSE = 0.5
# The faintest wire of a real recording had 0.19 of the median of its nine.
MIN_SHARE_OF_MEDIAN = 0.1
SPOT_MM = 0.25
BACKGROUND_MM = 1.5
APART_MM = 1.6
WINDOW_MM = (1.4, 0.8)
MAX_BEND_MM = 0.8
SPAN_RANGE = (0.88, 1.35)
DEPTH_RANGE = (0.8, 1.35)
MAX_LINE_ANGLE_DEG = 8.0
RATIO_MARGIN = 0.08
MAX_GUESSES = 600
# Wires of a real recording lie 0.15 mm rms from their lines, 0.19 mm at the worst.
MAX_RMS_MM = 0.4
MAX_MISS_MM = 1.0
MAX_SCALE_FAULT = 0.15
MIN_MM_PER_PX = 0.005


@dataclass(frozen=True, slots=True, eq=False)
class WirePattern:
    """wires_px (3 k, 2): wires in the phantom's order. rms_mm: distance of the points from the
    wires once the plane is laid into the phantom. mm_per_px (2,): scale fitted with it."""

    wires_px: FloatArray
    rms_mm: float
    mm_per_px: FloatArray


@dataclass(frozen=True, slots=True)
class Refused:
    """No wires in this image that could be believed, and why."""

    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class _Triples:
    """t guesses of one pattern. spots (t, 3): numbers of the spots, first side wire, diagonal,
    other side wire. start, span (t, 2): first wire and the way to the other, mm."""

    spots: NDArray[np.int64]
    start: FloatArray
    span: FloatArray


class Corner(Enum):
    """Where in the image the first wire of the first pattern is: (at the left, at the top)."""

    TOP_LEFT = (True, True)
    TOP_RIGHT = (False, True)
    BOTTOM_LEFT = (True, False)
    BOTTOM_RIGHT = (False, False)


def find_wires(
    pixels: ArrayLike,
    phantom: Phantom,
    mm_per_px: float | tuple[float, float],
    *,
    first_wire: Corner | None = None,
) -> WirePattern | Refused:
    """The wires in one image (rows, columns), grey, or why there is none to be believed.

    mm_per_px: nominal scale along u and v, within 15 %. Bright spots are taken three by three
    on lines as long and as far apart as the phantom's patterns; each guess is laid into the
    phantom as a plane (`fit_planes`) and the best is taken when all its wires fit. A phantom
    that looks the same from behind or upside down needs first_wire. CalibrationError when it
    is no grey image or the scale is no scale.
    """
    image, scale = _checked(pixels, mm_per_px)
    spots_px, brightness = bright_spots(image, scale)
    wires = 3 * phantom.patterns
    if len(spots_px) < wires:
        return Refused(f"{len(spots_px)} bright spots, {wires} wires are expected")
    triples = [_triples(spots_px * scale, phantom, index) for index in range(phantom.patterns)]
    for index, found in enumerate(triples):
        if not len(found.spots):
            label = ", ".join(phantom.names[3 * index : 3 * index + 3])
            return Refused(f"no three spots in a row could be the wires {label}")
    guesses = _guesses(triples, phantom)
    if first_wire is not None:
        guesses = guesses[_in_corner(spots_px[guesses], first_wire)]
    if not len(guesses):
        return Refused("no rows of spots are spaced like the phantom's patterns")
    shares = brightness[guesses] / np.median(brightness[guesses], axis=1, keepdims=True)
    guesses = guesses[shares.min(axis=1) > MIN_SHARE_OF_MEDIAN]
    if not len(guesses):
        return Refused("no rows of spots are all bright enough for wires: raise the gain")
    chosen, fits = best_planes(spots_px[guesses], phantom, scale)
    return _judged(guesses[chosen], spots_px, fits, scale)


def find_all_wires(
    images: Sequence[ArrayLike | None],
    phantom: Phantom,
    mm_per_px: float | tuple[float, float],
    *,
    first_wire: Corner | None = None,
) -> tuple[FloatArray, tuple[Rejection, ...]]:
    """Wires (n, 3 k, 2), px, of n images (rows, columns); NaN where refused, with reasons.

    None stands for a frame without an image. Takes about 15 ms for each, see `find_wires`.
    """
    wires_px = np.full((len(images), 3 * phantom.patterns, 2), np.nan)
    refused = []
    for index, pixels in enumerate(images):
        if pixels is None:
            refused.append(Rejection(index, "has no image"))
            continue
        found = find_wires(pixels, phantom, mm_per_px, first_wire=first_wire)
        if isinstance(found, Refused):
            refused.append(Rejection(index, found.reason))
        else:
            wires_px[index] = found.wires_px
    return wires_px, tuple(refused)


def _checked(
    pixels: ArrayLike, mm_per_px: float | tuple[float, float]
) -> tuple[NDArray[np.float32], FloatArray]:
    image = np.asarray(pixels).astype(np.float32)
    scale = np.broadcast_to(np.asarray(mm_per_px, dtype=np.float64), (2,)).copy()
    if image.ndim != 2 or image.size == 0:
        raise CalibrationError(f"an image of shape {image.shape} is not grey: record brightness")
    if not (np.isfinite(scale) & (scale > MIN_MM_PER_PX)).all():
        raise CalibrationError(f"{scale} mm/px is no scale: take it from the ultrasound machine")
    return image, scale


def bright_spots(
    image: NDArray[np.float32], mm_per_px: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Centres (n, 2), px, and brightness (n,) of the small spots of an image, brightest first.

    A spot is a local maximum of the image smoothed at 0.25 mm minus the same at 1.5 mm, its
    centre the centroid of what is brighter than half of it around.
    """
    narrow = _smoothed(image, SPOT_MM, mm_per_px)
    response = narrow - _background(image, mm_per_px)
    reach = [2 * max(1, round(APART_MM / 2.0 / step)) + 1 for step in mm_per_px]
    highest = cv2.dilate(response, np.ones((reach[1], reach[0]), np.uint8))
    rows, columns = np.nonzero((response == highest) & (response > MIN_RESPONSE))
    heights = response[rows, columns]
    floor = MIN_CONTRAST * float(heights.max(initial=0.0))
    if len(heights) > MAX_SPOTS:
        floor = max(floor, OVER_SPECKLE * float(np.median(heights)))
    order = np.argsort(-heights)[: min(MAX_SPOTS, int((heights > floor).sum()))]
    half = [max(1, round(size / step)) for size, step in zip(WINDOW_MM, mm_per_px, strict=True)]
    centres = [
        _centroid(narrow, int(columns[index]), int(rows[index]), half[0], half[1])
        for index in order
    ]
    brightness = heights[order].astype(np.float64)
    return np.array(centres, dtype=np.float64).reshape(-1, 2), brightness


def _smoothed(image: NDArray[np.float32], sigma_mm: float, mm_per_px: FloatArray) -> FloatArray:
    blurred: FloatArray = cv2.GaussianBlur(
        image, (0, 0), sigmaX=sigma_mm / mm_per_px[0], sigmaY=sigma_mm / mm_per_px[1]
    )
    return blurred


def _background(image: NDArray[np.float32], mm_per_px: FloatArray) -> FloatArray:
    """Smoothed at 1.5 mm, on a quarter of the pixels each way: ten times quicker."""
    rows, columns = image.shape
    size = max(1, columns // 4), max(1, rows // 4)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    blurred: FloatArray = cv2.resize(
        _smoothed(small, BACKGROUND_MM, 4.0 * mm_per_px),
        (columns, rows),
        interpolation=cv2.INTER_LINEAR,
    )
    return blurred


def _centroid(image: FloatArray, u: int, v: int, half_u: int, half_v: int) -> tuple[float, float]:
    top, left = max(0, v - half_v), max(0, u - half_u)
    window = image[top : v + half_v + 1, left : u + half_u + 1]
    weights = np.maximum(window - 0.5 * image[v, u], 0.0)
    total = float(weights.sum())
    rows, columns = np.indices(window.shape)
    return (
        left + float((weights * columns).sum()) / total,
        top + float((weights * rows).sum()) / total,
    )


def _triples(spots_mm: FloatArray, phantom: Phantom, index: int) -> _Triples:
    """All rows of three spots that could be pattern `index`, both ways round."""
    ends = phantom.wires_mm[3 * index : 3 * index + 3]
    width = float(np.linalg.norm(np.mean(ends[2] - ends[0], axis=0)))
    across = phantom.crossings_mm[index, 1] - phantom.crossings_mm[index, 0]
    ratios = (ends[1] - phantom.crossings_mm[index, 0]) @ across / (across @ across)
    count = len(spots_mm)
    first, other = (grid.ravel() for grid in np.indices((count, count)))
    span = spots_mm[other] - spots_mm[first]
    length = np.linalg.norm(span, axis=1)
    fits = (length > SPAN_RANGE[0] * width) & (length < SPAN_RANGE[1] * width)
    first, other, span, length = first[fits], other[fits], span[fits], length[fits]
    along = span / length[:, None]
    offset = spots_mm[None] - spots_mm[first][:, None]
    ratio = np.einsum("psj,pj->ps", offset, along) / length[:, None]
    bend = np.abs(offset[..., 0] * along[:, None, 1] - offset[..., 1] * along[:, None, 0])
    inside = (ratio > ratios.min() - RATIO_MARGIN) & (ratio < ratios.max() + RATIO_MARGIN)
    pair, diagonal = np.nonzero(inside & (bend < MAX_BEND_MM))
    spots = np.stack((first[pair], diagonal, other[pair]), axis=1)
    return _Triples(spots, spots_mm[first[pair]], span[pair])


def _guesses(triples: list[_Triples], phantom: Phantom) -> NDArray[np.int64]:
    """Numbers of the spots (h, 3 k): a row for every pattern, parallel, spaced like them."""
    depths = _depths_mm(phantom)
    guesses = triples[0].spots
    first = np.arange(len(guesses))
    for index in range(1, len(triples)):
        allowed = _compatible(triples[0], triples[index], depths[index] - depths[0])
        guess, row = np.nonzero(allowed[first])
        joined = np.hstack((guesses[guess], triples[index].spots[row]))
        ordered = np.sort(joined, axis=1)
        apart = (np.diff(ordered, axis=1) > 0).all(axis=1)
        # Spots are numbered by brightness: what is dropped is dim.
        order = np.argsort(joined[apart].sum(axis=1), kind="stable")[:MAX_GUESSES]
        guesses, first = joined[apart][order], first[guess][apart][order]
    return guesses


def _compatible(one: _Triples, two: _Triples, depth_mm: float) -> NDArray[np.bool_]:
    """(t1, t2): the rows run the same way and lie as far apart as the patterns."""
    lengths = np.linalg.norm(one.span, axis=1)[:, None], np.linalg.norm(two.span, axis=1)[None]
    cosine = (one.span @ two.span.T) / (lengths[0] * lengths[1])
    between = (two.start + two.span / 2)[None] - (one.start + one.span / 2)[:, None]
    along = one.span / np.linalg.norm(one.span, axis=1, keepdims=True)
    apart = np.abs(between[..., 0] * along[:, None, 1] - between[..., 1] * along[:, None, 0])
    far = abs(depth_mm)
    spaced = (apart > DEPTH_RANGE[0] * far) & (apart < DEPTH_RANGE[1] * far + 1.0)
    return np.asarray((cosine > np.cos(np.radians(MAX_LINE_ANGLE_DEG))) & spaced)


def _depths_mm(phantom: Phantom) -> FloatArray:
    """(k,): where the patterns lie along the direction square to the first pattern's plane."""
    ends = phantom.wires_mm.reshape(-1, 3, 2, 3)
    normal = np.cross(ends[0, 0, 1] - ends[0, 0, 0], ends[0, 2, 0] - ends[0, 0, 0])
    return np.asarray(ends.mean(axis=(1, 2)) @ (normal / np.linalg.norm(normal)))


def _in_corner(points_px: FloatArray, corner: Corner) -> NDArray[np.bool_]:
    """Which guesses (h, 3 k, 2) have the first wire of the first pattern there."""
    left, top = corner.value
    at_left = points_px[:, 0, 0] < points_px[:, 2, 0]
    at_top = points_px[:, :3, 1].mean(axis=1) < points_px[:, -3:, 1].mean(axis=1)
    return np.asarray((at_left == left) & (at_top == top))


def _judged(
    guesses: NDArray[np.int64], spots_px: FloatArray, fits: PlaneFits, nominal: FloatArray
) -> WirePattern | Refused:
    best = int(np.argmin(fits.rms_mm))
    rms = float(fits.rms_mm[best])
    if rms > MAX_RMS_MM or float(fits.residuals_mm[best].max()) > MAX_MISS_MM:
        return Refused(f"the best rows of spots lie {rms:.1f} mm rms off the phantom's wires")
    scale = fits.mm_per_px[best]
    if np.abs(scale / nominal - 1.0).max() > MAX_SCALE_FAULT:
        return Refused(f"the spots ask for {scale[0]:.4f} x {scale[1]:.4f} mm/px: check the scale")
    same_spots = (np.sort(guesses, axis=1) == np.sort(guesses[best])).all(axis=1)
    same_spots[best] = False
    if (fits.rms_mm[same_spots] < MAX_RMS_MM).any():
        return Refused("the wires fit another way round as well: say where the first wire is")
    return WirePattern(read_only(spots_px[guesses[best]]), rms, read_only(scale))
