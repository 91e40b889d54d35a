"""The Fluoro section of the Register page, by its buttons, with frames of a real chest."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QPointF, QSettings, Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QComboBox, QLabel, QPushButton, QSlider
from scipy import ndimage

from ir_nav.geometry import CArmGeometry, apply
from ir_nav.gui.desk import Desk
from ir_nav.gui.fluoro_shadow import shadow_of
from ir_nav.gui.operator_menu import OperatorMenu
from ir_nav.gui.pages.register import RegisterPage
from ir_nav.imaging import Volume
from ir_nav.registration import Method
from ir_nav.registration.fluoro.carm_angles import entry_view
from ir_nav.registration.fluoro.registration import fluoro_attenuations
from tests.gui.conftest import pixels
from tests.session.fluoro_room import (
    ENTRY_CT_MM,
    FOCUS_CT_MM,
    GEOMETRY,
    FluoroBench,
    mtre_mm,
    picture,
)


class Hand:
    """The page's Fluoro section, in sight."""

    def __init__(self, app: QApplication, settings: QSettings) -> None:
        self.app, self.bench = app, FluoroBench()
        self.session = self.bench.session
        # Without its window: that would mesh the whole chest for the 3D view.
        self.desk = Desk(self.session, settings)
        self.page = RegisterPage(self.desk)
        self.page.resize(1400, 900)
        self.page.show()
        self.press("section_fluoro")
        self.bench.pause()
        self.bench.shine(0.0)
        self.show()

    def show(self) -> None:
        """A tick; then until the worker is done, and another."""
        for _ in range(2):
            self.page._notes._last_s = float("-inf")
            self.page.show_state(self.session.tick(self.bench.now_s))
            end = time.monotonic() + 60.0
            while self.desk.worker.busy:
                assert time.monotonic() < end
                self.app.processEvents()
                time.sleep(0.002)

    def press(self, name: str) -> None:
        self.button(name).click()

    def button(self, name: str) -> QPushButton:
        found = self.page.findChild(QPushButton, name)
        assert found is not None, name
        return found

    def words(self, name: str) -> str:
        found = self.page.findChild(QLabel, name)
        assert found is not None, name
        return found.text()

    def view(self, orbit_deg: float) -> None:
        self.bench.pause()
        self.bench.shine(orbit_deg)
        self.show()
        self.press("take_view")
        self.show()


@pytest.fixture
def hand(app: QApplication, tmp_path: Path) -> Iterator[Hand]:
    made = Hand(app, QSettings(str(tmp_path / "gui.ini"), QSettings.Format.IniFormat))
    yield made
    made.desk.close()
    made.page.close()
    made.session.close()


