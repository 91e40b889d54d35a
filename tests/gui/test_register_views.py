"""The CT moved by hand over the fluoro image and in its slices, and Register without a stylus."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QEvent, QPoint, QPointF, QSettings, Qt
from PyQt6.QtGui import QMouseEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QLabel, QPushButton, QSlider, QWidget

from devices.contract import ImageSample
from ir_nav.geometry import apply, rigid_inverse
from ir_nav.gui.desk import Desk
from ir_nav.gui.hand_view import Blend
from ir_nav.gui.hand_views import HandIn, age_words
from ir_nav.gui.main_window import MainWindow
from ir_nav.gui.pages.register import RegisterPage
from ir_nav.gui.patient_layer import Patient, PatientLayer
from ir_nav.gui.scene_records import CaseImages
from ir_nav.gui.slice_mouse import BrowsableSlice
from ir_nav.gui.slice_tools import SliceTools
from ir_nav.imaging import Volume
from ir_nav.registration import Method
from ir_nav.registration.registration_file import registration_json
from ir_nav.session.patient_points import NO_POINTS
from ir_nav.session.state import UltrasoundState
from ir_nav.session.steps import Step
from ir_nav.session.touching import Fiducial
from tests.gui.conftest import pixels
from tests.session.fluoro_room import FOCUS_CT_MM, GEOMETRY, FluoroBench, landmarks, mtre_mm, off_by
from tests.session.rig import CT_FROM_REFERENCE, NEEDLE_TIP, calibration

Windows = Callable[..., MainWindow]
PLAIN, SHIFT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier
LEFT, NONE = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton


class Room:
    """A Register page; a calibrated needle, no stylus, a C-arm; nothing registered."""

    def __init__(self, app: QApplication, bench: FluoroBench, page: RegisterPage) -> None:
        self.app, self.bench, self.page = app, bench, page
        self.session = session = bench.session
        session.registering.forget()
        session.tools.needle = calibration(NEEDLE_TIP, True)
        steps = ((0.0, 0.0, 0.0), (40.0, 0.0, 0.0), (0.0, 40.0, 0.0))
        session.set_fiducials(
            tuple(
                Fiducial(name, tuple(FOCUS_CT_MM + step))
                for name, step in zip("ABC", steps, strict=True)
            )
        )
        bench.pause()
        bench.shine(0.0)

    def show(self) -> None:
        """A tick; then until the worker is done, and another."""
        for _ in range(2):
            self.page._notes._last_s = float("-inf")
            self.page.show_state(self.session.tick(self.bench.now_s))
            end = time.monotonic() + 60.0
            while self.page.desk.worker.busy:
                assert time.monotonic() < end
                self.app.processEvents()
                time.sleep(0.002)

    def press(self, name: str) -> None:
        found = self.page.findChild(QPushButton, name)
        assert found is not None, name
        found.click()
        self.show()

    def words(self, name: str) -> str:
        found = self.page.findChild(QLabel, name)
        assert found is not None, name
        return found.text()

    @property
    def banner(self) -> str:
        return self.page.desk.banner.text

    def start(self, path: Path) -> None:
        """Open a saved start that is 8 mm and 4 degrees off."""
        path.write_text(json.dumps(registration_json(landmarks(off_by(8.0, 4.0)))))
        self.page.manual.load_start(path)
        self.show()

    def register(self) -> None:
        """Accept one that is nearly right."""
        made = replace(landmarks(off_by(4.0, 2.0)), created_s=self.bench.now_s)
        self.session.registering.take(made, confirmed=True)


@pytest.fixture
def room(app: QApplication, tmp_path: Path) -> Iterator[Room]:
    """Without its window: that would mesh the whole chest for the 3D view."""
    bench = FluoroBench()
    settings = QSettings(str(tmp_path / "gui.ini"), QSettings.Format.IniFormat)
    page = RegisterPage(Desk(bench.session, settings))
    page.resize(1400, 900)
    page.show()
    yield Room(app, bench, page)
    page.desk.close()
    page.close()
    bench.session.close()


def drag(view: QWidget, way: list[QPoint], held: Qt.KeyboardModifier = PLAIN) -> None:
    kinds = [
        QEvent.Type.MouseButtonPress,
        *[QEvent.Type.MouseMove] * (len(way) - 1),
        QEvent.Type.MouseButtonRelease,
    ]
    for kind, at in zip(kinds, [*way, way[-1]], strict=True):
        where, moves = QPointF(at), kind == QEvent.Type.MouseMove
        event = QMouseEvent(kind, where, where, NONE if moves else LEFT, LEFT, held)
        QApplication.sendEvent(view, event)


# --- without a stylus -----------------------------------------------------------------------


def test_register_opens_without_a_stylus_and_the_ct_is_registered_by_fluoro(
    app: QApplication, make_window: Windows, tmp_path: Path
) -> None:
    bench = FluoroBench()
    session = bench.session
    window = make_window(session)
    # It ticks by another clock than the room's.
    window._timer.stop()
    assert window.go(Step.REGISTER)
    page = window.pages[Step.REGISTER]
    assert isinstance(page, RegisterPage)
    room = Room(app, bench, page)
    assert session.tools.stylus.tool_from_tip is None
    room.press("section_landmarks")
    assert "Stylus not calibrated: in Set up, pivot it" in room.words("register_next")
    room.press("start_touching")
    assert "The stylus is not calibrated: in Set up, pivot it" in room.banner
    room.press("section_surface")
    room.press("tip_on_surface")
    assert "The stylus is not calibrated: in Set up, pivot it" in room.banner
    room.press("section_fluoro")
    room.press("take_view")
    room.press("register_fluoro")
    assert "open a saved start in Manual" in room.banner
    room.press("section_manual")
    room.press("hand_fluoro")
    assert "Register first, or open a saved start" in room.words("manual_how")
    assert room.page.manual.views.fluoro.shone is None
    room.start(tmp_path / "start.json")
    assert "Start from a file" in room.words("manual_how")
    assert "not in use" in room.page.manual.views.fluoro.note
    QTest.keyClick(room.page.manual.views.fluoro, Qt.Key.Key_Right)
    room.press("accept_registration")
    assert session.registering.registration is None
    room.press("section_fluoro")
    room.bench.pause()
    room.bench.shine(-60.0)
    room.show()
    room.press("take_view")
    room.press("register_fluoro")
    room.press("accept_registration")
    found = session.registering.registration
    assert found is not None
    assert found.method is Method.FLUORO
    assert mtre_mm(found) < 0.5
    room.press("section_manual")
    opened = room.page.findChild(QPushButton, "open_start")
    assert opened is not None
    assert not opened.isVisible()


def test_a_file_that_is_no_start_is_refused_in_words(room: Room, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text("{}")
    room.press("section_manual")
    room.page.manual.load_start(path)
    assert "other.json: give one of ct_from_reference and world_from_ct" in room.banner
    assert room.session.registering.begin is None


# --- over the fluoro image ------------------------------------------------------------------


@pytest.fixture
def shining(room: Room) -> Room:
    room.register()
    room.press("section_manual")
    room.press("hand_fluoro")
    pixels(room.page.manual.views.fluoro, 600, 400)
    return room


def seen_px(room: Room, point_ct_mm: np.ndarray) -> np.ndarray:
    """Where the detector sees a point of the CT as it was moved, by the frame's true C-arm."""
    carm_from_reference = room.session.fluoro.live_view().frame.view.carm_from_world
    matrix = room.session.nudging.ct_from_reference
    assert matrix is not None
    return GEOMETRY.project(apply(carm_from_reference @ rigid_inverse(matrix), point_ct_mm))


