"""The foot pedal in the window: keys that are one, and what a press does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from PyQt6.QtCore import QEvent, QObject, Qt, QTimer
from PyQt6.QtGui import QKeyEvent, QWindow
from PyQt6.QtWidgets import QAbstractSpinBox, QApplication, QLineEdit, QPlainTextEdit, QTextEdit

from ir_nav.gui.notice import Mood
from ir_nav.gui.pages.register import RegisterPage
from ir_nav.session.device_entries import KeyboardPedalEntry
from ir_nav.session.pedal_presses import Press
from ir_nav.session.steps import Step

if TYPE_CHECKING:
    from ir_nav.gui.main_window import MainWindow

POLL_MS = 15
TEXT_FIELDS = (QLineEdit, QTextEdit, QPlainTextEdit, QAbstractSpinBox)
# Mean something in a text field; the others are the pedal there too.
WRITING = ("PageUp", "PageDown", "Home", "End", "Insert")
_NO_MODIFIER = (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier)


class PedalKeys(QObject):
    """Takes the keys that the room file names out of the window's keys and gives them to the
    pedal; acts on the presses of whichever pedal the room has."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._held: set[int] = set()
        window.session.connection.pedal_keys.open()
        self._handle: QWindow | None = None
        window.installEventFilter(self)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._poll)
        self._timer.start(POLL_MS)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is None:
            return False
        kind = event.type()
        if watched is self._window:
            self._follow(kind)
        elif isinstance(event, QKeyEvent) and kind == QEvent.Type.KeyPress:
            return self._pressed(event)
        elif isinstance(event, QKeyEvent) and kind == QEvent.Type.KeyRelease:
            return self._released(event)
        return False

    def _follow(self, kind: QEvent.Type) -> None:
        """Keys come through the handle that a window has once it is shown, before any widget."""
        if kind == QEvent.Type.Show:
            handle = self._window.windowHandle()
            if handle is not None and handle is not self._handle:
                self._handle = handle
                handle.installEventFilter(self)
        elif kind in (QEvent.Type.WindowDeactivate, QEvent.Type.Hide) and self._held:
            # The release goes to another window, or to none.
            self._held.clear()
            self._tell(False)
        elif kind == QEvent.Type.Close:
            self._window.session.connection.pedal_keys.close()

    def _pressed(self, event: QKeyEvent) -> bool:
        key = event.key()
        if key in self._held:
            return True
        if event.isAutoRepeat() or event.modifiers() not in _NO_MODIFIER:
            return False
        if self._covered() or QApplication.activePopupWidget() is not None:
            return False
        if key not in self._keys(isinstance(self._window.focusWidget(), TEXT_FIELDS)):
            return False
        self._held.add(key)
        if len(self._held) == 1:
            self._tell(True)
        return True

    def _released(self, event: QKeyEvent) -> bool:
        key = event.key()
        if key not in self._held:
            return False
        if not event.isAutoRepeat():
            self._held.remove(key)
            if not self._held:
                self._tell(False)
        return True

    def _tell(self, down: bool) -> None:
        self._window.session.connection.pedal_keys.turn(down, time.monotonic())

    def _keys(self, writing: bool) -> set[int]:
        """Keys that are the pedal now; while one writes, those that mean nothing in a text."""
        room = self._window.session.connection.room
        if room is None or self._window.session.connection.streams is None:
            return set()
        names = {key for e in room.devices if isinstance(e, KeyboardPedalEntry) for key in e.keys}
        return {qt_key(name) for name in names if not (writing and name in WRITING)}

    def _covered(self) -> bool:
        return self._window.start_cover.isVisible() or self._window.keys_cover.isVisible()

    def _poll(self) -> None:
        streams = self._window.session.connection.streams
        if streams is None or streams.pedal is None:
            return
        presses = streams.pedal.poll(time.time())
        if not self._covered():
            for press in presses:
                act(self._window, press)


def qt_key(name: str) -> int:
    """Qt's number of a key of the room file."""
    return Qt.Key[f"Key_{name}"].value


def act(window: MainWindow, press: Press) -> None:
    """What a foot can do, hands being sterile: capture a fiducial or take it back in Register,
    mark the moment everywhere else, freeze the live images in Guide."""
    page = window.pages[window.step]
    if isinstance(page, RegisterPage):
        if press is Press.SHORT:
            page.capture()
        else:
            page.undo()
    elif press is Press.SHORT:
        window.desk.attempt(lambda: window.session.mark("Mark (pedal)"), "Marked in the log")
    elif window.step is Step.GUIDE:
        window.guide.toggle_freeze(window.state)
    else:
        window.desk.banner.say(
            "Holding the pedal takes a point back in Register and freezes the images in Guide",
            Mood.REFUSED,
        )
