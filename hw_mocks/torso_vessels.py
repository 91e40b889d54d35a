"""Branching vessels of the digital torso's liver and lungs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hw_mocks.torso_organs import LESION_MM
from hw_mocks.torso_shapes import ORIGIN_MM, SPACING_MM, Canvas, Mask
from ir_nav.geometry import FloatArray, unit


@dataclass(frozen=True, slots=True, eq=False)
class Growth:
    """How a tree grows: inside which voxels, how it thins and how thin it ends."""

    allowed: Mask
    keep_off_mm: tuple[float, float, float]
    shrink: float
    thinnest_mm: float
    length_per_radius: float


@dataclass(frozen=True, slots=True, eq=False)
class Branch:
    points_mm: FloatArray  # (n, 3)
    radius_mm: float


def grow(
    rng: np.random.Generator, start: FloatArray, heading: FloatArray, radius_mm: float, how: Growth
) -> Iterator[Branch]:
    """Branches of a tree by recursive forking; a branch ends at the organ's surface."""
    length = how.length_per_radius * radius_mm**0.75 * rng.uniform(0.75, 1.3)
    points = [start]
    direction = heading
    for _ in range(max(3, int(length / 4.0))):
        ahead = _step(rng, points[-1], direction, how)
        if ahead is None:
            break
        direction = ahead
        points.append(points[-1] + 4.0 * direction)
    if len(points) < 2:
        return
    yield Branch(np.array(points), radius_mm)
    smaller = radius_mm * how.shrink
    if smaller < how.thinnest_mm:
        return
    side = unit(np.cross(direction, rng.standard_normal(3)))
    for sign, thinning in ((1.0, 1.0), (-1.0, rng.uniform(0.65, 0.95))):
        turn = np.radians(rng.uniform(18.0, 44.0)) * sign
        branch = np.cos(turn) * direction + np.sin(turn) * side
        yield from grow(rng, points[-1], unit(branch), smaller * thinning, how)


def _step(
    rng: np.random.Generator, point: FloatArray, direction: FloatArray, how: Growth
) -> FloatArray | None:
    """A direction close to the last that stays 7 mm inside; None where the organ ends."""
    for bend in (0.14, 0.14, 0.4, 0.7, 1.0):
        turned = unit(direction + rng.normal(0.0, bend, 3))
        if _permitted(point + 4.0 * turned, how) and _permitted(point + 8.0 * turned, how):
            return turned
    return None


def _permitted(point: FloatArray, how: Growth) -> bool:
    if np.linalg.norm(point - how.keep_off_mm) < 15.0:
        return False
    i, j, k = np.rint((point - ORIGIN_MM) / SPACING_MM).astype(int)
    shape = how.allowed.shape
    inside = 0 <= k < shape[0] and 0 <= j < shape[1] and 0 <= i < shape[2]
    return bool(inside and how.allowed[k, j, i])


def draw_liver_vessels(canvas: Canvas) -> None:
    whole = canvas.whole()
    how = Growth(whole.is_any("liver"), LESION_MM, 0.8, 1.15, 9.5)
    trunk = np.array([(-4.0, -4.0, -58.0), (-16.0, -6.0, -26.0), (-34.0, -6.0, 0.0)])
    _draw(canvas, Branch(trunk, 6.5), "portal_vein", 158.0)
    splenic = np.array([(-6.0, -6.0, -44.0), (34.0, 8.0, -18.0), (70.0, 26.0, 0.0)])
    _draw(canvas, Branch(splenic, 4.2), "portal_vein", 155.0)
    for heading in ((-0.9, -0.5, 0.15), (-0.8, 0.6, 0.2), (-0.7, 0.1, -0.75), (-0.6, 0.0, 0.9)):
        for branch in grow(canvas.rng, trunk[-1], unit(heading), 4.6, how):
            _draw(canvas, branch, "portal_vein", 156.0)
    left = np.array([(-34.0, -6.0, 0.0), (-22.0, -26.0, 14.0), (-4.0, -40.0, 22.0)])
    _draw(canvas, Branch(left, 4.4), "portal_vein", 156.0)
    for heading in ((0.8, -0.3, 0.2), (-0.2, -0.8, -0.3)):
        for branch in grow(canvas.rng, left[-1], unit(heading), 3.4, how):
            _draw(canvas, branch, "portal_vein", 156.0)
    for start, heading in (
        ((-32.0, 6.0, 44.0), (-0.85, 0.25, -0.25)),
        ((-32.0, -8.0, 42.0), (-0.5, -0.6, -0.5)),
        ((-20.0, -18.0, 38.0), (0.45, -0.75, -0.2)),
    ):
        mouth = np.array([(-21.0, 4.0, 50.0), start])
        _draw(canvas, Branch(mouth, 5.4), "hepatic_vein", 146.0)
        for branch in grow(canvas.rng, np.array(start), unit(heading), 5.0, how):
            _draw(canvas, branch, "hepatic_vein", 146.0)


def _draw(canvas: Canvas, branch: Branch, name: str, hu: float) -> None:
    radii = np.linspace(branch.radius_mm, 0.86 * branch.radius_mm, len(branch.points_mm))
    box, distance = canvas.tube(branch.points_mm, radii)
    free = (distance < 1.0) & box.is_any("liver", "fat", "hepatic_vein", "portal_vein", "pancreas")
    box.paint(free, name, hu)


def draw_lung_vessels(canvas: Canvas) -> None:
    """Pulmonary vessels; their voxels stay labelled as lung."""
    lung = canvas.whole().is_any("lung_left", "lung_right")
    how = Growth(lung, (0.0, 0.0, -900.0), 0.82, 0.9, 12.0)
    for side in (-1.0, 1.0):
        for _ in range(10):
            start = np.array([side * canvas.rng.uniform(52.0, 80.0), 20.0, 132.0])
            start[1:] += canvas.rng.normal(0.0, (22.0, 8.0))
            heading = unit(np.array([side * 0.6, 0.0, -0.9]) + canvas.rng.normal(0.0, 0.5, 3))
            for branch in grow(canvas.rng, start, heading, 3.8, how):
                box, distance = canvas.tube(branch.points_mm, branch.radius_mm)
                free = (distance < 1.0) & box.is_any("lung_left", "lung_right")
                box.hu[free] = np.maximum(box.hu, 130.0 - 260.0 * distance)[free]
