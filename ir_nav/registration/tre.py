"""The error to expect of a registration by points: anywhere, from how the points were measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import gamma

from ir_nav.geometry import FloatArray, read_only
from ir_nav.geometry.anisotropic_fit import motion_jacobian
from ir_nav.registration.registration import Registration


def motion_covariance(
    points_ct_mm: ArrayLike,
    covariances_ct_mm2: ArrayLike,
    about_ct_mm: ArrayLike,
    fitted_as_mm2: ArrayLike | None = None,
) -> FloatArray:
    """(6, 6) of the motion left by a fit to points (n, 3) whose errors have covariances (n, 3, 3).

    About about_ct_mm (3,): translation (mm), then rotation vector (deg), in CT axes.
    fitted_as_mm2: (n, 3, 3) that the fit believed in, where they differ from the true ones: equal
    unit matrices for an unweighted fit. To first order (J^T W J)^-1 J^T W S W J (J^T W J)^-1,
    W the inverse of what was believed, S the truth: for equal isotropic errors this is Fitzpatrick,
    West and Maurer 1998, for others Danilchenko and Fitzpatrick 2011 (IEEE TMI 30).
    """
    truth = np.asarray(covariances_ct_mm2, dtype=np.float64)
    believed = truth if fitted_as_mm2 is None else np.asarray(fitted_as_mm2, dtype=np.float64)
    jacobian = motion_jacobian(points_ct_mm, about_ct_mm)
    weighted = np.linalg.solve(believed, jacobian)
    inverse = np.linalg.inv(np.einsum("nij,nik->jk", jacobian, weighted))
    middle = np.einsum("nij,nil,nlk->jk", weighted, truth, weighted)
    scale = np.repeat([1.0, np.degrees(1.0)], 3)
    covariance: FloatArray = (inverse @ middle @ inverse) * np.outer(scale, scale)
    return (covariance + covariance.T) / 2.0


def expected_residuals_mm(
    points_ct_mm: ArrayLike, covariances_ct_mm2: ArrayLike, chance: float
) -> FloatArray:
    """(n,) mm: the residual that a weighted fit leaves at each point with this chance at most,
    where the points' errors have these covariances (n, 3, 3) in CT axes.

    A residual's covariance is the point's own less that of the fit at the point (weighted least
    squares). Its squared length is taken for gamma distributed with its own mean and variance
    (Satterthwaite 1946, Biometrics Bulletin 2), exact where all directions are alike.
    """
    points = np.asarray(points_ct_mm, dtype=np.float64)
    errors = np.asarray(covariances_ct_mm2, dtype=np.float64)
    jacobian = motion_jacobian(points, points.mean(axis=0))
    weighted = np.linalg.solve(errors, jacobian)
    motion = np.linalg.inv(np.einsum("nij,nik->jk", jacobian, weighted))
    left = errors - jacobian @ motion @ np.swapaxes(jacobian, 1, 2)
    mean = np.trace(left, axis1=1, axis2=2)
    variance = 2.0 * np.einsum("nij,nij->n", left, left)
    squares = gamma.ppf(1.0 - chance, mean**2 / variance, scale=variance / mean)
    return read_only(np.sqrt(squares))


def tre_map_mm(found: Registration, points_ct_mm: ArrayLike) -> FloatArray:
    """(...) target registration error predicted at points (..., 3) in `ct`, rms mm.

    As Registration.tre_mm, for a whole grid at once: the mean square error is a polynomial of the
    second degree in the place, whose ten coefficients the covariance gives.
    """
    off = np.asarray(points_ct_mm, dtype=np.float64) - found.about_ct_mm
    constant, linear, square = mean_square_error(found.covariance)
    squares = constant + off @ linear + np.einsum("...i,ij,...j->...", off, square, off)
    return np.asarray(np.sqrt(np.maximum(squares, 0.0)))


def mean_square_error(covariance: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """The mean square error c + b v + v A v, mm squared, at v (3,) mm from the covariance's point:
    c, b (3,), A (3, 3)."""
    scale = np.repeat([1.0, np.radians(1.0)], 3)
    joint = covariance * np.outer(scale, scale)
    turning, both = joint[3:, 3:], joint[:3, 3:]
    # E|t + r x v|^2 = E|t|^2 + 2 v E(t x r) + v (tr(S) 1 - S) v, S the covariance of r.
    cross = np.array([both[1, 2] - both[2, 1], both[2, 0] - both[0, 2], both[0, 1] - both[1, 0]])
    square = np.trace(turning) * np.eye(3) - turning
    return float(np.trace(joint[:3, :3])), 2.0 * cross, square


def stated_about(found: Registration, point_ct_mm: ArrayLike) -> Registration:
    """The same registration with its covariance about another point (3,) in `ct`."""
    point = np.asarray(point_ct_mm, dtype=np.float64)
    moved = np.eye(6)
    moved[:3] = motion_jacobian(point[None], found.about_ct_mm)[0]
    moved[:3, 3:] *= np.radians(1.0)
    return replace(found, covariance=moved @ found.covariance @ moved.T, about_ct_mm=point)
