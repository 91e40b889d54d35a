"""Protocol, target and entry of the path under way."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PyQt6.QtWidgets import QComboBox, QLineEdit, QPushButton

from ir_nav.geometry import FloatArray
from ir_nav.gui.desk import Desk
from ir_nav.gui.forms import Card, button
from ir_nav.gui.keep_out_tool import KeepOutTool
from ir_nav.gui.notice import Mood
from ir_nav.gui.patient_terms import typed_point
from ir_nav.gui.protocol_chooser import ProtocolChooser
from ir_nav.gui.scene_records import Handle
from ir_nav.gui.slice_tools import SliceTool, SliceTools
from ir_nav.imaging import LabelMap

CHOOSE = "Target: centre of …"


class PointsCard(Card):
    """place: begins placing a point by a click. propose, undo: the page's commands."""

    def __init__(
        self,
        desk: Desk,
        tools: SliceTools,
        keep_out: KeepOutTool,
        place: Callable[[Handle], object],
        propose: Callable[[], object],
        undo: Callable[[], object],
    ) -> None:
        super().__init__()
        self.column.setSpacing(6)
        self._desk = desk
        self._tools = tools
        self._keep_out = keep_out
        self.protocols = ProtocolChooser(desk)
        self._structures = QComboBox()
        self._structures.setObjectName("target_structure")
        self._structures.setAccessibleName("Target: centre of a structure")
        self._structures.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self._structures.addItem(CHOOSE)
        self._structures.activated.connect(self._choose)
        self._coordinates = QLineEdit()
        self._coordinates.setObjectName("target_lps")
        self._coordinates.setAccessibleName("Target in mm: R 83 A 6 H 7, or X, Y, Z in LPS")
        self._coordinates.setToolTip("R 83 A 6 H 7 in mm; or X, Y, Z in LPS mm")
        self._coordinates.setPlaceholderText("or R 83 A 6 H 7")
        self._coordinates.returnPressed.connect(self._enter)
        self._places: dict[Handle, QPushButton] = {
            handle: button(
                f"place_{words}",
                words.capitalize(),
                lambda chosen=handle: place(chosen),  # type: ignore[misc]
                kind="small",
                tip=f"{words[0].upper()}, then click in a slice",
                checkable=True,
            )
            for handle, words in ((Handle.TARGET, "target"), (Handle.ENTRY, "entry"))
        }
        self._free = button(
            "keep_skin_free",
            "Keep free",
            self._paint,
            kind="small",
            tip="Paint a drain, wound or drape: no path goes in there",
            checkable=True,
        )
        for handle, made in self._places.items():
            made.setAccessibleName(f"Place {handle.name.lower()}")
        self._free.setAccessibleName("Keep skin free")
        self.add(self.protocols)
        self.add_row(self._structures, self._coordinates)
        self.add_row(*self._places.values(), self._free)
        self.add_row(
            button("propose_path", "Propose paths", propose, kind="small"),
            button("undo_plan", "Undo", undo, kind="small", tip="Ctrl+Z"),
        )
        tools.changed.connect(self._show_tool)

    def show_placing(self, handle: Handle | None) -> None:
        """Which point the next click places."""
        for known, made in self._places.items():
            made.setChecked(known is handle)

    def fill(self, labels: LabelMap | None) -> None:
        """List the structures that can be the target."""
        self._structures.clear()
        self._structures.addItem(CHOOSE)
        if labels is not None:
            for number in labels.present_ids():
                self._structures.addItem(labels.display_name(number), number)

    def set_target(self, point_ct_mm: FloatArray) -> None:
        """Place the target (3,) in `ct`, mm; it takes the name of the structure it lies in."""
        session = self._desk.session
        name = _structure_at(session.case.labels, point_ct_mm)
        self._desk.attempt(lambda: session.set_target(point_ct_mm, name))

    def _paint(self) -> None:
        tool = self._keep_out
        self._tools.use(None if self._tools.active is tool else tool)
        if self._tools.active is tool:
            # Keys go to the slice: [ and ] work before the first click.
            self._tools.views[0].setFocus()

    def _show_tool(self, tool: SliceTool | None) -> None:
        self._free.setChecked(tool is self._keep_out)

    def _choose(self, index: int) -> None:
        session = self._desk.session
        labels, number = session.case.labels, self._structures.itemData(index)
        if labels is None or number is None:
            return
        name = labels.display_name(number)
        self._desk.attempt(lambda: session.set_target(labels.centroid_ct_mm(number), name))

    def _enter(self) -> None:
        point = typed_point(self._coordinates.text())
        if point is None:
            words = "Write the point in mm: R 83 A 6 H 7, or X, Y, Z in LPS"
            self._desk.banner.say(words, Mood.REFUSED)
            return
        self.set_target(point)


def _structure_at(labels: LabelMap | None, point_ct_mm: FloatArray) -> str:
    if labels is None:
        return ""
    place = labels.voxel_from_ct @ np.append(point_ct_mm, 1.0)
    i, j, k = np.rint(place[:3]).astype(int)
    slices, rows, columns = labels.voxels.shape
    if not (0 <= i < columns and 0 <= j < rows and 0 <= k < slices):
        return ""
    number = int(labels.voxels[k, j, i])
    return labels.display_name(number) if number else ""
