"""Beads of a plate in a frame: small round dark blobs, to a part of a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ir_nav.geometry import FloatArray, read_only
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.fluoro.view import FluoroFrame
from ir_nav.registration.fluoro_needle.ridges import MAD_TO_SIGMA, Float32, absorbed

LEAST_Z = 6.0
# Of the darkest beads: fainter spots are no metal.
LEAST_SHARE = 0.25
ROUND = 0.6
MOST_BEADS = 3000


@dataclass(frozen=True, slots=True, eq=False)
class Blobs:
    """centres_px: (n, 2) u, v. diameters_px: (n,), at half height. Largest first."""

    centres_px: FloatArray
    diameters_px: FloatArray


def find_blobs(frame: FluoroFrame, largest_px: float) -> Blobs:
    """Round dark spots of at most largest_px. Raises RegistrationError when there are none."""
    absorbing = absorbed(frame.image, frame.view.pixels)
    if not np.isfinite(absorbing).all():
        raise RegistrationError("the frame holds values that are not finite")
    reach = 2 * int(np.ceil(1.1 * largest_px)) + 1
    shape = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    smooth = cv2.GaussianBlur(absorbing, (0, 0), 0.8)
    spots = np.asarray(cv2.morphologyEx(smooth, cv2.MORPH_TOPHAT, shape))
    noise = MAD_TO_SIGMA * float(np.median(np.abs(spots - np.median(spots))))
    least = max(
        float(np.median(spots)) + LEAST_Z * noise, LEAST_SHARE * float(np.percentile(spots, 99.9))
    )
    count, marks, stats, _ = cv2.connectedComponentsWithStats(
        (spots > least).astype(np.uint8), connectivity=8
    )
    if count > MOST_BEADS:
        raise RegistrationError("the frame is full of spots: take it of the plate alone")
    found = [
        blob
        for index in range(1, count)
        if (blob := _blob(spots, marks == index, stats[index], largest_px)) is not None
    ]
    if not found:
        raise RegistrationError("no bead stands out in the frame: lay the plate into the beam")
    found.sort(key=lambda blob: -blob[2])
    table = np.array(found)
    return Blobs(read_only(table[:, :2]), read_only(table[:, 2]))


def _blob(
    spots: Float32, mask: np.ndarray, box: np.ndarray, largest_px: float
) -> tuple[float, float, float] | None:
    """Centre (u, v) and diameter of one spot, or None when it is cut or not round."""
    left, top, width, height = (int(value) for value in box[:4])
    if left <= 1 or top <= 1:
        return None
    rows, columns = spots.shape
    if left + width >= columns - 1 or top + height >= rows - 1:
        return None
    if max(width, height) > 1.8 * largest_px + 4.0 or min(width, height) < 2:
        return None
    if min(width, height) < ROUND * max(width, height) - 1.0:
        return None
    area = slice(top - 1, top + height + 1), slice(left - 1, left + width + 1)
    part = np.asarray(spots[area], dtype=np.float64)
    near = cv2.dilate(mask[area].astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    floor = float(np.percentile(part, 5.0))
    weight = np.where(near, np.maximum(part - floor, 0.0), 0.0)
    total = float(weight.sum())
    if total <= 0.0:
        return None
    v, u = np.mgrid[top - 1 : top + height + 1, left - 1 : left + width + 1]
    half = float(np.count_nonzero(part[near] > floor + 0.5 * (part.max() - floor)))
    diameter = 2.0 * float(np.sqrt(half / np.pi))
    return float((weight * u).sum() / total), float((weight * v).sum() / total), diameter
