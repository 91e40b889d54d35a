"""The pigtail in collections of known size."""

from __future__ import annotations

import numpy as np
import pytest

from ir_nav.planning import PlannedPath
from ir_nav.planning.drainage import centreline, fit_catheter, hole_arcs_mm, widest_ball_mm
from ir_nav.planning.instruments import Catheter, SideHoles
from ir_nav.planning.target_mask import TargetMask
from tests.planning.masks import ball, grid

PATH = PlannedPath.between((10.0, -80.0, 30.0), (0.0, 0.0, 0.0))
CATHETER = Catheter(
    french=9.0,
    length_mm=250.0,
    loop_mm=23.0,
    side_holes=SideHoles(count=5, first_mm=4.0, span_mm=40.0),
)
RADIUS_MM = 10.0  # (23 mm - 9 F) / 2


@pytest.mark.parametrize("roll_deg", [0.0, 77.0, 250.0])
def test_the_loop_is_a_circle_that_the_shaft_runs_into(roll_deg: float) -> None:
    turn_mm = 2.0 * np.pi * RADIUS_MM
    arcs = np.linspace(0.0, turn_mm + 30.0, 2000)
    points = centreline(PATH, CATHETER, roll_deg, arcs)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    np.testing.assert_allclose(steps, arcs[1] - arcs[0], rtol=1e-4)  # arcs are arcs
    on_loop = points[arcs <= turn_mm]
    middle = on_loop.mean(axis=0)
    np.testing.assert_allclose(np.linalg.norm(on_loop - middle, axis=1), RADIUS_MM, atol=0.05)
    shaft = points[arcs >= turn_mm]
    np.testing.assert_allclose(
        np.linalg.norm(np.cross(shaft - PATH.target_ct_mm, PATH.direction_ct), axis=1), 0, atol=1e-9
    )
    # No kink: going up the catheter the first step of the shaft runs against the path.
    bend = (points[np.argmax(arcs >= turn_mm) - 1] - points[np.argmax(arcs >= turn_mm)]) @ (
        PATH.direction_ct
    )
    assert bend == pytest.approx(arcs[1] - arcs[0], rel=1e-3)


def test_in_a_wide_collection_everything_is_inside() -> None:
    fit = fit_catheter(PATH, CATHETER, ball(30.0))
    assert fit.fits
    assert (fit.holes_inside, fit.loop_inside, fit.rolls_fit) == (1.0, 1.0, 1.0)
    assert fit.widest_mm == pytest.approx(60.0, abs=1.5)
    assert fit.deepest_mm == pytest.approx(11.5)


def test_a_loop_wider_than_the_collection_does_not_fit() -> None:
    fit = fit_catheter(PATH, CATHETER, ball(9.0))
    assert not fit.fits
    assert fit.rolls_fit == 0.0
    assert 0.0 < fit.loop_inside < 0.6
    assert fit.widest_mm == pytest.approx(18.0, abs=1.5)


def test_beside_a_wall_only_some_rolls_fit() -> None:
    points, ct_from_voxel = grid((1.0, 1.0, 1.0), 40.0)
    half = TargetMask(points[..., 0] < 3.0, ct_from_voxel)
    down = PlannedPath.between((0.0, -80.0, 0.0), (0.0, 0.0, 0.0))
    fit = fit_catheter(down, CATHETER, half)
    # The loop reaches 20 mm to one side and must stay under 2.5 mm (to the voxel's face) in x.
    inside = np.degrees(2.0 * np.arcsin(2.5 / 20.0)) / 2.0
    assert fit.rolls_fit == pytest.approx((180.0 + 2.0 * inside) / 360.0, abs=0.04)
    assert not fit.fits


def test_holes_on_the_shaft_count_too() -> None:
    long = CATHETER.model_copy(
        update={"side_holes": SideHoles(count=11, first_mm=0.0, span_mm=2 * np.pi * 10.0 + 50.0)}
    )
    arcs = hole_arcs_mm(long)
    assert (arcs[0], len(arcs)) == (0.0, 11)
    on_shaft = arcs - 2.0 * np.pi * RADIUS_MM
    fit = fit_catheter(PATH, long, ball(30.0))
    assert fit.holes_inside == pytest.approx(np.mean(on_shaft <= 30.0), abs=0.1)
    assert fit.loop_inside == 1.0


def test_the_widest_ball_knows_thick_slices_and_the_image_edge() -> None:
    assert widest_ball_mm(ball(15.0, spacing_mm=(0.8, 0.8, 2.5))) == pytest.approx(30.0, abs=1.8)
    points, ct_from_voxel = grid((1.0, 1.0, 1.0), 40.0)
    slab = TargetMask(points[..., 2] > 30.0, ct_from_voxel)  # 10 mm thick, cut by the image
    assert widest_ball_mm(slab) == pytest.approx(10.0, abs=1.1)
