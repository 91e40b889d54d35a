"""CT to fluoro in the room: views taken, registered on a worker, accepted, followed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ir_nav.geometry import Frame, FrameError, Transform, rigid_inverse
from ir_nav.guidance import BreathingModel
from ir_nav.imaging import Volume
from ir_nav.planning import Plan
from ir_nav.progress import Progress
from ir_nav.recording import EventKind
from ir_nav.registration import Registration
from ir_nav.registration.fluoro.carm_angles import CArmReach, PatientPosition
from ir_nav.registration.fluoro.outcome import FluoroRegistration
from ir_nav.registration.fluoro.registration import Spread, fluoro_attenuations, register_fluoro
from ir_nav.session.errors import SessionError
from ir_nav.session.fluoro_error import with_room_error
from ir_nav.session.fluoro_following import Drift, FluoroFollowing, PreparedCT
from ir_nav.session.fluoro_views import (
    NARROW_DEG,
    TakenView,
    newest_view,
    steadied,
    unfit,
    widest_deg,
)
from ir_nav.session.measured import AtHand
from ir_nav.session.registering import Registering
from ir_nav.session.room import FluoroEntry, ReachEntry
from ir_nav.session.streams import Streams

MOST_VIEWS = 4
# Landmarks leave a few millimetres; a reference knocked by accident leaves more.
SPREAD = Spread.within(30.0, 15.0)
SECOND = "take a second view 40 to 90 degrees away"


@dataclass(frozen=True, slots=True, eq=False)
class FluoroOutcome:
    """What a worker found, and what from."""

    prepared: PreparedCT
    views: tuple[TakenView, ...]
    found: FluoroRegistration


class FluoroRegistering:
    """Use it from the session's thread. views: taken, oldest first. found: the last result, not
    accepted yet, or None. following: of new frames from the accepted result on.

    volume, plan, breathing: those of now.
    """

    def __init__(
        self,
        at_hand: AtHand,
        registering: Registering,
        volume: Callable[[], Volume | None],
        plan: Callable[[], Plan | None],
        breathing: Callable[[], BreathingModel | None],
    ) -> None:
        self._at_hand = at_hand
        self._registering = registering
        self._volume = volume
        self._plan = plan
        self._breathing = breathing
        self._prepared: PreparedCT | None = None
        self.following = FluoroFollowing(registering, lambda: self.prepared)
        self.views: tuple[TakenView, ...] = ()
        self.found: FluoroRegistration | None = None
        self._lying: tuple[Volume | None, PatientPosition] | None = None

    # --- views ------------------------------------------------------------------------------

    def live_view(self) -> TakenView:
        """The newest frame with its place; SessionError where that is not known."""
        entry, streams = self._fluoro()
        try:
            return newest_view(entry, streams, self._breathing())
        except FrameError as error:
            raise SessionError(f"no view can be taken: {error}") from None

    def hindrance(self) -> str | None:
        """Why no view can be taken now, or None."""
        try:
            view = self.live_view()
        except SessionError as error:
            return str(error)
        return unfit(view, self._fluoro()[1], self._breathing())

    def take_view(self) -> TakenView:
        """Keep the newest frame; SessionError says why it cannot be used."""
        if len(self.views) >= MOST_VIEWS:
            raise SessionError("four views are taken: remove one first")
        view = self.live_view()
        if any(view.sample is one.sample for one in self.views):
            raise SessionError("this frame is taken already: wait for the next one")
        reason = unfit(view, self._fluoro()[1], self._breathing())
        if reason is not None:
            raise SessionError(reason)
        view = steadied(view, self._fluoro()[1])
        self.views = (*self.views, view)
        self._note(f"fluoro view {len(self.views)} taken")
        return view

    def remove(self, index: int) -> None:
        """Drop a view, counted from 0, and what was registered with it."""
        if not 0 <= index < len(self.views):
            raise SessionError("there is no such view to remove")
        self.views = self.views[:index] + self.views[index + 1 :]
        self.found = None

    @property
    def advice(self) -> str:
        """What to take next, in words, or ""."""
        if not self.views:
            return "Take a view after breathing out"
        depth = None if self.found is None else self.found.depth_95_mm
        if len(self.views) == 1:
            sure = "" if depth is None else f" by ±{depth:.1f} mm"
            return f"Depth is uncertain{sure}: {SECOND}"
        widest = widest_deg(self.views)
        if widest < NARROW_DEG:
            return f"The views are only {widest:.0f}° apart: {SECOND}"
        if self.found is not None and self.found.second_view_wanted:
            return f"Depth is uncertain by ±{depth:.1f} mm: {SECOND}"
        return f"{len(self.views)} views, {widest:.0f}° apart"

    # --- the C-arm --------------------------------------------------------------------------

    @property
    def position(self) -> PatientPosition:
        """How the patient lies under the C-arm: on his back, until something else is said of the
        patient at hand."""
        if self._lying is None or self._lying[0] is not self._volume():
            return PatientPosition.HEAD_FIRST_SUPINE
        return self._lying[1]

    def lie(self, position: PatientPosition) -> None:
        """Say how the patient lies."""
        self._lying = self._volume(), position

    @property
    def reach(self) -> CArmReach:
        """How far the room's C-arm turns; what is assumed where no room file says it."""
        stated = self._stated_reach
        return CArmReach() if stated is None else stated.limits

    @property
    def reach_known(self) -> bool:
        """Whether the room file states it."""
        return self._stated_reach is not None

    @property
    def _stated_reach(self) -> ReachEntry | None:
        room = self._at_hand.room()
        return None if room is None or room.fluoro is None else room.fluoro.reach

    # --- registering ------------------------------------------------------------------------

    @property
    def prepared(self) -> PreparedCT | None:
        """The CT at hand as X-rays meet it, once that is worked out."""
        kept = self._prepared
        return kept if kept is not None and kept.volume is self._volume() else None

    def preparation(self) -> Callable[[], PreparedCT] | None:
        """Working `prepared` out, for a worker's thread; its result goes to `keep`."""
        volume = self._volume()
        if volume is None or self.prepared is not None:
            return None
        return lambda: PreparedCT(volume, fluoro_attenuations(volume))

    def keep(self, prepared: PreparedCT) -> None:
        """Keep it for as long as its CT is open."""
        if prepared.volume is self._volume():
            self._prepared = prepared

    @property
    def start(self) -> Registration | None:
        """Where a search begins, as `Registering.begin`."""
        return self._registering.begin

    def solution(self) -> Callable[[Progress], FluoroOutcome]:
        """Registering by the views, for a worker's thread; see `conclude`."""
        volume, start, views, plan = self._volume(), self.start, self.views, self._plan()
        if volume is None:
            raise SessionError("open a CT first")
        if not views:
            raise SessionError("take a fluoro view first")
        if start is None:
            raise SessionError(
                "touch the fiducials, or open a saved start in Manual: the search begins there"
            )
        reference_from_ct = rigid_inverse(start.ct_from_reference.matrix)
        target = None if plan is None else plan.target_ct_mm
        kept, phase = self.prepared, self._phase_words()

        def solve(progress: Progress) -> FluoroOutcome:
            progress(0.0)
            prepared = kept or PreparedCT(volume, fluoro_attenuations(volume))
            found = register_fluoro(
                [view.frame for view in views],
                prepared.attenuations,
                reference_from_ct,
                target,
                created_s=max(view.time_s for view in views),
                breathing=phase,
                spread=SPREAD,
                progress=progress,
            )
            return FluoroOutcome(prepared, views, with_room_error(found, views))

        return solve

    def conclude(self, outcome: FluoroOutcome) -> bool:
        """Take what was worked out; whether its CT and all of its views are still there."""
        self.keep(outcome.prepared)
        known = all(any(one is view for view in self.views) for one in outcome.views)
        if not known or outcome.prepared.volume is not self._volume():
            return False
        self.found = outcome.found
        return True

    def accept(self, *, confirmed: bool = False) -> Registration:
        """Make the result what guidance goes by; refuses as Registering.take."""
        if self.found is None:
            raise SessionError("register by a fluoro view first")
        taken = self._registering.take(self.found.registration, confirmed=confirmed)
        self.following.begin_from(self.found)
        self.found = None
        return taken

    def discard(self) -> None:
        """Drop the result; the views stay."""
        self.found = None

    def carm_from_ct(self, view: TakenView) -> Transform | None:
        """Where the CT lies in a view by the result at hand, else as in use; None without any."""
        by = self.start if self.found is None else self.found.registration
        if by is None:
            return None
        return _carm_from_ct(view, by)

    # --- life -------------------------------------------------------------------------------

    def advance(self, now_s: float) -> None:
        """Drop what was seen before the reference was disturbed; at each tick."""
        disturbed_s = self._registering.disturbed_s
        if any(view.time_s <= disturbed_s for view in self.views):
            self.views = tuple(view for view in self.views if view.time_s > disturbed_s)
            self.found = None
        self.following.advance()

    def forget(self) -> None:
        """Drop all of it: another CT, or the devices are let go of."""
        self.views, self.found = (), None
        self.following.forget()

    def next_follow(self) -> Callable[[], Drift] | None:
        """Following the newest frame, for a worker's thread; its result goes to
        `following.take`. None when there is no new one that is fit for it."""
        if not self.following.on:
            return None
        entry, streams = self._fluoro()
        return self.following.next_frame(entry, streams, self._breathing())

    def _phase_words(self) -> str:
        phases = [abs(one.phase_mm) for one in self.views if one.phase_mm is not None]
        if not phases:
            return "the reference does not move"
        return f"end of expiration, within {max(phases):.1f} mm"

    def _fluoro(self) -> tuple[FluoroEntry, Streams]:
        streams, room = self._at_hand.require_streams(), self._at_hand.room()
        if room is None or room.fluoro is None:
            raise SessionError("this room has no fluoro images")
        return room.fluoro, streams

    def _note(self, words: str) -> None:
        self._at_hand.journal.note(EventKind.NOTE, words)


def _carm_from_ct(view: TakenView, by: Registration) -> Transform:
    carm_from_reference = Transform(Frame.CARM, Frame.REFERENCE, view.frame.view.carm_from_world)
    return carm_from_reference @ by.ct_from_reference.inverse()
