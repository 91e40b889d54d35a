"""The card of structures on the Plan page: the list, and the tools that make them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PyQt6.QtGui import QKeySequence, QResizeEvent, QShortcut
from PyQt6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from ir_nav.gui import theme
from ir_nav.gui.desk import Desk
from ir_nav.gui.files import ask_file, ask_save
from ir_nav.gui.forms import Card, button, label
from ir_nav.gui.limit_list import ONE_LINE_PX
from ir_nav.gui.scene_records import CaseImages
from ir_nav.gui.slice_tools import SliceTool, SliceTools
from ir_nav.gui.structure_desk import StructureDesk
from ir_nav.gui.structure_jobs import StructureJobs
from ir_nav.gui.structure_outline import StructureLayer
from ir_nav.gui.structure_rows import clearances_by_name, ordered
from ir_nav.gui.structure_table import StructureTable
from ir_nav.gui.structure_tools import BrushTool, LesionTool, VesselTool
from ir_nav.imaging.segmentation import Origin, Segment
from ir_nav.planning import PlanFinding, Protocol

KINDS = "Structures (*.nii *.nii.gz *.nrrd *.nhdr *.mha *.mhd *.dcm);;All files (*)"
SAVED = "Label map (*.nii.gz)"
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
        self._jobs = StructureJobs(desk, self.structures)
        self.lesion = LesionTool(desk, self.structures, tools)
        self.brush = BrushTool(desk, self.structures, tools)
        self.vessel = VesselTool(desk, self.structures, tools)
        self.table = StructureTable(self.structures)
        self._listed: tuple[Segment, ...] = ()
        self._images: CaseImages | None = None
        self._protocol: Protocol | None = None
        self._near_mm: dict[str, float] = {}
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
        finding = self._jobs.find_automatically
        tip = "Skin, bone, lungs, trachea and bowel gas"
        total = self._jobs.run_total
        self.add_row(
            _small("find_structures", "Automatic", finding, tip),
            _small("total_segmentator", "TotalSegmentator", total, "If it is installed here"),
        )
        self._list = QWidget()
        rows = QVBoxLayout(self._list)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(theme.GAP)
        rows.addWidget(self.table)
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

    def follow(self, images: CaseImages) -> None:
        """Keep up with the session's case and protocol, and draw in the page's slices."""
        self.structures.follow(self._desk.session.case)
        if self._protocol is not self._desk.session.planning.protocol:
            self._protocol = self._desk.session.planning.protocol
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
        self.table.set_narrow(self.width() < ONE_LINE_PX)

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
        self._jobs.open_file(path)

    def save_file(self, path: Path) -> None:
        self._desk.remember_folder("labels", path)
        ended = path if path.name.endswith(".nii.gz") else path.with_name(f"{path.name}.nii.gz")
        self._jobs.save_file(ended)

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
        segments = ordered(self.structures.segments, self._protocol, self._near_mm)
        self.table.show_segments(segments, self._protocol)
        if self.structures.history is None:
            return
        made = any(item.origin is not Origin.IMPORTED for item in segments)
        if made and not self._listed:
            # The first that is made here: the list shows what has become of it.
            self._open.setChecked(True)
            self._fold()
        self._listed = segments
        self._open.setText(f"List ({len(segments)})" if segments else "List")


def _small(name: str, text: str, action: Callable[[], object], tip: str) -> QPushButton:
    return button(name, text, action, kind="small", tip=tip)
