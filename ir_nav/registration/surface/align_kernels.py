"""Compiled loops: points moved until they lie on a surface's samples, point to plane."""

from __future__ import annotations

import numpy as np
from numba import njit

from ir_nav.geometry import FloatArray
from ir_nav.registration.surface.nearest_kernels import Floats32, Ints32, distances

# Tukey's biweight of 95 % efficiency, and the scale that the median of normal errors gives.
TUKEY, MEDIAN_TO_SIGMA = 4.685, 1.4826
# One step of the fit turns no further than this (rad): beyond, its linear model says nothing.
MOST_TURN = 0.35
LEAST_SHARE = 0.3


@njit(nogil=True, cache=True)
def align(
    points_mm: FloatArray,
    matrix: FloatArray,
    samples: Floats32,
    neighbours: Ints32,
    nearest: Ints32,
    origin_mm: FloatArray,
    cell_mm: float,
    spacing_mm: float,
    least_sigma_mm: float,
    still_mm: float,
    most_steps: int,
) -> int:
    """Move matrix (4, 4) in place until points (n, 3) lie on the surface; the steps it took.

    Point to plane (Chen and Medioni 1992), each step a weighted least squares with Tukey's
    biweight, whose width is the median of the distances (Fitzgibbon 2003 on robust ICP).
    Negative where too few points have a place on the surface to go on.
    """
    count = len(points_mm)
    moved = np.empty((count, 3))
    signed = np.empty(count)
    found = np.zeros(count, np.int32)
    sizes = np.empty(count)
    hessian = np.empty((6, 6))
    gradient = np.empty(6)
    row = np.empty(6)
    for step in range(most_steps):
        distances(
            points_mm, matrix, samples, neighbours, nearest, origin_mm, cell_mm, spacing_mm,
            moved, found, signed,
        )  # fmt: skip
        held = 0
        centre_x = centre_y = centre_z = 0.0
        for p in range(count):
            if signed[p] < np.inf:
                sizes[held] = abs(signed[p])
                held += 1
            centre_x += moved[p, 0] / count
            centre_y += moved[p, 1] / count
            centre_z += moved[p, 2] / count
        if held < max(6.0, LEAST_SHARE * count):
            return -1
        sigma = max(MEDIAN_TO_SIGMA * np.median(sizes[:held]), least_sigma_mm)
        width = TUKEY * sigma
        spread = 0.0
        for p in range(count):
            spread += (
                (moved[p, 0] - centre_x) ** 2
                + (moved[p, 1] - centre_y) ** 2
                + (moved[p, 2] - centre_z) ** 2
            ) / count
        reach = np.sqrt(max(spread, 1e-6))
        hessian[:] = 0.0
        gradient[:] = 0.0
        for p in range(count):
            if abs(signed[p]) >= width:
                continue
            weight = (1.0 - (signed[p] / width) ** 2) ** 2
            s = found[p]
            x, y, z = moved[p, 0] - centre_x, moved[p, 1] - centre_y, moved[p, 2] - centre_z
            nx, ny, nz = samples[s, 3], samples[s, 4], samples[s, 5]
            row[0], row[1], row[2] = nx, ny, nz
            row[3] = (y * nz - z * ny) / reach
            row[4] = (z * nx - x * nz) / reach
            row[5] = (x * ny - y * nx) / reach
            for a in range(6):
                gradient[a] -= weight * row[a] * signed[p]
                for b in range(a + 1):
                    hessian[a, b] += weight * row[a] * row[b]
        _solve(hessian, gradient)
        turn = np.sqrt(gradient[3] ** 2 + gradient[4] ** 2 + gradient[5] ** 2) / reach
        part = min(1.0, MOST_TURN / max(turn, 1e-12))
        _move(matrix, centre_x, centre_y, centre_z, gradient, part, reach)
        moved_by = part * np.sqrt((gradient * gradient).sum())
        if moved_by < still_mm:
            return step + 1
    return most_steps


