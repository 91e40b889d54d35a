"""What the colours on the skin in 3D say, at the lower edge of the view."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QObject, QRectF, Qt
from PyQt6.QtGui import QPainter, QPaintEvent
from PyQt6.QtWidgets import QWidget

from ir_nav.gui import theme
from ir_nav.gui.skin_quality import TONES

WIDE, TALL, BAR_PX, EDGE = 190, 44, 8, 12
LEAST_VIEW_PX = 340


class SkinLegend(QWidget):
    """Lies over a 3D view, and lets every press through to it."""

    def __init__(self, view: QWidget) -> None:
        super().__init__(view)
        self.setObjectName("skin_legend")
        self.setAccessibleName("Colours on the skin: from just allowed to best")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setFixedSize(WIDE, TALL)
        self._wanted = False
        view.installEventFilter(self)
        self.hide()

    def show_for(self, painted: bool) -> None:
        """Show it while the skin is painted."""
        if painted != self._wanted:
            self._wanted = painted
            self._place()

    def _place(self) -> None:
        view = self.parentWidget()
        if view is None:
            return
        self.setVisible(self._wanted and view.width() >= LEAST_VIEW_PX)
        self.move(view.width() - WIDE - EDGE, view.height() - TALL - EDGE)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() == QEvent.Type.Resize:
            self._place()
        return False

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(theme.BAR, 0.7))
        painter.drawRoundedRect(QRectF(self.rect()), 6.0, 6.0)
        wide = (WIDE - 2.0 * EDGE) / len(TONES)
        for number, tone in enumerate(TONES):
            painter.fillRect(
                QRectF(EDGE + number * wide, 9.0, wide + 0.5, BAR_PX), theme.colour(tone)
            )
        painter.setFont(theme.font(theme.LEAST))
        painter.setPen(theme.colour(theme.TEXT_1))
        words = QRectF(EDGE, 20.0, WIDE - 2.0 * EDGE, 20.0)
        painter.drawText(words, Qt.AlignmentFlag.AlignLeft, "just allowed")
        painter.drawText(words, Qt.AlignmentFlag.AlignRight, "best way in")
        painter.end()