def edge_hits(hand: Hand) -> float:
    """How well the drawn edges lie on the frame's own: mean steepness under them over all."""
    shadow = hand.page.fluoro.fusion.shadow
    assert shadow is not None
    strength = shadow.edges[..., 3].astype(float)
    rows, columns = strength.shape
    frame = ndimage.gaussian_filter(np.log(picture(0.0).astype(float) + 100.0), 1.5)
    v, u = (
        np.minimum(np.indices(strength.shape)[n] * frame.shape[n] // size, frame.shape[n] - 1)
        for n, size in enumerate((rows, columns))
    )
    steep = np.hypot(*np.gradient(frame))[v, u]
    return float((steep * strength).sum() / strength.sum() / steep.mean())


def test_two_views_are_taken_registered_seen_and_accepted(hand: Hand) -> None:
    session = hand.session
    assert hand.page.cell.currentWidget() is hand.page.fluoro.fusion
    before = edge_hits(hand)
    hand.view(0.0)
    assert "second view 40 to 90 degrees away" in hand.words("fluoro_result")
    hand.view(-60.0)
    assert hand.words("fluoro_result") == "2 views, 60° apart"
    assert hand.button("section_fluoro").text() == "Fluoro\n2"
    hand.press("register_fluoro")
    hand.show()
    assert hand.words("fluoro_result") == "Found"
    assert "Depth ±" in hand.words("fluoro_detail")
    assert "evaluations" in hand.words("fluoro_detail")
    hand.press("fluoro_view_1")
    hand.show()
    assert "view 1, CT as found" in hand.page.fluoro.fusion.note
    assert edge_hits(hand) > 1.4 * before
    hand.press("accept_registration")
    hand.show()
    found = session.registering.registration
    assert found is not None
    assert found.method is Method.FLUORO
    assert mtre_mm(found) < 0.5
    assert "✓ Accepted, fluoro" in hand.words("register_head")


def test_one_view_says_how_deep_it_is_sure_and_discard_keeps_it(hand: Hand) -> None:
    hand.page.capture()
    hand.show()
    assert len(hand.session.fluoro.views) == 1
    hand.press("register_fluoro")
    hand.show()
    assert hand.words("fluoro_result") == "Found, depth uncertain"
    assert "take a second view 40 to 90 degrees away" in hand.words("fluoro_detail")
    assert "Depth ±" in hand.words("register_verdict")
    hand.press("discard_fluoro")
    hand.show()
    assert hand.session.fluoro.found is None
    assert len(hand.session.fluoro.views) == 1
    hand.press("remove_view")
    hand.show()
    assert hand.session.fluoro.views == ()
    assert not hand.button("remove_view").isEnabled()
    assert not hand.button("register_fluoro").isEnabled()


def test_without_the_c_arms_place_no_view_is_taken_and_the_page_says_why(hand: Hand) -> None:
    hand.bench.pause()
    hand.bench.shine(0.0, frames=10, says_place=False)
    hand.show()
    assert not hand.button("take_view").isEnabled()
    assert "C-arm has no pose around the image's time" in hand.words("fluoro_detail")
    assert hand.page.fluoro.fusion.shadow is None


def test_cancel_stops_the_search(hand: Hand) -> None:
    hand.view(0.0)
    hand.press("register_fluoro")
    hand.page._notes._last_s = float("-inf")
    hand.page.show_state(hand.session.tick(hand.bench.now_s))
    assert hand.button("register_fluoro").text() == "Cancel"
    hand.press("register_fluoro")
    hand.show()
    assert hand.session.fluoro.found is None
    assert hand.button("register_fluoro").text() == "Register"


def test_follow_shows_the_drift_and_needs_an_accepted_result(hand: Hand) -> None:
    hand.press("follow_fluoro")
    hand.show()
    assert not hand.button("follow_fluoro").isChecked()
    assert "accept a fluoro registration first" in hand.desk.banner.text.lower()
    hand.view(0.0)
    hand.view(-60.0)
    hand.press("register_fluoro")
    hand.show()
    hand.press("accept_registration")
    used = hand.session.registering.registration
    hand.press("follow_fluoro")
    hand.bench.pause()
    hand.bench.shine(-60.0)
    hand.show()
    assert hand.words("fluoro_result") == "Target drifted <0.1 mm"
    assert "known to ±" in hand.words("fluoro_detail")
    assert hand.session.registering.registration is used


def test_edges_fade_and_the_shadow_is_swiped_in(hand: Hand) -> None:
    fusion = hand.page.fluoro.fusion
    size = 500, 400
    plain = pixels(fusion, *size)
    slider = hand.page.findChild(QSlider, "edge_strength")
    assert slider is not None
    slider.setValue(0)
    without = pixels(fusion, *size)
    inside = slice(60, 380), slice(60, 440)
    # The plan is drawn too, in blue.
    green, left = (one[..., 1] - one[..., (0, 2)].max(axis=2) > 10 for one in (plain, without))
    assert green[inside].sum() > 1000
    assert left[inside].sum() < 0.05 * green[inside].sum()
    box = fusion.fitted.box()
    middle = QPointF(box.center().x(), box.center().y())
    QTest.mouseClick(fusion, Qt.MouseButton.LeftButton, pos=middle.toPoint())
    swiped = pixels(fusion, *size)
    changed = np.abs(swiped - without).sum(axis=2) > 12
    half = round(middle.x())
    assert changed[60:, half + 4 : round(box.right()) - 4].mean() > 0.5
    assert changed[60:, round(box.left()) + 4 : half - 4].mean() < 0.01


def test_the_plan_is_drawn_where_the_true_c_arm_sees_it(hand: Hand) -> None:
    hand.view(0.0)
    hand.view(-60.0)
    hand.press("register_fluoro")
    hand.show()
    hand.press("fluoro_view_2")
    hand.show()
    state = hand.page.fluoro.fusion._state
    assert state is not None
    assert state.carm_from_ct is not None
    seen_px = GEOMETRY.project(apply(state.carm_from_ct.matrix, FOCUS_CT_MM))
    np.testing.assert_allclose(seen_px, GEOMETRY.principal_px, atol=0.5)


def test_the_views_along_the_path_follow_how_the_patient_lies(hand: Hand) -> None:
    exact = entry_view(ENTRY_CT_MM, FOCUS_CT_MM)
    assert str(exact.wanted) in hand.words("fact_entry_view")
    assert hand.words("fact_entry_view").startswith("✓")
    assert hand.words("fact_progress_1") != hand.words("fact_progress_2")
    lying = hand.page.findChild(QComboBox, "patient_lies")
    assert lying is not None
    before = hand.words("fact_entry_view")
    lying.setCurrentIndex(lying.findText("head first, on the left side"))
    hand.show()
    assert hand.words("fact_entry_view") != before
    lying.setCurrentIndex(0)
    steep = FOCUS_CT_MM + np.array([0.0, -50.0, 100.0])
    hand.session.planning.set_entry(steep)
    hand.session.approving.approve("steep", confirmed=True)
    hand.show()
    view = entry_view(steep, FOCUS_CT_MM)
    words = f"✕ {view.wanted}: nearest {view.nearest}, {view.off_deg:.0f}° off"
    assert hand.words("fact_entry_view") == words
    assert 10.0 < view.off_deg < 30.0


def test_the_shadow_covers_the_detector_with_its_own_magnification(volume: Volume) -> None:
    geometry = CArmGeometry(1000.0, (1.5, 1.5), (300, 200), (139.5, 104.5))
    placed = np.eye(4)
    placed[2, 3] = 500.0
    shadow = shadow_of(fluoro_attenuations(volume)[-1], geometry, placed)
    rows, columns = shadow.grey.shape
    assert columns == 256
    dark = shadow.grey < 250
    # The block's near face, 440 mm from the focal spot, is 120 mm wide.
    half_px = 60.0 * 1000.0 / 440.0 / 1.5
    for axis, (size, middle) in enumerate(((columns, 139.5), (rows, 104.5))):
        ends = np.flatnonzero(dark.any(axis=axis))[[0, -1]] + np.array([0.0, 1.0])
        ends_px = ends * geometry.size_px[axis] / size - 0.5
        expected = np.clip([middle - half_px, middle + half_px], -0.5, None)
        np.testing.assert_allclose(ends_px, expected, atol=2.5)
    strength = shadow.edges[..., 3]
    assert strength.shape == (rows * 2, columns * 2)
    assert strength.max() > 200
    assert (strength > 100).mean() < 0.15


def test_the_simulated_operator_is_asked_to_turn_the_c_arm(
    hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, dict[str, object]]] = []
    connection = hand.session.connection
    monkeypatch.setattr(
        connection, "ask_operator", lambda do, **details: asked.append((do, details))
    )
    menu = OperatorMenu(hand.desk).menu()
    assert menu is not None
    for action in menu.actions():
        if action.text() in ("C-arm to −60°", "Withdraw"):
            action.trigger()
    assert asked == [("turn C-arm", {"orbit_deg": -60.0}), ("withdraw", {})]
