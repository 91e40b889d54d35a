"""What an archive listed: studies above, the series of the chosen one beneath."""

from __future__ import annotations

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QVBoxLayout, QWidget

from ir_nav.archive import SeriesRecord, StudyRecord
from ir_nav.gui import theme
from ir_nav.gui.archive_tables import (
    SERIES_HEADINGS,
    STUDY_HEADINGS,
    RecordTable,
    series_row,
    study_row,
)
from ir_nav.gui.forms import label


class ArchiveResults(QWidget):
    """Two tables. study_chosen: the study, or None. series_chosen: another series, or none, is
    current. opened: a series was double-clicked."""

    study_chosen = pyqtSignal(object)
    series_chosen = pyqtSignal()
    opened = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self._studies: tuple[StudyRecord, ...] = ()
        self._series: tuple[SeriesRecord, ...] = ()
        wide = ("Patient", "ID", "Description")
        self._study_table = RecordTable("studies", "Studies", STUDY_HEADINGS, wide)
        self._study_table.chosen.connect(lambda _: self._another_study())
        self._series_table = RecordTable("series", "Series of the study", SERIES_HEADINGS, wide)
        self._series_table.chosen.connect(lambda _: self.series_chosen.emit())
        self._series_table.itemDoubleClicked.connect(lambda _: self.opened.emit())
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.GAP)
        column.addWidget(label("Studies", "heading"))
        column.addWidget(self._study_table, 3)
        column.addWidget(label("Series of the chosen study", "heading"))
        column.addWidget(self._series_table, 2)

    @property
    def study(self) -> StudyRecord | None:
        """The chosen study."""
        row = self._study_table.currentRow()
        return self._studies[row] if 0 <= row < len(self._studies) else None

    @property
    def series(self) -> SeriesRecord | None:
        """The chosen series."""
        row = self._series_table.currentRow()
        return self._series[row] if 0 <= row < len(self._series) else None

    def show_studies(self, studies: tuple[StudyRecord, ...]) -> None:
        """List these; the first becomes the chosen one."""
        self._studies = studies
        self._study_table.show_rows([study_row(study) for study in studies])

    def show_series(self, study: StudyRecord, series: tuple[SeriesRecord, ...]) -> None:
        """List the series of a study, unless another one has been chosen meanwhile."""
        if self.study is study:
            self._list(series)

    def _another_study(self) -> None:
        self._list(())
        self.study_chosen.emit(self.study)

    def _list(self, series: tuple[SeriesRecord, ...]) -> None:
        self._series = series
        self._series_table.show_rows([series_row(one) for one in series])
