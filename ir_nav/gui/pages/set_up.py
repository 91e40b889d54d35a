"""Set up: the room's devices, and the calibration of tools, phantom, probe and delay."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtWidgets import QGridLayout, QHBoxLayout, QVBoxLayout

from ir_nav.gui import theme
from ir_nav.gui.calibration_card import CalibrationCard
from ir_nav.gui.calibration_steps import CalibrationSteps
from ir_nav.gui.delay_card import DelayCard
from ir_nav.gui.desk import Desk
from ir_nav.gui.device_rows import device_rows
from ir_nav.gui.device_table import DeviceTable
from ir_nav.gui.files import ROOMS, ask_file
from ir_nav.gui.fluoro_view import FluoroView
from ir_nav.gui.forms import Card, breakable, button, label, set_kind
from ir_nav.gui.pages.base import Pace, Page, gap_margins
from ir_nav.gui.panels import BreathingPanel
from ir_nav.gui.phantom_card import PhantomCard
from ir_nav.gui.probe_card import ProbeCard
from ir_nav.gui.publish_card import PublishCard
from ir_nav.gui.scene_records import Overlays
from ir_nav.gui.scroll_column import ScrollColumn
from ir_nav.gui.sweep_view import SweepView
from ir_nav.gui.ultrasound_view import UltrasoundView
from ir_nav.session.case import Case, read_room_case
from ir_nav.session.state import NavigationState, Role
from ir_nav.session.streams import StreamReport

NOTES_S = 0.25
BREATH_S = 1.0 / 15.0
QUALITY_S = 0.5
LEAST_PICTURE_PX = 150


class SetUpPage(Page):
    """Devices at the left, calibration in the middle, live pictures at the right."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._room = label("No room file is open", "title", name="room_name")
        self._room_note = label("A room file names the devices, tools and their geometry.")
        self._status = DeviceTable()
        self._empty = label("Nothing is connected", "quiet")
        self._breathing = BreathingPanel()
        self._breathing.setMinimumHeight(84)
        tools = [CalibrationCard(desk, role) for role in (Role.NEEDLE, Role.STYLUS)]
        self.phantom, self.probe, self.delay = PhantomCard(desk), ProbeCard(desk), DelayCard(desk)
        self.steps = CalibrationSteps([*tools, self.phantom, self.probe, self.delay])
        self._ultrasound = UltrasoundView(quiet=True)
        self._fluoro = FluoroView(quiet=True)
        self.sweep = SweepView()
        self.publish = PublishCard(desk)
        self._notes, self._breath, self._judged = Pace(NOTES_S), Pace(BREATH_S), Pace(QUALITY_S)
        self._reports: tuple[StreamReport, ...] = ()
        self._build()

    def _build(self) -> None:
        room = Card("Room")
        room.add(self._room, self._room_note)
        self._open = button("open_room", "Open room file", self.open_room, tip="A .toml file")
        self._connect = button("connect", "Connect", self.connect_room)
        self._disconnect = button("disconnect", "Disconnect", self.session.disconnect, kind="small")
        room.add_row(self._open, self._connect)
        room.add(self._disconnect)
        devices = Card("Devices and streams")
        devices.add(self._status, self._empty)
        left = QVBoxLayout()
        left.setContentsMargins(0, 0, 2, 0)
        left.setSpacing(theme.GAP)
        left.addWidget(room)
        left.addWidget(devices)
        left.addWidget(self._breathing, 1)
        again = button(
            "watch_breathing",
            "Watch breathing again",
            self.session.breath.begin,
            kind="small",
        )
        left.addWidget(again)
        left.addWidget(self.publish)
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
        page.addWidget(ScrollColumn(left), 0, 0)
        page.addWidget(self.steps, 0, 1)
        page.addLayout(pictures, 0, 2)
        for column, stretch in enumerate((29, 38, 33)):
            page.setColumnStretch(column, stretch)
        page.setColumnMinimumWidth(2, LEAST_PICTURE_PX)

    def show_state(self, state: NavigationState) -> None:
        self._ultrasound.show_frame(state.ultrasound, Overlays())
        self._fluoro.show_frame(state.fluoro, Overlays())
        self.sweep.follow(self.session, state.now_s)
        if self._breath.due(state.now_s):
            self._breathing.show_breathing(state.breathing, state.now_s, alarming=False)
        if not self._notes.due(state.now_s):
            return
        room = self.session.connection.room
        self._fluoro.setVisible(room is None or room.fluoro is not None)
        if room is not None:
            self._room.setText(breakable(room.name))
            self._room.setAccessibleName(room.name)
            count = len(room.devices)
            kinds = f"{count} device{'s' if count != 1 else ''}, {len(room.tools)} tools"
            self._room_note.setText(f"{kinds}, {room.source.value} data")
        streams = self.session.connection.streams
        if streams is None:
            self._reports = ()
        elif self._judged.due(state.now_s):
            self._reports = streams.quality(state.now_s)
        self._status.show_rows(device_rows(state, self._reports))
        self._empty.setVisible(not state.devices)
        self._show_buttons()
        self.steps.show_calibrations(state.now_s)
        self.publish.show_status()

    def set_small(self, small: bool) -> None:
        super().set_small(small)
        self.steps.set_small(small)

    def opened(self) -> None:
        self._show_buttons()

    def _show_buttons(self) -> None:
        """The next thing to do is the primary button; what cannot be done is off."""
        opened, connected = (
            self.session.connection.room is not None,
            self.session.connection.streams is not None,
        )
        set_kind(self._open, "" if opened else "primary")
        set_kind(self._connect, "primary" if opened and not connected else "")
        self._connect.setEnabled(not connected)
        self._connect.setText("Connected" if connected else "Connect")
        self._disconnect.setEnabled(connected)

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
        room = self.session.connection.room
        if room is not None and room.case is not None and self.session.case.volume is None:
            self.desk.worker.submit(
                "Reading the room's CT",
                lambda progress: read_room_case(room, path, progress),
                self._take_case,
            )

    def _take_case(self, case: Case) -> None:
        if case.volume is not None:
            self.session.load_case(case.volume, case.labels, case.fiducials)

    def capture(self) -> None:
        """Take the stylus tip as the phantom's next landmark, with its card in sight (Space)."""
        if self.steps.current is self.phantom:
            self.phantom.capture()

    def connect_room(self) -> None:
        """Connect every device of the room."""
        self.desk.attempt(self.session.connect)
