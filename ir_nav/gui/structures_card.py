"""The card of structures on the Plan page: the list, and the tools that make them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import QSignalBlocker, Qt
from PyQt6.QtGui import QColor, QIcon, QKeySequence, QPixmap, QResizeEvent, QShortcut
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ir_nav.gui import theme
from ir_nav.gui.desk import Desk
from ir_nav.gui.files import ask_file, ask_save
from ir_nav.gui.forms import Card, button, label
from ir_nav.gui.limit_list import ONE_LINE_PX
from ir_nav.gui.scene_records import CaseImages
from ir_nav.gui.slice_tools import SliceTool, SliceTools
from ir_nav.gui.structure_desk import StructureDesk
from ir_nav.gui.structure_outline import StructureLayer
from ir_nav.gui.structure_rows import (
    DETAIL,
    ROW_PX,
    TWO_LINES_PX,
    TwoLines,
    clearances_by_name,
    ordered,
)
from ir_nav.gui.structure_tools import BrushTool, LesionTool, VesselTool
from ir_nav.imaging.segmentation import Origin, Segment, Segmentation
from ir_nav.imaging.volume import BoolArray
from ir_nav.planning import PlanFinding, Protocol
from ir_nav.planning.protocol import Role
from ir_nav.session.structure_roles import GivenRole, given_role

KINDS = "Structures (*.nii *.nii.gz *.nrrd *.nhdr *.mha *.mhd *.dcm);;All files (*)"
SAVED = "Label map (*.nii.gz)"
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
HINTS = {
    "": "",
    "Lesion": "Press in it, drag to its rim. Enter: keep, Esc: drop.",
    "Brush": "Drag: add to the chosen one. Shift: take away. [ ]: size.",
    "Vessel": "Click on one with contrast. Enter: keep, Esc: drop.",
}


class StructuresCard(Card):
    """Lists the structures with colour, role and size; makes, draws and keeps them."""

    def __init__(self, desk: Desk, tools: SliceTools) -> None:
        super().__init__("Structures")
        self._desk = desk
        self._tools = tools
        self.structures = StructureDesk(desk)
        self.lesion = LesionTool(desk, self.structures, tools)
        self.brush = BrushTool(desk, self.structures, tools)
        self.vessel = VesselTool(desk, self.structures, tools)
        self._shown: tuple[object, ...] = ()
        self._images: CaseImages | None = None
        self._protocol: Protocol | None = None
        self._near_mm: dict[str, float] = {}
        self._sizes: dict[int, tuple[BoolArray, float]] = {}
        self._hint = label("", "quiet", name="structure_hint")
        self._build()
        tools.add_layer(StructureLayer(self.structures))
        tools.changed.connect(self._show_tool)
        self.structures.changed.connect(self._show_list)
        self.structures.drawn.connect(self._draw)
        # Not the card's: it works while another section is in sight.
        redo = QShortcut(QKeySequence("Ctrl+Shift+Z"), tools.views[0])
        redo.activated.connect(self._redo)

    def _build(self) -> None:
        self._buttons: dict[str, QPushButton] = {}
        for tool, tip in (
            (self.lesion, "Click in a lesion and drag to its rim"),
            (self.brush, "Draw by hand into the chosen structure"),
            (self.vessel, "Click on a vessel"),
        ):
            self._buttons[tool.name] = button(
                f"structure_{tool.name.lower()}",
                tool.name,
                lambda chosen=tool: self._use(chosen),  # type: ignore[misc]
                kind="small",
                tip=tip,
                checkable=True,
            )
        self._open = button(
            "list_structures", "List", self._fold, kind="small", checkable=True, tip="Show the list"
        )
        self.add_row(*self._buttons.values(), self._open)
        self._hint.hide()
        self.add(self._hint)
        finding = self.structures.find_automatically
        tip = "Skin, bone, lungs, trachea and bowel gas"
        total = self.structures.run_total
        self.add_row(
            _small("find_structures", "Automatic", finding, tip),
            _small("total_segmentator", "TotalSegmentator", total, "If it is installed here"),
        )
        self._list = QWidget()
        rows = QVBoxLayout(self._list)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(theme.GAP)
        rows.addWidget(self._table())
        for row in self._commands():
            line = QHBoxLayout()
            line.setSpacing(theme.GAP)
            for made in row:
                line.addWidget(made, 1)
            rows.addLayout(line)
        self._open.setChecked(True)
        self.add(self._list)

    def _commands(self) -> tuple[tuple[QPushButton, ...], ...]:
        return (
            (
                _small("undo_structure", "Undo", self._undo, "Ctrl+Z"),
                _small("redo_structure", "Redo", self._redo, "Ctrl+Shift+Z"),
                _small("smooth_structure", "Smooth", self._smooth, "The chosen one's surface"),
                _small("delete_structure", "Delete", self._delete, "The chosen structure"),
            ),
            (
                _small("import_structures", "Import …", self.ask_import, "Or open saved ones"),
                _small("save_structures", "Save …", self.ask_save, "Label map and names"),
            ),
        )

    def _fold(self) -> None:
        self._list.setVisible(self._open.isChecked())

    def _table(self) -> QTableWidget:
        self.table = table = QTableWidget(0, 3)
        table.setObjectName("structure_table")
        table.setAccessibleName("Structures: outline shown, name, role, size")
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setShowGrid(False)
        rows, columns = table.verticalHeader(), table.horizontalHeader()
        if rows is not None and columns is not None:
            rows.hide()
            rows.setDefaultSectionSize(ROW_PX)
            columns.hide()
            columns.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
            for column in (1, 2):
                columns.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        table.setMinimumHeight(ROWS_SHOWN * ROW_PX + 4)
        table.setStyleSheet(TICKS)
        table.setItemDelegateForColumn(0, TwoLines(table))
        table.setToolTip("Tick: outline shown. Double click or F2: another name.")
        table.itemSelectionChanged.connect(self._choose)
        table.itemChanged.connect(self._edited)
        return table

    def follow(self, images: CaseImages) -> None:
        """Keep up with the session's case and protocol, and draw in the page's slices."""
        self.structures.follow(self._desk.session.case)
        if self._protocol is not self._desk.session.protocol:
            self._protocol = self._desk.session.protocol
            self._show_list()
        if images is not self._images:
            self._images = images
            self._draw()

    def order_by(self, limits: tuple[PlanFinding, ...] | None) -> None:
        """List what is avoided by its distance to the path of these findings."""
        near_mm = clearances_by_name(limits)
        if near_mm != self._near_mm:
            self._near_mm = near_mm
            self._show_list()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Where it is narrow, the name has the whole line."""
        super().resizeEvent(event)
        narrow = self.width() < ONE_LINE_PX
        for column in (1, 2):
            self.table.setColumnHidden(column, narrow)
        rows = self.table.verticalHeader()
        if rows is not None:
            rows.setDefaultSectionSize(TWO_LINES_PX if narrow else ROW_PX)

    def take_undo(self) -> bool:
        """Undo here when the last thing was done here; whether it was."""
        if not self.structures.owns_undo():
            return False
        self._undo()
        return True

    def ask_import(self) -> None:
        """Ask for a file of structures of this CT."""
        ask_file(self, "Import structures", self._desk.folder("labels"), KINDS, self.open_file)

    def ask_save(self) -> None:
        """Ask where to keep the structures."""
        name = str(Path(self._desk.folder("labels")) / "structures.nii.gz")
        ask_save(self, "Save structures", name, SAVED, self.save_file)

    def open_file(self, path: Path) -> None:
        self._desk.remember_folder("labels", path)
        self.structures.open_file(path)

    def save_file(self, path: Path) -> None:
        self._desk.remember_folder("labels", path)
        ended = path if path.name.endswith(".nii.gz") else path.with_name(f"{path.name}.nii.gz")
        self.structures.save_file(ended)

    def _use(self, tool: SliceTool) -> None:
        self._tools.use(None if self._tools.active is tool else tool)
        if self._tools.active is tool:
            # Keys go to the slice: Enter and Escape work before the first click.
            self._tools.views[0].setFocus()

    def _show_tool(self, tool: SliceTool | None) -> None:
        name = "" if tool is None else tool.name
        for known, made in self._buttons.items():
            made.setChecked(known == name)
        self._hint.setText(HINTS.get(name, ""))
        self._hint.setVisible(bool(self._hint.text()))

    def _undo(self) -> None:
        self._desk.attempt(self.structures.undo)

    def _redo(self) -> None:
        self._desk.attempt(self.structures.redo)

    def _smooth(self) -> None:
        self._desk.attempt(self.structures.smooth, keep_banner=True)

    def _delete(self) -> None:
        self._desk.attempt(self.structures.delete, keep_banner=True)

    def _draw(self) -> None:
        """Outlines in the slices, and what is not in them yet above."""
        if self._images is not None:
            images = self.structures.images(self._images)
            for view in self._tools.views:
                view.set_images(images)
        self._tools.repaint()

    def _show_list(self) -> None:
        structures = self.structures
        protocol = self._protocol
        segments = ordered(structures.segments, protocol, self._near_mm)
        with QSignalBlocker(self.table):
            self._fill(segments, protocol)
            row = next(
                (n for n, item in enumerate(segments) if item.number == structures.selected), None
            )
            if row is None:
                self.table.clearSelection()
            else:
                self.table.selectRow(row)

    def _fill(self, segments: tuple[Segment, ...], protocol: Protocol | None) -> None:
        history = self.structures.history
        shown = (segments, protocol, self.structures.hidden)
        if history is None or not _differs(shown, self._shown):
            if history is None:
                self.table.setRowCount(0)
            return
        before = self._shown[0] if self._shown else ()
        made = any(item.origin is not Origin.IMPORTED for item in segments)
        if made and not before:
            # The first that is made here: the list shows what has become of it.
            self._open.setChecked(True)
            self._fold()
        self._shown = shown
        self._open.setText(f"List ({len(segments)})" if segments else "List")
        self.table.setRowCount(len(segments))
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
        hidden = segment.number in self.structures.hidden
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
        known = self.table.item(row, column)
        if known is not None:
            return known
        made = QTableWidgetItem()
        self.table.setItem(row, column, made)
        return made

    def _choose(self) -> None:
        items = self.table.selectedItems()
        if items:
            first = self.table.item(items[0].row(), 0)
            if first is not None:
                self.structures.select(int(first.data(Qt.ItemDataRole.UserRole)))

    def _edited(self, item: QTableWidgetItem) -> None:
        if item.column() != 0:
            return
        number = int(item.data(Qt.ItemDataRole.UserRole))
        self.structures.show_segment(number, item.checkState() == Qt.CheckState.Checked)
        row, name = item.row(), item.text()
        if name != self._name_of(number):
            self.structures.rename(number, name)
            # Refused, or written in another way: the list says what the structure is called.
            shown = self.table.item(row, 0)
            if shown is not None:
                with QSignalBlocker(self.table):
                    shown.setText(self._name_of(number))

    def _name_of(self, number: int) -> str:
        return next(
            (one.display_name for one in self.structures.segments if one.number == number), ""
        )


def _differs(first: tuple[object, ...], second: tuple[object, ...]) -> bool:
    return len(first) != len(second) or any(
        a is not b and a != b for a, b in zip(first, second, strict=True)
    )


def _small(name: str, text: str, action: Callable[[], object], tip: str) -> QPushButton:
    return button(name, text, action, kind="small", tip=tip)


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
