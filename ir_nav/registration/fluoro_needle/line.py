"""Straight lines through ridge points: a weighted Hough transform, then a robust fit."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ir_nav.geometry import FloatArray, read_only
from ir_nav.registration.fluoro_needle.line_kernels import vote
from ir_nav.registration.fluoro_needle.ridges import RidgePoints

ANGLES = 360  # half a degree each
SPREAD = 8  # a ridge point's own angle is known to a few degrees
MOST_LINES = 16
# One strong marker must not outvote a long weak line.
MOST_Z = 12.0
APART_DEG, APART_PX = 4.0, 8.0
NEAR_PX = (3.0, 2.0, 1.5, 1.5)
NEAR_NORMAL = np.cos(np.radians(15.0))


@dataclass(frozen=True, slots=True, eq=False)
class ImageLine:
    """through_px: (2,) a point of it. along: (2,) unit. support: votes of its ridge points."""

    through_px: FloatArray
    along: FloatArray
    support: float

    @property
    def normal(self) -> FloatArray:
        return np.array([-self.along[1], self.along[0]])

    def distance_px(self, points_px: FloatArray) -> FloatArray:
        """Signed distances (n,) of points (n, 2)."""
        return np.asarray((points_px - self.through_px) @ self.normal)


def candidate_lines(ridges: RidgePoints, size_px: tuple[int, int]) -> list[ImageLine]:
    """Lines with the most votes, most first. size_px: (width, height)."""
    if len(ridges.points_px) < 8:
        return []
    middle = (np.array(size_px, dtype=np.float64) - 1.0) / 2.0
    reach = int(np.ceil(np.hypot(*size_px) / 2.0)) + 2
    votes: NDArray[np.float32] = np.zeros((ANGLES, 2 * reach + 1), dtype=np.float32)
    weights = np.minimum(ridges.z, MOST_Z)
    vote(ridges.points_px - middle, ridges.normal, weights, SPREAD, votes)
    found: list[ImageLine] = []
    for angle, distance in _peaks(votes):
        theta = np.pi * angle / ANGLES
        normal = np.array([np.cos(theta), np.sin(theta)])
        start = ImageLine(middle + (distance - reach) * normal, _turned(normal), 0.0)
        line = _fitted(start, ridges, weights)
        if line is not None and not any(same_line(line, other) for other in found):
            found.append(line)
    return sorted(found, key=lambda line: -line.support)


def same_line(first: ImageLine, second: ImageLine) -> bool:
    """Whether two lines lie on one another where the first is."""
    turn = abs(float(first.along @ second.along))
    if turn < np.cos(np.radians(APART_DEG)):
        return False
    return abs(float(second.distance_px(first.through_px[None])[0])) < APART_PX


def _peaks(votes: NDArray[np.float32]) -> list[tuple[int, int]]:
    """(angle, distance) bins of the strongest separate peaks."""
    # The strip of angles closes on itself with the distance reversed.
    wrapped = np.vstack([votes[-8:, ::-1], votes, votes[:8, ::-1]])
    smooth = cv2.GaussianBlur(wrapped, (0, 0), 1.5)[8:-8]
    peaks: list[tuple[int, int]] = []
    reach = (int(APART_DEG * ANGLES / 180.0), int(APART_PX))
    for _ in range(MOST_LINES):
        angle, distance = np.unravel_index(int(np.argmax(smooth)), smooth.shape)
        if smooth[angle, distance] <= 0.0:
            break
        peaks.append((int(angle), int(distance)))
        columns = slice(max(0, distance - reach[1]), distance + reach[1] + 1)
        for turn in range(int(angle) - reach[0], int(angle) + reach[0] + 1):
            if 0 <= turn < ANGLES:
                smooth[turn, columns] = 0.0
    return peaks


def _fitted(line: ImageLine, ridges: RidgePoints, weights: FloatArray) -> ImageLine | None:
    for near_px in NEAR_PX:
        chosen = (np.abs(line.distance_px(ridges.points_px)) < near_px) & (
            np.abs(ridges.normal @ line.normal) > NEAR_NORMAL
        )
        if np.count_nonzero(chosen) < 8:
            return None
        points, weight = ridges.points_px[chosen], weights[chosen]
        mean = weight @ points / weight.sum()
        centred = (points - mean) * np.sqrt(weight)[:, None]
        along = np.linalg.svd(centred, full_matrices=False)[2][0]
        line = ImageLine(read_only(mean), read_only(along), float(weight.sum()))
    return line


def _turned(normal: FloatArray) -> FloatArray:
    return np.array([normal[1], -normal[0]])
