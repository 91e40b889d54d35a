"""Small builders for the side panels: buttons, headings, fact lists."""

from __future__ import annotations

import re
from collections.abc import Callable

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ir_nav.gui import theme


def button(
    name: str,
    text: str,
    action: Callable[[], object],
    *,
    kind: str = "",
    tip: str = "",
    checkable: bool = False,
) -> QPushButton:
    """A button with an object name by which the demo and the tests find it."""
    made = QPushButton(text)
    made.setObjectName(name)
    made.setAccessibleName(text)
    made.setToolTip(tip)
    made.setCheckable(checkable)
    made.setCursor(Qt.CursorShape.PointingHandCursor)
    if kind:
        made.setProperty("kind", kind)
    made.clicked.connect(lambda _=False: action())
    return made


def label(text: str = "", kind: str = "note", *, name: str = "") -> QLabel:
    """Text in one of the style sheet's kinds; wraps."""
    made = QLabel(text)
    made.setProperty("kind", kind)
    made.setWordWrap(True)
    made.setTextFormat(Qt.TextFormat.PlainText)
    if name:
        made.setObjectName(name)
    return made


def breakable(text: str) -> str:
    """A file's name as a label can wrap it: else the longest word makes a whole column wide."""
    return re.sub(r"(?<=[_\-./\\])(?=\S)|(?<=[a-z])(?=[A-Z])", "\u200b", text)


def set_mood(widget: QLabel | QPushButton, mood: str) -> None:
    """Colour a label good, bad, warn or quiet, a tab bad or warn; '' for plain."""
    _set_look(widget, "mood", mood)


def set_kind(widget: QPushButton | QLabel, kind: str) -> None:
    """Make a button the primary one, or a plain one again with ''; change a label's kind."""
    _set_look(widget, "kind", kind)


def _set_look(widget: QWidget, name: str, value: str) -> None:
    if (widget.property(name) or "") == value:
        return
    widget.setProperty(name, value)
    style = widget.style()
    if style is not None:
        style.unpolish(widget)
        style.polish(widget)


class Card(QFrame):
    """A bordered panel with a heading and a column of things."""

    def __init__(self, heading: str = "") -> None:
        super().__init__()
        self.setObjectName("panel")
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(16, 12, 16, 14)
        self.column.setSpacing(theme.GAP)
        if heading:
            self.column.addWidget(label(heading, "heading"))

    def add(self, *widgets: QWidget) -> None:
        """Put widgets beneath one another."""
        for widget in widgets:
            self.column.addWidget(widget)

    def add_named(self, name: str, widget: QWidget) -> None:
        """Put a widget beneath the others, its name before it."""
        row = QHBoxLayout()
        row.setSpacing(theme.GAP)
        caption = label(name, "note")
        caption.setWordWrap(False)
        row.addWidget(caption)
        row.addWidget(widget, 1)
        self.column.addLayout(row)

    def add_row(self, *widgets: QWidget) -> None:
        """Put widgets side by side, equally wide."""
        row = QHBoxLayout()
        row.setSpacing(theme.GAP)
        for widget in widgets:
            row.addWidget(widget, 1)
        self.column.addLayout(row)


class Facts(QWidget):
    """Names at the left, values at the right; '—' while a value is not known."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self._values: dict[str, QLabel] = {}
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(6)
        grid.setHorizontalSpacing(10)
        grid.setColumnStretch(1, 1)
        for row, name in enumerate(names):
            value = label("—", "value", name=f"fact_{name.lower().replace(' ', '_')}")
            value.setAlignment(Qt.AlignmentFlag.AlignRight)
            value.setAccessibleName(name)
            caption = label(name)
            caption.setWordWrap(False)
            grid.addWidget(caption, row, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(value, row, 1)
            self._values[name] = value

    def show_fact(self, name: str, value: str, mood: str = "") -> None:
        """Write one value."""
        shown = self._values[name]
        if shown.text() != (value or "—"):
            shown.setText(value or "—")
        set_mood(shown, mood)


def card_column(inside: QWidget) -> QVBoxLayout:
    """The layout of cards beneath one another."""
    inside.setObjectName("window")
    column = QVBoxLayout(inside)
    column.setContentsMargins(0, 0, 2, 0)
    column.setSpacing(theme.GAP)
    return column


def scrolling(inside: QWidget) -> QScrollArea:
    """Cards that scroll up and down where the screen is small."""
    scroll = QScrollArea()
    scroll.setWidgetResizable(True)
    scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    scroll.setFrameShape(QFrame.Shape.NoFrame)
    scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    scroll.setWidget(inside)
    return scroll


def set_up_landmarks(table: QTableWidget, headings: list[str], header_px: int, row_px: int) -> None:
    """A list of landmarks, a line each: read, chosen by row, never typed into."""
    table.setHorizontalHeaderLabels(headings)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setShowGrid(False)
    across, down = table.horizontalHeader(), table.verticalHeader()
    if across is not None:
        across.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        across.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        across.setFixedHeight(header_px)
    if down is not None:
        down.hide()
        down.setDefaultSectionSize(row_px)


def set_cell(table: QTableWidget, row: int, column: int, text: str, tone: str) -> None:
    """Write a cell in a colour; one that says so already is left as it is."""
    item = table.item(row, column)
    if item is None:
        item = QTableWidgetItem()
        table.setItem(row, column, item)
    if item.text() != text:
        item.setText(text)
    item.setForeground(theme.colour(tone))


class SideColumn(QWidget):
    """The panel column at the right of a page: scrolls on small screens, its foot stays."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        self.setFixedWidth(theme.SIDE_WIDTH)
        inside = QWidget()
        self.column = card_column(inside)
        self._around = QVBoxLayout(self)
        self._around.setContentsMargins(0, 0, 0, 0)
        self._around.setSpacing(theme.GAP)
        self._around.addWidget(scrolling(inside), 1)

    def add(self, *widgets: QWidget) -> None:
        """Put widgets beneath one another."""
        for widget in widgets:
            self.column.addWidget(widget)

    def add_foot(self, widget: QWidget) -> None:
        """Put a widget beneath what scrolls: what must always be in reach."""
        self._around.addWidget(widget)

    def end(self) -> None:
        """Keep the widgets at the top."""
        self.column.addStretch(1)
