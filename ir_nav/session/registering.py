"""The registration of the CT: its fiducials touched, the fit judged at the target, accepted,
checked, expired, and gone back to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ir_nav.planning import Plan
from ir_nav.planning.protocol import RegistrationRules
from ir_nav.recording import EventKind
from ir_nav.registration import Registration
from ir_nav.registration.tre import stated_about
from ir_nav.session.accepted import Accepted, age_words, require_kept
from ir_nav.session.errors import SessionError
from ir_nav.session.landmark_touching import LandmarkTouching
from ir_nav.session.measured import AtHand
from ir_nav.session.resting import recent, rested_at
from ir_nav.session.state import Role
from ir_nav.session.touch_errors import NO_ERRORS, TouchErrors
from ir_nav.session.touching import Fiducial

MOVED = "the reference was moved against the patient"


class Registering:
    """Use it from the session's thread. landmarks: idle until touching starts. registration:
    what guidance goes by, or None. history: every registration accepted on this CT, oldest first.
    expired: why guidance goes by none any more, or None. disturbed_s: when the reference was last
    found, or said, to have moved, Unix time. saved: a start from a file; moved: the same where a
    hand has put it since, or None. Neither guides.

    fiducials, plan, rules, errors: those of now; errors are what every touch shares.
    """

    def __init__(
        self,
        at_hand: AtHand,
        fiducials: Callable[[], tuple[Fiducial, ...]],
        plan: Callable[[], Plan | None],
        rules: Callable[[], RegistrationRules] = RegistrationRules,
        errors: Callable[[], TouchErrors] = lambda: NO_ERRORS,
    ) -> None:
        self._at_hand = at_hand
        self._fiducials = fiducials
        self._plan = plan
        self._rules = rules
        self._errors = errors
        self.landmarks = LandmarkTouching()
        self.registration: Registration | None = None
        self.history: tuple[Accepted, ...] = ()
        self.expired: str | None = None
        # What was seen against the reference before this holds no more.
        self.disturbed_s = float("-inf")
        self.saved: Registration | None = None
        self.moved: Registration | None = None

    @property
    def begin(self) -> Registration | None:
        """Where a search begins: what is in use, the landmarks at hand, or a start from a file."""
        fit = self.landmarks.candidate
        fitted = None if fit is None else fit.registration
        return self.registration or fitted or self.moved or self.saved

    def begin_from(self, saved: Registration) -> None:
        """Begin searches and the hand there while guidance goes by no registration."""
        self.saved, self.moved = saved, None

    @property
    def rules(self) -> RegistrationRules:
        """What the protocol asks of a registration."""
        return self._rules()

    def start(self, any_order: bool = False) -> None:
        """Begin touching the fiducials, in their order or in any."""
        at_hand, fiducials = self._at_hand, self._fiducials()
        at_hand.require_tools(Role.STYLUS, Role.REFERENCE)
        if len(fiducials) < 3:
            raise SessionError("name at least three fiducials on the CT first")
        missing = at_hand.stylus_missing()
        if missing is not None:
            raise SessionError(f"the stylus is not calibrated: in Set up, {missing}")
        self.registration = None
        self.landmarks = LandmarkTouching(
            fiducials,
            at_hand.stylus_track,
            at_hand.clock(),
            at_hand.journal.no_fit,
            any_order=any_order,
            hindrance=self.hindrance,
            errors=self._errors(),
        )

    def hindrance(self, now_s: float) -> str | None:
        """Why no point can be taken with the stylus at `now_s` (Unix time), or None."""
        streams = self._at_hand.streams()
        if streams is None:
            return "connect the devices first"
        roles = (Role.STYLUS, Role.REFERENCE)
        absent = next((role for role in roles if role not in streams.poses), None)
        if absent is not None:
            return f"this room has no {absent}"
        missing = self._at_hand.stylus_missing()
        if missing is not None:
            return f"the stylus is not calibrated: in Set up, {missing}"
        for role in roles:
            status = streams.tool_status(role, streams.poses[role].latest(), now_s)
            if not status.usable:
                return f"{status.absence}: no point is taken until it is seen"
        return None

    def capture(self) -> None:
        """Take the stylus tip, at rest, as the next fiducial."""
        self.landmarks.capture(self._at_hand.clock())

    def undo(self) -> None:
        """Take back the last touch or exclusion, and a registration accepted with it."""
        self.landmarks.undo(self._at_hand.clock())
        self.registration = None

    def touch_again(self, name: str) -> None:
        """Take one fiducial's point back, to be touched next."""
        touching = self.landmarks
        index = next((i for i, one in enumerate(touching.fiducials) if one.name == name), None)
        if index is None or index not in touching.matched:
            raise SessionError(f"{name} was not touched yet")
        touching.redo(touching.matched[index], self._at_hand.clock())
        self.registration = None

    def toggle(self, name: str) -> None:
        """Leave a fiducial out of the fit or let it in again; what was accepted with it is to
        be accepted again."""
        self.landmarks.toggle(name, self._at_hand.clock())
        self.registration = None

    def accept(self, confirmed: bool = False) -> Registration:
        """Make the fit of the landmarks the registration; refuses as `take`."""
        candidate, rules = self.landmarks.candidate, self.rules
        if candidate is None or len(candidate.names) < rules.least_landmarks:
            raise SessionError(f"touch at least {_count(rules.least_landmarks)} fiducials first")
        found = self.take(candidate.registration, confirmed=confirmed)
        self.landmarks.active = False
        return found

    def take(self, found: Registration, *, confirmed: bool = False) -> Registration:
        """Make a registration, whatever found it, the one that guidance goes by.

        confirmed: admits an error between what the protocol calls good and its most. SessionError
        without a plan, when the error at its target is above that, or the method refused it.
        """
        plan = self._plan()
        if plan is None:
            raise SessionError("approve a plan first: the error is predicted at its target")
        tre_mm = found.tre_mm(plan.target_ct_mm)
        require_kept(found, tre_mm, self.rules, confirmed=confirmed)
        used = self.registration
        if used is not None and used.ct_from_reference is found.ct_from_reference:
            return used
        taken = stated_about(found, plan.target_ct_mm)
        self.registration, self.expired = taken, None
        self.history = (*self.history, Accepted(taken, self._at_hand.clock(), tre_mm))
        self._at_hand.journal.registration(taken, tre_mm)
        return taken

    def go_back(self, index: int, *, confirmed: bool = False) -> Registration:
        """Use a registration of the history again, counted from 0; refuses an expired one, and
        as `take`."""
        if not 0 <= index < len(self.history):
            raise SessionError("there is no such registration to go back to")
        entry, plan = self.history[index], self._plan()
        reason = entry.expired or age_words(entry.registration, self.rules, self._at_hand.clock())
        if reason:
            raise SessionError(f"this registration has expired: {reason}")
        if plan is None:
            raise SessionError("approve a plan first: the error is predicted at its target")
        tre_mm = entry.registration.tre_mm(plan.target_ct_mm)
        require_kept(entry.registration, tre_mm, self.rules, confirmed=confirmed)
        self.registration, self.expired = entry.registration, None
        self._at_hand.journal.registration(entry.registration, tre_mm, "gone back to")
        return entry.registration

    def undo_registration(self) -> Registration:
        """Go back to the last registration before the one in use that still holds."""
        now_s = self._at_hand.clock()
        for index in reversed(range(self.in_use_index or 0)):
            entry = self.history[index]
            if not entry.expired and not age_words(entry.registration, self.rules, now_s):
                return self.go_back(index, confirmed=True)
        raise SessionError("there is no earlier registration")

    @property
    def in_use_index(self) -> int | None:
        """Which of the history is in use, or None."""
        return next(
            (i for i, one in enumerate(self.history) if one.registration is self.registration),
            None,
        )

    def reference_moved(self) -> None:
        """A person says that the reference body was moved: nothing measured before it holds."""
        self.landmarks = LandmarkTouching()
        self._expire(MOVED, every=True)

    def check(self, name: str | None = None) -> float:
        """How far the stylus, held on a fiducial of the CT, is from its place, mm.

        name: of the fiducial; the nearest without one. Further than the protocol allows, every
        registration expires: whether reference, patient or marker moved cannot be told.
        SessionError without a registration, or when the stylus is not held still.
        """
        if self.registration is None:
            raise SessionError("there is no registration to check")
        fiducials, now_s = self._fiducials(), self._at_hand.clock()
        chosen = [one for one in fiducials if name is None or one.name == name]
        if not chosen:
            raise SessionError("the CT has no such fiducial to check")
        hindered = self.hindrance(now_s)
        if hindered is not None:
            raise SessionError(hindered)
        touch = rested_at(recent(self._at_hand.stylus_track, now_s, 0.0), now_s)
        if touch is None:
            raise SessionError("hold the stylus still on the fiducial")
        at_ct_mm = self.registration.ct_from_reference.apply(touch.reference_mm)
        off_mm = [float(np.linalg.norm(at_ct_mm - one.ct_mm)) for one in chosen]
        nearest = int(np.argmin(off_mm))
        words = f"{chosen[nearest].name} touched again: {off_mm[nearest]:.1f} mm off"
        self._at_hand.journal.note(EventKind.REGISTRATION, words, checked_mm=off_mm[nearest])
        if off_mm[nearest] > self.rules.max_check_mm:
            self._expire(words, every=True)
        return off_mm[nearest]

    @property
    def predicted_tre_mm(self) -> float | None:
        """Error predicted at the plan's target, rms mm, of the fit at hand, or of the
        registration in use while nothing is being fitted."""
        plan, fit = self._plan(), self.landmarks.candidate
        found = self.registration if fit is None else fit.registration
        return None if found is None or plan is None else found.tre_mm(plan.target_ct_mm)

    @property
    def accepted_tre_mm(self) -> float | None:
        """Error predicted at the plan's target, rms mm, of the registration in use."""
        plan = self._plan()
        if self.registration is None or plan is None:
            return None
        return self.registration.tre_mm(plan.target_ct_mm)

    @property
    def stylus_rests(self) -> bool:
        """Whether the stylus is seen and lies still."""
        now_s = self._at_hand.clock()
        return rested_at(recent(self._at_hand.stylus_track, now_s, 0.0), now_s) is not None

    def advance(self, now_s: float) -> None:
        """Take what was touched, and let expire what is too old; at each tick."""
        self.landmarks.watch(now_s)
        if self.registration is not None:
            reason = age_words(self.registration, self.rules, now_s)
            if reason is not None:
                self._expire(reason)

    def judge_anew(self) -> None:
        """A registration was accepted for its error at one target; where the target of a new
        plan lies worse, it has to be accepted again."""
        plan = self._plan()
        if self.registration is None or plan is None:
            return
        tre_mm = self.registration.tre_mm(plan.target_ct_mm)
        if tre_mm > self.rules.good_tre_mm:
            self.registration = None
            self.expired = f"{tre_mm:.1f} mm predicted at the new target: accept it again"
            self._at_hand.journal.note(
                EventKind.REGISTRATION,
                f"to be accepted again: {tre_mm:.1f} mm predicted at the new target",
            )

    def forget_touched_since(self, made_s: float) -> None:
        """Drop it all where a point was touched since a time (Unix time)."""
        if any(touch and touch.time_s >= made_s for touch in self.landmarks.touches):
            self.forget()

    def forget_touches(self) -> None:
        """Drop the touched points; what was accepted stays."""
        self.landmarks = LandmarkTouching()

    def forget(self) -> None:
        """Drop the touched points, the registration and those before it."""
        self.landmarks, self.registration = LandmarkTouching(), None
        self.saved = self.moved = None
        self.history, self.expired = (), None

    def _expire(self, reason: str, *, every: bool = False) -> None:
        """Guidance goes by no registration any more; every: none of the history can be used."""
        was = self.registration
        if every:
            self.disturbed_s = self._at_hand.clock()
            self.saved = self.moved = None
        self.history = tuple(
            one.ended(reason) if every or one.registration is was else one for one in self.history
        )
        self.registration, self.expired = None, reason
        self._at_hand.journal.note(EventKind.REGISTRATION, f"expired: {reason}")


def _count(number: int) -> str:
    return "three" if number == 3 else str(number)
