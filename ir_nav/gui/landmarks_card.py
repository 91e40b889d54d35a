"""The fiducials to touch: which is next, what each leaves, and which of them count."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QHeaderView, QPushButton, QSizePolicy, QTableWidget

from ir_nav.geometry import read_only
from ir_nav.gui import theme
from ir_nav.gui.desk import Desk
from ir_nav.gui.forms import Card, button, label, set_cell, set_kind, set_mood, set_up_landmarks
from ir_nav.gui.guided_card import sentence
from ir_nav.gui.notice import Mood
from ir_nav.gui.scene_records import Mark, MarkState
from ir_nav.progress import Progress
from ir_nav.registration import LandmarkFit
from ir_nav.registration.skin_markers import SkinMarker, find_skin_markers
from ir_nav.session.touching import Fiducial

HEADINGS = ["Point", "Residual", "Expected", "Left out"]
RETOUCH_TIP = "Take the chosen point back: it is touched next"
TIPS = {
    1: "How far the touched point lies from its place; yellow where that is more than expected",
    2: "In mm: by tracker, stylus, hand and voxel 99 of 100 residuals are smaller",
    3: "How far it would lie from its place if it did not count",
}
# Four columns have to fit a small screen; a wider one is read from further away.
WIDE_PX = 400
CELL_STYLE = "QTableWidget::item { padding: 2px 6px; } QHeaderView::section { padding: 2px 6px; }"
HEADER_PX, ROW_PX = 32, 28
LEAST_ROWS = 4
# A point that disagrees so much would do so by chance once in so many fits.
SUSPECT = 0.01


class LandmarksCard(Card):
    """Touching, in order or in any, with exclusion and undo.

    look_at is called with the index of a fiducial to show; changed after each command. error_map:
    a button of the page's to place.
    """

    def __init__(
        self,
        desk: Desk,
        look_at: Callable[[int], None],
        changed: Callable[[], None],
        error_map: QPushButton,
    ) -> None:
        super().__init__()
        self.column.setSpacing(8)
        self._desk = desk
        self._look_at = look_at
        self._changed = changed
        self._table = QTableWidget(0, len(HEADINGS))
        self._shown_index: int | None = None
        self._next = label("", "title", name="register_next")
        self._set_up_table()
        self._order = button(
            "any_order", "Any order", self._note_order, kind="small", checkable=True
        )
        self._order.setToolTip("Touch the fiducials in any order: they are matched by themselves")
        self._start = button("start_touching", "Start touching", self.start)
        self._find = button("find_markers", "Find markers", self.find_markers, kind="small")
        self._find.setToolTip("Look for markers on the skin in this CT; they replace the list")
        self._leave_out = button("leave_out", "Leave out", self.toggle, kind="small", tip="X")
        self._capture = button(
            "capture", "Capture", self.capture, tip="Space: hold the stylus still"
        )
        self._undo = button("undo_touch", "Undo last", self.undo, kind="small", tip="Ctrl+Z")
        self._retouch = button(
            "touch_again", "Retouch", self.touch_again, kind="small", tip=RETOUCH_TIP
        )
        self.add(self._next)
        self.add_row(self._start, self._capture)
        self.column.addWidget(self._table, 1)
        self.add_row(self._undo, self._leave_out, self._retouch)
        self.add_row(self._order, self._find, error_map)

    def _set_up_table(self) -> None:
        table = self._table
        table.setObjectName("fiducials")
        table.setAccessibleName("Fiducials")
        set_up_landmarks(table, HEADINGS, HEADER_PX, ROW_PX)
        table.setMinimumHeight(HEADER_PX + LEAST_ROWS * ROW_PX + 2)
        # It takes what is left, and asks for no more: the buttons below it stay in sight.
        table.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)
        self._style_table()
        header = table.horizontalHeader()
        if header is not None:
            for column in range(len(HEADINGS)):
                mode = QHeaderView.ResizeMode
                header.setSectionResizeMode(
                    column, mode.ResizeToContents if column else mode.Stretch
                )
        for column, tip in TIPS.items():
            heading = table.horizontalHeaderItem(column)
            if heading is not None:
                heading.setToolTip(tip)
        table.cellClicked.connect(lambda row, _column: self._look_at(row))

    def _style_table(self) -> None:
        px = theme.BODY if self.width() > WIDE_PX else theme.NOTE
        style = f"QTableWidget {{ font-size: {px}px; }} {CELL_STYLE}"
        if self._table.styleSheet() != style:
            self._table.setStyleSheet(style)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._style_table()

    @property
    def chosen(self) -> str | None:
        """Name of the fiducial in the chosen row, else of the one that agrees least."""
        fiducials, row = self._desk.session.case.fiducials, self._table.currentRow()
        if 0 <= row < len(fiducials) and self._table.selectedItems():
            return fiducials[row].name
        fit = self._desk.session.registering.landmarks.candidate
        return None if fit is None else fit.names[fit.worst()]

    def start(self) -> None:
        """Begin with the first fiducial, or with any."""
        self._changed()
        order = self._order.isChecked()
        self._desk.attempt(lambda: self._desk.session.registering.start(order))

    def capture(self) -> None:
        """Take the stylus tip as the next fiducial."""
        self._desk.attempt(self._desk.session.registering.capture)

    def undo(self) -> None:
        """Take back the last touch or exclusion."""
        self._changed()
        self._desk.attempt(self._desk.session.registering.undo)

    def toggle(self) -> None:
        """Leave the chosen fiducial out of the fit, or let it in again."""
        self._with_chosen(self._desk.session.registering.toggle)

    def touch_again(self) -> None:
        """Take the chosen fiducial's point back, to be touched next."""
        self._with_chosen(self._desk.session.registering.touch_again)

    def find_markers(self) -> None:
        """Look for markers on the skin on the worker; they become the fiducials."""
        desk, volume = self._desk, self._desk.session.case.volume
        if volume is None:
            desk.banner.say("Open a CT first", Mood.REFUSED)
            return
        if desk.session.registering.landmarks.count:
            desk.banner.say(
                "Points were touched: undo them before the list is replaced", Mood.REFUSED
            )
            return
        outline = desk.look.outline
        body = None if outline is None or outline.volume is not volume else outline.body

        def search(progress: Progress) -> tuple[SkinMarker, ...]:
            progress(0.1)
            return find_skin_markers(volume, body)

        def take(found: tuple[SkinMarker, ...]) -> None:
            if desk.session.case.volume is volume:
                self._take(found)

        desk.worker.submit("Looking for markers on the skin", search, take)

    def follow(self) -> None:
        """Draw what was touched so far."""
        self._show_table()
        self._show_next()

    def marks(self) -> tuple[Mark, ...]:
        """The fiducials as views draw them."""
        touching = self._desk.session.registering.landmarks
        current = None if touching.any_order else touching.next_index
        marks = []
        for index, fiducial in enumerate(self._desk.session.case.fiducials):
            state = MarkState.DONE if index in touching.matched else MarkState.OPEN
            if index == current:
                state = MarkState.CURRENT
            marks.append(Mark(read_only(fiducial.ct_mm), fiducial.name, state))
        return tuple(marks)

    def _with_chosen(self, command: Callable[[str], None]) -> None:
        name = self.chosen
        if name is None:
            self._desk.banner.say("Choose a fiducial in the list first", Mood.REFUSED)
            return
        self._changed()
        self._desk.attempt(lambda: command(name))

    def _note_order(self) -> None:
        if self._desk.session.registering.landmarks.count:
            self._desk.banner.say("This holds from the next start of touching on", Mood.DONE)

    def _take(self, found: tuple[SkinMarker, ...]) -> None:
        if len(found) < 3:
            words = f"{len(found)} markers found on the skin: at least three are needed"
            self._desk.banner.say(words, Mood.REFUSED)
            return
        fiducials = tuple(
            Fiducial(f"M{number}", (float(x), float(y), float(z)))
            for number, (x, y, z) in enumerate(
                sorted((one.centre_ct_mm for one in found), key=lambda at: (-at[2], at[0])), start=1
            )
        )
        self._desk.session.set_fiducials(fiducials)
        least = min(one.confidence for one in found)
        words = f"{len(found)} markers found on the skin, the least sure one {100 * least:.0f} %"
        self._desk.banner.say(f"{words}: look at each before you touch it", Mood.DONE)

    def _show_table(self) -> None:
        fiducials = self._desk.session.case.fiducials
        touching = self._desk.session.registering.landmarks
        if self._table.rowCount() != len(fiducials):
            self._table.setRowCount(len(fiducials))
        for row, mark in enumerate(self.marks()):
            out = mark.name in touching.excluded
            sign, tone = ("✕", theme.TEXT_3) if out else _LOOKS[mark.state]
            found = numbers(touching.candidate, mark.name)
            set_cell(self._table, row, 0, f"{sign} {mark.name}".strip(), tone)
            named = self._table.item(row, 0)
            if named is not None:
                named.setToolTip(mark.name)
            for column, text in enumerate((found.residual, found.expected, found.left_out), 1):
                tone = theme.TEXT_2 if column == 2 else theme.TEXT_1
                if (found.large and column == 1) or (found.suspect and column == 3):
                    tone = theme.ALARM_MEDIUM
                set_cell(self._table, row, column, text, tone)
        self._bring_next()

    def _bring_next(self) -> None:
        """Scroll to the fiducial to touch once it has become the next."""
        index = self._desk.session.registering.landmarks.next_index
        if index == self._shown_index:
            return
        self._shown_index = index
        item = None if index is None else self._table.item(index, 0)
        if item is not None:
            self._table.scrollToItem(item)

    def _show_next(self) -> None:
        fiducials = self._desk.session.case.fiducials
        touching = self._desk.session.registering.landmarks
        self._next.setText(self._next_words())
        trouble = touching.active and (touching.hindered or touching.doubt)
        set_mood(self._next, "warn" if trouble else "")
        self._start.setText("Touch again" if touching.count else "Start touching")
        self._start.setAccessibleName(self._start.text())
        set_kind(self._start, "primary" if fiducials and not touching.fiducials else "")
        self._capture.setEnabled(touching.active and touching.next_index is not None)
        words = "Let in" if self.chosen in touching.excluded else "Leave out"
        self._leave_out.setText(words)
        self._leave_out.setAccessibleName(words)
        for made in (self._undo, self._leave_out, self._retouch):
            made.setEnabled(touching.count > 0)

    def _next_words(self) -> str:
        fiducials = self._desk.session.case.fiducials
        touching = self._desk.session.registering.landmarks
        if not fiducials:
            return "No fiducials yet: find markers"
        if not touching.fiducials:
            why = self._desk.session.tools.stylus.missing()
            todo = f"{len(fiducials)} fiducials to touch"
            return todo if why is None else f"Stylus not calibrated: in Set up, {why}"
        if touching.active and touching.hindered:
            return sentence(touching.hindered)
        if touching.any_order:
            doubt = f"{touching.doubt}. " if touching.doubt else ""
            stray = f", {touching.strays} belong to none" if touching.strays else ""
            return f"{doubt}{touching.count} touched, {len(touching.matched)} matched{stray}"
        if touching.next_index is None:
            return "All fiducials are touched"
        words = f"Touch {touching.names[touching.next_index]}"
        return f"{touching.doubt}. {words}, or take it with Space" if touching.doubt else words


