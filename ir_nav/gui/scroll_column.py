"""A column of a page that a small screen can scroll."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QObject, QSize, Qt
from PyQt6.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

BAR_PX = 12


class ScrollColumn(QScrollArea):
    """Scrolls up and down only: never narrower than what it holds."""

    def __init__(self, column: QVBoxLayout) -> None:
        super().__init__()
        self._inside = QWidget()
        self._inside.setObjectName("window")
        self._inside.setLayout(column)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setWidget(self._inside)

    def minimumSizeHint(self) -> QSize:
        return QSize(self._inside.minimumSizeHint().width() + BAR_PX, 120)

    def sizeHint(self) -> QSize:
        return self._inside.sizeHint()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Whatever it holds that grows wider makes it wider."""
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().eventFilter(watched, event)
