"""The focus ring: shown only to who works with the Tab key."""

from __future__ import annotations

from PyQt6.QtCore import QObject
from PyQt6.QtWidgets import QApplication, QWidget


class FocusRing(QObject):
    """Marks the widget with the focus by its property "ring", which the style sheet draws."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._tabbing = False
        application = QApplication.instance()
        if isinstance(application, QApplication):
            application.focusChanged.connect(self._move)

    def begin(self) -> None:
        """The next change of focus comes from the Tab key."""
        self._tabbing = True

    def _move(self, old: QWidget | None, new: QWidget | None) -> None:
        tabbing, self._tabbing = self._tabbing, False
        if old is not None and old.property("ring"):
            _mark(old, False)
        if tabbing and new is not None:
            _mark(new, True)


def _mark(widget: QWidget, ring: bool) -> None:
    widget.setProperty("ring", ring)
    style = widget.style()
    if style is not None:
        style.unpolish(widget)
        style.polish(widget)
    widget.update()
