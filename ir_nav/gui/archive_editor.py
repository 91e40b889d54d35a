"""The named archives: added, changed, tried out with an echo, removed."""

from __future__ import annotations

from pathlib import Path
from threading import Event

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QDialog, QHBoxLayout, QListWidget, QVBoxLayout, QWidget

from ir_nav.archive import (
    ArchiveError,
    DimseArchive,
    WebArchive,
    open_archive,
    read_archives,
    save_archives,
)
from ir_nav.gui import theme
from ir_nav.gui.archive_form import ArchiveForm
from ir_nav.gui.desk import as_sentence
from ir_nav.gui.forms import button, label, set_mood
from ir_nav.gui.worker import Worker

WIDTH_PX, HEIGHT_PX = 860, 640


class ArchiveEditor(QDialog):
    """A list of names at the left, the chosen archive's fields at the right."""

    def __init__(self, parent: QWidget | None, settings: Path) -> None:
        super().__init__(parent)
        self._settings = settings
        self._archives: list[DimseArchive | WebArchive] = []
        self._stop = Event()
        self._worker = Worker()
        self._worker.failed.connect(self._fail)
        self.setObjectName("archive_editor")
        self.setWindowTitle("Archives")
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self._names = QListWidget()
        self._names.setObjectName("archive_names")
        self._names.setAccessibleName("Named archives")
        self._names.setFixedWidth(240)
        self._names.currentRowChanged.connect(self._show_chosen)
        self._form = ArchiveForm()
        self._said = label("", "body", name="editor_said")
        self._build()
        self._read()

    def _build(self) -> None:
        self._new = button("archive_new", "New", self.start_new, kind="small")
        self._remove = button("archive_remove", "Remove", self.remove, kind="small")
        self._echo = button(
            "archive_echo", "Echo", self.echo, tip="Whether the archive answers and knows us"
        )
        self._save = button("archive_save", "Save", self.save, kind="primary")
        self._close = button("editor_close", "Close", self.reject)
        for one in (self._new, self._remove, self._echo, self._save, self._close):
            one.setAutoDefault(False)
        left = QVBoxLayout()
        left.addWidget(self._names, 1)
        under = QHBoxLayout()
        under.addWidget(self._new)
        under.addWidget(self._remove)
        left.addLayout(under)
        right = QVBoxLayout()
        right.addWidget(self._form)
        right.addStretch(1)
        right.addWidget(self._said)
        foot = QHBoxLayout()
        foot.addStretch(1)
        for one in (self._echo, self._close, self._save):
            foot.addWidget(one)
        right.addLayout(foot)
        row = QHBoxLayout(self)
        row.setContentsMargins(20, 16, 20, 16)
        row.setSpacing(2 * theme.GAP)
        row.addLayout(left)
        row.addLayout(right, 1)
        self.resize(WIDTH_PX, HEIGHT_PX)

    def start_new(self) -> None:
        """Empty fields for another archive."""
        self._names.setCurrentRow(-1)
        self._form.show_archive(None)
        self._say("")

    def save(self) -> None:
        """Keep what the fields say under its name."""
        try:
            archive = self._form.archive()
            replaced = {archive.name}
            if 0 <= self._names.currentRow() < len(self._archives):
                replaced.add(self._archives[self._names.currentRow()].name)
            others = [one for one in self._archives if one.name not in replaced]
            save_archives(self._settings, (*others, archive))
        except ArchiveError as error:
            self._fail(error)
            return
        self._read(archive.name)
        self._say(f"{archive.name} is kept", "good")

    def remove(self) -> None:
        """Forget the chosen archive."""
        row = self._names.currentRow()
        if not 0 <= row < len(self._archives):
            self._say("Choose the archive to remove", "bad")
            return
        rest = [one for index, one in enumerate(self._archives) if index != row]
        try:
            save_archives(self._settings, tuple(rest))
        except ArchiveError as error:
            self._fail(error)
            return
        self._read()

    def echo(self) -> None:
        """Ask the archive in the fields, saved or not, whether it answers."""
        if self._worker.busy:
            return
        try:
            archive = self._form.archive()
            client = open_archive(archive)
        except ArchiveError as error:
            self._fail(error)
            return
        self._stop.clear()
        self._say(f"Asking {archive.name} …")
        self._echo.setEnabled(False)
        self._worker.submit(
            "",
            lambda _: client.echo(cancelled=self._stop.is_set),
            lambda _: self._answered(archive.name),
        )

    def _answered(self, name: str) -> None:
        self._echo.setEnabled(True)
        self._say(f"{name} answers and knows us", "good")

    def _read(self, chosen: str = "") -> None:
        try:
            self._archives = list(read_archives(self._settings))
        except ArchiveError as error:
            self._archives = []
            self._fail(error)
        self._names.blockSignals(True)
        self._names.clear()
        self._names.addItems([archive.name for archive in self._archives])
        self._names.blockSignals(False)
        names = [archive.name for archive in self._archives]
        row = names.index(chosen) if chosen in names else min(0, len(names) - 1)
        self._names.setCurrentRow(row)
        self._show_chosen(row)

    def _show_chosen(self, row: int) -> None:
        known = 0 <= row < len(self._archives)
        self._form.show_archive(self._archives[row] if known else None)
        self._remove.setEnabled(known)

    def _fail(self, error: Exception) -> None:
        self._echo.setEnabled(True)
        spoken = isinstance(error, ArchiveError)
        words = as_sentence(str(error)) if spoken else f"Unexpected error, {error}"
        self._say(words, "bad")

    def _say(self, words: str, mood: str = "") -> None:
        self._said.setText(words)
        set_mood(self._said, mood)

    def done(self, result: int) -> None:
        self._stop.set()
        self._worker.close()
        super().done(result)
