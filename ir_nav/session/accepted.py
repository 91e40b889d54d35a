"""Registrations that were accepted, and what they have to keep."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ir_nav.planning.protocol import RegistrationRules
from ir_nav.registration import Registration
from ir_nav.session.errors import SessionError


@dataclass(frozen=True, slots=True, eq=False)
class Accepted:
    """A registration that guidance went by. accepted_s: Unix time. tre_mm: predicted at the
    target of then. expired: why it may not be used again, or ""."""

    registration: Registration
    accepted_s: float
    tre_mm: float
    expired: str = ""

    def ended(self, reason: str) -> Accepted:
        """The same, expired; the first reason stays."""
        return self if self.expired else replace(self, expired=reason)


def require_kept(
    found: Registration, tre_mm: float, rules: RegistrationRules, *, confirmed: bool
) -> None:
    """SessionError when a registration was refused by its method, or its error at the target is
    above what the protocol allows, or wants to be confirmed."""
    if not found.accepted:
        raise SessionError(f"this registration was refused: {found.reason}")
    if tre_mm > rules.max_tre_mm:
        raise SessionError(f"{tre_mm:.1f} mm predicted at the target: {cure(found)}")
    if tre_mm > rules.good_tre_mm and not confirmed:
        raise SessionError(f"{tre_mm:.1f} mm predicted at the target: confirm to accept it")


def cure(found: Registration) -> str:
    """What to do about an error that is too large."""
    return "touch the points again" if found.method == "landmarks" else "register again"


def age_words(found: Registration, rules: RegistrationRules, now_s: float) -> str | None:
    """Why a registration is too old at `now_s` (Unix time), or None."""
    if now_s - found.created_s < 60.0 * rules.max_age_min:
        return None
    return f"the registration is older than {rules.max_age_min:g} minutes"
