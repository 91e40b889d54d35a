"""Protocol, target and entry of the path under way."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import numpy as np
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QFocusEvent, QMouseEvent
from PyQt6.QtWidgets import QComboBox, QLineEdit, QPushButton

from ir_nav.geometry import FloatArray
from ir_nav.gui.desk import Desk
from ir_nav.gui.forms import Card, button
from ir_nav.gui.keep_out_tool import KeepOutTool
from ir_nav.gui.notice import Mood
from ir_nav.gui.patient_terms import along_words, typed_point
from ir_nav.gui.protocol_chooser import ProtocolChooser
from ir_nav.gui.scene_records import Handle
from ir_nav.gui.slice_tools import SliceTool, SliceTools
from ir_nav.imaging import ImagingError, LabelMap
from ir_nav.planning.protocol import Protocol, Role
from ir_nav.session.case import PlanDraft
from ir_nav.session.structure_roles import given_role

CHOOSE = "Target: centre of …"
SAME_MM = 0.5


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
        # Of structures that were chosen; and what is listed, drafted and written now.
        self._centres: dict[str, FloatArray] = {}
        self._present: tuple[int, ...] = ()
        self._filled: tuple[LabelMap | None, Protocol] | None = None
        self._shown: PlanDraft | None = None
        self._written = ""
        self.protocols = ProtocolChooser(desk)
        self._structures = QComboBox()
        self._structures.setObjectName("target_structure")
        self._structures.setAccessibleName("Target: centre of a structure")
        self._structures.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self._structures.addItem(CHOOSE)
        self._structures.activated.connect(self._choose)
        self._coordinates = _PointField()
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
            "No entry here",
            self._paint,
            kind="small",
            tip="Paint a drain, wound or drape: no path goes in there",
            checkable=True,
        )
        for handle, made in self._places.items():
            made.setAccessibleName(f"Place {handle.name.lower()}")
        self._free.setAccessibleName("Keep skin free")
        self.add_named("Protocol", self.protocols)
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

    def follow(self) -> None:
        """Show the draft's target, and list the structures that can be one: those first that the
        protocol aims at."""
        session = self._desk.session
        labels, drawn = session.case.labels, session.planning.now
        protocol, draft = drawn.protocol, drawn.draft
        filled = self._filled
        if filled is None or filled[0] is not labels or filled[1] is not protocol:
            if filled is None or filled[0] is not labels:
                self._centres = _centres_again(labels, self._centres)
                self._present = () if labels is None else labels.present_ids()
            self._filled, self._shown = (labels, protocol), None
            self._fill(labels, protocol)
        if draft is not self._shown:
            self._shown = draft
            self._show_target(draft)

    def set_target(self, point_ct_mm: FloatArray, gesture: object | None = None) -> None:
        """Place the target (3,) in `ct`, mm; it takes the name of the structure it lies in.
        gesture: see Drafting.set_target."""
        session = self._desk.session
        name = _structure_at(session.case.labels, point_ct_mm)
        self._desk.attempt(lambda: session.planning.set_target(point_ct_mm, name, gesture=gesture))

    def aim_at(self, name: str, centre_ct_mm: FloatArray) -> None:
        """Make the centre (3,) of a structure the target, under the structure's name."""
        self._centres[name] = centre_ct_mm
        self._desk.attempt(lambda: self._desk.session.planning.set_target(centre_ct_mm, name))
        self.follow()

    def _fill(self, labels: LabelMap | None, protocol: Protocol) -> None:
        self._structures.clear()
        self._structures.addItem(CHOOSE)
        if labels is None:
            return

        def aside(number: int) -> bool:
            name = labels.names.get(number, "")
            return given_role(name, protocol).role is not Role.TARGET

        for number in sorted(self._present, key=aside):
            self._structures.addItem(labels.display_name(number), number)

    def _show_target(self, draft: PlanDraft) -> None:
        target, centre = draft.target_ct_mm, self._centres.get(draft.structure)
        self._written = "" if target is None else point_words(target)
        self._coordinates.setText(self._written)
        # The list is of centres: a point elsewhere in the structure is none of it.
        at = 0
        if target is not None and centre is not None and np.allclose(target, centre, atol=SAME_MM):
            at = self._structures.findText(draft.structure)
        self._structures.setCurrentIndex(max(at, 0))

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
            # There is nothing to choose: the list says again what the target is.
            self._shown = None
            self.follow()
            return
        self.aim_at(labels.display_name(number), labels.centroid_ct_mm(number))

    def _enter(self) -> None:
        if self._coordinates.text() == self._written:
            return
        point = typed_point(self._coordinates.text())
        if point is None:
            words = "Write the point in mm: R 83 A 6 H 7, or X, Y, Z in LPS"
            self._desk.banner.say(words, Mood.REFUSED)
            return
        self.set_target(point)
        self.follow()
        # Undo is the plan's again, no longer that of what was typed.
        self._coordinates.clearFocus()


class _PointField(QLineEdit):
    """Whoever comes to it to write takes the place of what stands in it."""

    _pressed_into = False

    def focusInEvent(self, event: QFocusEvent | None) -> None:
        super().focusInEvent(event)
        self.selectAll()
        mouse = Qt.FocusReason.MouseFocusReason
        self._pressed_into = event is not None and event.reason() == mouse

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        super().mousePressEvent(event)
        # The press that brings the focus would set the cursor and select nothing.
        if self._pressed_into:
            self.selectAll()
        self._pressed_into = False


def point_words(point_ct_mm: FloatArray) -> str:
    """A point (3,) in `ct`, mm, as it can be typed: 'R 83 A 6 H 7'."""
    return " ".join(along_words(axis, float(point_ct_mm[axis])) for axis in range(3))


def _centres_again(
    labels: LabelMap | None, centres: dict[str, FloatArray]
) -> dict[str, FloatArray]:
    """The same structures' centres in another label map, by name."""
    if labels is None:
        return {}
    numbers = {labels.display_name(number): number for number in labels.names}
    found = {}
    for name in centres.keys() & numbers.keys():
        with suppress(ImagingError):
            found[name] = labels.centroid_ct_mm(numbers[name])
    return found


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
