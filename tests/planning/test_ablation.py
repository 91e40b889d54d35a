"""Coverage and margins where they are known: balls in balls, and two zones side by side."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ir_nav.planning import PlannedPath
from ir_nav.planning.ablation import Ellipsoid, cover, zone_about
from ir_nav.planning.instruments import Zone
from tests.planning.masks import ball

ALONG = np.array([0.0, 1.0, 0.0])


def round_zone(radius_mm: float, x_mm: float = 0.0) -> Ellipsoid:
    return Ellipsoid(np.array([x_mm, 0.0, 0.0]), ALONG, radius_mm, radius_mm)


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (0.7, 0.7, 2.5)])
def test_a_ball_in_a_ball_has_the_difference_of_radii_as_margin(
    spacing_mm: tuple[float, float, float],
) -> None:
    found = cover(ball(10.0, spacing_mm=spacing_mm), [round_zone(16.0)], 5.0)
    assert found.covered == 1.0
    assert found.least_margin_mm == pytest.approx(6.0, abs=0.15)
    assert found.complete
    assert found.margin_reached == 1.0
    assert found.target_mm3 == pytest.approx(4.0 / 3.0 * np.pi * 10.0**3, rel=0.05)
    assert found.zones_mm3 == pytest.approx(4.0 / 3.0 * np.pi * 16.0**3, rel=0.02)


def test_off_centre_the_margin_shrinks_by_the_offset() -> None:
    found = cover(ball(10.0), [round_zone(16.0, x_mm=3.0)], 5.0)
    assert found.least_margin_mm == pytest.approx(3.0, abs=0.15)
    assert found.covered == 1.0
    assert not found.complete  # covered, but short of the margin: not A0
    assert 0.0 < found.margin_reached < 1.0


def test_what_is_left_is_a_negative_margin() -> None:
    found = cover(ball(10.0), [round_zone(8.0)], 5.0)
    assert found.least_margin_mm == pytest.approx(-2.0, abs=0.1)
    assert found.covered == pytest.approx(0.8**3, abs=0.03)
    assert found.margin_reached == 0.0


def test_two_zones_cover_what_neither_does() -> None:
    left, right = round_zone(14.0, -6.0), round_zone(14.0, 6.0)
    target = ball(10.0)
    alone, both = cover(target, [left], 2.0), cover(target, [left, right], 2.0)
    assert alone.covered < 1.0
    assert both.covered == 1.0
    # The edge of the union nearest to the target is the waist between the zones.
    waist_mm = np.sqrt(14.0**2 - 6.0**2)
    assert both.least_margin_mm == pytest.approx(waist_mm - 10.0, abs=0.2)
    assert both.zones_mm3 < 2.0 * alone.zones_mm3


def test_a_needle_placed_twice_covers_what_it_covers_once() -> None:
    once, twice = (cover(ball(10.0), [round_zone(16.0)] * n, 5.0) for n in (1, 2))
    assert twice.least_margin_mm == pytest.approx(once.least_margin_mm, abs=0.05)
    assert twice.zones_mm3 == once.zones_mm3


@settings(max_examples=25, deadline=None)
@given(st.floats(0.0, 180.0), st.floats(0.0, 360.0))
def test_points_on_the_surface_have_level_one(tilt_deg: float, turn_deg: float) -> None:
    tilt, turn = np.radians([tilt_deg, turn_deg])
    axis = np.array([np.sin(tilt) * np.cos(turn), np.sin(tilt) * np.sin(turn), np.cos(tilt)])
    zone = Ellipsoid(np.array([1.0, 2.0, 3.0]), axis, 20.0, 12.0)
    surface = zone.surface(step_mm=1.0)
    np.testing.assert_allclose(zone.level(surface), 1.0, atol=1e-9)
    low, high = zone.bounds_mm
    assert np.all(surface >= low - 1e-9)
    assert np.all(surface <= high + 1e-9)
    np.testing.assert_allclose(surface.max(axis=0), high, atol=0.6)


def test_no_place_of_the_surface_is_far_from_a_point() -> None:
    rng = np.random.default_rng(4)
    zone = Ellipsoid(np.zeros(3), ALONG, 20.0, 12.0)
    places = rng.normal(size=(300, 3))
    places /= np.sqrt(zone.level(places))[:, None]
    nearest = np.linalg.norm(places[:, None] - zone.surface()[None], axis=2).min(axis=1)
    assert nearest.max() < 0.5


def test_the_zone_reaches_ahead_of_the_tip() -> None:
    path = PlannedPath.between((0.0, -90.0, 0.0), (0.0, 0.0, 0.0))
    zone = zone_about(path, Zone(length_mm=40.0, width_mm=30.0, ahead_mm=8.0))
    tips = np.array([[0.0, 8.0, 0.0], [0.0, -32.0, 0.0], [15.0, -12.0, 0.0]])
    np.testing.assert_allclose(zone.level(tips), 1.0)


def test_a_section_lies_on_the_zone_and_in_the_plane() -> None:
    axis = np.array([0.6, 0.0, 0.8])
    zone = Ellipsoid(np.array([3.0, -4.0, 5.0]), axis, 20.0, 12.0)
    right, down = np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0])
    place = np.array([40.0, 2.0, -30.0])  # in the plane y = 2, 6 mm off the middle
    rim = zone.section(place, right, down)
    assert rim is not None
    np.testing.assert_allclose(zone.level(rim), 1.0, atol=1e-9)
    np.testing.assert_allclose(rim[:, 1], 2.0)
    assert len(np.unique(rim.round(6), axis=0)) == len(rim)
    # The axis lies in the plane: the ellipse keeps its shape, smaller by how far off it is.
    reach = np.abs((rim - zone.centre_ct_mm) @ axis).max()
    assert reach == pytest.approx(20.0 * np.sqrt(1.0 - (6.0 / 12.0) ** 2), abs=0.05)
    assert zone.section(np.array([0.0, 8.5, 0.0]), right, down) is None
