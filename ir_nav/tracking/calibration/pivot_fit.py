"""The point of a tool that stays where it is while the tool turns, found among gross outliers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ir_nav.geometry import FloatArray

# With four poses a draw, two in five of them astray, 200 draws miss a clean one with 1e-12.
DRAWS = 200
POSES_A_DRAW = 4
# Beyond so many robust standard deviations a pose is astray.
OUTLIER_FACTOR = 3.5
LEAST_LIMIT_MM = 1e-6
MAX_ROUNDS = 20


@dataclass(frozen=True, slots=True, eq=False)
class PivotFit:
    """tip_mm (3,) in the tool's frame, pivot_mm (3,) in `tracker`; offsets_mm (n, 3): tip minus
    pivot in `tracker` at every pose; kept (n,): False beyond limit_mm."""

    tip_mm: FloatArray
    pivot_mm: FloatArray
    offsets_mm: FloatArray
    kept: NDArray[np.bool_]
    limit_mm: float


def fit_pivot(poses: FloatArray, least_kept: int) -> PivotFit:
    """Least squares over the poses (n, 4, 4), tracker_from_tool, mm, that agree on one point.

    Algebraic one-step method (Yaniv 2015): R_i tip + p_i = pivot for every pose, solved
    together. It starts from the draw of four poses whose median residual is least (Rousseeuw
    1984), so less than half of the poses may be astray; then poses further than 3.5 robust
    standard deviations off are left out and the rest solved again until none changes sides.
    Never keeps fewer than `least_kept`. The draws are the same for the same number of poses.
    """
    tip, pivot = _best_start(poses)
    distances = np.linalg.norm(offsets_mm(poses, tip, pivot), axis=1)
    limit = _limit_mm(float(np.median(distances)))
    kept = np.zeros(len(poses), dtype=bool)
    for _ in range(MAX_ROUNDS):
        chosen = distances <= limit
        if (chosen == kept).all() or chosen.sum() < least_kept:
            break
        kept = chosen
        tip, pivot = solve_pivot(poses[kept])
        distances = np.linalg.norm(offsets_mm(poses, tip, pivot), axis=1)
        limit = _limit_mm(float(np.median(distances[kept])))
    if not kept.any():
        kept = np.ones(len(poses), dtype=bool)
        tip, pivot = solve_pivot(poses)
    return PivotFit(tip, pivot, offsets_mm(poses, tip, pivot), kept, limit)


def solve_pivot(poses: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Tip (3,) in the tool's frame and pivot (3,) in `tracker`, mm, by least squares."""
    count = len(poses)
    system = np.zeros((3 * count, 6))
    system[:, :3] = poses[:, :3, :3].reshape(-1, 3)
    system[:, 3:] = np.tile(-np.eye(3), (count, 1))
    solution, *_ = np.linalg.lstsq(system, -poses[:, :3, 3].reshape(-1), rcond=None)
    tip_and_pivot: FloatArray = solution.astype(np.float64)
    return tip_and_pivot[:3], tip_and_pivot[3:]


def offsets_mm(poses: FloatArray, tip_mm: FloatArray, pivot_mm: FloatArray) -> FloatArray:
    """(n, 3): tip minus pivot in `tracker` at every pose."""
    return np.asarray(poses[:, :3, :3] @ tip_mm + poses[:, :3, 3] - pivot_mm)


def tip_standard_error_mm(poses: FloatArray, rms_mm: float) -> float:
    """Propagated through the normal equations; noise per axis is rms / sqrt(3)."""
    rotations = poses[:, :3, :3]
    mean = rotations.mean(axis=0)
    information = len(poses) * (np.eye(3) - mean.T @ mean)
    variance = np.linalg.pinv(information) * rms_mm**2 / 3.0
    return float(np.sqrt(max(float(np.trace(variance)), 0.0)))


def _limit_mm(median_mm: float) -> float:
    return max(OUTLIER_FACTOR * 1.4826 * median_mm, LEAST_LIMIT_MM)


def _best_start(poses: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The solution with the least median residual: of all poses, or of a few drawn at random."""
    everything = solve_pivot(poses)
    tips, pivots = _drawn_solutions(poses)
    tips = np.vstack([everything[0], tips])
    pivots = np.vstack([everything[1], pivots])
    mapped = np.einsum("nij,dj->dni", poses[:, :3, :3], tips) + poses[:, :3, 3]
    squared = np.sum((mapped - pivots[:, None]) ** 2, axis=2)
    best = int(np.argmin(np.median(squared, axis=1)))
    return tips[best], pivots[best]


def _drawn_solutions(poses: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Tips (d, 3) and pivots (d, 3) of DRAWS random fours, by their normal equations.

    With the pivot eliminated, sum (R_i - R)^T (R_i - R) tip = -sum (R_i - R)^T (p_i - p).
    """
    draws = np.random.default_rng(len(poses)).integers(0, len(poses), (DRAWS, POSES_A_DRAW))
    rotations, places = poses[draws, :3, :3], poses[draws, :3, 3]
    mean_rotation, mean_place = rotations.mean(axis=1), places.mean(axis=1)
    turned = rotations - mean_rotation[:, None]
    moved = places - mean_place[:, None]
    normal = np.einsum("dnki,dnkj->dij", turned, turned)
    right = -np.einsum("dnki,dnk->di", turned, moved)
    # A draw of poses that hardly differ says nothing; its solution loses in the comparison.
    tips = np.linalg.solve(normal + 1e-9 * np.eye(3), right[..., None])[..., 0]
    pivots = np.einsum("dij,dj->di", mean_rotation, tips) + mean_place
    return tips, pivots
