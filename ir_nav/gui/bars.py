"""Top bar and footer: what must always be in sight."""

from __future__ import annotations

from dataclasses import dataclass

from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QWidget

from ir_nav import RESEARCH_LABEL
from ir_nav.gui import theme
from ir_nav.gui.paint import fitting, text_width, write
from ir_nav.session.state import Source


@dataclass(frozen=True, slots=True)
class Header:
    """valid None: guidance is not the matter at hand, no pill. log: elapsed time or ''.

    waiting: not valid only because the breath is outside its gate. opened: a CT is open, whether
    it names its patient or not.
    """

    patient: str = ""
    patient_id: str = ""
    opened: bool = False
    side: str = ""
    procedure: str = ""
    source: Source | None = None
    log: str = ""
    valid: bool | None = None
    waiting: bool = False
    reason: str = ""


class TopBar(QWidget):
    """Patient and side at the left; source, log and validity at the right."""

    def __init__(self) -> None:
        super().__init__()
        self._header = Header()
        self.setAccessibleName("Patient and state")
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setFixedHeight(theme.TOP_BAR_HEIGHT)

    def show_header(self, header: Header) -> None:
        """Draw this from now on."""
        if header != self._header:
            self._header = header
            self.update()

    @property
    def header(self) -> Header:
        return self._header

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), theme.colour(theme.BAR))
        painter.setPen(theme.colour(theme.LINE))
        painter.drawLine(0, self.height() - 1, self.width(), self.height() - 1)
        self._draw_left(painter, self._draw_right(painter))
        painter.end()

    def _draw_right(self, painter: QPainter) -> float:
        shown, x = self._header, self.width() - 18.0
        if shown.valid is not None:
            x = self._draw_validity(painter, x) - 20.0
        if shown.log:
            words = f"Log {shown.log}"
            x -= text_width(words, theme.BODY, theme.REGULAR)
            self._write(painter, x, words, px=theme.BODY, name=theme.TEXT_2)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.colour(theme.TEXT_1))
            painter.drawEllipse(QPointF(x - 14.0, self.height() / 2.0), 5.0, 5.0)
            x -= 40.0
        if shown.source is not None:
            x = self._draw_source(painter, x, shown.source) - 24.0
        return x

    def _draw_validity(self, painter: QPainter, right: float) -> float:
        valid = bool(self._header.valid)
        sign = "! Wait" if self._header.waiting else "✕ No guidance"
        words = "✓ Guidance valid" if valid else f"{sign}: {self._header.reason}"
        words = fitting(words, theme.ROW, theme.STRONG, self.width() * 0.42)
        wide = text_width(words, theme.ROW, theme.STRONG) + 34.0
        box = QRectF(right - wide, 10.5, wide, self.height() - 21.0)
        edge, ground = _LOOKS[valid, self._header.waiting and not valid]
        painter.setPen(QPen(theme.colour(edge), 1.6))
        painter.setBrush(theme.colour(ground))
        painter.drawRoundedRect(box, theme.RADIUS, theme.RADIUS)
        painter.setFont(theme.font(theme.ROW, theme.STRONG))
        painter.setPen(theme.colour(theme.TEXT_1))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, words)
        return box.left()

    def _draw_source(self, painter: QPainter, right: float, source: Source) -> float:
        words = source.value.upper()
        live = source is Source.LIVE
        tone = theme.colour(theme.GOOD if live else theme.SIMULATED)
        wide = text_width(words, theme.BODY, theme.STRONG) + 28.0
        box = QRectF(right - wide, 14.5, wide, self.height() - 29.0)
        pen = QPen(tone, 1.4)
        if not live:
            pen.setDashPattern([3.0, 2.5])
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(box, 5.0, 5.0)
        painter.setFont(theme.font(theme.BODY, theme.STRONG))
        painter.setPen(tone)
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, words)
        return box.left()

    def _draw_left(self, painter: QPainter, room: float) -> None:
        shown, x = self._header, 20.0
        who = shown.patient or shown.patient_id
        if who or not shown.opened:
            x += self._cut(
                painter,
                x,
                room,
                who or "No patient",
                px=theme.TITLE,
                name=theme.TEXT_1,
                weight=theme.STRONG,
            )
            x += 16.0
        else:
            x = self._draw_nameless(painter, x) + 16.0
        if shown.patient and shown.patient_id:
            words = shown.patient_id
            x += self._cut(painter, x, room, words, px=theme.BODY, name=theme.TEXT_2) + 20.0
        if shown.side and room - x > 100.0:
            x = self._draw_side(painter, x, shown.side) + 20.0
        if shown.procedure and room - x > 60.0:
            self._cut(painter, x, room, shown.procedure, px=theme.BODY, name=theme.TEXT_2)

    def _draw_nameless(self, painter: QPainter, left: float) -> float:
        words = "No patient ID"
        box = QRectF(left, 14.5, text_width(words, theme.BODY, theme.REGULAR) + 26.0, 0.0)
        box.setBottom(self.height() - 14.5)
        painter.setPen(QPen(theme.colour(theme.TEXT_3), 1.2))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(box, 5.0, 5.0)
        painter.setFont(theme.font(theme.BODY))
        painter.setPen(theme.colour(theme.TEXT_2))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, words)
        return box.right()

    def _draw_side(self, painter: QPainter, left: float, side: str) -> float:
        wide = text_width(side, theme.BODY, theme.STRONG) + 26.0
        box = QRectF(left, 14.5, wide, self.height() - 29.0)
        painter.setPen(QPen(theme.colour(theme.PLAN), 2.0))
        painter.setBrush(theme.colour(theme.CURRENT))
        painter.drawRoundedRect(box, 5.0, 5.0)
        painter.setFont(theme.font(theme.BODY, theme.STRONG))
        painter.setPen(theme.colour(theme.TEXT_1))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, side)
        return box.right()

    def _cut(
        self,
        painter: QPainter,
        x: float,
        room: float,
        text: str,
        *,
        px: int,
        name: str,
        weight: int = theme.REGULAR,
    ) -> float:
        cut = fitting(text, px, weight, max(room - x, 0.0))
        return self._write(painter, x, cut, px=px, name=name, weight=weight)

    def _write(
        self,
        painter: QPainter,
        x: float,
        text: str,
        *,
        px: int,
        name: str,
        weight: int = theme.REGULAR,
    ) -> float:
        return write(painter, QPointF(x, self.height() / 2.0 + px * 0.36), text, px, name, weight)


