"""The series of a folder, zip or disc with their pictures: choose one to open."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from PyQt6.QtCore import QSize, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QFontMetrics, QImage, QKeyEvent, QPixmap
from PyQt6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ir_nav.gui import theme
from ir_nav.gui.desk import as_sentence
from ir_nav.gui.forms import button, label, set_mood
from ir_nav.gui.worker import Worker
from ir_nav.imaging import SeriesIndex, SeriesSummary, Severity, patients, thumbnails
from ir_nav.imaging.series_words import (
    file_words,
    modality_words,
    object_words,
    side_words,
    size_words,
    spacing_words,
)
from ir_nav.imaging.thumbnails import EDGE_PX, Picture

WIDTH_PX, HEIGHT_PX = 1080, 860
MARGIN_PX = 40
PICTURE_PX = 96
HEADING_PX = 44
_SIGNS = {
    Severity.REFUSED: ("✕", "bad"),
    Severity.CORRECTED: ("!", "warn"),
    Severity.NOTED: ("!", "warn"),
}


def ask_series(
    parent: QWidget, index: SeriesIndex, chosen: Callable[[SeriesSummary], None]
) -> SeriesChooser:
    """Ask which series to open."""
    dialog = SeriesChooser(parent, index)
    dialog.chosen.connect(chosen)
    dialog.finished.connect(dialog.deleteLater)
    dialog.open()
    return dialog


class SeriesChooser(QDialog):
    """One row for each series under its study; pictures come as they are read.

    chosen: the series to open, when the user opens one.
    """

    chosen = pyqtSignal(object)

    def __init__(self, parent: QWidget | None, index: SeriesIndex) -> None:
        super().__init__(parent)
        self._index = index
        self._rows: dict[int, SeriesRow] = {}
        self._worker = Worker()
        self._over = False
        self._pictures: Iterator[tuple[SeriesSummary, Picture | None]] = thumbnails(
            index, index.series
        )
        self._build()
        self._fill()
        self._fit()
        self._choose_first()
        self._read_next_picture()

    def _build(self) -> None:
        self.setObjectName("series_chooser")
        self.setWindowTitle("Choose a series")
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self._list = QListWidget()
        self._list.setObjectName("series_list")
        self._list.setAccessibleName("Series")
        self._list.setVerticalScrollMode(QListWidget.ScrollMode.ScrollPerPixel)
        self._list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._list.currentItemChanged.connect(lambda *_: self._follow())
        self._list.itemDoubleClicked.connect(lambda _: self.open_chosen())
        self._open = button("open_series", "Open", self.open_chosen, kind="primary", tip="Enter")
        self._open.setDefault(True)
        close = button("cancel_series", "Cancel", self.reject, tip="Esc")
        close.setAutoDefault(False)
        self._said = label("", "body", name="series_said")
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 16, 20, 16)
        column.setSpacing(theme.GAP)
        column.addWidget(label(f"Series in {self._index.path.name}", "title"))
        column.addWidget(self._list, 1)
        for words in file_words(self._index):
            found = label(f"✕  {as_sentence(words)}")
            set_mood(found, "bad")
            column.addWidget(found)
        others = object_words(self._index)
        if others:
            column.addWidget(label(f"Also there, not opened as images: {others}", "quiet"))
        foot = QHBoxLayout()
        foot.setSpacing(theme.GAP)
        foot.addWidget(self._said, 1)
        foot.addWidget(close)
        foot.addWidget(self._open)
        column.addLayout(foot)

    def _fill(self) -> None:
        for patient in patients(self._index):
            for study in patient.studies:
                if not study.series:
                    continue
                facts = study.facts
                words = (patient.patient_id, facts.study_date, facts.study_description)
                self._add_heading("   ".join(word for word in words if word) or "No patient ID")
                for summary in study.series:
                    self._add_row(summary)

    def _add_heading(self, words: str) -> None:
        item = QListWidgetItem()
        item.setFlags(Qt.ItemFlag.NoItemFlags)
        heading = label(words, "heading")
        heading.setWordWrap(False)
        heading.setContentsMargins(10, 8, 10, 2)
        self._list.addItem(item)
        item.setSizeHint(QSize(0, HEADING_PX))
        self._list.setItemWidget(item, heading)

    def _add_row(self, summary: SeriesSummary) -> None:
        item = QListWidgetItem()
        item.setData(Qt.ItemDataRole.UserRole, summary)
        row = SeriesRow(summary)
        item.setData(Qt.ItemDataRole.AccessibleTextRole, row.accessibleName())
        self._list.addItem(item)
        self._list.setItemWidget(item, row)
        self._rows[id(summary)] = row

    def _fit(self) -> None:
        """As large as is useful, within the window it stands over."""
        parent = self.parentWidget()
        window = None if parent is None else parent.window()
        width, height = WIDTH_PX, HEIGHT_PX
        if window is not None:
            width = min(width, window.width() - MARGIN_PX)
            height = min(height, window.height() - MARGIN_PX)
        self.resize(width, height)
        inside = width - 2 * MARGIN_PX
        for position in range(self._list.count()):
            item = self._list.item(position)
            row = None if item is None else self._list.itemWidget(item)
            if item is not None and isinstance(row, SeriesRow):
                item.setSizeHint(QSize(0, row.height_for(inside)))

    def _choose_first(self) -> None:
        """Begin at what one would most likely plan on."""
        wanted = self._index.series[0] if self._index.series else None
        for position in range(self._list.count()):
            item = self._list.item(position)
            if item is not None and item.data(Qt.ItemDataRole.UserRole) is wanted:
                self._list.setCurrentItem(item)
                self._list.scrollToItem(item, QListWidget.ScrollHint.PositionAtCenter)
        self._list.setFocus()
        self._follow()

    @property
    def current(self) -> SeriesSummary | None:
        """The series under the cursor."""
        item = self._list.currentItem()
        found = None if item is None else item.data(Qt.ItemDataRole.UserRole)
        return found if isinstance(found, SeriesSummary) else None

    def _follow(self) -> None:
        summary = self.current
        readable = summary is not None and summary.readable
        self._open.setEnabled(readable)
        words = "↑ ↓ choose, Enter opens, Esc cancels"
        if summary is not None and not readable:
            words = f"Cannot be opened: {summary.refusal}"
        elif summary is not None and summary.modality != "CT":
            words = f"{modality_words(summary)} can be looked at; planning needs a CT"
        self._said.setText(words)

    def open_chosen(self) -> None:
        """Open the series under the cursor; one that cannot be opened stays where it is."""
        summary = self.current
        if summary is not None and summary.readable:
            self.accept()
            self.chosen.emit(summary)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is not None and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.open_chosen()
            return
        super().keyPressEvent(event)

    def _read_next_picture(self) -> None:
        """One picture at a time: a dialog that closes waits for one only."""
        if not self._over:
            self._worker.submit(
                "", lambda _: next(self._pictures, None), self._show_picture, quiet=True
            )

    def _show_picture(self, found: tuple[SeriesSummary, Picture | None] | None) -> None:
        if found is None or self._over:
            return
        summary, picture = found
        self._rows[id(summary)].show_picture(picture)
        QTimer.singleShot(0, self._read_next_picture)

    def done(self, result: int) -> None:
        self._over = True
        self._worker.close()
        super().done(result)


class SeriesRow(QWidget):
    """Picture at the left; title, facts and problems at the right."""

    def __init__(self, summary: SeriesSummary) -> None:
        super().__init__()
        self._picture = QLabel("…")
        self._picture.setFixedSize(PICTURE_PX, PICTURE_PX)
        self._picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._picture.setStyleSheet(f"background: {theme.IMAGE}; border-radius: 4px;")
        title = label(f"{modality_words(summary)}   {summary.title}", "value")
        if not summary.readable:
            set_mood(title, "quiet")
        facts = (size_words(summary), spacing_words(summary), side_words(summary))
        detail = label("   ".join(fact for fact in facts if fact), "note")
        self._words = [title, detail]
        for problem in summary.problems:
            sign, mood = _SIGNS[problem.severity]
            found = label(f"{sign}  {as_sentence(problem.text)}")
            set_mood(found, mood)
            self._words.append(found)
        text = QVBoxLayout()
        text.setSpacing(4)
        for words in self._words:
            text.addWidget(words)
        text.addStretch(1)
        row = QHBoxLayout(self)
        row.setContentsMargins(10, 8, 10, 8)
        row.setSpacing(16)
        row.addWidget(self._picture, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(text, 1)
        self.setAccessibleName(". ".join(words.text() for words in self._words))

    def height_for(self, width: int) -> int:
        """Height in px at which nothing is cut off at a width."""
        inside = width - PICTURE_PX - 36
        heights = [
            QFontMetrics(words.font())
            .boundingRect(0, 0, inside, 10_000, Qt.TextFlag.TextWordWrap, words.text())
            .height()
            + 6
            for words in self._words
        ]
        return 18 + max(PICTURE_PX, sum(heights))

    def show_picture(self, picture: Picture | None) -> None:
        """Show the thumbnail, or that there is none."""
        if picture is None:
            self._picture.setText("no picture")
            self._picture.setProperty("kind", "quiet")
            return
        rows, columns = picture.shape
        image = QImage(
            picture.tobytes(), columns, rows, columns, QImage.Format.Format_Grayscale8
        ).copy()
        size = QSize(columns, rows) * PICTURE_PX / EDGE_PX
        shown = image.scaled(
            size, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        )
        self._picture.setText("")
        self._picture.setPixmap(QPixmap.fromImage(shown))
