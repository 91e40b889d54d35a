"""One thing known about a plan: a number, the limit it is held against, and whether it keeps it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlanFinding:
    """A measured quantity of a plan.

    name: the quantity in the user's words, e.g. "Clearance". structure: what it was measured
    against, "" where there is none. value and limit: in `unit` ("mm", "°", "%", "mm³", ...);
    limit is None where the quantity only informs. hard: a plan that misses the limit is not
    allowed, otherwise it is only dearer. passes: whether the limit is kept; True without one.
    """

    name: str
    structure: str
    value: float
    unit: str
    limit: float | None
    hard: bool
    passes: bool

    def words(self) -> str:
        """One line: "Clearance to Vessel: 7.2 mm (limit 5 mm), kept"."""
        subject = f"{self.name} to {self.structure}" if self.structure else self.name
        value = f"{subject}: {self.value:.1f} {self.unit}".rstrip()
        if self.limit is None:
            return value
        verdict = "kept" if self.passes else ("NOT KEPT" if self.hard else "not reached")
        return f"{value} (limit {self.limit:g} {self.unit}), {verdict}"
