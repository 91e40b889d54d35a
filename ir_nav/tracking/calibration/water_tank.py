"""The bottom of a water tank in an ultrasound image: one bright line across it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ir_nav.geometry import FloatArray

COLUMN_STEP_PX = 4
SMOOTHING_PX = 5
# The echo is up to some 20 px thick; what lies further from its peak is another echo.
HALF_THICKNESS_PX = 15
PEAK_SHARE = 0.5
MIN_GREY = 10.0
# A column takes part when its echo reaches this share of the frame's brightest columns.
MIN_COLUMN_SHARE = 0.3
MIN_COLUMNS = 15
LINE_TOLERANCE_PX = 5.0
MIN_INLIER_SHARE = 0.6
MAX_SLOPE = 2.0
DRAWS = 200


@dataclass(frozen=True, slots=True)
class BottomLine:
    """v = height_px + slope * (u - columns / 2) in px. columns: how many agree on the line;
    spread_px: their rms distance from it."""

    height_px: float
    slope: float
    columns: int
    spread_px: float


def find_bottom_line(pixels: NDArray[Any]) -> BottomLine | None:
    """The line in one grey image (rows, columns), or None where there is none to rely on.

    In every fourth column the echo's centre of gravity round its brightest pixel, then a line
    through those on which most columns agree within 5 px (RANSAC, Fischler and Bolles 1981,
    always with the same draws), fitted to them by least squares.
    """
    grey = cv2.blur(np.ascontiguousarray(pixels, dtype=np.float32), (SMOOTHING_PX, SMOOTHING_PX))
    columns, heights = _echoes(grey)
    if len(columns) < MIN_COLUMNS:
        return None
    from_middle = columns - pixels.shape[1] / 2.0
    agreeing = _most_agreeing(from_middle, heights)
    for _ in range(3):
        if agreeing.sum() < max(MIN_COLUMNS, MIN_INLIER_SHARE * len(columns)):
            return None
        slope, height = np.polyfit(from_middle[agreeing], heights[agreeing], 1)
        distances = heights - height - slope * from_middle
        agreeing = np.abs(distances) < LINE_TOLERANCE_PX
    if abs(slope) > MAX_SLOPE or not agreeing.any():
        return None
    spread = float(np.sqrt(np.mean(distances[agreeing] ** 2)))
    return BottomLine(float(height), float(slope), int(agreeing.sum()), spread)


def _echoes(grey: NDArray[np.float32]) -> tuple[FloatArray, FloatArray]:
    """u and v, px, of the echo in each column that has one."""
    columns = np.arange(0, grey.shape[1], COLUMN_STEP_PX)
    lines = grey[:, columns]
    tops = lines.argmax(axis=0)
    peaks = lines[tops, np.arange(len(columns))]
    wanted = max(MIN_GREY, MIN_COLUMN_SHARE * float(np.percentile(peaks, 98)))
    bright = peaks > wanted
    columns, tops, peaks = columns[bright], tops[bright], peaks[bright]
    rows = tops[:, None] + np.arange(-HALF_THICKNESS_PX, HALF_THICKNESS_PX + 1)
    inside = (rows >= 0) & (rows < len(grey))
    weights = np.where(inside, grey[np.clip(rows, 0, len(grey) - 1), columns[:, None]], 0.0)
    weights[weights < PEAK_SHARE * peaks[:, None]] = 0.0
    heights = np.sum(weights * rows, axis=1) / weights.sum(axis=1)
    return columns.astype(np.float64), np.asarray(heights, dtype=np.float64)


def _most_agreeing(u: FloatArray, v: FloatArray) -> NDArray[np.bool_]:
    """(n,): the points near the line through two of them that has the most near it."""
    pairs = np.random.default_rng(len(u)).integers(0, len(u), (DRAWS, 2))
    pairs = pairs[np.abs(u[pairs[:, 0]] - u[pairs[:, 1]]) > 5 * COLUMN_STEP_PX]
    if not len(pairs):
        return np.zeros(len(u), dtype=bool)
    first, second = pairs[:, 0], pairs[:, 1]
    slopes = (v[second] - v[first]) / (u[second] - u[first])
    near = np.abs(v - v[first, None] - slopes[:, None] * (u - u[first, None])) < LINE_TOLERANCE_PX
    return np.asarray(near[int(np.argmax(near.sum(axis=1)))])
