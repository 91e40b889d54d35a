"""The scripted operator's acts, each a function of the time since it began."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from hw_mocks.placement import Placement, blend
from ir_nav.geometry import FloatArray, perpendicular_basis, unit

Place = Callable[[float], Placement]
HUB_UP = np.array([0.0, -1.0, 0.0])


@dataclass(frozen=True, slots=True, eq=False)
class Act:
    """One thing the operator does with one tool.

    place(elapsed_s): where the tool is. breath_hold: asked of the patient when the act begins;
    the act waits for it. follows_tissue: the tip moves with the tissue round it.
    says: announced when the act is over.
    """

    tool: str
    duration_s: float
    place: Place
    breath_hold: bool = False
    follows_tissue: bool = False
    says: str | None = None
    starts: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """Key placements with the time to reach each from the one before."""

    start: Placement
    legs: tuple[tuple[float, Placement], ...] = field(default=())

    @property
    def duration_s(self) -> float:
        return sum(leg_s for leg_s, _ in self.legs)

    def __call__(self, elapsed_s: float) -> Placement:
        here = self.start
        for leg_s, there in self.legs:
            if elapsed_s < leg_s:
                return blend(here, there, elapsed_s / leg_s)
            elapsed_s -= leg_s
            here = there
        return here


def pivoting(divot_mm: FloatArray, duration_s: float) -> Place:
    """Tip in a divot, the shaft circling in a widening cone up to 35 deg."""

    def place(elapsed_s: float) -> Placement:
        share = min(1.0, elapsed_s / duration_s)
        tilt = np.radians(35.0) * np.sin(np.pi * min(1.0, share * 1.15) / 2 + 0.15)
        turn = 2.0 * np.pi * 4.0 * share
        lean = np.array([np.cos(turn), 0.0, np.sin(turn)]) * np.sin(tilt)
        return Placement.at(
            divot_mm, np.array([0.0, np.cos(tilt), 0.0]) + lean, 25.0 * np.sin(turn / 3)
        )

    return place


def spinning(divot_mm: FloatArray, duration_s: float) -> Place:
    """Tip in a divot, upright, turned about the shaft by +-110 deg."""

    def place(elapsed_s: float) -> Placement:
        roll = 110.0 * np.sin(2.0 * np.pi * elapsed_s / duration_s)
        return Placement.at(divot_mm, -HUB_UP, roll)

    return place


def touching(
    rest: Placement, points_mm: FloatArray, inward: FloatArray, dwell_s: float, travel_s: float
) -> Course:
    """From the tray to each point in turn, resting on it, and back."""
    legs: list[tuple[float, Placement]] = []
    for point, direction in zip(points_mm, inward, strict=True):
        on_skin = Placement.at(point, direction)
        above = Placement.at(point - 25.0 * direction, direction)
        legs += [(travel_s, above), (0.4 * travel_s, on_skin), (dwell_s, on_skin)]
        legs += [(0.3 * travel_s, above)]
    return Course(rest, (*legs, (2.0 * travel_s, rest)))


@dataclass(frozen=True, slots=True, eq=False)
class Insertion:
    """Key placements of one pass: off course half-way, corrected, on target."""

    approach: Placement
    at_skin: Placement
    aligned: Placement
    astray: Placement
    drawn_back: Placement
    on_target: Placement

    @staticmethod
    def along(entry_mm: FloatArray, target_mm: FloatArray, miss_mm: FloatArray) -> Insertion:
        """miss_mm (3,): where the tip ends beside the target."""
        axis = unit(target_mm - entry_mm)
        right, up = perpendicular_basis(axis, (0.0, 0.0, 1.0))
        length = float(np.linalg.norm(target_mm - entry_mm))
        askew = unit(axis + np.tan(np.radians(4.0)) * up)
        half = entry_mm + 0.6 * length * axis + 4.5 * right
        back = entry_mm + 0.35 * length * axis + 1.0 * right
        end = target_mm + miss_mm
        return Insertion(
            approach=Placement.at(entry_mm - 40.0 * askew, askew),
            at_skin=Placement.at(entry_mm, askew),
            aligned=Placement.at(entry_mm, axis),
            astray=Placement.at(half, half - entry_mm),
            drawn_back=Placement.at(back, back - entry_mm),
            on_target=Placement.at(end, end - entry_mm),
        )
