"""A live frame fitted into a view: scaled once per frame, not once per paint."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRectF
from PyQt6.QtGui import QImage, QPainter

from devices.contract import ImageSample
from ir_nav.geometry import FloatArray
from ir_nav.gui import theme
from ir_nav.gui.paint import grey_image


class FittedFrame:
    """Keeps the newest frame at the view's size; the whole frame is seen, aspect kept."""

    def __init__(self) -> None:
        self._sample: ImageSample | None = None
        self._size = (0, 0)
        self._image: QImage | None = None
        self.scale = 1.0
        self.left = 0.0
        self.top = 0.0

    def fit(self, sample: ImageSample, width: int, height: int, foot: int = 0) -> None:
        """Prepare a frame for a view of this size; nothing to do when both are the same.

        foot: rows of px kept free beneath it, for words that must not cover the image.
        """
        if sample is self._sample and self._size == (width, height):
            return
        self._sample, self._size = sample, (width, height)
        grey = to_grey(sample.pixels)
        rows, columns = grey.shape
        room = max(height - foot, 1)
        self.scale = min(width / columns, room / rows)
        drawn = (max(1, round(columns * self.scale)), max(1, round(rows * self.scale)))
        # With words beneath it the frame stands on them: the room left over is the title's.
        above = room - drawn[1]
        self.left, self.top = (width - drawn[0]) // 2, above if foot else above // 2
        # Averaging areas costs four times as much and shows only when much is left out.
        how = cv2.INTER_AREA if self.scale < 0.5 else cv2.INTER_LINEAR
        scaled = cv2.resize(grey, drawn, interpolation=how)
        grey = np.ascontiguousarray(scaled, dtype=np.uint8)
        # The screen's own format: painting it is then a copy.
        self._image = grey_image(grey).convertToFormat(QImage.Format.Format_RGB32)

    def draw(self, painter: QPainter, width: int, height: int) -> None:
        """Paint the prepared frame, and black beside it."""
        black = theme.colour(theme.IMAGE)
        right, bottom = self.box().right(), self.box().bottom()
        for beside in (
            QRectF(0.0, 0.0, self.left, height),
            QRectF(right, 0.0, width - right, height),
            QRectF(0.0, 0.0, width, self.top),
            QRectF(0.0, bottom, width, height - bottom),
        ):
            if not beside.isEmpty():
                painter.fillRect(beside, black)
        if self._image is not None:
            painter.drawImage(QPointF(self.left, self.top), self._image)

    def box(self) -> QRectF:
        """Where the frame is drawn: overlays end with it."""
        if self._image is None:
            return QRectF()
        return QRectF(self.left, self.top, self._image.width(), self._image.height())

    def to_view(self, pixel: FloatArray) -> FloatArray:
        """Painter positions of frame pixels (..., 2 or 3); further columns are kept."""
        seen = np.array(pixel, dtype=np.float64)
        seen[..., 0] = self.left + (seen[..., 0] + 0.5) * self.scale
        seen[..., 1] = self.top + (seen[..., 1] + 0.5) * self.scale
        return seen

    def point(self, pixel: FloatArray) -> QPointF:
        """Painter position of one frame pixel."""
        seen = self.to_view(pixel)
        return QPointF(float(seen[0]), float(seen[1]))


def to_grey(pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
    """(rows, columns) uint8 of any frame; more than 8 bit is windowed to its own range."""
    flat = pixels.mean(axis=2) if pixels.ndim == 3 else pixels
    if flat.dtype == np.uint8:
        return np.asarray(flat, dtype=np.uint8)
    if pixels.dtype == np.uint8:
        return np.asarray(flat).astype(np.uint8)
    values = np.asarray(flat, dtype=np.float32)
    # Every fourth pixel is enough to find the range.
    low, high = np.percentile(values[::4, ::4], (0.5, 99.5))
    gain = 255.0 / max(float(high - low), 1e-6)
    return np.asarray(np.clip((values - low) * gain, 0.0, 255.0)).astype(np.uint8)
