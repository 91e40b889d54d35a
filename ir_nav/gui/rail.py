"""The left rail: the workflow, and under it the devices and tools."""

from __future__ import annotations

from dataclasses import dataclass

from PyQt6.QtCore import QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QAbstractButton, QVBoxLayout, QWidget

from ir_nav.gui import theme
from ir_nav.gui.paint import fitting, text_width
from ir_nav.session.state import DeviceStatus, NavigationState, ToolState, ToolStatus
from ir_nav.session.steps import Step

STALE_S = 0.2
LOST_S = 0.5
ROW_PX = 26.0


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step as the rail shows it. refused: cannot be opened yet."""

    step: Step
    summary: str
    done: bool
    refused: bool


class StepButton(QAbstractButton):
    """A step: number or tick, title, and what it gave."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        self._row = StepRow(step, "", False, False)
        self._current = False
        self.setObjectName(f"step_{step.name.lower()}")
        self.setAccessibleName(step.title)
        self.setToolTip(f"{step.title} (Ctrl+{step.value})")
        self.setFixedHeight(62)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def show_row(self, row: StepRow, current: bool) -> None:
        """Draw this from now on."""
        if (row, current) != (self._row, self._current):
            self._row, self._current = row, current
            self.setAccessibleDescription(row.summary)
            self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        ring = bool(self.property("ring"))
        if self._current or self.underMouse() or ring:
            painter.setPen(Qt.PenStyle.NoPen)
            if ring:
                painter.setPen(QPen(theme.colour(theme.TEXT_1), 2.0))
            painter.setBrush(theme.colour(theme.CURRENT if self._current else theme.PANEL))
            painter.drawRoundedRect(box, theme.RADIUS, theme.RADIUS)
        self._draw_sign(painter, QPointF(24.0, 24.0))
        self._draw_words(painter)
        painter.end()

    def _draw_sign(self, painter: QPainter, at: QPointF) -> None:
        done = self._row.done and not self._current
        if self._current:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.colour(theme.ACCENT))
        else:
            painter.setPen(QPen(theme.colour(theme.GOOD if done else theme.TEXT_3), 1.4))
            painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawEllipse(at, 13.0, 13.0)
        if done:
            painter.setPen(QPen(theme.colour(theme.GOOD), 2.0))
            corner = at + QPointF(-1.5, 4.0)
            painter.drawLine(at + QPointF(-5.0, 0.5), corner)
            painter.drawLine(corner, at + QPointF(5.0, -4.0))
            return
        painter.setFont(theme.font(theme.NOTE, theme.STRONG))
        painter.setPen(theme.colour(theme.TEXT_1 if self._current else theme.TEXT_3))
        box = QRectF(at.x() - 13, at.y() - 13, 26, 26)
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, str(self._row.step.value))

    def _draw_words(self, painter: QPainter) -> None:
        dim = self._row.refused and not self._current
        tone = theme.TEXT_3 if dim else theme.TEXT_1 if self._current else theme.TEXT_2
        width = self.width() - 58.0
        painter.setFont(theme.font(theme.ROW, theme.STRONG))
        painter.setPen(theme.colour(tone))
        title = fitting(self._row.step.title, theme.ROW, theme.STRONG, width)
        painter.drawText(QPointF(50.0, 30.0), title)
        painter.setFont(theme.font(theme.NOTE))
        painter.setPen(theme.colour(theme.TEXT_2 if self._current else theme.TEXT_3))
        summary = fitting(self._row.summary, theme.NOTE, theme.REGULAR, width)
        painter.drawText(QPointF(50.0, 51.0), summary)


@dataclass(frozen=True, slots=True)
class StatusRow:
    """A device or tool: mark colour, name, and a few words; `short` where they do not fit."""

    name: str
    words: str
    mark: str
    words_tone: str = theme.TEXT_3
    short: str = ""


def status_rows(state: NavigationState) -> tuple[StatusRow, ...]:
    """Devices, then tools."""
    return tuple(_device_row(device) for device in state.devices) + tuple(
        _tool_row(tool) for tool in state.tools
    )


