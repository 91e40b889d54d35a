"""The Register page: the skin swiped, the CT moved by hand over the live image, what Ctrl+Z takes
back, and the history compared."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtCore import QEvent, QPoint, QPointF, Qt
from PyQt6.QtGui import QMouseEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QDoubleSpinBox, QLabel, QListWidget, QPushButton, QSlider

from devices.contract import ImageSample
from ir_nav.geometry import apply
from ir_nav.gui.hand_view import SQUARE_PX, Blend, blended
from ir_nav.gui.live_fusion import Fused, LiveFusion
from ir_nav.gui.main_window import MainWindow
from ir_nav.gui.pages.register import RegisterPage
from ir_nav.imaging import Volume, sample
from ir_nav.registration import Method
from ir_nav.session.session import Session
from ir_nav.session.state import NavigationState, UltrasoundState
from ir_nav.session.steps import Step
from tests.gui.conftest import Made, pixels
from tests.registration.surfaces_made import torso
from tests.session.rig import CT_FROM_REFERENCE, STYLUS_TIP, Rig, calibration, registration
from tests.session.swiping_scene import TARGET_CT, Stroker, belly, error_mm, off_start, skin

Windows = Callable[..., MainWindow]


class Bench:
    """The window on Register, its session connected to the rig."""

    def __init__(self, app: QApplication, window: MainWindow, section: str) -> None:
        self.app, self.window, self.session = app, window, window.session
        self.rig = Rig()
        self.hand = Stroker(self.rig)
        self.session.connection.room = self.rig.room
        self.session.connection.streams = self.rig.streams
        self.session.tools.stylus = calibration(STYLUS_TIP, False)
        assert window.go(Step.REGISTER)
        page = window.pages[Step.REGISTER]
        assert isinstance(page, RegisterPage)
        self.page = page
        page.sections.show_section(section)

    def show(self, state: NavigationState | None = None) -> None:
        # The window's own timer shows a room without images: what is asked for comes after it.
        self.app.processEvents()
        self.page._notes._last_s = float("-inf")
        self.page.show_state(self.session.tick(time.time()) if state is None else state)

    def press(self, name: str) -> None:
        found = self.window.findChild(QPushButton, name)
        assert found is not None, name
        found.click()

    def text(self, name: str) -> str:
        found = self.window.findChild(QLabel, name)
        assert found is not None, name
        return found.text()

    def work(self) -> None:
        end = time.monotonic() + 60.0
        while self.window.desk.worker.busy:
            assert time.monotonic() < end
            self.app.processEvents()

    @property
    def banner(self) -> str:
        return self.window.desk.banner.text


# --- surface --------------------------------------------------------------------------------


@pytest.fixture
def swiping(app: QApplication, make_window: Windows) -> Bench:
    hand = Stroker(Rig(), time.time())
    session = Session(lambda: hand.now_s)
    session.load_case(belly())
    session.planning.set_target(TARGET_CT, "liver")
    session.planning.set_entry((60.0, -95.0, 20.0))
    session.approving.approve("P", confirmed=True)
    bench = Bench(app, make_window(session), "Surface")
    # It ticks by another clock than the hand's: what is swiped would be older than it.
    bench.window._timer.stop()
    bench.hand, hand.rig = hand, bench.rig
    hand.put(torso(np.array([0.3]), np.array([0.7]))[0])
    session.tick(time.time())
    session.swiping.keep(skin())
    return bench


def test_the_skin_is_swiped_while_space_is_held_and_registered(swiping: Bench) -> None:
    session, window = swiping.session, swiping.window
    session.registering.registration = off_start(10.0, 4.0)
    swiping.show()
    assert "0 of 100 points" in swiping.text("swipe_doubt")
    hand = swiping.hand
    for height in (0.25, 0.4, 0.55, 0.7):
        QTest.keyPress(window.windowHandle(), Qt.Key.Key_Space)
        assert session.swiping.touching
        hand.stroke(hand.places(height), session.swiping.advance)
        swiping.page.surface._pressed_s -= 1.0  # held for a second
        QTest.keyRelease(window.windowHandle(), Qt.Key.Key_Space)
        assert not session.swiping.touching
    swiping.show()
    count = len(session.swiping.swipes)
    assert swiping.text("swiped_points") == f"{count} points in 4 strokes"
    assert "Enough to register" in swiping.text("swipe_doubt")
    swiping.page.axial.look((0.0, 0.0, 34.0))
    drawn = pixels(swiping.page.axial, 400, 400)
    swiping.press("register_surface")
    swiping.work()
    swiping.show()
    found = session.swiping.found
    assert found is not None
    assert session.registering.registration is not found.registration
    assert f"of {count} points lie" in swiping.text("register_verdict")
    assert swiping.text("fact_left_free") == "nothing"
    swiping.press("accept_registration")
    taken = session.registering.registration
    assert taken is not None
    assert taken.method is Method.SURFACE
    assert error_mm(taken) < 0.5
    swiping.show()
    assert "Accepted, surface" in swiping.text("register_head")
    # The points went with the registration, in the slices too.
    assert (pixels(swiping.page.axial, 400, 400) != drawn).any()
    QTest.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert len(session.swiping.swipes) < count
    assert session.swiping.found is None
    assert session.registering.registration is taken


def test_a_short_press_begins_a_stroke_and_the_next_ends_it(swiping: Bench) -> None:
    QTest.keyClick(swiping.window, Qt.Key.Key_Space)
    swiping.show()
    assert swiping.session.swiping.touching
    touch = swiping.window.findChild(QPushButton, "tip_on_surface")
    assert touch is not None
    assert touch.text() == "Tip off skin"
    QTest.keyClick(swiping.window, Qt.Key.Key_Space)
    assert not swiping.session.swiping.touching
    swiping.press("tip_on_surface")
    assert swiping.session.swiping.touching
    swiping.page.sections.show_section("History")  # who looks elsewhere does not swipe
    swiping.app.processEvents()
    assert not swiping.session.swiping.touching


def test_registering_without_points_and_accepting_nothing_is_refused(swiping: Bench) -> None:
    swiping.show()
    swiping.press("accept_registration")
    assert "Swipe and register first" in swiping.banner
    swiping.page.surface.register()
    assert "Swipe the stylus" in swiping.banner
    swiping.press("swipe_bone")
    assert str(swiping.session.swiping.tissue) == "bone"


# --- by hand --------------------------------------------------------------------------------

SIZE = (200, 160)
MM_PER_PX = 0.5
# The image's plane in the reference: columns along its x, rows along its z.
REFERENCE_FROM_IMAGE = np.array(
    [[0.5, 0.0, 0.0, -50.0], [0.0, 0.0, -1.0, 0.0], [0.0, 0.5, 0.0, -40.0], [0.0, 0.0, 0.0, 1.0]]
)


def live(state: NavigationState) -> NavigationState:
    frame = ImageSample(
        "US", np.zeros((SIZE[1], SIZE[0]), np.uint8), np.eye(4), state.now_s, state.now_s
    )
    image = UltrasoundState(frame, None, REFERENCE_FROM_IMAGE, MM_PER_PX, None, 0.0, 20.0)
    return replace(state, ultrasound=image)


@pytest.fixture
def moving(app: QApplication, make_window: Windows, session: Session, made: Made) -> Bench:
    bench = Bench(app, make_window(session), "Manual")
    session.registering.take(replace(registration(), created_s=time.time()), confirmed=True)
    bench.show(live(made.state()))
    bench.window.resize(1600, 900)
    bench.show(live(made.state()))
    return bench


def shift_mm(bench: Bench) -> np.ndarray:
    return bench.session.nudging.nudge.shift_mm


def right_down() -> tuple[np.ndarray, np.ndarray]:
    axes = CT_FROM_REFERENCE @ REFERENCE_FROM_IMAGE
    return axes[:3, 0] / MM_PER_PX, axes[:3, 1] / MM_PER_PX


def test_keys_move_the_ct_exactly_and_guidance_waits_for_accept(moving: Bench, made: Made) -> None:
    nudging, registering = moving.session.nudging, moving.session.registering
    start = registering.registration
    assert start is not None
    fusion, (right, down) = moving.page.manual.views.fusion, right_down()
    assert moving.window.focusWidget() is fusion  # keys work at once
    for _ in range(4):
        QTest.keyClick(fusion, Qt.Key.Key_Right)
    QTest.keyClick(fusion, Qt.Key.Key_Up, Qt.KeyboardModifier.ShiftModifier)
    np.testing.assert_allclose(shift_mm(moving), 2.0 * right - 5.0 * down, atol=1e-9)
    QTest.keyClick(fusion, Qt.Key.Key_PageDown)
    through = np.cross(right, down)
    expected = 2.0 * right - 5.0 * down + 0.5 * through
    np.testing.assert_allclose(shift_mm(moving), expected, atol=1e-9)
    for _ in range(6):
        QTest.keyClick(fusion, Qt.Key.Key_Right, Qt.KeyboardModifier.AltModifier)
    np.testing.assert_allclose(nudging.nudge.turn_deg, 3.0 * through, atol=1e-9)
    np.testing.assert_allclose(shift_mm(moving), expected, atol=1e-9)  # about the pivot
    assert registering.registration is start
    moving.show(live(made.state()))
    assert "turned 3.0°" in moving.text("register_verdict")
    moving.press("accept_registration")
    taken = registering.registration
    assert taken is not None
    assert taken.method is Method.MANUAL
    assert len(registering.history) == 2
    # What the target touches now is where the target of before went, moved along.
    target = np.zeros(3)
    reference = start.ct_from_reference.inverse().apply(target + expected)
    np.testing.assert_allclose(taken.ct_from_reference.apply(reference), target, atol=1e-6)
    assert taken.tre_mm(target) ** 2 == pytest.approx(start.tre_mm(target) ** 2 + 12.0, rel=0.3)
    assert not nudging.nudge.moved


def test_control_z_takes_moves_back_one_by_one(moving: Bench) -> None:
    fusion, (right, _) = moving.page.manual.views.fusion, right_down()
    for _ in range(3):
        QTest.keyClick(fusion, Qt.Key.Key_Right)
    QTest.keyClick(moving.window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    np.testing.assert_allclose(shift_mm(moving), right, atol=1e-9)
    moving.press("reset_nudge")
    assert not moving.session.nudging.nudge.moved
    moving.press("undo_nudge")
    np.testing.assert_allclose(shift_mm(moving), right, atol=1e-9)
    moving.press("undo_nudge")
    moving.press("undo_nudge")
    moving.press("undo_nudge")
    assert "was not moved by hand" in moving.banner


def mouse(view: LiveFusion, kind: QEvent.Type, at: QPoint, held: Qt.KeyboardModifier) -> None:
    where, left = QPointF(at), Qt.MouseButton.LeftButton
    QApplication.sendEvent(view, QMouseEvent(kind, where, where, left, left, held))


def drag(view: LiveFusion, way: list[QPoint], held: Qt.KeyboardModifier) -> None:
    mouse(view, QEvent.Type.MouseButtonPress, way[0], held)
    for at in way[1:]:
        mouse(view, QEvent.Type.MouseMove, at, held)
    mouse(view, QEvent.Type.MouseButtonRelease, way[-1], held)


def test_a_drag_moves_the_ct_under_the_pointer_and_with_shift_turns_it(moving: Bench) -> None:
    fusion, (right, down) = moving.page.manual.views.fusion, right_down()
    plain, shift = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier
    pixels(fusion, 600, 400)
    start = QPoint(300, 200)
    ct_before = fusion.ct_from_view
    assert ct_before is not None
    drag(fusion, [start, QPoint(320, 210), QPoint(340, 190)], plain)
    expected = (40.0 * right - 10.0 * down) * fusion.mm_per_px
    np.testing.assert_allclose(shift_mm(moving), expected, atol=1e-9)
    # The place of the CT that was taken hold of lies under the pointer still.
    ct_after = fusion.ct_from_view
    assert ct_after is not None
    np.testing.assert_allclose(
        (ct_after @ [340.0, 190.0, 0.0, 1.0])[:3],
        (ct_before @ [300.0, 200.0, 0.0, 1.0])[:3],
        atol=1e-9,
    )
    moving.press("undo_nudge")  # one drag is one step
    assert not moving.session.nudging.nudge.moved
    pivot = fusion._pivot_at()
    assert pivot is not None
    ring = [
        QPoint(round(pivot.x() + 90 * np.cos(a)), round(pivot.y() + 90 * np.sin(a)))
        for a in np.radians([0.0, 10.0, 20.0, 30.0])
    ]
    drag(fusion, ring, shift)
    turn = moving.session.nudging.nudge.turn_deg
    assert float(turn @ np.cross(right, down)) == pytest.approx(30.0, abs=0.8)
    np.testing.assert_allclose(shift_mm(moving), 0.0, atol=1e-9)


def test_numbers_are_typed_and_the_others_keep_their_precision(moving: Bench) -> None:
    moving.session.nudging.shift((0.26, 0.0, 0.0))
    box = moving.window.findChild(QDoubleSpinBox, "nudge_2")
    assert box is not None
    box.setValue(-4.5)
    np.testing.assert_allclose(shift_mm(moving), (0.26, 0.0, -4.5), atol=1e-9)
    turn = moving.window.findChild(QDoubleSpinBox, "nudge_3")
    assert turn is not None
    turn.setValue(2.0)
    np.testing.assert_allclose(moving.session.nudging.nudge.turn_deg, (2.0, 0.0, 0.0), atol=1e-9)


def test_without_a_registration_nothing_moves(moving: Bench, made: Made) -> None:
    moving.session.registering.reference_moved()
    moving.show(live(made.state()))
    assert "Register first" in moving.text("manual_how")
    assert moving.page.manual.views.fusion.fused is None
    QTest.keyClick(moving.page.manual.views.fusion, Qt.Key.Key_Right)
    assert not moving.session.nudging.nudge.moved
    moving.press("accept_registration")
    assert "lies where it was registered" in moving.banner


def test_the_view_can_be_the_pivot(moving: Bench) -> None:
    fusion = moving.page.manual.views.fusion
    pixels(fusion, 600, 400)
    moving.press("pivot_here")
    pivot = moving.session.nudging.nudge.pivot_ct_mm
    expected = apply(CT_FROM_REFERENCE @ REFERENCE_FROM_IMAGE, np.array([99.5, 79.5, 0.0]))
    np.testing.assert_allclose(pivot, expected, atol=1e-6)
    moving.press("pivot_here")
    np.testing.assert_array_equal(moving.session.nudging.nudge.pivot_ct_mm, np.zeros(3))


def test_the_fusion_shows_the_ct_where_the_registration_puts_it(volume: Volume, made: Made) -> None:
    view = LiveFusion()
    ultrasound = live(made.state()).ultrasound
    assert ultrasound is not None
    matrix = np.eye(4)
    matrix[:3, 3] = (45.0, 3.0, -35.0)
    view.look = (2000.0, 0.0)
    view.part = 1.0
    view.show_fused(Fused(ultrasound, matrix, volume))
    drawn = pixels(view, 600, 480)[..., 0]
    ct_from_view = view.ct_from_view
    assert ct_from_view is not None
    rows, columns = np.mgrid[60:440:40, 60:540:40]
    # 3 px a px of the frame: a pixel's middle at (column + 0.5) / 3 - 0.5.
    u, v = (columns + 0.5) / 3.0 - 0.5, (rows + 0.5) / 3.0 - 0.5
    at = np.stack([u, v, np.zeros(u.shape)], axis=-1).reshape(-1, 3)
    hu = sample(volume, apply(matrix @ REFERENCE_FROM_IMAGE, at))
    expected = np.clip((hu + 1000.0) * 255.0 / 2000.0, 0.0, 255.0)
    seen = drawn[rows, columns].ravel()
    assert (np.abs(seen - expected) < 3.0).mean() > 0.95
    assert expected.std() > 20.0
    view.part = 0.0
    assert pixels(view, 600, 480)[200:280, 200:400].max() < 5


def test_a_checkerboard_shows_the_frame_alone_in_every_other_square() -> None:
    frame, ct = np.full((200, 200), 40, np.uint8), np.full((200, 200), 240, np.uint8)
    both = blended(frame, ct, 0.5, Blend.FADED)
    assert (both == 140).all()
    squares = blended(frame, ct, 0.5, Blend.SQUARES)
    assert squares[0, 0] == 40
    assert squares[0, SQUARE_PX] == 140
    assert squares[SQUARE_PX, SQUARE_PX] == 40


def test_slider_and_squares_change_the_picture(moving: Bench) -> None:
    slider = moving.window.findChild(QSlider, "fusion_part")
    assert slider is not None
    slider.setValue(80)
    moving.press("fusion_squares")
    fusion = moving.page.manual.views.fusion
    assert (fusion.part, fusion.blend) == (0.8, Blend.SQUARES)


# --- history --------------------------------------------------------------------------------


def test_history_compares_at_the_target_and_goes_back(moving: Bench) -> None:
    registering = moving.session.registering
    first = registering.registration
    moving.session.nudging.put((3.0, 0.0, 4.0), (0.0, 2.0, 0.0))
    moving.session.nudging.accept(confirmed=True)
    moving.page.sections.show_section("History")
    moving.show()
    listed = moving.window.findChild(QListWidget, "registrations")
    assert listed is not None
    texts = [listed.item(row).text() for row in range(listed.count())]  # type: ignore[union-attr]
    assert texts[0].startswith("✓")
    assert "manual" in texts[0]
    assert "5.0 mm, 2.0° from the one in use" in texts[1]
    QTest.keyClick(moving.window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert registering.registration is registering.history[0].registration
    moving.show()
    item = listed.item(0)
    assert item is not None
    assert "5.0 mm, 2.0° from the one in use" in item.text()
    listed.setCurrentRow(0)
    listed.itemActivated.emit(item)
    assert registering.in_use_index == 1
    assert "predicted at the target" in moving.banner
    assert first is not None
