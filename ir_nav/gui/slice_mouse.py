"""Mouse and keys of a slice view: scroll, zoom, pan, window, place and drag points."""

from __future__ import annotations

from enum import Enum

import numpy as np
from PyQt6.QtCore import QPointF, Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent, QMouseEvent, QWheelEvent

from ir_nav.geometry import FloatArray
from ir_nav.gui.scene_records import Handle
from ir_nav.gui.slice_view import SliceView
from ir_nav.imaging import StandardView

GRAB_PX = 14.0
HU_PER_PX = 2.0
ZOOM_STEP = 1.15


class _Drag(Enum):
    PICK = "pick"
    HANDLE = "handle"
    WINDOW = "window"
    PAN = "pan"


class BrowsableSlice(SliceView):
    """A slice the user moves through and places points in.

    point_picked: (3,) in `ct`, mm, while `picking`. handle_dragged: Handle and its new point.
    looked: (3,) the new middle. windowed: window and level, HU.
    """

    point_picked = pyqtSignal(object)
    handle_dragged = pyqtSignal(object, object)
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
        self._last = QPointF()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setToolTip("Wheel: slices. Ctrl and wheel: zoom. Left drag: window. Right drag: move.")

    def set_picking(self, picking: bool) -> None:
        """Whether a left click places a point."""
        self._picking = picking
        self.setCursor(Qt.CursorShape.CrossCursor if picking else Qt.CursorShape.ArrowCursor)

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
        notches = event.angleDelta().y() / 120.0
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.set_field(self.field_mm * ZOOM_STEP**-notches)
        else:
            self.step(notches)
        event.accept()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is None:
            return
        self._last = event.position()
        if event.button() == Qt.MouseButton.RightButton:
            self._drag = _Drag.PAN
        elif event.button() == Qt.MouseButton.LeftButton:
            self._press_left(event.position())

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        if event is None or self._drag is None:
            return
        at = event.position()
        moved, self._last = at - self._last, at
        if self._drag is _Drag.PAN:
            shift = self._right * moved.x() + self._down * moved.y()
            self._move_to(self._centre - shift * self.mm_per_px)
        elif self._drag is _Drag.PICK:
            self.point_picked.emit(self.to_ct(at))
        elif self._drag is _Drag.HANDLE:
            self.handle_dragged.emit(self._handle, self.to_ct(at, self._handle_depth_mm))
        else:
            window, level = self.window_level_hu
            self.set_window(window + HU_PER_PX * moved.x(), level + HU_PER_PX * moved.y())
            self.windowed.emit(*self.window_level_hu)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        self._drag = None
        self._handle = None

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
        if key in steps:
            self.step(steps[key])
        elif key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            self.set_field(self.field_mm / ZOOM_STEP)
        elif key == Qt.Key.Key_Minus:
            self.set_field(self.field_mm * ZOOM_STEP)
        else:
            super().keyPressEvent(event)

    def _press_left(self, at: QPointF) -> None:
        if self._picking:
            self._drag = _Drag.PICK
            self.point_picked.emit(self.to_ct(at))
            return
        self._handle = self._handle_at(at) if self._draggable else None
        self._drag = _Drag.WINDOW if self._handle is None else _Drag.HANDLE

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
