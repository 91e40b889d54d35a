"""The only mutable object of the application: commands in, one immutable state per tick out."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from devices.contract import Device, Sink
from devices.openigtlink import OpenIGTLinkClient
from ir_nav.geometry import FloatArray, GeometryError, read_only
from ir_nav.guidance import BreathingModel, learn_breathing
from ir_nav.imaging import LabelMap, Volume
from ir_nav.planning import (
    Plan,
    Proposal,
    Protocol,
    RoomMap,
    load_plan,
    require_same_ct,
    save_plan,
    shipped_protocol,
)
from ir_nav.recording import EventKind, NeedleLog
from ir_nav.registration import MAX_TRE_MM, LandmarkRegistration, register_landmarks
from ir_nav.registration.landmarks import GOOD_TRE_MM
from ir_nav.session.case import Case, Findings, PlanDraft, judge
from ir_nav.session.collection import Collection, CollectionKind, ToolCalibration
from ir_nav.session.errors import SessionError
from ir_nav.session.journal import Journal, default_log_path
from ir_nav.session.link import DeviceLink
from ir_nav.session.navigation import Inputs, navigate
from ir_nav.session.operator_line import OperatorLine
from ir_nav.session.room import DeviceEntry, Room, read_room
from ir_nav.session.state import NavigationState, Role
from ir_nav.session.streams import Streams
from ir_nav.session.touching import (
    APART_MM,
    DWELL_S,
    Fiducial,
    Touch,
    resting_touch,
    stylus_track,
)

BREATHING_WATCHED_S = 12.0


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
        self.rooms: RoomMap | None = None
        self.plan: Plan | None = None
        self.room: Room | None = None
        self.room_path: Path | None = None
        self.streams: Streams | None = None
        self._links: tuple[DeviceLink, ...] = ()
        self.needle = ToolCalibration(needs_spin=True)
        self.stylus = ToolCalibration()
        self.collection: Collection | None = None
        self.breathing: BreathingModel | None = None
        self._breathing_from_s = 0.0
        self.touches: tuple[Touch | None, ...] = ()
        self.touching = False
        self._touch_from_s = 0.0
        self._laid_at_mm: FloatArray | None = None
        self.candidate: LandmarkRegistration | None = None
        self.registration: LandmarkRegistration | None = None
        self.journal = Journal(clock)

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
        self.rooms, self.plan = None, None
        self._forget_registration()
        self.journal.note(EventKind.CASE, "CT opened", ct_identity=volume.identity)

    def set_labels(self, labels: LabelMap) -> None:
        """Take a label map for the CT at hand."""
        self._require_volume()
        self.case = Case(self.case.volume, labels, self.case.fiducials)
        self.rooms = None

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

    def take_proposal(self, rooms: RoomMap, proposal: Proposal) -> None:
        """Take the entry of a proposed path."""
        self.rooms = rooms
        self.set_entry(proposal.path.entry_ct_mm)

    def undo(self) -> None:
        """Take back the last change of the draft."""
        if not self._drafts:
            raise SessionError("nothing to undo")
        self.draft = self._drafts.pop()

    @property
    def findings(self) -> Findings | None:
        """The drafted path judged, or None until it has both ends."""
        path = self.draft.path
        return None if path is None else judge(path, self.rooms)

    def approve_plan(self, name: str = "") -> Plan:
        """Make the draft the plan that guidance follows."""
        volume = self._require_volume()
        path = self.draft.path
        if path is None:
            raise SessionError("place the target and the entry first")
        low, high = self.protocol.min_length_mm, self.protocol.max_length_mm
        if not low <= path.length_mm <= high:
            raise SessionError(
                f"the path is {path.length_mm:.0f} mm long; {self.protocol.name} allows "
                f"{low:g} to {high:g} mm: move the entry"
            )
        self.plan = Plan(
            name=name or self.draft.structure or "Path",
            ct_identity=volume.identity,
            entry_ct_mm=_point(path.entry_ct_mm),
            target_ct_mm=_point(path.target_ct_mm),
            structure=self.draft.structure,
        )
        self._log_plan(self.plan)
        return self.plan

    def save_plan(self, path: Path) -> None:
        if self.plan is None:
            raise SessionError("approve a path first")
        save_plan(self.plan, path)

    def load_plan(self, path: Path) -> None:
        """Read a plan of this CT; PlanError when it belongs to another or is malformed."""
        plan = load_plan(path)
        require_same_ct(plan, self._require_volume().identity)
        self._redraft(
            PlanDraft(read_only(plan.target_ct_mm), read_only(plan.entry_ct_mm), plan.structure)
        )
        self.plan = plan
        self._log_plan(plan)

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
        self._breathing_from_s = self._clock()
        self._links = tuple(
            DeviceLink(entry.name, _opener(entry), streams.take, self.journal.device_changed)
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
        for link in self._links:
            link.close()
        if self.operator is not None:
            self.operator.close()
        self.operator = None
        self._links, self.streams, self.collection = (), None, None
        self.needle, self.stylus = ToolCalibration(needs_spin=True), ToolCalibration()
        self.breathing = None
        self._forget_registration()

    def start_log(self, path: Path) -> NeedleLog:
        """Start the needle log; LogError when the file cannot be made."""
        log = self.journal.start(path)
        if self.streams is not None:
            self.streams.log = log
        if self.case.volume is not None:
            identity = self.case.volume.identity
            self.journal.note(EventKind.CASE, "CT opened", ct_identity=identity)
        if self.plan is not None:
            self._log_plan(self.plan)
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
        self.collection = None
        if collection.role is Role.NEEDLE:
            self.needle = calibration = self.needle.taken(collection)
        else:
            self.stylus = calibration = self.stylus.taken(collection)
        self.journal.calibration(collection, calibration)
        return calibration

    def cancel_collection(self) -> None:
        self.collection = None

    def watch_breathing_again(self) -> None:
        """Forget the breathing model and learn it anew."""
        self.breathing = None
        self._breathing_from_s = self._clock()

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
        self.touches = (None,) * len(self.case.fiducials)
        self._await_touch()

    @property
    def next_fiducial(self) -> int | None:
        """Index of the fiducial to touch next, or None."""
        return next((i for i, touch in enumerate(self.touches) if touch is None), None)

    def capture_touch(self) -> None:
        """Take the stylus tip, at rest, as the next fiducial."""
        touch = self._resting_touch()
        if touch is None:
            raise SessionError("hold the stylus still on the fiducial")
        self._take_touch(touch)

    def undo_touch(self) -> None:
        """Take back the last touched point."""
        taken = [index for index, touch in enumerate(self.touches) if touch is not None]
        if not taken:
            raise SessionError("no point was touched yet")
        touches = list(self.touches)
        touches[taken[-1]] = None
        self.touches, self.registration = tuple(touches), None
        self._await_touch()
        self._fit()

    def accept_registration(self, confirmed: bool = False) -> LandmarkRegistration:
        """Make the fit the registration. `confirmed` admits 5 to 15 mm predicted at the target."""
        if self.candidate is None:
            raise SessionError("touch at least three fiducials first")
        tre = self.predicted_tre_mm
        if tre is None:
            raise SessionError("approve a plan first: the error is predicted at its target")
        if tre > MAX_TRE_MM:
            raise SessionError(f"{tre:.1f} mm predicted at the target: touch the points again")
        if tre > GOOD_TRE_MM and not confirmed:
            raise SessionError(f"{tre:.1f} mm predicted at the target: confirm to accept it")
        self.registration, self.touching = self.candidate, False
        self.journal.registration(self.registration, tre)
        return self.registration

    @property
    def predicted_tre_mm(self) -> float | None:
        """Error predicted at the plan's target, rms mm, of the fit at hand."""
        if self.candidate is None or self.plan is None:
            return None
        return self.candidate.tre_mm(self.plan.target_ct_mm)

    # --- guiding ----------------------------------------------------------------------------

    def mark(self, text: str) -> None:
        """Note this moment in the log."""
        if self.journal.log is None:
            raise SessionError("no log is being written")
        self.journal.note(EventKind.MARK, text)

    def tick(self, now_s: float) -> NavigationState:
        """The state now; also lets running collections take what has arrived."""
        self._gather()
        self._watch_breathing(now_s)
        self._watch_touching(now_s)
        state = navigate(self._inputs(now_s), now_s)
        self.journal.shown(state)
        return state

    def close(self) -> None:
        """Let go of the devices and finish the log."""
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
        )

    def _gather(self) -> None:
        if self.collection is not None and self.streams is not None:
            self.collection.gather(self.streams.poses[self.collection.role])

    def _watch_breathing(self, now_s: float) -> None:
        if self.breathing is not None or self.streams is None:
            return
        buffer = self.streams.poses.get(Role.REFERENCE)
        if buffer is None or now_s - self._breathing_from_s < BREATHING_WATCHED_S:
            return
        seen = [s for s in buffer.since(self._breathing_from_s) if s.matrix is not None]
        try:
            self.breathing = learn_breathing(
                [sample.source_s for sample in seen],
                np.array([s.matrix[:3, 3] for s in seen if s.matrix is not None]).reshape(-1, 3),
            )
        except GeometryError:
            self._breathing_from_s = now_s
            return
        self.journal.breathing(self.breathing)

    def _watch_touching(self, now_s: float) -> None:
        """Take a point by itself when the stylus rests somewhere new."""
        if not self.touching or self.next_fiducial is None:
            return
        if now_s - self._touch_from_s < DWELL_S:
            return
        touch = self._resting_touch()
        if touch is None:
            return
        known = [taken.reference_mm for taken in self.touches if taken is not None]
        if self._laid_at_mm is not None:
            known.append(self._laid_at_mm)
        gaps = [float(np.linalg.norm(place - touch.reference_mm)) for place in known]
        if not gaps or min(gaps) > APART_MM:
            self._take_touch(touch)

    def _await_touch(self) -> None:
        """Look for the next point; where the stylus lies now, on a tray perhaps, is none."""
        self.touching = True
        self._touch_from_s = self._clock()
        self._laid_at_mm = None
        stylus_from_tip = self.stylus.tool_from_tip
        if self.streams is not None and stylus_from_tip is not None:
            since_s = self._touch_from_s - DWELL_S
            tips, _ = stylus_track(self.streams, stylus_from_tip, since_s)
            self._laid_at_mm = tips[-1] if len(tips) else None

    def _resting_touch(self) -> Touch | None:
        stylus_from_tip = self.stylus.tool_from_tip
        if self.streams is None or stylus_from_tip is None:
            return None
        newest = self.streams.poses[Role.STYLUS].latest()
        since_s = max(self._touch_from_s, (newest.received_s if newest else 0.0) - DWELL_S)
        return resting_touch(*stylus_track(self.streams, stylus_from_tip, since_s))

    def _take_touch(self, touch: Touch) -> None:
        index = self.next_fiducial
        if index is None:
            raise SessionError("every fiducial was touched")
        touches = list(self.touches)
        touches[index] = touch
        self.touches = tuple(touches)
        self._touch_from_s = self._clock()
        self._fit()

    def _fit(self) -> None:
        """Fit the points touched so far; too few leave no candidate."""
        pairs = [
            (fiducial, touch)
            for fiducial, touch in zip(self.case.fiducials, self.touches, strict=True)
            if touch is not None
        ]
        self.candidate = None
        if len(pairs) < 3:
            return
        try:
            self.candidate = register_landmarks(
                tuple(fiducial.name for fiducial, _ in pairs),
                [fiducial.ct_mm for fiducial, _ in pairs],
                [touch.reference_mm for _, touch in pairs],
                self._clock(),
            )
        except GeometryError as error:
            self.journal.note(EventKind.REGISTRATION, f"no fit: {error}")

    def _forget_registration(self) -> None:
        self.candidate = self.registration = None
        self.touches, self.touching = (), False

    def _redraft(self, draft: PlanDraft) -> None:
        self._drafts.append(self.draft)
        self.draft = draft

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


def _opener(entry: DeviceEntry) -> Callable[[Sink], Device]:
    def open_device(sink: Sink) -> Device:
        return OpenIGTLinkClient(
            entry.name, entry.host, entry.port, sink, protocol_version=entry.protocol_version
        )

    return open_device
