"""The live ultrasound with the CT cut in its plane over it, and a CT that a hand can move."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from PyQt6.QtCore import QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPen, QShowEvent

from devices.contract import ImageSample
from ir_nav.geometry import FloatArray, apply, read_only
from ir_nav.gui import theme
from ir_nav.gui.edges import draw_edge_letters, edge_letters
from ir_nav.gui.live_frame import to_grey
from ir_nav.gui.paint import draw_label, grey_image
from ir_nav.gui.picture import Picture
from ir_nav.imaging import ByteImage, Volume, reslice_window
from ir_nav.session.state import UltrasoundState

SQUARE_PX = 56
STEP_MM, FAR_MM, TURN_DEG = 0.5, 5.0, 0.5
CROSS_PX = 9.0
# Columns of a view's matrix: to its right, down it, and through it.
RIGHT, DOWN, THROUGH = 0, 1, 2


class Blend(StrEnum):
    """How both images are seen at once."""

    FADED = "Blend"
    SQUARES = "Checkerboard"


@dataclass(frozen=True, slots=True, eq=False)
class Fused:
    """What is drawn. ct_from_reference: (4, 4) at hand. pivot_ct_mm: (3,) marked, or None."""

    ultrasound: UltrasoundState
    ct_from_reference: FloatArray
    volume: Volume
    pivot_ct_mm: FloatArray | None = None


class LiveFusion(Picture):
    """Fused newest frame; draws the CT wherever the registration at hand puts it.

    moved: (3,) mm, how far the CT was moved, along the view's right, down and through it.
    turned: angle in deg and the axis, one of RIGHT, DOWN, THROUGH, right-handed about it.
    Both come with a mark (an object) that is the same throughout one drag.
    part: of the CT, 0 to 1. look: window and level, HU.
    """

    moved = pyqtSignal(object, object)
    turned = pyqtSignal(float, int, object)

    def __init__(self, title: str = "Ultrasound and CT") -> None:
        super().__init__(title)
        self.part = 0.5
        self.blend = Blend.FADED
        self.look = (400.0, 40.0)
        self.movable = True
        self.pivot_name = "pivot"
        self.why_empty = "No ultrasound image: connect a device that sends one in Set up"
        self._fused: Fused | None = None
        self._sample: ImageSample | None = None
        self._grey: ByteImage | None = None
        self._ct: ByteImage | None = None
        # The picture's memory, kept while Qt draws from it.
        self._both: ByteImage | None = None
        self._box = QRectF()
        self._scale = 1.0
        self._last: QPointF | None = None
        self._gesture: object = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setToolTip(
            "Drag: move the CT. Shift and drag: turn it. Arrow keys: 0.5 mm, with Shift 5 mm, "
            "with Alt 0.5°. Page up and down: through the plane."
        )

    def show_fused(self, fused: Fused | None) -> None:
        """Draw this from now on; None where there is nothing to fuse."""
        self._fused = fused
        self.update()

    @property
    def fused(self) -> Fused | None:
        return self._fused

    @property
    def mm_per_px(self) -> float:
        """Of the view."""
        return 1.0 if self._fused is None else self._fused.ultrasound.mm_per_px / self._scale

    @property
    def middle_px(self) -> tuple[float, float]:
        """The view's middle, in px of the fitted frame."""
        return (
            (self.width() - 1.0) / 2.0 - self._box.left(),
            (self.height() - 1.0) / 2.0 - self._box.top(),
        )

    def draw(self, painter: QPainter) -> None:
        fused = self._fused
        if fused is None or fused.ultrasound.reference_from_image is None:
            reason = None if fused is None else fused.ultrasound.reason
            self.say(painter, self.why_empty if reason is None else f"No fusion: {reason}")
            return
        grey = self._fitted(fused.ultrasound.frame)
        ct_from_view = self.ct_from_view
        assert ct_from_view is not None
        rows, columns = grey.shape
        if self._ct is None or self._ct.shape != grey.shape:
            self._ct = np.empty_like(grey)
        reslice_window(fused.volume, ct_from_view, (columns, rows), *self.look, out=self._ct)
        self._both = blended(grey, self._ct, self.part, self.blend)
        painter.drawImage(self._box.topLeft(), grey_image(self._both))
        letters = edge_letters(ct_from_view[:3, 0], ct_from_view[:3, 1])
        draw_edge_letters(painter, QRectF(self.rect()), letters, self._title_right)
        self._draw_pivot(painter, fused, ct_from_view)

    @property
    def ct_from_view(self) -> FloatArray | None:
        """(4, 4): px of the fitted frame, from its upper left, to `ct` mm; None without a pose."""
        fused = self._fused
        if fused is None or fused.ultrasound.reference_from_image is None:
            return None
        image_from_view = np.diag([1.0 / self._scale, 1.0 / self._scale, 1.0, 1.0])
        image_from_view[:2, 3] = 0.5 / self._scale - 0.5
        return np.asarray(
            fused.ct_from_reference @ fused.ultrasound.reference_from_image @ image_from_view
        )

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
            self._turn_with(before, at)
            return
        shift = np.array([at.x() - before.x(), at.y() - before.y(), 0.0]) * self.mm_per_px
        self.moved.emit(shift, self._gesture)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        self._last = None

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is None:
            return
        step = _STEPS.get(Qt.Key(event.key()))
        if step is None or not self.movable:
            super().keyPressEvent(event)
            return
        axis, sign = step
        held = event.modifiers()
        if held & Qt.KeyboardModifier.AltModifier:
            about, turn = _TURNS[axis]
            self.turned.emit(sign * turn * TURN_DEG, about, object())
            return
        shift = np.zeros(3)
        shift[axis] = sign * (FAR_MM if held & Qt.KeyboardModifier.ShiftModifier else STEP_MM)
        self.moved.emit(shift, object())

    def _turn_with(self, before: QPointF, at: QPointF) -> None:
        """By the angle that the pointer went round the pivot."""
        middle = self._pivot_at() or QPointF(self.rect().center())
        angles = [
            np.arctan2(point.y() - middle.y(), point.x() - middle.x()) for point in (before, at)
        ]
        angle = float(np.degrees(np.angle(np.exp(1j * (angles[1] - angles[0])))))
        self.turned.emit(angle, THROUGH, self._gesture)

    def _fitted(self, sample: ImageSample) -> ByteImage:
        """The frame at the view's size, scaled once per frame."""
        width, height = self.width(), self.height()
        kept = self._grey
        if sample is self._sample and kept is not None and self._fits(kept, width, height):
            return kept
        grey = to_grey(sample.pixels)
        rows, columns = grey.shape
        self._scale = min(width / columns, height / rows)
        drawn = (max(1, round(columns * self._scale)), max(1, round(rows * self._scale)))
        how = cv2.INTER_AREA if self._scale < 0.5 else cv2.INTER_LINEAR
        kept = np.ascontiguousarray(cv2.resize(grey, drawn, interpolation=how), dtype=np.uint8)
        self._sample, self._grey = sample, kept
        left, top = (width - drawn[0]) // 2, (height - drawn[1]) // 2
        self._box = QRectF(left, top, *drawn)
        return kept

    def _fits(self, grey: ByteImage, width: int, height: int) -> bool:
        rows, columns = grey.shape
        left, top = (width - columns) // 2, (height - rows) // 2
        whole = columns == width or rows == height
        return whole and bool(self._box == QRectF(left, top, columns, rows))

    def _pivot_at(self) -> QPointF | None:
        """Painter position of the pivot."""
        fused, ct_from_view = self._fused, self.ct_from_view
        if fused is None or fused.pivot_ct_mm is None or ct_from_view is None:
            return None
        seen = apply(read_only(np.linalg.inv(ct_from_view)), fused.pivot_ct_mm)
        return QPointF(self._box.left() + seen[0] + 0.5, self._box.top() + seen[1] + 0.5)

    def _draw_pivot(self, painter: QPainter, fused: Fused, ct_from_view: FloatArray) -> None:
        at = self._pivot_at()
        if at is None or fused.pivot_ct_mm is None:
            return
        seen = apply(read_only(np.linalg.inv(ct_from_view)), fused.pivot_ct_mm)
        painter.setPen(QPen(theme.colour(theme.PLAN), 2.0))
        painter.drawLine(at - QPointF(CROSS_PX, 0.0), at + QPointF(CROSS_PX, 0.0))
        painter.drawLine(at - QPointF(0.0, CROSS_PX), at + QPointF(0.0, CROSS_PX))
        words = f"{self.pivot_name}, {abs(float(seen[2])):.0f} mm off the plane"
        # On the side that has room for it.
        side = 1.0 if at.x() < self.width() / 2.0 else -1.0
        beside = at + QPointF(side * (CROSS_PX + 4.0), 0.0)
        draw_label(painter, beside, words, anchor=((1.0 - side) / 2.0, 0.5), plate=True)


def blended(frame: ByteImage, ct: ByteImage, part: float, how: Blend) -> ByteImage:
    """(rows, columns) of both: the CT faded in by `part` 0 to 1, everywhere or in every other
    square, where the rest shows the frame alone."""
    both = np.asarray(cv2.addWeighted(ct, part, frame, 1.0 - part, 0.0), dtype=np.uint8)
    if how is Blend.FADED:
        return both
    rows, columns = frame.shape
    odd = (np.arange(rows)[:, None] // SQUARE_PX + np.arange(columns) // SQUARE_PX) % 2 == 1
    return np.asarray(np.where(odd, both, frame), dtype=np.uint8)


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
