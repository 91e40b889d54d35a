"""How a tool was turned while it was calibrated, and what residual that left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QLineF, QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QWidget

from ir_nav.geometry import FloatArray
from ir_nav.gui import theme
from ir_nav.gui.paint import draw_label, fitting
from ir_nav.tracking.calibration.pivot import MAX_PIVOT_RMS_MM, PivotCalibration

RINGS_DEG = (20.0, 40.0, 60.0, 90.0, 120.0, 180.0)
RINGS_MM = (0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6)
DOTS = 600
DOT_PX = 1.8
LEAST_SIDE_PX = 56.0


class CalibrationView(QWidget):
    """Two targets side by side: how the tool was turned, and the residual of every pose."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self._turned_deg: FloatArray | None = None
        self._pivot: PivotCalibration | None = None

    def sizeHint(self) -> QSize:
        return QSize(320, 160)

    def show_running(self, turned_deg: FloatArray) -> None:
        """Draw how the tool was turned so far: rotations (n, 2), degrees."""
        self._turned_deg, self._pivot = turned_deg, None
        self.update()

    def show_pivot(self, pivot: PivotCalibration | None) -> None:
        """Draw a pivot calibration, refused or not; None clears."""
        turned_deg = None if pivot is None else pivot.turned_deg
        if pivot is not self._pivot or turned_deg is not self._turned_deg:
            self._turned_deg, self._pivot = turned_deg, pivot
            self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        turned_deg, pivot = self._turned_deg, self._pivot
        caption_px = theme.NOTE + 10.0
        side = min(self.width() / 2.0 - 12.0, self.height() - caption_px)
        if turned_deg is None or not len(turned_deg) or side < LEAST_SIDE_PX:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        left = QRectF(self.width() / 4.0 - side / 2.0, 0.0, side, side)
        right = left.translated(self.width() / 2.0, 0.0)
        alike = np.ones(len(turned_deg), dtype=bool)
        _draw_target(painter, left, turned_deg, alike, _Rings(RINGS_DEG, "°", None))
        _caption(painter, left, self.width() / 2.0, "How it was turned")
        if pivot is None:
            painter.setPen(QPen(theme.colour(theme.LINE), 1.0))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawEllipse(right.adjusted(4.0, 4.0, -4.0, -4.0))
            _caption(painter, right, self.width() / 2.0, "Residuals at the end")
        elif len(pivot.offsets_mm):
            gate = _Rings(RINGS_MM, " mm", MAX_PIVOT_RMS_MM)
            _draw_target(painter, right, pivot.offsets_mm[:, :2], pivot.kept, gate)
            out = int((~pivot.kept).sum())
            words = f"Residuals, {out} left out" if out else "Residuals, limit in blue"
            _caption(painter, right, self.width() / 2.0, words)
        painter.end()


@dataclass(frozen=True, slots=True)
class _Rings:
    steps: tuple[float, ...]
    unit: str
    gate: float | None


def _draw_target(
    painter: QPainter, box: QRectF, points: FloatArray, good: NDArray[np.bool_], rings: _Rings
) -> None:
    # The widest pose in a hundred may leave the picture; the others set its scale.
    reach = float(np.percentile(np.linalg.norm(points, axis=1), 99.0))
    steps = rings.steps
    last = next((i for i, step in enumerate(steps) if step >= reach), len(steps) - 1)
    if rings.gate is not None:
        last = max(last, steps.index(rings.gate))
    scale = 0.5 * box.width() / (steps[last] * 1.04)
    middle = box.center()
    if rings.gate is not None:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(theme.PLAN, 0.08))
        painter.drawEllipse(middle, rings.gate * scale, rings.gate * scale)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(theme.colour(theme.LINE), 1.0))
    reach_px = steps[last] * scale
    painter.drawLine(QLineF(middle.x() - reach_px, middle.y(), middle.x() + reach_px, middle.y()))
    painter.drawLine(QLineF(middle.x(), middle.y() - reach_px, middle.x(), middle.y() + reach_px))
    for step in steps[max(last - 2, 0) : last + 1]:
        gate = step == rings.gate
        tone, width = (theme.PLAN, 2.0) if gate else (theme.TEXT_3, 1.0)
        painter.setPen(QPen(theme.colour(tone, 1.0 if gate else 0.5), width))
        painter.drawEllipse(middle, step * scale, step * scale)
    painter.setPen(Qt.PenStyle.NoPen)
    stride = max(1, len(points) // DOTS)
    for point, fine in zip(points[::stride], good[::stride], strict=True):
        at = QPointF(middle.x() + point[0] * scale, middle.y() + point[1] * scale)
        if box.contains(at):
            painter.setBrush(theme.colour(theme.TEXT_1 if fine else theme.ALARM_HIGH, 0.6))
            painter.drawEllipse(at, DOT_PX, DOT_PX)
    # Between the axes, where the rings are free of the middle's crowd.
    slant = scale * float(np.sqrt(0.5))
    for step in steps[max(last - 1, 0) : last + 1] if box.width() > 130.0 else ():
        draw_label(
            painter,
            QPointF(middle.x() + step * slant, middle.y() + step * slant),
            f"{step:g}{rings.unit}",
            px=theme.LEAST,
            name=theme.PLAN if step == rings.gate else theme.TEXT_2,
            plate=True,
            anchor=(0.5, 0.5),
        )


def _caption(painter: QPainter, box: QRectF, room_px: float, words: str) -> None:
    painter.setFont(theme.font(theme.NOTE, theme.REGULAR))
    painter.setPen(theme.colour(theme.TEXT_2))
    left = box.center().x() - room_px / 2.0
    below = QRectF(left, box.bottom() + 4.0, room_px, theme.NOTE + 8.0)
    cut = fitting(words, theme.NOTE, theme.REGULAR, room_px)
    painter.drawText(below, Qt.AlignmentFlag.AlignHCenter, cut)
