"""How well the ultrasound fits the CT: a trace over the last frames, and its verdict in words."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QPainter, QPen, QPolygonF

from ir_nav.gui import theme
from ir_nav.gui.paint import wrap
from ir_nav.gui.panels import PAD, Panel
from ir_nav.registration.ultrasound.quality_trace import (
    LEAST_SHARE,
    LEAST_SIMILARITY,
    Fit,
    Verdict,
)
from ir_nav.session.live_quality import LiveQuality

SHOWN_FRAMES = 240
LINE_PX = 19.0
LEAST_TRACE_PX = 18.0
TRACE_PART = 0.42

_HEADS = {
    Fit.WAITING: ("CT check: too few frames", theme.TEXT_3),
    Fit.HOLDS: ("Ultrasound fits the CT", theme.GOOD),
    Fit.DRIFTED: ("Registration drifts: check", theme.ALARM_MEDIUM),
    Fit.LOST: ("Registration drifts: check", theme.ALARM_MEDIUM),
}
WARNS = (Fit.DRIFTED, Fit.LOST)


class QualityPanel(Panel):
    """Draws what the live check says; guidance is not its business."""

    def __init__(self) -> None:
        super().__init__("Ultrasound against the CT")
        self._fit = Fit.WAITING
        self._words = ""
        self._similarities: tuple[float, ...] = ()
        self._least = 0.0

    @property
    def head(self) -> str:
        """The verdict in a few words."""
        return _HEADS[self._fit][0]

    @property
    def words(self) -> str:
        """What to do about it."""
        return self._words

    def show_quality(self, quality: LiveQuality) -> None:
        """Draw this from now on; a passing doubt is not shown as a warning."""
        fit, words = quality.verdict.fit, quality.verdict.words
        if quality.verdict.warns and quality.warning is None:
            fit, words = Fit.WAITING, "One moment: the next frames are awaited."
        elif fit is Fit.HOLDS:
            words = _holding(quality.verdict)
        elif fit is Fit.WAITING and quality.reason:
            words = quality.reason
        baseline = quality.trace.baseline
        least = 0.0 if baseline is None else max(LEAST_SIMILARITY, LEAST_SHARE * baseline)
        shown = (fit, words, quality.similarities[-SHOWN_FRAMES:], least)
        if shown != (self._fit, self._words, self._similarities, self._least):
            self._fit, self._words, self._similarities, self._least = shown
            self.setAccessibleDescription(f"{self.head}. {words}")
            self.update()

    def draw(self, painter: QPainter) -> None:
        tone = _HEADS[self._fit][1]
        top = PAD + self.head_px
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(tone))
        painter.drawEllipse(QPointF(PAD + 5.0, top - self.head_px * 0.36), 5.0, 5.0)
        at = QPointF(PAD + 18.0, top)
        self.write(painter, at, self.head, px=self.head_px, name=tone, weight=theme.STRONG)
        room = self.height() - top - 10.0
        lines = self._wrapped(self._words)
        traced = max(room * TRACE_PART, LEAST_TRACE_PX) if self._similarities else 0.0
        if self._fit in WARNS and traced + 8.0 + LINE_PX * len(lines) > room:
            # In little room the words go before the trace, and what to do before why.
            traced = 0.0
            if 8.0 + LINE_PX * len(lines) > room:
                lines = self._wrapped(_todo(self._words))
        if traced:
            box = QRectF(PAD, top + 8.0, self.width() - 2.0 * PAD, traced)
            self._draw_trace(painter, box, tone)
        for index, line in enumerate(lines[: max(int((room - traced) // LINE_PX), 0)]):
            below = top + traced + 8.0 + LINE_PX * (index + 0.8)
            self.write(painter, QPointF(PAD, below), line)

    def _wrapped(self, words: str) -> tuple[str, ...]:
        return wrap(words, theme.NOTE, theme.REGULAR, self.width() - 2.0 * PAD)

    def _draw_trace(self, painter: QPainter, box: QRectF, tone: str) -> None:
        """Similarity from 0 to 1, the newest frame at the right; dotted: the least that fits."""
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(theme.BAR))
        painter.drawRoundedRect(box, 4.0, 4.0)

        def level(value: float) -> float:
            return box.bottom() - 2.0 - min(max(value, 0.0), 1.0) * (box.height() - 4.0)

        if self._least > 0.0:
            painter.setPen(QPen(theme.colour(theme.TEXT_3), 1.0, Qt.PenStyle.DotLine))
            low = level(self._least)
            painter.drawLine(QPointF(box.left(), low), QPointF(box.right(), low))
        values = self._similarities
        step = box.width() / SHOWN_FRAMES
        points = [
            QPointF(box.right() - 2.0 - (len(values) - 1 - index) * step, level(value))
            for index, value in enumerate(values)
        ]
        painter.setPen(QPen(theme.colour(tone), 2.0))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(QPolygonF(points))


def _holding(verdict: Verdict) -> str:
    similarity, lead = verdict.similarity or 0.0, verdict.lead or 0.0
    return f"Similarity {similarity:.2f}; 4 mm to any side it is at least {lead:.2f} less."


def _todo(words: str) -> str:
    """What a warning asks for."""
    rest = words.partition(": ")[2]
    return f"{rest[:1].upper()}{rest[1:]}" if rest else words
