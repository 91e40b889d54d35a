"""The quiet panels under the guiding numbers: breathing, error budget, log."""

from __future__ import annotations

from collections import deque

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QPainter, QPaintEvent, QPen, QPolygonF
from PyQt6.QtWidgets import QWidget

from ir_nav.gui import theme
from ir_nav.gui.paint import draw_panel, fitting, text_width, wrap, write
from ir_nav.guidance import ErrorBudget
from ir_nav.session.state import BreathingState

TRACE_S = 15.0
PAD = 14.0


class Panel(QWidget):
    """A bordered surface that subclasses write on."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setMinimumHeight(96)

    def sizeHint(self) -> QSize:
        return QSize(300, 140)

    def draw(self, painter: QPainter) -> None:
        """Paint the content."""

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        draw_panel(painter, QRectF(self.rect()))
        self.draw(painter)
        painter.end()

    def write(
        self,
        painter: QPainter,
        at: QPointF,
        text: str,
        *,
        px: int = theme.NOTE,
        name: str = theme.TEXT_2,
        weight: int = theme.REGULAR,
    ) -> float:
        """One line, cut to the panel; returns its width."""
        room = self.width() - at.x() - PAD * 0.5
        while px > theme.LEAST and text_width(text, px, weight) > room:
            px -= 1
        cut = fitting(text, px, weight, room)
        return write(painter, at, cut, px, name, weight)

    @property
    def head_px(self) -> int:
        return theme.BODY if self.width() > 260 else theme.NOTE


class BreathingPanel(Panel):
    """Whether the breath matches the CT, and the last seconds of it."""

    def __init__(self) -> None:
        super().__init__("Breathing")
        self._state: BreathingState | None = None
        self._alarming = True
        self._trace: deque[tuple[float, float]] = deque(maxlen=400)

    def show_breathing(
        self, state: BreathingState | None, now_s: float, *, alarming: bool = True
    ) -> None:
        """Draw this, and add it to the trace. alarming: outside the gate is an alarm."""
        self._state, self._alarming = state, alarming
        if state is None:
            self._trace.clear()
        else:
            self._trace.append((now_s, state.phase_mm))
        self.update()

    def draw(self, painter: QPainter) -> None:
        state = self._state
        words, tone = breathing_words(state, self._alarming)
        top = PAD + self.head_px
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(tone))
        painter.drawEllipse(QPointF(PAD + 5.0, top - self.head_px * 0.36), 5.0, 5.0)
        at = QPointF(PAD + 18.0, top)
        self.write(painter, at, words, px=self.head_px, name=tone, weight=theme.STRONG)
        if state is None or not state.breathes:
            return
        box = QRectF(PAD, top + 10.0, self.width() - 2 * PAD, self.height() - top - 44.0)
        if box.height() > 14.0:
            self._draw_trace(painter, box, state)
        text = f"gate ±{state.gate_mm:.1f} mm, breath {state.amplitude_mm:.1f} mm"
        if self.width() > 380:
            text = f"{_signed(state.phase_mm)} mm now, {text}"
        self.write(painter, QPointF(PAD, self.height() - 14.0), text)

    def _draw_trace(self, painter: QPainter, box: QRectF, state: BreathingState) -> None:
        low, high = -1.5 * state.gate_mm, max(state.amplitude_mm * 1.15, 1.0)
        scale = box.height() / (high - low)

        def level(phase_mm: float) -> float:
            return box.bottom() - (min(max(phase_mm, low), high) - low) * scale

        band = QRectF(box.left(), level(state.gate_mm), box.width(), 2 * state.gate_mm * scale)
        tone = theme.GOOD if state.inside else theme.TEXT_3
        painter.fillRect(band, theme.colour(tone, 0.22))
        if len(self._trace) < 2:
            return
        newest = self._trace[-1][0]
        points = [
            QPointF(box.right() - (newest - time_s) / TRACE_S * box.width(), level(phase))
            for time_s, phase in self._trace
            if newest - time_s <= TRACE_S
        ]
        painter.setPen(QPen(theme.colour(tone), 2.0))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(QPolygonF(points))
        painter.setBrush(theme.colour(tone))
        painter.drawEllipse(points[-1], 3.5, 3.5)


def breathing_words(state: BreathingState | None, alarming: bool = True) -> tuple[str, str]:
    """Words and their colour: the gate alone, never an invitation to advance."""
    if state is None:
        return "Breathing is being watched", theme.TEXT_3
    if not state.breathes:
        return "No breathing seen: no gate", theme.GOOD
    if state.inside:
        return "In gate", theme.GOOD
    return "Outside the gate", theme.ALARM_MEDIUM if alarming else theme.TEXT_2


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−").replace("+0.0", "0.0").replace("−0.0", "0.0")


class BudgetPanel(Panel):
    """What the tip's position may be off by."""

    def __init__(self) -> None:
        super().__init__("Error budget at the tip")
        self._budget: ErrorBudget | None = None

    def show_budget(self, budget: ErrorBudget | None) -> None:
        """Draw this from now on."""
        self._budget = budget
        self.update()

    def draw(self, painter: QPainter) -> None:
        tall = self.height() > 130
        top = PAD + self.head_px
        heading = "Error budget at the tip" if tall or self.width() > 300 else "Error budget"
        used = self.write(painter, QPointF(PAD, top), heading, px=self.head_px)
        budget = self._budget
        big = 26 if tall else self.head_px
        base = top + big + 8.0 if tall else top
        at = QPointF(PAD if tall else PAD + used + 10.0, base)
        if budget is None:
            self.write(painter, at, "—", px=big, name=theme.TEXT_3)
            return
        value = f"{budget.rms_mm:.1f} mm"
        used = self.write(painter, at, value, px=big, name=theme.TEXT_1, weight=theme.STRONG)
        self.write(painter, at + QPointF(used + 8.0, 0.0), "rms", px=min(big, theme.BODY))
        # A name and its number stay on one line.
        text = " · ".join(f"{name}\u00a0{part:.1f}" for name, part in parts(budget))
        lines = wrap(text, theme.NOTE, theme.REGULAR, self.width() - 2 * PAD)
        room = int((self.height() - base - 9.0) // 19)
        for index, line in enumerate(lines[: max(room, 0)]):
            self.write(painter, QPointF(PAD, base + 22.0 + 19.0 * index), line)


def parts(budget: ErrorBudget) -> tuple[tuple[str, float], ...]:
    """Contributions by name, largest first."""
    named = (
        ("registration", budget.registration_mm),
        ("calibration", budget.calibration_mm),
        ("tracker", budget.tracker_mm),
        ("delay", budget.delay_mm),
        ("breathing", budget.breathing_mm),
    )
    return tuple(sorted(named, key=lambda item: -item[1]))


class LogPanel(Panel):
    """The log's state and the keys of the guiding screen."""

    def __init__(self, keys: tuple[tuple[str, str], ...]) -> None:
        super().__init__("Log and keys")
        self._headline = "No log is written"
        self._note = ""
        self._keys = keys

    def show_log(self, headline: str, note: str) -> None:
        """Draw this from now on."""
        if (headline, note) != (self._headline, self._note):
            self._headline, self._note = headline, note
            self.update()

    def draw(self, painter: QPainter) -> None:
        top = PAD + self.head_px
        self.write(painter, QPointF(PAD, top), self._headline, px=self.head_px)
        self.write(painter, QPointF(PAD, top + 25.0), self._note, name=theme.TEXT_1)
        x, y = PAD, top + 58.0
        for words, key in self._keys:
            wide = text_width(words, theme.NOTE, theme.REGULAR)
            keycap = max(text_width(key, theme.LEAST, theme.STRONG) + 12.0, 24.0)
            if x + wide + keycap + 6.0 > self.width() - PAD * 0.5:
                x, y = PAD, y + 28.0
            if y > self.height() - 10.0:
                return
            self.write(painter, QPointF(x, y), words)
            box = QRectF(x + wide + 6.0, y - 16.0, keycap, 21.0)
            painter.setPen(QPen(theme.colour(theme.TEXT_3), 1.0))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(box, 4.0, 4.0)
            painter.setFont(theme.font(theme.LEAST, theme.STRONG))
            painter.setPen(theme.colour(theme.TEXT_1))
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, key)
            x += wide + keycap + 20.0
