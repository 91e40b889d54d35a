"""A calibration that is in use: since when, until when, and which one it took the place of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from ir_nav.session.collection import CALIBRATION_LIFE_S

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class InUse(Generic[T]):
    """result: None while nothing was measured or loaded: the room file's word holds. made_s:
    when it was measured, or loaded where its file does not say (Unix time). file: name of the
    file that it was loaded from. expired: older than CALIBRATION_LIFE_S, see `aged`. before: the
    one that this took the place of."""

    result: T | None = None
    made_s: float | None = None
    file: str | None = None
    expired: bool = False
    before: InUse[T] | None = None

    @property
    def valid(self) -> T | None:
        """The result, or None once it has expired."""
        return None if self.expired else self.result

    def expires_in_s(self, now_s: float) -> float | None:
        """Time left, s, 0 or less once it has expired; None where it does not expire."""
        return None if self.made_s is None else self.made_s + CALIBRATION_LIFE_S - now_s

    def aged(self, now_s: float) -> InUse[T]:
        """This as it stands at `now_s` (Unix time)."""
        left_s = self.expires_in_s(now_s)
        expired = left_s is not None and left_s <= 0.0
        return self if expired == self.expired else replace(self, expired=expired)

    def taken(self, result: T, made_s: float, file: str | None = None) -> InUse[T]:
        """With another in its place."""
        return InUse(result, made_s, file, before=self)
