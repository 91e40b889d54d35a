"""Drawing shared by the views: text with a halo, markers, lines by their distance from a plane."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QLineF, QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QFontMetricsF, QImage, QPainter, QPainterPath, QPen

from ir_nav.geometry import FloatArray
from ir_nav.gui import theme

HALO_PX = 3.0
FAINT = 0.4
LEAST_ERROR_PX = 6.5


def grey_image(pixels: NDArray[np.uint8]) -> QImage:
    """QImage over (rows, columns) uint8 memory that the caller keeps alive."""
    rows, columns = pixels.shape
    return QImage(
        _memory(pixels), columns, rows, pixels.strides[0], QImage.Format.Format_Grayscale8
    )


def colour_image(pixels: NDArray[np.uint8]) -> QImage:
    """QImage over (rows, columns, 4) premultiplied BGRA memory that the caller keeps alive."""
    rows, columns, _ = pixels.shape
    return QImage(
        _memory(pixels),
        columns,
        rows,
        pixels.strides[0],
        QImage.Format.Format_ARGB32_Premultiplied,
    )


def opaque_image(pixels: NDArray[np.uint8]) -> QImage:
    """QImage over (rows, columns, 4) BGRX memory that the caller keeps alive."""
    rows, columns, _ = pixels.shape
    return QImage(_memory(pixels), columns, rows, pixels.strides[0], QImage.Format.Format_RGB32)


def _memory(pixels: NDArray[np.uint8]) -> bytes:
    """PyQt takes any buffer; its type hints know only bytes."""
    return cast(bytes, pixels.data)


@lru_cache(maxsize=512)
def _label(text: str, px: int, weight: int, *, name: str, plate: bool, ratio: float) -> QImage:
    """The text as a picture: stroking outlines at every paint would cost more than the slice."""
    face = theme.font(px, weight)
    metrics = QFontMetricsF(face)
    pad = 7.0 if plate else HALO_PX
    width = metrics.horizontalAdvance(text) + 2 * pad
    height = metrics.height() + (4.0 if plate else 2.0)
    image = QImage(
        int(np.ceil(width * ratio)),
        int(np.ceil(height * ratio)),
        QImage.Format.Format_ARGB32_Premultiplied,
    )
    image.setDevicePixelRatio(ratio)
    image.fill(0)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    base = QPointF(pad, (height - metrics.height()) / 2 + metrics.ascent())
    if plate:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(theme.BAR, 0.72))
        painter.drawRoundedRect(QRectF(0, 0, width, height), 5, 5)
    else:
        path = QPainterPath()
        path.addText(base, face, text)
        painter.strokePath(path, QPen(theme.colour(theme.IMAGE, 0.8), HALO_PX))
    painter.setFont(face)
    painter.setPen(theme.colour(name))
    painter.drawText(base, text)
    painter.end()
    return image


def draw_label(
    painter: QPainter,
    at: QPointF,
    text: str,
    *,
    px: int = theme.NOTE,
    weight: int = theme.MEDIUM,
    name: str = theme.TEXT_1,
    plate: bool = False,
    anchor: tuple[float, float] = (0.0, 0.0),
) -> float:
    """Text over an image; returns its width. anchor: which part of it lies at `at`, 0..1."""
    if not text:
        return 0.0
    device = painter.device()
    ratio = device.devicePixelRatio() if device is not None else 1.0
    image = _label(text, px, weight, name=name, plate=plate, ratio=ratio)
    width, height = image.width() / ratio, image.height() / ratio
    painter.drawImage(
        QPointF(round(at.x() - anchor[0] * width), round(at.y() - anchor[1] * height)), image
    )
    return width


def draw_panel(painter: QPainter, widget_box: QRectF) -> None:
    """The bordered surface of a panel that fills its widget."""
    painter.setPen(QPen(theme.colour(theme.LINE), 1.0))
    painter.setBrush(theme.colour(theme.PANEL))
    painter.drawRoundedRect(widget_box.adjusted(0.5, 0.5, -0.5, -0.5), theme.RADIUS, theme.RADIUS)


def write(
    painter: QPainter, at: QPointF, text: str, px: int, name: str, weight: int = theme.REGULAR
) -> float:
    """Plain text with its base line at `at`; returns its width."""
    painter.setFont(theme.font(px, weight))
    painter.setPen(theme.colour(name))
    painter.drawText(at, text)
    return text_width(text, px, weight)


@lru_cache(maxsize=1024)
def text_width(text: str, px: int, weight: int) -> float:
    """Advance of one line."""
    return float(QFontMetricsF(theme.font(px, weight)).horizontalAdvance(text))


@lru_cache(maxsize=1024)
def fitting(text: str, px: int, weight: int, width: float) -> str:
    """The text, shortened with an ellipsis to a width."""
    metrics = QFontMetricsF(theme.font(px, weight))
    return metrics.elidedText(text, Qt.TextElideMode.ElideRight, width)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of a line in view px, and whether it lies in the view's slab."""

    line: QLineF
    inside: bool


