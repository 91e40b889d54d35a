"""Draws devices, tools and images with their numbers; see device_rows for the words."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QWidget

from ir_nav.gui import theme
from ir_nav.gui.device_rows import DeviceRow
from ir_nav.gui.paint import fitting, text_width

ROW_PX = 26.0
LINE_PX = 20.0
HEAD_PX = 24.0
COLUMN_PX = 61.0
LEFT = 24.0
NAME_PX = 104.0
# What goes first where there is no room for every column.
LEAST_WANTED = ("Jitter", "Latency", "Lost", "Age", "Refused", "Invalid")


class DeviceTable(QWidget):
    """Draws the rows; headings where they change; a reason and a note on lines of their own."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: tuple[DeviceRow, ...] = ()
        self.setAccessibleName("Devices and tools in full")

    @property
    def rows(self) -> tuple[DeviceRow, ...]:
        return self._rows

    def show_rows(self, rows: tuple[DeviceRow, ...]) -> None:
        """Draw these from now on."""
        if rows == self._rows:
            return
        self._rows = rows
        self.setFixedHeight(self.sizeHint().height())
        words = tuple(_in_words(row) for row in rows)
        self.setAccessibleDescription(", ".join(words))
        # Where columns or reasons are cut, this has them all.
        self.setToolTip("\n".join(words))
        self.update()

    def sizeHint(self) -> QSize:
        rows = self._rows
        heads = sum(
            1 for before, row in zip((None, *rows), rows, strict=False) if _new(before, row)
        )
        lines = sum(bool(row.reason) + bool(row.note) for row in rows)
        return QSize(240, int(HEAD_PX * heads + ROW_PX * len(rows) + LINE_PX * lines))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        y, before = 0.0, None
        for row in self._rows:
            columns = self._columns(row.headings)
            if _new(before, row):
                y = self._draw_head(painter, row.headings, columns, y)
            y, before = self._draw_row(painter, row, columns, y), row
        painter.end()

    def _columns(self, headings: tuple[str, ...]) -> dict[int, float]:
        """Right edge of each column that there is room for, by its index."""
        shown = list(range(len(headings)))
        room = self.width() - LEFT - NAME_PX
        for name in LEAST_WANTED:
            if len(shown) * COLUMN_PX > room and name in headings:
                shown.remove(headings.index(name))
        return {
            index: self.width() - COLUMN_PX * (len(shown) - 1 - place)
            for place, index in enumerate(shown)
        }

    def _draw_head(
        self, painter: QPainter, headings: tuple[str, ...], columns: dict[int, float], y: float
    ) -> float:
        for index, right in columns.items():
            _write(painter, right, y + HEAD_PX - 8.0, headings[index], theme.LEAST, theme.TEXT_3)
        painter.setPen(QPen(theme.colour(theme.LINE), 1.0))
        painter.drawLine(0, int(y + HEAD_PX), self.width(), int(y + HEAD_PX))
        return y + HEAD_PX

    def _draw_row(
        self, painter: QPainter, row: DeviceRow, columns: dict[int, float], y: float
    ) -> float:
        base = y + ROW_PX / 2.0 + 6.0
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(row.mark))
        painter.drawRoundedRect(QRectF(4.0, y + ROW_PX / 2.0 - 4.0, 9.0, 9.0), 2.0, 2.0)
        painter.setFont(theme.font(theme.BODY, theme.MEDIUM))
        painter.setPen(theme.colour(theme.TEXT_1))
        room = self.width() - COLUMN_PX * len(columns) - LEFT + 8.0
        name = fitting(row.name, theme.BODY, theme.MEDIUM, max(room, 60.0))
        painter.drawText(QPointF(LEFT, base), name)
        for index, right in columns.items():
            cell = row.cells[index]
            tone = theme.TEXT_3 if cell in ("0", "0%", "—") else theme.TEXT_2
            _write(painter, right, base, cell, theme.NOTE, tone)
        y += ROW_PX
        reason_tone = theme.TEXT_2 if row.mark == theme.TEXT_3 else row.mark
        for words, tone in ((row.reason, reason_tone), (row.note, theme.TEXT_3)):
            if words:
                cut = fitting(words, theme.LEAST, theme.REGULAR, self.width() - LEFT - 4.0)
                painter.setFont(theme.font(theme.LEAST))
                painter.setPen(theme.colour(tone))
                painter.drawText(QPointF(LEFT, y + LINE_PX - 7.0), cut)
                y += LINE_PX
        return y


def _new(before: DeviceRow | None, row: DeviceRow) -> bool:
    return before is None or before.headings != row.headings


def _in_words(row: DeviceRow) -> str:
    numbers = (f"{head.lower()} {cell}" for head, cell in zip(row.headings, row.cells, strict=True))
    return "; ".join(part for part in (row.name, " ".join(numbers), row.reason, row.note) if part)


def _write(painter: QPainter, right: float, base: float, text: str, px: int, name: str) -> None:
    painter.setFont(theme.font(px))
    painter.setPen(theme.colour(name))
    painter.drawText(QPointF(right - 4.0 - text_width(text, px, theme.REGULAR), base), text)
