"""Pinhole geometry of a C-arm: where a point of the patient falls on the detector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ir_nav.geometry.frames import GeometryError
from ir_nav.geometry.transform import FloatArray


@dataclass(frozen=True, slots=True)
class CArmGeometry:
    """X-ray pinhole: focal spot at the origin of `carm`, +z along the principal ray.

    sid_mm: source-detector distance. pixel_mm: pitch (u, v). size_px: (width, height).
    principal_px: where the principal ray meets the detector (u, v), pixel centres at whole
    numbers.
    """

    sid_mm: float
    pixel_mm: tuple[float, float]
    size_px: tuple[int, int]
    principal_px: tuple[float, float]

    @property
    def camera_matrix(self) -> FloatArray:
        """K (3, 3): detector_px = K @ p_carm / z."""
        return np.array(
            [
                [self.sid_mm / self.pixel_mm[0], 0.0, self.principal_px[0]],
                [0.0, self.sid_mm / self.pixel_mm[1], self.principal_px[1]],
                [0.0, 0.0, 1.0],
            ]
        )

    def project(self, points_carm_mm: ArrayLike) -> FloatArray:
        """Detector positions in px, (2,) or (n, 2), of points (3,) or (n, 3) in `carm`.

        Raises GeometryError for a point at or behind the focal spot.
        """
        points = np.asarray(points_carm_mm, dtype=np.float64)
        if np.any(points[..., 2] <= 1e-6):
            raise GeometryError("a point lies behind the X-ray source")
        homogeneous = points @ self.camera_matrix.T
        return np.asarray(homogeneous[..., :2] / homogeneous[..., 2:3])
