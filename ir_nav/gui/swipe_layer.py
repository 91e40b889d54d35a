"""Swiped points over the slices that they lie in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtGui import QPainter, QPen, QPolygonF

from ir_nav.geometry import FloatArray
from ir_nav.gui import theme
from ir_nav.gui.slice_view import SliceView

NEAR_MM = 4.0
DOT_PX = 4.0


class SwipeLayer:
    """points: (n, 3) in `ct`, mm, or None."""

    def __init__(self, points: Callable[[], FloatArray | None]) -> None:
        self._points = points

    def paint(self, painter: QPainter, view: SliceView) -> None:
        points = self._points()
        if points is None or view.volume is None:
            return
        draw_dots(painter, view, points, DOT_PX, theme.TEXT_1)


def draw_dots(
    painter: QPainter, view: SliceView, points_ct_mm: FloatArray, size_px: float, tone: str
) -> None:
    """Those of the points (n, 3) that lie near the slice."""
    if not len(points_ct_mm):
        return
    seen = np.asarray(view.to_view(points_ct_mm))
    near = seen[np.abs(seen[:, 2]) <= NEAR_MM]
    pen = QPen(theme.colour(tone), size_px)
    pen.setCapStyle(Qt.PenCapStyle.RoundCap)
    painter.setPen(pen)
    painter.drawPoints(QPolygonF([QPointF(x, y) for x, y in near[:, :2].tolist()]))
