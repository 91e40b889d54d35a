"""A phantom's landmarks touched with the stylus: where the phantom lies in the reference."""

from __future__ import annotations

import numpy as np

from ir_nav.session.touching import Touching, Track
from ir_nav.tracking.calibration.landmark_recording import (
    MIN_LANDMARKS,
    PhantomRegistration,
    match_phantom,
)
from ir_nav.tracking.calibration.phantom import Phantom
from ir_nav.tracking.calibration.result import CalibrationError

# A phantom is rigid and its landmarks are drilled: what is further off is another landmark.
MAX_MISFIT_MM = 4.0


class PhantomTouching(Touching):
    """The named landmarks one after the other, and the fit of those touched so far.

    found: None for fewer than four, or where `fault` says why they cannot be fitted.
    """

    what = "landmark"
    where = "on the phantom"
    max_misfit_mm = MAX_MISFIT_MM

    def __init__(self, phantom: Phantom, track: Track, now_s: float) -> None:
        self.found: PhantomRegistration | None = None
        self.fault: str | None = None
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
