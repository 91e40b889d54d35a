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
    most: the limit is the largest value allowed; otherwise the smallest. group: the protocol's
    name for the kind of structure, "" where there is none.
    """

    name: str
    structure: str
    value: float
    unit: str
    limit: float | None
    hard: bool
    passes: bool
    most: bool = False
    group: str = ""

    @property
    def limit_words(self) -> str:
        """The limit with its direction: "at least 5 mm", "at most 60°"; "" without a limit."""
        if self.limit is None:
            return ""
        close = self.unit in {"", "°", "%"}
        unit = self.unit if close else f" {self.unit}"
        return f"at {'most' if self.most else 'least'} {self.limit:g}{unit}"

    def words(self) -> str:
        """One line: "Clearance to Vessel: 7.2 mm (at least 5 mm), kept"."""
        subject = f"{self.name} to {self.structure}" if self.structure else self.name
        value = f"{subject}: {self.value:.1f} {self.unit}".rstrip()
        if self.limit is None:
            return value
        verdict = "kept" if self.passes else ("NOT KEPT" if self.hard else "wish not met")
        return f"{value} ({self.limit_words}), {verdict}"
