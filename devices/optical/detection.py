"""Markers of the known bodies in one image."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from devices.optical.bodies import Bodies
from devices.optical.edges import refined_corners
from devices.optical.intrinsics import Intrinsics

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """corners_px: by marker id, (4, 2) in undistorted pixels. doubled: ids seen more than once,
    which are left out: a second print, or a reflection, cannot be told from the tool."""

    corners_px: dict[int, Floats]
    doubled: frozenset[int]


class MarkerFinder:
    """Finds the markers of `bodies`; others in the image are ignored."""

    def __init__(self, bodies: Bodies, intrinsics: Intrinsics) -> None:
        self._cells = bodies.cells
        self._known = {marker for body in bodies.bodies for marker in body.corners_mm}
        self._intrinsics = intrinsics
        self._detector = cv2.aruco.ArucoDetector(bodies.marks, cv2.aruco.DetectorParameters())

    def find(self, image: NDArray[np.uint8]) -> Seen:
        """image: grey (rows, columns)."""
        quads, ids, _ = self._detector.detectMarkers(image)
        if ids is None:
            return Seen({}, frozenset())
        found = [
            (marker, np.asarray(quad, dtype=np.float64).reshape(4, 2))
            for marker, quad in zip(ids.ravel().tolist(), quads, strict=True)
            if marker in self._known
        ]
        counts = Counter(marker for marker, _ in found)
        corners_px = {}
        for marker, quad in found:
            refined = None
            if counts[marker] == 1:
                refined = refined_corners(image, quad, self._cells, self._intrinsics)
            if refined is not None:
                corners_px[marker] = refined
        doubled = frozenset(marker for marker, count in counts.items() if count > 1)
        return Seen(corners_px, doubled)
