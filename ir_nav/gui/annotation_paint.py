"""Annotations over slices: each where it cuts the plane, with what it measures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PyQt6.QtCore import QLineF, QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QPainter, QPen

from ir_nav.geometry import FloatArray
from ir_nav.gui import theme
from ir_nav.gui.annotation_words import Measured, lines, measure
from ir_nav.gui.paint import draw_label, text_width
from ir_nav.gui.slice_view import SliceView
from ir_nav.imaging import Volume
from ir_nav.imaging.curved import curved_line
from ir_nav.imaging.measures import ellipse_outline
from ir_nav.session.annotations import (
    Angle,
    Annotation,
    Arrow,
    Ball,
    Curve,
    Ellipse,
    Polygon,
    Probe,
    points_of,
)

# What lies further off the plane is not drawn.
REACH_MM = 2.5
HANDLE_PX = 4.0
LINE_PX = 1.6
ARROW_PX = 11.0
LABEL_STEP_PX = 19.0
EDGE_PX = 4.0
MOST_SHIFTS = 12


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """An annotation as it is drawn: lines (n, 3) in `ct`, mm; closed joins the last to the
    first. label_ct_mm (3,): where its words stand."""

    lines: tuple[FloatArray, ...]
    label_ct_mm: FloatArray
    closed: bool = False


def outline_of(item: Annotation) -> Outline:
    """The shape in the patient; a ball's depends on the plane and is not here."""
    points = points_of(item)
    if isinstance(item, Ellipse):
        found = ellipse_outline(points[0], points[1] - points[0], points[2] - points[0])
        return Outline((found,), found[0], closed=True)
    if isinstance(item, Polygon):
        return Outline((points,), points[0], closed=True)
    if isinstance(item, Curve):
        return Outline((curved_line(points, 1.0).points_ct_mm,), points[-1])
    return Outline((points,), points[1] if isinstance(item, Angle) else points[-1])


class AnnotationLayer:
    """Draws the annotations; measures each once."""

    def __init__(
        self,
        items: Callable[[], tuple[Annotation, ...]],
        selected: Callable[[], str | None],
    ) -> None:
        self._items = items
        self._selected = selected
        self._volume: Volume | None = None
        self._measured: dict[Annotation, Measured] = {}
        self._outlines: dict[Annotation, Outline] = {}

    def measured(self, item: Annotation, volume: Volume) -> Measured:
        """What an annotation measures, worked out once."""
        if volume is not self._volume:
            self._volume, self._measured = volume, {}
        if item not in self._measured:
            if len(self._measured) > 4 * len(self._items()) + 64:
                self._measured.clear()
                self._outlines.clear()
            self._measured[item] = measure(item, volume)
        return self._measured[item]

    def outline(self, item: Annotation) -> Outline:
        """The shape, worked out once."""
        if item not in self._outlines:
            self._outlines[item] = outline_of(item)
        return self._outlines[item]

    def paint(self, painter: QPainter, view: SliceView) -> None:
        volume = view.volume
        if volume is None:
            return
        selected = self._selected()
        taken: list[QRectF] = []
        for item in self._items():
            tone = theme.ACCENT_HOVER if item.id == selected else theme.TEXT_1
            self.paint_item(painter, view, item, tone, handles=item.id == selected, taken=taken)

    def paint_item(
        self,
        painter: QPainter,
        view: SliceView,
        item: Annotation,
        tone: str,
        *,
        handles: bool,
        taken: list[QRectF] | None = None,
    ) -> None:
        """One annotation with its words; nothing where it is out of the plane. taken: where
        words stand already; theirs is added."""
        volume = view.volume
        if volume is None:
            return
        if isinstance(item, Ball):
            label = _paint_ball(painter, view, item, theme.colour(tone))
        else:
            label = self._paint_lines(painter, view, item, theme.colour(tone))
        if label is None:
            return
        if handles:
            _paint_handles(painter, view, points_of(item), theme.colour(tone))
        if not says_its_words(item, view):
            return
        said = lines(item, self.measured(item, volume))
        at = _free_place(label + QPointF(9.0, 4.0), said, view, [] if taken is None else taken)
        for words in said:
            draw_label(painter, at, words, px=theme.NOTE, name=tone)
            at += QPointF(0.0, LABEL_STEP_PX)

    def _paint_lines(
        self, painter: QPainter, view: SliceView, item: Annotation, tone: QColor
    ) -> QPointF | None:
        shape = self.outline(item)
        near = False
        for line in shape.lines:
            seen = view.to_view(line)
            near |= _stroke(painter, seen, tone, reach_mm(view), closed=shape.closed)
        if not near:
            return None
        if isinstance(item, Probe):
            _cross(painter, view.to_view(points_of(item)[0]), tone)
        if isinstance(item, Arrow):
            tip, tail = view.to_view(points_of(item))
            _arrow_head(painter, tip, tail, tone)
        label = view.to_view(shape.label_ct_mm)
        if isinstance(item, Ellipse | Polygon):
            outline = view.to_view(shape.lines[0])
            label = outline[int(np.argmax(outline[:, 0]))]
        return QPointF(label[0], label[1])


