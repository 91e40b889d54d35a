"""Guidance numbers against geometry worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ir_nav.geometry import GeometryError
from ir_nav.guidance import PlannedPath, guide

# Down the y axis: entry at y = -100, target at the origin.
PATH = PlannedPath.between((0.0, -100.0, 0.0), (0.0, 0.0, 0.0))
ALONG = (0.0, 1.0, 0.0)


def test_on_the_path_only_the_way_to_go_is_left() -> None:
    found = guide(PATH, (0.0, -40.0, 0.0), ALONG)
    assert found.to_target_mm == pytest.approx(40.0)
    assert (found.off_path_mm, found.angle_deg, found.aim_off_mm) == (0.0, 0.0, 0.0)
    np.testing.assert_array_equal(found.hub_tilt_ct, np.zeros(3))


def test_past_the_target_the_way_is_negative() -> None:
    assert guide(PATH, (0.0, 7.5, 0.0), ALONG).to_target_mm == pytest.approx(-7.5)


def test_beside_the_path_but_parallel() -> None:
    found = guide(PATH, (3.0, -40.0, -4.0), ALONG)
    assert found.to_target_mm == pytest.approx(40.0)
    assert found.off_path_mm == pytest.approx(5.0)
    assert found.angle_deg == 0.0
    np.testing.assert_allclose(found.tip_offset_ct_mm, (3.0, 0.0, -4.0))
    np.testing.assert_allclose(found.aim_offset_ct_mm, (3.0, 0.0, -4.0))
    assert found.aim_off_mm == pytest.approx(5.0)


def test_aimed_askew_the_miss_is_shown_before_it_happens() -> None:
    """40 mm before the target, shaft 3 : 4 off in x: pushed on, the tip passes 30 mm beside."""
    found = guide(PATH, (0.0, -40.0, 0.0), (3.0, 4.0, 0.0))
    assert found.angle_deg == pytest.approx(np.degrees(np.arctan2(3.0, 4.0)))
    np.testing.assert_allclose(found.aim_offset_ct_mm, (30.0, 0.0, 0.0), atol=1e-12)
    assert found.aim_off_mm == pytest.approx(30.0)
    np.testing.assert_allclose(found.hub_tilt_ct, (0.6, 0.0, 0.0), atol=1e-12)


def test_an_offset_that_the_tilt_makes_up_for_aims_at_the_target() -> None:
    found = guide(PATH, (-30.0, -40.0, 0.0), (3.0, 4.0, 0.0))
    assert found.off_path_mm == pytest.approx(30.0)
    assert found.aim_off_mm == pytest.approx(0.0, abs=1e-12)


def test_the_hub_goes_to_where_the_shaft_points_off() -> None:
    """The tip leans to +x, so its hub lies to -x and has to go to +x."""
    found = guide(PATH, (0.0, -40.0, 0.0), (0.1, 1.0, 0.0))
    assert found.hub_tilt_ct[0] > 0.0
    assert abs(found.hub_tilt_ct @ PATH.direction_ct) < 1e-12


@pytest.mark.parametrize("angle_deg", [1e-6, 1e-3, 0.5, 89.0, 179.0, 180.0])
def test_angles_near_zero_keep_their_precision(angle_deg: float) -> None:
    radians = np.radians(angle_deg)
    shaft = (0.0, np.cos(radians), np.sin(radians))
    assert guide(PATH, (0, -10, 0), shaft).angle_deg == pytest.approx(angle_deg, rel=1e-6)


@pytest.mark.parametrize("shaft", [(1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (1.0, 0.1, 0.0)])
def test_a_shaft_that_never_meets_the_target_plane_gives_no_wild_aim(
    shaft: tuple[float, ...],
) -> None:
    assert guide(PATH, (2.0, -40.0, 0.0), shaft).aim_off_mm == pytest.approx(2.0)


def test_a_shaft_without_direction_is_refused() -> None:
    with pytest.raises(GeometryError):
        guide(PATH, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))


NUMBERS = st.floats(-100.0, 100.0)
POINTS = st.tuples(NUMBERS, NUMBERS, NUMBERS)


@given(POINTS, POINTS, POINTS, st.floats(-1.0, 1.0), st.floats(-1.0, 1.0))
def test_the_numbers_put_the_tip_together_again(
    entry: tuple[float, ...], target: tuple[float, ...], tip: tuple[float, ...], u: float, v: float
) -> None:
    """target - way along the path + offset is the tip; the aim point lies on the shaft's line."""
    if np.linalg.norm(np.subtract(entry, target)) < 5.0:
        return
    path = PlannedPath.between(entry, target)
    axis = path.direction_ct
    shaft = axis + 0.9 * (
        u * np.cross(axis, (0.3, 0.5, 0.8)) + v * np.cross(axis, (0.9, -0.1, 0.2))
    )
    found = guide(path, tip, 7.0 * shaft)
    rebuilt = np.array(target) - found.to_target_mm * axis + found.tip_offset_ct_mm
    np.testing.assert_allclose(rebuilt, tip, atol=1e-9)
    assert found.off_path_mm == pytest.approx(np.linalg.norm(found.tip_offset_ct_mm))
    assert abs(found.tip_offset_ct_mm @ axis) < 1e-9
    if shaft @ axis / np.linalg.norm(shaft) > 0.25:
        aim = np.array(target) + found.aim_offset_ct_mm
        assert np.linalg.norm(np.cross(aim - tip, shaft)) < 1e-6 * (1 + np.linalg.norm(aim - tip))
        assert abs(found.aim_offset_ct_mm @ axis) < 1e-9
