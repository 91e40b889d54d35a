"""A phantom's landmarks touched with the stylus: where the phantom lies in the reference."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ir_nav.session.pivoted_rests import PivotedRests
from ir_nav.session.resting import (
    LATEST_POSE_S,
    TipTrack,
    Touch,
    Track,
    dwell_until,
    is_whole,
    mean_touch,
    recent,
    rested_at,
)
from ir_nav.session.touching import Touching
from ir_nav.tracking.calibration.landmark_recording import (
    MIN_LANDMARKS,
    TOUCH_MM,
    PhantomRegistration,
    match_phantom,
)
from ir_nav.tracking.calibration.phantom import Phantom
from ir_nav.tracking.calibration.pivot import largest_turn_deg
from ir_nav.tracking.calibration.result import CalibrationError

# A phantom is rigid and its landmarks are drilled: what is further off is another landmark.
MAX_MISFIT_MM = 4.0
# A stylus held still turns less in a dwell; one that is pivoted leans at any instant, and an
# error of its tip's calibration leans with it: such a rest counts from where it was set down.
HELD_STILL_DEG = 10.0


class PhantomTouching(Touching):
    """The named landmarks one after the other, and the fit of those touched so far. A landmark
    is taken where the stylus is held still, or is pivoted with its tip in place.

    found: None for fewer than four, or where `fault` says why they cannot be fitted.
    """

    what = "landmark"
    how = "hold the stylus still on the landmark, or pivot it there about its tip"
    where = "on the phantom"
    max_misfit_mm = MAX_MISFIT_MM

    def __init__(self, phantom: Phantom, track: Track, now_s: float) -> None:
        self.found: PhantomRegistration | None = None
        self.fault: str | None = None
        self._pivoted = PivotedRests()
        super().__init__(phantom.landmark_names, phantom.landmarks_mm, track, now_s)

    def residuals_mm(self) -> tuple[float | None, ...]:
        """Of each landmark, None where it was not touched or nothing is fitted yet."""
        if self.found is None:
            return (None,) * len(self.names)
        known = dict(zip(self.found.landmarks, self.found.residuals_mm, strict=True))
        return tuple(
            float(known[index]) if index in known else None for index in range(len(self.names))
        )

    def worst(self) -> int | None:
        """Number of the landmark that fits worst."""
        if self.found is None:
            return None
        return self.found.landmarks[int(np.argmax(self.found.residuals_mm))]

    def _rests(self, now_s: float) -> Iterator[Touch]:
        yield from super()._rests(now_s)
        pivoted = self._pivoted
        if pivoted.first_s <= self._from_s:
            pivoted.forget()
        pivoted.add(self._track(max(self._from_s, pivoted.newest_s)))
        touch = pivoted.look()
        if touch is not None:
            yield touch

    def _held(self, now_s: float) -> Touch | None:
        pivoted = self._pivoted
        if pivoted.first_s > self._from_s and pivoted.newest_s >= now_s - LATEST_POSE_S:
            touch = pivoted.found()
            if touch is not None:
                return touch
        track = recent(self._track, now_s, self._from_s)
        if not len(track):
            return None
        dwell = dwell_until(track, float(track.times_s[-1]))
        return _leaning(dwell) or rested_at(track, float(track.times_s[-1]))

    def _rested(self, track: TipTrack, end_s: float) -> Touch | None:
        dwell = dwell_until(track, end_s)
        if largest_turn_deg(dwell.reference_from_tip) > HELD_STILL_DEG:
            return None
        return rested_at(track, end_s)

    def _fit(self, now_s: float) -> None:
        numbers, touched = self._touched()
        self.found, self.fault = None, None
        if len(numbers) < MIN_LANDMARKS:
            return
        try:
            fit = match_phantom(self.positions_mm[numbers], np.array(touched))
        except CalibrationError as error:
            self.fault = str(error)
            return
        self.found = PhantomRegistration(
            fit.reference_from_phantom,
            tuple(numbers),
            fit.dwells,
            fit.residuals_mm,
            fit.error_mm,
            self._refusal(fit, numbers),
        )

    def _refusal(self, fit: PhantomRegistration, numbers: list[int]) -> str | None:
        if fit.reason is None:
            return None
        worst = self.names[numbers[int(np.argmax(fit.residuals_mm))]]
        return (
            f"{fit.error_mm.mean:.1f} mm mean error is above 1 mm: touch {worst} again, "
            "it fits worst"
        )


def _leaning(dwell: TipTrack) -> Touch | None:
    """Where the tip stays through a dwell in which the stylus is pivoted, or None."""
    tips = dwell.tips_reference_mm
    if not is_whole(dwell.times_s) or largest_turn_deg(dwell.reference_from_tip) < HELD_STILL_DEG:
        return None
    touch = mean_touch(tips, dwell.times_s)
    apart_mm = np.linalg.norm(tips - touch.reference_mm, axis=1)
    return touch if apart_mm.max() < TOUCH_MM else None
