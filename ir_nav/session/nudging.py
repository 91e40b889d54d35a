"""The CT moved by hand against the patient; guidance goes on as before until it is accepted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from ir_nav.geometry import FloatArray
from ir_nav.imaging import Volume
from ir_nav.planning import Plan
from ir_nav.registration import Registration
from ir_nav.registration.manual import Nudge, moved_registration
from ir_nav.session.errors import SessionError
from ir_nav.session.registering import Registering
from ir_nav.session.saved_start import saved_start

NO_START = "register first, or open a saved start: a hand corrects what is nearly right"
STILL_START = "a start from a file guides nothing: register from here by fluoro or surface"
MOST_STEPS = 500


class Nudging:
    """Use it from the session's thread. found: what Accept would take, None while the CT lies
    where it was registered."""

    def __init__(
        self,
        clock: Callable[[], float],
        registering: Registering,
        volume: Callable[[], Volume | None],
        plan: Callable[[], Plan | None],
    ) -> None:
        self._clock = clock
        self._registering = registering
        self._volume, self._plan = volume, plan
        self.found: Registration | None = None
        self._start: Registration | None = None
        self._nudge = Nudge.none(np.zeros(3))
        self._before: tuple[Nudge, ...] = ()
        self._gesture: object = None
        self._began_s = 0.0
        # A point that was chosen to turn about; the target without one.
        self._chosen_ct_mm: FloatArray | None = None

    @property
    def start(self) -> Registration | None:
        """What the CT is moved from: the registration in use, else a start from a file."""
        return self._registering.registration or self._registering.saved

    @property
    def guides(self) -> bool:
        """Whether guidance goes by what the CT is moved from."""
        return self._registering.registration is not None

    def open_start(self, path: Path) -> None:
        """Begin at a start in a file, see `saved_start`; SessionError while guidance goes by a
        registration, or without a CT."""
        if self._registering.registration is not None:
            raise SessionError("guidance goes by a registration: that is where the hand begins")
        if self._volume() is None:
            raise SessionError("open a CT first")
        self._registering.begin_from(saved_start(path, self._pivot(), self._clock()))

    @property
    def nudge(self) -> Nudge:
        """How the CT was moved from it."""
        self._follow()
        return self._nudge

    @property
    def ct_from_reference(self) -> FloatArray | None:
        """(4, 4) with the CT as it was moved; None without a registration."""
        self._follow()
        return None if self._start is None else self._nudge.ct_from_reference(self._start)

    def shift(self, shift_mm: ArrayLike, gesture: object | None = None) -> None:
        """Move the CT by (3,) mm in CT axes. gesture: moves of one are one step to undo."""
        self._require_start()
        self._go(self._nudge.shifted(shift_mm), gesture)

    def turn(self, angle_deg: float, axis: ArrayLike, gesture: object | None = None) -> None:
        """Turn the CT about the pivot and a unit axis (3,) in CT axes."""
        self._require_start()
        self._go(self._nudge.turned(angle_deg, axis), gesture)

    def put(self, shift_mm: ArrayLike, turn_deg: ArrayLike) -> None:
        """Put it there in numbers: shift (3,) of the pivot, rotation vector (3,), CT axes."""
        self._require_start()
        put = Nudge.by(self._nudge.pivot_ct_mm, shift_mm, turn_deg)
        if not np.allclose(put.patient_from_ct, self._nudge.patient_from_ct, atol=1e-9):
            self._go(put, None)

    def turn_about(self, point_ct_mm: FloatArray | None) -> None:
        """Turn about a point (3,) of the CT from now on; None: about the plan's target. The CT
        stays where it is."""
        self._chosen_ct_mm = point_ct_mm
        self._follow()

    @property
    def about_target(self) -> bool:
        """Whether the CT turns about the plan's target."""
        return self._chosen_ct_mm is None and self._plan() is not None

    def undo(self) -> None:
        """Take back the last move."""
        self._follow()
        if not self._before:
            raise SessionError("the CT was not moved by hand")
        self._nudge, self._before = self._before[-1], self._before[:-1]
        self._gesture = None
        self._nudge = self._nudge.about(self._pivot())
        self._work_out()

    def reset(self) -> None:
        """Back to where it was registered; can be undone."""
        self._require_start()
        if self._nudge.moved:
            self._go(Nudge.none(self._nudge.pivot_ct_mm), None)

    def accept(self, *, confirmed: bool = False) -> Registration:
        """Make it what guidance goes by; refuses as Registering.take."""
        self._follow()
        if not self.guides and self.start is not None:
            raise SessionError(STILL_START)
        if self.found is None:
            raise SessionError("move the CT first: it lies where it was registered")
        found = replace(self.found, created_s=self._clock())
        return self._registering.take(found, confirmed=confirmed)

    def _go(self, nudge: Nudge, gesture: object | None) -> None:
        if gesture is None or gesture is not self._gesture:
            self._before = (*self._before, self._nudge)[-MOST_STEPS:]
        if len(self._before) == 1 and not self._before[0].moved:
            self._began_s = self._clock()
        self._gesture, self._nudge = gesture, nudge
        self._work_out()

    def _work_out(self) -> None:
        start, nudge = self._start, self._nudge
        self.found = None
        if start is not None and nudge.moved:
            now_s = self._clock()
            seconds = max(now_s - self._began_s, 0.0)
            self.found = moved_registration(start, nudge, len(self._before), seconds, now_s)
        if start is self._registering.saved:
            # The searches begin where the hand has put it.
            self._registering.moved = self.found

    def _follow(self) -> None:
        """Begin anew where another registration came into use; turn about the pivot of now."""
        if self.start is not self._start:
            self._start, self._before, self._gesture = self.start, (), None
            if self._start is None:
                self._chosen_ct_mm = None
            self._nudge, self.found = Nudge.none(self._pivot()), None
        elif not np.array_equal(self._nudge.pivot_ct_mm, self._pivot()):
            self._nudge = self._nudge.about(self._pivot())
            self._work_out()

    def _pivot(self) -> FloatArray:
        volume, plan = self._volume(), self._plan()
        if self._chosen_ct_mm is not None:
            return self._chosen_ct_mm
        if plan is not None:
            return np.asarray(plan.target_ct_mm, dtype=np.float64)
        return np.zeros(3) if volume is None else volume.centre_ct_mm

    def _require_start(self) -> None:
        self._follow()
        if self._start is None:
            raise SessionError(NO_START)
