"""What small motions change of the drawn fields, view by view.

A turn about the focal spot shows the same line integrals elsewhere on the detector (a homography,
Hartley and Zisserman 2004, 8.4): three of the six motions are drawn by moving the frame that is
there. Only depth and the two turns that show other sides are rendered.
"""

from __future__ import annotations

import math

import numpy as np

from ir_nav.geometry import FloatArray, apply
from ir_nav.registration.fluoro.axes import Axes, axes_through, rotations
from ir_nav.registration.fluoro.prepared import FLOOR, Image, Level, LevelView
from ir_nav.registration.fluoro.projector import project_poses
from ir_nav.registration.fluoro.similarity_kernels import combined, displaced, unit_fields
from ir_nav.threads import in_ranges

# A step for the derivative per detector pixel of the level: mm across, mm along the ray, deg.
STEPS_PER_MM = np.array([0.4, 0.4, 1.2, 0.3, 0.3, 0.3])
# The motions that are rendered: turns about the axes across the ray, and along the ray.
RENDERED = [3, 4, 2]


def linearised(
    level: Level, axes: Axes, world_from_ct: FloatArray, *, central: bool
) -> tuple[Image, Image]:
    """(m,) the drawn fields, (6, m) what each parameter of `axes` changes of them per unit.

    central: rendered differences to both sides. Turns about the focal spot always are, since to
    interpolate a frame blurs it. Renders 7 or 4 frames a view.
    """
    ends = np.cumsum([0, *(2 * len(view.voting) for view in level.views)])
    found = np.empty((7, ends[-1]), np.float32)
    whole = math.sqrt(len(level.views))
    for view, first, last in zip(level.views, ends[:-1], ends[1:], strict=True):
        own = axes_through(view.carm_from_world, axes.centre_world_mm)
        fields, change_from_fields = _of_view(level, view, own, world_from_ct, central)
        weights = np.concatenate(
            [np.eye(1, len(fields)), _axes_from_own(axes, own) @ change_from_fields]
        )
        combined((weights / whole).astype(np.float32), fields, found[:, first:last])
    return found[0], found[1:]


def renderings(*, central: bool) -> int:
    """Frames that `linearised` renders of each view."""
    return 1 + len(RENDERED) * (2 if central else 1)


def steps_of(level: Level) -> FloatArray:
    """(6,) the derivative's steps at a level: mm, then deg."""
    return np.asarray(STEPS_PER_MM * max(max(view.geometry.pixel_mm) for view in level.views))


def _of_view(
    level: Level, view: LevelView, own: Axes, world_from_ct: FloatArray, central: bool
) -> tuple[Image, FloatArray]:
    """(n, m) a view's unit fields, first where the CT is, and (6, n): the change of the first by
    each parameter of the view's own axes, from all.
    """
    steps = STEPS_PER_MM * max(view.geometry.pixel_mm)
    away = np.diag(steps)[RENDERED]
    moves = np.concatenate([np.zeros((1, 6)), away, -away][: 3 if central else 2])
    poses = view.carm_from_world @ own.moved(moves, world_from_ct)
    frames = np.empty((len(poses) + 6, *view.weight.shape), np.float32)
    project_poses(level.attenuation, view.geometry, poses, frames[:-6])
    distance_mm = float(np.linalg.norm(apply(view.carm_from_world, own.centre_world_mm)))
    maps = _maps(view, own, steps, distance_mm)
    in_ranges(len(maps), lambda part: displaced(frames[0], maps, part, frames[-6:]))
    fields = np.empty((len(frames), 2 * len(view.voting)), np.float32)
    in_ranges(
        len(frames),
        lambda part: unit_fields(
            frames, view.weight, view.voting, view.radius_px, FLOOR, part, fields
        ),
    )
    return fields, _motions(distance_mm) @ _differences(steps, central)


def _maps(view: LevelView, own: Axes, steps: FloatArray, distance_mm: float) -> FloatArray:
    """(6, 3, 3) pixel of a turned frame -> pixel of the frame: the turns about the focal spot that
    shift the centre by a step across its columns, its rows, and that about the ray; then back.
    """
    across, down, ray = own.world_from_axes.T
    turns = np.stack([
        down * (steps[0] / distance_mm), -across * (steps[1] / distance_mm),
        ray * math.radians(steps[5]),
    ])  # fmt: skip
    vectors = np.concatenate([-turns, turns]) @ view.carm_from_world[:3, :3].T
    camera = view.geometry.camera_matrix
    return np.asarray(camera @ rotations(vectors) @ np.linalg.inv(camera))


def _differences(steps: FloatArray, central: bool) -> FloatArray:
    """(6, n): the change per unit from n fields, by the three rendered motions, then by the three
    turns about the focal spot.
    """
    step = steps[RENDERED]
    away = np.diag(1.0 / (2.0 * step if central else step))
    rendered = [away, -away] if central else [away]
    here = np.zeros((3, 1)) if central else -np.sum(away, axis=1, keepdims=True)
    turned = np.diag(0.5 / steps[[0, 1, 5]])
    still = np.zeros((3, 1 + 3 * len(rendered)))
    rows = [[here, *rendered, np.zeros((3, 6))], [still, turned, -turned]]
    return np.asarray(np.block(rows), np.float64)


def _motions(distance_mm: float) -> FloatArray:
    """(6, 6): the change by each parameter of a view's own axes from that by the motions of
    `_differences`. A turn that shifts the centre by 1 mm turns the CT as well, by 1 / distance.
    """
    per_mm = math.degrees(1.0 / distance_mm)
    motions = np.zeros((6, 6))
    motions[0, [3, 1]] = 1.0, -per_mm
    motions[1, [4, 0]] = 1.0, per_mm
    motions[[2, 3, 4, 5], [2, 0, 1, 5]] = 1.0
    return motions


def _axes_from_own(axes: Axes, own: Axes) -> FloatArray:
    """(6, 6): the change by each parameter of `axes` from that of another about the same centre."""
    turn = axes.world_from_axes.T @ own.world_from_axes
    return np.asarray(np.kron(np.eye(2), turn), np.float64)
