"""Surfaces with a formula, so that points on them are exact."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ir_nav.geometry import FloatArray, apply, rigid, rotation_from_vector
from ir_nav.imaging import Mesh

Shape = Callable[[FloatArray, FloatArray], FloatArray]


def torso(u: FloatArray, v: FloatArray) -> FloatArray:
    """(n, 3) of a belly that narrows, with a rib margin and a navel; u head to foot, v round."""
    angle, height = 2.0 * np.pi * v, 320.0 * (0.5 - u)
    wide = 150.0 + 25.0 * np.sin(height / 70.0) + 6.0 * np.cos(3.0 * angle + height / 50.0)
    deep = 105.0 + 12.0 * np.cos(height / 60.0 + 1.0)
    navel = -9.0 * np.exp(-((height + 40.0) ** 2 + (150.0 * (v - 0.72)) ** 2) / 400.0)
    size = 1.0 + navel / 100.0
    return np.stack([wide * np.cos(angle) * size, deep * np.sin(angle) * size, height], axis=1)


def ball(u: FloatArray, v: FloatArray) -> FloatArray:
    """(n, 3) on a sphere of 60 mm round (10, 20, 30)."""
    polar, angle = np.pi * (0.02 + 0.96 * u), 2.0 * np.pi * v
    directions = [np.sin(polar) * np.cos(angle), np.sin(polar) * np.sin(angle), np.cos(polar)]
    return np.array([10.0, 20.0, 30.0]) + 60.0 * np.stack(directions, axis=1)


def tube(u: FloatArray, v: FloatArray) -> FloatArray:
    """(n, 3) on a cylinder of 60 mm from head to foot, its axis at x 10, y 20."""
    angle = 2.0 * np.pi * v
    return np.stack(
        [10.0 + 60.0 * np.cos(angle), 20.0 + 60.0 * np.sin(angle), 300.0 * (0.5 - u)], axis=1
    )


def table(u: FloatArray, v: FloatArray) -> FloatArray:
    """(n, 3) on a plane square to front and back."""
    return np.stack([300.0 * (u - 0.5), np.zeros_like(u), 300.0 * (v - 0.5)], axis=1)


def meshed(shape: Shape, rows: int = 90, columns: int = 110) -> Mesh:
    u, v = np.meshgrid(np.linspace(0, 1, rows), np.linspace(0, 1, columns), indexing="ij")
    points = shape(u.ravel(), v.ravel())
    at = np.arange(rows * columns).reshape(rows, columns)
    a, b = at[:-1, :-1].ravel(), at[1:, :-1].ravel()
    c, d = at[1:, 1:].ravel(), at[:-1, 1:].ravel()
    triangles = np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])
    return Mesh(points.astype(np.float32), triangles.astype(np.int32))


def swiped(
    shape: Shape,
    count: int,
    seed: int,
    *,
    noise_mm: float = 1.0,
    outliers: float = 0.05,
    round_part: tuple[float, float] = (0.5, 1.0),
) -> FloatArray:
    """(count, 3) in the frame of the shape: scattered, some of them off by centimetres."""
    rng = np.random.default_rng(seed)
    points = shape(rng.uniform(0.2, 0.8, count), rng.uniform(*round_part, count))
    points = points + rng.normal(0.0, noise_mm, points.shape)
    wrong = rng.random(count) < outliers
    points[wrong] += rng.normal(0.0, 15.0, (int(wrong.sum()), 3))
    return np.asarray(points)


def pushed(centre_mm: FloatArray, by_mm: float, by_deg: float, seed: int) -> FloatArray:
    """(4, 4) turn by an angle about a centre and push by a distance, each in some direction."""
    rng = np.random.default_rng(seed)
    axis, way = rng.normal(size=(2, 3))
    rotation = rotation_from_vector(np.radians(by_deg) * axis / np.linalg.norm(axis))
    shift = by_mm * way / np.linalg.norm(way)
    return rigid(rotation, centre_mm - rotation @ centre_mm + shift)


def off_mm(found: FloatArray, true: FloatArray, points_mm: FloatArray) -> float:
    """Mean distance between the same points through two matrices."""
    return float(np.linalg.norm(apply(found, points_mm) - apply(true, points_mm), axis=1).mean())
