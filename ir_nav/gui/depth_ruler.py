"""How deep the tip is along the planned path, from the skin to beyond the target."""

from __future__ import annotations

from dataclasses import dataclass

from PyQt6.QtCore import QLineF, QPointF, QRectF, Qt
from PyQt6.QtGui import QPainter, QPainterPath, QPen

from ir_nav.gui import theme
from ir_nav.gui.paint import draw_label

WIDTH = 20.0
PAST = 0.14
# Two labels nearer to each other than this would lie on one another.
APART_PX = 24.0


@dataclass(frozen=True, slots=True)
class DepthRuler:
    """Where the ruler lies in a view, px, and the length it stands for, mm.

    Depths are told to a tenth, so that depth and distance to the target add up to the length.
    """

    box: QRectF
    length_mm: float

    @property
    def target_y(self) -> float:
        """Where the target lies; beneath it the ruler is past it."""
        return self.box.top() + self.box.height() * (1.0 - PAST)

    def y_of(self, depth_mm: float) -> float:
        """Where a depth along the path lies; the ruler's ends hold what lies beyond them."""
        y = self.box.top() + depth_mm * (self.target_y - self.box.top()) / self.length_mm
        return min(max(y, self.box.top()), self.box.bottom())

    def draw_ground(self, painter: QPainter, words: bool) -> None:
        """The empty ruler, with the part past the target hatched."""
        path = self._outline()
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(theme.LINE))
        painter.drawPath(path)
        painter.save()
        painter.setClipPath(path)
        past = QRectF(self.box)
        past.setTop(self.target_y)
        painter.setClipRect(past, Qt.ClipOperation.IntersectClip)
        painter.fillRect(past, theme.colour(theme.DANGER_ZONE, 0.16))
        painter.setPen(QPen(theme.colour(theme.DANGER_ZONE, 0.6), 1.2))
        y = past.top() - WIDTH
        while y < past.bottom():
            painter.drawLine(QLineF(past.left(), y + WIDTH, past.right(), y))
            y += 7.0
        painter.restore()
        middle = self.box.center().x()
        top = QPointF(middle, self.box.top() - 6.0)
        draw_label(painter, top, "Skin", name=theme.TEXT_2, anchor=(0.5, 1.0))
        if words:
            at = QPointF(middle, self.box.bottom() + 4.0)
            draw_label(painter, at, "Past", name=theme.TEXT_2, anchor=(0.5, 0.0))

    def draw(self, painter: QPainter, depth_mm: float | None, told_mm: float | None) -> None:
        """Fill to a depth and tell it. depth_mm None: not known. told_mm: the depth in words,
        which changes as seldom as the other numbers so that they agree."""
        if depth_mm is not None:
            self._fill(painter, depth_mm)
        painter.setPen(QPen(theme.colour(theme.PLAN), 3.0))
        y = self.target_y
        painter.drawLine(QLineF(self.box.left() - 7.0, y, self.box.right() + 5.0, y))
        left = self.box.left() - 11.0
        draw_label(
            painter,
            QPointF(left, y),
            f"Target {self.length_mm:.1f}",
            weight=theme.STRONG,
            name=theme.PLAN,
            anchor=(1.0, 0.5),
        )
        if told_mm is not None:
            self._tell(painter, QPointF(left, self._beside(told_mm)), told_mm)

    def _tell(self, painter: QPainter, at: QPointF, depth_mm: float) -> None:
        outside = depth_mm < 0.0
        words = "outside" if outside else f"{depth_mm:.1f} mm"
        px = theme.NOTE if outside or self.box.height() < 300.0 else theme.ROW
        draw_label(
            painter,
            at,
            words,
            px=px,
            weight=theme.STRONG,
            name=theme.NEEDLE,
            anchor=(1.0, 0.5),
        )

    def _beside(self, depth_mm: float) -> float:
        """Height of the depth's words: beside the fill's end, but clear of the target's."""
        y = self.y_of(depth_mm)
        if abs(y - self.target_y) >= APART_PX:
            return y
        return self.target_y + (APART_PX if depth_mm > self.length_mm else -APART_PX)

    def _fill(self, painter: QPainter, depth_mm: float) -> None:
        filled = self.y_of(depth_mm) - self.box.top()
        radius = min(WIDTH, filled) / 2.0
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(theme.NEEDLE))
        painter.drawRoundedRect(
            QRectF(self.box.left(), self.box.top(), WIDTH, filled), radius, radius
        )

    def _outline(self) -> QPainterPath:
        path = QPainterPath()
        path.addRoundedRect(self.box, WIDTH / 2.0, WIDTH / 2.0)
        return path
