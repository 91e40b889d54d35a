"""The frame every view shares: black ground, title, note, rounded border."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QPainter, QPainterPath, QPaintEvent, QPen
from PyQt6.QtWidgets import QWidget

from ir_nav.gui import theme
from ir_nav.gui.paint import draw_label, fitting


class Picture(QWidget):
    """A view with its title at top left; subclasses draw what it shows."""

    def __init__(self, title: str, note: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = title
        self._note = note
        self._title_right = 0.0
        self.setAccessibleName(title)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setMinimumSize(40, 30)

    def set_title(self, title: str, note: str) -> None:
        """Name the view and its source; repaints only when they changed."""
        if (title, note) != (self._title, self._note):
            self._title, self._note = title, note
            self.setAccessibleName(title)
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(320, 240)

    def draw_ground(self, painter: QPainter) -> None:
        """Cover the whole view; black unless a picture does it."""
        painter.fillRect(self.rect(), theme.colour(theme.IMAGE))

    def draw(self, painter: QPainter) -> None:
        """Paint the content; the base paints the frame over it."""

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        self.draw_ground(painter)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self.draw(painter)
        self._draw_title(painter)
        self._draw_frame(painter)
        painter.end()

    def say(self, painter: QPainter, text: str) -> None:
        """Words in the middle of an empty view."""
        painter.setFont(theme.font(theme.BODY, theme.MEDIUM))
        painter.setPen(theme.colour(theme.TEXT_3))
        box = QRectF(self.rect()).adjusted(20, 30, -20, -20)
        flags = int(Qt.AlignmentFlag.AlignCenter) | int(Qt.TextFlag.TextWordWrap)
        painter.drawText(box, flags, text)

    def _draw_title(self, painter: QPainter) -> None:
        room = self.width() - 24.0
        title = fitting(self._title, theme.BODY, theme.STRONG, room)
        used = draw_label(
            painter, QPointF(6, 6), title, px=theme.BODY, weight=theme.STRONG, plate=True
        )
        self._title_right = 6.0 + used
        if self._note and room - used > 60.0:
            note = fitting(self._note, theme.NOTE, theme.MEDIUM, room - used)
            place = QPointF(6 + used + 2, 7)
            self._title_right += 2.0 + draw_label(
                painter, place, note, name=theme.TEXT_2, plate=True
            )

    def _draw_frame(self, painter: QPainter) -> None:
        box = QRectF(self.rect())
        corners = QPainterPath()
        corners.addRect(box)
        corners.addRoundedRect(box, theme.RADIUS, theme.RADIUS)
        painter.fillPath(corners, theme.colour(theme.WINDOW))
        painter.setPen(QPen(theme.colour(theme.LINE), 1.0))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), theme.RADIUS, theme.RADIUS)
