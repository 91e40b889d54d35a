"""Every device and tool in full: rate, age, refused data, and why one does not deliver."""

from __future__ import annotations

from dataclasses import dataclass

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QWidget

from ir_nav.gui import theme
from ir_nav.gui.paint import fitting, text_width
from ir_nav.gui.rail import status_rows
from ir_nav.session.state import NavigationState

ROW_PX = 28.0
HEAD_PX = 24.0
HEADINGS = ("Rate", "Age", "Refused")
COLUMN_PX = 84.0
LEFT = 24.0


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """cells: one for each of HEADINGS, '' where it has no meaning. reason: '' when all is well."""

    name: str
    mark: str
    cells: tuple[str, str, str]
    reason: str = ""


def device_rows(state: NavigationState) -> tuple[DeviceRow, ...]:
    """Devices, then tools."""
    marks = status_rows(state)
    devices = []
    for device, row in zip(state.devices, marks, strict=False):
        known = device.connected and device.age_s is not None
        cells = (
            f"{device.rate_hz:.0f} Hz" if known else "—",
            age_words(device.age_s),
            f"{device.refused:,}",
        )
        reason = device.reason or ("" if row.mark == theme.GOOD else row.words)
        devices.append(DeviceRow(row.name, row.mark, cells, reason))
    tools = []
    for tool, row in zip(state.tools, marks[len(state.devices) :], strict=True):
        reason = "" if row.mark == theme.GOOD else row.words
        tools.append(DeviceRow(row.name, row.mark, ("", age_words(tool.age_s), ""), reason))
    return (*devices, *tools)


def age_words(age_s: float | None) -> str:
    """An age in ms, or in s from one second on."""
    if age_s is None:
        return "—"
    return f"{age_s * 1e3:.0f} ms" if age_s < 1.0 else f"{age_s:.1f} s"


class DeviceTable(QWidget):
    """Draws the rows; a reason takes a line of its own."""

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
        words = (f"{row.name} {' '.join(row.cells)} {row.reason}".strip() for row in rows)
        self.setAccessibleDescription(", ".join(words))
        self.update()

    def sizeHint(self) -> QSize:
        lines = sum(2 if row.reason else 1 for row in self._rows)
        return QSize(320, int(HEAD_PX + ROW_PX * lines) if self._rows else 0)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        column = COLUMN_PX if self.width() > 400 else COLUMN_PX * 0.8
        for index, heading in enumerate(HEADINGS):
            right = self.width() - column * (len(HEADINGS) - 1 - index)
            _write(painter, right, HEAD_PX - 8.0, heading, theme.LEAST, theme.TEXT_3)
        painter.setPen(QPen(theme.colour(theme.LINE), 1.0))
        painter.drawLine(0, int(HEAD_PX), self.width(), int(HEAD_PX))
        y = HEAD_PX
        for row in self._rows:
            self._draw_row(painter, row, y, column)
            y += ROW_PX * (2 if row.reason else 1)
        painter.end()

    def _draw_row(self, painter: QPainter, row: DeviceRow, y: float, column: float) -> None:
        base = y + ROW_PX / 2.0 + 6.0
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(row.mark))
        painter.drawRoundedRect(QRectF(4.0, y + ROW_PX / 2.0 - 4.0, 9.0, 9.0), 2.0, 2.0)
        painter.setFont(theme.font(theme.BODY, theme.MEDIUM))
        painter.setPen(theme.colour(theme.TEXT_1))
        room = self.width() - column * len(HEADINGS) - LEFT + 20.0
        name = fitting(row.name, theme.BODY, theme.MEDIUM, max(room, 60.0))
        painter.drawText(QPointF(LEFT, base), name)
        for index, cell in enumerate(row.cells):
            right = self.width() - column * (len(HEADINGS) - 1 - index)
            tone = theme.TEXT_2 if cell != "0" else theme.TEXT_3
            _write(painter, right, base, cell, theme.NOTE, tone)
        if row.reason:
            words = fitting(row.reason, theme.NOTE, theme.REGULAR, self.width() - LEFT - 4.0)
            painter.setFont(theme.font(theme.NOTE))
            painter.setPen(theme.colour(theme.TEXT_2 if row.mark == theme.TEXT_3 else row.mark))
            painter.drawText(QPointF(LEFT, base + ROW_PX - 6.0), words)


def _write(painter: QPainter, right: float, base: float, text: str, px: int, name: str) -> None:
    painter.setFont(theme.font(px))
    painter.setPen(theme.colour(name))
    painter.drawText(QPointF(right - 4.0 - text_width(text, px, theme.REGULAR), base), text)
