"""Where a probe's sweep has been, and the residual of every sample once it is worked out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QLineF, QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QWidget

from ir_nav.geometry import FloatArray
from ir_nav.gui import theme
from ir_nav.gui.paint import draw_label, fitting, write
from ir_nav.session.probe_sweep import Coverage, ProbeOutcome
from ir_nav.tracking.calibration.nwire import MIN_TRAVEL_MM
from ir_nav.tracking.calibration.probe_result import MAX_MEAN_MM

DOT_PX = 2.0
LEAST_HEIGHT_PX = 70.0
METER_PX = 30.0
# A meter is full at this many times what the gate asks for.
METER_FULL = 4.0
FOOT_PX = theme.NOTE + 12.0
SCALE_PX = 46.0


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Samples of one sweep: errors (n,), mm; good (n,): False where the fit left it out."""

    name: str
    errors_mm: FloatArray
    good: NDArray[np.bool_]
    mean_best_95: float


class ProbeView(QWidget):
    """While sweeping, where the wires were in the image; at the end, the residuals."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setMinimumHeight(40)
        self._coverage: Coverage | None = None
        self._size_px = (1, 1)
        self._outcome: ProbeOutcome | None = None
        self._blocks: tuple[_Block, ...] = ()

    def sizeHint(self) -> QSize:
        return QSize(320, 220)

    def show_coverage(self, coverage: Coverage, size_px: tuple[int, int]) -> None:
        """Draw a sweep under way over an image of (columns, rows)."""
        if coverage is not self._coverage or size_px != self._size_px:
            self._coverage, self._size_px = coverage, size_px
            self.update()

    def show_outcome(self, outcome: ProbeOutcome | None) -> None:
        """Draw the residuals; None clears."""
        if outcome is self._outcome and self._coverage is None:
            return
        self._outcome, self._coverage = outcome, None
        self._blocks = () if outcome is None else _blocks(outcome)
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        if self.height() < LEAST_HEIGHT_PX:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._coverage is not None:
            self._draw_coverage(painter, self._coverage)
        elif self._blocks:
            self._draw_residuals(painter)
        painter.end()

    def _draw_coverage(self, painter: QPainter, coverage: Coverage) -> None:
        columns, rows = self._size_px
        room = QRectF(0.0, 0.0, self.width(), self.height() - 2 * METER_PX - 8.0)
        scale = min(room.width() / columns, room.height() / rows)
        box = QRectF(0.0, 0.0, columns * scale, rows * scale)
        box.moveCenter(room.center())
        painter.setPen(QPen(theme.colour(theme.LINE), 1.0))
        painter.setBrush(theme.colour(theme.IMAGE))
        painter.drawRect(box)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(theme.TEXT_1, 0.7))
        for u, v in coverage.middle_px:
            at = QPointF(box.left() + (u + 0.5) * scale, box.top() + (v + 0.5) * scale)
            painter.drawEllipse(at, DOT_PX, DOT_PX)
        words = "Wires found in the image" if len(coverage.middle_px) else "No wires found yet"
        draw_label(painter, box.topLeft() + QPointF(4, 4), words, plate=True)
        top = self.height() - 2 * METER_PX
        travel = coverage.travel_mm
        self._draw_meter(painter, top, "Along the wires", travel, "mm", MIN_TRAVEL_MM)
        self._draw_meter(painter, top + METER_PX, "Tilted", coverage.turned_deg, "°", None)

    def _draw_meter(
        self, painter: QPainter, top: float, name: str, value: float, unit: str, gate: float | None
    ) -> None:
        base = top + 19.0
        write(painter, QPointF(0, base), name, theme.NOTE, theme.TEXT_2)
        number = f"{value:.0f}{unit}" if unit == "°" else f"{value:.0f} {unit}"
        full = METER_FULL * (10.0 if gate is None else gate)
        bar = QRectF(124.0, top + 10.0, max(self.width() - 124.0 - 66.0, 10.0), 8.0)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(theme.LINE))
        painter.drawRoundedRect(bar, 4.0, 4.0)
        enough = gate is None or value >= gate
        painter.setBrush(theme.colour(theme.GOOD if enough and gate is not None else theme.TEXT_2))
        filled = QRectF(bar)
        filled.setWidth(bar.width() * min(value / full, 1.0))
        painter.drawRoundedRect(filled, 4.0, 4.0)
        if gate is not None:
            x = bar.left() + bar.width() * gate / full
            painter.setPen(QPen(theme.colour(theme.PLAN), 2.0))
            painter.drawLine(QLineF(x, bar.top() - 3.0, x, bar.bottom() + 3.0))
        at = QPointF(bar.right() + 10.0, base)
        write(painter, at, number, theme.NOTE, theme.TEXT_1, theme.MEDIUM)

    def _draw_residuals(self, painter: QPainter) -> None:
        everything = np.concatenate([block.errors_mm for block in self._blocks])
        top_mm = max(1.25 * MAX_MEAN_MM, min(float(everything.max()), 3.0 * MAX_MEAN_MM) * 1.08)
        plot = QRectF(SCALE_PX, 6.0, self.width() - SCALE_PX, self.height() - FOOT_PX - 6.0)
        step = 0.5 if top_mm < 2.2 else 1.0
        for tick in np.arange(0.0, top_mm, step):
            y = plot.bottom() - tick / top_mm * plot.height()
            gate = tick == MAX_MEAN_MM
            tone = theme.PLAN if gate else theme.LINE
            painter.setPen(QPen(theme.colour(tone), 2.0 if gate else 1.0))
            painter.drawLine(QLineF(plot.left(), y, plot.right(), y))
            words = f"{tick:g} mm" if gate else f"{tick:g}"
            ink = theme.PLAN if gate else theme.TEXT_2
            write(painter, QPointF(2.0, y + 5.0), words, theme.LEAST, ink)
        total = sum(len(block.errors_mm) for block in self._blocks)
        gap = 12.0 * (len(self._blocks) - 1)
        left = plot.left()
        for block in self._blocks:
            share = (plot.width() - gap) * len(block.errors_mm) / total
            self._draw_block(painter, QRectF(left, plot.top(), share, plot.height()), block, top_mm)
            left += share + 12.0

    def _draw_block(self, painter: QPainter, box: QRectF, block: _Block, top_mm: float) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        count = max(len(block.errors_mm), 1)
        for index, (error, good) in enumerate(zip(block.errors_mm, block.good, strict=True)):
            y = box.bottom() - min(float(error) / top_mm, 1.0) * box.height()
            painter.setBrush(theme.colour(theme.TEXT_1 if good else theme.ALARM_HIGH, 0.6))
            at = QPointF(box.left() + (index + 0.5) / count * box.width(), y)
            painter.drawEllipse(at, DOT_PX, DOT_PX)
        y = box.bottom() - block.mean_best_95 / top_mm * box.height()
        painter.setPen(QPen(theme.colour(theme.GOOD), 2.0))
        painter.drawLine(QLineF(box.left(), y, box.right(), y))
        left_out = int((~block.good).sum())
        words = f"{block.name}, {left_out} left out" if left_out else block.name
        painter.setFont(theme.font(theme.NOTE))
        painter.setPen(theme.colour(theme.TEXT_2))
        below = QRectF(box.left(), box.bottom() + 4.0, box.width(), FOOT_PX)
        cut = fitting(words, theme.NOTE, theme.REGULAR, box.width())
        painter.drawText(below, Qt.AlignmentFlag.AlignHCenter, cut)
        draw_label(
            painter,
            QPointF(box.right() - 2.0, y - 2.0),
            f"{block.mean_best_95:.2f} mm",
            name=theme.GOOD,
            px=theme.NOTE,
            plate=True,
            anchor=(1.0, 1.0),
        )


def _blocks(outcome: ProbeOutcome) -> tuple[_Block, ...]:
    """Only what has samples: with too few frames nothing was fitted."""
    found = []
    calibration, validation = outcome.calibration, outcome.validation
    if calibration.calibration_error is not None:
        seen = np.isfinite(calibration.errors_mm)
        best = calibration.calibration_error.mean_best_95
        good = calibration.kept[seen]
        found.append(_Block("Calibration sweep", calibration.errors_mm[seen], good, best))
    if validation is not None and validation.error is not None:
        errors = validation.errors_mm[np.isfinite(validation.errors_mm)]
        alike = np.ones(len(errors), dtype=bool)
        found.append(_Block("Validation sweep", errors, alike, validation.error.mean_best_95))
    return tuple(found)
