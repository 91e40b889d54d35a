"""The whole window: every command answers in words, Guide shows and hides what it must."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QAbstractButton, QApplication, QDialog, QPushButton

from ir_nav import RESEARCH_LABEL
from ir_nav.gui import theme
from ir_nav.gui.main_window import MainWindow
from ir_nav.gui.pages.guide import GuidePage
from ir_nav.gui.pages.patient import PatientPage
from ir_nav.gui.pages.plan import PlanPage
from ir_nav.gui.pages.register import RegisterPage
from ir_nav.gui.scene_records import Handle
from ir_nav.recording import EventKind, read_log
from ir_nav.registration import register_landmarks
from ir_nav.session.session import Session
from ir_nav.session.steps import Step
from ir_nav.session.touching import Fiducial
from tests.gui.conftest import NOW_S, Made, orange, pixels

Windows = Callable[..., MainWindow]


def wait_for(app: QApplication, condition: Callable[[], bool], timeout_s: float = 15.0) -> bool:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        app.processEvents()
        if condition():
            return True
        time.sleep(0.005)
    return False


def close_dialogs(window: MainWindow) -> int:
    dialogs = window.findChildren(QDialog)
    for dialog in dialogs:
        dialog.reject()
    return len(dialogs)


def test_every_button_has_a_name_and_answers_on_an_empty_session(
    app: QApplication, make_window: Windows, caplog: pytest.LogCaptureFixture
) -> None:
    window = make_window(Session())
    for page in window.pages.values():
        window.stage.pages.setCurrentWidget(page)
        buttons = page.findChildren(QPushButton)
        for button in buttons:
            assert button.accessibleName(), button.text()
            assert button.objectName(), button.text()
            window.desk.banner.hide()
            button.click()
            app.processEvents()
            close_dialogs(window)
            assert "Unexpected" not in window.desk.banner.text, button.objectName()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_steps_refuse_in_words(make_window: Windows) -> None:
    window = make_window(Session())
    assert not window.go(Step.PLAN)
    assert window.desk.banner.text == "Plan: No CT is open. Open a CT in Patient."
    assert not window.go(Step.GUIDE)
    assert "Approve a path" in window.desk.banner.text
    assert window.step is Step.PATIENT
    for button in window.rail.findChildren(QAbstractButton):
        assert button.accessibleName()


def test_refusals_of_commands_are_said_and_stay_while_ticks_pass(
    app: QApplication, make_window: Windows
) -> None:
    window = make_window(Session())
    QTest.keyClick(window, Qt.Key.Key_M)
    assert window.desk.banner.text == "No log is being written"
    window.tick()
    assert window.desk.banner.isVisible()


def test_start_label_covers_the_window_until_it_is_acknowledged(
    make_window: Windows, tmp_path: Path
) -> None:
    session = Session()
    window = make_window(session, acknowledged=False)
    assert window.start_cover.isVisible()
    button = window.findChild(QPushButton, "acknowledge")
    assert button is not None
    button.click()
    assert not window.start_cover.isVisible()
    assert window.footer.accessibleName() == RESEARCH_LABEL
    session.start_log(tmp_path / "a.irlog")
    session.close()
    noted = read_log(tmp_path / "a.irlog").last(EventKind.ACKNOWLEDGED)
    assert noted is not None
    assert noted.text == RESEARCH_LABEL


def test_f1_lists_the_keys(app: QApplication, make_window: Windows) -> None:
    window = make_window(Session())
    QTest.keyClick(window, Qt.Key.Key_F1)
    assert window.keys_cover.isVisible()
    QTest.keyClick(window.keys_cover, Qt.Key.Key_A)
    assert not window.keys_cover.isVisible()


def test_guide_hides_needle_and_numbers_when_invalid(
    app: QApplication, make_window: Windows, session: Session, made: Made
) -> None:
    window = make_window(session)
    page = window.guide
    assert isinstance(page, GuidePage)
    window.stage.pages.setCurrentWidget(page)
    window._timer.stop()
    window.desk.look.follow(session.case)
    page.show_state(made.state())
    assert orange(pixels(page, 1400, 900)).sum() > 2000
    page.show_state(made.state(valid=False, now_s=NOW_S + 0.01))
    assert all(figure.value is None for figure in page.strip.shown)
    assert orange(pixels(page, 1400, 900)).sum() == 0


def test_guide_frame_and_header_say_whether_guidance_is_valid(
    make_window: Windows, session: Session, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = make_window(session)
    monkeypatch.setattr("ir_nav.gui.main_window.refusal", lambda *_: None)
    monkeypatch.setattr(session, "tick", lambda now_s: made.state(valid=False, now_s=now_s))
    assert window.go(Step.GUIDE)
    assert window.stage.alarm == theme.ALARM_HIGH
    assert window.top_bar.header.valid is False
    assert "needle out of view" in window.top_bar.header.reason
    monkeypatch.setattr(session, "tick", lambda now_s: made.state(now_s=now_s))
    window.go(Step.GUIDE)
    assert window.stage.alarm is None
    assert window.top_bar.header.valid is True


def test_guide_counts_its_paints(
    app: QApplication,
    make_window: Windows,
    session: Session,
    made: Made,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    window = make_window(session)
    monkeypatch.setattr("ir_nav.gui.main_window.refusal", lambda *_: None)
    monkeypatch.setattr(session, "tick", lambda now_s: made.state(now_s=now_s))
    window.go(Step.GUIDE)
    assert wait_for(app, lambda: window.paint_clock.summary().paints >= 10)
    assert window.paint_clock.summary().rate_hz > 3.0


def test_layout_key_swaps_the_views_and_keeps_six(make_window: Windows, session: Session) -> None:
    window = make_window(session)
    seen = set()
    for _ in range(3):
        seen.add(window.guide.live_views)
        assert len(window.guide.live_views) == 6
        QTest.keyClick(window, Qt.Key.Key_L)
    assert len(seen) == 3
    assert any(window.guide.scene in views for views in seen)


def test_freeze_holds_the_live_image(
    make_window: Windows, session: Session, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = make_window(session)
    monkeypatch.setattr("ir_nav.gui.main_window.refusal", lambda *_: None)
    monkeypatch.setattr(session, "tick", lambda now_s: made.state(now_s=now_s))
    window.go(Step.GUIDE)
    QTest.keyClick(window, Qt.Key.Key_F)
    assert window.guide.frozen
    QTest.keyClick(window, Qt.Key.Key_F)
    assert not window.guide.frozen


def test_plan_places_drags_and_undoes_points(
    make_window: Windows, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = make_window(session)
    assert window.go(Step.PLAN)
    page = window.pages[Step.PLAN]
    assert isinstance(page, PlanPage)
    before = session.planning.draft
    page.place(Handle.TARGET)
    view = page.axial
    QTest.mouseClick(view, Qt.MouseButton.LeftButton, pos=view.rect().center())
    assert session.planning.draft is not before
    assert session.planning.draft.target_ct_mm is not None
    assert np.linalg.norm(session.planning.draft.target_ct_mm - view.centre_ct_mm) < 2.0
    assert session.planning.draft.structure == "Liver"
    page.undo()
    assert session.planning.draft is before


def test_plan_proposes_on_the_worker_or_says_why_not(
    app: QApplication, make_window: Windows, session: Session
) -> None:
    window = make_window(session)
    window.go(Step.PLAN)
    page = window.pages[Step.PLAN]
    assert isinstance(page, PlanPage)
    before = session.planning.draft
    page.propose()
    done = wait_for(app, lambda: not window.desk.worker.busy, 60.0)
    assert done
    assert session.planning.draft is not before or window.desk.banner.text


def test_patient_says_what_is_wrong_with_a_file(
    app: QApplication, make_window: Windows, tmp_path: Path
) -> None:
    window = make_window(Session())
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"not an image")
    page = window.pages[Step.PATIENT]
    assert isinstance(page, PatientPage)
    page.load(broken)
    assert wait_for(app, lambda: window.desk.banner.isVisible())
    assert "broken.nii.gz" in window.desk.banner.text
    assert "Unexpected" not in window.desk.banner.text


def test_register_asks_before_it_takes_a_poor_fit(
    app: QApplication, make_window: Windows, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = np.array([[50.0, 0, 0], [0, 50, 0], [-50, 0, 0], [0, -50.0, 40]])
    session.set_fiducials(
        tuple(Fiducial(f"F{i}", (x, y, z)) for i, (x, y, z) in enumerate(points.tolist()))
    )
    rng = np.random.default_rng(3)
    noisy = points + rng.normal(0.0, 6.0, points.shape)
    names = tuple(fiducial.name for fiducial in session.case.fiducials)
    session.registering.landmarks.candidate = register_landmarks(names, points, noisy, NOW_S)
    tre = session.registering.predicted_tre_mm
    assert tre is not None
    assert 5.0 < tre < 15.0
    window = make_window(session)
    page = window.pages[Step.REGISTER]
    assert isinstance(page, RegisterPage)
    window.stage.pages.setCurrentWidget(page)
    page.show_state(session.tick(time.time()))
    page.accept()
    assert session.registering.registration is None
    assert page.fit._head.text() == f"! {tre:.1f} mm: accept it anyway?"
    page.confirm()
    accepted = session.registering.registration
    assert accepted is not None
    assert accepted.tre_mm(session.planning.plan.target_ct_mm) == pytest.approx(tre)


def test_window_is_saved_as_a_picture(make_window: Windows, tmp_path: Path) -> None:
    window = make_window(Session())
    window.grab_to(tmp_path / "screens" / "patient.png")
    assert (tmp_path / "screens" / "patient.png").stat().st_size > 10_000


@pytest.mark.parametrize("size", [(1920, 1080), (1366, 768)])
def test_nothing_is_larger_than_the_screen(
    app: QApplication, make_window: Windows, session: Session, size: tuple[int, int]
) -> None:
    window = make_window(session)
    window.resize(*size)
    app.processEvents()
    for step, page in window.pages.items():
        window.stage.pages.setCurrentWidget(page)
        app.processEvents()
        needed = page.minimumSizeHint()
        assert needed.width() <= page.width(), step
        assert needed.height() <= page.height(), step
    assert (window.width(), window.height()) == size
