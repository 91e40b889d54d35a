"""The list of limits: what needs a look in sight, what is kept folded away behind its count."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from ir_nav.gui.forms import button, label, set_kind, set_mood
from ir_nav.gui.limit_rows import LimitRow, Standing

# Narrower than this a limit takes two lines: name and verdict, then value and limit.
ONE_LINE_PX = 400


class LimitList(QWidget):
    """Every limit of the path at hand. What is kept is folded away while something is not."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: tuple[LimitRow, ...] = ()
        self._open, self._kept = _Rows(), _Rows()
        self._fold = button(
            "kept_limits", "", self._show_kept, kind="small", checkable=True, tip="Show or fold"
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._open)
        column.addWidget(self._fold)
        column.addWidget(self._kept)
        self._show()

    def show_rows(self, rows: tuple[LimitRow, ...]) -> None:
        """Show the limits of a path."""
        if rows != self.rows:
            self.rows = rows
            self._show()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        for part in (self._open, self._kept):
            part.set_narrow(self.width() < ONE_LINE_PX)

    def _show(self) -> None:
        kept = tuple(row for row in self.rows if row.standing is Standing.KEPT)
        open_rows = self.rows[: len(self.rows) - len(kept)]
        self._open.show_rows(open_rows)
        self._kept.show_rows(kept)
        self._open.setVisible(bool(open_rows))
        count = sum(bool(row.verdict) for row in kept)
        self._fold.setText(f"{count} kept")
        self._fold.setAccessibleName(f"{count} limits kept")
        self._fold.setVisible(bool(open_rows) and bool(kept))
        self._show_kept()
        self.setVisible(bool(self.rows))

    def _show_kept(self) -> None:
        shown = self._fold.isHidden() or self._fold.isChecked()
        self._kept.setVisible(shown and self._kept.count > 0)


class _Rows(QWidget):
    """Rows beneath one another; labels are made once and used again."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self._narrow = False
        self._cells: list[tuple[QLabel, ...]] = []
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setVerticalSpacing(2)
        self._grid.setColumnStretch(0, 1)

    def show_rows(self, rows: tuple[LimitRow, ...]) -> None:
        """Show these and no others."""
        self.count = len(rows)
        while len(self._cells) < len(rows):
            self._cells.append(tuple(label("", "note") for _ in range(4)))
            self._place(len(self._cells) - 1)
        for number, cells in enumerate(self._cells):
            row = rows[number] if number < len(rows) else None
            words = ("",) * 4 if row is None else (row.name, row.value, row.limit, row.verdict)
            for cell, text in zip(cells, words, strict=True):
                cell.setText(text)
                cell.setVisible(row is not None and bool(text))
            if row is not None:
                set_mood(cells[3], row.mood)

    def set_narrow(self, narrow: bool) -> None:
        """Two lines for each row, or one."""
        if narrow != self._narrow:
            self._narrow = narrow
            for number in range(len(self._cells)):
                self._place(number)

    def _place(self, number: int) -> None:
        name, value, limit, verdict = self._cells[number]
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop
        for cell in (name, value, limit, verdict):
            self._grid.removeWidget(cell)
            cell.setWordWrap(cell is name or (self._narrow and cell is limit))
        set_kind(value, "note" if self._narrow else "value")
        top = 2 * number
        if self._narrow:
            self._grid.addWidget(name, top, 0)
            self._grid.addWidget(verdict, top, 1, right)
            self._grid.addWidget(limit, top + 1, 0)
            self._grid.addWidget(value, top + 1, 1, right)
        else:
            self._grid.addWidget(name, top, 0)
            self._grid.addWidget(value, top, 1, right)
            self._grid.addWidget(limit, top, 2)
            self._grid.addWidget(verdict, top, 3, right)
