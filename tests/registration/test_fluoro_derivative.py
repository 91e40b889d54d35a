"""What small motions change of the drawn fields: beside motions that are all rendered."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from ir_nav.geometry import CArmGeometry, apply, rigid, rigid_inverse, rotation_from_vector
from ir_nav.imaging import Volume, VolumeInfo
from ir_nav.registration.fluoro.attenuation import Attenuation, prepare_attenuation
from ir_nav.registration.fluoro.axes import Axes, axes_through
from ir_nav.registration.fluoro.carm_angles import CArmAngles, carm_from_ct
from ir_nav.registration.fluoro.derivative import linearised, renderings
from ir_nav.registration.fluoro.prepared import FLOOR, Level, prepare_levels
from ir_nav.registration.fluoro.projector import project, project_poses
from ir_nav.registration.fluoro.similarity_kernels import unit_fields
from ir_nav.registration.fluoro.view import CArmView, FluoroFrame, Pixels

GEOMETRY = CArmGeometry(1000.0, (3.0, 3.0), (60, 54), (27.0, 30.0))
WORLD_FROM_CT = rigid(rotation_from_vector(np.array([0.2, 0.5, -0.3])), [40.0, -20.0, 90.0])
STEPS = np.array([1.0, 1.0, 2.0, 0.5, 0.5, 0.5])


@cache
def smooth() -> Attenuation:
    """Nothing that the detector sees of it is as fine as the steps: differences are derivatives."""
    rng = np.random.default_rng(4)
    soft = ndimage.gaussian_filter(rng.normal(size=(40, 40, 40)), 5.0)
    voxels = (600.0 * soft / np.abs(soft).max()).astype(np.int16)
    ct_from_voxel = np.diag([6.0, 6.0, 6.0, 1.0])
    volume = Volume(voxels, ct_from_voxel, "made", VolumeInfo())
    return prepare_attenuation(volume, None, np.ones(voxels.shape, np.bool_))


def level(*angles: float) -> Level:
    attenuation = smooth()
    frames = []
    for primary in angles:
        pose = carm_from_ct(CArmAngles(primary, 12.0), attenuation.centre_ct_mm, 700.0)
        view = CArmView(GEOMETRY, pose @ rigid_inverse(WORLD_FROM_CT), Pixels.ATTENUATION)
        frames.append(FluoroFrame(view, project(attenuation, GEOMETRY, pose)))
    return prepare_levels(frames, [attenuation])[0]


def rendered(one: Level, axes: Axes) -> np.ndarray:
    """(6, m) central differences of every motion, each rendered."""
    moves = np.concatenate([np.diag(STEPS), -np.diag(STEPS)])
    parts = []
    for view in one.views:
        poses = view.carm_from_world @ axes.moved(moves, WORLD_FROM_CT)
        drawn = project_poses(one.attenuation, view.geometry, poses)
        fields = np.empty((12, 2 * len(view.voting)), np.float32)
        unit_fields(drawn, view.weight, view.voting, view.radius_px, FLOOR, (0, 12), fields)
        parts.append((fields[:6] - fields[6:]) / (2.0 * STEPS[:, None]))
    return np.concatenate(parts, axis=1) / np.sqrt(len(parts))


@pytest.mark.parametrize(("central", "near"), [(True, 0.08), (False, 0.16)])
@pytest.mark.parametrize("angles", [(10.0,), (10.0, -75.0)])
def test_the_derivative_is_that_of_rendered_motions(
    angles: tuple[float, ...], central: bool, near: float
) -> None:
    one = level(*angles)
    centre = apply(WORLD_FROM_CT, smooth().centre_ct_mm + np.array([15.0, -10.0, 5.0]))
    axes = axes_through(one.views[0].carm_from_world, centre)
    fields, change = linearised(one, axes, WORLD_FROM_CT, central=central)
    expected = rendered(one, axes)
    assert np.linalg.norm(fields) == pytest.approx(1.0, abs=1e-5)
    off = np.linalg.norm(change - expected, axis=1) / np.linalg.norm(expected, axis=1)
    assert off.max() < near, off


def test_it_renders_four_or_seven_frames() -> None:
    assert (renderings(central=False), renderings(central=True)) == (4, 7)