def test_a_drag_over_fluoro_moves_the_target_with_the_pointer(shining: Room) -> None:
    view, nudging = shining.page.manual.views.fluoro, shining.session.nudging
    assert shining.page.cell.currentWidget() is view
    before, at = seen_px(shining, FOCUS_CT_MM), view._pivot_at()
    assert at is not None
    drag(view, [QPoint(300, 200), QPoint(320, 190), QPoint(350, 215)])
    # 400 px of the view show 256 of the detector.
    moved_px = np.array([50.0, 15.0]) * GEOMETRY.size_px[1] / 400.0
    np.testing.assert_allclose(seen_px(shining, FOCUS_CT_MM) - before, moved_px, atol=1e-6)
    after = view._pivot_at()
    assert after is not None
    assert (after - at).x() == pytest.approx(50.0)
    assert (after - at).y() == pytest.approx(15.0)
    # d px of the detector are d * pitch * depth / SID at the target.
    shone = view.shone
    assert shone is not None
    depth_mm = shone.pivot_carm_mm[2]
    expected = np.hypot(*moved_px) * GEOMETRY.pixel_mm[0] * depth_mm / GEOMETRY.sid_mm
    assert np.linalg.norm(nudging.nudge.shift_mm) == pytest.approx(expected, rel=1e-9)
    shining.press("undo_nudge")  # one drag is one step
    assert not nudging.nudge.moved


