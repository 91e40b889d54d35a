"""The frame every view shares: black ground, title, note, rounded border."""

from __future__ import annotations

from functools import lru_cache

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QImage, QPainter, QPainterPath, QPaintEvent, QPen
from PyQt6.QtWidgets import QWidget

from ir_nav.gui import theme
from ir_nav.gui.paint import draw_label, fitting

CORNER_PX = theme.RADIUS + 2


@lru_cache(maxsize=4)
def _corners(ratio: float) -> tuple[QImage, QImage, QImage, QImage]:
    """Upper left, upper right, lower left, lower right: the window's colour outside the arc."""
    side = 2 * CORNER_PX
    whole = QImage(
        round(side * ratio), round(side * ratio), QImage.Format.Format_ARGB32_Premultiplied
    )
    whole.setDevicePixelRatio(ratio)
    whole.fill(0)
    painter = QPainter(whole)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    box = QRectF(0, 0, side, side)
    outside = QPainterPath()
    outside.addRect(box)
    outside.addRoundedRect(box, theme.RADIUS, theme.RADIUS)
    painter.fillPath(outside, theme.colour(theme.WINDOW))
    painter.setPen(QPen(theme.colour(theme.LINE), 1.0))
    painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), theme.RADIUS, theme.RADIUS)
    painter.end()
    half = round(CORNER_PX * ratio)
    first, second, third, fourth = (
        whole.copy(x, y, half, half) for y in (0, half) for x in (0, half)
    )
    return first, second, third, fourth


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

    @property
    def note(self) -> str:
        """The few words after the title."""
        return self._note

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
        words = self.note
        if words and room - used > 60.0:
            note = fitting(words, theme.NOTE, theme.MEDIUM, room - used)
            place = QPointF(6 + used + 2, 7)
            self._title_right += 2.0 + draw_label(
                painter, place, note, name=theme.TEXT_2, plate=True
            )

    def _draw_frame(self, painter: QPainter) -> None:
        """Straight edges as filled strips and the corners from one kept picture: stroking a
        rounded rectangle costs as much as the slice inside it."""
        width, height, corner = self.width(), self.height(), CORNER_PX
        if width < 2 * corner or height < 2 * corner:
            return
        # Set on the widget that the Tab key has reached.
        line = theme.colour(theme.ACCENT if self.property("ring") else theme.LINE)
        for x, y, wide, tall in (
            (corner, 0, width - 2 * corner, 1),
            (corner, height - 1, width - 2 * corner, 1),
            (0, corner, 1, height - 2 * corner),
            (width - 1, corner, 1, height - 2 * corner),
        ):
            painter.fillRect(x, y, wide, tall, line)
        device = painter.device()
        ratio = device.devicePixelRatio() if device is not None else 1.0
        for index, picture in enumerate(_corners(ratio)):
            x = 0 if index % 2 == 0 else width - corner
            y = 0 if index < 2 else height - corner
            painter.drawImage(QPointF(x, y), picture)
