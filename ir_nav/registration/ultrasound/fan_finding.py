"""The fan found from frames: where an image is ever bright."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ir_nav.geometry import FloatArray
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.ultrasound.fan import ConvexFan, Fan, LinearFan, brightest, fan_mask

BRIGHT_GREY = 6
CLOSING_PX = 9
# Sides steeper than this against the image's columns are those of a fan.
PARALLEL_DEG = 3.0
# Both sides of a fan lean alike.
UNEVEN_DEG = 4.0
# Intersection over union of the fan with the bright area; less is no fan, or one half dark.
LEAST_AGREEMENT = 0.98


def find_fan(frames: Sequence[NDArray[np.uint8]], mm_per_px: tuple[float, float]) -> Fan:
    """The fan of some frames (rows, columns) of one probe, of a sweep with the whole face on skin.

    mm_per_px: along u and v, from the probe's calibration. Sides are straight lines through the
    bright area's edges (least sum of Huber's function, OpenCV), face and end the median of its
    edges along the beams. Raises RegistrationError where the bright area is not a fan's.
    """
    bright = _largest_area(brightest(frames) >= BRIGHT_GREY)
    left, right = _sides_mm(bright, mm_per_px)
    lean_deg = [float(np.degrees(np.arctan2(side[0], side[1]))) for side in (left, right)]
    if max(np.abs(lean_deg)) < PARALLEL_DEG:
        found: Fan = _linear(bright, mm_per_px)
    else:
        if lean_deg[1] <= 0.0 or abs(lean_deg[0] + lean_deg[1]) > UNEVEN_DEG:
            raise RegistrationError(_NO_FAN)
        found = _convex(bright, mm_per_px, left, right)
    inside = fan_mask(found, (bright.shape[1], bright.shape[0]))
    agreement = float((inside & bright).sum() / (inside | bright).sum())
    if agreement < LEAST_AGREEMENT:
        raise RegistrationError(_NO_FAN)
    return found


_NO_FAN = (
    "the ultrasound's fan cannot be found in the frames: take a sweep with the whole face of the "
    "probe on the skin, gain up, and nothing drawn over the image"
)


def _largest_area(bright: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest piece, its gaps closed and its holes filled."""
    kernel = np.ones((CLOSING_PX, CLOSING_PX), np.uint8)
    closed = cv2.morphologyEx(bright.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    outlines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest = max(outlines, key=cv2.contourArea, default=None)
    if largest is None or cv2.contourArea(largest) < 0.02 * bright.size:
        raise RegistrationError(_NO_FAN)
    filled = np.zeros(bright.shape, np.uint8)
    cv2.drawContours(filled, [largest], -1, 1, cv2.FILLED)
    return filled.astype(np.bool_)


def _sides_mm(
    bright: NDArray[np.bool_], mm_per_px: tuple[float, float]
) -> tuple[FloatArray, FloatArray]:
    """Left and right side as (du, dv, u, v) mm: a unit direction down the image and a point."""
    rows = np.flatnonzero(bright.any(axis=1))
    first = bright[rows].argmax(axis=1)
    last = bright.shape[1] - 1 - bright[rows, ::-1].argmax(axis=1)
    sides = []
    for edge, widest in ((first, int(first.argmin())), (last, int(last.argmax()))):
        # A linear probe's side has no widest row.
        stop = widest if widest > len(rows) // 4 else len(rows)
        part = slice(stop // 10, stop - stop // 10)
        points = np.column_stack([edge[part], rows[part]]) * mm_per_px
        if len(points) < 10:
            raise RegistrationError(_NO_FAN)
        du, dv, u, v = cv2.fitLine(points.astype(np.float32), cv2.DIST_HUBER, 0, 0.01, 0.01)[:, 0]
        sign = 1.0 if dv > 0.0 else -1.0
        sides.append(np.array([du * sign, dv * sign, u, v], dtype=np.float64))
    return sides[0], sides[1]


def _linear(bright: NDArray[np.bool_], mm_per_px: tuple[float, float]) -> LinearFan:
    columns, rows = np.flatnonzero(bright.any(axis=0)), np.flatnonzero(bright.any(axis=1))
    return LinearFan(
        (float(columns[0]), float(rows[0])),
        mm_per_px,
        float(columns[-1] - columns[0]) * mm_per_px[0],
        float(rows[-1] - rows[0]) * mm_per_px[1],
    )


def _convex(
    bright: NDArray[np.bool_],
    mm_per_px: tuple[float, float],
    left: FloatArray,
    right: FloatArray,
) -> ConvexFan:
    ways = np.column_stack([left[:2], -right[:2]])
    along = np.linalg.solve(ways, right[2:] - left[2:])[0]
    apex_mm = left[2:] + along * left[:2]
    half_deg = float(np.degrees(np.arctan2(right[0], right[1]) - np.arctan2(left[0], left[1])) / 2)
    v, u = np.nonzero(bright)
    offset = np.column_stack([u, v]) * mm_per_px - apex_mm
    radius = np.hypot(offset[:, 0], offset[:, 1])
    share = np.degrees(np.arctan2(offset[:, 0], offset[:, 1])) / half_deg
    edges = []
    for low in np.arange(-0.8, 0.8, 0.05):
        chosen = radius[(share >= low) & (share < low + 0.05)]
        if chosen.size:
            edges.append((chosen.min(), chosen.max()))
    if not edges:
        raise RegistrationError(_NO_FAN)
    near_mm, far_mm = np.median(edges, axis=0)
    apex_px = apex_mm / mm_per_px
    return ConvexFan(
        (float(apex_px[0]), float(apex_px[1])), mm_per_px, float(near_mm), float(far_mm), half_deg
    )