@dataclass(frozen=True, slots=True)
class Numbers:
    """What the table says of a fiducial. large: its residual is more than expected; suspect: it
    disagrees with the others."""

    residual: str = "—"
    expected: str = "—"
    left_out: str = "—"
    large: bool = False
    suspect: bool = False


def numbers(fit: LandmarkFit | None, name: str) -> Numbers:
    """Of a fiducial, in words."""
    if fit is None or name not in fit.names:
        return Numbers()
    index = fit.names.index(name)
    residual, without = float(fit.residuals_mm[index]), float(fit.left_out_mm[index])
    known = math.isfinite(without)
    expected = None if fit.expected_mm is None else float(fit.expected_mm[index])
    return Numbers(
        mm_words(residual),
        "—" if expected is None else f"≤ {expected:.1f}",
        mm_words(without) if known else "—",
        expected is not None and residual > expected,
        known and float(fit.chances[index]) < SUSPECT,
    )


def mm_words(error_mm: float) -> str:
    """An error that was estimated: never as none at all."""
    return "<0.1 mm" if error_mm < 0.05 else f"{error_mm:.1f} mm"


_LOOKS = {
    MarkState.OPEN: ("", theme.TEXT_2),
    MarkState.CURRENT: ("▸", theme.PLAN),
    MarkState.DONE: ("✓", theme.GOOD),
}
