"""The straightened picture along a curve: the line in its middle, both axes in mm."""

from __future__ import annotations

import numpy as np
from PyQt6.QtCore import QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPen, QWheelEvent

from ir_nav.gui import theme
from ir_nav.gui.paint import draw_label, draw_scale_bar, grey_image
from ir_nav.gui.picture import Picture
from ir_nav.imaging import Volume
from ir_nav.imaging.curved import CurvedLine, CurvedSlice, curved_line, curved_slice

STEP_MM = 0.5
WIDTH_MM = 60.0
TURN_DEG = 10.0
HU_PER_PX = 2.0
AIR = 0


class CurvedView(Picture):
    """Wheel: turn about the line. Click: the slices go there. Drag with the right button: window.

    picked: (3,) in `ct`, mm. closed: Escape.
    """

    picked = pyqtSignal(object)
    closed = pyqtSignal()

    def __init__(self) -> None:
        super().__init__("Along the curve", "wheel turns · click goes there · Esc closes")
        self._volume: Volume | None = None
        self._line: CurvedLine | None = None
        self._slice: CurvedSlice | None = None
        self._grey = np.zeros((1, 1), np.uint8)
        self._angle_deg = 0.0
        self._window, self._level = 400.0, 40.0
        self._last = QPointF()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    @property
    def angle_deg(self) -> float:
        """How far the picture is turned about the line."""
        return self._angle_deg

    @property
    def shown(self) -> CurvedSlice | None:
        return self._slice

    def show_curve(self, volume: Volume, points_ct_mm: np.ndarray) -> None:
        """Straighten the line through these points (n, 3); ImagingError when they make none."""
        self._line = curved_line(points_ct_mm, STEP_MM)
        self._volume = volume
        self._angle_deg = 0.0
        self._sample()

    def set_window(self, window: float, level: float) -> None:
        """As for a slice."""
        self._window, self._level = max(window, 1.0), level
        self._shade()

    def turn(self, angle_deg: float) -> None:
        """Turn the picture about the line."""
        self._angle_deg = (self._angle_deg + angle_deg) % 360.0
        self._sample()

    def place_of(self, at: QPointF) -> np.ndarray | None:
        """(3,) in `ct`, mm, under a painter position; None outside the picture."""
        box, slice_ = self._box(), self._slice
        if slice_ is None or not box.contains(at):
            return None
        rows, columns = slice_.hu.shape
        column = (at.x() - box.left()) / box.width() * columns - 0.5
        row = (at.y() - box.top()) / box.height() * rows - 0.5
        return slice_.point_ct_mm(column, row)

    def draw(self, painter: QPainter) -> None:
        if self._slice is None or self._line is None:
            self.say(painter, "Place points along a vessel, then Enter")
            return
        box = self._box()
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(box, grey_image(self._grey))
        pen = QPen(theme.colour(theme.TEXT_1, 0.45), 1.0)
        pen.setDashPattern([2.0, 6.0])
        painter.setPen(pen)
        x = box.center().x()
        painter.drawLine(QPointF(x, box.top()), QPointF(x, box.bottom()))
        words = f"{self._line.length_mm:.0f} mm long · turned {self._angle_deg:.0f}°"
        at = QPointF(6.0, self.height() - 5.0)
        draw_label(painter, at, words, px=theme.LEAST, plate=True, anchor=(0.0, 1.0))
        corner = QPointF(self.width() - 14, self.height() - 12)
        draw_scale_bar(painter, corner, self._px_per_mm())

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        if event is not None:
            self.turn(TURN_DEG * event.angleDelta().y() / 120.0)
            event.accept()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is None:
            return
        self._last = event.position()
        point = self.place_of(event.position())
        if event.button() == Qt.MouseButton.LeftButton and point is not None:
            self.picked.emit(point)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        if event is None:
            return
        at = event.position()
        moved, self._last = at - self._last, at
        if event.buttons() & Qt.MouseButton.LeftButton:
            point = self.place_of(at)
            if point is not None:
                self.picked.emit(point)
        elif event.buttons() & Qt.MouseButton.RightButton:
            self.set_window(
                self._window + HU_PER_PX * moved.x(), self._level + HU_PER_PX * moved.y()
            )

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is None:
            return
        key = event.key()
        if key == Qt.Key.Key_Escape:
            self.closed.emit()
        elif key in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            self.turn(TURN_DEG if key == Qt.Key.Key_Right else -TURN_DEG)
        else:
            super().keyPressEvent(event)

    def _sample(self) -> None:
        if self._volume is not None and self._line is not None:
            self._slice = curved_slice(self._volume, self._line, WIDTH_MM, self._angle_deg)
            self._shade()

    def _shade(self) -> None:
        if self._slice is not None:
            grey = (self._slice.hu - self._level) * (255.0 / self._window) + 127.5
            limited = np.clip(np.nan_to_num(grey, nan=float(AIR)), 0.0, 255.0)
            self._grey = np.ascontiguousarray(limited.astype(np.uint8))
            self.update()

    def _px_per_mm(self) -> float:
        slice_ = self._slice
        if slice_ is None:
            return 0.0
        rows, columns = slice_.hu.shape
        mm = slice_.mm_per_px
        wide, tall = (self.width() - 12.0) / (columns * mm), (self.height() - 70.0) / (rows * mm)
        return float(min(wide, tall))

    def _box(self) -> QRectF:
        """Where the picture lies: both axes at one scale, as large as there is room."""
        slice_ = self._slice
        if slice_ is None:
            return QRectF()
        rows, columns = slice_.hu.shape
        px = self._px_per_mm() * slice_.mm_per_px
        wide, tall = columns * px, rows * px
        return QRectF((self.width() - wide) / 2.0, 36.0, wide, tall)
