"""The pages, inside a frame: red without guidance, yellow while the breath is awaited."""

from __future__ import annotations

from PyQt6.QtCore import QPoint, QRect, QRectF, Qt
from PyQt6.QtGui import QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from ir_nav.gui import theme
from ir_nav.gui.pages.base import Page


class Stage(QWidget):
    """Seen from afar: the frame says that the numbers may not be used."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("stage")
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.pages = QStackedWidget()
        self._alarm: str | None = None
        around = QVBoxLayout(self)
        around.setContentsMargins(theme.FRAME, theme.FRAME, theme.FRAME, theme.FRAME)
        around.addWidget(self.pages)

    def set_alarm(self, tone: str | None) -> None:
        """Draw the frame in an alarm colour, or none."""
        if tone != self._alarm:
            self._alarm = tone
            self.update()

    def image_area(self) -> QRect:
        """Where the page at hand shows images, in the stage."""
        page = self.pages.currentWidget()
        if not isinstance(page, Page):
            return self.rect()
        return page.image_area().translated(page.mapTo(self, QPoint(0, 0)))

    @property
    def alarm(self) -> str | None:
        return self._alarm

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.colour(theme.WINDOW))
        if self._alarm is not None:
            half = theme.FRAME / 2.0
            painter.setPen(QPen(theme.colour(self._alarm), theme.FRAME))
            painter.drawRect(QRectF(self.rect()).adjusted(half, half, -half, -half))
        painter.end()
