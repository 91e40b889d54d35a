"""Two motions laid over each other: as their timestamps say, and with the delay taken off."""

from __future__ import annotations

import numpy as np
from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QPainter, QPaintEvent, QPen, QPolygonF
from PyQt6.QtWidgets import QWidget

from ir_nav.geometry import FloatArray
from ir_nav.gui import theme
from ir_nav.gui.paint import fitting, write
from ir_nav.session.delay_run import DelayOutcome, DelaySignals

LIVE_S = 12.0
# A delay of 50 ms must be seen: the whole recording would hide it.
CLOSE_UP_S = 3.0
DOT_PX = 2.6
LEAST_HEIGHT_PX = 70.0
CAPTION_PX = theme.NOTE + 8.0
SPREAD = 2.2


class DelayView(QWidget):
    """Dots: the bottom's height in each image. Line: the probe's way by the tracker."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setMinimumHeight(40)
        self._signals: DelaySignals | None = None
        self._outcome: DelayOutcome | None = None

    def sizeHint(self) -> QSize:
        return QSize(320, 220)

    def show_running(self, signals: DelaySignals) -> None:
        """Draw the last seconds of what is being measured."""
        self._signals, self._outcome = signals, None
        self.update()

    def show_outcome(self, outcome: DelayOutcome | None) -> None:
        """Draw what came of it; None clears."""
        if outcome is self._outcome and self._signals is None:
            return
        self._signals, self._outcome = None, outcome
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        if self.height() < LEAST_HEIGHT_PX:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        whole = QRectF(0.0, 0.0, self.width(), self.height())
        if self._signals is not None:
            self._draw_live(painter, whole, self._signals)
        elif self._outcome is not None:
            self._draw_outcome(painter, whole, self._outcome)
        painter.end()

    def _draw_live(self, painter: QPainter, box: QRectF, signals: DelaySignals) -> None:
        ends = [
            times[-1] for times in (signals.image_times_s, signals.tracker_times_s) if len(times)
        ]
        if not ends:
            write(painter, QPointF(8, 24), "Nothing came yet", theme.NOTE, theme.TEXT_3)
            return
        end_s = float(max(ends))
        plot = box.adjusted(0.0, 0.0, 0.0, -CAPTION_PX)
        _draw_pair(painter, plot, signals, 0.0, end_s - LIVE_S, end_s)
        _caption(painter, box, "Dots: bottom in the image, line: probe by the tracker")

    def _draw_outcome(self, painter: QPainter, box: QRectF, outcome: DelayOutcome) -> None:
        signals, lag_s = outcome.signals, outcome.result.tracker_lag_s
        begin_s, end_s = _steepest(signals)
        if lag_s is None:
            _draw_pair(painter, box.adjusted(0, 0, 0, -CAPTION_PX), signals, 0.0, begin_s, end_s)
            _caption(painter, box, "As stamped; dots: image, line: tracker")
            return
        half = box.height() / 2.0
        before = QRectF(box.left(), box.top(), box.width(), half - 4.0)
        after = before.translated(0.0, half + 4.0)
        for part, shift_s, words in (
            (before, 0.0, "As stamped; dots: image, line: tracker"),
            (after, lag_s, f"With {1e3 * lag_s:+.1f} ms taken off the tracker".replace("-", "−")),
        ):
            plot = part.adjusted(0.0, 0.0, 0.0, -CAPTION_PX)
            _draw_pair(painter, plot, signals, shift_s, begin_s, end_s)
            _caption(painter, part, words)


def _draw_pair(
    painter: QPainter,
    box: QRectF,
    signals: DelaySignals,
    shift_s: float,
    begin_s: float,
    end_s: float,
) -> None:
    """Both motions between two times, each by its own middle and spread."""
    painter.setPen(QPen(theme.colour(theme.LINE), 1.0))
    painter.setBrush(theme.colour(theme.BAR))
    painter.drawRoundedRect(box, 4.0, 4.0)
    heights, along = signals.heights_px, signals.along_mm
    seen = np.isfinite(heights)
    if _same_way(signals) < 0.0:
        along = -along
    painter.save()
    painter.setClipRect(box)
    lines = (signals.tracker_times_s - shift_s, _normalised(along))
    points = _points(box, *lines, begin_s, end_s)
    painter.setPen(QPen(theme.colour(theme.TEXT_2), 2.0))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawPolyline(QPolygonF(points))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(theme.colour(theme.TEXT_1))
    for point in _points(
        box, signals.image_times_s[seen], _normalised(heights[seen]), begin_s, end_s
    ):
        painter.drawEllipse(point, DOT_PX, DOT_PX)
    painter.restore()


def _points(
    box: QRectF, times_s: FloatArray, values: FloatArray, begin_s: float, end_s: float
) -> list[QPointF]:
    inside = (times_s >= begin_s - 0.2) & (times_s <= end_s + 0.2)
    across = box.left() + (times_s[inside] - begin_s) / max(end_s - begin_s, 1e-3) * box.width()
    down = box.center().y() - values[inside] / SPREAD * box.height() / 2.0
    return [QPointF(float(x), float(y)) for x, y in zip(across, down, strict=True)]


def _normalised(values: FloatArray) -> FloatArray:
    """From the middle, in standard deviations."""
    if len(values) < 2:
        return np.zeros(len(values))
    return np.asarray((values - values.mean()) / max(float(values.std()), 1e-9))


def _same_way(signals: DelaySignals) -> float:
    """Negative where the line falls as the probe's coordinate rises."""
    seen = np.isfinite(signals.heights_px)
    if seen.sum() < 2 or len(signals.tracker_times_s) < 2:
        return 1.0
    moved = np.interp(signals.image_times_s[seen], signals.tracker_times_s, signals.along_mm)
    return float(_normalised(moved) @ _normalised(signals.heights_px[seen]))


def _steepest(signals: DelaySignals) -> tuple[float, float]:
    """The seconds in which the probe moved most: there a delay is seen best."""
    times_s, along = signals.tracker_times_s, signals.along_mm
    overlap = signals.image_times_s
    if len(times_s) < 2 or not len(overlap):
        return 0.0, CLOSE_UP_S
    first_s, last_s = max(times_s[0], overlap[0]), min(times_s[-1], overlap[-1])
    starts = np.arange(first_s, max(last_s - CLOSE_UP_S, first_s) + 0.01, 0.25)
    way = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(along)))])
    moved = np.interp(starts + CLOSE_UP_S, times_s, way) - np.interp(starts, times_s, way)
    begin_s = float(starts[int(np.argmax(moved))])
    return begin_s, min(begin_s + CLOSE_UP_S, float(max(last_s, begin_s + 0.5)))


def _caption(painter: QPainter, box: QRectF, words: str) -> None:
    painter.setFont(theme.font(theme.NOTE))
    painter.setPen(theme.colour(theme.TEXT_2))
    line = QRectF(box.left(), box.bottom() - CAPTION_PX + 2.0, box.width(), CAPTION_PX)
    cut = fitting(words, theme.NOTE, theme.REGULAR, box.width())
    painter.drawText(line, Qt.AlignmentFlag.AlignHCenter, cut)