def test_page_keys_go_along_the_ray_and_shift_turns_about_it(shining: Room) -> None:
    view, nudging = shining.page.manual.views.fluoro, shining.session.nudging
    before, shone = seen_px(shining, FOCUS_CT_MM), view.shone
    assert shone is not None
    depth_mm = float(np.linalg.norm(shone.pivot_carm_mm))
    for _ in range(4):
        QTest.keyClick(view, Qt.Key.Key_PageDown, SHIFT)
    np.testing.assert_allclose(seen_px(shining, FOCUS_CT_MM), before, atol=1e-6)
    shone = view.shone
    assert shone is not None
    assert np.linalg.norm(shone.pivot_carm_mm) == pytest.approx(depth_mm + 20.0)
    pivot = view._pivot_at()
    assert pivot is not None
    ring = [
        QPoint(round(pivot.x() + 150 * np.cos(a)), round(pivot.y() + 150 * np.sin(a)))
        for a in np.radians([0.0, 10.0, 20.0])
    ]
    beside = FOCUS_CT_MM + np.array([30.0, 0.0, 0.0])
    was = seen_px(shining, beside) - before
    drag(view, ring, SHIFT)
    np.testing.assert_allclose(seen_px(shining, FOCUS_CT_MM), before, atol=1e-6)
    now = seen_px(shining, beside) - before
    turned = np.degrees(np.arctan2(now[1], now[0]) - np.arctan2(was[1], was[0]))
    assert turned == pytest.approx(20.0, abs=1.0)
    assert np.linalg.norm(nudging.nudge.turn_deg) == pytest.approx(20.0, abs=0.6)


def test_the_shadow_follows_the_hand_and_the_slider_fades_it(shining: Room) -> None:
    view = shining.page.manual.views.fluoro
    first, drawn = view.shadow, pixels(view, 600, 400)
    assert first is not None
    pixels(view, 600, 400)
    assert view.shadow is first  # nothing moved: not projected again
    QTest.keyClick(view, Qt.Key.Key_Right, SHIFT)
    moved = pixels(view, 600, 400)
    assert view.shadow is not first
    assert (moved != drawn).any(axis=2).mean() > 0.1
    slider = shining.page.findChild(QSlider, "fusion_part")
    assert slider is not None
    slider.setValue(0)
    plain = pixels(view, 600, 400)
    inside = plain[60:340, 150:280].max(axis=2) - plain[60:340, 150:280].min(axis=2)
    assert (inside < 4).mean() > 0.98  # the frame alone is grey
    slider.setValue(100)
    assert np.abs(pixels(view, 600, 400)[60:340, 150:280] - plain[60:340, 150:280]).mean() > 5.0


def test_a_frame_without_a_place_says_so_and_the_last_image_stays(shining: Room) -> None:
    view = shining.page.manual.views.fluoro
    shining.bench.pause(30.0)  # no X-rays: poses of then are gone
    shining.show()
    assert view.shone is not None
    assert "30 s old" in view.note
    shining.bench.shine(0.0, frames=10, says_place=False)
    shining.show()
    assert view.shone is None
    assert "C-arm has no pose around the image's time" in view._why


