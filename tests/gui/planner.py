"""What a user does on the Plan page, for the tests of its parts."""

from __future__ import annotations

import time
from collections.abc import Callable

from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QComboBox, QLabel, QPushButton

from ir_nav.gui.main_window import MainWindow
from ir_nav.gui.pages.plan import PlanPage
from ir_nav.imaging import LabelMap, Volume
from ir_nav.session.steps import Step

Windows = Callable[..., MainWindow]
LEFT = Qt.MouseButton.LeftButton


class Planner:
    """What a user does on the Plan page."""

    def __init__(self, app: QApplication, window: MainWindow, case: tuple[Volume, LabelMap]):
        self.app, self.window, self.session = app, window, window.session
        page = window.pages[Step.PLAN]
        assert isinstance(page, PlanPage)
        self.page = page
        self.session.load_case(*case)
        assert window.go(Step.PLAN)
        self.until(lambda: self.session.planning.ground is not None)

    def until(self, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + 60.0
        while not holds():
            assert time.monotonic() < end, self.window.desk.banner.text
            self.window.tick()
            self.app.processEvents()
            time.sleep(0.01)

    def settle(self) -> None:
        self.until(lambda: not self.window.desk.worker.busy)
        self.window.tick()
        self.app.processEvents()

    def button(self, name: str) -> QPushButton:
        found = self.window.findChild(QPushButton, name)
        assert found is not None, name
        return found

    def click(self, name: str) -> None:
        found = self.button(name)
        assert found.isVisible(), f"{name} is not in sight"
        assert found.isEnabled(), name
        QTest.mouseClick(found, LEFT)
        self.settle()

    def choose(self, name: str, text: str) -> None:
        box = self.window.findChild(QComboBox, name)
        assert box is not None
        index = box.findText(text)
        assert index >= 0, text
        box.setCurrentIndex(index)
        box.activated.emit(index)
        self.settle()

    def words(self, name: str) -> str:
        found = self.window.findChild(QLabel, name)
        assert found is not None
        return found.text()
