"""CT to patient."""

from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.landmarks import LandmarkFit, register_landmarks
from ir_nav.registration.registration import Method, Registration, Residual

__all__ = [
    "LandmarkFit",
    "Method",
    "Registration",
    "RegistrationError",
    "Residual",
    "register_landmarks",
]
