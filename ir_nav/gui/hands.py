"""Noticing that a person has put a hand to the console."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QCoreApplication, QEvent, QObject

_TOUCHED = (QEvent.Type.MouseButtonPress, QEvent.Type.KeyPress, QEvent.Type.Wheel)


class Hands(QObject):
    """Calls `touched` once, at the first key, click or wheel that comes from outside."""

    def __init__(self, touched: Callable[[], None], parent: QObject) -> None:
        super().__init__(parent)
        self._touched: Callable[[], None] | None = touched
        application = QCoreApplication.instance()
        if application is not None:
            application.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() in _TOUCHED and event.spontaneous():
            touched, self._touched = self._touched, None
            if touched is not None:
                touched()
        return False
