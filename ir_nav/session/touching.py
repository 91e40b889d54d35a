"""Touching landmarks with the stylus: a point is taken when the tip rests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ir_nav.geometry import FloatArray
from ir_nav.session.errors import SessionError
from ir_nav.session.resting import DWELL_S, NO_TRACK, TipTrack, Touch, Track, recent, rested_at

APART_MM = 12.0
LOOK_S = 0.1
# Skin moves a little between CT and table; the wrong fiducial, or a tray, is further off.
MAX_MISFIT_MM = 25.0


@dataclass(frozen=True, slots=True)
class Fiducial:
    """A landmark in the CT: name and position (3,) in `ct`, mm."""

    name: str
    ct_mm: tuple[float, float, float]


def no_track(since_s: float) -> TipTrack:
    return NO_TRACK


# Why no point may be taken at a time (Unix time, s), or None.
Hindrance = Callable[[float], str | None]


def _unhindered(now_s: float) -> str | None:
    return None


class Touching:
    """Named points touched one after the other; a subclass fits what was touched so far.

    names, positions_mm (n, 3): points in the order they are touched, in their own frame; none
    makes an idle one. track: of the stylus. doubt: why the place at which the tip rested last
    was not taken, or None. hindered: why no point is taken at all now, or None.
    """

    what = "fiducial"
    how = "hold the stylus still on the fiducial"
    where = "in the CT"
    max_misfit_mm = MAX_MISFIT_MM

    def __init__(
        self,
        names: tuple[str, ...],
        positions_mm: FloatArray,
        track: Track,
        now_s: float,
        hindrance: Hindrance = _unhindered,
    ) -> None:
        self.names = names
        self.positions_mm = positions_mm
        self.touches: tuple[Touch | None, ...] = (None,) * len(names)
        self.active = bool(names)
        self._track = track
        self._from_s = now_s
        tip = self._tip_at(now_s)
        # Where the stylus lies before the first touch is its tray, not a fiducial.
        self._trays = () if tip is None else (tip,)
        self.doubt: str | None = None
        self.hindered: str | None = None
        self._hindrance = hindrance
        self._looked_s = now_s
        self._undone_at_mm: FloatArray | None = None

    @property
    def next_index(self) -> int | None:
        """Index of the fiducial to touch next, or None."""
        return next((i for i, touch in enumerate(self.touches) if touch is None), None)

    @property
    def count(self) -> int:
        """How many fiducials were touched."""
        return sum(touch is not None for touch in self.touches)

    def watch(self, now_s: float) -> None:
        """Take a point by itself when the stylus rests somewhere new."""
        if not self.active or self.next_index is None:
            return
        self.hindered = self._hindrance(now_s)
        if self.hindered is not None:
            return
        self._look_for_lift(now_s)
        for touch in self._rests(now_s):
            if not self._is_new(touch):
                continue
            self.doubt = self._doubt(touch)
            if self.doubt is None:
                self._take(touch, now_s)
                return

    def capture(self, now_s: float) -> None:
        """Take the tip, at rest, as the next fiducial, whatever speaks against it.

        SessionError when it moves.
        """
        if not self.names:
            raise SessionError("start touching first")
        if self.next_index is None:
            raise SessionError(f"every {self.what} was touched")
        self.hindered = self._hindrance(now_s)
        if self.hindered is not None:
            raise SessionError(self.hindered)
        touch = self._held(now_s)
        if touch is None:
            raise SessionError(self.how)
        self._take(touch, now_s)

    def undo(self, now_s: float) -> None:
        """Take back the last touched point; it counts again once the stylus was lifted."""
        taken = [index for index, touch in enumerate(self.touches) if touch is not None]
        if not taken:
            raise SessionError("no point was touched yet")
        self.redo(taken[-1], now_s)

    def redo(self, index: int, now_s: float) -> None:
        """Take back one point: it is touched next, and counts again once the stylus was lifted."""
        touches = list(self.touches)
        undone, touches[index] = touches[index], None
        self.touches, self.active, self.doubt = tuple(touches), True, None
        self._from_s = self._looked_s = now_s
        self._undone_at_mm = None if undone is None else undone.reference_mm
        self._fit(now_s)

    def _look_for_lift(self, now_s: float) -> None:
        if self._undone_at_mm is None:
            return
        tip = self._tip_at(now_s)
        if tip is not None and _apart(tip, self._undone_at_mm):
            self._undone_at_mm = None

    def _tip_at(self, now_s: float) -> FloatArray | None:
        track = self._track(now_s - DWELL_S)
        return track.tips_reference_mm[-1] if len(track) else None

    def _held(self, now_s: float) -> Touch | None:
        """Where the tip rests now, for one who asks for it."""
        track = recent(self._track, now_s, self._from_s)
        return rested_at(track, float(track.times_s[-1])) if len(track) else None

    def _rests(self, now_s: float) -> Iterator[Touch]:
        """Where the tip rested since the last look, oldest first. A late tick misses none."""
        looked_s, self._looked_s = self._looked_s, now_s
        track = recent(self._track, looked_s, self._from_s)
        if not len(track):
            return
        newest_s = float(track.times_s[-1])
        count = int(max(newest_s - looked_s, 0.0) // LOOK_S)
        for step in range(count, -1, -1):
            touch = self._rested(track, newest_s - step * LOOK_S)
            if touch is not None:
                yield touch

    def _rested(self, track: TipTrack, end_s: float) -> Touch | None:
        """Whether the tip rested through the dwell that ends at `end_s`."""
        return rested_at(track, end_s)

    def _is_new(self, touch: Touch) -> bool:
        known = [taken.reference_mm for taken in self.touches if taken is not None]
        known.extend(self._trays)
        if self._undone_at_mm is not None:
            known.append(self._undone_at_mm)
        return all(_apart(place, touch.reference_mm) for place in known)

    def _doubt(self, touch: Touch) -> str | None:
        """Distances between the points are the same in their own frame and as touched, nearly."""
        index = self.next_index
        assert index is not None
        for other, taken in enumerate(self.touches):
            if taken is None:
                continue
            apart_mm = self.positions_mm[index] - self.positions_mm[other]
            planned = float(np.linalg.norm(apart_mm))
            found = float(np.linalg.norm(touch.reference_mm - taken.reference_mm))
            if abs(found - planned) > self.max_misfit_mm:
                return (
                    f"This is {found:.0f} mm from {self.names[other]}; {self.names[index]} is "
                    f"{planned:.0f} mm from it {self.where}"
                )
        return None

    def _take(self, touch: Touch, now_s: float) -> None:
        touches = list(self.touches)
        index = self.next_index
        assert index is not None
        touches[index] = touch
        self.touches, self._undone_at_mm, self.doubt = tuple(touches), None, None
        # What follows has to rest anew: the same dwell counts once.
        self._from_s = self._looked_s = touch.time_s
        self._fit(now_s)

    def _touched(self) -> tuple[list[int], list[FloatArray]]:
        """Numbers of the points touched so far, and the tip (3,) in `reference`, mm, at each."""
        found = [(index, one) for index, one in enumerate(self.touches) if one is not None]
        return [index for index, _ in found], [one.reference_mm for _, one in found]

    def _fit(self, now_s: float) -> None:
        """Work out what was touched so far."""
        raise NotImplementedError


def _apart(place_mm: FloatArray, other_mm: FloatArray) -> bool:
    return float(np.linalg.norm(place_mm - other_mm)) > APART_MM
