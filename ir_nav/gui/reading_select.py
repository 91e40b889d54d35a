"""The tool that takes hold of annotations in slices: select, move, delete, undo."""

from __future__ import annotations

import numpy as np
from PyQt6.QtCore import QPointF, Qt

from ir_nav.geometry import FloatArray
from ir_nav.gui.annotation_desk import AnnotationDesk
from ir_nav.gui.annotation_paint import reach_mm
from ir_nav.gui.slice_mouse import BrowsableSlice
from ir_nav.gui.slice_tools import PlainTool, Pointer
from ir_nav.session.annotations import Annotation, Ball, Ellipse, Polygon, point_mm, points_of

GRAB_PX = 9.0
LEAST_MM = 0.3


class SelectTool(PlainTool):
    """Takes hold of annotations where no other tool is in use: select, move, delete."""

    name = "Select"
    cursor = Qt.CursorShape.ArrowCursor

    def __init__(self, desk: AnnotationDesk) -> None:
        self._desk = desk
        self._grabbed: tuple[Annotation, int | None, FloatArray] | None = None
        self._moved: Annotation | None = None

    def press(self, pointer: Pointer) -> bool:
        if not pointer.left:
            return False
        found = self._item_at(pointer)
        self._desk.select(None if found is None else found[0].id)
        if found is None:
            return False
        self._grabbed = (*found, pointer.point_ct_mm)
        self._moved = None
        return True

    def move(self, pointer: Pointer) -> bool:
        if self._grabbed is None:
            return False
        item, handle, start = self._grabbed
        shift = pointer.point_ct_mm - start
        if self._moved is None and np.linalg.norm(shift) / pointer.view.mm_per_px < 3.0:
            return True
        self._moved = shifted(item, handle, shift)
        self._desk.preview(self._moved)
        return True

    def release(self, pointer: Pointer) -> bool:
        grabbed, self._grabbed = self._grabbed, None
        moved, self._moved = self._moved, None
        self._desk.preview(None)
        if moved is not None:
            self._desk.replace(moved)
        return grabbed is not None

    def key(self, view: BrowsableSlice, key: Qt.Key, modifiers: Qt.KeyboardModifier) -> bool:
        if key == Qt.Key.Key_Escape and self._desk.selected is not None:
            self._desk.select(None)
            return True
        if key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace) and self._desk.selected:
            self._desk.delete_selected()
            return True
        if self.claims(key, modifiers):
            if modifiers & Qt.KeyboardModifier.ShiftModifier:
                self._desk.redo()
            else:
                self._desk.undo()
            return True
        return False

    def claims(self, key: Qt.Key, modifiers: Qt.KeyboardModifier) -> bool:
        """Undo is the annotations' while the last thing done in the slices was one of theirs."""
        return self._desk.was_last and key == Qt.Key.Key_Z and _control(modifiers)

    def leave(self) -> None:
        self._grabbed = self._moved = None
        self._desk.preview(None)

    def _item_at(self, pointer: Pointer) -> tuple[Annotation, int | None] | None:
        """What lies under the pointer, the newest first: an item and its handle, or its line."""
        view, at = pointer.view, pointer.at_px
        for item in reversed(self._desk.items):
            seen = view.to_view(points_of(item))
            gaps = np.hypot(seen[:, 0] - at.x(), seen[:, 1] - at.y())
            gaps[np.abs(seen[:, 2]) > reach_mm(view)] = np.inf
            if gaps.min() <= GRAB_PX:
                return item, int(np.argmin(gaps))
            if self._on_line(item, pointer):
                return item, None
        return None

    def _on_line(self, item: Annotation, pointer: Pointer) -> bool:
        view, at = pointer.view, pointer.at_px
        if isinstance(item, Ball):
            centre = view.to_view(points_of(item)[0])
            ends = points_of(item)
            square = float(np.sum((ends[1] - ends[0]) ** 2)) - float(centre[2]) ** 2
            if square <= 0.0:
                return False
            gap = np.hypot(centre[0] - at.x(), centre[1] - at.y())
            return bool(abs(gap - np.sqrt(square) / view.mm_per_px) <= GRAB_PX)
        shape = self._desk.layer.outline(item)
        for line in shape.lines:
            seen = view.to_view(line)
            if shape.closed:
                seen = np.vstack([seen, seen[:1]])
            if _gap_px(seen, at, reach_mm(view)) <= GRAB_PX:
                return True
        return False


def shifted(item: Annotation, handle: int | None, shift_mm: FloatArray) -> Annotation:
    """The annotation with one point moved (3,) mm, or all of it; an ellipse's and a ball's
    first point is their centre and takes the others along."""
    points = points_of(item)
    if handle is None or (handle == 0 and isinstance(item, Ellipse | Ball)):
        points += shift_mm
    elif isinstance(item, Ellipse):
        half = points[handle] - points[0]
        along = half / max(float(np.linalg.norm(half)), 1e-9)
        length = max(float((half + shift_mm) @ along), LEAST_MM)
        points[handle] = points[0] + along * length
    else:
        points[handle] += shift_mm
    stored = tuple(point_mm(point) for point in points)
    if isinstance(item, Polygon) and handle is not None:
        # A corner dragged in another plane stays in the polygon's own.
        normal = np.cross(item.right_ct, item.down_ct)
        off = (points - points_of(item)[0]) @ normal
        stored = tuple(point_mm(point) for point in points - off[:, None] * normal)
    return item.model_copy(update={"points_ct_mm": stored})


def _gap_px(seen: FloatArray, at: QPointF, reach: float) -> float:
    """Distance in px from a place to a line of view points, where it is within reach."""
    start, end = seen[:-1], seen[1:]
    near = np.minimum(np.abs(start[:, 2]), np.abs(end[:, 2])) <= reach
    if not near.any():
        return float("inf")
    start, along = start[near, :2], (end - start)[near, :2]
    to = np.array([at.x(), at.y()]) - start
    square = np.maximum(np.sum(along * along, axis=1), 1e-12)
    part = np.clip(np.sum(to * along, axis=1) / square, 0.0, 1.0)
    return float(np.linalg.norm(to - along * part[:, None], axis=1).min())


def _control(modifiers: Qt.KeyboardModifier) -> bool:
    return bool(modifiers & Qt.KeyboardModifier.ControlModifier)
