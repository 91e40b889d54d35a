"""Pincushion and S distortion of an image intensifier, from one frame of a flat grid of beads.

The grid lies on the detector's cover. A polynomial of both coordinates maps the corrected picture
to the frame (Gronenschild 1997, The accuracy and reproducibility of a global method to correct
for geometric image distortion in the x-ray imaging chain): of fifth degree, least squares.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ir_nav.geometry import FloatArray, read_only
from ir_nav.registration.carm_calibration.beads import Blobs, find_blobs
from ir_nav.registration.carm_calibration.plate import Plate
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.fluoro.view import FluoroFrame

DEGREE = 5
LEAST_BEADS = 60
FIRST_BEADS = 9
SPARE_BLOBS = 3
NEAR_PITCH = 0.3
MOST_RMS_PX = 0.5
FOLDS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Distortion:
    """frame_px = polynomial(corrected_px). size_px: (width, height). coefficients: (terms, 2),
    of coordinates scaled to -1..1. rms_px: of beads left out of the fit in turn. largest_px: how
    far the correction moves a bead."""

    size_px: tuple[int, int]
    coefficients: FloatArray
    rms_px: float
    largest_px: float
    beads: int

    def frame_px(self, corrected_px: FloatArray) -> FloatArray:
        """Where places (n, 2) of the corrected picture lie in the frame."""
        return np.asarray(_terms(_scaled(corrected_px, self.size_px), DEGREE) @ self.coefficients)

    def scales_to(self, size_px: tuple[int, int]) -> bool:
        """Whether a frame (width, height) is the whole field in larger or smaller pixels: its
        shape agrees to a pixel."""
        ratio = size_px[0] / self.size_px[0]
        return min(size_px) > 1 and abs(size_px[1] - ratio * self.size_px[1]) <= 1.0

    def at_size(self, size_px: tuple[int, int]) -> Distortion:
        """The same for the whole field read in larger or smaller pixels (width, height)."""
        ratio = np.array(size_px, dtype=np.float64) / self.size_px
        coefficients = self.coefficients * ratio
        # Pixel centres lie at whole numbers, so that the picture begins at minus one half.
        coefficients[0] += (ratio - 1.0) / 2.0
        scale = float(ratio.mean())
        return Distortion(
            size_px,
            read_only(coefficients),
            self.rms_px * scale,
            self.largest_px * scale,
            self.beads,
        )


def distortion_from_grid(frame: FluoroFrame, grid: Plate) -> Distortion:
    """The distortion that a flat grid on the detector shows.

    The corrected picture keeps the frame's scale and turn at its middle. Raises RegistrationError
    when the grid is not flat or not found, or the polynomial does not describe it.
    """
    if not grid.flat:
        raise RegistrationError("distortion is measured with a flat grid: this one is not flat")
    size = frame.view.geometry.size_px
    plane = _in_plane(grid.positions_mm)
    largest = max(bead.diameter_mm for bead in grid.beads) * 1.5 / min(frame.view.geometry.pixel_mm)
    blobs = find_blobs(frame, largest)
    pairs = _matched(plane, grid.coded, blobs, size)
    if len(pairs) < LEAST_BEADS:
        raise RegistrationError(
            f"only {len(pairs)} beads of the grid were found; {LEAST_BEADS} are needed over the "
            "whole picture"
        )
    of_beads, of_blobs = (list(part) for part in zip(*pairs, strict=True))
    seen = blobs.centres_px[of_blobs]
    ideal = _ideal_px(plane[of_beads], seen, size)
    terms = _terms(_scaled(ideal, size), DEGREE)
    coefficients = np.linalg.lstsq(terms, seen, rcond=None)[0]
    rms = _left_out(terms, seen)
    if rms > MOST_RMS_PX:
        raise RegistrationError(
            f"the grid's beads lie {rms:.2f} px off a smooth distortion ({MOST_RMS_PX:g} allowed): "
            "lay it flat on the detector and check its description"
        )
    moved = float(np.max(np.linalg.norm(seen - ideal, axis=1)))
    return Distortion(size, read_only(coefficients), rms, moved, len(pairs))


def term_count() -> int:
    """How many coefficients a distortion has for each coordinate."""
    return (DEGREE + 1) * (DEGREE + 2) // 2


def undistorted(image: NDArray[np.floating], distortion: Distortion) -> NDArray[np.float32]:
    """The corrected picture (rows, columns); what no part of the frame shows is its border."""
    width, height = distortion.size_px
    if image.shape != (height, width):
        raise RegistrationError(
            f"the frame is {image.shape[1]} x {image.shape[0]} px, the distortion was measured at "
            f"{width} x {height}"
        )
    return np.asarray(
        cv2.remap(
            np.asarray(image, dtype=np.float32),
            *straightening_maps(distortion),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )


def straightening_maps(
    distortion: Distortion,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Columns and rows (rows, columns) of the frame at which each pixel of the corrected picture
    is to be read."""
    width, height = distortion.size_px
    half = max(distortion.size_px) / 2.0
    across, down = (
        ((np.arange(count) - (count - 1) / 2.0) / half)[:, None] ** np.arange(DEGREE + 1)
        for count in (width, height)
    )
    # The powers of a column and a row are worked out once for all pixels of it.
    grids = np.zeros((2, DEGREE + 1, DEGREE + 1))
    for (of_u, of_v), pair in zip(_powers(DEGREE), distortion.coefficients, strict=True):
        grids[:, of_v, of_u] = pair
    columns, rows = (np.ascontiguousarray(down @ grid @ across.T, np.float32) for grid in grids)
    return columns, rows