@njit(nogil=True, cache=True)
def _solve(hessian: FloatArray, gradient: FloatArray) -> None:
    """gradient = hessian^-1 gradient, by Cholesky on the lower half, a little damped."""
    trace = 0.0
    for a in range(6):
        trace += hessian[a, a]
    for a in range(6):
        hessian[a, a] += 1e-7 * trace + 1e-12
    for a in range(6):
        for b in range(a + 1):
            value = hessian[a, b]
            for c in range(b):
                value -= hessian[a, c] * hessian[b, c]
            hessian[a, b] = np.sqrt(max(value, 1e-12)) if a == b else value / hessian[b, b]
    for a in range(6):
        for c in range(a):
            gradient[a] -= hessian[a, c] * gradient[c]
        gradient[a] /= hessian[a, a]
    for a in range(5, -1, -1):
        for c in range(a + 1, 6):
            gradient[a] -= hessian[c, a] * gradient[c]
        gradient[a] /= hessian[a, a]


@njit(nogil=True, cache=True)
def _move(
    matrix: FloatArray,
    centre_x: float,
    centre_y: float,
    centre_z: float,
    step: FloatArray,
    part: float,
    reach: float,
) -> None:
    """matrix = (turn about the centre, then shift) @ matrix."""
    wx, wy, wz = part * step[3] / reach, part * step[4] / reach, part * step[5] / reach
    angle = np.sqrt(wx * wx + wy * wy + wz * wz)
    # sin(a)/a and (1 - cos a)/a^2, of Rodrigues' formula.
    first = np.sin(angle) / angle if angle > 1e-9 else 1.0
    second = 2.0 * (np.sin(angle / 2.0) / angle) ** 2 if angle > 1e-9 else 0.5
    turn = np.empty((3, 3))
    turn[0, 0] = 1.0 - second * (wy * wy + wz * wz)
    turn[1, 1] = 1.0 - second * (wx * wx + wz * wz)
    turn[2, 2] = 1.0 - second * (wx * wx + wy * wy)
    turn[0, 1], turn[1, 0] = second * wx * wy - first * wz, second * wx * wy + first * wz
    turn[0, 2], turn[2, 0] = second * wx * wz + first * wy, second * wx * wz - first * wy
    turn[1, 2], turn[2, 1] = second * wy * wz - first * wx, second * wy * wz + first * wx
    old = matrix[:3].copy()
    old[0, 3] -= centre_x
    old[1, 3] -= centre_y
    old[2, 3] -= centre_z
    for r in range(3):
        for c in range(4):
            matrix[r, c] = turn[r, 0] * old[0, c] + turn[r, 1] * old[1, c] + turn[r, 2] * old[2, c]
    matrix[0, 3] += centre_x + part * step[0]
    matrix[1, 3] += centre_y + part * step[1]
    matrix[2, 3] += centre_z + part * step[2]


@njit(nogil=True, cache=True)
def align_all(
    points_mm: FloatArray,
    matrices: FloatArray,
    samples: Floats32,
    neighbours: Ints32,
    nearest: Ints32,
    origin_mm: FloatArray,
    cell_mm: float,
    spacing_mm: float,
    least_sigma_mm: float,
    still_mm: float,
    most_steps: int,
    cut_mm: float,
    costs: FloatArray,
) -> int:
    """Align every one of matrices (m, 4, 4) in place; the steps in all.

    costs (m,): mean of the squared distances over cut_mm, at most 1 each.
    """
    count = len(points_mm)
    moved = np.empty((count, 3))
    signed = np.empty(count)
    found = np.zeros(count, np.int32)
    steps = 0
    for m in range(len(matrices)):
        took = align(
            points_mm, matrices[m], samples, neighbours, nearest, origin_mm, cell_mm, spacing_mm,
            least_sigma_mm, still_mm, most_steps,
        )  # fmt: skip
        steps += max(took, 1)
        distances(
            points_mm, matrices[m], samples, neighbours, nearest, origin_mm, cell_mm, spacing_mm,
            moved, found, signed,
        )  # fmt: skip
        cost = 0.0
        for p in range(count):
            cost += min((signed[p] / cut_mm) ** 2, 1.0)
        costs[m] = cost / count if took > 0 else 1.0
    return steps
