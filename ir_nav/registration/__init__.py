"""CT to patient."""

from ir_nav.registration.landmarks import (
    GOOD_TRE_MM,
    MAX_TRE_MM,
    LandmarkRegistration,
    register_landmarks,
    tre_over_fle,
)

__all__ = [
    "GOOD_TRE_MM",
    "MAX_TRE_MM",
    "LandmarkRegistration",
    "register_landmarks",
    "tre_over_fle",
]