def test_the_middle_of_the_fluoro_image_can_be_the_pivot(shining: Room) -> None:
    shining.press("pivot_here")
    pivot = shining.session.nudging.nudge.pivot_ct_mm
    np.testing.assert_allclose(seen_px(shining, pivot), GEOMETRY.principal_px, atol=0.5)
    assert np.linalg.norm(pivot - FOCUS_CT_MM) > 1.0


def test_the_view_is_remembered(shining: Room) -> None:
    assert shining.page.desk.settings.value("register/manual_view") == "Fluoro"
    assert RegisterPage(shining.page.desk).manual.views.mode is HandIn.FLUORO


def test_ages_are_told() -> None:
    assert [age_words(at) for at in (0.2, 12.4, 150.0)] == ["live", "12 s old", "2 min old"]


# --- in the slices --------------------------------------------------------------------------


@pytest.fixture
def slicing(room: Room) -> Room:
    room.register()
    for view in room.page.slices:
        view.look(FOCUS_CT_MM)
    room.press("section_manual")
    room.press("hand_slices")
    pixels(room.page.axial, 500, 400)
    return room


def test_the_ct_glides_under_the_patient_in_every_slice(slicing: Room) -> None:
    axial, nudging = slicing.page.axial, slicing.session.nudging
    patient_reference = apply(rigid_inverse(CT_FROM_REFERENCE), FOCUS_CT_MM + 5.0)

    def place(view: BrowsableSlice) -> np.ndarray:
        matrix = nudging.ct_from_reference
        assert matrix is not None
        return view.to_view(apply(matrix, patient_reference))

    stays = {view: place(view) for view in slicing.page.slices}
    held = axial.to_ct(QPointF(250.0, 200.0))
    drag(axial, [QPoint(250, 200), QPoint(270, 190), QPoint(290, 180)])
    expected = np.array([40.0, -20.0, 0.0]) * axial.mm_per_px
    np.testing.assert_allclose(nudging.nudge.shift_mm, expected, atol=1e-9)
    # What of the CT was taken hold of is under the pointer, what is the patient's stays.
    np.testing.assert_allclose(axial.to_view(held)[:2], [290.0, 180.0], atol=1e-6)
    for view, before in stays.items():
        np.testing.assert_allclose(place(view), before, atol=1e-6)
    QTest.keyClick(axial, Qt.Key.Key_Right, Qt.KeyboardModifier.AltModifier)
    np.testing.assert_allclose(nudging.nudge.turn_deg, (0.0, 0.0, 0.5), atol=1e-9)
    for view, before in stays.items():
        np.testing.assert_allclose(place(view), before, atol=1e-6)
    # With the CT turned, the pointer's right is still the patient's left.
    nudging.turn(10.0, (0.0, 0.0, 1.0))
    slicing.show()
    QTest.keyClick(axial, Qt.Key.Key_Right, SHIFT)
    np.testing.assert_allclose(nudging.nudge.shift_mm - expected, (5.0, 0.0, 0.0), atol=1e-9)
    for _ in range(4):
        slicing.press("undo_nudge")
    np.testing.assert_allclose(axial.centre_ct_mm, FOCUS_CT_MM, atol=1e-9)


def test_with_shift_a_slice_turns_the_ct_about_the_target(slicing: Room) -> None:
    coronal, nudging = slicing.page.coronal, slicing.session.nudging
    at = coronal.to_view(FOCUS_CT_MM)
    ring = [
        QPoint(round(at[0] + 90 * np.cos(a)), round(at[1] + 90 * np.sin(a)))
        for a in np.radians([0.0, 10.0, 20.0])
    ]
    drag(coronal, ring, SHIFT)
    # From in front, clockwise: about the axis to the back.
    np.testing.assert_allclose(nudging.nudge.turn_deg, (0.0, 20.0, 0.0), atol=0.8)
    np.testing.assert_allclose(nudging.nudge.shift_mm, 0.0, atol=1e-9)


