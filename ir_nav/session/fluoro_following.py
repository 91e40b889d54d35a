"""Following in fluoro: where each new frame puts the target, against the registration in use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ir_nav.geometry import FloatArray, FrameError, apply, rigid_inverse
from ir_nav.guidance import BreathingModel
from ir_nav.imaging import Volume
from ir_nav.registration import RegistrationError
from ir_nav.registration.fluoro.attenuation import Attenuation
from ir_nav.registration.fluoro.following import follow
from ir_nav.registration.fluoro.outcome import FluoroRegistration
from ir_nav.session.errors import SessionError
from ir_nav.session.fluoro_views import TakenView, unfit, view_of
from ir_nav.session.registering import Registering
from ir_nav.session.room import FluoroEntry
from ir_nav.session.streams import Streams


@dataclass(frozen=True, slots=True, eq=False)
class PreparedCT:
    """A CT as X-rays meet it, coarse first."""

    volume: Volume
    attenuations: tuple[Attenuation, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Drift:
    """How far the target went since the registration in use, as one frame sees it. across_mm:
    square to its beam. along_mm: along it, known to depth_95_mm. reason: why the frame is not
    believed, or ""."""

    time_s: float
    across_mm: float
    along_mm: float
    depth_95_mm: float
    reason: str


class FluoroFollowing:
    """Guidance stays as it is: only the drift is told. drift: of the newest frame followed, or
    None. prepared(): the CT at hand, or None."""

    def __init__(self, registering: Registering, prepared: Callable[[], PreparedCT | None]) -> None:
        self._registering = registering
        self._prepared = prepared
        self._from: FluoroRegistration | None = None
        self._followed_s = float("-inf")
        self._wanted = False
        self.drift: Drift | None = None

    @property
    def on(self) -> bool:
        """Whether each new frame is held against the registration in use."""
        return self._wanted and self._in_use is not None

    def turn(self, on: bool) -> None:
        """Follow, or no longer; SessionError while guidance goes by no fluoro registration."""
        if on and self._in_use is None:
            raise SessionError("accept a fluoro registration first: following begins there")
        self._wanted, self.drift = on, None

    def begin_from(self, accepted: FluoroRegistration) -> None:
        """Follow from a result that was just accepted."""
        self._from, self.drift = accepted, None

    def next_frame(
        self, entry: FluoroEntry, streams: Streams, breath: BreathingModel | None
    ) -> Callable[[], Drift] | None:
        """Following the newest frame, for a worker's thread; None when it is not fit for it."""
        last, prepared = self._in_use, self._prepared()
        newest = streams.fluoro.newest_first()
        if not self.on or last is None or prepared is None or not newest:
            return None
        if newest[0].source_s <= self._followed_s:
            return None
        try:
            view = view_of(entry, streams, newest[0], breath)
        except FrameError:
            return None
        if unfit(view, streams, breath) is not None:
            return None
        self._followed_s = view.time_s
        return lambda: drift_in(last, view, prepared.attenuations)

    def take(self, drift: Drift) -> None:
        """Tell it, unless following has ended since."""
        if self.on:
            self.drift = drift

    def advance(self) -> None:
        """End when guidance goes by another registration, or by none."""
        if self._from is not None and self._in_use is None:
            self.forget()

    def forget(self) -> None:
        """Follow no longer."""
        self._from, self._wanted, self.drift = None, False, None

    @property
    def _in_use(self) -> FluoroRegistration | None:
        """The accepted result, while guidance goes by it."""
        kept, used = self._from, self._registering.registration
        if kept is None or used is None:
            return None
        same = used.ct_from_reference is kept.registration.ct_from_reference
        return kept if same else None


def drift_in(
    last: FluoroRegistration, view: TakenView, attenuations: tuple[Attenuation, ...]
) -> Drift:
    """Where one frame puts the target, against where `last` has it; a frame that cannot be used is
    told as the drift's reason."""
    try:
        found = follow(last, [view.frame], attenuations, created_s=view.time_s)
    except RegistrationError as error:
        return Drift(view.time_s, 0.0, 0.0, 0.0, str(error))
    target_ct_mm = last.registration.about_ct_mm
    before = apply(last.world_from_ct, target_ct_mm)
    moved = apply(found.world_from_ct, target_ct_mm) - before
    ray = _ray(view, before)
    along = float(moved @ ray)
    across = float(np.linalg.norm(moved - along * ray))
    return Drift(view.time_s, across, along, found.depth_95_mm, found.registration.reason)


def _ray(view: TakenView, point_reference_mm: FloatArray) -> FloatArray:
    """(3,) unit, in `reference`, from the focal spot to a point."""
    focus = rigid_inverse(view.frame.view.carm_from_world)[:3, 3]
    way = point_reference_mm - focus
    return np.asarray(way / np.linalg.norm(way))
