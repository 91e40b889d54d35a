"""Working the console from a program through the same buttons as a hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import QTimer
from PyQt6.QtWidgets import QComboBox, QLineEdit, QPushButton

from ir_nav.gui.hands import Hands
from ir_nav.gui.main_window import MainWindow
from ir_nav.gui.pages.plan import PlanPage
from ir_nav.gui.pages.review import ReviewPage
from ir_nav.gui.pages.set_up import SetUpPage
from ir_nav.session.steps import Step


class RemoteError(Exception):
    """A button is not there, or cannot be pressed now."""


class Remote:
    """Presses what a user would press. window: may be taken over by hand at any time."""

    def __init__(self, window: MainWindow) -> None:
        self.window = window

    def press(self, name: str) -> None:
        """Click a button by its object name."""
        found = self.window.findChild(QPushButton, name)
        if found is None:
            raise RemoteError(f"there is no button '{name}'")
        if not self.can_press(name):
            raise RemoteError(f"the button '{name}' cannot be pressed now")
        found.click()

    def can_press(self, name: str) -> bool:
        """Whether a button is in sight and enabled."""
        found = self.window.findChild(QPushButton, name)
        return found is not None and found.isVisible() and found.isEnabled()

    def choose(self, name: str, text: str) -> None:
        """Choose an entry of a list by its text."""
        found = self.window.findChild(QComboBox, name)
        index = -1 if found is None else found.findText(text)
        if found is None or index < 0:
            raise RemoteError(f"the list '{name}' has no '{text}'")
        found.setCurrentIndex(index)
        found.activated.emit(index)

    def enter(self, name: str, text: str) -> None:
        """Write into a field and press Return."""
        found = self.window.findChild(QLineEdit, name)
        if found is None:
            raise RemoteError(f"there is no field '{name}'")
        found.setText(text)
        found.returnPressed.emit()

    def when_touched(self, action: Callable[[], None]) -> None:
        """Call something once a person uses mouse or keyboard."""
        Hands(action, self.window)

    def go(self, step: Step) -> None:
        """Open a step; RemoteError with the refusal's words."""
        if not self.window.go(step):
            raise RemoteError(f"{step.title} refuses: {self.window.desk.banner.text}")

    def open_room(self, path: Path) -> None:
        """Open a room file, with the case it names."""
        page = self.window.pages[Step.SET_UP]
        assert isinstance(page, SetUpPage)
        page.load_room(path)

    def save_plan(self, path: Path) -> None:
        page = self.window.pages[Step.PLAN]
        assert isinstance(page, PlanPage)
        page.save_to(path)

    def save_report(self, path: Path) -> None:
        page = self.window.pages[Step.REVIEW]
        assert isinstance(page, ReviewPage)
        page.save_to(path)

    @property
    def banner(self) -> str:
        """What the banner says or said last."""
        return self.window.desk.banner.text

    def every(self, period_s: float, action: Callable[[], None]) -> QTimer:
        """Call something again and again on the window's thread until the timer is stopped."""
        timer = QTimer(self.window)
        # PyQt holds a bound method weakly, a lambda with all it needs.
        timer.timeout.connect(lambda: action())
        timer.start(round(1000 * period_s))
        return timer
