"""The set-up's calibrations one at a time, each with where it stands under its name."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QGridLayout, QPushButton, QStackedWidget, QVBoxLayout, QWidget

from ir_nav.gui import theme
from ir_nav.gui.forms import button
from ir_nav.gui.guided_card import GuidedCard

NARROW_PX = 380
TAB_GAP = 6


class CalibrationSteps(QWidget):
    """A row of buttons, each with a calibration's name and state, above the chosen card."""

    def __init__(self, cards: Sequence[GuidedCard]) -> None:
        super().__init__()
        self.cards = tuple(cards)
        self._pages = QStackedWidget()
        self._tabs: list[QPushButton] = []
        for index, card in enumerate(self.cards):
            self._pages.addWidget(card)
            name = f"show_{card.name}"
            title = card.name.capitalize()
            tab = button(name, title, partial(self.choose, index), kind="tab", checkable=True)
            self._tabs.append(tab)
        self._grid = QGridLayout()
        self._grid.setSpacing(TAB_GAP)
        self._columns = 0
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.GAP)
        column.addLayout(self._grid)
        column.addWidget(self._pages, 1)
        self._lay_out(len(self._tabs))
        self.choose(0)

    @property
    def current(self) -> GuidedCard:
        """The card in sight."""
        return self.cards[self._pages.currentIndex()]

    def choose(self, index: int) -> None:
        """Bring a card into sight."""
        self._pages.setCurrentIndex(index)
        for number, tab in enumerate(self._tabs):
            tab.setChecked(number == index)

    def show_calibrations(self, now_s: float) -> None:
        """Draw the card in sight, and where each stands."""
        self.current.show_calibration(now_s)
        for card, tab in zip(self.cards, self._tabs, strict=True):
            title, state = card.name.capitalize(), card.summary()
            words = f"{title}\n{state}"
            if tab.text() != words:
                tab.setText(words)
                tab.setAccessibleName(f"{title} calibration, {state}")

    def set_small(self, small: bool) -> None:
        """Fit a small screen."""
        for card in self.cards:
            card.set_small(small)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._lay_out(len(self._tabs) if self.width() >= NARROW_PX else 3)

    def _lay_out(self, columns: int) -> None:
        if columns == self._columns:
            return
        self._columns = columns
        for index, tab in enumerate(self._tabs):
            self._grid.addWidget(tab, index // columns, index % columns)
        for column in range(len(self._tabs)):
            self._grid.setColumnStretch(column, 1 if column < columns else 0)
