"""From the archive, in the window: against Orthanc, off screen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import pytest
from PyQt6.QtCore import QSettings, Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import (
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QListWidget,
    QPushButton,
    QTableWidget,
    QWidget,
)

from ir_nav.archive import read_archives, save_archives, settings_path
from ir_nav.gui.app import application
from ir_nav.gui.archive_dialog import ArchiveDialog
from ir_nav.gui.archive_editor import ArchiveEditor
from ir_nav.gui.main_window import MainWindow
from ir_nav.session.session import Session
from tests.archive.conftest import IMAGES, Ward
from tests.archive.made import SIDE_PX
from tests.archive.relay import Relay

Found = TypeVar("Found", bound=QWidget)


@pytest.fixture(scope="module")
def app() -> QApplication:
    return application()


@pytest.fixture
def dialog(app: QApplication, ward: Ward, tmp_path: Path) -> Iterator[ArchiveDialog]:
    save_archives(tmp_path / "a.json", (ward.dimse(), ward.web()))
    made = ArchiveDialog(None, tmp_path / "a.json", tmp_path / "in")
    made.show()
    yield made
    made.close()


def named(parent: QWidget, kind: type[Found], name: str) -> Found:
    found = parent.findChild(kind, name)
    assert found is not None, name
    return found


def until(app: QApplication, what: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + 15.0
    while not what():
        app.processEvents()
        time.sleep(0.005)
        assert time.monotonic() < deadline_s


def texts(table: QTableWidget) -> list[list[str]]:
    rows = range(table.rowCount())
    columns = range(table.columnCount())
    return [[((i := table.item(r, c)) and i.text()) or "" for c in columns] for r in rows]


def said(parent: QWidget, name: str = "archive_said") -> str:
    return named(parent, QLabel, name).text()


@pytest.mark.parametrize("archive", ["Ward", "Web"])
def test_search_choose_fetch_and_hand_over(
    app: QApplication, dialog: ArchiveDialog, ward: Ward, archive: str, tmp_path: Path
) -> None:
    named(dialog, QComboBox, "archive_choice").setCurrentText(archive)
    fetch = named(dialog, QPushButton, "archive_fetch")
    assert not fetch.isEnabled()
    named(dialog, QLineEdit, "query_id").setText("HOSP*")
    named(dialog, QPushButton, "archive_search").click()
    until(app, fetch.isEnabled)
    ((day, patient, *_, count),) = texts(named(dialog, QTableWidget, "studies"))
    assert (day, patient, count) == ("2026-03-17", "ÄCKERMANN KLARA", str(IMAGES))
    assert texts(named(dialog, QTableWidget, "series")) == [
        ["3", "CT", "Portal venous", str(IMAGES)]
    ]
    assert said(dialog) == "1 study found"
    got: list[Path] = []
    dialog.fetched.connect(got.append)
    fetch.click()
    until(app, lambda: got)
    assert got == [tmp_path / "in" / ward.series.series_uid]
    assert len(list(got[0].iterdir())) == IMAGES
    assert not dialog.isVisible()


def test_cancel_stops_the_fetch_and_says_so(app: QApplication, ward: Ward, tmp_path: Path) -> None:
    with Relay(ward.running.dicom_port, limit_bytes=500_000, stalling=True) as relay:
        save_archives(tmp_path / "a.json", (ward.dimse(port=relay.port),))
        dialog = ArchiveDialog(None, tmp_path / "a.json", tmp_path / "in")
        dialog.show()
        named(dialog, QLineEdit, "query_id").setText("HOSP*")
        dialog.search()
        fetch = named(dialog, QPushButton, "archive_fetch")
        until(app, fetch.isEnabled)
        cancel = named(dialog, QPushButton, "archive_cancel")
        fetch.click()
        until(app, lambda: any((tmp_path / "in").glob(".partial-*/*")))
        assert cancel.isVisible()
        assert not fetch.isEnabled()
        started_s = time.monotonic()
        cancel.click()
        until(app, fetch.isEnabled)
        assert time.monotonic() - started_s < 1.0
        assert said(dialog) == "Cancelled: nothing was kept"
        assert list((tmp_path / "in").iterdir()) == []
        dialog.close()


def test_a_refusal_and_a_wrong_day_are_said_in_words(
    app: QApplication, dialog: ArchiveDialog, ward: Ward, tmp_path: Path
) -> None:
    first = named(dialog, QLineEdit, "query_first")
    first.setText("17.3.2026")
    dialog.search()
    assert "From: '17.3.2026' is no day" in said(dialog)
    first.clear()
    named(dialog, QLineEdit, "query_name").setText("NOBODY")
    dialog.search()
    until(app, lambda: "No study matches" in said(dialog))
    save_archives(tmp_path / "b.json", (ward.dimse(ae_title="OTHER"),))
    refused = ArchiveDialog(None, tmp_path / "b.json", tmp_path / "in")
    refused.search()
    until(app, lambda: "is not called 'OTHER'" in said(refused))
    assert named(refused, QPushButton, "archive_search").isEnabled()
    refused.close()


def test_without_archives_the_dialog_says_what_to_do(app: QApplication, tmp_path: Path) -> None:
    dialog = ArchiveDialog(None, tmp_path / "none.json", tmp_path / "in")
    assert "add one under Archives" in said(dialog)
    assert not named(dialog, QPushButton, "archive_search").isEnabled()
    dialog.close()


def test_an_archive_is_added_tried_out_changed_and_removed(
    app: QApplication, ward: Ward, tmp_path: Path
) -> None:
    settings = tmp_path / "a.json"
    editor = ArchiveEditor(None, settings)
    editor.show()

    def fill(name: str, text: str) -> None:
        named(editor, QLineEdit, f"archive_{name}").setText(text)

    fill("name", "Ward")
    fill("host", "127.0.0.1")
    fill("port", "none")
    fill("ae_title", "WARD")
    named(editor, QPushButton, "archive_save").click()
    assert said(editor, "editor_said").startswith("Port: ")
    fill("port", str(ward.running.dicom_port))
    named(editor, QPushButton, "archive_echo").click()
    until(app, lambda: said(editor, "editor_said") == "Ward answers and knows us")
    named(editor, QPushButton, "archive_save").click()
    (kept,) = read_archives(settings)
    assert kept == ward.dimse(move_port=11112, timeout_s=30.0)
    fill("ae_title", "OTHER")
    named(editor, QPushButton, "archive_echo").click()
    until(app, lambda: "is not called 'OTHER'" in said(editor, "editor_said"))
    fill("name", "Renamed")
    named(editor, QPushButton, "archive_save").click()
    assert [one.name for one in read_archives(settings)] == ["Renamed"]
    editor.start_new()
    named(editor, QComboBox, "archive_kind").setCurrentText("DICOMweb")
    assert not named(editor, QLineEdit, "archive_host").isVisible()
    fill("name", "Web")
    fill("url", "http://far.example")
    fill("user", "nurse")
    fill("password", "geheim-77")
    named(editor, QPushButton, "archive_save").click()
    assert "use https" in said(editor, "editor_said")
    fill("url", "https://far.example")
    named(editor, QPushButton, "archive_save").click()
    assert [one.name for one in read_archives(settings)] == ["Renamed", "Web"]
    named(editor, QListWidget, "archive_names").setCurrentRow(0)
    named(editor, QPushButton, "archive_remove").click()
    assert [one.name for one in read_archives(settings)] == ["Web"]
    editor.close()


def test_the_key_opens_the_dialog_and_what_came_is_opened_like_a_folder(
    app: QApplication, ward: Ward, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    save_archives(settings_path(), (ward.dimse(),))
    assert tmp_path in settings_path().parents
    with closing(Session()) as session:
        own = QSettings(str(tmp_path / "gui.ini"), QSettings.Format.IniFormat)
        window = MainWindow(session, acknowledged=True, settings=own)
        window.show()
        window.activateWindow()
        app.processEvents()
        keys = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
        QTest.keyClick(window, Qt.Key.Key_O, keys)
        dialog = named(window, ArchiveDialog, "archive_dialog")
        assert dialog.isVisible()
        named(dialog, QLineEdit, "query_id").setText("HOSP*")
        dialog.search()
        fetch = named(dialog, QPushButton, "archive_fetch")
        until(app, fetch.isEnabled)
        fetch.click()
        until(app, lambda: session.case.volume is not None)
        volume = session.case.volume
        assert volume is not None
        assert volume.size_ijk == (SIDE_PX, SIDE_PX, IMAGES)
        assert volume.description.patient_id == "HOSP-778812"
        window.close()
