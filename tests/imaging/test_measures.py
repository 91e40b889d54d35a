"""Areas and balls on phantoms whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from ir_nav.geometry import unit
from ir_nav.imaging import ImagingError, Volume, VolumeInfo
from ir_nav.imaging.measures import (
    area_statistics,
    ball_statistics,
    ball_volume_mm3,
    ellipse_area_mm2,
    ellipse_outline,
    polygon_area_mm2,
)
from tests.imaging import phantom

SPACING = np.array([0.7, 0.9, 2.5])


def linear(turn: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Volume:
    """HU = 2 x + 3 y + 5 z of the centred place in mm, to the nearest HU."""
    affine = np.eye(4)
    affine[:3, :3] = phantom.rotation(turn) * SPACING
    k, j, i = np.mgrid[:40, :90, :110]
    affine[:3, 3] = -affine[:3, :3] @ np.array([54.5, 44.5, 19.5])
    ct = np.stack([i, j, k], axis=-1) @ affine[:3, :3].T + affine[:3, 3]
    return Volume(np.rint(ct @ (2.0, 3.0, 5.0)).astype(np.int16), affine, "", VolumeInfo())


@pytest.mark.parametrize("turn", [(0.0, 0.0, 0.0), (20.0, -15.0, 40.0)])
@pytest.mark.parametrize("normal", [(0.0, 0.0, 1.0), (0.3, -0.5, 1.0), (1.0, 1.0, 0.2)])
def test_an_ellipse_of_a_linear_field(
    turn: tuple[float, float, float], normal: tuple[float, float, float]
) -> None:
    """Mean: the field at the centre; extremes and spread: from the field along the half-axes."""
    volume = linear(turn)
    away = unit(normal)
    first = unit(np.cross(away, (0.3, 1.0, 0.1))) * 14.0
    second = unit(np.cross(away, first)) * 9.0
    field = np.array([2.0, 3.0, 5.0])
    centre = np.array([1.5, -2.0, 0.8])
    found = area_statistics(volume, ellipse_outline(centre, first, second))
    assert found is not None
    reach = float(np.hypot(field @ first, field @ second))
    # In an axial layer the voxels are taken as they are: the layer lies up to 1.25 mm off.
    off = 0.0 if found.interpolated else 5.0 * 1.25 + 2.0
    assert found.mean_hu == pytest.approx(field @ centre, abs=0.5 + off)
    assert found.sd_hu == pytest.approx(reach / 2.0, rel=0.04)
    assert found.max_hu - found.min_hu == pytest.approx(2.0 * reach, rel=0.06)
    assert ellipse_area_mm2(first, second) == pytest.approx(np.pi * 14.0 * 9.0)


def test_an_axial_area_counts_the_voxels_themselves() -> None:
    """A rectangle of 6 x 4 voxels in one layer: their values, no interpolation."""
    rng = np.random.default_rng(3)
    hu = rng.integers(-50, 150, (12, 30, 30)).astype(np.int16)
    volume = Volume(hu, np.diag([*SPACING, 1.0]), "", VolumeInfo())
    low, high = np.array([9.5, 14.5]) * SPACING[:2], np.array([15.5, 18.5]) * SPACING[:2]
    z = 5 * 2.5 + 0.9  # nearest layer: 5
    corners = [[low[0], low[1], z], [high[0], low[1], z], [high[0], high[1], z]]
    corners.append([low[0], high[1], z])
    found = area_statistics(volume, corners)
    expected = hu[5, 15:19, 10:16].astype(float)
    assert found is not None
    assert not found.interpolated
    assert found.count == 24
    assert found.mean_hu == pytest.approx(expected.mean())
    assert found.sd_hu == pytest.approx(expected.std())
    assert (found.min_hu, found.max_hu) == (expected.min(), expected.max())
    assert polygon_area_mm2(corners) == pytest.approx(6 * 0.7 * 4 * 0.9)


def test_a_concave_polygon_leaves_its_bay_out() -> None:
    volume = linear()
    points = np.array([[0, 0], [20, 0], [20, 20], [10, 4], [0, 20.0]])
    corners = np.column_stack([points - 8.0, np.zeros(5)])
    assert polygon_area_mm2(corners) == pytest.approx(240.0)
    found = area_statistics(volume, corners)
    assert found is not None
    assert found.count * 0.7 * 0.9 == pytest.approx(240.0, rel=0.04)


@pytest.mark.parametrize("turn", [(0.0, 0.0, 0.0), (33.0, 10.0, -25.0)])
def test_a_ball_takes_its_voxels(turn: tuple[float, float, float]) -> None:
    volume = linear(turn)
    centre, radius = np.array([2.0, -3.0, 1.0]), 12.0
    found = ball_statistics(volume, centre, radius)
    assert found is not None
    assert found.count * SPACING.prod() == pytest.approx(ball_volume_mm3(radius), rel=0.02)
    assert found.mean_hu == pytest.approx(np.array([2.0, 3.0, 5.0]) @ centre, abs=0.6)
    # The spread of a linear field over a ball: gradient x radius / sqrt(5).
    assert found.sd_hu == pytest.approx(np.sqrt(38.0) * radius / np.sqrt(5.0), rel=0.02)


def test_outside_or_empty_is_nothing_and_nonsense_is_refused() -> None:
    volume = linear()
    far = ellipse_outline((900.0, 0.0, 0.0), (5.0, 0.0, 0.0), (0.0, 5.0, 0.0))
    assert area_statistics(volume, far) is None
    assert ball_statistics(volume, (900.0, 0.0, 0.0), 5.0) is None
    assert ball_statistics(volume, (0.0, 0.0, 0.0), 0.05) is None
    with pytest.raises(ImagingError, match="one line"):
        area_statistics(volume, [[0, 0, 0], [1, 0, 0], [2, 0, 0]])
    with pytest.raises(ImagingError, match="one plane"):
        area_statistics(volume, [[0, 0, 0], [9, 0, 0], [9, 9, 0], [0, 9, 7]])
    with pytest.raises(ImagingError, match="radius"):
        ball_statistics(volume, (0, 0, 0), 0.0)