def _device_row(device: DeviceStatus) -> StatusRow:
    if not device.connected:
        return StatusRow(device.name, "not connected", theme.ALARM_HIGH, theme.ALARM_HIGH)
    if device.age_s is None:
        return StatusRow(device.name, "no data yet", theme.ALARM_MEDIUM)
    if device.age_s > LOST_S:
        return StatusRow(
            device.name, f"silent {device.age_s:.1f} s", theme.ALARM_MEDIUM, theme.ALARM_MEDIUM
        )
    rate = f"{device.rate_hz:.0f} Hz" if device.rate_hz >= 10 else f"{device.rate_hz:.1f} Hz"
    age = f"{device.age_s * 1e3:.0f} ms"
    return StatusRow(device.name, f"{rate} · {age}", theme.GOOD, short=rate)


def _tool_row(tool: ToolStatus) -> StatusRow:
    name = tool.name[:1].upper() + tool.name[1:]
    if tool.state is ToolState.OK:
        return StatusRow(name, "OK", theme.GOOD)
    if tool.state is ToolState.UNKNOWN:
        return StatusRow(name, tool.state.value, theme.ALARM_LOW, theme.TEXT_2)
    if tool.state is ToolState.NEVER:
        return StatusRow(name, tool.state.value, theme.TEXT_3)
    return StatusRow(name, tool.state.value, theme.ALARM_HIGH, theme.ALARM_HIGH)


class StatusList(QWidget):
    """Rows with a square mark."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: tuple[StatusRow, ...] = ()
        self.setAccessibleName("Devices and tools")

    def show_rows(self, rows: tuple[StatusRow, ...]) -> None:
        """Draw these from now on."""
        if rows == self._rows:
            return
        self._rows = rows
        self.setFixedHeight(int(len(rows) * ROW_PX) + 22)
        self.setAccessibleDescription(", ".join(f"{row.name} {row.words}" for row in rows))
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._rows:
            painter.setPen(QPen(theme.colour(theme.LINE), 1.0))
            painter.drawLine(0, 4, self.width(), 4)
        for index, row in enumerate(self._rows):
            self._draw_row(painter, row, 16.0 + ROW_PX * (index + 0.5))
        painter.end()

    def _draw_row(self, painter: QPainter, row: StatusRow, middle: float) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(row.mark))
        painter.drawRoundedRect(QRectF(6.0, middle - 4.5, 9.0, 9.0), 2.0, 2.0)
        base = middle + 5.0
        room = self.width() - 38.0 - text_width(row.name, theme.NOTE, theme.MEDIUM)
        words = row.words
        if row.short and text_width(words, theme.LEAST, theme.REGULAR) > room:
            words = row.short
        words_px = text_width(words, theme.LEAST, theme.REGULAR)
        room = self.width() - 38.0 - words_px
        painter.setFont(theme.font(theme.NOTE, theme.MEDIUM))
        painter.setPen(theme.colour(theme.TEXT_1))
        name = fitting(row.name, theme.NOTE, theme.MEDIUM, max(room, 40.0))
        painter.drawText(QPointF(24.0, base), name)
        painter.setFont(theme.font(theme.LEAST))
        painter.setPen(theme.colour(row.words_tone))
        painter.drawText(QPointF(self.width() - 6.0 - words_px, base), words)


class Rail(QWidget):
    """Steps above, `foot` and devices below."""

    step_chosen = pyqtSignal(object)

    def __init__(self, foot: QWidget) -> None:
        super().__init__()
        self.setObjectName("rail")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._buttons = {step: StepButton(step) for step in Step}
        self._status = StatusList()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 10, 10, 8)
        layout.setSpacing(4)
        for step, button in self._buttons.items():
            button.clicked.connect(lambda _=False, chosen=step: self.step_chosen.emit(chosen))
            layout.addWidget(button)
        layout.addStretch(1)
        layout.addWidget(foot)
        layout.addWidget(self._status)

    def show_steps(self, rows: tuple[StepRow, ...], current: Step) -> None:
        """Draw the workflow."""
        for row in rows:
            self._buttons[row.step].show_row(row, row.step is current)

    def show_status(self, state: NavigationState) -> None:
        """Draw devices and tools."""
        self._status.show_rows(status_rows(state))
