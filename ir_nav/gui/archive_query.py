"""What to search an archive for: patient, days, kind of images."""

from __future__ import annotations

from datetime import date

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QComboBox, QGridLayout, QLineEdit, QWidget

from ir_nav.archive import ArchiveError, StudyQuery
from ir_nav.gui import theme
from ir_nav.gui.forms import label

ANY_KIND = "Any kind"
KINDS = (ANY_KIND, "CT", "MR", "PT", "US", "XA", "RF", "NM", "DX")


class ArchiveQueryForm(QWidget):
    """Fields in one line, each under its name. entered: the Return key was pressed in one."""

    entered = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self._name = self._field("query_name", "Patient name", "SMITH*")
        self._id = self._field("query_id", "Patient ID", "* matches any text")
        self._first = self._field("query_first", "From", "2026-01-31")
        self._last = self._field("query_last", "To", "2026-12-31")
        self._kind = QComboBox()
        self._kind.setObjectName("query_kind")
        self._kind.setAccessibleName("Kind of images")
        self._kind.addItems(KINDS)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(theme.GAP)
        grid.setVerticalSpacing(4)
        widgets = (self._name, self._id, self._first, self._last, self._kind)
        for column, (widget, stretch) in enumerate(zip(widgets, (3, 3, 2, 2, 2), strict=True)):
            caption = label(widget.accessibleName())
            caption.setBuddy(widget)
            grid.addWidget(caption, 0, column)
            grid.addWidget(widget, 1, column)
            grid.setColumnStretch(column, stretch)

    def query(self) -> StudyQuery:
        """What the fields say. Raises ArchiveError for a day that is none."""
        kind = self._kind.currentText()
        return StudyQuery(
            patient_id=self._id.text().strip(),
            patient_name=self._name.text().strip(),
            first_day=_day(self._first),
            last_day=_day(self._last),
            modality="" if kind == ANY_KIND else kind,
        )

    def _field(self, name: str, words: str, example: str) -> QLineEdit:
        field = QLineEdit()
        field.setObjectName(name)
        field.setAccessibleName(words)
        field.setPlaceholderText(example)
        field.returnPressed.connect(self.entered)
        return field


def _day(field: QLineEdit) -> date | None:
    text = field.text().strip()
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArchiveError(
            f"{field.accessibleName()}: '{text}' is no day: write it as 2026-03-31"
        ) from None