def stretches(first: FloatArray, second: FloatArray, slab_mm: float) -> list[Stretch]:
    """Cut a line of view points (u px, v px, depth mm) where it enters and leaves the slab."""
    cuts = [0.0, 1.0]
    rise = float(second[2] - first[2])
    if abs(rise) > 1e-9:
        cuts += [(edge - float(first[2])) / rise for edge in (-slab_mm, slab_mm)]
    cuts = sorted(min(max(cut, 0.0), 1.0) for cut in cuts)
    pieces = []
    for low, high in pairwise(cuts):
        if high - low < 1e-9:
            continue
        start, end = first + (second - first) * low, first + (second - first) * high
        middle = (start[2] + end[2]) / 2.0
        pieces.append(Stretch(QLineF(start[0], start[1], end[0], end[1]), abs(middle) <= slab_mm))
    return pieces


def draw_path(
    painter: QPainter, entry: FloatArray, target: FloatArray, slab_mm: float, width: float = 2.0
) -> None:
    """The planned path: dashed sky blue, faint where it is out of the plane."""
    for piece in stretches(entry, target, slab_mm):
        tone = theme.colour(theme.PLAN, 1.0 if piece.inside else FAINT)
        pen = QPen(tone, width if piece.inside else width * 0.7)
        pen.setDashPattern([5.0, 3.5] if piece.inside else [2.0, 4.0])
        painter.setPen(pen)
        painter.drawLine(piece.line)


def draw_needle(
    painter: QPainter, hub: FloatArray, tip: FloatArray, slab_mm: float, width: float = 3.0
) -> None:
    """The needle: solid orange in the plane, thin and dotted out of it, a dot at the tip."""
    for piece in stretches(hub, tip, slab_mm):
        pen = QPen(theme.colour(theme.NEEDLE, 1.0 if piece.inside else 0.75), width)
        if not piece.inside:
            pen.setWidthF(max(1.2, width * 0.45))
            pen.setDashPattern([2.0, 3.5])
        painter.setPen(pen)
        painter.drawLine(piece.line)
    draw_tip(painter, QPointF(tip[0], tip[1]), abs(float(tip[2])) <= slab_mm, width + 2.0)


def draw_tip(painter: QPainter, at: QPointF, inside: bool, radius: float) -> None:
    """The tip: a filled dot, hollow when it is out of the plane."""
    painter.setPen(QPen(theme.colour(theme.NEEDLE), 1.6))
    painter.setBrush(theme.colour(theme.NEEDLE) if inside else Qt.BrushStyle.NoBrush)
    painter.drawEllipse(at, radius, radius)
    painter.setBrush(Qt.BrushStyle.NoBrush)


def draw_diamond(painter: QPainter, at: QPointF, half: float, tone: QColor) -> None:
    """The target's sign."""
    painter.setPen(QPen(tone, 2.0))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    path = QPainterPath(QPointF(at.x(), at.y() - half))
    for dx, dy in ((half, 0.0), (0.0, half), (-half, 0.0)):
        path.lineTo(at.x() + dx, at.y() + dy)
    path.closeSubpath()
    painter.drawPath(path)


