"""The Plan page's side: one section of cards at a time, each with its state on its button."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from PyQt6.QtCore import QSettings, QTimer
from PyQt6.QtGui import QKeySequence, QShortcut
from PyQt6.QtWidgets import (
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from ir_nav.gui import theme
from ir_nav.gui.forms import button, card_column, scrolling

REMEMBERED = "plan/section"
TAB_GAP = 4


@dataclass(frozen=True, slots=True)
class Section:
    """cards: beneath one another. state: a word or two on where it stands. fills: the last card
    takes all the height there is."""

    name: str
    cards: tuple[QWidget, ...]
    state: Callable[[], str]
    fills: bool = False


class PlanSections(QWidget):
    """A row of buttons, the cards of the chosen one, and a foot that is always in sight."""

    def __init__(self, sections: Sequence[Section], foot: QWidget, settings: QSettings) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        self.setFixedWidth(theme.SIDE_WIDTH)
        self._sections = tuple(sections)
        self._settings = settings
        self._pages = QStackedWidget()
        self._tabs: list[QPushButton] = []
        row = QHBoxLayout()
        row.setSpacing(TAB_GAP)
        for index, section in enumerate(self._sections):
            self._pages.addWidget(_scrolled(section))
            name = f"section_{section.name.lower()}"
            pick = partial(self._choose, index)
            tab = button(name, section.name, pick, kind="tab", checkable=True, tip="F6: next")
            tab.setSizePolicy(QSizePolicy.Policy.MinimumExpanding, QSizePolicy.Policy.Fixed)
            self._tabs.append(tab)
            row.addWidget(tab, len(section.name))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.GAP)
        column.addLayout(row)
        column.addWidget(self._pages, 1)
        column.addWidget(foot)
        for keys, step in (("F6", 1), ("Shift+F6", -1)):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.activated.connect(partial(self._step, step))
        self.show_section(str(settings.value(REMEMBERED, self._sections[0].name)))
        self.show_states()

    @property
    def current(self) -> str:
        """The name of the section in sight."""
        return self._sections[self._pages.currentIndex()].name

    def show_section(self, name: str) -> None:
        """Bring a section into sight; the first for a name there is not."""
        names = [section.name for section in self._sections]
        self._choose(names.index(name) if name in names else 0)

    def show_states(self) -> None:
        """Write where each section stands."""
        for section, tab in zip(self._sections, self._tabs, strict=True):
            state = section.state()
            words = f"{section.name}\n{state or '–'}"
            if tab.text() != words:
                tab.setText(words)
                tab.setAccessibleName(f"{section.name}, {state}" if state else section.name)

    def _step(self, by: int) -> None:
        self._choose((self._pages.currentIndex() + by) % len(self._sections))

    def _choose(self, index: int) -> None:
        self._pages.setCurrentIndex(index)
        for number, tab in enumerate(self._tabs):
            tab.setChecked(number == index)
        self._settings.setValue(REMEMBERED, self._sections[index].name)


def bring_into_sight(card: QWidget) -> None:
    """Open the section that holds a card and scroll to it, once it has been laid out."""
    around = card.parentWidget()
    while around is not None:
        if isinstance(around, PlanSections):
            around.show_section(_holding(around, card))
        if isinstance(around, QScrollArea):
            QTimer.singleShot(0, partial(around.ensureWidgetVisible, card, 0, 0))
        around = around.parentWidget()


def _holding(sections: PlanSections, card: QWidget) -> str:
    return next(
        (
            section.name
            for section in sections._sections
            if any(one is card or one.isAncestorOf(card) for one in section.cards)
        ),
        sections.current,
    )


def _scrolled(section: Section) -> QScrollArea:
    inside = QWidget()
    column = card_column(inside)
    for card in section.cards:
        column.addWidget(card)
    if not section.fills:
        column.addStretch(1)
    return scrolling(inside)
