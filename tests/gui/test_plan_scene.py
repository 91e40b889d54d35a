"""Target and entry dragged in the 3D view of Plan."""

from __future__ import annotations

import numpy as np
import pytest
from PyQt6.QtCore import QPoint
from PyQt6.QtTest import QTest

from ir_nav.geometry import read_only, unit
from ir_nav.gui.scene_request import Lens
from tests.gui.planner import LEFT, Planner
from tests.session.test_planning import FREE

FRONT_MM = -60.0  # of the block's skin


@pytest.fixture
def planner(planner: Planner) -> Planner:
    planner.session.planning.set_target((0.0, 0.0, 0.0), "Liver")
    planner.session.planning.set_entry(FREE)
    planner.until(lambda: _seen(planner))
    return planner


def _seen(planner: Planner) -> bool:
    """Whether the picture on the screen is of the overlays and the camera of now."""
    scene = planner.page.scene
    picture = scene._picture
    return picture is not None and picture.camera is scene._camera and scene._same()


def _place(planner: Planner, point: np.ndarray | tuple[float, float, float]) -> QPoint:
    scene = planner.page.scene
    assert scene.lens is not None
    (x, y), *_ = scene.lens.places(np.array(point))
    return QPoint(round(x * scene.width()), round(y * scene.height()))


def test_a_lens_sees_a_point_where_its_ray_goes() -> None:
    eye = np.array([300.0, -400.0, 90.0])
    towards = unit(-eye)
    right = unit(np.cross(towards, (0.0, 0.0, 1.0)))
    up = np.cross(right, towards)
    view = np.eye(4)
    view[:3, :3] = [right, up, -towards]
    view[:3, 3] = -view[:3, :3] @ eye
    f = 1.0 / np.tan(np.radians(15.0))
    clip = np.array([[f / 1.4, 0, 0, 0], [0, f, 0, 0], [0, 0, -1.5, -80.0], [0, 0, -1.0, 0]])
    lens = Lens(read_only(clip @ view), read_only(eye))
    point = np.array([30.0, 20.0, -45.0])
    (x, y), *_ = lens.places(point)
    assert 0.0 < x < 1.0
    assert y > 0.5  # lower than the eye looks
    np.testing.assert_allclose(lens.ray((x, y)), unit(point - eye), atol=1e-9)
    np.testing.assert_allclose(lens.beside(point, (x, y)), point, atol=1e-6)
    moved = lens.beside(point, (x + 0.1, y))
    assert (moved - point) @ towards == pytest.approx(0.0, abs=1e-6)
    assert (moved - point) @ right > 10.0


def test_the_entry_is_dragged_along_the_skin(planner: Planner) -> None:
    scene, session = planner.page.scene, planner.session
    scene.look_from(type(scene._camera)(azimuth_deg=0.0, elevation_deg=0.0))
    planner.until(lambda: _seen(planner))
    goal = np.array([24.0, FRONT_MM, 14.0])
    QTest.mousePress(scene, LEFT, pos=_place(planner, FREE))
    QTest.mouseMove(scene, _place(planner, goal))
    entry, target = session.planning.draft.entry_ct_mm, session.planning.draft.target_ct_mm
    QTest.mouseRelease(scene, LEFT, pos=_place(planner, goal))
    assert entry is not None
    assert np.linalg.norm((entry - goal)[[0, 2]]) < 2.5  # a pixel or two
    assert entry[1] == pytest.approx(FRONT_MM, abs=1.5)
    np.testing.assert_array_equal(target, (0.0, 0.0, 0.0))
    planner.settle()
    assert session.planning.findings is not None
    session.planning.undo()
    np.testing.assert_allclose(session.planning.draft.entry_ct_mm, FREE)


def test_the_target_is_dragged_in_the_plane_of_the_picture(planner: Planner) -> None:
    scene, session = planner.page.scene, planner.session
    scene.look_from(type(scene._camera)(azimuth_deg=-90.0, elevation_deg=10.0))
    planner.until(lambda: _seen(planner))
    lens = scene.lens
    assert lens is not None
    middle = QPoint(scene.width() // 2, scene.height() // 2)
    assert (_place(planner, (0.0, 0.0, 0.0)) - middle).manhattanLength() <= 2
    away = scene._camera.away_ct
    QTest.mousePress(scene, LEFT, pos=middle)
    for step in (10, 20, 30):
        QTest.mouseMove(scene, middle + QPoint(step, 0))
        planner.settle()
    target = session.planning.draft.target_ct_mm
    assert target is not None
    expected = lens.beside(np.zeros(3), (0.5 + 30 / scene.width(), 0.5))
    np.testing.assert_allclose(target, expected, atol=1.0)
    assert abs(target @ away) < 0.5
    assert scene._camera.focus_ct_mm == (0.0, 0.0, 0.0), "the picture stays while it is dragged"
    QTest.mouseRelease(scene, LEFT, pos=middle + QPoint(30, 0))
    assert scene._camera.focus_ct_mm is None
    np.testing.assert_allclose(session.planning.draft.entry_ct_mm, FREE)


def test_a_click_places_the_entry_on_the_skin_and_elsewhere_a_drag_turns(planner: Planner) -> None:
    scene, session = planner.page.scene, planner.session
    before = scene._camera
    corner = QPoint(12, scene.height() // 2)
    QTest.mousePress(scene, LEFT, pos=corner)
    QTest.mouseMove(scene, corner + QPoint(40, 0))
    QTest.mouseRelease(scene, LEFT, pos=corner + QPoint(40, 0))
    assert scene._camera.azimuth_deg != before.azimuth_deg
    np.testing.assert_allclose(session.planning.draft.entry_ct_mm, FREE)
    scene.look_from(type(before)(azimuth_deg=0.0, elevation_deg=0.0))
    planner.until(lambda: _seen(planner))
    planner.click("place_entry")
    goal = np.array([-30.0, FRONT_MM, -20.0])
    QTest.mouseClick(scene, LEFT, pos=_place(planner, goal))
    entry = session.planning.draft.entry_ct_mm
    assert entry is not None
    assert np.linalg.norm(entry - goal) < 3.0
    planner.click("place_entry")
    QTest.mouseClick(scene, LEFT, pos=QPoint(3, 3))  # past the body
    np.testing.assert_array_equal(session.planning.draft.entry_ct_mm, entry)