def draw_ring(
    painter: QPainter, at: QPointF, radius: float, tone: QColor, width: float = 2.0
) -> None:
    """An open circle: the entry, the tolerance."""
    painter.setPen(QPen(tone, width))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawEllipse(at, radius, radius)


def draw_error(painter: QPainter, at: QPointF, radius_x: float, radius_y: float) -> None:
    """Where the tip is with 95 % confidence: white dots; nothing where the tip's dot covers it."""
    if max(radius_x, radius_y) < LEAST_ERROR_PX:
        return
    pen = QPen(theme.colour(theme.ERROR, 0.9), 1.6)
    pen.setDashPattern([1.0, 2.2])
    painter.setPen(pen)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawEllipse(at, radius_x, radius_y)


def draw_scale_bar(painter: QPainter, right_bottom: QPointF, px_per_mm: float) -> None:
    """The longest of 5, 10, 20, 50, 100 mm that stays short of 90 px."""
    fitting_mm = [mm for mm in (100, 50, 20, 10, 5) if mm * px_per_mm <= 90.0]
    if not fitting_mm or px_per_mm <= 0.0:
        return
    length = fitting_mm[0] * px_per_mm
    x, y = round(right_bottom.x()) - 0.5, round(right_bottom.y()) - 0.5
    for tone, width in ((theme.colour(theme.IMAGE, 0.7), 3.6), (theme.colour(theme.TEXT_1), 1.6)):
        painter.setPen(QPen(tone, width))
        painter.drawLine(QLineF(x - length, y, x, y))
        for end in (x - length, x):
            painter.drawLine(QLineF(end, y - 4.0, end, y + 4.0))
    middle = QPointF(x - length / 2, y - 5.0)
    draw_label(painter, middle, f"{fitting_mm[0]} mm", px=theme.LEAST, anchor=(0.5, 1.0))


def draw_pill(
    painter: QPainter, middle: QPointF, lines: list[str], name: str, width: float
) -> None:
    """A rounded sign with one or more lines, its middle at the bottom edge's `middle`."""
    device = painter.device()
    ratio = device.devicePixelRatio() if device is not None else 1.0
    sign = _pill(tuple(lines), name, width, ratio)
    wide, height = sign.width() / ratio, sign.height() / ratio
    painter.drawImage(
        QPointF(round(middle.x() - wide / 2), round(middle.y() - height)),
        sign,
    )


@lru_cache(maxsize=32)
def _pill(lines: tuple[str, ...], name: str, width: float, ratio: float) -> QImage:
    px = theme.BODY if width > 420 else theme.NOTE
    wrapped = [part for line in lines for part in wrap(line, px, theme.STRONG, width - 40.0)]
    height = len(wrapped) * (px + 6.0) + 14.0
    wide = max(text_width(line, px, theme.STRONG) for line in wrapped) + 34.0
    image = QImage(
        int(np.ceil(wide * ratio)),
        int(np.ceil(height * ratio)),
        QImage.Format.Format_ARGB32_Premultiplied,
    )
    image.setDevicePixelRatio(ratio)
    image.fill(0)
    box = QRectF(1.0, 1.0, wide - 2.0, height - 2.0)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(theme.colour(name), 1.5))
    painter.setBrush(theme.colour(theme.BAR, 0.86))
    painter.drawRoundedRect(box, min(height / 2, 17.0), min(height / 2, 17.0))
    painter.setFont(theme.font(px, theme.STRONG))
    painter.setPen(theme.colour(theme.TEXT_1))
    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, "\n".join(wrapped))
    painter.end()
    return image


@lru_cache(maxsize=128)
def wrap(text: str, px: int, weight: int, width: float) -> tuple[str, ...]:
    """Lines no wider than `width`, broken between words."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and text_width(f"{lines[-1]} {word}", px, weight) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return tuple(lines) or ("",)
