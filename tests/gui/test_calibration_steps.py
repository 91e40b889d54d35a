"""The set-up's calibration cards: one in sight, room for its picture, words for each state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QRect, Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QLabel, QPushButton, QTableWidget, QWidget

from devices.contract import PoseSample, PoseStatus
from ir_nav.gui.delay_view import DelayView
from ir_nav.gui.guided_card import GuidedCard
from ir_nav.gui.main_window import MainWindow
from ir_nav.gui.pages.set_up import SetUpPage
from ir_nav.gui.probe_view import ProbeView
from ir_nav.session.delay_run import DelayOutcome, DelaySignals, solve_delay
from ir_nav.session.in_use import InUse
from ir_nav.session.probe_sweep import Coverage, ProbeOutcome, SweptFrames, solve_probe
from ir_nav.session.resting import Touch
from ir_nav.session.session import Session
from ir_nav.session.steps import Step
from ir_nav.tracking.calibration.calibration_file import write_calibration
from ir_nav.tracking.calibration.phantom import read_phantom
from tests.gui.conftest import NOW_S, pixels, sky_blue
from tests.gui.test_calibration_view import grey, pivoted, red
from tests.session.rig import NEEDLE_TIP, STYLUS_TIP, Rig, calibration
from tests.session.test_scanner import phantom_file
from tests.tracking.nwire_scene import scene
from tests.tracking.test_calibration_file import delay_document, pivot_document

Windows = Callable[..., MainWindow]
NAMES = ("needle", "stylus", "phantom", "probe", "delay")


@pytest.fixture
def set_up(make_window: Windows, session: Session) -> Iterator[SetUpPage]:
    rig = Rig()
    session.connection.room, session.connection.streams = rig.room, rig.streams
    window = make_window(session)
    window.go(Step.SET_UP)
    page = window.pages[Step.SET_UP]
    assert isinstance(page, SetUpPage)
    yield page
    session.close()


def show(page: SetUpPage, now_s: float = NOW_S) -> None:
    page._notes._last_s = float("-inf")
    page.show_state(page.session.tick(now_s))


def press(page: QWidget, name: str) -> None:
    found = page.findChild(QPushButton, name)
    assert found is not None, name
    found.click()


def text(page: QWidget, name: str) -> str:
    found = page.findChild(QLabel, name)
    assert found is not None, name
    return found.text()


def probe_outcome(tmp_path: Path, pose_noise_mm: float = 0.1) -> ProbeOutcome:
    phantom = read_phantom(phantom_file(tmp_path))
    swept = []
    for frames, seed in ((60, 3), (30, 4)):
        made = scene(phantom, frames, seed, noise_px=0.4, pose_noise_mm=pose_noise_mm)
        swept.append(SweptFrames(made.reference_from_probe, made.wires_px, ()))
    return solve_probe(swept[0], swept[1], phantom)


def delay_outcome(lag_s: float = -0.08) -> DelayOutcome:
    times_s = NOW_S + np.arange(0.0, 10.0, 1 / 15)
    tracker_s = NOW_S + np.arange(0.0, 10.0, 1 / 50)
    moved = 12.0 * np.sin(2 * np.pi * 0.7 * (tracker_s - lag_s - NOW_S))
    heights = 300.0 + 90.0 * np.sin(2 * np.pi * 0.7 * (times_s - NOW_S))
    positions = np.column_stack([np.zeros((len(moved), 2)), moved])
    return solve_delay(DelaySignals(times_s, heights, tracker_s, positions))


def finished(page: SetUpPage, tmp_path: Path) -> None:
    """Every calibration done, each with what its picture shows."""
    session = page.session
    pivot = pivoted(outliers=6)
    made = replace(calibration(NEEDLE_TIP, True), pivot=pivot, pivot_s=NOW_S, spin_s=NOW_S)
    session.tools.needle = made
    session.tools.stylus = replace(calibration(STYLUS_TIP, False), pivot=pivot, pivot_s=NOW_S)
    scanner = session.scanner
    scanner.phantom.choose(phantom_file(tmp_path))
    probe, delay = probe_outcome(tmp_path), delay_outcome()
    scanner.probe.outcome, scanner.delay.outcome = probe, delay
    scanner.probe.in_use = InUse(probe.calibration, NOW_S)
    scanner.delay.in_use = InUse(delay.result, NOW_S)


@pytest.mark.parametrize(("width", "height"), [(1366, 768), (1920, 1080)])
def test_a_finished_card_has_room_for_its_picture_and_nothing_overlaps(
    app: QApplication, set_up: SetUpPage, tmp_path: Path, width: int, height: int
) -> None:
    set_up.window().resize(width, height)
    finished(set_up, tmp_path)
    for name in NAMES:
        press(set_up, f"show_{name}")
        show(set_up)
        app.processEvents()
        card = set_up.steps.current
        assert card.name == name
        assert card.picture.width() >= 300, name
        assert card.picture.height() >= 150, name
        inside = [
            one
            for one in card.findChildren(QWidget, options=Qt.FindChildOption.FindDirectChildrenOnly)
            if one.isVisible()
        ]
        for index, one in enumerate(inside):
            assert card.rect().contains(one.geometry()), (name, one.objectName())
            assert not any(one.geometry().intersects(other.geometry()) for other in inside[:index])
            if isinstance(one, QLabel):
                assert one.height() >= one.heightForWidth(one.width()), (name, one.text())


def test_every_button_of_a_card_is_reached_with_the_keyboard(
    app: QApplication, set_up: SetUpPage
) -> None:
    window = set_up.window()
    window.activateWindow()
    for name in ("phantom", "probe", "delay"):
        press(set_up, f"show_{name}")
        show(set_up)
        reached = set()
        for _ in range(60):
            QTest.keyClick(window.focusWidget() or window, Qt.Key.Key_Tab)
            focused = window.focusWidget()
            reached.add("" if focused is None else focused.objectName())
        wanted = {f"start_{name}", f"load_{name}", f"show_{name}"}
        assert wanted <= reached, wanted - reached


def test_the_buttons_above_say_where_each_calibration_stands(
    set_up: SetUpPage, tmp_path: Path
) -> None:
    def states() -> list[str]:
        show(set_up)
        tabs = [set_up.findChild(QPushButton, f"show_{name}") for name in NAMES]
        return [tab.text().split("\n")[1] for tab in tabs if tab is not None]

    assert states() == ["to do", "to do", "to do", "room file", "0 ms"]
    finished(set_up, tmp_path)
    found = states()
    assert [one.split()[0] for one in found] == ["✓"] * 5
    assert found[4] == "✓ −80 ms"
    scanner = set_up.session.scanner
    scanner.delay.in_use = replace(scanner.delay.in_use, expired=True)
    set_up.session.tools.needle = replace(set_up.session.tools.needle, pivot=pivoted(), spin=None)
    assert states()[0] == "to spin"


def test_error_statistics_are_named_and_a_refusal_says_why(
    set_up: SetUpPage, tmp_path: Path
) -> None:
    finished(set_up, tmp_path)
    press(set_up, "show_probe")
    show(set_up)
    result = set_up.session.scanner.probe.in_use.result
    assert result is not None
    assert result.validation_error is not None
    words = text(set_up, "probe_detail")
    error = result.validation_error
    assert f"best 95 % mean {error.mean_best_95:.2f}, all mean {error.mean:.2f}" in words
    assert f"RMS {error.rms:.2f}, largest {error.max:.2f} mm" in words
    bad = probe_outcome(tmp_path, pose_noise_mm=3.0)
    set_up.session.scanner.probe.conclude(bad)
    show(set_up)
    assert text(set_up, "probe_result") == "Refused"
    assert "is above 1.0 mm" in text(set_up, "probe_detail")
    assert text(set_up, "probe_detail").endswith("The one before stays in use.")
    press(set_up, "show_delay")
    show(set_up)
    assert text(set_up, "delay_result") == "−80 ms"
    assert "the tracker leads the images by 80.0 ms" in text(set_up, "delay_detail")
    assert text(set_up, "delay_age") == "Made just now, expires in 8 h"


def test_a_landmark_is_chosen_in_the_list_and_touched_again(
    set_up: SetUpPage, tmp_path: Path
) -> None:
    session = set_up.session
    set_up.phantom.choose_phantom(phantom_file(tmp_path))
    session.tools.stylus = calibration(STYLUS_TIP, False)
    press(set_up, "show_phantom")
    press(set_up, "start_phantom")
    touching = session.scanner.phantom.touching
    assert touching is not None
    off = np.zeros((5, 3))
    off[1] = (0.0, 0.9, 0.0)
    touching.touches = tuple(Touch(place, 0.1, NOW_S) for place in touching.positions_mm + off)
    touching._fit(NOW_S)
    show(set_up)
    table = set_up.findChild(QTableWidget, "landmarks")
    assert table is not None

    def row(number: int) -> list[str]:
        items = [table.item(number, column) for column in range(3)]
        return [item.text() for item in items if item is not None]

    assert row(1)[:2] == ["#2", "✓ fits worst"]
    assert row(0)[1] == "✓ touched"
    assert row(0)[2].endswith(" mm")
    table.setCurrentCell(1, 0)
    press(set_up, "redo_landmark")
    show(set_up)
    assert row(1) == ["#2", "▸ touch now", "—"]
    assert text(set_up, "phantom_result") == "Touch #2"
    press(set_up, "cancel_phantom")
    assert session.scanner.phantom.touching is None


def test_space_captures_a_landmark_while_the_phantoms_card_is_in_sight(
    app: QApplication, set_up: SetUpPage, tmp_path: Path
) -> None:
    """A stylus at rest at 15 Hz, where it was not when touching began."""
    session, window = set_up.session, set_up.window()
    streams = session.connection.streams
    assert streams is not None
    now_s = NOW_S
    session.scanner.phantom.at_hand = replace(session.scanner.phantom.at_hand, clock=lambda: now_s)
    set_up.phantom.choose_phantom(phantom_file(tmp_path))
    session.tools.stylus = calibration(STYLUS_TIP, False)
    press(set_up, "show_phantom")
    press(set_up, "start_phantom")
    touching = session.scanner.phantom.touching
    assert touching is not None
    window.activateWindow()
    QTest.keyClick(window, Qt.Key.Key_Space)
    assert set_up.desk.banner.text.startswith("Hold the stylus still on the landmark")
    for _ in range(20):
        now_s += 1 / 15
        for name in ("ReferenceToTracker", "StylusToTracker"):
            streams.take(PoseSample(name, np.eye(4), PoseStatus.OK, now_s, now_s))
    press(set_up, "show_probe")
    QTest.keyClick(window, Qt.Key.Key_Space)
    assert touching.count == 0
    press(set_up, "show_phantom")
    QTest.keyClick(window, Qt.Key.Key_Space)
    assert touching.count == 1


def test_files_are_loaded_from_the_cards_and_refused_in_the_banner(
    set_up: SetUpPage, tmp_path: Path
) -> None:
    session = set_up.session
    banner = set_up.desk.banner
    cards = {card.name: card for card in set_up.steps.cards}
    path = tmp_path / "stylus.json"
    write_calibration(path, pivot_document() | {"made_s": NOW_S})
    cards["stylus"].load(path)
    assert session.tools.stylus.pivot is not None
    assert banner.text == "The stylus has the tip of stylus.json"
    cards["delay"].load(path)
    assert banner.text.startswith("stylus.json is a pivot calibration; a delay calibration")
    assert session.scanner.delay.in_use.result is None
    path.write_text("{}")
    cards["probe"].load(path)
    assert "not a calibration" in banner.text
    write_calibration(path, delay_document() | {"made_s": NOW_S})
    cards["delay"].load(path)
    press(set_up, "show_delay")
    show(set_up)
    assert text(set_up, "delay_age") == "Made just now, expires in 8 h; from stylus.json"
    cards["delay"].save(tmp_path / "again.json")
    assert "there is nothing to save" in banner.text
    assert not (tmp_path / "again.json").exists()


def test_a_wrong_scale_or_phantom_is_told(set_up: SetUpPage, tmp_path: Path) -> None:
    banner = set_up.desk.banner
    path = tmp_path / "notes.xml"
    path.write_text("<a/>")
    set_up.phantom.choose_phantom(path)
    assert "has no PhantomDefinition" in banner.text
    set_up.phantom.choose_phantom(phantom_file(tmp_path))
    press(set_up, "show_probe")
    set_up.probe._scale.setText("9")
    press(set_up, "start_probe")
    assert banner.text == "'9' mm per pixel is no scale of an ultrasound image"
    assert set_up.session.scanner.probe.sweep is None
    set_up.probe._scale.setText("0.078")
    press(set_up, "start_probe")
    assert set_up.session.scanner.probe.sweep is not None
    press(set_up, "cancel_probe")
    assert set_up.session.scanner.probe.sweep is None


def test_pictures_show_coverage_residuals_and_the_limit(app: QApplication, tmp_path: Path) -> None:
    view = ProbeView("probe")
    view.show_coverage(Coverage(np.zeros((0, 2)), 0.0, 0.0), (820, 616))
    empty = grey(pixels(view, 400, 300))[60:230].sum()
    middle = np.random.default_rng(1).uniform((300, 200), (500, 400), (200, 2))
    view.show_coverage(Coverage(middle, 12.0, 8.0), (820, 616))
    assert grey(pixels(view, 400, 300))[60:230].sum() > empty + 500
    outcome = probe_outcome(tmp_path)
    kept = np.ones_like(outcome.calibration.kept)
    outcome = replace(outcome, calibration=replace(outcome.calibration, kept=kept))
    view.show_outcome(outcome)
    picture = pixels(view, 400, 300)
    assert grey(picture).sum() > 1000
    assert sky_blue(picture).sum() > 400
    assert not red(picture).any()
    kept = kept.copy()
    kept[5] = False
    view.show_outcome(replace(outcome, calibration=replace(outcome.calibration, kept=kept)))
    assert red(pixels(view, 400, 300)).any()
    view.show_outcome(None)
    assert not grey(pixels(view, 400, 300)).any()


def bright(picture: np.ndarray) -> np.ndarray:
    return np.asarray(picture.min(axis=2) > 200)


def test_the_two_motions_lie_on_each_other_once_the_delay_is_taken_off(app: QApplication) -> None:
    view = DelayView("delay")
    outcome = delay_outcome()
    assert outcome.result.tracker_lag_s == pytest.approx(-0.08, abs=0.002)
    view.show_running(outcome.signals)
    assert bright(pixels(view, 460, 300)).any()
    view.show_outcome(outcome)
    picture = pixels(view, 460, 400)
    # A dot on the line covers it: seen grey of the line is less where both agree.
    line = (np.abs(picture - (170, 180, 190)).max(axis=2) < 30) & ~bright(picture)
    dots = bright(picture)
    near = QRect(20, 0, 420, 170)
    above = _touching(line, dots, near)
    below = _touching(line, dots, near.translated(0, 202))
    assert below > 1.5 * above


def _touching(line: np.ndarray, dots: np.ndarray, box: QRect) -> float:
    """Share of the dots' edge that lies on the line."""
    rows = slice(box.top(), box.bottom())
    columns = slice(box.left(), box.right())
    on, dot = line[rows, columns], dots[rows, columns]
    around = np.zeros_like(dot)
    for shift in (1, 2):
        for axis in (0, 1):
            around |= np.roll(dot, shift, axis) | np.roll(dot, -shift, axis)
    return float((around & ~dot & on).sum()) / max(float(dot.sum()), 1.0)


def test_a_card_names_what_it_is_to_those_who_cannot_see_it(set_up: SetUpPage) -> None:
    show(set_up)
    for card in set_up.steps.cards:
        assert isinstance(card, GuidedCard)
        assert card.undo_button.accessibleName() == f"Undo {card.name} calibration"
        assert card.load_button.accessibleName() == f"Load {card.name} calibration"
        assert card.picture.accessibleName()
