"""The only mutable object of the application: commands in, one immutable state per tick out."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from ir_nav import RESEARCH_LABEL
from ir_nav.imaging import LabelMap, Volume
from ir_nav.recording import EventKind, NeedleLog
from ir_nav.session.approving import Approving
from ir_nav.session.breathing_watch import BreathingWatch
from ir_nav.session.case import Case
from ir_nav.session.connection import Connection
from ir_nav.session.drafting import Drafting
from ir_nav.session.errors import SessionError
from ir_nav.session.fluoro_registering import FluoroRegistering
from ir_nav.session.inputs import Inputs
from ir_nav.session.journal import Journal, default_log_path
from ir_nav.session.live_quality import LiveQuality
from ir_nav.session.measured import AtHand
from ir_nav.session.navigation import navigate
from ir_nav.session.nudging import Nudging
from ir_nav.session.plan_watch import PlanWatch
from ir_nav.session.publishing import Publisher
from ir_nav.session.registering import Registering
from ir_nav.session.room import Room, read_room
from ir_nav.session.scanner import Scanner
from ir_nav.session.state import NavigationState
from ir_nav.session.surface_swiping import SurfaceSwiping
from ir_nav.session.sweep_registering import SweepRegistering
from ir_nav.session.tool_calibrations import ToolCalibrations
from ir_nav.session.touch_errors import TouchErrors
from ir_nav.session.touching import Fiducial


class Session:
    """One procedure. Use it from one thread; `close` when done.

    clock: Unix time in seconds. new_log: where the needle log goes that `connect` starts.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        new_log: Callable[[], Path] = default_log_path,
    ) -> None:
        self._clock = clock
        self._new_log = new_log
        self.case = Case()
        self.journal = Journal(clock)
        self.planning = Drafting(self.journal, lambda: self.case, self._plan_changed)
        self.approving = Approving(self.journal, lambda: self.case, self.planning)
        self.plan_watch = PlanWatch(self.journal)
        self.connection = Connection(clock, self.journal, lambda: self.planning.plan)
        self.tools = ToolCalibrations(
            clock,
            self.journal,
            self.connection,
            self._stylus_undone,
        )
        at_hand = AtHand(
            clock,
            self.journal,
            lambda: self.connection.room,
            lambda: self.connection.streams,
            self.tools.stylus_track,
            lambda: self.tools.stylus.missing(),
        )
        self.scanner = Scanner(at_hand)
        self.registering = Registering(
            at_hand,
            lambda: self.case.fiducials,
            lambda: self.planning.plan,
            lambda: self.planning.protocol.registration,
            lambda: TouchErrors.of(self.tools.stylus, self.case.volume),
        )
        self.swiping = SurfaceSwiping(
            at_hand, self.registering, lambda: self.case.volume, lambda: self.planning.plan
        )
        self.nudging = Nudging(
            clock, self.registering, lambda: self.case.volume, lambda: self.planning.plan
        )
        self.sweeping = SweepRegistering(
            at_hand,
            self.registering,
            lambda: self.case.volume,
            lambda: self.planning.plan,
            lambda: self.scanner.use,
            lambda: self.breath.model,
        )
        self.quality = LiveQuality(
            self.journal,
            lambda: self.case,
            lambda: self.registering.registration,
            lambda: self.sweeping.fan,
        )
        self.breath = BreathingWatch(clock, self.journal)
        self.fluoro = FluoroRegistering(
            at_hand,
            self.registering,
            lambda: self.case.volume,
            lambda: self.planning.plan,
            lambda: self.breath.model,
        )
        self.publisher = Publisher(lambda words: self.journal.note(EventKind.NOTE, words))
        self.marked = False
        self.acknowledged_s: float | None = None

    # --- patient ----------------------------------------------------------------------------

    def load_case(
        self,
        volume: Volume,
        labels: LabelMap | None = None,
        fiducials: tuple[Fiducial, ...] = (),
    ) -> None:
        """Take a CT. Whatever was tied to another CT is dropped: plan, registration."""
        self.case = Case(volume, labels, fiducials)
        self.planning.begin()
        self.marked = False
        self.plan_watch.forget()
        self.registering.forget()
        self.fluoro.forget()
        self.journal.ct_opened(volume)

    def set_labels(self, labels: LabelMap) -> None:
        """Take a label map for the CT at hand."""
        self.case = Case(self.case.require_volume(), labels, self.case.fiducials)
        self.planning.forget_ground()

    def set_fiducials(self, fiducials: tuple[Fiducial, ...]) -> None:
        """Take the landmarks to touch; touches made for others are dropped."""
        self.case = Case(self.case.require_volume(), self.case.labels, fiducials)
        self.registering.forget_touches()

    # --- devices ----------------------------------------------------------------------------

    def open_room(self, path: Path) -> Room:
        """Read a room file; RoomError says what is wrong with it."""
        room = read_room(path)
        self.disconnect()
        self.connection.room, self.connection.room_path = room, path
        return room

    def connect(self) -> None:
        """Connect every device of the room.

        Starts the needle log when none is open; LogError when its file cannot be made.
        """
        self.connection.require_room()
        self.disconnect()
        if self.journal.log is None:
            self.start_log(self._new_log())
        self.connection.open_lines()
        self.breath.begin()

    def disconnect(self) -> None:
        """Let go of every device. What was calibrated with them is dropped."""
        self.connection.close_lines()
        self.tools.forget()
        self.scanner.forget()
        self.breath.begin()
        self.registering.forget()
        self.sweeping.forget()
        self.fluoro.forget()

    def acknowledge(self) -> None:
        """The user has read the research label; the log says when."""
        self.acknowledged_s = self._clock()

    def start_log(self, path: Path) -> NeedleLog:
        """Start the needle log; LogError when the file cannot be made."""
        log = self.journal.start(path)
        if self.connection.streams is not None:
            self.connection.streams.log = log
        if self.acknowledged_s is not None:
            self.journal.note(
                EventKind.ACKNOWLEDGED, RESEARCH_LABEL, acknowledged_s=self.acknowledged_s
            )
        if self.case.volume is not None:
            self.journal.ct_opened(self.case.volume)
        if self.planning.plan is not None:
            self.journal.plan(self.planning.plan)
        self.publisher.note_reach()
        return log

    # --- guiding ----------------------------------------------------------------------------

    def mark(self, text: str) -> None:
        """Note this moment in the log."""
        if self.journal.log is None:
            raise SessionError("no log is being written")
        self.journal.note(EventKind.MARK, text)
        self.marked = True

    def tick(self, now_s: float) -> NavigationState:
        """The state now; also lets running collections take what has arrived."""
        streams = self.connection.streams
        self.tools.gather()
        self.tools.age(now_s)
        self.breath.watch(streams, now_s)
        self.scanner.advance(now_s)
        self.registering.advance(now_s)
        self.swiping.advance(now_s)
        self.sweeping.advance(now_s)
        self.fluoro.advance(now_s)
        planning = self.planning
        self.plan_watch.judge(planning.plan, planning.ground, planning.protocol)
        state = navigate(self._inputs(now_s), now_s)
        self.quality.advance(state)
        self.journal.shown(state)
        self.journal.watch_quality(streams, now_s)
        allowed = self.plan_watch.withdrawn is None
        self.publisher.show(state, planning.plan if allowed else None)
        return state

    def close(self) -> None:
        """Let go of the devices and finish the log."""
        self.publisher.stop()
        self.disconnect()
        self.journal.close()

    # --- inside -----------------------------------------------------------------------------

    def _inputs(self, now_s: float) -> Inputs:
        return Inputs(
            self.connection.room,
            self.connection.streams,
            self.connection.statuses(now_s),
            self.planning.plan,
            self.plan_watch.withdrawn,
            self.tools.needle,
            self.tools.stylus,
            self.registering.registration,
            self.breath.model,
            self.scanner.use,
            self.registering.expired,
        )

    def _stylus_undone(self, made_s: float) -> None:
        """The stylus has its tip from before: what it measured since is dropped."""
        self.registering.forget_touched_since(made_s)
        self.swiping.forget_since(made_s)

    def _plan_changed(self) -> None:
        self.plan_watch.forget()
        self.journal.plan(self.planning.plan)
        self.registering.judge_anew()
