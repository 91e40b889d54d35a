"""The fiducials to touch: which is next, what each leaves, and which of them count."""

from __future__ import annotations

import math
from collections.abc import Callable

from PyQt6.QtWidgets import QHeaderView, QTableWidget

from ir_nav.geometry import read_only
from ir_nav.gui import theme
from ir_nav.gui.desk import Desk
from ir_nav.gui.forms import Card, button, label, set_cell, set_mood, set_up_landmarks
from ir_nav.gui.notice import Mood
from ir_nav.gui.scene_records import Mark, MarkState
from ir_nav.progress import Progress
from ir_nav.registration import LandmarkFit
from ir_nav.registration.skin_markers import SkinMarker, find_skin_markers
from ir_nav.session.touching import Fiducial

HEADINGS = ["Point", "State", "Residual", "Without"]
RETOUCH_TIP = "Take the chosen point back: it is touched next"
WITHOUT_TIP = "Where this point would come to lie if it did not count: its error, without it"
# Four columns have to fit a small screen.
TABLE_STYLE = f"""
QTableWidget {{ font-size: {theme.NOTE}px; }}
QTableWidget::item {{ padding: 2px 6px; }}
"""
# A point that disagrees so much would do so by chance once in so many fits.
SUSPECT = 0.01


class LandmarksCard(Card):
    """Touching, in order or in any, with exclusion and undo.

    look_at is called with the index of a fiducial to show; changed after each command.
    """

    def __init__(
        self, desk: Desk, look_at: Callable[[int], None], changed: Callable[[], None]
    ) -> None:
        super().__init__("Fiducials")
        self._desk = desk
        self._look_at = look_at
        self._changed = changed
        self._table = QTableWidget(0, len(HEADINGS))
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
        capture = button("capture", "Capture", self.capture, tip="Space: hold the stylus still")
        self.add(self._next)
        self.add_row(self._start, capture)
        self.add(self._table)
        self.add_row(
            button("undo_touch", "Undo last", self.undo, kind="small", tip="Ctrl+Z"),
            self._leave_out,
            button("touch_again", "Retouch", self.touch_again, kind="small", tip=RETOUCH_TIP),
        )
        self.add_row(self._order, self._find)

    def _set_up_table(self) -> None:
        table = self._table
        table.setObjectName("fiducials")
        table.setAccessibleName("Fiducials")
        set_up_landmarks(table, HEADINGS, header_px=38, row_px=32)
        table.setMinimumHeight(150)
        table.setStyleSheet(TABLE_STYLE)
        header = table.horizontalHeader()
        if header is not None:
            for column in range(len(HEADINGS)):
                mode = QHeaderView.ResizeMode
                header.setSectionResizeMode(
                    column, mode.Stretch if column == 1 else mode.ResizeToContents
                )
        heading = table.horizontalHeaderItem(3)
        if heading is not None:
            heading.setToolTip(WITHOUT_TIP)
        table.cellClicked.connect(lambda row, _column: self._look_at(row))

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
            words, tone = (
                ("✕ out", theme.TEXT_3)
                if out
                else (_STATE_WORDS[mark.state], _STATE_TONES[mark.state])
            )
            residual, without, suspect = numbers(touching.candidate, mark.name)
            for column, text in enumerate((mark.name, words, residual, without)):
                colour = tone if column == 1 else theme.TEXT_1
                if suspect and column == 3:
                    colour = theme.ALARM_MEDIUM
                set_cell(self._table, row, column, text, colour)

    def _show_next(self) -> None:
        fiducials = self._desk.session.case.fiducials
        touching = self._desk.session.registering.landmarks
        self._next.setText(self._next_words())
        trouble = touching.active and (touching.hindered or touching.doubt)
        set_mood(self._next, "warn" if trouble else "")
        self._start.setText("Touch again" if touching.count else "Start touching")
        self._start.setAccessibleName(self._start.text())
        chosen = self.chosen
        words = "Let in" if chosen in touching.excluded else "Leave out"
        self._leave_out.setText(words)
        self._leave_out.setEnabled(bool(fiducials) and touching.count > 0)

    def _next_words(self) -> str:
        fiducials = self._desk.session.case.fiducials
        touching = self._desk.session.registering.landmarks
        if not fiducials:
            return "This CT has no fiducials named"
        if not touching.fiducials:
            return f"{len(fiducials)} fiducials to touch"
        if touching.active and touching.hindered:
            return touching.hindered
        if touching.any_order:
            doubt = f"{touching.doubt}. " if touching.doubt else ""
            stray = f", {touching.strays} belong to none" if touching.strays else ""
            return f"{doubt}{touching.count} touched, {len(touching.matched)} matched{stray}"
        if touching.next_index is None:
            return "All fiducials are touched"
        words = f"Touch {touching.names[touching.next_index]}"
        return f"{touching.doubt}. {words}, or take it with Space" if touching.doubt else words


def numbers(fit: LandmarkFit | None, name: str) -> tuple[str, str, bool]:
    """Residual and error without it of a fiducial, in words, and whether it is suspect."""
    if fit is None or name not in fit.names:
        return "—", "—", False
    index = fit.names.index(name)
    without = float(fit.left_out_mm[index])
    known = math.isfinite(without)
    suspect = known and float(fit.chances[index]) < SUSPECT
    return (
        mm_words(float(fit.residuals_mm[index])),
        mm_words(without) if known else "—",
        suspect,
    )


def mm_words(error_mm: float) -> str:
    """An error that was estimated: never as none at all."""
    return "<0.1 mm" if error_mm < 0.05 else f"{error_mm:.1f} mm"


_STATE_WORDS = {
    MarkState.OPEN: "open",
    MarkState.CURRENT: "▸ now",
    MarkState.DONE: "✓ taken",
}
_STATE_TONES = {
    MarkState.OPEN: theme.TEXT_3,
    MarkState.CURRENT: theme.PLAN,
    MarkState.DONE: theme.GOOD,
}