def test_leaving_gives_the_slices_back_and_accepting_squares_them(slicing: Room) -> None:
    axial, session = slicing.page.axial, slicing.session
    session.nudging.put((3.0, 0.0, 2.0), (0.0, 5.0, 0.0))
    slicing.show()
    assert not np.allclose(axial.axes_ct[0], (1.0, 0.0, 0.0))
    slicing.press("section_fluoro")
    np.testing.assert_allclose(axial.axes_ct[0], (1.0, 0.0, 0.0), atol=1e-9)
    np.testing.assert_allclose(axial.centre_ct_mm, FOCUS_CT_MM, atol=1e-9)
    assert slicing.page.tools.active is None
    slicing.press("section_manual")
    looked = axial.centre_ct_mm
    session.nudging.accept(confirmed=True)
    slicing.show()
    np.testing.assert_allclose(axial.axes_ct[0], (1.0, 0.0, 0.0), atol=1e-9)
    # The patient's plane stays in sight: the CT lies where it was moved to.
    np.testing.assert_allclose(axial.centre_ct_mm, looked, atol=1e-9)


def test_slices_without_anything_of_the_patient_say_so(slicing: Room) -> None:
    assert "Nothing of the patient is seen in the slices yet" in slicing.words("manual_how")
    slicing.press("hand_fluoro")
    assert "Nothing of the patient" not in slicing.words("manual_how")


def test_the_live_image_is_drawn_where_it_lies_in_a_slice(
    app: QApplication, volume: Volume
) -> None:
    view, layer = BrowsableSlice("CT axial", field_mm=100.0), PatientLayer()
    view.set_images(CaseImages(volume))
    tools = SliceTools((view,))
    view.set_window(400.0, 1000.0)  # the block is black
    plain = pixels(view, 400, 400)
    tools.add_layer(layer)
    frame = np.full((200, 160), 40, np.uint8)
    frame[50:70, 100:130] = 240
    # 0.5 mm a px, its first one at (-40, -50, 0) of the CT.
    matrix = np.diag([0.5, 0.5, 1.0, 1.0])
    matrix[:3, 3] = (-40.0, -50.0, 0.0)
    sample = ImageSample("US", frame, np.eye(4), 0.0, 0.0)
    live = UltrasoundState(sample, None, rigid_inverse(CT_FROM_REFERENCE) @ matrix, 0.5, None, 0, 0)
    layer.part = 0.0
    layer.shown = Patient(CT_FROM_REFERENCE, NO_POINTS, live, np.array([500.0, 0.0, 0.0]))
    view.look((0.0, 0.0, 0.0))
    drawn = pixels(view, 400, 400)
    # 4 px a mm, the CT's origin in the view's middle.
    rows, columns = np.nonzero(drawn[..., 0] > 200)
    kept = (rows > 60) & (rows < 340) & (columns > 60) & (columns < 340)
    ends = [columns[kept].min(), columns[kept].max() + 1, rows[kept].min(), rows[kept].max() + 1]
    x, y = -40.25 + 0.5 * np.array([100, 130]), -50.25 + 0.5 * np.array([50, 70])
    np.testing.assert_allclose(ends, [*(200 + 4 * x), *(200 + 4 * y)], atol=2.0)
    assert (drawn[150:300, 60:200, 0] > 30).all()
    layer.blend = Blend.SQUARES
    squares = pixels(view, 400, 400)[150:300, 60:200, 0] > 30
    assert 0.3 < squares.mean() < 0.7
    view.look((0.0, 0.0, 6.0))
    np.testing.assert_array_equal(pixels(view, 400, 400)[120:300, 60:340], plain[120:300, 60:340])
    # Aslant to its plane the frame is a band: the beam's 6 mm over the sine of the angle.
    layer.blend = Blend.FADED
    view.look((0.0, -20.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.6, 0.8))
    rows, columns = np.nonzero(pixels(view, 400, 400)[..., 0] > 200)
    kept = (rows > 100) & (rows < 300) & (columns > 60) & (columns < 340)
    ends = [columns[kept].min(), columns[kept].max() + 1, rows[kept].min(), rows[kept].max() + 1]
    np.testing.assert_allclose(ends, [*(200 + 4 * x), 185.0, 215.0], atol=2.0)
