"""A live frame with the CT over it, and a CT that a hand moves by mouse and keys."""

from __future__ import annotations

from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPen, QShowEvent

from ir_nav.geometry import FloatArray
from ir_nav.gui import theme
from ir_nav.gui.live_frame import to_grey
from ir_nav.gui.paint import draw_label
from ir_nav.gui.picture import Picture
from ir_nav.imaging import ByteImage

SQUARE_PX = 56
STEP_MM, FAR_MM, TURN_DEG = 0.5, 5.0, 0.5
CROSS_PX = 9.0
# Columns of a view's matrix: to its right, down it, and through it.
RIGHT, DOWN, THROUGH = 0, 1, 2
HOW = (
    "Drag: move the CT. Shift and drag: turn it. Arrow keys: 0.5 mm, with Shift 5 mm, "
    "with Alt 0.5°. Page up and down: through the plane."
)


class Blend(StrEnum):
    """How both images are seen at once."""

    FADED = "Blend"
    SQUARES = "Checkerboard"


class HandView(Picture):
    """Subclasses draw, and say how far a drag goes and where the pivot is.

    moved: (3,) mm, how far the CT was moved, along the view's right, down and through it.
    turned: angle in deg and the axis, one of RIGHT, DOWN, THROUGH, right-handed about it.
    Both come with a mark (an object) that is the same throughout one drag.
    part: of the CT, 0 to 1.
    """

    moved = pyqtSignal(object, object)
    turned = pyqtSignal(float, int, object)

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self.part = 0.5
        self.blend = Blend.FADED
        self.movable = True
        self.pivot_name = "pivot"
        # The picture's memory, kept while Qt draws from it.
        self._both: ByteImage | None = None
        self._sample: object = None
        self._grey: ByteImage | None = None
        self._box = QRectF()
        self._scale = 1.0
        self._last: QPointF | None = None
        self._gesture: object = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setToolTip(HOW)

    @property
    def middle_px(self) -> tuple[float, float]:
        """The view's middle, in px of the fitted frame."""
        return (
            (self.width() - 1.0) / 2.0 - self._box.left(),
            (self.height() - 1.0) / 2.0 - self._box.top(),
        )

    def dragged_mm(self, moved: QPointF) -> FloatArray:
        """(3,) along the view's right, down and through it, of a drag of so many px."""
        raise NotImplementedError

    def _pivot_at(self) -> QPointF | None:
        """Painter position of the pivot."""
        raise NotImplementedError

    def showEvent(self, event: QShowEvent | None) -> None:
        """Its keys work at once."""
        super().showEvent(event)
        if self.movable:
            self.setFocus()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is None or event.button() != Qt.MouseButton.LeftButton or not self.movable:
            return
        self._last, self._gesture = event.position(), object()

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        if event is None or self._last is None:
            return
        at, before = event.position(), self._last
        self._last = at
        if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            middle = self._pivot_at() or QPointF(self.rect().center())
            self.turned.emit(turned_deg(middle, before, at), THROUGH, self._gesture)
            return
        self.moved.emit(self.dragged_mm(at - before), self._gesture)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        self._last = None

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is None:
            return
        asked = key_motion(Qt.Key(event.key()), event.modifiers())
        if asked is None or not self.movable:
            super().keyPressEvent(event)
        elif isinstance(asked, tuple):
            self.turned.emit(*asked, object())
        else:
            self.moved.emit(asked, object())

    def _fitted(self, key: object, pixels: NDArray[np.generic]) -> ByteImage:
        """The frame at the view's size, scaled once per frame; key: the frame's own object."""
        width, height = self.width(), self.height()
        kept = self._grey
        if key is self._sample and kept is not None and self._fits(kept, width, height):
            return kept
        grey = to_grey(pixels)
        rows, columns = grey.shape
        self._scale = min(width / columns, height / rows)
        drawn = (max(1, round(columns * self._scale)), max(1, round(rows * self._scale)))
        how = cv2.INTER_AREA if self._scale < 0.5 else cv2.INTER_LINEAR
        kept = np.ascontiguousarray(cv2.resize(grey, drawn, interpolation=how), dtype=np.uint8)
        self._sample, self._grey = key, kept
        left, top = (width - drawn[0]) // 2, (height - drawn[1]) // 2
        self._box = QRectF(left, top, *drawn)
        return kept

    def _fits(self, grey: ByteImage, width: int, height: int) -> bool:
        rows, columns = grey.shape
        left, top = (width - columns) // 2, (height - rows) // 2
        whole = columns == width or rows == height
        return whole and bool(self._box == QRectF(left, top, columns, rows))

    def _draw_cross(self, painter: QPainter, words: str) -> None:
        """The pivot, and what is said of it on the side that has room."""
        at = self._pivot_at()
        if at is None:
            return
        draw_cross(painter, at)
        side = 1.0 if at.x() < self.width() / 2.0 else -1.0
        beside = at + QPointF(side * (CROSS_PX + 4.0), 0.0)
        draw_label(painter, beside, words, anchor=((1.0 - side) / 2.0, 0.5), plate=True)


