"""The registration of the CT: its fiducials touched, the fit judged at the target, accepted."""

from __future__ import annotations

from collections.abc import Callable

from ir_nav.planning import Plan
from ir_nav.recording import EventKind
from ir_nav.registration import GOOD_TRE_MM, MAX_TRE_MM, LandmarkRegistration
from ir_nav.session.errors import SessionError
from ir_nav.session.measured import AtHand
from ir_nav.session.resting import recent, rested_at
from ir_nav.session.touching import Fiducial, LandmarkTouching


class Registering:
    """Use it from the session's thread. landmarks: idle until touching starts. registration:
    what guidance goes by, or None.

    fiducials, plan: those of now.
    """

    def __init__(
        self,
        at_hand: AtHand,
        fiducials: Callable[[], tuple[Fiducial, ...]],
        plan: Callable[[], Plan | None],
    ) -> None:
        self._at_hand = at_hand
        self._fiducials = fiducials
        self._plan = plan
        self.landmarks = LandmarkTouching()
        self.registration: LandmarkRegistration | None = None

    def start(self) -> None:
        """Begin touching the fiducials in their order."""
        at_hand, fiducials = self._at_hand, self._fiducials()
        at_hand.require_streams()
        if len(fiducials) < 3:
            raise SessionError("name at least three fiducials on the CT first")
        missing = at_hand.stylus_missing()
        if missing is not None:
            raise SessionError(f"the stylus is not calibrated: {missing}")
        self.forget()
        self.landmarks = LandmarkTouching(
            fiducials, at_hand.stylus_track, at_hand.clock(), at_hand.journal.no_fit
        )

    def capture(self) -> None:
        """Take the stylus tip, at rest, as the next fiducial."""
        self.landmarks.capture(self._at_hand.clock())

    def undo(self) -> None:
        """Take back the last touched point, and a registration accepted with it."""
        self.landmarks.undo(self._at_hand.clock())
        self.registration = None

    def accept(self, confirmed: bool = False) -> LandmarkRegistration:
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
        self._at_hand.journal.registration(candidate, tre)
        return candidate

    @property
    def predicted_tre_mm(self) -> float | None:
        """Error predicted at the plan's target, rms mm, of the fit at hand."""
        plan = self._plan()
        if self.landmarks.candidate is None or plan is None:
            return None
        return self.landmarks.candidate.tre_mm(plan.target_ct_mm)

    @property
    def stylus_rests(self) -> bool:
        """Whether the stylus is seen and lies still."""
        now_s = self._at_hand.clock()
        return rested_at(recent(self._at_hand.stylus_track, now_s, 0.0), now_s) is not None

    def judge_anew(self) -> None:
        """A registration was accepted for its error at one target; where the target of a new
        plan lies worse, it has to be accepted again."""
        tre = self.predicted_tre_mm
        if self.registration is not None and tre is not None and tre > GOOD_TRE_MM:
            self.registration = None
            self._at_hand.journal.note(
                EventKind.REGISTRATION,
                f"to be accepted again: {tre:.1f} mm predicted at the new target",
                tre_predicted_mm=tre,
            )

    def forget_touched_since(self, made_s: float) -> None:
        """Drop it all where a point was touched since a time (Unix time)."""
        if any(touch and touch.time_s >= made_s for touch in self.landmarks.touches):
            self.forget()

    def forget(self) -> None:
        """Drop the touched points and the registration."""
        self.landmarks, self.registration = LandmarkTouching(), None
