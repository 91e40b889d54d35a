"""The only mutable object of the application: commands in, one immutable state per tick out."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from devices.keyboard_pedal import KeyLine
from ir_nav import RESEARCH_LABEL
from ir_nav.geometry import FloatArray, read_only
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
    shipped_protocol,
)
from ir_nav.planning.instruments import Instrument
from ir_nav.recording import EventKind, NeedleLog
from ir_nav.registration import MAX_TRE_MM, LandmarkRegistration
from ir_nav.registration.landmarks import GOOD_TRE_MM
from ir_nav.session.breathing_watch import BreathingWatch
from ir_nav.session.calibration_exchange import load_tool, save_tool
from ir_nav.session.case import Case, Findings, PlanDraft, judge
from ir_nav.session.collection import Collection, CollectionKind, ToolCalibration
from ir_nav.session.errors import SessionError
from ir_nav.session.journal import Journal, default_log_path
from ir_nav.session.link import DeviceLink
from ir_nav.session.measured import AtHand
from ir_nav.session.navigation import Inputs, navigate
from ir_nav.session.opening_devices import opener
from ir_nav.session.operator_line import OperatorLine
from ir_nav.session.publishing import Publisher
from ir_nav.session.room import Room, read_room
from ir_nav.session.scanner import Scanner
from ir_nav.session.state import NavigationState, Role
from ir_nav.session.streams import Streams
from ir_nav.session.touching import (
    DWELL_S,
    Fiducial,
    LandmarkTouching,
    resting_touch,
    stylus_track,
)


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
        self.operator: OperatorLine | None = None
        self.case = Case()
        self.protocol: Protocol = shipped_protocol()
        self.draft = PlanDraft()
        self._drafts: list[PlanDraft] = []
        self.ground: Ground | None = None
        self._proposals: Proposals | None = None
        self.plan: Plan | None = None
        self.room: Room | None = None
        self.room_path: Path | None = None
        self.streams: Streams | None = None
        self._links: tuple[DeviceLink, ...] = ()
        self.pedal_keys = KeyLine()
        self.needle = ToolCalibration(needs_spin=True)
        self.stylus = ToolCalibration()
        self.collection: Collection | None = None
        self.journal = Journal(clock)
        self._breath = BreathingWatch(self.journal)
        self.scanner = Scanner(
            AtHand(
                clock,
                self.journal,
                lambda: self.room,
                lambda: self.streams,
                self._stylus_track,
                lambda: self.stylus.missing(),
            )
        )
        self.publisher = Publisher(lambda words: self.journal.note(EventKind.NOTE, words))
        self.landmarks = LandmarkTouching()
        self.registration: LandmarkRegistration | None = None
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
        self.draft, self._drafts = PlanDraft(), []
        self.ground, self.plan, self.marked = None, None, False
        self._forget_registration()
        self.journal.note(EventKind.CASE, "CT opened", ct_identity=volume.identity)

    def set_labels(self, labels: LabelMap) -> None:
        """Take a label map for the CT at hand."""
        self._require_volume()
        self.case = Case(self.case.volume, labels, self.case.fiducials)
        self.ground = None

    def set_fiducials(self, fiducials: tuple[Fiducial, ...]) -> None:
        """Take the landmarks to touch; touches made for others are dropped."""
        self._require_volume()
        self.case = Case(self.case.volume, self.case.labels, fiducials)
        self._forget_registration()

    def set_target(self, point_ct_mm: ArrayLike, structure: str = "") -> None:
        """Place the target (3,) in `ct`, mm."""
        point = self._inside(point_ct_mm, "target")
        self._redraft(PlanDraft(point, self.draft.entry_ct_mm, structure))

    def set_entry(self, point_ct_mm: ArrayLike) -> None:
        """Place the entry (3,) in `ct`, mm."""
        point = self._inside(point_ct_mm, "entry")
        self._redraft(PlanDraft(self.draft.target_ct_mm, point, self.draft.structure))

    def take_proposals(self, ground: Ground, proposals: Proposals) -> None:
        """Keep what was proposed and take the entry of the best."""
        self.keep_proposals(ground, proposals)
        self.choose_proposal(0)

    def keep_proposals(self, ground: Ground, proposals: Proposals) -> None:
        """Keep what was proposed; the draft stays as it is."""
        self.ground, self._proposals = ground, proposals

    @property
    def proposals(self) -> Proposals | None:
        """What was proposed for this target; None once the target lies elsewhere."""
        target = self.draft.target_ct_mm
        if self._proposals is None or self.ground is None or target is None:
            return None
        same = np.allclose(self._proposals.skin.target_ct_mm, target)
        return self._proposals if same else None

    def choose_proposal(self, index: int) -> None:
        """Take the entry of a proposed path, counted from 0."""
        proposals = self.proposals
        if proposals is None or not 0 <= index < len(proposals.paths):
            raise SessionError(f"there is no proposed path {index + 1}: propose paths first")
        self.set_entry(proposals.paths[index].path.entry_ct_mm)

    def undo(self) -> None:
        """Take back the last change of the draft."""
        if not self._drafts:
            raise SessionError("nothing to undo")
        self.draft = self._drafts.pop()

    @property
    def findings(self) -> Findings | None:
        """The drafted path judged, or None until it has both ends."""
        path = self.draft.path
        return None if path is None else judge(path, self.ground, self.protocol)

    def approve_plan(self, name: str = "") -> Plan:
        """Make the draft the plan that guidance follows."""
        volume = self._require_volume()
        path = self.draft.path
        if path is None:
            raise SessionError("place the target and the entry first")
        self._require_allowed(path)
        plan = Plan(
            name=name or self.draft.structure or "Path",
            ct_identity=volume.identity,
            entry_ct_mm=_point(path.entry_ct_mm),
            target_ct_mm=_point(path.target_ct_mm),
            structure=self.draft.structure,
            protocol=self.protocol.name,
        )
        self._follow(plan)
        return plan

    def use_instrument(self, instrument: Instrument) -> None:
        """Plan the approved path for another instrument."""
        if self.plan is None:
            raise SessionError("approve a path first")
        self._follow(self.plan.for_instrument(instrument))

    def save_plan(self, path: Path) -> None:
        if self.plan is None:
            raise SessionError("approve a path first")
        save_plan(self.plan, path)

    def load_plan(self, path: Path) -> None:
        """Read a plan of this CT and follow it.

        PlanError when it belongs to another CT or is malformed; SessionError when a point lies
        outside the CT or the protocol does not allow its length.
        """
        plan = load_plan(path)
        require_same_ct(plan, self._require_volume().identity)
        self._inside(plan.target_ct_mm, "target")
        self._inside(plan.entry_ct_mm, "entry")
        self._require_allowed(plan.path)
        self._redraft(PlanDraft(plan.aim_ct_mm, read_only(plan.entry_ct_mm), plan.structure))
        self._follow(plan)

    # --- devices ----------------------------------------------------------------------------

    def open_room(self, path: Path) -> Room:
        """Read a room file; RoomError says what is wrong with it."""
        room = read_room(path)
        self.disconnect()
        self.room, self.room_path = room, path
        return room

    def connect(self) -> None:
        """Connect every device of the room; each keeps trying on its own until `disconnect`.

        Starts the needle log when none is open; LogError when its file cannot be made.
        """
        if self.room is None:
            raise SessionError("open a room file first")
        self.disconnect()
        if self.journal.log is None:
            self.start_log(self._new_log())
        streams = Streams(self.room)
        streams.log = self.journal.log
        self.streams = streams
        self._breath.begin(self._clock())
        self._links = tuple(
            DeviceLink(
                entry.name,
                opener(entry, self.pedal_keys),
                streams.take,
                self.journal.device_changed,
            )
            for entry in self.room.devices
        )
        if self.room.operator is not None:
            self.operator = OperatorLine(self.room.operator)

    def ask_operator(self, do: str, **details: object) -> None:
        """Ask the room's simulated operator to do something; an insertion follows the plan."""
        if self.operator is None:
            raise SessionError("this room has no simulated operator")
        if do == "insert":
            if self.plan is None:
                raise SessionError("approve a path first")
            details |= {
                "entry_ct_mm": list(self.plan.entry_ct_mm),
                "target_ct_mm": list(self.plan.target_ct_mm),
            }
        self.operator.ask(do, **details)

    def disconnect(self) -> None:
        """Let go of every device. What was calibrated with them is dropped."""
        if self.streams is not None:
            self.journal.quality(self.streams, self._clock())
        for link in self._links:
            link.close()
        if self.operator is not None:
            self.operator.close()
        self.operator = None
        self._links, self.streams, self.collection = (), None, None
        self.needle, self.stylus = ToolCalibration(needs_spin=True), ToolCalibration()
        self.scanner.forget()
        self._breath.begin(self._clock())
        self._forget_registration()

    def acknowledge(self) -> None:
        """The user has read the research label; the log says when."""
        self.acknowledged_s = self._clock()

    def start_log(self, path: Path) -> NeedleLog:
        """Start the needle log; LogError when the file cannot be made."""
        log = self.journal.start(path)
        if self.streams is not None:
            self.streams.log = log
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

    # --- calibration ------------------------------------------------------------------------

    def start_collection(self, kind: CollectionKind, role: Role) -> None:
        """Begin gathering poses of a tool that is being pivoted or spun."""
        streams = self._require_streams()
        if role not in streams.poses:
            raise SessionError(f"this room has no {role}")
        if kind is CollectionKind.SPIN and role is not Role.NEEDLE:
            raise SessionError("only a needle is spun")
        self.collection = Collection(kind, role, self._clock())

    def finish_collection(self) -> ToolCalibration:
        """Work out the calibration from what was gathered; its gates may refuse it."""
        collection = self.collection
        if collection is None:
            raise SessionError("start pivoting first")
        self.collection, now_s = None, self._clock()
        if collection.role is Role.NEEDLE:
            self.needle = calibration = self.needle.taken(collection, now_s)
        else:
            self.stylus = calibration = self.stylus.taken(collection, now_s)
        self.journal.calibration(collection, calibration)
        return calibration

    def cancel_collection(self) -> None:
        self.collection = None

    def load_calibration(self, role: Role, path: Path) -> None:
        """Put a needle's or stylus's pivot out of a file into use; see `load_tool`."""
        before = self.needle if role is Role.NEEDLE else self.stylus
        loaded = load_tool(path, role, before, self.room, self._clock())
        if role is Role.NEEDLE:
            self.needle = loaded
        else:
            self.stylus = loaded
        self.journal.calibration_loaded(role, loaded)

    def save_calibration(self, role: Role, path: Path) -> None:
        """Write a needle's or stylus's pivot to a file; see `save_tool`."""
        save_tool(path, role, self.needle if role is Role.NEEDLE else self.stylus)

    def undo_calibration(self, role: Role) -> None:
        """Go back to the tool's calibration before this one; points touched with a stylus
        calibration that is taken back are dropped, and the registration with them."""
        undone = self.needle if role is Role.NEEDLE else self.stylus
        if undone.before is None:
            raise SessionError(f"the {role} has no earlier calibration")
        before = undone.before.aged(self._clock())
        if role is Role.NEEDLE:
            self.needle = before
        else:
            self.stylus, made_s = before, undone.pivot_s or 0.0
            if any(touch and touch.time_s >= made_s for touch in self.landmarks.touches):
                self._forget_registration()
        self.journal.calibration_undone(role, before)

    def watch_breathing_again(self) -> None:
        """Forget the breathing model and learn it anew."""
        self._breath.begin(self._clock())

    @property
    def breathing(self) -> BreathingModel | None:
        """What was learned of the breath, or None while it is watched."""
        return self._breath.model

    # --- registration -----------------------------------------------------------------------

    def start_touching(self) -> None:
        """Begin touching the fiducials in their order."""
        self._require_streams()
        if len(self.case.fiducials) < 3:
            raise SessionError("name at least three fiducials on the CT first")
        missing = self.stylus.missing()
        if missing is not None:
            raise SessionError(f"the stylus is not calibrated: {missing}")
        self._forget_registration()
        self.landmarks = LandmarkTouching(
            self.case.fiducials, self._stylus_track, self._clock(), self.journal.no_fit
        )

    def capture_touch(self) -> None:
        """Take the stylus tip, at rest, as the next fiducial."""
        self.landmarks.capture(self._clock())

    def undo_touch(self) -> None:
        """Take back the last touched point, and a registration accepted with it."""
        self.landmarks.undo(self._clock())
        self.registration = None

    def accept_registration(self, confirmed: bool = False) -> LandmarkRegistration:
        """Make the fit the registration. `confirmed` admits 5 to 15 mm predicted at the target."""
        candidate = self.landmarks.candidate
        if candidate is None:
            raise SessionError("touch at least three fiducials first")
        tre = self.predicted_tre_mm
        if tre is None:
            raise SessionError("approve a plan first: the error is predicted at its target")
        if tre > MAX_TRE_MM:
            raise SessionError(f"{tre:.1f} mm predicted at the target: touch the points again")
        if tre > GOOD_TRE_MM and not confirmed:
            raise SessionError(f"{tre:.1f} mm predicted at the target: confirm to accept it")
        self.registration, self.landmarks.active = candidate, False
        self.journal.registration(self.registration, tre)
        return self.registration

    @property
    def predicted_tre_mm(self) -> float | None:
        """Error predicted at the plan's target, rms mm, of the fit at hand."""
        if self.landmarks.candidate is None or self.plan is None:
            return None
        return self.landmarks.candidate.tre_mm(self.plan.target_ct_mm)

    # --- guiding ----------------------------------------------------------------------------

    def mark(self, text: str) -> None:
        """Note this moment in the log."""
        if self.journal.log is None:
            raise SessionError("no log is being written")
        self.journal.note(EventKind.MARK, text)
        self.marked = True

    @property
    def newest_pose_s(self) -> float:
        """When the newest pose of any tool arrived (Unix time); 0 before the first."""
        if self.streams is None:
            return 0.0
        newest = (buffer.latest() for buffer in self.streams.poses.values())
        return max((sample.received_s for sample in newest if sample is not None), default=0.0)

    @property
    def stylus_rests(self) -> bool:
        """Whether the stylus is seen and lies still."""
        tips, times_s = self._stylus_track(self._clock() - DWELL_S)
        return resting_touch(tips, times_s) is not None

    def tick(self, now_s: float) -> NavigationState:
        """The state now; also lets running collections take what has arrived."""
        self._gather()
        self._age_calibrations(now_s)
        self._breath.watch(self.streams, now_s)
        self.scanner.advance(now_s)
        self.landmarks.watch(now_s)
        state = navigate(self._inputs(now_s), now_s)
        self.journal.shown(state)
        self.journal.watch_quality(self.streams, now_s)
        self.publisher.show(state, self.plan)
        return state

    def close(self) -> None:
        """Let go of the devices and finish the log."""
        self.publisher.stop()
        self.disconnect()
        self.journal.close()

    # --- inside -----------------------------------------------------------------------------

    def _inputs(self, now_s: float) -> Inputs:
        return Inputs(
            self.room,
            self.streams,
            tuple(link.status(now_s) for link in self._links),
            self.plan,
            self.needle,
            self.stylus,
            self.registration,
            self.breathing,
            self.scanner.use,
        )

    def _gather(self) -> None:
        if self.collection is not None and self.streams is not None:
            self.collection.gather(self.streams.poses[self.collection.role])

    def _age_calibrations(self, now_s: float) -> None:
        needle, stylus = self.needle.aged(now_s), self.stylus.aged(now_s)
        for role, old, new in (
            (Role.NEEDLE, self.needle, needle),
            (Role.STYLUS, self.stylus, stylus),
        ):
            if new is not old and new.expired is not None:
                self.journal.calibration_expired(role, new)
        self.needle, self.stylus = needle, stylus

    def _stylus_track(self, since_s: float) -> tuple[FloatArray, FloatArray]:
        stylus_from_tip = self.stylus.tool_from_tip
        if self.streams is None or stylus_from_tip is None:
            return np.zeros((0, 3)), np.zeros(0)
        return stylus_track(self.streams, stylus_from_tip, since_s)

    def _forget_registration(self) -> None:
        self.landmarks, self.registration = LandmarkTouching(), None

    def _redraft(self, draft: PlanDraft) -> None:
        self._drafts.append(self.draft)
        self.draft = draft

    def _require_allowed(self, path: PlannedPath) -> None:
        low, high = self.protocol.min_length_mm, self.protocol.max_length_mm
        if not low <= path.length_mm <= high:
            raise SessionError(
                f"the path is {path.length_mm:.0f} mm long; {self.protocol.name} allows "
                f"{low:g} to {high:g} mm: move the entry"
            )

    def _follow(self, plan: Plan) -> None:
        """Guide along a plan. A registration was accepted for its error at one target; where
        the new target lies worse, it has to be accepted again."""
        self.plan = plan
        self._log_plan(plan)
        tre = self.predicted_tre_mm
        if self.registration is not None and tre is not None and tre > GOOD_TRE_MM:
            self.registration = None
            self.journal.note(
                EventKind.REGISTRATION,
                f"to be accepted again: {tre:.1f} mm predicted at the new target",
                tre_predicted_mm=tre,
            )

    def _log_plan(self, plan: Plan) -> None:
        self.journal.note(EventKind.PLAN, plan.name, **plan.model_dump(mode="json"))

    def _require_volume(self) -> Volume:
        if self.case.volume is None:
            raise SessionError("open a CT first")
        return self.case.volume

    def _require_streams(self) -> Streams:
        if self.streams is None:
            raise SessionError("connect the devices first")
        return self.streams

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
