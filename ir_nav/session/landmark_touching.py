"""Fiducials of the CT touched with the stylus, and the fit of those that count."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ir_nav.geometry import GeometryError
from ir_nav.registration import LandmarkFit, RegistrationError, register_landmarks
from ir_nav.registration.matching import match_points
from ir_nav.session.errors import SessionError
from ir_nav.session.resting import Touch, Track
from ir_nav.session.touch_errors import NO_ERRORS, TouchErrors, touch_covariances_mm2
from ir_nav.session.touching import Fiducial, Hindrance, Touching, no_track

LEAST = 3
# Points that were touched by mistake, when the order is free.
STRAYS = 3


def _unheard(words: str) -> None:
    return None


def _unhindered(now_s: float) -> str | None:
    return None


class LandmarkTouching(Touching):
    """Fiducials of the CT touched one after the other, or in any order, and the fit of what was
    touched so far and counts.

    candidate: None for too few points. excluded: names of fiducials that do not count.
    any_order: what was touched is matched to the fiducials; matched: number of the touch for
    each fiducial that has one. on_no_fit is told why points were not fitted. errors: what every
    touch shares.
    """

    def __init__(
        self,
        fiducials: tuple[Fiducial, ...] = (),
        track: Track = no_track,
        now_s: float = 0.0,
        on_no_fit: Callable[[str], None] = _unheard,
        *,
        any_order: bool = False,
        hindrance: Hindrance = _unhindered,
        errors: TouchErrors = NO_ERRORS,
    ) -> None:
        self.fiducials = fiducials
        self._errors = errors
        self.any_order = any_order
        self.candidate: LandmarkFit | None = None
        self.excluded: frozenset[str] = frozenset()
        self.matched: dict[int, int] = {}
        self._on_no_fit = on_no_fit
        # What undo takes back: names that were left out or let in, None for a touch.
        self._steps: list[str | None] = []
        positions = np.array([one.ct_mm for one in fiducials]).reshape(-1, 3)
        names = tuple(one.name for one in fiducials)
        if any_order:
            slots = len(fiducials) + STRAYS
            names = tuple(f"point {number}" for number in range(1, slots + 1))
        super().__init__(names, positions, track, now_s, hindrance)

    @property
    def strays(self) -> int:
        """How many touched points belong to no fiducial, as far as that is known."""
        return self.count - len(self.matched) if self.matched else 0

    def toggle(self, name: str, now_s: float) -> None:
        """Leave a touched fiducial out of the fit, or let it in again.

        SessionError for one that was not touched, and when fewer than three would count.
        """
        known = {self.fiducials[index].name for index in self.matched}
        if name not in known:
            raise SessionError(f"{name} was not touched yet")
        excluded = self.excluded ^ {name}
        if name in excluded and len(known - excluded) < LEAST:
            raise SessionError(f"{LEAST} fiducials at least have to count: touch another one first")
        self.excluded = excluded
        self._steps.append(name)
        self._fit(now_s)

    def undo(self, now_s: float) -> None:
        """Take back the last step: a touch, or a fiducial left out or let in."""
        step = self._steps.pop() if self._steps else None
        if step is None:
            super().undo(now_s)
        else:
            self.excluded ^= {step}
            self._fit(now_s)

    def redo(self, index: int, now_s: float) -> None:
        """As Touching.redo; the fiducial counts again."""
        if not self.any_order:
            self.excluded -= {self.names[index]}
        super().redo(index, now_s)

    def _take(self, touch: Touch, now_s: float) -> None:
        self._steps.append(None)
        super()._take(touch, now_s)

    def _doubt(self, touch: Touch) -> str | None:
        return None if self.any_order else super()._doubt(touch)

    def _fit(self, now_s: float) -> None:
        self.candidate = None
        try:
            self.matched = self._match()
            kept = [one for one in self.matched if self.fiducials[one].name not in self.excluded]
            if len(kept) >= LEAST:
                self.candidate = self._fitted(kept, now_s)
        except (GeometryError, RegistrationError) as error:
            self.doubt = f"No fit: {error}"
            self._on_no_fit(str(error))

    def _fitted(self, kept: list[int], now_s: float) -> LandmarkFit:
        """By the fiducials of these numbers."""
        in_ct = np.array([self.fiducials[index].ct_mm for index in kept])
        taken = [self.touches[self.matched[index]] for index in kept]
        touches = [touch for touch in taken if touch is not None]
        return register_landmarks(
            tuple(self.fiducials[index].name for index in kept),
            in_ct,
            [touch.reference_mm for touch in touches],
            now_s,
            errors_reference_mm2=touch_covariances_mm2(touches, in_ct, self._errors),
        )

    def _match(self) -> dict[int, int]:
        """Number of the touch of each fiducial; RegistrationError when the order is free and
        what was touched does not tell."""
        numbers, touched = self._touched()
        if not self.any_order:
            return {number: number for number in numbers}
        self.matched = {}
        if len(numbers) < min(LEAST + 1, len(self.fiducials)):
            return {}
        names = tuple(one.name for one in self.fiducials)
        found = match_points(touched, self.positions_mm, names=names)
        return dict(sorted((marker, numbers[point]) for point, marker in found.pairs))