class Footer(QWidget):
    """The research label, and how fresh the screen is."""

    def __init__(self) -> None:
        super().__init__()
        self._words = ""
        self.setAccessibleName(RESEARCH_LABEL)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setFixedHeight(theme.FOOTER_HEIGHT)

    def show_words(self, words: str) -> None:
        """Write this at the right."""
        if words != self._words:
            self._words = words
            self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.colour(theme.BAR))
        painter.setPen(theme.colour(theme.LINE))
        painter.drawLine(0, 0, self.width(), 0)
        painter.setFont(theme.font(theme.LEAST))
        painter.setPen(theme.colour(theme.TEXT_2))
        base = self.height() / 2.0 + 5.0
        painter.drawText(QPointF(20.0, base), RESEARCH_LABEL)
        wide = text_width(self._words, theme.LEAST, theme.REGULAR)
        painter.drawText(QPointF(self.width() - 20.0 - wide, base), self._words)
        painter.end()


_LOOKS = {
    (True, False): (theme.GOOD, theme.GOOD_DEEP),
    (False, False): (theme.ALARM_HIGH, theme.ALARM_HIGH_DEEP),
    (False, True): (theme.ALARM_MEDIUM, theme.ALARM_MEDIUM_DEEP),
}


def freshness(rate_hz: float, age_s: float | None) -> str:
    """The footer's right side on Guide."""
    if age_s is None:
        return f"Painted {rate_hz:.0f} Hz, no pose yet"
    if age_s > 10.0:
        return f"Painted {rate_hz:.0f} Hz, newest pose {age_s:.0f} s old"
    return f"Painted {rate_hz:.0f} Hz, newest pose {age_s * 1e3:.0f} ms"
