"""A page's side: one section of cards at a time, each with its state on its button."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from PyQt6 import sip
from PyQt6.QtCore import QSettings, QTimer
from PyQt6.QtGui import QFontMetrics, QKeySequence, QResizeEvent, QShortcut
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
from ir_nav.gui.forms import button, card_column, scrolling, set_mood

TAB_GAP = 4
TAB_PADDING = 8


@dataclass(frozen=True, slots=True)
class Section:
    """cards: beneath one another. state: a word or two on where it stands; mood: the colour of
    these, as of set_mood. fills: the last card takes all the height there is. widest: the longest
    state its button has room for. short: the name on its button where the row is too narrow for
    all of them."""

    name: str
    cards: tuple[QWidget, ...]
    state: Callable[[], str]
    fills: bool = False
    mood: Callable[[], str] = lambda: ""
    widest: str = ""
    short: str = ""


class Folded(QWidget):
    """A card behind a button with its name: seen when it is asked for."""

    def __init__(self, name: str, card: QWidget) -> None:
        super().__init__()
        self._name, self._card = name, card
        self._fold = button(
            f"fold_{name.lower().replace(' ', '_')}", "", self._turn, kind="small", checkable=True
        )
        self._fold.setAccessibleName(name)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.GAP)
        column.addWidget(self._fold)
        column.addWidget(card)
        self._turn()

    def unfold(self) -> None:
        """Show the card."""
        self._fold.setChecked(True)
        self._turn()

    def _turn(self) -> None:
        opened = self._fold.isChecked()
        self._fold.setText(f"{self._name}  {'▾' if opened else '▸'}")
        self._card.setVisible(opened)
        if opened:
            QTimer.singleShot(0, partial(_scroll_to, self._card))


class SideSections(QWidget):
    """A row of buttons, the cards of the chosen one, and a foot that is always in sight.

    remembered: the setting that keeps which section was chosen last.
    """

    def __init__(
        self, sections: Sequence[Section], foot: QWidget, settings: QSettings, remembered: str
    ) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        self.setFixedWidth(theme.SIDE_WIDTH)
        self._sections = tuple(sections)
        self._settings = settings
        self._remembered = remembered
        self._pages = QStackedWidget()
        self._tabs: list[QPushButton] = []
        self._brief = False
        row = QHBoxLayout()
        row.setSpacing(TAB_GAP)
        for index, section in enumerate(self._sections):
            self._pages.addWidget(_scrolled(section))
            name = f"section_{section.name.lower()}"
            pick = partial(self._choose, index)
            tab = button(name, section.name, pick, kind="tab", checkable=True, tip="F6: next")
            # Their width does not follow what they say: they would jump under the pointer.
            tab.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            self._tabs.append(tab)
            row.addWidget(tab, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.GAP)
        column.addLayout(row)
        column.addWidget(self._pages, 1)
        column.addWidget(foot)
        for keys, step in (("F6", 1), ("Shift+F6", -1)):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.activated.connect(partial(self._step, step))
        self._fit_names()
        self.show_section(str(settings.value(remembered, self._sections[0].name)))
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
            words = f"{self._named(section)}\n{state or '–'}"
            set_mood(tab, section.mood())
            if tab.text() != words:
                tab.setText(words)
                tab.setAccessibleName(f"{section.name}, {state}" if state else section.name)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._fit_names()
        self.show_states()

    def _fit_names(self) -> None:
        """Whole names where there is room for all of them, else the short ones."""
        gaps = TAB_GAP * (len(self._tabs) - 1)
        whole = sum(_room_px(section, section.name) for section in self._sections)
        self._brief = whole + gaps > self.width()
        for section, tab in zip(self._sections, self._tabs, strict=True):
            tab.setMinimumWidth(_room_px(section, self._named(section)))

    def _named(self, section: Section) -> str:
        return section.short if self._brief and section.short else section.name

    def _step(self, by: int) -> None:
        self._choose((self._pages.currentIndex() + by) % len(self._sections))

    def _choose(self, index: int) -> None:
        self._pages.setCurrentIndex(index)
        for number, tab in enumerate(self._tabs):
            tab.setChecked(number == index)
        self._settings.setValue(self._remembered, self._sections[index].name)


def _room_px(section: Section, name: str) -> int:
    metrics = QFontMetrics(theme.font(theme.LEAST, theme.STRONG))
    widest = max(metrics.horizontalAdvance(words) for words in (name, section.widest))
    return widest + TAB_PADDING


def bring_into_sight(card: QWidget) -> None:
    """Open the section that holds a card and scroll to it, once it has been laid out."""
    around = card.parentWidget()
    while around is not None:
        if isinstance(around, SideSections):
            around.show_section(_holding(around, card))
        if isinstance(around, Folded):
            around.unfold()
        around = around.parentWidget()
    QTimer.singleShot(0, partial(_scroll_to, card))


def _scroll_to(card: QWidget) -> None:
    # The window may have been closed since it was asked.
    around = None if sip.isdeleted(card) else card.parentWidget()
    while around is not None:
        if isinstance(around, QScrollArea):
            around.ensureWidgetVisible(card, 0, 0)
        around = around.parentWidget()


def _holding(sections: SideSections, card: QWidget) -> str:
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
