"""What every registration carries, whatever method found it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from ir_nav.geometry import FloatArray, Transform, read_only
from ir_nav.registration.errors import RegistrationError


class Method(StrEnum):
    """How a registration was found."""

    LANDMARKS = "landmarks"
    SURFACE = "surface"
    FLUORO = "fluoro"
    ULTRASOUND = "ultrasound"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Residual:
    """What one input leaves: a landmark's distance in mm, a frame's dissimilarity."""

    name: str
    value: float
    unit: str = "mm"


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """A finished registration of the CT; never changed after.

    ct_from_reference: `reference` is the body fixed to the patient; for C-arm frames outside the
    console, whatever frame their poses are stated in.
    covariance: (6, 6) of the error motion in CT axes about `about_ct_mm` (3,): translation (mm),
    then rotation vector (deg): true ct_from_reference = motion @ ct_from_reference.
    confidence: 0 to 1, how sure the method is of having found the right place at all.
    evaluations: of the similarity or of the fit. created_s: Unix time.
    accepted, reason: the method's own gate; reason says in words why it is refused, or "".
    inputs: what it was made from, in words, one line each.
    """

    method: Method
    ct_from_reference: Transform
    residuals: tuple[Residual, ...]
    covariance: FloatArray
    about_ct_mm: FloatArray
    confidence: float
    evaluations: int
    seconds: float
    created_s: float
    accepted: bool
    reason: str = ""
    inputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        covariance, about = read_only(self.covariance), read_only(self.about_ct_mm)
        if covariance.shape != (6, 6) or about.shape != (3,):
            raise RegistrationError("a covariance is (6, 6), about a point (3,)")
        object.__setattr__(self, "covariance", covariance)
        object.__setattr__(self, "about_ct_mm", about)

    @property
    def residual_rms_mm(self) -> float | None:
        """Root mean square of the residuals in mm; None where the method leaves none in mm."""
        values = [one.value for one in self.residuals if one.unit == "mm"]
        return float(np.sqrt(np.mean(np.square(values)))) if values else None

    def covariance_mm2(self, point_ct_mm: ArrayLike) -> FloatArray:
        """(3, 3) of the error at a point (3,) in `ct`, mm squared.

        First order: displacement = translation + rotation x (point - about).
        """
        x, y, z = np.asarray(point_ct_mm, dtype=np.float64) - self.about_ct_mm
        turned = np.array([[0.0, z, -y], [-z, 0.0, x], [y, -x, 0.0]])
        jacobian = np.hstack([np.eye(3), np.radians(turned)])
        return np.asarray(jacobian @ self.covariance @ jacobian.T)

    def tre_mm(self, point_ct_mm: ArrayLike) -> float:
        """Target registration error predicted at a point (3,) in `ct`, rms mm."""
        return float(np.sqrt(max(float(np.trace(self.covariance_mm2(point_ct_mm))), 0.0)))

    def refused(self, reason: str) -> Self:
        """The same, not accepted, with the reason."""
        return replace(self, accepted=False, reason=reason)
