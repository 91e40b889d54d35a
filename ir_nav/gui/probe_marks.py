"""What an ultrasound machine draws beside its image: probe-marker dot and depth scale."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QImage, QPainter, QPen

from ir_nav.gui import theme
from ir_nav.gui.edges import TITLE_PX
from ir_nav.gui.live_frame import FittedFrame
from ir_nav.gui.paint import draw_label

# Darker than this is outside the sector, also after a lossy transfer.
DARK = 12
DOT_PX = 6.0
SHORT_PX, LONG_PX = 7.0, 13.0
SCALE_PX = 80.0


@dataclass(frozen=True, slots=True)
class Sector:
    """Where the image starts in its frame, px: the row of the probe's face under the middle
    column, and the column and row of the face's upper left end."""

    face_row: float
    left: float
    top: float


def find_sector(grey: NDArray[np.uint8]) -> Sector | None:
    """The sector of a frame (rows, columns), or None while the frame is dark."""
    bright = grey > DARK
    rows = np.flatnonzero(bright.sum(axis=1) >= 3)
    if not len(rows):
        return None
    top = int(rows[0])
    reach = max(2, grey.shape[0] // 16)
    columns = np.flatnonzero(bright[top : top + reach].any(axis=0))
    middle = grey.shape[1] // 2
    below = np.flatnonzero(bright[:, max(middle - 4, 0) : middle + 5].sum(axis=1) >= 3)
    face = float(below[0]) if len(below) else float(top)
    return Sector(face, float(columns[0]), float(top))


def draw_marker(painter: QPainter, fitted: FittedFrame, sector: Sector, title_right: float) -> None:
    """A dot at the upper left of the sector, below a title that reaches there: the image's u
    starts on the probe's marked side."""
    at = fitted.point(np.array([sector.left, sector.top])) - QPointF(16.0, -4.0)
    if at.x() < title_right + DOT_PX:
        at.setY(max(at.y(), TITLE_PX + 2.0 * DOT_PX))
    painter.setPen(QPen(theme.colour(theme.IMAGE), 1.5))
    painter.setBrush(theme.colour(theme.TEXT_1))
    painter.drawEllipse(at, DOT_PX, DOT_PX)
    painter.setBrush(Qt.BrushStyle.NoBrush)


def depth_ticks(
    fitted: FittedFrame, sector: Sector, mm_per_px: float
) -> tuple[tuple[float, int], ...]:
    """(painter y, depth mm) of every 10 mm from the probe's face to the frame's end."""
    px_per_mm = fitted.scale / mm_per_px
    start = fitted.top + (sector.face_row + 0.5) * fitted.scale
    deepest = int((fitted.box().bottom() - start) / px_per_mm / 10.0)
    if px_per_mm * 10.0 < 3.0:
        return ()
    return tuple((start + 10.0 * step * px_per_mm, 10 * step) for step in range(deepest + 1))


def draw_depth_scale(painter: QPainter, box: QRectF, ticks: tuple[tuple[float, int], ...]) -> None:
    """A tick each 10 mm at the right edge, a longer one with its number each 50 mm."""
    device = painter.device()
    ratio = device.devicePixelRatio() if device is not None else 1.0
    scale = _scale_image(ticks, int(box.bottom()) + 1, ratio)
    painter.drawImage(QPointF(box.right() - SCALE_PX, 0.0), scale)


@lru_cache(maxsize=4)
def _scale_image(ticks: tuple[tuple[float, int], ...], height: int, ratio: float) -> QImage:
    """It changes with the view's size alone: thirty ticks a paint would be a waste."""
    image = QImage(
        round(SCALE_PX * ratio), round(height * ratio), QImage.Format.Format_ARGB32_Premultiplied
    )
    image.setDevicePixelRatio(ratio)
    image.fill(0)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    right = SCALE_PX - 5.0
    dark, light = theme.colour(theme.IMAGE, 0.7), theme.colour(theme.TEXT_1)
    for y, depth in ticks:
        length = LONG_PX if depth % 50 == 0 else SHORT_PX
        painter.fillRect(QRectF(right - length - 1.0, round(y) - 1.0, length + 2.0, 3.0), dark)
        painter.fillRect(QRectF(right - length, round(y), length, 1.0), light)
        if depth and depth % 50 == 0:
            at = QPointF(right - LONG_PX - 3.0, y)
            draw_label(painter, at, f"{depth} mm", px=theme.LEAST, anchor=(1.0, 0.5))
    painter.end()
    return image
