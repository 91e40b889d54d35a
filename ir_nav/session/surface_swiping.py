"""The stylus swiped over skin or bone: points gathered, laid on the CT's surface, accepted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ir_nav.geometry import FloatArray, apply
from ir_nav.imaging import BoolArray, Volume
from ir_nav.planning import Plan
from ir_nav.progress import Progress
from ir_nav.recording import EventKind
from ir_nav.registration import Registration
from ir_nav.registration.surface import (
    SampledSurface,
    SurfaceRegistration,
    SwipedPoints,
    Tissue,
    ct_surface,
    register_surface,
)
from ir_nav.session.errors import SessionError
from ir_nav.session.measured import AtHand
from ir_nav.session.registering import Registering

# Poses that arrive in pairs say nothing of the speed between them.
LEAST_STEP_S = 0.03


@dataclass(frozen=True, slots=True, eq=False)
class PreparedSurface:
    """What points of a tissue are laid on."""

    volume: Volume
    tissue: Tissue
    surface: SampledSurface


@dataclass(frozen=True, slots=True, eq=False)
class SurfaceOutcome:
    """What a worker found, on what, and from how many points."""

    prepared: PreparedSurface
    swipes: SwipedPoints
    found: SurfaceRegistration


class SurfaceSwiping:
    """Use it from the session's thread; only `preparation` and `solution` run elsewhere.

    tissue: that is swiped. swipes: so far. touching: whether a person says that the tip is on it.
    hindered: why no point is taken while it is, or None. found: the last result, or None.
    """

    def __init__(
        self,
        at_hand: AtHand,
        registering: Registering,
        volume: Callable[[], Volume | None],
        plan: Callable[[], Plan | None],
    ) -> None:
        self._at_hand = at_hand
        self._registering = registering
        self._volume, self._plan = volume, plan
        self.tissue = Tissue.SKIN
        self.swipes = SwipedPoints()
        self.touching = False
        self.hindered: str | None = None
        self.found: SurfaceRegistration | None = None
        self._prepared: PreparedSurface | None = None
        # What was there before each stroke, and when the first one began.
        self._before: tuple[SwipedPoints, ...] = ()
        self._began_s = float("inf")
        self._fed_s = float("-inf")
        self._on = (volume(), at_hand.streams())

    # --- swiping ----------------------------------------------------------------------------

    def choose(self, tissue: Tissue) -> None:
        """Swipe another tissue; points of the one before are dropped."""
        if tissue is not self.tissue:
            self.forget()
            self.tissue = tissue

    def touch(self, on: bool) -> None:
        """Say that the tip lies on the surface, or no longer: a stroke is what lies between."""
        if on and not self.touching:
            now_s = self._at_hand.clock()
            hindered = self._registering.hindrance(now_s)
            if self._volume() is None:
                hindered = "open a CT first"
            if hindered is not None:
                raise SessionError(hindered)
            self._before = (*self._before, self.swipes)
            self._began_s, self._fed_s = min(self._began_s, now_s), now_s
            self.found = None
        elif not on and self.touching:
            self.swipes, self.hindered = self.swipes.lifted(), None
            # A stroke that took nothing is none to undo.
            if len(self.swipes) == len(self._before[-1]):
                self._before = self._before[:-1]
        self.touching = on

    def undo(self) -> None:
        """Take back the last stroke, and what was found with it."""
        if not self._before:
            raise SessionError("nothing was swiped yet")
        self.swipes, self._before = self._before[-1], self._before[:-1]
        self.touching, self.hindered, self.found = False, None, None

    @property
    def strokes(self) -> int:
        return len(self._before)

    @property
    def doubt(self) -> str:
        """What is missing before registering is worth trying, or ""."""
        return self.swipes.doubt()

    def points_ct_mm(self) -> FloatArray | None:
        """(n, 3) of what was swiped, where the result, else the registration at hand, has it;
        None without either."""
        by = self.start if self.found is None else self.found.registration
        if by is None or not len(self.swipes):
            return None
        return apply(by.ct_from_reference.matrix, self.swipes.points_reference_mm)

    # --- registering ------------------------------------------------------------------------

    @property
    def start(self) -> Registration | None:
        """Where a search begins, as `Registering.begin`; None tries all."""
        return self._registering.begin

    @property
    def prepared(self) -> PreparedSurface | None:
        """The CT's surface, once that is worked out."""
        kept = self._prepared
        fits = kept is not None and kept.volume is self._volume() and kept.tissue is self.tissue
        return kept if fits else None

    def preparation(self, body: BoolArray | None = None) -> Callable[[], PreparedSurface] | None:
        """Working `prepared` out, for a worker's thread; its result goes to `keep`. None where
        there is nothing to do. body: the skin's mask, where it is known."""
        volume, tissue = self._volume(), self.tissue
        if volume is None or self.prepared is not None:
            return None
        return lambda: PreparedSurface(volume, tissue, ct_surface(volume, tissue, body))

    def keep(self, prepared: PreparedSurface) -> None:
        """Keep it for as long as its CT is open and its tissue is swiped."""
        if prepared.volume is self._volume() and prepared.tissue is self.tissue:
            self._prepared = prepared

    def solution(self, body: BoolArray | None = None) -> Callable[[Progress], SurfaceOutcome]:
        """Laying the points on the surface, for a worker's thread; see `conclude`."""
        if self._volume() is None:
            raise SessionError("open a CT first")
        if not len(self.swipes):
            raise SessionError(f"swipe the stylus over the {self.tissue} first")
        self.touch(False)
        swipes, start, plan, kept = self.swipes, self.start, self._plan(), self.prepared
        prepare, made_s = self.preparation(body), self._at_hand.clock()

        def solve(progress: Progress) -> SurfaceOutcome:
            progress(0.0)
            prepared = kept
            if prepared is None:
                assert prepare is not None
                prepared = prepare()
            found = register_surface(
                swipes.points_reference_mm,
                prepared.surface,
                made_s,
                start=None if start is None else start.ct_from_reference.matrix,
                target_ct_mm=None if plan is None else plan.target_ct_mm,
                progress=progress,
            )
            return SurfaceOutcome(prepared, swipes, found)

        return solve

    def conclude(self, outcome: SurfaceOutcome) -> bool:
        """Take what was worked out; whether its points are still those at hand."""
        self.keep(outcome.prepared)
        same = np.array_equal(outcome.swipes.points_reference_mm, self.swipes.points_reference_mm)
        if not same or self.prepared is not outcome.prepared:
            return False
        self.found = outcome.found
        if not outcome.found.registration.accepted:
            words = f"surface registration refused: {outcome.found.registration.reason}"
            self._at_hand.journal.note(EventKind.REGISTRATION, words)
        return True

    def accept(self, *, confirmed: bool = False) -> Registration:
        """Make the result what guidance goes by; refuses as Registering.take."""
        if self.found is None:
            raise SessionError("swipe and register first")
        return self._registering.take(self.found.registration, confirmed=confirmed)

    # --- life -------------------------------------------------------------------------------

    def advance(self, now_s: float) -> None:
        """Take the tip's places that arrived; at each tick. What was swiped for another CT, with
        devices let go of since, or before the reference was disturbed, is dropped."""
        volume, streams = on = self._volume(), self._at_hand.streams()
        same = volume is self._on[0] and streams is self._on[1]
        if not same or self._began_s <= self._registering.disturbed_s:
            self._on = on
            self.forget()
        if not self.touching:
            return
        self.hindered = self._registering.hindrance(now_s)
        if self.hindered is not None:
            self.swipes, self._fed_s = self.swipes.lifted(), now_s
            return
        track = self._at_hand.stylus_track(self._fed_s)
        for tip_mm, time_s in zip(track.tips_reference_mm, track.times_s, strict=True):
            if time_s - self._fed_s >= LEAST_STEP_S:
                self.swipes = self.swipes.with_tip(tip_mm, float(time_s), on_surface=True)
                self._fed_s = float(time_s)

    def forget_since(self, made_s: float) -> None:
        """Drop what was swiped at or after a time (Unix time): the stylus has another tip."""
        if self._before and self._began_s >= made_s:
            self.forget()

    def forget(self) -> None:
        """Drop every stroke and what was found."""
        self.swipes, self._before, self.found = SwipedPoints(), (), None
        self.touching, self.hindered, self._began_s = False, None, float("inf")