def says_its_words(item: Annotation, view: SliceView) -> bool:
    """Whether the slice shows the annotation itself and no mere cut through it."""
    points = points_of(item)
    if isinstance(item, Ball | Curve):
        points = points[:1] if isinstance(item, Ball) else points[-1:]
    return bool((np.abs(view.to_view(points)[:, 2]) <= reach_mm(view)).all())


def _free_place(at: QPointF, said: list[str], view: SliceView, taken: list[QRectF]) -> QPointF:
    """Where words stand: beside their annotation, inside the view, below those in the way."""
    wide = max(text_width(words, theme.NOTE, theme.MEDIUM) for words in said) + 8.0
    tall = LABEL_STEP_PX * len(said)
    x = min(at.x(), view.width() - wide - EDGE_PX)
    box = QRectF(max(x, EDGE_PX), at.y(), wide, tall)
    for _ in range(MOST_SHIFTS):
        other = next((one for one in taken if one.intersects(box)), None)
        if other is None:
            break
        box.moveTop(other.bottom() + 1.0)
    if box.bottom() > view.height():
        box.moveBottom(view.height() - EDGE_PX)
    taken.append(box)
    return box.topLeft()


def reach_mm(view: SliceView) -> float:
    """How far off the plane something is still drawn: the slab shows that much."""
    return max(REACH_MM, view.slab.thickness_mm / 2.0)


def _stroke(
    painter: QPainter, seen: FloatArray, tone: QColor, reach: float, *, closed: bool
) -> bool:
    """The pieces of a line of view points (n, 3) that lie within reach; whether any does."""
    if len(seen) == 1:
        return bool(abs(float(seen[0, 2])) <= reach)
    ends = np.roll(seen, -1, axis=0) if closed else seen[1:]
    starts = seen if closed else seen[:-1]
    pieces = []
    for start, end in zip(starts, ends, strict=True):
        piece = _within(start, end, reach)
        if piece is not None:
            pieces.append(piece)
    if not pieces:
        return False
    for pen in (QPen(theme.colour(theme.IMAGE, 0.7), LINE_PX + 2.0), QPen(tone, LINE_PX)):
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        painter.setPen(pen)
        painter.drawLines(*pieces)
    return True


def _within(start: FloatArray, end: FloatArray, reach: float) -> QLineF | None:
    """The part of a piece of a line whose depth is within reach."""
    rise = float(end[2] - start[2])
    low, high = 0.0, 1.0
    if abs(rise) < 1e-9:
        if abs(float(start[2])) > reach:
            return None
    else:
        cuts = sorted(((-reach - start[2]) / rise, (reach - start[2]) / rise))
        low, high = max(0.0, float(cuts[0])), min(1.0, float(cuts[1]))
        if low >= high:
            return None
    one, two = start + (end - start) * low, start + (end - start) * high
    return QLineF(float(one[0]), float(one[1]), float(two[0]), float(two[1]))


def _paint_ball(painter: QPainter, view: SliceView, item: Ball, tone: QColor) -> QPointF | None:
    """The circle in which the plane cuts the ball."""
    points = points_of(item)
    centre = view.to_view(points[0])
    square = float(np.sum((points[1] - points[0]) ** 2)) - float(centre[2]) ** 2
    if square <= 0.0:
        return None
    radius = float(np.sqrt(square)) / view.mm_per_px
    painter.setBrush(Qt.BrushStyle.NoBrush)
    middle = QPointF(centre[0], centre[1])
    for pen in (QPen(theme.colour(theme.IMAGE, 0.7), LINE_PX + 2.0), QPen(tone, LINE_PX)):
        painter.setPen(pen)
        painter.drawEllipse(middle, radius, radius)
    return middle + QPointF(radius * 0.71, radius * 0.71)


def _paint_handles(painter: QPainter, view: SliceView, points: FloatArray, tone: QColor) -> None:
    painter.setPen(QPen(theme.colour(theme.IMAGE), 1.0))
    painter.setBrush(tone)
    for seen in view.to_view(points):
        if abs(float(seen[2])) <= reach_mm(view):
            painter.drawEllipse(QPointF(seen[0], seen[1]), HANDLE_PX, HANDLE_PX)
    painter.setBrush(Qt.BrushStyle.NoBrush)


def _cross(painter: QPainter, seen: FloatArray, tone: QColor) -> None:
    x, y = float(seen[0]), float(seen[1])
    for pen in (QPen(theme.colour(theme.IMAGE, 0.7), LINE_PX + 2.0), QPen(tone, LINE_PX)):
        painter.setPen(pen)
        painter.drawLine(QLineF(x - 6.0, y, x + 6.0, y))
        painter.drawLine(QLineF(x, y - 6.0, x, y + 6.0))


def _arrow_head(painter: QPainter, tip: FloatArray, tail: FloatArray, tone: QColor) -> None:
    line = QLineF(float(tip[0]), float(tip[1]), float(tail[0]), float(tail[1]))
    if line.length() < 1.0:
        return
    painter.setPen(QPen(tone, LINE_PX + 0.4))
    for turn in (-25.0, 25.0):
        wing = QLineF(line)
        wing.setLength(ARROW_PX)
        wing.setAngle(line.angle() + turn)
        painter.drawLine(wing)
