"""What the tip's position may be off by, part by part."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

# 95th percentile of an isotropic three-dimensional error over its rms: sqrt(chi2(0.95, 3) / 3).
RADIUS_95_OVER_RMS = 1.614


@dataclass(frozen=True, slots=True)
class ErrorBudget:
    """Root-mean-square contributions to the tip's error, mm, taken as independent.

    registration: TRE predicted at the tip. calibration: standard error of the tip offset.
    tracker: scatter of the needle and reference poses carried to the tip. delay: tip speed
    times the age of the pose. breathing: distance from end-expiration.
    """

    registration_mm: float
    calibration_mm: float
    tracker_mm: float
    delay_mm: float
    breathing_mm: float

    @property
    def rms_mm(self) -> float:
        parts = (
            self.registration_mm,
            self.calibration_mm,
            self.tracker_mm,
            self.delay_mm,
            self.breathing_mm,
        )
        return sqrt(sum(part * part for part in parts))

    @property
    def radius_95_mm(self) -> float:
        """Radius that holds the true tip in 95 % of cases, were the parts Gaussian."""
        return RADIUS_95_OVER_RMS * self.rms_mm
