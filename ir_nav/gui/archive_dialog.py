"""From the archive: search, choose a series, fetch it, open it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import TypeVar

from platformdirs import user_data_path
from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QCloseEvent
from PyQt6.QtWidgets import QComboBox, QDialog, QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from ir_nav.archive import (
    ArchiveError,
    DimseArchive,
    FetchedSeries,
    StudyRecord,
    TransferCancelledError,
    WebArchive,
    open_archive,
    read_archives,
    settings_path,
)
from ir_nav.gui import theme
from ir_nav.gui.archive_editor import ArchiveEditor
from ir_nav.gui.archive_query import ArchiveQueryForm
from ir_nav.gui.archive_results import ArchiveResults
from ir_nav.gui.desk import as_sentence
from ir_nav.gui.forms import button, label, set_mood
from ir_nav.gui.worker import Worker
from ir_nav.progress import Progress

WIDTH_PX, HEIGHT_PX = 1280, 820
MARGIN_PX = 40
NO_ARCHIVE = "No archive has a name yet: add one under Archives…"

Result = TypeVar("Result")


def ask_archive(parent: QWidget, chosen: Callable[[Path], None]) -> ArchiveDialog:
    """Ask for a series of an archive; `chosen` is called with its folder once it came whole."""
    into = user_data_path("ir-nav", appauthor=False) / "fetched"
    dialog = ArchiveDialog(parent, settings_path(), into)
    dialog.fetched.connect(chosen)
    dialog.finished.connect(dialog.deleteLater)
    dialog.open()
    return dialog


class ArchiveDialog(QDialog):
    """Lists what an archive holds and brings one series into `into`.

    settings: the file of the named archives. fetched: the folder of a series that came whole.
    """

    fetched = pyqtSignal(object)

    def __init__(self, parent: QWidget | None, settings: Path, into: Path) -> None:
        super().__init__(parent)
        self._settings, self._into = settings, into
        self._archives: tuple[DimseArchive | WebArchive, ...] = ()
        self._stop = Event()
        self._worker = Worker()
        self._worker.progressed.connect(self._show_progress)
        self._worker.failed.connect(self._fail)
        self._build()
        self._read_archives()

    def _build(self) -> None:
        self.setObjectName("archive_dialog")
        self.setWindowTitle("From the archive")
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self._choice = QComboBox()
        self._choice.setObjectName("archive_choice")
        self._choice.setAccessibleName("Archive")
        self._choice.currentIndexChanged.connect(lambda _: self._results.show_studies(()))
        self._query = ArchiveQueryForm()
        self._query.entered.connect(self.search)
        self._results = ArchiveResults()
        self._results.study_chosen.connect(self._list_series)
        self._results.series_chosen.connect(self._follow)
        self._results.opened.connect(self.fetch)
        self._said = label("", "body", name="archive_said")
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName("Images fetched")
        self._make_buttons()
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 16, 20, 16)
        column.setSpacing(theme.GAP)
        column.addLayout(self._head())
        column.addWidget(self._query)
        column.addWidget(self._results, 1)
        column.addWidget(self._bar)
        column.addLayout(self._foot())
        self._fit()

    def _make_buttons(self) -> None:
        self._search = button("archive_search", "Search", self.search)
        self._edit = button("edit_archives", "Archives…", self.edit_archives, kind="small")
        self._cancel = button("archive_cancel", "Cancel", self.cancel)
        self._close = button("archive_close", "Close", self.reject)
        self._fetch = button("archive_fetch", "Fetch and open", self.fetch, kind="primary")
        self._fetch.setAutoDefault(False)
        for other in (self._search, self._edit, self._cancel, self._close):
            other.setAutoDefault(False)

    def _head(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(theme.GAP)
        row.addWidget(label("From the archive", "title"))
        row.addStretch(1)
        self._choice.setMinimumWidth(260)
        row.addWidget(self._choice)
        row.addWidget(self._edit)
        row.addWidget(self._search)
        return row

    def _foot(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(theme.GAP)
        row.addWidget(self._said, 1)
        row.addWidget(self._cancel)
        row.addWidget(self._close)
        row.addWidget(self._fetch)
        return row

    def _fit(self) -> None:
        """As large as is useful, within the window it stands over."""
        parent = self.parentWidget()
        width, height = WIDTH_PX, HEIGHT_PX
        if parent is not None:
            over = parent.window()
            if over is not None:
                width = min(width, over.width() - MARGIN_PX)
                height = min(height, over.height() - MARGIN_PX)
        self.resize(width, height)

    def search(self) -> None:
        """List the studies that match."""
        archive = self._archive()
        if archive is None or self._worker.busy:
            return
        try:
            query = self._query.query()
        except ArchiveError as error:
            self._fail(error)
            return
        client = open_archive(archive)
        self._run(
            f"Searching {archive.name} …",
            lambda _: client.find_studies(query, cancelled=self._stop.is_set),
            self._show_studies,
        )

    def fetch(self) -> None:
        """Bring the chosen series here, then say where it is."""
        archive, series = self._archive(), self._results.series
        if archive is None or series is None or self._worker.busy:
            return
        client = open_archive(archive)

        def work(progress: Progress) -> FetchedSeries:
            return client.fetch(
                series,
                self._into,
                progress=lambda done, total: progress(done / total if total else 0.0),
                cancelled=self._stop.is_set,
            )

        self._run(f"Fetching {series.modality} {series.description} …", work, self._hand_over)

    def cancel(self) -> None:
        """Stop what is under way, within a second."""
        self._stop.set()

    def edit_archives(self) -> None:
        """Change the named archives."""
        editor = ArchiveEditor(self, self._settings)
        editor.finished.connect(lambda _: self._read_archives())
        editor.finished.connect(editor.deleteLater)
        editor.open()

    def _read_archives(self) -> None:
        try:
            self._archives = read_archives(self._settings)
        except ArchiveError as error:
            self._archives = ()
            self._fail(error)
        else:
            self._say("" if self._archives else NO_ARCHIVE)
        named = self._choice.currentText()
        self._choice.blockSignals(True)
        self._choice.clear()
        self._choice.addItems([archive.name for archive in self._archives])
        self._choice.setCurrentIndex(max(self._choice.findText(named), 0))
        self._choice.blockSignals(False)
        self._results.show_studies(())

    def _archive(self) -> DimseArchive | WebArchive | None:
        index = self._choice.currentIndex()
        return self._archives[index] if 0 <= index < len(self._archives) else None

    def _show_studies(self, studies: tuple[StudyRecord, ...]) -> None:
        count = len(studies)
        self._say(
            f"{count} {'study' if count == 1 else 'studies'} found"
            if count
            else "No study matches: search for less, such as the first letters and *"
        )
        self._results.show_studies(studies)

    def _list_series(self, study: StudyRecord | None) -> None:
        archive = self._archive()
        if archive is None or study is None:
            self._follow()
            return
        client = open_archive(archive)
        self._run(
            "",
            lambda _: client.find_series(study.study_uid, cancelled=self._stop.is_set),
            lambda found: self._results.show_series(study, found),
        )

    def _hand_over(self, done: FetchedSeries) -> None:
        self._say(f"{done.instance_count} images fetched", "good")
        self.fetched.emit(done.folder)
        self.accept()

    def _run(
        self, words: str, work: Callable[[Progress], Result], done: Callable[[Result], None]
    ) -> None:
        self._stop.clear()
        if words:
            self._say(words)
        self._bar.setRange(0, 0)

        def finish(result: Result) -> None:
            done(result)
            self._follow()

        self._worker.submit(words, work, finish)
        self._follow()

    def _show_progress(self, fraction: float) -> None:
        self._bar.setRange(0, 1000)
        self._bar.setValue(round(1000 * fraction))

    def _fail(self, error: Exception) -> None:
        if isinstance(error, TransferCancelledError):
            self._say("Cancelled: nothing was kept")
        elif isinstance(error, ArchiveError):
            self._say(as_sentence(str(error)), "bad")
        else:
            self._say(f"Unexpected error, {type(error).__name__}: {error}", "bad")
        self._follow()

    def _say(self, words: str, mood: str = "") -> None:
        self._said.setText(words)
        set_mood(self._said, mood)

    def _follow(self) -> None:
        busy = self._worker.busy
        self._bar.setVisible(busy)
        self._cancel.setVisible(busy)
        self._search.setEnabled(not busy and self._archive() is not None)
        self._choice.setEnabled(not busy)
        self._edit.setEnabled(not busy)
        self._fetch.setEnabled(not busy and self._results.series is not None)

    def done(self, result: int) -> None:
        self._stop.set()
        self._worker.close()
        super().done(result)

    def closeEvent(self, event: QCloseEvent | None) -> None:
        self._stop.set()
        self._worker.close()
        super().closeEvent(event)
