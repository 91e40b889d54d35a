"""The error that a registration predicts, painted over slices: a tint by the protocol's limits,
and the numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PyQt6.QtCore import QPointF, QRectF
from PyQt6.QtGui import QImage, QPainter

from ir_nav.geometry import FloatArray, apply
from ir_nav.gui import theme
from ir_nav.gui.paint import draw_label
from ir_nav.gui.slice_view import SliceView
from ir_nav.imaging import Plane, Volume
from ir_nav.planning.protocol import RegistrationRules
from ir_nav.registration import Registration
from ir_nav.registration.tre import tre_map_mm

CELL_PX = 12
NUMBER_EVERY = 8
ALPHA = 0.16
Key = tuple[object, ...]


class TreLayer:
    """found: the registration to show, or None. Switched off at first."""

    def __init__(
        self, found: Callable[[], Registration | None], rules: Callable[[], RegistrationRules]
    ) -> None:
        self._found = found
        self._rules = rules
        self.on = False
        # What was worked out for each view; again when view, registration or limits change.
        self._kept: dict[SliceView, tuple[Key, QImage, FloatArray]] = {}

    def paint(self, painter: QPainter, view: SliceView) -> None:
        found, volume = self._found(), view.volume
        if not self.on or found is None or volume is None:
            return
        image, errors_mm = self._map(found, view, volume)
        rows, columns = errors_mm.shape
        box = QRectF(0.0, 0.0, columns * CELL_PX, rows * CELL_PX)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(box, image)
        painter.restore()
        for row in range(NUMBER_EVERY // 2, rows, NUMBER_EVERY):
            for column in range(NUMBER_EVERY // 2, columns, NUMBER_EVERY):
                error_mm = float(errors_mm[row, column])
                if np.isfinite(error_mm):
                    at = QPointF((column + 0.5) * CELL_PX, (row + 0.5) * CELL_PX)
                    words = f"{error_mm:.1f}" if error_mm < 9.95 else f"{error_mm:.0f}"
                    draw_label(painter, at, words, px=theme.LEAST, anchor=(0.5, 0.5))
        low_right = QPointF(view.width() - 14.0, view.height() - 40.0)
        words = "Predicted error, mm rms"
        draw_label(painter, low_right, words, px=theme.LEAST, plate=True, anchor=(1.0, 1.0))

    def _map(
        self, found: Registration, view: SliceView, volume: Volume
    ) -> tuple[QImage, FloatArray]:
        plane, rules = view.plane(), self._rules()
        size = (view.width(), view.height())
        key: Key = (found, plane, size, rules, volume)
        kept = self._kept.get(view)
        # By identity: equal or not, the same objects give the same picture.
        if kept is None or any(a is not b and a != b for a, b in zip(kept[0], key, strict=True)):
            errors_mm = _errors_mm(found, plane, size, volume)
            kept = (key, _tinted(errors_mm, rules), errors_mm)
            self._kept[view] = kept
        return kept[1], kept[2]


def _errors_mm(
    found: Registration, plane: Plane, size_px: tuple[int, int], volume: Volume
) -> FloatArray:
    """(rows, columns) of cells: rms mm at their middles, NaN outside the CT."""
    columns, rows = (-(-pixels // CELL_PX) for pixels in size_px)
    u, v = np.meshgrid(np.arange(columns), np.arange(rows))
    middle = (CELL_PX - 1) / 2.0
    at = np.stack([u * CELL_PX + middle, v * CELL_PX + middle, np.zeros(u.shape)], axis=-1)
    points = apply(plane.ct_from_view, at)
    errors_mm = tre_map_mm(found, points)
    low, high = volume.bounds_mm
    errors_mm[((points < low) | (points > high)).any(axis=-1)] = np.nan
    return errors_mm


def _tinted(errors_mm: FloatArray, rules: RegistrationRules) -> QImage:
    """A pixel for each cell: green up to the good error, yellow up to the most, then red."""
    colours = np.zeros((*errors_mm.shape, 4), np.uint8)
    limits = ((0.0, theme.GOOD), (rules.good_tre_mm, theme.ALARM_MEDIUM))
    for above_mm, name in (*limits, (rules.max_tre_mm, theme.ALARM_HIGH)):
        tone = theme.colour(name)
        # NaN is above nothing.
        colours[errors_mm > above_mm] = (
            tone.red(),
            tone.green(),
            tone.blue(),
            round(255 * ALPHA),
        )
    rows, columns = errors_mm.shape
    held = colours.tobytes()
    return QImage(held, columns, rows, 4 * columns, QImage.Format.Format_RGBA8888).copy()
