"""The only mutable object of the application: commands in, one immutable state per tick out."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from ir_nav import RESEARCH_LABEL
from ir_nav.geometry import read_only
from ir_nav.guidance import BreathingModel
from ir_nav.imaging import LabelMap, Volume
from ir_nav.planning import (
    Ground,
    Plan,
    PlannedPath,
    Proposals,
    Protocol,
    load_plan,
    require_same_ct,
    save_plan,
)
from ir_nav.planning.instruments import Instrument
from ir_nav.planning.needles import with_needle, without_needle
from ir_nav.recording import EventKind, NeedleLog
from ir_nav.session.approval import UncheckedError, require_kept, require_plan_kept, unchecked
from ir_nav.session.breathing_watch import BreathingWatch
from ir_nav.session.case import Case, Findings, PlanDraft
from ir_nav.session.connection import Connection
from ir_nav.session.drafting import Drafting, Drawn
from ir_nav.session.errors import SessionError
from ir_nav.session.fluoro_registering import FluoroRegistering
from ir_nav.session.journal import Journal, default_log_path
from ir_nav.session.live_quality import LiveQuality
from ir_nav.session.measured import AtHand
from ir_nav.session.navigation import Inputs, navigate
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
        self.planning = Drafting()
        self.journal = Journal(clock)
        self.plan_watch = PlanWatch(self.journal)
        self.connection = Connection(clock, self.journal, lambda: self.plan)
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
            lambda: self.plan,
            lambda: self.protocol.registration,
        )
        self.swiping = SurfaceSwiping(
            at_hand, self.registering, lambda: self.case.volume, lambda: self.plan
        )
        self.nudging = Nudging(clock, self.registering, lambda: self.case.volume, lambda: self.plan)
        self.sweeping = SweepRegistering(
            at_hand,
            self.registering,
            lambda: self.case.volume,
            lambda: self.plan,
            lambda: self.scanner.use,
            lambda: self.breathing,
        )
        self.quality = LiveQuality(
            self.journal,
            lambda: self.case,
            lambda: self.registering.registration,
            lambda: self.sweeping.fan,
        )
        self._breath = BreathingWatch(self.journal)
        self.fluoro = FluoroRegistering(
            at_hand,
            self.registering,
            lambda: self.case.volume,
            lambda: self.plan,
            lambda: self.breathing,
        )
        self.publisher = Publisher(lambda words: self.journal.note(EventKind.NOTE, words))
        self.marked = False
        self.acknowledged_s: float | None = None

    # --- patient and plan -------------------------------------------------------------------

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
        self.journal.note(EventKind.CASE, "CT opened", ct_identity=volume.identity)

    def set_labels(self, labels: LabelMap) -> None:
        """Take a label map for the CT at hand."""
        self._require_volume()
        self.case = Case(self.case.volume, labels, self.case.fiducials)
        self.planning.forget_ground()

    def set_fiducials(self, fiducials: tuple[Fiducial, ...]) -> None:
        """Take the landmarks to touch; touches made for others are dropped."""
        self._require_volume()
        self.case = Case(self.case.volume, self.case.labels, fiducials)
        self.registering.forget_touches()

    def set_target(
        self, point_ct_mm: ArrayLike, structure: str = "", *, gesture: object | None = None
    ) -> None:
        """Place the target (3,) in `ct`, mm. gesture: see Drafting.redraft."""
        point = self._inside(point_ct_mm, "target")
        self.planning.redraft(PlanDraft(point, self.draft.entry_ct_mm, structure), gesture)

    def set_entry(self, point_ct_mm: ArrayLike, *, gesture: object | None = None) -> None:
        """Place the entry (3,) in `ct`, mm. gesture: see Drafting.redraft."""
        point, now = self._inside(point_ct_mm, "entry"), self.draft
        self.planning.redraft(PlanDraft(now.target_ct_mm, point, now.structure), gesture)

    def set_path(self, path: PlannedPath, structure: str = "") -> None:
        """Place both ends at once, one step to undo."""
        target = self._inside(path.target_ct_mm, "target")
        entry = self._inside(path.entry_ct_mm, "entry")
        self.planning.redraft(PlanDraft(target, entry, structure))

    def back_to_plan(self) -> None:
        """Draft the approved path again, under the protocol that it was held against."""
        before = self.protocol
        self.planning.back_to_plan()
        if self.protocol is not before:
            self._note_protocol()

    def take_proposals(
        self, ground: Ground, proposals: Proposals, asked: Drawn | None = None
    ) -> None:
        """Keep what was proposed and take the entry of the best."""
        self.keep_proposals(ground, proposals, asked)
        self.choose_proposal(0)

    def keep_proposals(
        self, ground: Ground, proposals: Proposals, asked: Drawn | None = None
    ) -> None:
        """Keep what was proposed; the draft stays as it is. asked: what the search was for, when
        it may have changed since."""
        self.planning.keep_proposals(ground, proposals, asked)

    @property
    def proposals(self) -> Proposals | None:
        """What was proposed for this target; None once the target lies elsewhere."""
        return self.planning.proposals

    def choose_proposal(self, index: int) -> None:
        """Take the entry of a proposed path, counted from 0."""
        proposals = self.proposals
        if proposals is None or not 0 <= index < len(proposals.paths):
            raise SessionError(f"there is no proposed path {index + 1}: propose paths first")
        self.set_entry(proposals.paths[index].path.entry_ct_mm)

    def use_protocol(self, protocol: Protocol) -> None:
        """Plan by another protocol; undo brings the one before back."""
        self.planning.use_protocol(protocol)
        self._note_protocol()

    def undo(self) -> None:
        """Take back the last change of points, protocol, skin kept free or the approved plan."""
        protocol, plan = self.protocol, self.plan
        self.planning.undo()
        if self.protocol is not protocol:
            self._note_protocol()
        if self.plan is not plan:
            self._plan_changed()

    @property
    def plan(self) -> Plan | None:
        """What guidance follows, None until a path is approved."""
        return self.planning.now.plan

    @property
    def draft(self) -> PlanDraft:
        """The path under way."""
        return self.planning.now.draft

    @property
    def protocol(self) -> Protocol:
        """What the path is held against."""
        return self.planning.now.protocol

    @property
    def ground(self) -> Ground | None:
        """The patient sorted by the protocol, or None until that is worked out."""
        return self.planning.ground

    @property
    def findings(self) -> Findings | None:
        """The drafted path judged, or None until it has both ends."""
        return self.planning.findings

    def approve_plan(self, name: str = "", *, confirmed: bool = False) -> Plan:
        """Make the draft the plan that guidance follows.

        SessionError names each hard limit that is not kept; UncheckedError says what could not be
        checked. confirmed: the user has checked that, which the log keeps.
        """
        plan = self._plan_of(self._approved_path(confirmed), name)
        self._follow(plan)
        return plan

    def add_needle(self, *, confirmed: bool = False) -> Plan:
        """Approve the draft as a further ablation needle of the plan; refuses as approve_plan."""
        plan = self._require_plan()
        most = self.protocol.insertions
        if len(plan.paths) >= most:
            raise SessionError(f"{self.protocol.name} places {most} needles at most")
        path, spacing_mm = self._approved_path(confirmed), self.protocol.needle_spacing_mm
        widened = with_needle(plan, path, spacing_mm)
        self._require_plan_kept(widened)
        self._follow(widened)
        return widened

    def remove_needle(self, index: int) -> None:
        """Take a needle out of an ablation, counted from 0."""
        self._follow(without_needle(self._require_plan(), index))

    def use_instrument(self, instrument: Instrument) -> None:
        """Plan the approved path for another instrument; SessionError when its shaft, fired or
        at its deepest, breaks a hard limit."""
        plan = self._require_plan().for_instrument(instrument)
        self._require_plan_kept(plan)
        self._follow(plan)

    def save_plan(self, path: Path) -> None:
        save_plan(self._require_plan(), path)

    def load_plan(self, path: Path) -> None:
        """Read a plan of this CT and follow it.

        PlanError when it belongs to another CT or is malformed; SessionError when a point lies
        outside the CT, the protocol does not allow its length, or it breaks a hard limit as far
        as distances are known.
        """
        plan = load_plan(path)
        require_same_ct(plan, self._require_volume().identity)
        self._inside(plan.target_ct_mm, "target")
        self._inside(plan.entry_ct_mm, "entry")
        self._require_length(plan.path)
        self._require_plan_kept(plan)
        draft = PlanDraft(plan.aim_ct_mm, read_only(plan.entry_ct_mm), plan.structure)
        self._follow(plan, draft)

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
        self._breath.begin(self._clock())

    def disconnect(self) -> None:
        """Let go of every device. What was calibrated with them is dropped."""
        self.connection.close_lines()
        self.tools.forget()
        self.scanner.forget()
        self._breath.begin(self._clock())
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
            identity = self.case.volume.identity
            self.journal.note(EventKind.CASE, "CT opened", ct_identity=identity)
        if self.plan is not None:
            self._log_plan(self.plan)
        self.publisher.note_reach()
        return log

    def watch_breathing_again(self) -> None:
        """Forget the breathing model and learn it anew."""
        self._breath.begin(self._clock())

    @property
    def breathing(self) -> BreathingModel | None:
        """What was learned of the breath, or None while it is watched."""
        return self._breath.model

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
        self._breath.watch(streams, now_s)
        self.scanner.advance(now_s)
        self.registering.advance(now_s)
        self.swiping.advance(now_s)
        self.sweeping.advance(now_s)
        self.fluoro.advance(now_s)
        self.plan_watch.judge(self.plan, self.ground, self.protocol)
        state = navigate(self._inputs(now_s), now_s)
        self.quality.advance(state)
        self.journal.shown(state)
        self.journal.watch_quality(streams, now_s)
        allowed = self.plan_watch.withdrawn is None
        self.publisher.show(state, self.plan if allowed else None)
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
            self.plan,
            self.plan_watch.withdrawn,
            self.tools.needle,
            self.tools.stylus,
            self.registering.registration,
            self.breathing,
            self.scanner.use,
            self.registering.expired,
        )

    def _stylus_undone(self, made_s: float) -> None:
        """The stylus has its tip from before: what it measured since is dropped."""
        self.registering.forget_touched_since(made_s)
        self.swiping.forget_since(made_s)

    def _approved_path(self, confirmed: bool) -> PlannedPath:
        """The drafted path, once nothing speaks against it."""
        self._require_volume()
        path, found = self.draft.path, self.findings
        if path is None or found is None:
            raise SessionError("place the target and the entry first")
        self._require_length(path)
        require_kept(found.limits or (), self.protocol)
        missed = unchecked(found, self.ground, self.protocol)
        if missed and not confirmed:
            raise UncheckedError(missed)
        if missed:
            words = f"path approved without a check of: {', '.join(missed)}"
            self.journal.note(EventKind.NOTE, words, unchecked=list(missed))
        return path

    def _plan_of(self, path: PlannedPath, name: str) -> Plan:
        return Plan(
            name=name or self.draft.structure or "Path",
            ct_identity=self._require_volume().identity,
            entry_ct_mm=_point(path.entry_ct_mm),
            target_ct_mm=_point(path.target_ct_mm),
            structure=self.draft.structure,
            protocol=self.protocol.name,
        )

    def _require_plan(self) -> Plan:
        if self.plan is None:
            raise SessionError("approve a path first")
        return self.plan

    def _require_plan_kept(self, plan: Plan) -> None:
        """As far as distances are known."""
        if self.ground is not None:
            require_plan_kept(self.ground, self.protocol, plan)

    def _require_length(self, path: PlannedPath) -> None:
        low, high = self.protocol.min_length_mm, self.protocol.max_length_mm
        if not low <= path.length_mm <= high:
            raise SessionError(
                f"the path is {path.length_mm:.0f} mm long; {self.protocol.name} allows "
                f"{low:g} to {high:g} mm: move the entry"
            )

    def _note_protocol(self) -> None:
        self.journal.note(EventKind.NOTE, f"protocol: {self.protocol.name}")

    def _follow(self, plan: Plan, draft: PlanDraft | None = None) -> None:
        """Guide along a plan; draft: that of the plan, where it is not the one at hand."""
        self.planning.approve(plan, draft)
        self._plan_changed()

    def _plan_changed(self) -> None:
        self.plan_watch.forget()
        if self.plan is None:
            self.journal.note(EventKind.NOTE, "approval of the path taken back")
        else:
            self._log_plan(self.plan)
        self.registering.judge_anew()

    def _log_plan(self, plan: Plan) -> None:
        self.journal.note(EventKind.PLAN, plan.name, **plan.model_dump(mode="json"))

    def _require_volume(self) -> Volume:
        if self.case.volume is None:
            raise SessionError("open a CT first")
        return self.case.volume

    def _inside(self, point_ct_mm: ArrayLike, name: str) -> np.ndarray:
        volume = self._require_volume()
        point = read_only(point_ct_mm)
        low, high = volume.bounds_mm
        if point.shape != (3,) or not np.isfinite(point).all():
            raise SessionError(f"the {name} needs three numbers in mm (LPS)")
        if (point < low).any() or (point > high).any():
            raise SessionError(f"the {name} lies outside the CT")
        return point


def _point(point_mm: np.ndarray) -> tuple[float, float, float]:
    x, y, z = (round(float(value), 3) for value in point_mm)
    return x, y, z
