"""CT to patient from touched landmarks, with the error to expect at the target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ir_nav.geometry import FloatArray, Frame, GeometryError, Transform, fit_points, read_only

GOOD_TRE_MM = 5.0
MAX_TRE_MM = 15.0
# Below this every point agrees perfectly, which no touched landmark does: nothing was moved,
# or the points were copied.
MIN_FRE_MM = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class LandmarkRegistration:
    """Rigid `ct_from_reference` from n landmarks, and its errors.

    residuals_mm (n,): distance at each landmark, in the order of `names`. fre_mm: their rms.
    points_ct_mm (n, 3): where the landmarks are in the CT. created_s: Unix time.
    """

    ct_from_reference: Transform
    names: tuple[str, ...]
    residuals_mm: FloatArray
    fre_mm: float
    points_ct_mm: FloatArray
    created_s: float

    @property
    def fle_mm(self) -> float:
        """Landmark localisation error estimated from FRE, rms: FRE^2 = (1 - 2/n) FLE^2."""
        count = len(self.residuals_mm)
        return self.fre_mm / float(np.sqrt(1.0 - 2.0 / count))

    def tre_mm(self, point_ct_mm: ArrayLike) -> float:
        """Target registration error predicted at a point (3,) in `ct`, rms mm.

        Fitzpatrick, West and Maurer 1998, eq. 46, isotropic equal errors.
        """
        return self.fle_mm * tre_over_fle(self.points_ct_mm, point_ct_mm)

    def worst(self) -> tuple[str, float]:
        """Name and residual in mm of the landmark that fits worst."""
        index = int(np.argmax(self.residuals_mm))
        return self.names[index], float(self.residuals_mm[index])


def register_landmarks(
    names: tuple[str, ...],
    points_ct_mm: ArrayLike,
    points_reference_mm: ArrayLike,
    created_s: float,
) -> LandmarkRegistration:
    """Fit touched points (n, 3) in `reference` to the CT's (n, 3), mm.

    Raises GeometryError for fewer than three points, points on a line, a name too many or too
    few, or a fit without any residual.
    """
    points_ct = read_only(points_ct_mm)
    if len(names) != len(points_ct):
        raise GeometryError(f"{len(names)} names for {len(points_ct)} points")
    fit = fit_points(points_reference_mm, points_ct)
    if len(points_ct) > 3 and fit.rms_mm < MIN_FRE_MM:
        raise GeometryError("every point fits without any residual: touch the points again")
    return LandmarkRegistration(
        Transform(Frame.CT, Frame.REFERENCE, fit.matrix),
        names,
        fit.residuals_mm,
        fit.rms_mm,
        points_ct,
        created_s,
    )


def tre_over_fle(landmarks_mm: ArrayLike, target_mm: ArrayLike) -> float:
    """Predicted rms TRE at a target (3,) for a localisation error of 1 mm rms.

    <TRE^2> = <FLE^2>/n (1 + 1/3 sum_k d_k^2 / f_k^2), d_k the target's and f_k the landmarks'
    rms distance from the k-th principal axis (Fitzpatrick 1998).
    """
    points = np.asarray(landmarks_mm, dtype=np.float64)
    centred = points - points.mean(axis=0)
    _, _, axes = np.linalg.svd(centred)
    landmark_axes = centred @ axes.T
    target_axes = axes @ (np.asarray(target_mm, dtype=np.float64) - points.mean(axis=0))
    total = 0.0
    for k in range(3):
        others = [axis for axis in range(3) if axis != k]
        spread = float(np.mean(np.sum(landmark_axes[:, others] ** 2, axis=1)))
        total += float(np.sum(target_axes[others] ** 2)) / max(spread, 1e-9)
    return float(np.sqrt((1.0 + total / 3.0) / len(points)))
