"""The pages, inside a frame that turns red when guidance is not valid."""

from __future__ import annotations

from PyQt6.QtCore import QRectF, Qt
from PyQt6.QtGui import QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from ir_nav.gui import theme


class Stage(QWidget):
    """Seen from afar: the frame says that the numbers may not be used."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("stage")
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.pages = QStackedWidget()
        self._invalid = False
        around = QVBoxLayout(self)
        around.setContentsMargins(theme.FRAME, theme.FRAME, theme.FRAME, theme.FRAME)
        around.addWidget(self.pages)

    def set_invalid(self, invalid: bool) -> None:
        """Draw the red frame, or none."""
        if invalid != self._invalid:
            self._invalid = invalid
            self.update()

    @property
    def invalid(self) -> bool:
        return self._invalid

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.colour(theme.WINDOW))
        if self._invalid:
            half = theme.FRAME / 2.0
            painter.setPen(QPen(theme.colour(theme.ALARM_HIGH), theme.FRAME))
            painter.drawRect(QRectF(self.rect()).adjusted(half, half, -half, -half))
        painter.end()
