"""Rigid fit of paired points whose errors differ between points and between directions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ir_nav.geometry.fit import PointFit, fit_points
from ir_nav.geometry.frames import GeometryError
from ir_nav.geometry.transform import (
    FloatArray,
    apply,
    read_only,
    rigid,
    rigid_inverse,
    rotation_from_vector,
)

MOST_STEPS = 60
# In mm at the points: far below any tracker, far above rounding.
CONVERGED_MM = 1e-9


def fit_points_anisotropic(
    source: ArrayLike, target: ArrayLike, covariances_source: ArrayLike
) -> PointFit:
    """Most likely rigid map from source (n, 3) to target (n, 3), mm, for Gaussian errors.

    covariances_source: (n, 3, 3), mm squared, of the source points; only their ratios count, the
    targets count as exact. Iterated least squares as in Balachandran and Fitzpatrick 2009 (SPIE
    7261) and Moghari and Abolmaesumi 2007 (IEEE TMI 26), here as Gauss-Newton on the map from
    target to source, in whose frame the weights stay what they are while the rotation changes.
    Raises GeometryError as fit_points does, for covariances that are not positive definite, and
    when the steps do not settle.
    """
    a = np.asarray(source, dtype=np.float64)
    b = np.asarray(target, dtype=np.float64)
    covariances = checked_covariances(covariances_source, len(a))
    weights: FloatArray = np.linalg.inv(covariances).astype(np.float64)
    start = fit_points(a, b, np.trace(weights, axis1=1, axis2=2))
    source_from_target = rigid_inverse(start.matrix)
    for _ in range(MOST_STEPS):
        mapped = apply(source_from_target, b)
        step, size_mm = _step(mapped, a - mapped, weights)
        source_from_target = step @ source_from_target
        if size_mm < CONVERGED_MM:
            break
    else:
        raise GeometryError("the anisotropic fit does not settle: touch the points again")
    matrix = rigid_inverse(source_from_target)
    residuals = np.linalg.norm(apply(matrix, a) - b, axis=1)
    return PointFit(read_only(matrix), read_only(residuals))


def checked_covariances(covariances: ArrayLike, count: int) -> FloatArray:
    """(count, 3, 3); GeometryError for another shape or a matrix that is no covariance."""
    array = np.asarray(covariances, dtype=np.float64)
    if array.shape != (count, 3, 3) or not np.isfinite(array).all():
        raise GeometryError(f"need {count} finite 3x3 covariances, got shape {array.shape}")
    if not np.allclose(array, np.swapaxes(array, 1, 2), rtol=1e-6, atol=0.0):
        raise GeometryError("a covariance is not symmetric")
    least = np.linalg.eigvalsh(array)[:, 0]
    if (least <= 0.0).any():
        raise GeometryError(f"the covariance of point {int(least.argmin()) + 1} is not positive")
    return array


def motion_jacobian(points: ArrayLike, about: ArrayLike) -> FloatArray:
    """(n, 3, 6): how points (n, 3) move with a small motion about a point (3,): translation (mm),
    then rotation vector (rad)."""
    x, y, z = (np.asarray(points, dtype=np.float64) - np.asarray(about, dtype=np.float64)).T
    jacobian = np.zeros((len(x), 3, 6))
    jacobian[:, :, :3] = np.eye(3)
    jacobian[:, 0, 4], jacobian[:, 0, 5] = z, -y
    jacobian[:, 1, 3], jacobian[:, 1, 5] = -z, x
    jacobian[:, 2, 3], jacobian[:, 2, 4] = y, -x
    return jacobian


def _step(mapped: FloatArray, misfits: FloatArray, weights: FloatArray) -> tuple[FloatArray, float]:
    """The motion (4, 4) that lowers the weighted misfit most, and how far it moves a point, mm."""
    centre = mapped.mean(axis=0)
    jacobian = motion_jacobian(mapped, centre)
    weighted = weights @ jacobian
    normal = np.einsum("nij,nik->jk", jacobian, weighted)
    gradient = np.einsum("nij,ni->j", weighted, misfits)
    motion = np.linalg.solve(normal, gradient)
    rotation = rotation_from_vector(motion[3:])
    reach = float(np.linalg.norm(mapped - centre, axis=1).max())
    size_mm = float(np.linalg.norm(motion[:3]) + reach * np.linalg.norm(motion[3:]))
    return rigid(rotation, centre + motion[:3] - rotation @ centre), size_mm
