"""The list of structures: a row each with colour, name, role and size."""

from __future__ import annotations

from PyQt6.QtCore import QSignalBlocker, Qt
from PyQt6.QtGui import QColor, QIcon, QPixmap
from PyQt6.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from ir_nav.gui import theme
from ir_nav.gui.structure_desk import StructureDesk
from ir_nav.gui.structure_rows import DETAIL, ROW_PX, TWO_LINES_PX, TwoLines
from ir_nav.imaging.segmentation import Segment, Segmentation
from ir_nav.imaging.volume import BoolArray
from ir_nav.planning import Protocol
from ir_nav.planning.protocol import Role
from ir_nav.session.structure_roles import GivenRole, given_role

SWATCH_PX = 14
ROWS_SHOWN = 7
TICKS = f"""
QTableWidget {{ font-size: {theme.NOTE}px; }}
QTableWidget::item {{ padding: 2px 4px; }}
QTableWidget::indicator {{
    width: 12px; height: 12px; border: 1px solid {theme.TEXT_3}; border-radius: 3px;
    background: {theme.BAR};
}}
QTableWidget::indicator:checked {{ background: {theme.TEXT_2}; }}
"""


class StructureTable(QTableWidget):
    """Chooses, renames and hides structures. Told what to list by `show_segments`."""

    def __init__(self, structures: StructureDesk) -> None:
        super().__init__(0, 3)
        self._structures = structures
        self._shown: tuple[object, ...] = ()
        self._sizes: dict[int, tuple[BoolArray, float]] = {}
        self.setObjectName("structure_table")
        self.setAccessibleName("Structures: outline shown, name, role, size")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setShowGrid(False)
        self._set_headers()
        self.setMinimumHeight(ROWS_SHOWN * ROW_PX + 4)
        self.setStyleSheet(TICKS)
        self.setItemDelegateForColumn(0, TwoLines(self))
        self.setToolTip("Tick: outline shown. Double click or F2: another name.")
        self.itemSelectionChanged.connect(self._choose)
        self.itemChanged.connect(self._edited)

    def _set_headers(self) -> None:
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        if rows is not None and columns is not None:
            rows.hide()
            rows.setDefaultSectionSize(ROW_PX)
            columns.hide()
            columns.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
            for column in (1, 2):
                columns.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)

    def set_narrow(self, narrow: bool) -> None:
        """Where it is narrow, the name has the whole line."""
        for column in (1, 2):
            self.setColumnHidden(column, narrow)
        rows = self.verticalHeader()
        if rows is not None:
            rows.setDefaultSectionSize(TWO_LINES_PX if narrow else ROW_PX)

    def show_segments(self, segments: tuple[Segment, ...], protocol: Protocol | None) -> None:
        """List the desk's segments in this order, with their roles in a protocol."""
        selected = self._structures.selected
        with QSignalBlocker(self):
            self._fill(segments, protocol)
            row = next((n for n, item in enumerate(segments) if item.number == selected), None)
            if row is None:
                self.clearSelection()
            else:
                self.selectRow(row)

    def _fill(self, segments: tuple[Segment, ...], protocol: Protocol | None) -> None:
        history = self._structures.history
        if history is None:
            self.setRowCount(0)
            return
        shown = (segments, protocol, self._structures.hidden)
        if not _differs(shown, self._shown):
            return
        self._shown = shown
        self.setRowCount(len(segments))
        for row, segment in enumerate(segments):
            role = given_role(segment.name, protocol) if protocol else None
            self._fill_row(row, segment, role, self._size_ml(history.now, segment))

    def _size_ml(self, now: Segmentation, segment: Segment) -> float:
        """Counted once for each shape: there may be a hundred structures."""
        known = self._sizes.get(segment.number)
        if known is None or known[0] is not segment.structure.part:
            known = (segment.structure.part, now.volume_ml(segment))
            self._sizes[segment.number] = known
        return known[1]

    def _fill_row(self, row: int, segment: Segment, role: GivenRole | None, size_ml: float) -> None:
        name, part, size = (self._cell(row, column) for column in range(3))
        name.setFlags(name.flags() | Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsEditable)
        name.setText(segment.display_name)
        name.setIcon(_swatch(segment.colour))
        hidden = segment.number in self._structures.hidden
        name.setCheckState(Qt.CheckState.Unchecked if hidden else Qt.CheckState.Checked)
        name.setData(Qt.ItemDataRole.UserRole, segment.number)
        name.setToolTip(f"{segment.origin.value}. Double click or F2: another name.")
        part.setText("" if role is None else role.words)
        if role is not None:
            part.setForeground(QColor(_role_tone(role)))
            part.setToolTip(role.rule or "No rule of the protocol names it: the path may pass")
        size.setText(f"{size_ml:.0f} ml" if size_ml >= 10.0 else f"{size_ml:.1f} ml")
        size.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        name.setData(DETAIL, f"{part.text()} · {size.text()}" if part.text() else size.text())
        for cell in (part, size):
            cell.setFlags(cell.flags() & ~Qt.ItemFlag.ItemIsEditable)

    def _cell(self, row: int, column: int) -> QTableWidgetItem:
        """The item of a cell. It is kept: the list is filled while one of them tells of its
        change, and must not be gone when it has told."""
        known = self.item(row, column)
        if known is not None:
            return known
        made = QTableWidgetItem()
        self.setItem(row, column, made)
        return made

    def _choose(self) -> None:
        items = self.selectedItems()
        if items:
            first = self.item(items[0].row(), 0)
            if first is not None:
                self._structures.select(int(first.data(Qt.ItemDataRole.UserRole)))

    def _edited(self, item: QTableWidgetItem) -> None:
        if item.column() != 0:
            return
        number = int(item.data(Qt.ItemDataRole.UserRole))
        self._structures.show_segment(number, item.checkState() == Qt.CheckState.Checked)
        row, name = item.row(), item.text()
        if name != self._name_of(number):
            self._structures.rename(number, name)
            # Refused, or written in another way: the list says what the structure is called.
            shown = self.item(row, 0)
            if shown is not None:
                with QSignalBlocker(self):
                    shown.setText(self._name_of(number))

    def _name_of(self, number: int) -> str:
        return next(
            (one.display_name for one in self._structures.segments if one.number == number), ""
        )


def _differs(first: tuple[object, ...], second: tuple[object, ...]) -> bool:
    return len(first) != len(second) or any(
        a is not b and a != b for a, b in zip(first, second, strict=True)
    )


def _role_tone(role: GivenRole) -> str:
    if role.role is Role.TARGET:
        return theme.PLAN
    if role.role in {Role.AVOID, Role.FORBIDDEN}:
        return theme.DANGER_ZONE
    return theme.TEXT_2


def _swatch(colour: str) -> QIcon:
    square = QPixmap(SWATCH_PX, SWATCH_PX)
    square.fill(QColor(colour))
    return QIcon(square)
