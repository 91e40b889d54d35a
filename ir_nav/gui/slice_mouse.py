"""Mouse and keys of a slice view: scroll, zoom, pan, window, place and drag points."""

from __future__ import annotations

from enum import Enum

import numpy as np
from PyQt6.QtCore import QEvent, QPointF, Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent, QMouseEvent, QPainter, QWheelEvent
from PyQt6.QtWidgets import QApplication

from ir_nav.geometry import FloatArray
from ir_nav.gui.scene_records import Handle
from ir_nav.gui.slice_tools import SliceTools
from ir_nav.gui.slice_view import SliceView
from ir_nav.imaging import StandardView

GRAB_PX = 14.0
HU_PER_PX = 2.0
ZOOM_STEP = 1.15
ZOOM_PX = 25.0


class _Drag(Enum):
    PICK = "pick"
    HANDLE = "handle"
    WINDOW = "window"
    PAN = "pan"
    ZOOM = "zoom"


class BrowsableSlice(SliceView):
    """A slice the user moves through and places points in.

    point_picked: (3,) in `ct`, mm, by a click while `picking`; a drag does what it does without.
    handle_taken, handle_dragged, handle_left: Handle, and its new point while it is dragged.
    looked: (3,) the new middle. windowed: window and level, HU.
    """

    point_picked = pyqtSignal(object)
    handle_taken = pyqtSignal(object)
    handle_dragged = pyqtSignal(object, object)
    handle_left = pyqtSignal(object)
    looked = pyqtSignal(object)
    windowed = pyqtSignal(float, float)

    def __init__(
        self,
        title: str,
        note: str = "",
        *,
        view: StandardView = StandardView.AXIAL,
        field_mm: float = 300.0,
        slab_mm: float = 3.0,
    ) -> None:
        super().__init__(title, note, view=view, field_mm=field_mm, slab_mm=slab_mm)
        self._picking = False
        self._draggable = False
        self._drag: _Drag | None = None
        self._handle: Handle | None = None
        self._handle_depth_mm = 0.0
        self._pressed = self._last = QPointF()
        self._tools: SliceTools | None = None
        self._window_step = HU_PER_PX
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setToolTip(
            "Wheel: slices. Ctrl and wheel, middle drag: zoom. Left drag: window. Right: move."
        )

    def set_picking(self, picking: bool) -> None:
        """Whether a left click places a point."""
        self._picking = picking
        self.show_cursor()

    def set_tools(self, tools: SliceTools) -> None:
        """Give the mouse to the tool these have in use, and draw their layers."""
        self._tools = tools

    def set_window_step(self, numbers_per_px: float) -> None:
        """How much a drag changes the window: CT numbers, or an MR's own."""
        self._window_step = numbers_per_px

    def show_cursor(self) -> None:
        """The pointer's shape: a cross for placing, else the tool's."""
        tool = None if self._tools is None else self._tools.active
        plain = Qt.CursorShape.CrossCursor if self._picking else Qt.CursorShape.ArrowCursor
        self.setCursor(plain if tool is None else tool.cursor)

    def draw_layers(self, painter: QPainter) -> None:
        if self._tools is not None:
            self._tools.paint(painter, self)

    @property
    def _tool(self) -> SliceTools | None:
        """Who is asked first: a tool in use; nobody else while a point is being placed."""
        tools = self._tools
        return None if tools is None or (self._picking and tools.active is None) else tools

    def set_draggable(self, draggable: bool) -> None:
        """Whether target and entry can be taken hold of."""
        self._draggable = draggable

    def step(self, slices: float) -> None:
        """Move along the normal, 1 mm a slice or the CT's own spacing where it is coarser."""
        normal = np.cross(self._right, self._down)
        self._move_to(self._centre + normal * slices * self._spacing_along(normal))

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        if event is None:
            return
        event.accept()
        if self._tool is not None and self._tool.wheel(self, event):
            return
        notches = event.angleDelta().y() / 120.0
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.set_field(self.field_mm * ZOOM_STEP**-notches)
        else:
            self.step(notches)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is None:
            return
        self._pressed = self._last = event.position()
        tools, at = self._tool, event.position()
        if tools is not None and self._offered(tools, at) and tools.press(self, event):
            return
        if event.button() == Qt.MouseButton.RightButton:
            self._drag = _Drag.PAN
        elif event.button() == Qt.MouseButton.MiddleButton:
            self._drag = _Drag.ZOOM
        elif event.button() == Qt.MouseButton.LeftButton:
            self._press_left(event.position())

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        if event is None:
            return
        if self._drag is None:
            if self._tool is not None:
                self._tool.move(self, event)
            return
        at = event.position()
        if self._drag is _Drag.PICK:
            if not is_drag(self._pressed, at):
                return
            self._take_hold(self._pressed)
        moved, self._last = at - self._last, at
        if self._drag is _Drag.PAN:
            shift = self._right * moved.x() + self._down * moved.y()
            self._move_to(self._centre - shift * self.mm_per_px)
        elif self._drag is _Drag.ZOOM:
            self.set_field(self.field_mm * ZOOM_STEP ** (moved.y() / ZOOM_PX))
        elif self._drag is _Drag.HANDLE:
            self.handle_dragged.emit(self._handle, self.to_ct(at, self._handle_depth_mm))
        else:
            window, level = self.window_level_hu
            step = self._window_step
            self.set_window(window + step * moved.x(), level + step * moved.y())
            self.windowed.emit(*self.window_level_hu)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and self._drag is None and self._tool is not None:
            self._tool.release(self, event)
        drag, handle = self._drag, self._handle
        self._drag = self._handle = None
        if drag is _Drag.PICK:
            self.point_picked.emit(self.to_ct(self._pressed))
        elif handle is not None:
            self.handle_left.emit(handle)

    def event(self, event: QEvent | None) -> bool:
        """A tool may have a use for keys that are the window's otherwise."""
        if (
            isinstance(event, QKeyEvent)
            and event.type() == QEvent.Type.ShortcutOverride
            and self._tool is not None
            and self._tool.claims(Qt.Key(event.key()), event.modifiers())
        ):
            event.accept()
            return True
        return super().event(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        if event is None:
            return
        if self._tool is None or not self._tool.double_click(self, event):
            self.mousePressEvent(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is None:
            return
        steps = {
            Qt.Key.Key_Up: 1,
            Qt.Key.Key_Down: -1,
            Qt.Key.Key_PageUp: 10,
            Qt.Key.Key_PageDown: -10,
        }
        key = Qt.Key(event.key())
        if self._tool is not None and self._tool.key(self, key, event.modifiers()):
            return
        if key in steps:
            self.step(steps[key])
        elif key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            self.set_field(self.field_mm / ZOOM_STEP)
        elif key == Qt.Key.Key_Minus:
            self.set_field(self.field_mm * ZOOM_STEP)
        else:
            super().keyPressEvent(event)

    def _offered(self, tools: SliceTools, at: QPointF) -> bool:
        """Target and entry come before whatever else lies there, unless a tool is in use."""
        if tools.active is not None or not self._draggable:
            return True
        return self._handle_at(at) is None

    def _press_left(self, at: QPointF) -> None:
        if self._picking:
            self._drag = _Drag.PICK
        else:
            self._take_hold(at)

    def _take_hold(self, at: QPointF) -> None:
        """Begin a drag: of what lies there, else of the window."""
        self._handle = self._handle_at(at) if self._draggable else None
        self._drag = _Drag.WINDOW if self._handle is None else _Drag.HANDLE
        if self._handle is not None:
            self.handle_taken.emit(self._handle)

    def _handle_at(self, at: QPointF) -> Handle | None:
        for handle, point in (
            (Handle.TARGET, self._overlays.target_ct_mm),
            (Handle.ENTRY, self._overlays.entry_ct_mm),
        ):
            if point is None:
                continue
            seen = self.to_view(point)
            if np.hypot(seen[0] - at.x(), seen[1] - at.y()) <= GRAB_PX:
                self._handle_depth_mm = float(seen[2])
                return handle
        return None

    def _move_to(self, centre: FloatArray) -> None:
        self.look(centre)
        self.looked.emit(centre)

    def _spacing_along(self, normal: FloatArray) -> float:
        volume = self._images.volume
        if volume is None:
            return 1.0
        axes = volume.ct_from_voxel[:3, :3]
        spacing = np.array(volume.spacing_mm)
        alignment = np.abs(normal @ (axes / spacing))
        best = int(np.argmax(alignment))
        return float(spacing[best]) if alignment[best] > 0.99 else 1.0


def is_drag(pressed: QPointF, at: QPointF) -> bool:
    """Whether the pointer has gone further than a hand shakes in a click."""
    return (at - pressed).manhattanLength() >= QApplication.startDragDistance()
