"""The 3D view of Plan: target and entry are dragged in it, the entry along the skin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PyQt6.QtCore import QPointF, Qt, pyqtSignal
from PyQt6.QtGui import QMouseEvent, QPainter

from ir_nav.geometry import FloatArray
from ir_nav.gui.scene_records import Handle
from ir_nav.gui.scene_request import Lens
from ir_nav.gui.scene_thread import SceneThread
from ir_nav.gui.scene_view import SceneView
from ir_nav.gui.slice_mouse import is_drag
from ir_nav.gui.stroke_tool import draw_hint
from ir_nav.imaging.skin import skin_facing
from ir_nav.session.case import Outline

GRAB_PX = 16.0
# Beneath the letters at the upper edge.
HINT_PX = 36.0
PLACING_WORDS = {
    Handle.TARGET: "Click the target · Esc",
    Handle.ENTRY: "Click the entry · Esc",
}


class PlanScene(SceneView):
    """handle_taken, handle_dragged, handle_left: Handle, and its new point (3,) in `ct`, mm, while
    it is dragged. The target keeps its distance from the viewer; the entry goes where the skin is
    under the pointer. entry_picked: (3,) on the skin, by a click while an entry is placed."""

    handle_taken = pyqtSignal(object)
    handle_dragged = pyqtSignal(object, object)
    handle_left = pyqtSignal(object)
    entry_picked = pyqtSignal(object)

    def __init__(self, thread: SceneThread) -> None:
        super().__init__(thread)
        self._outline: Outline | None = None
        self._placing: Handle | None = None
        self._handle: Handle | None = None
        self._lens: Lens | None = None
        # Where a click began that has not become a drag.
        self._pressed: QPointF | None = None
        self.setMouseTracking(True)
        self.setToolTip("Drag: turn. Wheel: zoom. Target and entry can be dragged.")

    def set_outline(self, outline: Outline | None) -> None:
        """The body whose skin the entry lies on."""
        self._outline = outline

    def set_placing(self, handle: Handle | None) -> None:
        """The next click places the entry on the skin; a target has no depth here."""
        self._placing = handle if handle is Handle.ENTRY else None
        self._show_cursor(None)
        self.update()

    def draw(self, painter: QPainter) -> None:
        super().draw(painter)
        if self._placing is not None:
            draw_hint(painter, QPointF(self.width() / 2.0, HINT_PX), PLACING_WORDS[self._placing])

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        super().mousePressEvent(event)
        if event is None or event.button() is not Qt.MouseButton.LeftButton:
            return
        if self._placing is None:
            self._take_hold(event.position())
        else:
            self._pressed = event.position()

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        if event is None:
            return
        if self._pressed is not None:
            if not is_drag(self._pressed, event.position()):
                return
            self._take_hold(self._pressed)
            self._pressed = None
        if self._handle is not None:
            self._drag_to(self._handle, event.position())
        elif event.buttons() & Qt.MouseButton.LeftButton:
            super().mouseMoveEvent(event)
        else:
            self._show_cursor(self._handle_at(event.position()))

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        pressed, self._pressed = self._pressed, None
        if pressed is not None and self.lens is not None:
            point = self._on_skin(self.lens, self._part_of(pressed))
            if point is not None:
                self.entry_picked.emit(point)
        handle = self._handle
        if handle is not None:
            self._handle, self._lens = None, None
            self.look_from(replace(self._camera, focus_ct_mm=None))
            self.handle_left.emit(handle)

    def _take_hold(self, at: QPointF) -> None:
        lens, handle = self.lens, self._handle_at(at)
        if lens is None or handle is None:
            return
        self._handle, self._lens = handle, lens
        # The picture follows the target: while it is dragged, it must not.
        focus = self._overlays.target_ct_mm
        if focus is not None:
            x, y, z = (float(value) for value in focus)
            self.look_from(replace(self._camera, focus_ct_mm=(x, y, z)))
        self.handle_taken.emit(handle)

    def _drag_to(self, handle: Handle, at: QPointF) -> None:
        if self._lens is None:
            return
        place = self._part_of(at)
        point = (
            self._on_skin(self._lens, place)
            if handle is Handle.ENTRY
            else self._beside_target(self._lens, place)
        )
        if point is not None:
            self.handle_dragged.emit(handle, point)

    def _part_of(self, at: QPointF) -> tuple[float, float]:
        """Where the pointer is, as parts of the picture's width and height."""
        return at.x() / max(self.width(), 1), at.y() / max(self.height(), 1)

    def _on_skin(self, lens: Lens, place: tuple[float, float]) -> FloatArray | None:
        outline = self._outline
        if outline is None:
            return None
        return skin_facing(outline.volume, outline.body, lens.eye_ct_mm, lens.ray(place))

    def _beside_target(self, lens: Lens, place: tuple[float, float]) -> FloatArray | None:
        target = self._overlays.target_ct_mm
        return None if target is None else lens.beside(target, place)

    def _handle_at(self, at: QPointF) -> Handle | None:
        if self.lens is None:
            return None
        ends = (
            (Handle.ENTRY, self._overlays.entry_ct_mm),
            (Handle.TARGET, self._overlays.target_ct_mm),
        )
        for handle, point in ends:
            if point is None:
                continue
            (x, y), *_ = self.lens.places(point)
            if np.hypot(x * self.width() - at.x(), y * self.height() - at.y()) <= GRAB_PX:
                return handle
        return None

    def _show_cursor(self, over: Handle | None) -> None:
        if self._placing is not None:
            self.setCursor(Qt.CursorShape.CrossCursor)
        elif over is not None:
            self.setCursor(Qt.CursorShape.SizeAllCursor)
        else:
            self.setCursor(Qt.CursorShape.OpenHandCursor)
