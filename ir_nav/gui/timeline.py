"""Distance to the target over the procedure, with where guidance was valid."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from PyQt6.QtCore import QLineF, QPointF, QRectF, QSize
from PyQt6.QtGui import QPainter, QPen, QPolygonF

from ir_nav.geometry import FloatArray
from ir_nav.gui import theme
from ir_nav.gui.paint import draw_label, text_width
from ir_nav.gui.picture import Picture
from ir_nav.recording import EventKind, LogContents

FAR_MM = 150.0
GAP_PX = 6.0
LEAST_TOLD_PX = 8.0
OVERHANG_PX = 50.0
# How long something lasted at the end of a reason.
_AGE = re.compile(r"\s\d[\d.,]* (s|ms)$")
STEPS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800)


@dataclass(frozen=True, slots=True, eq=False)
class TimelineState:
    """times_s from the start, distances_mm (NaN where invalid), marks: times with words.

    reasons: why guidance was absent at each of the times, or None; () where that is not known.
    """

    times_s: FloatArray
    distances_mm: FloatArray
    marks: tuple[tuple[float, str], ...]
    reasons: tuple[str | None, ...] = ()


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
    times, distances = shown.now_s[first:] - start, shown.to_target_mm[first:]
    return TimelineState(times, distances, marks, shown.reasons[first:])


def short_reason(reason: str) -> str:
    """Why guidance was absent, without the numbers: "breathing", "needle out of view"."""
    words = _AGE.sub("", reason).strip()
    return "breathing" if words.startswith("breathing") and "not" not in words else words


class Timeline(Picture):
    """A line of orange over time; red beneath where there was no guidance."""

    def __init__(self) -> None:
        super().__init__("Distance to the target", "along the path")
        self._state: TimelineState | None = None
        self._lines: list[QPolygonF] = []
        self._gaps: list[tuple[QRectF, str]] = []
        self._off_scale: list[tuple[float, float]] = []
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
        self._draw_gaps(painter)
        painter.setClipRect(box)
        painter.setPen(QPen(theme.colour(theme.NEEDLE), 2.0))
        for line in self._lines:
            painter.drawPolyline(line)
        painter.setClipping(False)
        self._draw_off_scale(painter, box)
        for time_s, words in state.marks:
            x = self._x(state, box, time_s)
            painter.setPen(QPen(theme.colour(theme.TEXT_1), 1.2))
            painter.drawLine(QLineF(x, box.top(), x, box.bottom()))
            left = x - box.left() < text_width(words, theme.NOTE, theme.MEDIUM) + 12.0
            at, side = QPointF(x + (4.0 if left else -4.0), box.top()), 0.0 if left else 1.0
            draw_label(painter, at, words, plate=True, anchor=(side, 0.0))

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
        self._off_scale = _runs_px(x, np.nan_to_num(state.distances_mm, nan=0.0) > high)
        for run in np.split(np.arange(len(x)), edges):
            if valid[run[0]]:
                step = max(1, len(run) // 1000)
                kept = np.append(run[::step], run[-1])
                points = [QPointF(a, b) for a, b in zip(x[kept], y[kept], strict=True)]
                self._lines.append(QPolygonF(points))
            else:
                left, right = float(x[run[0]]), float(x[run[-1]])
                bar = QRectF(left, box.bottom() - GAP_PX, max(right - left, 1.0), GAP_PX)
                self._gaps.append((bar, _said(state, run)))

    def _draw_gaps(self, painter: QPainter) -> None:
        """Each gap's bar, and its reason over it where that does not lie on the one before."""
        taken = 0.0
        for bar, words in self._gaps:
            painter.fillRect(bar, theme.colour(theme.ALARM_HIGH, 0.55))
            if not words or bar.width() < LEAST_TOLD_PX:
                continue
            for said in (words, words.split(" ")[0]):
                wide = text_width(said, theme.LEAST, theme.MEDIUM)
                left = bar.center().x() - wide / 2.0
                if left > taken and wide <= bar.width() + OVERHANG_PX:
                    at = QPointF(bar.center().x(), bar.top() - 2.0)
                    draw_label(
                        painter, at, said, px=theme.LEAST, name=theme.TEXT_2, anchor=(0.5, 1.0)
                    )
                    taken = left + wide + 8.0
                    break

    def _draw_off_scale(self, painter: QPainter, box: QRectF) -> None:
        """A dotted line along the upper edge where the needle was further away."""
        pen = QPen(theme.colour(theme.NEEDLE), 2.0)
        pen.setDashPattern([1.0, 3.0])
        for left, right in self._off_scale:
            painter.setPen(pen)
            painter.drawLine(QLineF(left, box.top() + 1.0, right, box.top() + 1.0))
            if right - left > 70.0:
                at = QPointF((left + right) / 2.0, box.top() + 4.0)
                words = f"over {FAR_MM:.0f} mm"
                draw_label(painter, at, words, name=theme.NEEDLE, anchor=(0.5, 0.0))

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
            painter,
            foot,
            "Red: no guidance, and why",
            px=theme.LEAST,
            name=theme.TEXT_2,
            anchor=(0.0, 1.0),
        )


def _said(state: TimelineState, run: np.ndarray) -> str:
    """The reason that held longest in a stretch of states without guidance."""
    reasons = [state.reasons[index] for index in run] if state.reasons else []
    said = [short_reason(reason) for reason in reasons if reason]
    return max(set(said), key=said.count) if said else ""


def _runs_px(x: FloatArray, mask: np.ndarray) -> list[tuple[float, float]]:
    """First and last place of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(float(x[a]), float(x[b - 1])) for a, b in edges.reshape(-1, 2)]
