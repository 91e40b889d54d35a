"""Linked planes: where the other slices cut this one, and a tool that moves and turns them."""

from __future__ import annotations

import numpy as np
from PyQt6.QtCore import QLineF, QPointF, Qt
from PyQt6.QtGui import QPainter, QPen

from ir_nav.geometry import FloatArray, rotation_from_vector
from ir_nav.gui import theme
from ir_nav.gui.paint import draw_label
from ir_nav.gui.slice_mouse import BrowsableSlice
from ir_nav.gui.slice_tools import PlainTool, Pointer, SliceTools
from ir_nav.gui.slice_view import SliceView

# Planes this nearly parallel (sine) have no line in common worth drawing.
LEAST_SINE = 0.02
# Turning starts this far from the pivot, where a pixel is no great angle.
LEAST_ARM_PX = 12.0


def crossing(view: SliceView, other: SliceView) -> QLineF | None:
    """Where another view's visible plane cuts this one, in px; None where it does not."""
    normal, other_normal = view.axes_ct[2], other.axes_ct[2]
    along = np.cross(normal, other_normal)
    sine = float(np.linalg.norm(along))
    if sine < LEAST_SINE:
        return None
    along = along / sine
    rows = np.stack([normal, other_normal, along])
    right_side = [
        float(normal @ view.centre_ct_mm),
        float(other_normal @ other.centre_ct_mm),
        float(along @ view.centre_ct_mm),
    ]
    start = np.linalg.solve(rows, right_side)
    low, high = -np.inf, np.inf
    for seen_in in (view, other):
        ends = seen_in.to_view(np.array([start, start + along]))
        size = (float(seen_in.width()), float(seen_in.height()))
        for axis in (0, 1):
            first, step = float(ends[0, axis]), float(ends[1, axis] - ends[0, axis])
            if abs(step) < 1e-9:
                if not 0.0 <= first <= size[axis]:
                    return None
                continue
            cuts = sorted((-first / step, (size[axis] - first) / step))
            low, high = max(low, cuts[0]), min(high, cuts[1])
    if not low < high:
        return None
    one, two = view.to_view(np.array([start + along * low, start + along * high]))
    return QLineF(float(one[0]), float(one[1]), float(two[0]), float(two[1]))


class CrossLines:
    """Draws where a page's other slices cut each slice, while shown."""

    def __init__(self, tools: SliceTools) -> None:
        self._tools = tools
        self.shown = True
        self.named = False

    def paint(self, painter: QPainter, view: SliceView) -> None:
        if not self.shown or view.volume is None:
            return
        for other in self._tools.views:
            if other is view or not other.isVisible():
                continue
            line = crossing(view, other)
            if line is None:
                continue
            pen = QPen(theme.colour(theme.TEXT_2, 0.75), 1.0)
            pen.setDashPattern([6.0, 5.0])
            painter.setPen(pen)
            painter.drawLine(line)
            if self.named:
                at = line.pointAt(0.06)
                draw_label(painter, at, other.accessibleName(), px=theme.LEAST, name=theme.TEXT_2)


class CrossTool(PlainTool):
    """Drag: the other planes pass through the pointer. With Shift: they turn about this view's
    direction, round the point last dragged to, and become oblique."""

    name = "Linked planes"
    cursor = Qt.CursorShape.CrossCursor

    def __init__(self, tools: SliceTools, lines: CrossLines) -> None:
        self._tools = tools
        self._lines = lines
        self._pivot: FloatArray | None = None
        self._turned_from: float | None = None

    def press(self, pointer: Pointer) -> bool:
        if not pointer.left:
            return False
        self._turned_from = None
        return self.move(pointer)

    def move(self, pointer: Pointer) -> bool:
        self._lines.named = True
        if pointer.held != Qt.MouseButton.LeftButton:
            return False
        if pointer.shift:
            self._turn(pointer)
        else:
            self._pivot, self._turned_from = pointer.point_ct_mm, None
            for view in self._others(pointer.view):
                go_through(view, pointer.point_ct_mm)
        self._tools.repaint()
        return True

    def release(self, pointer: Pointer) -> bool:
        self._turned_from = None
        return pointer.left

    def leave(self) -> None:
        self._lines.named = False
        self._pivot = None

    def paint(self, painter: QPainter, view: SliceView) -> None:
        if self._pivot is None:
            return
        seen = view.to_view(self._pivot)
        if abs(float(seen[2])) > 1.0:
            return
        painter.setPen(QPen(theme.colour(theme.TEXT_1), 1.4))
        at = QPointF(seen[0], seen[1])
        painter.drawEllipse(at, 4.0, 4.0)

    def _turn(self, pointer: Pointer) -> None:
        view = pointer.view
        pivot = view.centre_ct_mm if self._pivot is None else self._pivot
        seen = view.to_view(pivot)
        x, y = pointer.at_px.x() - float(seen[0]), pointer.at_px.y() - float(seen[1])
        if np.hypot(x, y) < LEAST_ARM_PX:
            return
        now = float(np.arctan2(y, x))
        if self._turned_from is not None:
            turn = rotation_from_vector(view.axes_ct[2] * (now - self._turned_from))
            for other in self._others(view):
                right, down, _ = other.axes_ct
                off = other.centre_ct_mm - pivot
                other.look(pivot + turn @ off, turn @ right, turn @ down)
        self._turned_from = now

    def _others(self, view: BrowsableSlice) -> list[BrowsableSlice]:
        return [other for other in self._tools.views if other is not view]


def go_through(view: BrowsableSlice, point_ct_mm: FloatArray) -> None:
    """Move a view along its normal to a point (3,) in `ct`; within its plane as well when the
    point would be out of sight."""
    normal = view.axes_ct[2]
    off = point_ct_mm - view.centre_ct_mm
    view.look(view.centre_ct_mm + normal * float(off @ normal))
    seen = view.to_view(point_ct_mm)
    if not (0.0 <= seen[0] <= view.width() and 0.0 <= seen[1] <= view.height()):
        view.look(point_ct_mm)
