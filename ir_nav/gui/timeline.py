"""Distance to the target over the procedure, with where guidance was valid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PyQt6.QtCore import QLineF, QPointF, QRectF, QSize
from PyQt6.QtGui import QPainter, QPen, QPolygonF

from ir_nav.geometry import FloatArray
from ir_nav.gui import theme
from ir_nav.gui.paint import draw_label
from ir_nav.gui.picture import Picture
from ir_nav.recording import EventKind, LogContents

FAR_MM = 150.0
STEPS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800)


@dataclass(frozen=True, slots=True, eq=False)
class TimelineState:
    """times_s from the start, distances_mm (NaN where invalid), marks: times with words."""

    times_s: FloatArray
    distances_mm: FloatArray
    marks: tuple[tuple[float, str], ...]


def timeline_of(log: LogContents) -> TimelineState:
    """The plot of a log, from the first state in which guidance was valid."""
    shown = log.shown
    first = int(np.argmax(shown.valid)) if shown.valid.any() else 0
    start = float(shown.now_s[first]) if len(shown.now_s) else log.started_s
    marks = tuple(
        (event.time_s - start, event.text)
        for event in log.events
        if event.kind is EventKind.MARK and event.time_s >= start
    )
    return TimelineState(shown.now_s[first:] - start, shown.to_target_mm[first:], marks)


class Timeline(Picture):
    """A line of orange over time; red beneath where there was no guidance."""

    def __init__(self) -> None:
        super().__init__("Distance to the target", "along the path")
        self._state: TimelineState | None = None
        self._lines: list[QPolygonF] = []
        self._gaps: list[QRectF] = []
        self._laid_out: tuple[int, int] | None = None

    def show_timeline(self, state: TimelineState | None) -> None:
        """Draw this from now on."""
        self._state = state
        self._laid_out = None
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(600, 240)

    def draw_ground(self, painter: QPainter) -> None:
        painter.fillRect(self.rect(), theme.colour(theme.BAR))

    def draw(self, painter: QPainter) -> None:
        state = self._state
        if state is None or not np.isfinite(state.distances_mm).any():
            self.say(painter, "No guidance is in this log" if state else "No log is open")
            return
        box = self._box()
        if self._laid_out != (self.width(), self.height()):
            self._lay_out(state, box)
            self._laid_out = (self.width(), self.height())
        self._draw_axes(painter, state, box)
        for gap in self._gaps:
            painter.fillRect(gap, theme.colour(theme.ALARM_HIGH, 0.55))
        painter.setClipRect(box)
        painter.setPen(QPen(theme.colour(theme.NEEDLE), 2.0))
        for line in self._lines:
            painter.drawPolyline(line)
        painter.setClipping(False)
        for time_s, words in state.marks:
            x = self._x(state, box, time_s)
            painter.setPen(QPen(theme.colour(theme.TEXT_1), 1.2))
            painter.drawLine(QLineF(x, box.top(), x, box.bottom()))
            draw_label(painter, QPointF(x - 4.0, box.top()), words, anchor=(1.0, 0.0))

    def _box(self) -> QRectF:
        return QRectF(78.0, 44.0, max(self.width() - 98.0, 10.0), max(self.height() - 92.0, 10.0))

    def _range(self, state: TimelineState) -> tuple[float, float]:
        known = state.distances_mm[np.isfinite(state.distances_mm)]
        # A needle that lies on the tray would flatten what happened in the patient.
        return min(float(known.min()), 0.0) - 2.0, min(max(float(known.max()), 5.0), FAR_MM) + 2.0

    def _x(self, state: TimelineState, box: QRectF, time_s: float) -> float:
        span = max(float(state.times_s[-1]), 1e-6)
        return box.left() + time_s / span * box.width()

    def _lay_out(self, state: TimelineState, box: QRectF) -> None:
        low, high = self._range(state)
        x = box.left() + state.times_s / max(float(state.times_s[-1]), 1e-6) * box.width()
        y = box.bottom() - (state.distances_mm - low) / (high - low) * box.height()
        valid = np.isfinite(y)
        edges = np.flatnonzero(np.diff(valid.astype(np.int8))) + 1
        self._lines, self._gaps = [], []
        for run in np.split(np.arange(len(x)), edges):
            if valid[run[0]]:
                step = max(1, len(run) // 1000)
                kept = np.append(run[::step], run[-1])
                points = [QPointF(a, b) for a, b in zip(x[kept], y[kept], strict=True)]
                self._lines.append(QPolygonF(points))
            else:
                left, right = float(x[run[0]]), float(x[run[-1]])
                self._gaps.append(QRectF(left, box.bottom() - 6.0, max(right - left, 1.0), 6.0))

    def _draw_axes(self, painter: QPainter, state: TimelineState, box: QRectF) -> None:
        low, high = self._range(state)
        step = next((s for s in STEPS if (high - low) / s <= 6), STEPS[-1])
        painter.setPen(QPen(theme.colour(theme.LINE), 1.0))
        for value in np.arange(np.ceil(low / step) * step, high, step):
            y = box.bottom() - (value - low) / (high - low) * box.height()
            tone = theme.PLAN if abs(value) < 1e-9 else theme.LINE
            painter.setPen(QPen(theme.colour(tone), 1.0))
            painter.drawLine(QLineF(box.left(), y, box.right(), y))
            words = "Target" if abs(value) < 1e-9 else f"{value:.0f} mm"
            name = theme.PLAN if abs(value) < 1e-9 else theme.TEXT_2
            draw_label(painter, QPointF(box.left() - 6, y), words, name=name, anchor=(1.0, 0.5))
        span = max(float(state.times_s[-1]), 1e-6)
        tick = next((s for s in STEPS if span / s <= 8), STEPS[-1])
        for value in np.arange(0.0, span, tick):
            at = QPointF(self._x(state, box, float(value)), box.bottom() + 6.0)
            draw_label(painter, at, f"{value:.0f} s", name=theme.TEXT_2, anchor=(0.5, 0.0))
        foot = QPointF(box.left(), self.height() - 6.0)
        draw_label(
            painter, foot, "Red: no guidance", px=theme.LEAST, name=theme.TEXT_2, anchor=(0.0, 1.0)
        )