def _matched(
    plane: FloatArray, coded: tuple[int, ...], blobs: Blobs, size: tuple[int, int]
) -> list[tuple[int, int]]:
    """Beads and spots, from the coded ones outwards, the model bending as it grows."""
    pitch = float(np.median(cKDTree(plane).query(plane, k=2)[0][:, 1]))
    start = _first_affine(plane, coded, blobs)
    if start is None:
        return []
    centre = plane[list(coded)].mean(axis=0)
    order = np.argsort(np.linalg.norm(plane - centre, axis=1))
    model: FloatArray = start
    degree = 1
    tree = cKDTree(blobs.centres_px)
    pairs: list[tuple[int, int]] = []
    count = FIRST_BEADS
    while True:
        chosen = order[:count]
        scale = float(np.sqrt(abs(np.linalg.det(start[1:3]))))
        places = _terms(plane[chosen] - centre, degree) @ model
        distance, spot = tree.query(places)
        near = distance < NEAR_PITCH * pitch * scale
        pairs = [(int(b), int(s)) for b, s in zip(chosen[near], spot[near], strict=True)]
        if count >= len(plane) or len(pairs) < 4:
            return _once(pairs)
        degree = 1 if len(pairs) < 15 else 3 if len(pairs) < 60 else DEGREE
        of_beads, of_blobs = (list(part) for part in zip(*pairs, strict=True))
        terms = _terms(plane[of_beads] - centre, degree)
        model = np.asarray(np.linalg.lstsq(terms, blobs.centres_px[of_blobs], rcond=None)[0])
        count = min(len(plane), int(1.15 * count) + 4)


def _once(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Without the spots that two beads claim."""
    spots = [spot for _, spot in pairs]
    return [(bead, spot) for bead, spot in pairs if spots.count(spot) == 1]


def _first_affine(plane: FloatArray, coded: tuple[int, ...], blobs: Blobs) -> FloatArray | None:
    """(3, 2) px from plane mm about the coded beads' middle, from the largest spots."""
    beads = plane[list(coded)]
    centre = beads.mean(axis=0)
    chosen = np.argsort(np.linalg.norm(plane - centre, axis=1))[: 2 * FIRST_BEADS]
    pitch = float(np.median(cKDTree(plane).query(plane, k=2)[0][:, 1]))
    spots = blobs.centres_px[: min(len(coded) + SPARE_BLOBS, 8)]
    tree = cKDTree(blobs.centres_px)
    best: tuple[float, FloatArray] | None = None
    for order in permutations(range(len(spots)), len(coded) if len(coded) <= 4 else 4):
        seen, used = spots[list(order)], beads[: len(order)]
        terms = _terms(used - centre, 1)
        affine: FloatArray = np.asarray(np.linalg.lstsq(terms, seen, rcond=None)[0])
        scale = float(np.sqrt(abs(np.linalg.det(affine[1:3]))))
        stretch = np.linalg.svd(affine[1:3], compute_uv=False)
        if scale * pitch < 4.0 or stretch[1] < 0.7 * stretch[0]:
            continue
        own = np.linalg.norm(terms @ affine - seen, axis=1)
        others = tree.query(_terms(plane[chosen] - centre, 1) @ affine)[0]
        score = float(np.minimum(others / (scale * pitch), 0.5).sum() + (own / scale / pitch).sum())
        if best is None or score < best[0]:
            best = score, affine
    return None if best is None else best[1]


def _ideal_px(plane: FloatArray, seen: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Places (n, 2) of an undistorted picture with the frame's scale and turn at its middle."""
    middle_px = (np.array(size, dtype=np.float64) - 1.0) / 2.0
    scaled = _scaled(seen, size)
    back = np.linalg.lstsq(_terms(scaled, DEGREE), plane, rcond=None)[0]
    step = 1e-4
    at = _terms(np.array([[0.0, 0.0], [step, 0.0], [0.0, step]]), DEGREE) @ back
    # plane mm per scaled unit at the middle; the nearest turn times one scale.
    change = np.stack([at[1] - at[0], at[2] - at[0]], axis=1) / step / (max(size) / 2.0)
    u, singular, vt = np.linalg.svd(change)
    similar = (u @ vt) * float(np.mean(singular))
    return np.asarray((plane - at[0]) @ np.linalg.inv(similar).T + middle_px)


def _left_out(terms: FloatArray, seen: FloatArray) -> float:
    """Rms distance of beads from a fit to the others, in FOLDS turns."""
    turn = np.arange(len(seen)) % FOLDS
    misses = []
    for fold in range(FOLDS):
        kept = turn != fold
        fitted = np.linalg.lstsq(terms[kept], seen[kept], rcond=None)[0]
        misses.append(np.sum((terms[~kept] @ fitted - seen[~kept]) ** 2, axis=1))
    return float(np.sqrt(np.mean(np.concatenate(misses))))


def _in_plane(positions_mm: FloatArray) -> FloatArray:
    """(n, 2) coordinates within the plane of the beads, mm."""
    centred = positions_mm - positions_mm.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:2]
    return np.asarray(centred @ axes.T)


def _scaled(places_px: FloatArray, size: tuple[int, int]) -> FloatArray:
    half = max(size) / 2.0
    return (places_px - (np.array(size) - 1.0) / 2.0) / half


def _terms(places: FloatArray, degree: int) -> FloatArray:
    """(n, terms): 1, x, y, x^2, xy, y^2 ... to a degree."""
    x, y = places[:, 0], places[:, 1]
    return np.stack([x**i * y**j for i, j in _powers(degree)], axis=1)


def _powers(degree: int) -> list[tuple[int, int]]:
    """Of x and y, in the order of the coefficients."""
    return [(i - j, j) for i in range(degree + 1) for j in range(i + 1)]
