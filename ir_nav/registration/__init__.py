"""CT to patient."""

from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.landmarks import (
    GOOD_TRE_MM,
    MAX_TRE_MM,
    LandmarkRegistration,
    register_landmarks,
    tre_over_fle,
)
from ir_nav.registration.registration import Method, Registration, Residual

__all__ = [
    "GOOD_TRE_MM",
    "MAX_TRE_MM",
    "LandmarkRegistration",
    "Method",
    "Registration",
    "RegistrationError",
    "Residual",
    "register_landmarks",
    "tre_over_fle",
]
