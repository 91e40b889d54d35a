"""From the opened CT to the approved path, its file and its sheet, as a person does it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QComboBox, QFileDialog, QLabel, QLineEdit, QPushButton

from ir_nav.gui.main_window import MainWindow
from ir_nav.gui.pages.plan import PlanPage
from ir_nav.planning import load_plan
from ir_nav.planning.findings import broken
from ir_nav.session.session import Session
from ir_nav.session.steps import Step
from tests.data import data_path

Windows = Callable[..., MainWindow]
LEFT = Qt.MouseButton.LeftButton
# Within the right lobe; what a radiologist aims at.
AIM_CT_MM = np.array((-57.0, -21.0, -243.0))
AT_MOST_S, WAIT_S = 120.0, 40.0
SLICE_MM, MOST_SLICES = 2.5, 133


class Person:
    """Sees the window, presses its buttons and keys, and writes into its dialogs."""

    def __init__(self, app: QApplication, window: MainWindow) -> None:
        self.app, self.window = app, window
        self.took: dict[str, float] = {}
        self._since = time.monotonic()

    def until(self, what: str, holds: Callable[[], bool]) -> None:
        """Wait as a person waits, and note how long everything up to here took."""
        end = time.monotonic() + WAIT_S
        while not holds():
            assert time.monotonic() < end, f"{what}: {self.window.desk.banner.text}"
            self.window.tick()
            self.app.processEvents()
            time.sleep(0.005)
        now = time.monotonic()
        self.took[what], self._since = now - self._since, now

    def press(self, name: str) -> None:
        found = self.window.findChild(QPushButton, name)
        assert found is not None, name
        assert found.isVisible(), name
        assert found.isEnabled(), name
        QTest.mouseClick(found, LEFT)
        self.app.processEvents()

    def choose(self, name: str, text: str) -> None:
        """Open a list, go to an entry with the arrows, and take it with Enter."""
        box = self.window.findChild(QComboBox, name)
        assert box is not None
        box.showPopup()
        self.app.processEvents()
        entries = box.view()
        assert entries is not None
        model = box.model()
        assert model is not None
        entries.setCurrentIndex(model.index(box.findText(text), 0))
        QTest.keyClick(entries, Qt.Key.Key_Return)
        self.app.processEvents()
        assert box.currentText() == text

    def answer(self, path: Path) -> None:
        """Write a file's name into the dialog that is open."""
        self.app.processEvents()
        dialog = next(one for one in self.window.findChildren(QFileDialog) if one.isVisible())
        name = dialog.findChild(QLineEdit)
        assert name is not None
        name.setText(str(path))
        self.app.processEvents()
        dialog.accept()
        self.window.activateWindow()
        self.app.processEvents()

    def key(self, key: Qt.Key, modifiers: Qt.KeyboardModifier | None = None) -> None:
        QTest.keyClick(self.window, key, modifiers or Qt.KeyboardModifier.NoModifier)
        self.app.processEvents()

    def reads(self) -> list[str]:
        """All words in sight on the page."""
        page = self.window.pages[self.window.step]
        return [one.text() for one in page.findChildren(QLabel) if one.isVisible()]


def test_a_path_is_planned_in_under_two_minutes(
    app: QApplication, make_window: Windows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ct = data_path("ct", "chest_LIDC-IDRI-0001_dicom.zip")
    labels = data_path("ct", "chest_LIDC-IDRI-0001_labels.nii.gz")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    session = Session()
    window = make_window(session)
    window.resize(1920, 1080)
    person = Person(app, window)

    person.press("open_ct")
    person.answer(ct)
    person.until("CT read", lambda: session.case.volume is not None)
    person.press("open_labels")
    person.answer(labels)
    person.until("structures read", lambda: session.case.labels is not None)

    opened = time.monotonic()
    person.key(Qt.Key.Key_2, Qt.KeyboardModifier.ControlModifier)
    page = window.pages[Step.PLAN]
    assert isinstance(page, PlanPage)
    assert window.step is Step.PLAN
    person.choose("protocol", "Renal biopsy")
    person.choose("protocol", "Liver biopsy")

    view = page.axial
    view.setFocus()
    for _ in range(MOST_SLICES):
        away_mm = AIM_CT_MM[2] - view.centre_ct_mm[2]
        if abs(away_mm) <= SLICE_MM / 2.0 + 0.01:
            break
        QTest.keyClick(view, Qt.Key.Key_Up if away_mm > 0.0 else Qt.Key.Key_Down)
    app.processEvents()
    person.key(Qt.Key.Key_T)
    at = view.to_view(AIM_CT_MM)
    QTest.mouseClick(view, LEFT, pos=QPoint(int(at[0]), int(at[1])))
    target = session.planning.draft.target_ct_mm
    assert target is not None
    assert np.linalg.norm(target - AIM_CT_MM) < 4.0
    assert session.planning.draft.structure == "Liver"

    person.press("propose_path")
    person.until("paths proposed", lambda: session.planning.proposals is not None)
    proposals = session.planning.proposals
    assert proposals is not None
    assert len(proposals.paths) >= 3
    person.key(Qt.Key.Key_2)
    np.testing.assert_array_equal(
        session.planning.draft.entry_ct_mm, proposals.paths[1].path.entry_ct_mm
    )

    person.press("section_limits")
    person.until("limits shown", lambda: "kept" in person.reads())
    words, near = person.reads(), proposals.paths[1].limiting
    assert near is not None
    assert near.structure in words
    assert f"{near.value:.1f} mm" in words
    assert near.limit_words in words
    assert "NOT KEPT" not in words
    person.press("section_path")

    person.press("approve_plan")
    person.until("path approved", lambda: session.planning.plan is not None)
    person.press("save_plan")
    person.answer(tmp_path / "plan.json")
    person.press("section_needle")
    person.press("plan_sheet")
    person.answer(tmp_path / "sheet.pdf")
    person.until("sheet written", (tmp_path / "sheet.pdf").exists)
    spent_s = time.monotonic() - opened
    took = {what: round(seconds, 2) for what, seconds in person.took.items()}
    assert spent_s < AT_MOST_S, took
    plan = load_plan(tmp_path / "plan.json")
    assert plan.structure == "Liver"
    assert plan.protocol == "Liver biopsy"
    np.testing.assert_allclose(plan.path.entry_ct_mm, session.planning.draft.entry_ct_mm, atol=1e-3)
    assert session.planning.findings is not None
    assert session.planning.findings.limits is not None
    assert not broken(session.planning.findings.limits)
    person.until("worker at rest", lambda: not window.desk.worker.busy)
    assert (tmp_path / "sheet.pdf").read_bytes().startswith(b"%PDF-")
    session.close()
