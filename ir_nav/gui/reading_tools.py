"""Tools that measure and annotate in slices."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from PyQt6.QtCore import QLineF, QPointF, Qt
from PyQt6.QtGui import QPainter

from ir_nav.geometry import FloatArray
from ir_nav.gui import theme
from ir_nav.gui.annotation_desk import AnnotationDesk
from ir_nav.gui.slice_mouse import BrowsableSlice
from ir_nav.gui.slice_tools import PlainTool, Pointer
from ir_nav.gui.slice_view import SliceView
from ir_nav.session.annotations import (
    Angle,
    Annotation,
    Arrow,
    Ball,
    Curve,
    Distance,
    Ellipse,
    Polygon,
    Probe,
    point_mm,
)

# Pressed here and let go further away: the press was one end and the release the other.
DRAGGED_PX = 5.0
CLOSE_PX = 10.0
LEAST_MM = 0.3

FIXED = {Probe: 1, Distance: 2, Angle: 3, Ellipse: 2, Ball: 2, Arrow: 2}
ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class MeasureTool(PlainTool):
    """Places the points of one kind of annotation, by clicks or by one drag.

    Polygons and curves take points until Enter, a double click, or (polygons) a click on the
    first one. finished: called with what was placed.
    """

    def __init__(
        self,
        name: str,
        kind: type[Annotation],
        desk: AnnotationDesk,
        finished: Callable[[Annotation, BrowsableSlice], None] | None = None,
    ) -> None:
        self.name = name
        self._kind: Any = kind
        self._desk = desk
        self._finished = finished
        self._view: BrowsableSlice | None = None
        self._points: list[FloatArray] = []
        self._hover: FloatArray | None = None
        self._pressed = QPointF()

    @property
    def placing(self) -> bool:
        """Whether some of the points are placed and others not."""
        return bool(self._points)

    def press(self, pointer: Pointer) -> bool:
        if pointer.button == Qt.MouseButton.RightButton and self.placing:
            return self._finish_open(pointer.view)
        if not pointer.left or pointer.view.volume is None:
            return False
        if self._view is not pointer.view:
            self.leave()
        self._view = pointer.view
        self._pressed = pointer.at_px
        if self._kind is Polygon and len(self._points) >= 3 and self._at_first(pointer):
            return self._finish_open(pointer.view)
        self._points.append(pointer.point_ct_mm)
        self._hover = pointer.point_ct_mm
        self._finish_if_full(pointer.view)
        return True

    def move(self, pointer: Pointer) -> bool:
        if self._kind is Probe:
            self._view, self._hover = pointer.view, pointer.point_ct_mm
            self._desk.repaint()
            return pointer.held == Qt.MouseButton.LeftButton
        if self._view is not pointer.view or not self.placing:
            return False
        self._hover = pointer.point_ct_mm
        pointer.view.update()
        return True

    def release(self, pointer: Pointer) -> bool:
        if not self.placing or self._view is not pointer.view:
            return pointer.left
        off = pointer.at_px - self._pressed
        if np.hypot(off.x(), off.y()) > DRAGGED_PX and self._kind in FIXED:
            self._points.append(pointer.point_ct_mm)
            self._finish_if_full(pointer.view)
        return True

    def double_click(self, pointer: Pointer) -> bool:
        """The first click of the two has placed the last point already."""
        if pointer.left and self.placing and self._kind not in FIXED:
            return self._finish_open(pointer.view)
        return self.press(pointer)

    def key(self, view: BrowsableSlice, key: Qt.Key, modifiers: Qt.KeyboardModifier) -> bool:
        if not self.placing:
            return False
        if key == Qt.Key.Key_Escape:
            self.leave()
            return True
        if key in ENTER and self._kind not in FIXED:
            return self._finish_open(view)
        if key == Qt.Key.Key_Backspace or _is_undo(key, modifiers):
            self._points.pop()
            self._desk.repaint()
            return True
        return False

    def claims(self, key: Qt.Key, modifiers: Qt.KeyboardModifier) -> bool:
        """Undo takes back the last point while some are placed."""
        return self.placing and _is_undo(key, modifiers)

    def leave(self) -> None:
        self._points, self._hover, self._view = [], None, None
        self._desk.repaint()

    def paint(self, painter: QPainter, view: SliceView) -> None:
        if self._view is not view or self._hover is None:
            return
        points = [*self._points, self._hover]
        item = self._made(points, self._view)
        if item is not None:
            self._desk.layer.paint_item(painter, view, item, theme.ACCENT_HOVER, handles=True)
        elif len(points) > 1:
            painter.setPen(theme.colour(theme.ACCENT_HOVER))
            seen = view.to_view(np.array(points))
            for one, two in pairwise(seen):
                painter.drawLine(QLineF(one[0], one[1], two[0], two[1]))

    def _at_first(self, pointer: Pointer) -> bool:
        seen = pointer.view.to_view(self._points[0])
        return bool(np.hypot(seen[0] - pointer.at_px.x(), seen[1] - pointer.at_px.y()) <= CLOSE_PX)

    def _finish_if_full(self, view: BrowsableSlice) -> None:
        if len(self._points) < FIXED.get(self._kind, 1_000):
            view.update()
            return
        points = self._points
        self.leave()
        self._keep(self._made(points, view), view)

    def _finish_open(self, view: BrowsableSlice) -> bool:
        if self._kind in FIXED:
            self.leave()
            return True
        points, least = self._points, 3 if self._kind is Polygon else 2
        points = [
            point
            for index, point in enumerate(points)
            if index == 0 or np.linalg.norm(point - points[index - 1]) > LEAST_MM
        ]
        self.leave()
        if len(points) >= least:
            self._keep(self._made(points, view), view)
        return True

    def _keep(self, item: Annotation | None, view: BrowsableSlice) -> None:
        if item is None:
            return
        if self._finished is not None:
            self._finished(item, view)
        else:
            self._desk.add(item)

    def _made(self, points: list[FloatArray], view: BrowsableSlice) -> Annotation | None:
        """The annotation by these points, or None while they make none."""
        right, down, _ = view.axes_ct
        if self._kind is Ellipse and len(points) == 2:
            points = _ellipse_points(points[0], points[1], right, down)
        need = {Polygon: 3, Curve: 2, Ellipse: 3}.get(self._kind, FIXED.get(self._kind, 1))
        if len(points) < need or (need > 1 and _span_mm(points) < LEAST_MM):
            return None
        if self._kind in (Ellipse, Angle) and _least_gap_mm(points) < LEAST_MM:
            return None
        return self._kind(  # type: ignore[no-any-return]
            points_ct_mm=tuple(point_mm(point) for point in points),
            right_ct=_direction(right),
            down_ct=_direction(down),
        )


def _ellipse_points(
    corner: FloatArray, other: FloatArray, right: FloatArray, down: FloatArray
) -> list[FloatArray]:
    """Centre and ends of the half-axes of the ellipse in a box between two corners."""
    off = (other - corner) / 2.0
    centre = corner + off
    return [
        centre,
        centre + right * abs(float(off @ right)),
        centre + down * abs(float(off @ down)),
    ]


def _direction(direction: FloatArray) -> tuple[float, float, float]:
    x, y, z = (round(float(part), 9) for part in direction)
    return x, y, z


def _span_mm(points: list[FloatArray]) -> float:
    return float(np.linalg.norm(np.ptp(np.array(points), axis=0)))


def _least_gap_mm(points: list[FloatArray]) -> float:
    return min(
        float(np.linalg.norm(one - two))
        for index, one in enumerate(points)
        for two in points[:index]
    )


def _is_undo(key: Qt.Key, modifiers: Qt.KeyboardModifier) -> bool:
    return key == Qt.Key.Key_Z and bool(modifiers & Qt.KeyboardModifier.ControlModifier)
