"""Studies and series of an archive, a row each."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from ir_nav.archive import SeriesRecord, StudyRecord

STUDY_HEADINGS = ("Date", "Patient", "ID", "Kind", "Description", "Series", "Images")
SERIES_HEADINGS = ("No.", "Kind", "Description", "Images")
ROW_PX = 36
HEAD_PX = 40
NUMBERS = ("No.", "Series", "Images")


class RecordTable(QTableWidget):
    """Rows to choose one of. chosen: another row, or none (-1), is current."""

    chosen = pyqtSignal(int)

    def __init__(self, name: str, words: str, headings: Sequence[str], wide: Sequence[str]) -> None:
        super().__init__(0, len(headings))
        self.setObjectName(name)
        self.setAccessibleName(words)
        self._headings = tuple(headings)
        self.setHorizontalHeaderLabels(headings)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        assert rows is not None
        assert columns is not None
        rows.hide()
        rows.setDefaultSectionSize(ROW_PX)
        columns.setHighlightSections(False)
        columns.setFixedHeight(HEAD_PX)
        # The theme's padding is for its sections; on the header it would shift the columns.
        columns.setStyleSheet("QHeaderView { padding: 0; }")
        columns.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for index, heading in enumerate(headings):
            mode = QHeaderView.ResizeMode
            columns.setSectionResizeMode(
                index, mode.Stretch if heading in wide else mode.ResizeToContents
            )
        self.currentCellChanged.connect(self._tell)

    def show_rows(self, rows: Sequence[Sequence[str]]) -> None:
        """Replace the rows; the first becomes current."""
        self.blockSignals(True)
        self.clearContents()
        self.setRowCount(len(rows))
        for row, texts in enumerate(rows):
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                item.setToolTip(text)
                if self._headings[column] in NUMBERS:
                    item.setTextAlignment(
                        Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    )
                self.setItem(row, column, item)
        self.setCurrentCell(0 if rows else -1, 0)
        self.blockSignals(False)
        self.chosen.emit(self.currentRow())

    def _tell(self, row: int, _column: int, before: int, _before_column: int) -> None:
        if row != before:
            self.chosen.emit(row)


def study_row(study: StudyRecord) -> tuple[str, ...]:
    """A study in the order of STUDY_HEADINGS."""
    return (
        study.study_date,
        study.patient_name or "not given",
        study.patient_id,
        ", ".join(study.modalities),
        study.description,
        _number(study.series_count),
        _number(study.instance_count),
    )


def series_row(series: SeriesRecord) -> tuple[str, ...]:
    """A series in the order of SERIES_HEADINGS."""
    return (
        _number(series.number),
        series.modality,
        series.description or "no description",
        _number(series.instance_count),
    )


def _number(value: int | None) -> str:
    return "?" if value is None else str(value)
