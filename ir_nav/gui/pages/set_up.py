"""Set up: the room's devices, and the calibration of needle and stylus."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtWidgets import QGridLayout, QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout

from ir_nav.gui import theme
from ir_nav.gui.desk import Desk
from ir_nav.gui.files import ROOMS, ask_file
from ir_nav.gui.fluoro_view import FluoroView
from ir_nav.gui.forms import Card, button, label, set_mood
from ir_nav.gui.pages.base import Pace, Page, gap_margins
from ir_nav.gui.panels import BreathingPanel
from ir_nav.gui.rail import StatusList, status_rows
from ir_nav.gui.scene_records import Overlays
from ir_nav.gui.sweep_view import SweepView
from ir_nav.gui.ultrasound_view import UltrasoundView
from ir_nav.session.case import Case, read_room_case
from ir_nav.session.collection import Collection, CollectionKind, ToolCalibration
from ir_nav.session.session import Session
from ir_nav.session.state import NavigationState, Role
from ir_nav.tracking.calibration.pivot import (
    MIN_PIVOT_SPAN_DEG,
    MIN_POSES,
    MIN_SPIN_SPAN_DEG,
)

NOTES_S = 0.25
BREATH_S = 1.0 / 15.0
# More poses than the gate asks for: the residual settles by then.
ENOUGH_POSES = 6 * MIN_POSES


class CalibrationCard(Card):
    """One tool: pivot, spin where it needs one, and what came of it."""

    def __init__(self, desk: Desk, role: Role) -> None:
        super().__init__(role.value.capitalize())
        self._desk = desk
        self._session: Session = desk.session
        self._role = role
        self._result = label("Not calibrated", "big", name=f"{role}_result")
        self._detail = label("", "body", name=f"{role}_detail")
        self._progress = QProgressBar()
        self._progress.setRange(0, 100)
        self._progress.setTextVisible(False)
        self._progress.setAccessibleName(f"{role} calibration progress")
        kinds = [CollectionKind.PIVOT]
        if role is Role.NEEDLE:
            kinds.append(CollectionKind.SPIN)
        self._buttons = {kind: self._button(kind) for kind in kinds}
        self._cancel = button(f"cancel_{role}", "Cancel", self._session.cancel_collection)
        self.add(self._result, self._detail, self._progress)
        self.column.addStretch(1)
        self.add_row(*self._buttons.values(), self._cancel)

    def toggle(self, kind: CollectionKind) -> None:
        """Start gathering poses, or finish when this is under way."""
        running = self._running()
        if running is not None and running.kind is kind:
            self._desk.attempt(self._session.finish_collection)
        else:
            self._desk.attempt(lambda: self._session.start_collection(kind, self._role))

    def show_calibration(self) -> None:
        """Draw where it stands."""
        running = self._running()
        for kind, made in self._buttons.items():
            under_way = running is not None and running.kind is kind
            made.setText(f"Finish {kind}" if under_way else f"Start {kind}")
            made.setAccessibleName(made.text())
        self._cancel.setVisible(running is not None)
        self._progress.setVisible(running is not None)
        if running is not None:
            self._show_running(running)
            return
        needle = self._role is Role.NEEDLE
        self._show_result(self._session.needle if needle else self._session.stylus)

    def _button(self, kind: CollectionKind) -> QPushButton:
        return button(
            f"{kind}_{self._role}", f"Start {kind}", lambda: self.toggle(kind), tip=_HOW[kind]
        )

    def _running(self) -> Collection | None:
        found = self._session.collection
        return found if found is not None and found.role is self._role else None

    def _show_running(self, running: Collection) -> None:
        wanted = MIN_PIVOT_SPAN_DEG if running.kind is CollectionKind.PIVOT else MIN_SPIN_SPAN_DEG
        self._result.setText(f"{running.count} poses · {running.span_deg:.0f}°")
        set_mood(self._result, "")
        self._detail.setText(f"{_HOW[running.kind]}: at least {MIN_POSES} poses over {wanted:g}°")
        part = min(running.count / ENOUGH_POSES, running.span_deg / (1.5 * wanted), 1.0)
        self._progress.setValue(round(100 * part))

    def _show_result(self, found: ToolCalibration) -> None:
        if found.pivot is None:
            self._result.setText("Not calibrated")
            set_mood(self._result, "")
        else:
            self._result.setText(f"{found.pivot.rms_mm:.2f} mm residual")
        missing = found.missing()
        accepted = found.tool_from_tip is not None
        if found.pivot is not None:
            set_mood(self._result, "good" if accepted else "bad" if _refused(found) else "")
        words = _detail(found)
        if missing is not None and not _refused(found):
            kind = CollectionKind.PIVOT if found.pivot is None else CollectionKind.SPIN
            missing = f"{missing}. {_HOW[kind]}." + (f"\n{words}" if words else "")
        self._detail.setText(f"✓ Accepted. {words}" if accepted else _upper(missing or words))
        set_mood(self._detail, "bad" if _refused(found) else "")


_HOW = {
    CollectionKind.PIVOT: "Rest the tip in a dimple and turn the tool about it",
    CollectionKind.SPIN: "Turn the needle about its own shaft",
}


def _refused(found: ToolCalibration) -> bool:
    pivot, spin = found.pivot, found.spin
    return (pivot is not None and not pivot.accepted) or (spin is not None and not spin.accepted)


def _detail(found: ToolCalibration) -> str:
    parts = []
    if found.pivot is not None:
        pivot = found.pivot
        parts.append(
            f"Tip known to {pivot.tip_error_mm:.2f} mm, {pivot.used} poses over "
            f"{pivot.span_deg:.0f}°"
        )
    if found.spin is not None:
        parts.append(f"shaft to {found.spin.rms_deg:.2f}°")
    return ", ".join(parts)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


class SetUpPage(Page):
    """Devices at the left, calibration in the middle, live pictures at the right."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._room = label("No room file is open", "title", name="room_name")
        self._room_note = label("A room file names the devices, tools and their geometry.")
        self._status = StatusList()
        self._empty = label("Nothing is connected", "quiet")
        self._breathing = BreathingPanel()
        self._breathing.setMinimumHeight(84)
        self._cards = tuple(CalibrationCard(desk, role) for role in (Role.NEEDLE, Role.STYLUS))
        self._ultrasound = UltrasoundView()
        self._fluoro = FluoroView()
        self.sweep = SweepView()
        self._notes, self._breath = Pace(NOTES_S), Pace(BREATH_S)
        self._build()

    def _build(self) -> None:
        room = Card("Room")
        room.add(self._room, self._room_note)
        room.add_row(
            button("open_room", "Open room file", self.open_room, tip="A .toml file"),
            button("connect", "Connect", self.connect_room, kind="primary"),
        )
        room.add(button("disconnect", "Disconnect", self.session.disconnect, kind="small"))
        devices = Card("Devices and tools")
        devices.add(self._status, self._empty)
        left = QVBoxLayout()
        left.setSpacing(theme.GAP)
        left.addWidget(room)
        left.addWidget(devices)
        left.addWidget(self._breathing, 1)
        again = button(
            "watch_breathing",
            "Watch breathing again",
            self.session.watch_breathing_again,
            kind="small",
        )
        left.addWidget(again)
        middle = QVBoxLayout()
        middle.setSpacing(theme.GAP)
        for card in self._cards:
            middle.addWidget(card, 1)
        pictures = QVBoxLayout()
        pictures.setSpacing(theme.GAP)
        pictures.addWidget(self._ultrasound, 3)
        beneath = QHBoxLayout()
        beneath.setSpacing(theme.GAP)
        beneath.addWidget(self._fluoro, 1)
        beneath.addWidget(self.sweep, 1)
        pictures.addLayout(beneath, 2)
        page = QGridLayout(self)
        page.setContentsMargins(*gap_margins())
        page.setSpacing(theme.GAP)
        for column, (part, stretch) in enumerate(((left, 30), (middle, 34), (pictures, 36))):
            page.addLayout(part, 0, column)
            page.setColumnStretch(column, stretch)

    def show_state(self, state: NavigationState) -> None:
        self._ultrasound.show_frame(state.ultrasound, Overlays(), None)
        self._fluoro.show_frame(state.fluoro, Overlays())
        self.sweep.show_frame(state.ultrasound)
        if self._breath.due(state.now_s):
            self._breathing.show_breathing(state.breathing, state.now_s)
        if not self._notes.due(state.now_s):
            return
        room = self.session.room
        self._fluoro.setVisible(room is None or room.fluoro is not None)
        if room is not None:
            self._room.setText(room.name)
            count = len(room.devices)
            kinds = f"{count} device{'s' if count != 1 else ''}, {len(room.tools)} tools"
            self._room_note.setText(f"{kinds}, {room.source.value} data")
        self._status.show_rows(status_rows(state))
        self._empty.setVisible(not state.devices)
        for card in self._cards:
            card.show_calibration()

    def open_room(self) -> None:
        """Ask for a room file."""
        ask_file(self, "Open room file", self.desk.folder("room"), ROOMS, self.load_room)

    def load_room(self, path: Path) -> None:
        """Open a room file; its devices are connected with Connect.

        The case it names is read when no CT is open yet.
        """
        self.desk.remember_folder("room", path)
        self.sweep.forget()
        if not self.desk.attempt(lambda: self.session.open_room(path), f"Opened {path.name}"):
            return
        room = self.session.room
        if room is not None and room.case is not None and self.session.case.volume is None:
            self.desk.worker.submit(
                "Reading the room's CT",
                lambda progress: read_room_case(room, path, progress),
                self._take_case,
            )

    def _take_case(self, case: Case) -> None:
        if case.volume is not None:
            self.session.load_case(case.volume, case.labels, case.fiducials)

    def connect_room(self) -> None:
        """Connect every device of the room."""
        self.desk.attempt(self.session.connect)
