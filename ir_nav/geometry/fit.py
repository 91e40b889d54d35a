"""Rigid fit of paired points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ir_nav.geometry.frames import GeometryError
from ir_nav.geometry.transform import FloatArray, apply, read_only, rigid


@dataclass(frozen=True, slots=True, eq=False)
class PointFit:
    """A rigid fit and what it leaves.

    matrix: (4, 4), target_from_source. residuals_mm: (n,), distance of each mapped source
    point from its partner.
    """

    matrix: FloatArray
    residuals_mm: FloatArray

    @property
    def rms_mm(self) -> float:
        return float(np.sqrt(np.mean(self.residuals_mm**2)))


def fit_points(source: ArrayLike, target: ArrayLike, weights: ArrayLike | None = None) -> PointFit:
    """Least-squares rigid map from source (n, 3) to target (n, 3), mm.

    Arun, Huang and Blostein 1987 with the reflection corrected after Umeyama 1991.
    weights: (n,), not negative. Raises GeometryError for fewer than three points, points on
    one line, or values that are not finite.
    """
    a = np.asarray(source, dtype=np.float64)
    b = np.asarray(target, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 2 or a.shape[1] != 3:
        raise GeometryError(f"need two lists of (n, 3) points, got {a.shape} and {b.shape}")
    if len(a) < 3:
        raise GeometryError(f"need at least three point pairs, got {len(a)}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise GeometryError("a point holds a value that is not finite")
    w = _shares(weights, len(a))
    a_mean = w @ a
    b_mean = w @ b
    a_centred = a - a_mean
    covariance = (a_centred * w[:, None]).T @ (b - b_mean)
    for centred in (a_centred, b - b_mean):
        spread = np.linalg.svd(centred * np.sqrt(w)[:, None], compute_uv=False)
        if spread[1] < 1e-3 * max(spread[0], 1e-9) or spread[0] < 1e-6:
            raise GeometryError("the points lie on one line: spread them out")
    u, _, vt = np.linalg.svd(covariance)
    handedness = np.diag([1.0, 1.0, float(np.sign(np.linalg.det(vt.T @ u.T)))])
    rotation = vt.T @ handedness @ u.T
    matrix = rigid(rotation, b_mean - rotation @ a_mean)
    residuals = np.linalg.norm(apply(matrix, a) - b, axis=1)
    return PointFit(read_only(matrix), read_only(residuals))


def _shares(weights: ArrayLike | None, count: int) -> FloatArray:
    """Weights (count,) scaled to a sum of one."""
    w = np.ones(count) if weights is None else np.asarray(weights, dtype=np.float64)
    if w.shape != (count,) or not (np.isfinite(w).all() and w.min() >= 0.0 and w.max() > 0.0):
        raise GeometryError(f"need {count} weights, none negative and not all zero")
    return np.asarray(w / w.sum())
