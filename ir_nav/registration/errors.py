"""The root of what registration refuses."""

from __future__ import annotations


class RegistrationError(ValueError):
    """A registration cannot be tried, or a file of one cannot be used; says what to do."""
