"""Register: touch the fiducials, see what the fit predicts at the target, accept."""

from __future__ import annotations

from PyQt6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
)

from ir_nav.geometry import FloatArray, read_only
from ir_nav.gui import theme
from ir_nav.gui.desk import Desk
from ir_nav.gui.forms import Card, SideColumn, button, label, set_mood, set_up_landmarks
from ir_nav.gui.notice import Mood
from ir_nav.gui.pages.base import Pace, Page, gap_margins
from ir_nav.gui.scene_records import Mark, MarkState, Overlays
from ir_nav.gui.scene_view import SceneView
from ir_nav.gui.slice_mouse import BrowsableSlice
from ir_nav.imaging import StandardView
from ir_nav.registration import GOOD_TRE_MM, MAX_TRE_MM
from ir_nav.session.state import NavigationState

NOTES_S = 0.2


class RegisterPage(Page):
    """The fiducial to touch next in three planes and 3D; the list and the fit at the right."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.axial = BrowsableSlice("CT axial", view=StandardView.AXIAL, field_mm=260.0)
        self.coronal = BrowsableSlice("CT coronal", view=StandardView.CORONAL, field_mm=260.0)
        self.sagittal = BrowsableSlice("CT sagittal", view=StandardView.SAGITTAL, field_mm=260.0)
        self.slices = (self.axial, self.coronal, self.sagittal)
        self.scene = SceneView(desk.scene)
        self._table = QTableWidget(0, 3)
        self._next = label("", "title", name="register_next")
        self._tre = label("—", "big", name="predicted_tre")
        self._verdict = label("", "note", name="register_verdict")
        self._notes = Pace(NOTES_S)
        self._shown_index: int | None = None
        self._confirming = False
        self._build()
        self.share_window(self.slices)

    def _build(self) -> None:
        grid = QGridLayout()
        grid.setSpacing(theme.GAP)
        for index, view in enumerate((self.axial, self.scene, self.coronal, self.sagittal)):
            grid.addWidget(view, index // 2, index % 2)
        self._set_up_table()
        points = Card("Fiducials")
        points.add(self._next, self._table)
        self._start = button("start_touching", "Start touching", self.start)
        points.add(self._start)
        points.add_row(
            button("capture", "Capture", self.capture, tip="Space: hold the stylus still"),
            button("undo_touch", "Undo last", self.undo, tip="Ctrl+Z"),
        )
        fit = Card("Predicted at the target")
        fit.add(self._tre, self._verdict)
        self._accept = button("accept_registration", "Accept", self.accept, kind="primary")
        self._confirm = button(
            "confirm_registration", "Accept all the same", self.confirm, kind="primary"
        )
        self._back = button("decline_registration", "Keep touching", self.decline)
        fit.add(self._accept)
        fit.add_row(self._back, self._confirm)
        side = SideColumn()
        side.column.addWidget(points, 1)
        side.add_foot(fit)
        page = QHBoxLayout(self)
        page.setContentsMargins(*gap_margins())
        page.setSpacing(theme.GAP)
        page.addLayout(grid, 1)
        page.addWidget(side)
        self.side = side
        self._ask(False)

    def _set_up_table(self) -> None:
        table = self._table
        table.setObjectName("fiducials")
        table.setAccessibleName("Fiducials")
        set_up_landmarks(table, ["Fiducial", "State", "Residual"], header_px=38, row_px=34)
        table.setMinimumHeight(150)
        header = table.horizontalHeader()
        if header is not None:
            header.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        table.cellClicked.connect(self._look_at)

    def show_state(self, state: NavigationState) -> None:
        changed = self.follow_case(self.slices, self.scene)
        index = (
            self.session.registering.landmarks.next_index
            if self.session.registering.landmarks.fiducials
            else 0
        )
        if changed or index != self._shown_index:
            self._shown_index = index
            if index is not None:
                self._look_at(index)
        if not self._notes.due(state.now_s):
            return
        overlays = Overlays(
            target_ct_mm=self._target(),
            marks=self._marks(),
            stylus_ct_mm=state.stylus_tip_ct_mm,
        )
        for view in (*self.slices, self.scene):
            view.show_overlays(overlays)
        self._show_table()
        self._show_fit()

    def start(self) -> None:
        """Begin with the first fiducial."""
        self._ask(False)
        self.desk.attempt(self.session.registering.start)

    def capture(self) -> None:
        """Take the stylus tip as the next fiducial (Space)."""
        self.desk.attempt(self.session.registering.capture)

    def undo(self) -> None:
        """Take back the last point."""
        self._ask(False)
        self.desk.attempt(self.session.registering.undo)

    def accept(self) -> None:
        """Accept, or ask once more between 5 and 15 mm."""
        tre = self.session.registering.predicted_tre_mm
        if tre is not None and GOOD_TRE_MM < tre <= MAX_TRE_MM:
            self._ask(True)
            self.desk.banner.say(
                f"{tre:.1f} mm predicted at the target is more than {GOOD_TRE_MM:g} mm. "
                "Accept all the same, or touch the points again?",
                Mood.REFUSED,
            )
            return
        self.desk.attempt(self.session.registering.accept, "Registration accepted")

    def confirm(self) -> None:
        """Accept a registration between 5 and 15 mm."""
        self._ask(False)
        self.desk.attempt(
            lambda: self.session.registering.accept(confirmed=True), "Registration accepted"
        )

    def decline(self) -> None:
        """Keep touching."""
        self._ask(False)

    def _ask(self, asking: bool) -> None:
        self._confirming = asking
        self._accept.setVisible(not asking)
        self._confirm.setVisible(asking)
        self._back.setVisible(asking)

    def _target(self) -> FloatArray | None:
        plan = self.session.plan
        return None if plan is None else plan.path.target_ct_mm

    def _marks(self) -> tuple[Mark, ...]:
        current = self.session.registering.landmarks.next_index
        touches = self.session.registering.landmarks.touches
        marks = []
        for index, fiducial in enumerate(self.session.case.fiducials):
            touched = index < len(touches) and touches[index] is not None
            state = MarkState.DONE if touched else MarkState.OPEN
            if index == current:
                state = MarkState.CURRENT
            marks.append(Mark(read_only(fiducial.ct_mm), fiducial.name, state))
        return tuple(marks)

    def _look_at(self, index: int, _column: int = 0) -> None:
        fiducials = self.session.case.fiducials
        if 0 <= index < len(fiducials):
            for view in self.slices:
                view.fit_body(fiducials[index].ct_mm)

    def _show_table(self) -> None:
        fiducials = self.session.case.fiducials
        if self._table.rowCount() != len(fiducials):
            self._table.setRowCount(len(fiducials))
        fit = self.session.registering.landmarks.candidate
        residuals = {} if fit is None else dict(zip(fit.names, fit.residuals_mm, strict=True))
        for row, mark in enumerate(self._marks()):
            residual = residuals.get(mark.name)
            touched = mark.state is MarkState.DONE
            words = _STATE_WORDS[mark.state]
            number = mm_words(residual) if touched and residual is not None else "—"
            for column, text in enumerate((mark.name, words, number)):
                self._set_cell(row, column, text, _STATE_TONES[mark.state])

    def _set_cell(self, row: int, column: int, text: str, tone: str) -> None:
        item = self._table.item(row, column)
        if item is None:
            item = QTableWidgetItem()
            self._table.setItem(row, column, item)
        if item.text() != text:
            item.setText(text)
            item.setForeground(theme.colour(tone if column == 1 else theme.TEXT_1))

    def _show_fit(self) -> None:
        session = self.session
        index = session.registering.landmarks.next_index
        if not session.case.fiducials:
            self._next.setText("This CT has no fiducials named")
        elif not session.registering.landmarks.fiducials:
            self._next.setText(f"{len(session.case.fiducials)} fiducials to touch")
        elif index is not None:
            doubt, words = (
                session.registering.landmarks.doubt,
                f"Touch {session.case.fiducials[index].name}",
            )
            self._next.setText(f"{doubt}. {words}, or take it with Space" if doubt else words)
            set_mood(self._next, "warn" if doubt else "")
        else:
            self._next.setText("All fiducials are touched")
        tre, fit = session.registering.predicted_tre_mm, session.registering.landmarks.candidate
        self._start.setText(
            "Touch again" if session.registering.landmarks.count else "Start touching"
        )
        self._start.setAccessibleName(self._start.text())
        self._tre.setText("—" if tre is None else mm_words(tre))
        set_mood(self._tre, _tre_mood(tre))
        self._verdict.setText(_verdict(tre, None if fit is None else fit.worst()))
        if session.registering.registration is not None:
            self._verdict.setText(f"✓ Accepted. {self._verdict.text()}")


def mm_words(error_mm: float) -> str:
    """An error that was estimated: never as none at all."""
    return "<0.1 mm" if error_mm < 0.05 else f"{error_mm:.1f} mm"


_STATE_WORDS = {
    MarkState.OPEN: "to touch",
    MarkState.CURRENT: "▸ touch now",
    MarkState.DONE: "✓ touched",
}
_STATE_TONES = {
    MarkState.OPEN: theme.TEXT_3,
    MarkState.CURRENT: theme.PLAN,
    MarkState.DONE: theme.GOOD,
}


def _tre_mood(tre_mm: float | None) -> str:
    if tre_mm is None:
        return ""
    if tre_mm > MAX_TRE_MM:
        return "bad"
    return "good" if tre_mm <= GOOD_TRE_MM else "warn"


def _verdict(tre_mm: float | None, worst: tuple[str, float] | None) -> str:
    if worst is None:
        return "Touch at least three fiducials to see the fit."
    tail = f"Largest residual {mm_words(worst[1])} at {worst[0]}."
    if tre_mm is None:
        return f"Approve a plan to see the error at its target. {tail}"
    if tre_mm > MAX_TRE_MM:
        return f"Above {MAX_TRE_MM:g} mm: refused, touch the points again. {tail}"
    if tre_mm > GOOD_TRE_MM:
        return f"More than {GOOD_TRE_MM:g} mm: asks for a confirmation. {tail}"
    return f"Rms error of the registration alone, patient at rest. {tail}"
