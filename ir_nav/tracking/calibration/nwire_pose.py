"""How the image plane lies in an N-wire phantom, for many guesses of the wires at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ir_nav.geometry import FloatArray
from ir_nav.tracking.calibration.phantom import Phantom

SPOT_SIGMA_MM = 0.4
# Machines state their mm/px for one speed of sound; water at room temperature is 4 % off.
LOG_SCALE_SIGMA = 0.05
STEPS = 12
FIRST_STEPS = 3
FINALISTS = 40
DAMPING = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class PlaneFits:
    """h fitted planes. residuals_mm (h, 3 k): distance of each image point from its wire.
    mm_per_px (h, 2): fitted scale along u and v. rms_mm (h,): of the residuals."""

    residuals_mm: FloatArray
    mm_per_px: FloatArray
    rms_mm: FloatArray


def best_planes(
    wires_px: FloatArray, phantom: Phantom, mm_per_px: FloatArray
) -> tuple[NDArray[np.int64], PlaneFits]:
    """Numbers (f,) of the forty guesses that fit best after a few steps, and their full fits."""
    first = fit_planes(wires_px, phantom, mm_per_px, FIRST_STEPS)
    chosen = np.argsort(first.rms_mm)[:FINALISTS]
    return chosen, fit_planes(wires_px[chosen], phantom, mm_per_px)


def fit_planes(
    wires_px: FloatArray, phantom: Phantom, mm_per_px: FloatArray, steps: int = STEPS
) -> PlaneFits:
    """Lay image points (h, 3 k, 2), px, on the phantom's wires, each guess h for itself.

    Least squares over a rigid pose and the two scales, with a prior on the scales
    (mm_per_px (2,), nominal): a side wire tells nothing along itself, so what is minimised is
    the distance from the wire's line. Started from the diagonals' crossings (`middle_points`).
    """
    image = np.zeros((*wires_px.shape[:2], 3))
    image[..., :2] = wires_px * mm_per_px
    rotation, shift = _aligned(image, _approximate_points(wires_px, phantom))
    log_scale = np.zeros((len(image), 2))
    across = _across_wires(phantom)
    base = phantom.wires_mm[:, 0]
    for _ in range(steps):
        scaled = image.copy()
        scaled[..., :2] *= np.exp(log_scale)[:, None, :]
        turned = np.einsum("hij,hwj->hwi", rotation, scaled)
        misses = np.einsum("wrj,hwj->hwr", across, turned + shift[:, None, :] - base)
        jacobian = np.zeros((*misses.shape, 8))
        jacobian[..., :3] = np.cross(turned[:, :, None, :], across[None])
        jacobian[..., 3:6] = across[None]
        for axis in range(2):
            moved = rotation[:, None, :, axis] * scaled[..., axis, None]
            jacobian[..., 6 + axis] = np.einsum("wrj,hwj->hwr", across, moved)
        rows = jacobian.reshape(len(image), -1, 8)
        normal = np.einsum("hri,hrj->hij", rows, rows) / SPOT_SIGMA_MM**2
        slope = np.einsum("hri,hr->hi", rows, misses.reshape(len(image), -1)) / SPOT_SIGMA_MM**2
        for axis in (6, 7):
            normal[:, axis, axis] += LOG_SCALE_SIGMA**-2
            slope[:, axis] += log_scale[:, axis - 6] * LOG_SCALE_SIGMA**-2
        normal += DAMPING * np.eye(8) * np.einsum("hii->hi", normal)[:, None, :]
        step = -np.linalg.solve(normal, slope[..., None])[..., 0]
        rotation = _turn(step[:, :3]) @ rotation
        shift = shift + step[:, 3:6]
        log_scale = np.clip(log_scale + step[:, 6:], -0.5, 0.5)
    scaled = image.copy()
    scaled[..., :2] *= np.exp(log_scale)[:, None, :]
    placed = np.einsum("hij,hwj->hwi", rotation, scaled) + shift[:, None, :]
    misses = np.einsum("wrj,hwj->hwr", across, placed - base)
    residuals = np.linalg.norm(misses, axis=2)
    rms = np.sqrt(np.mean(residuals**2, axis=1))
    return PlaneFits(residuals, mm_per_px * np.exp(log_scale), rms)


def middle_points(wires_px: FloatArray, phantom: Phantom) -> FloatArray:
    """Where each diagonal was cut, (n, k, 3) mm in the phantom, from points (n, 3 k, 2) px.

    The ratio of the diagonal's distance from the first wire to the distance of the two side
    wires is kept by any affine image (Chen et al. 2009, doi 10.1016/j.ultrasmedbio.2008.07.004).
    """
    points = wires_px.reshape(len(wires_px), phantom.patterns, 3, 2)
    to_diagonal = np.linalg.norm(points[:, :, 1] - points[:, :, 0], axis=2)
    to_other = np.linalg.norm(points[:, :, 2] - points[:, :, 0], axis=2)
    ratio = (to_diagonal / to_other)[..., None]
    first, third = phantom.crossings_mm[:, 0], phantom.crossings_mm[:, 1]
    return np.asarray(first + ratio * (third - first))


def _approximate_points(wires_px: FloatArray, phantom: Phantom) -> FloatArray:
    """(h, 3 k, 3) mm in the phantom, as if the plane cut the wires square."""
    middle = middle_points(wires_px, phantom)
    ends = phantom.wires_mm.reshape(-1, 3, 2, 3)
    points = np.repeat(middle[:, :, None, :], 3, axis=2)
    for side in (0, 2):
        along = ends[:, side, 1] - ends[:, side, 0]
        along = along / np.linalg.norm(along, axis=1, keepdims=True)
        reach = np.einsum("hkj,kj->hk", middle - ends[:, side, 0], along)
        points[:, :, side] = ends[:, side, 0] + reach[..., None] * along
    return points.reshape(len(wires_px), -1, 3)


def _aligned(source: FloatArray, target: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Best rotations (h, 3, 3) and shifts (h, 3) from points (h, w, 3) to (h, w, 3), mm."""
    centre, goal = source.mean(axis=1), target.mean(axis=1)
    spread = np.einsum("hwi,hwj->hij", target - goal[:, None], source - centre[:, None])
    left, _, right = np.linalg.svd(spread)
    sign = np.ones((len(source), 3))
    sign[:, 2] = np.linalg.det(left @ right)
    rotation = (left * sign[:, None, :]) @ right
    return rotation, goal - np.einsum("hij,hj->hi", rotation, centre)


def _across_wires(phantom: Phantom) -> FloatArray:
    """(3 k, 2, 3): two unit vectors square to each wire."""
    along = phantom.wires_mm[:, 1] - phantom.wires_mm[:, 0]
    return np.asarray(np.linalg.svd(along[:, None, :])[2][:, 1:])


def _turn(vectors: FloatArray) -> FloatArray:
    """Rotation matrices (h, 3, 3) of small rotation vectors (h, 3), rad (Rodrigues)."""
    angle = np.linalg.norm(vectors, axis=1)[:, None, None]
    x, y, z = vectors.T
    nil = np.zeros_like(x)
    skew = np.stack((nil, -z, y, z, nil, -x, -y, x, nil), axis=1).reshape(-1, 3, 3)
    safe = np.maximum(angle, 1e-9)
    return np.asarray(
        np.eye(3) + np.sin(safe) / safe * skew + (1.0 - np.cos(safe)) / safe**2 * skew @ skew
    )