def draw_cross(painter: QPainter, at: QPointF) -> None:
    """The mark of a pivot."""
    painter.setPen(QPen(theme.colour(theme.PLAN), 2.0))
    painter.drawLine(at - QPointF(CROSS_PX, 0.0), at + QPointF(CROSS_PX, 0.0))
    painter.drawLine(at - QPointF(0.0, CROSS_PX), at + QPointF(0.0, CROSS_PX))


def turned_deg(middle: QPointF, before: QPointF, at: QPointF) -> float:
    """By what angle the pointer went round a middle, clockwise, -180 to 180."""
    angles = [np.arctan2(point.y() - middle.y(), point.x() - middle.x()) for point in (before, at)]
    return float(np.degrees(np.angle(np.exp(1j * (angles[1] - angles[0])))))


def key_motion(key: Qt.Key, held: Qt.KeyboardModifier) -> FloatArray | tuple[float, int] | None:
    """What a key asks for: a shift (3,) mm along the view's right, down and through it, or an
    angle in deg and its axis; None for a key that asks for nothing."""
    step = _STEPS.get(key)
    if step is None:
        return None
    axis, sign = step
    if held & Qt.KeyboardModifier.AltModifier:
        about, turn = _TURNS[axis]
        return sign * turn * TURN_DEG, about
    shift = np.zeros(3)
    shift[axis] = sign * (FAR_MM if held & Qt.KeyboardModifier.ShiftModifier else STEP_MM)
    return shift


def blended(frame: ByteImage, ct: ByteImage, part: float, how: Blend) -> ByteImage:
    """(rows, columns) of both: the CT faded in by `part` 0 to 1, everywhere or in every other
    square, where the rest shows the frame alone."""
    both = np.asarray(cv2.addWeighted(ct, part, frame, 1.0 - part, 0.0), dtype=np.uint8)
    if how is Blend.FADED:
        return both
    return np.asarray(np.where(odd_squares(frame.shape), both, frame), dtype=np.uint8)


def odd_squares(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """(rows, columns): every other square of a checkerboard."""
    rows, columns = shape
    return np.asarray(
        (np.arange(rows)[:, None] // SQUARE_PX + np.arange(columns) // SQUARE_PX) % 2 == 1
    )


_STEPS = {
    Qt.Key.Key_Left: (RIGHT, -1.0),
    Qt.Key.Key_Right: (RIGHT, 1.0),
    Qt.Key.Key_Up: (DOWN, -1.0),
    Qt.Key.Key_Down: (DOWN, 1.0),
    Qt.Key.Key_PageUp: (THROUGH, -1.0),
    Qt.Key.Key_PageDown: (THROUGH, 1.0),
}
# With Alt: left and right turn it in the view, up and down tilt it, page up and down swing it.
_TURNS = {RIGHT: (THROUGH, 1.0), DOWN: (RIGHT, 1.0), THROUGH: (DOWN, 1.0)}
