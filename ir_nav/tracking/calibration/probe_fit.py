"""The plane of an ultrasound image in its probe's frame, from pairs of points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from ir_nav.geometry import FloatArray

Kept = NDArray[np.bool_]

# PlusMath::LSQRMinimize drops beyond three deviations, coordinate by coordinate.
TRIM_DEVIATIONS = 3.0
MIN_EQUATIONS = 8
# A wire taken for another is wrong by centimetres; anything less is left to the trimming.
GROSS_FACTOR = 6.0
GROSS_MM = 3.0
HUBER_MM = 0.5


def fit_affine(image_px: FloatArray, probe_mm: FloatArray) -> tuple[FloatArray, Kept]:
    """Matrix (3, 3) that takes (u, v, 1) to probe mm, and which of the m points were kept.

    image_px (m, 2), probe_mm (m, 3), m >= 9. The arithmetic of Plus (`vtkPlusProbeCalibration-
    Algo::ComputeImageToProbeTransformByLinearLeastSquaresMethod` with `PlusMath::LSQRMinimize`):
    each probe coordinate is a linear least-squares problem of its own, solved again without the
    equations that lie three standard deviations or more off until none does. Before that, and
    other than Plus, points grossly off a fit of least absolute distances are dropped, because a
    few of them would carry the deviations along.
    """
    design = _homogeneous(image_px)
    sane = _not_gross(design, probe_mm)
    kept = sane.copy()
    matrix = np.zeros((3, 3))
    for row in range(3):
        chosen = np.flatnonzero(sane)
        while True:
            matrix[row] = np.linalg.lstsq(design[chosen], probe_mm[chosen, row], rcond=None)[0]
            misses = design[chosen] @ matrix[row] - probe_mm[chosen, row]
            off = np.abs(misses - misses.mean())
            good = off <= max(TRIM_DEVIATIONS * float(misses.std()), 1e-9)
            if good.all() or good.sum() <= MIN_EQUATIONS:
                break
            chosen = chosen[good]
        dropped = sane.copy()
        dropped[chosen] = False
        kept &= ~dropped
    return matrix, kept


def fit_orthogonal(image_px: FloatArray, probe_mm: FloatArray, start: FloatArray) -> FloatArray:
    """Matrix (3, 3) as of `fit_affine`, its axes made square: a rigid pose and two scales.

    Huber loss of 0.5 mm on the distances, by Levenberg-Marquardt's trust region from `start`.
    """
    design = _homogeneous(image_px)
    u_axis = start[:, 0] / np.linalg.norm(start[:, 0])
    v_axis = start[:, 1] - u_axis * (u_axis @ start[:, 1])
    v_axis = v_axis / np.linalg.norm(v_axis)
    turn = Rotation.from_matrix(np.column_stack((u_axis, v_axis, np.cross(u_axis, v_axis))))
    centre = design.mean(axis=0)
    scales = np.linalg.norm(start[:, :2], axis=0)

    def matrix(values: FloatArray) -> FloatArray:
        axes = (Rotation.from_rotvec(values[:3]) * turn).as_matrix()[:, :2]
        columns = axes * (scales * np.exp(values[6:8]))
        origin = start @ centre + values[3:6] - columns @ centre[:2]
        return np.column_stack((columns, origin))

    found = least_squares(
        lambda values: (design @ matrix(values).T - probe_mm).ravel(),
        np.zeros(8),
        loss="huber",
        f_scale=HUBER_MM,
        x_scale=np.array([0.01] * 3 + [0.5] * 3 + [0.01] * 2),
    )
    return matrix(found.x)


def point_errors_mm(matrix: FloatArray, image_px: FloatArray, probe_mm: FloatArray) -> FloatArray:
    """Distances (m,), mm, between mapped image points and where they are."""
    return np.asarray(np.linalg.norm(_homogeneous(image_px) @ matrix.T - probe_mm, axis=1))


def completed(matrix: FloatArray) -> FloatArray:
    """probe_from_image (4, 4) from (3, 3) as of `fit_affine`.

    The third column is Plus's: square to the image, as long as u and v are on average.
    """
    normal = np.cross(matrix[:, 0], matrix[:, 1])
    length = float(np.linalg.norm(matrix[:, :2], axis=0).mean())
    full = np.eye(4)
    full[:3, :2] = matrix[:, :2]
    full[:3, 2] = normal / np.linalg.norm(normal) * length
    full[:3, 3] = matrix[:, 2]
    return full


def skew_deg(matrix: FloatArray) -> float:
    """How far the image axes of a (3, 3) or (4, 4) are from square, degrees."""
    u, v = matrix[:3, 0], matrix[:3, 1]
    sine = float(u @ v) / float(np.linalg.norm(u) * np.linalg.norm(v))
    return abs(float(np.degrees(np.arcsin(np.clip(sine, -1.0, 1.0)))))


def least_spread_mm(matrix: FloatArray, image_px: FloatArray) -> float:
    """Rms distance of the mapped image points from the best line through them: 0 when the
    plane could turn about that line unnoticed."""
    placed = _homogeneous(image_px) @ matrix.T
    spread = np.linalg.svd(placed - placed.mean(axis=0), compute_uv=False)
    return float(spread[1] / np.sqrt(len(placed)))


def plane_error_mm(image_px: FloatArray, errors_mm: FloatArray, shared: int) -> float:
    """Standard error of the mapped plane, mm, at the worst corner of the points' box.

    errors_mm (m,): distances left over. shared: how many points a pose carries; they err
    together, so that many count as one.
    """
    design = _homogeneous(image_px)
    low, high = image_px.min(axis=0), image_px.max(axis=0)
    corners = _homogeneous(np.array([low, high, (low[0], high[1]), (high[0], low[1])]))
    inverse = np.linalg.pinv(design.T @ design)
    leverage = float(np.einsum("ci,ij,cj->c", corners, inverse, corners).max())
    return float(np.sqrt(leverage * np.mean(errors_mm**2) * shared))


def _homogeneous(image_px: FloatArray) -> FloatArray:
    return np.column_stack((image_px, np.ones(len(image_px))))


def _not_gross(design: FloatArray, probe_mm: FloatArray) -> Kept:
    """Points near the fit of least absolute distances (iteratively reweighted)."""
    weights = np.ones(len(design))
    distances = weights
    for _ in range(40):
        root = np.sqrt(weights)[:, None]
        matrix = np.linalg.lstsq(design * root, probe_mm * root, rcond=None)[0]
        distances = np.linalg.norm(design @ matrix - probe_mm, axis=1)
        weights = 1.0 / np.maximum(distances, 0.05)
    limit = max(GROSS_MM, GROSS_FACTOR * float(np.median(distances)))
    return np.asarray(distances <= limit)
