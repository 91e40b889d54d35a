"""The Register page: leaving points out, matching, markers of the CT, the error map, history."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PyQt6 import sip
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import (
    QApplication,
    QLabel,
    QListWidget,
    QPushButton,
    QScrollArea,
    QTableWidget,
    QWidget,
)

from ir_nav.gui import theme
from ir_nav.gui.landmarks_card import HEADER_PX, LEAST_ROWS, ROW_PX
from ir_nav.gui.main_window import MainWindow
from ir_nav.gui.pages.register import RegisterPage
from ir_nav.gui.side_sections import bring_into_sight
from ir_nav.imaging import Volume
from ir_nav.planning.protocol import RegistrationRules
from ir_nav.registration.tre import tre_map_mm
from ir_nav.session.resting import Touch
from ir_nav.session.session import Session
from ir_nav.session.steps import Step
from ir_nav.session.touching import Fiducial
from tests.gui.conftest import pixels
from tests.session.rig import CT_FROM_REFERENCE, STYLUS_TIP, Rig, calibration

Windows = Callable[..., MainWindow]
POINTS = np.array(
    [(50, 0, 0), (0, 50, 10), (-50, 0, 30), (0, -50, 40), (20, -20, -50)], dtype=float
)


class Hand:
    """The page with five touched fiducials, the third badly."""

    def __init__(self, app: QApplication, window: MainWindow, session: Session) -> None:
        self.app, self.window, self.session = app, window, session
        rig = Rig()
        session.connection.room, session.connection.streams = rig.room, rig.streams
        session.tools.stylus = calibration(STYLUS_TIP, False)
        session.set_fiducials(
            tuple(Fiducial(f"F{n + 1}", (x, y, z)) for n, (x, y, z) in enumerate(POINTS.tolist()))
        )
        assert window.go(Step.REGISTER)
        page = window.pages[Step.REGISTER]
        assert isinstance(page, RegisterPage)
        self.page = page
        self.press("start_touching")
        self.touch(0.2)
        self.show()

    def touch(self, third_spread_mm: float) -> None:
        """All of them; the tip scatters by so much on the third, elsewhere by 0.2 mm."""
        rng = np.random.default_rng(3)
        for number, point in enumerate(POINTS):
            at = point + rng.normal(0.0, 0.3, 3) + ((6.0, 0, 0) if number == 2 else (0, 0, 0))
            touched = (np.linalg.inv(CT_FROM_REFERENCE) @ np.append(at, 1.0))[:3]
            spread_mm = third_spread_mm if number == 2 else 0.2
            touch = Touch(touched, spread_mm, 1.0)
            self.session.registering.landmarks._take(touch, time.time())

    def show(self) -> None:
        self.page._notes._last_s = float("-inf")
        self.page.show_state(self.session.tick(time.time()))
        self.app.processEvents()

    def press(self, name: str) -> None:
        self.button(name).click()

    def button(self, name: str) -> QPushButton:
        found = self.window.findChild(QPushButton, name)
        assert found is not None, name
        return found

    def text(self, name: str) -> str:
        found = self.window.findChild(QLabel, name)
        assert found is not None, name
        return found.text()

    def tone(self, row: int, column: int) -> str:
        table = self.window.findChild(QTableWidget, "fiducials")
        assert table is not None
        item = table.item(row, column)
        assert item is not None
        return item.foreground().color().name()

    def cells(self, row: int) -> list[str]:
        table = self.window.findChild(QTableWidget, "fiducials")
        assert table is not None
        items = [table.item(row, column) for column in range(4)]
        return [item.text() for item in items if item is not None]

    @property
    def banner(self) -> str:
        return self.window.desk.banner.text


@pytest.fixture
def hand(app: QApplication, make_window: Windows, session: Session) -> Hand:
    return Hand(app, make_window(session), session)


def test_the_worst_point_is_named_left_out_by_a_key_and_let_in_again(hand: Hand) -> None:
    landmarks = hand.session.registering.landmarks
    fit = landmarks.candidate
    assert fit is not None
    assert fit.expected_mm is not None
    name, residual, expected, left_out = hand.cells(2)
    assert name == "✓ F3"
    assert residual == f"{fit.residuals_mm[2]:.1f} mm"
    assert expected == f"≤ {fit.expected_mm[2]:.1f}"
    assert left_out == f"{fit.left_out_mm[2]:.1f} mm"
    assert "F3 disagrees with the others" in hand.page.fit._verdict.text()
    QTest.keyClick(hand.page, Qt.Key.Key_X)  # none chosen: the one that agrees least
    hand.show()
    assert landmarks.excluded == {"F3"}
    assert hand.cells(2) == ["✕ F3", "—", "—", "—"]
    table = hand.window.findChild(QTableWidget, "fiducials")
    assert table is not None
    table.selectRow(2)
    hand.press("leave_out")
    assert landmarks.excluded == frozenset()
    hand.press("undo_touch")
    assert landmarks.excluded == {"F3"}


def test_the_error_map_is_painted_while_it_is_on(hand: Hand) -> None:
    view = hand.page.axial
    plain = pixels(view, 400, 400)
    hand.press("error_map")
    mapped = pixels(view, 400, 400)
    assert (np.abs(mapped - plain).sum(axis=2) > 6).mean() > 0.2
    candidate = hand.session.registering.landmarks.candidate
    assert candidate is not None
    _, _, errors_mm = hand.page._map._kept[view]
    at = view.to_ct(view.rect().center().toPointF())
    middle = errors_mm[errors_mm.shape[0] // 2, errors_mm.shape[1] // 2]
    assert middle == pytest.approx(float(tre_map_mm(candidate.registration, at)), rel=0.1)
    hand.press("error_map")
    np.testing.assert_array_equal(pixels(view, 400, 400), plain)


def test_accepted_registrations_are_listed_and_one_can_be_taken_again(hand: Hand) -> None:
    registering = hand.session.registering
    hand.press("accept_registration")
    hand.press("leave_out")
    hand.press("accept_registration")
    hand.press("section_history")
    hand.show()
    listed = hand.window.findChild(QListWidget, "registrations")
    assert listed is not None
    texts = [listed.item(row).text() for row in range(listed.count())]  # type: ignore[union-attr]
    assert len(texts) == 2
    assert texts[0].startswith("✓")
    assert "landmarks" in texts[1]
    listed.setCurrentRow(1)
    hand.press("registration_back")
    assert registering.in_use_index == 0
    hand.press("registration_undo")
    assert "no earlier registration" in hand.banner
    hand.press("reference_moved")
    hand.show()
    assert registering.registration is None
    assert hand.text("register_head") == "! Expired"
    assert "The reference was moved" in hand.text("register_verdict")
    hand.press("check_registration")
    assert "no registration to check" in hand.banner


def test_markers_on_the_skin_become_the_fiducials(hand: Hand, volume: Volume) -> None:
    hand.press("find_markers")
    assert "Points were touched" in hand.banner
    voxels = volume.voxels.copy()
    places = [(40, 20, 7), (20, 40, 7), (60, 55, 7), (35, 60, 7)]
    for k, j, i in places:
        voxels[k : k + 2, j : j + 2, i : i + 2] = 1500
    hand.session.load_case(replace(volume, voxels=voxels))
    while hand.window.desk.worker.busy:
        hand.app.processEvents()
    hand.press("find_markers")
    end = time.monotonic() + 30.0
    while hand.window.desk.worker.busy:
        assert time.monotonic() < end
        hand.app.processEvents()
    fiducials = hand.session.case.fiducials
    assert [one.name for one in fiducials] == ["M1", "M2", "M3", "M4"]
    assert fiducials[0].ct_mm[2] > fiducials[3].ct_mm[2]
    expected = np.array([(2 * i - 78, 2 * j - 78, 2 * k - 78) for k, j, i in places], dtype=float)
    for one in fiducials:
        assert np.linalg.norm(expected - one.ct_mm, axis=1).min() < 1.0
    assert "4 markers found on the skin" in hand.banner


def test_any_order_is_taken_up_at_the_next_start(hand: Hand) -> None:
    hand.press("any_order")
    assert not hand.session.registering.landmarks.any_order
    hand.press("start_touching")
    hand.show()
    assert hand.session.registering.landmarks.any_order
    assert hand.cells(0)[0] == "F1"


def test_a_touch_that_scattered_is_expected_to_be_off_and_counts_less(hand: Hand) -> None:
    landmarks = hand.session.registering.landmarks
    fit = landmarks.candidate
    assert fit is not None
    assert fit.expected_mm is not None
    steady_mm, counted_mm = fit.expected_mm[2], fit.residuals_mm[2]
    assert counted_mm > steady_mm
    assert hand.tone(2, 1) == theme.ALARM_MEDIUM
    assert "F3 disagrees" in hand.text("register_verdict")
    predicted = hand.text("predicted_tre")
    hand.press("start_touching")
    hand.touch(4.0)
    hand.show()
    fit = hand.session.registering.landmarks.candidate
    assert fit is not None
    assert fit.expected_mm is not None
    assert fit.expected_mm[2] > 2.5 * steady_mm
    assert fit.residuals_mm[2] > counted_mm + 0.5
    assert hand.cells(2)[2] == f"≤ {fit.expected_mm[2]:.1f}"
    assert hand.tone(2, 1) == theme.TEXT_1
    assert float(hand.text("predicted_tre").split()[0]) < 0.8 * float(predicted.split()[0])


def test_the_foot_says_in_a_word_where_a_registration_stands(hand: Hand) -> None:
    rules = hand.session.registering.rules
    assert hand.text("register_head") == f"✓ Within {rules.good_tre_mm:g} mm, not accepted yet"
    assert hand.button("accept_registration").property("kind") == "primary"
    hand.press("accept_registration")
    assert hand.text("register_head") == "✓ Accepted, landmarks"
    assert hand.button("accept_registration").property("kind") == ""
    hand.session.registering.registration = None
    strict = RegistrationRules(good_tre_mm=0.1, max_tre_mm=rules.max_tre_mm)
    hand.session.registering._rules = lambda: strict
    hand.show()
    assert hand.text("register_head") == "! Above 0.1 mm"
    hand.press("accept_registration")
    assert hand.session.registering.registration is None
    assert hand.text("register_head").endswith(" mm: accept it anyway?")
    hand.press("decline_registration")
    assert hand.text("register_head") == "! Above 0.1 mm"
    hand.press("accept_registration")
    hand.press("confirm_registration")
    assert hand.session.registering.registration is not None


def test_a_small_error_of_a_refused_place_is_not_shown(
    hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = hand.session.registering.landmarks.candidate
    assert fit is not None
    refused = replace(fit, registration=fit.registration.refused("two places fit alike"))
    monkeypatch.setattr(hand.session.registering.landmarks, "candidate", refused)
    hand.show()
    assert hand.text("predicted_tre") == "—"
    assert hand.text("register_head") == "✕ Refused"
    assert hand.text("register_verdict").startswith("Two places fit alike.")
    assert hand.button("accept_registration").property("kind") == ""
    hand.press("accept_registration")
    assert "this registration was refused" in hand.banner.lower()


def test_a_drift_seen_by_the_live_check_is_said_where_the_error_stands(hand: Hand) -> None:
    hand.press("accept_registration")
    hand.show()
    hand.session.quality.warning = "the ultrasound fits better 4 mm towards the feet"
    hand.show()
    assert hand.text("register_head") == "! Landmarks: drifts"
    assert hand.text("predicted_tre") != "—"
    assert hand.button("section_ultrasound").text().endswith("\ndrifts")
    hand.session.quality.warning = None
    hand.show()
    assert hand.text("register_head") == "✓ Accepted, landmarks"


def test_what_is_needed_is_seen_without_scrolling_on_a_small_screen(hand: Hand) -> None:
    hand.window.resize(1366, 768)
    hand.show()
    for name in ("landmarks", "surface", "ultrasound", "fluoro", "manual", "history"):
        hand.press(f"section_{name}")
        hand.show()
        scrolls = hand.page.sections._pages.currentWidget()
        assert isinstance(scrolls, QScrollArea)
        bar = scrolls.verticalScrollBar()
        assert bar is not None
        assert bar.maximum() == 0, name
    assert hand.page.sections.width() == theme.SIDE_WIDTH_SMALL
    hand.press("section_landmarks")
    hand.show()
    table = hand.window.findChild(QTableWidget, "fiducials")
    assert table is not None
    assert table.height() >= HEADER_PX + LEAST_ROWS * ROW_PX
    assert table.geometry().bottom() < hand.button("undo_touch").geometry().top()


def test_the_views_along_the_path_unfold(hand: Hand) -> None:
    hand.press("section_fluoro")
    hand.show()
    card = hand.page._carm_views
    assert not card.isVisible()
    hand.press("fold_views_along_the_path")
    assert card.isVisible()
    hand.press("fold_views_along_the_path")
    assert not card.isVisible()
    hand.press("section_landmarks")
    bring_into_sight(card)
    assert card.isVisible()
    assert hand.page.sections.current == "Fluoro"


def test_a_section_asked_for_may_be_gone_by_then(app: QApplication) -> None:
    area, card = QScrollArea(), QWidget()
    area.setWidget(card)
    bring_into_sight(card)
    sip.delete(area)
    app.processEvents()  # raises where the card is still asked for
