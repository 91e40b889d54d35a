"""How the needles of one plan lie to each other: apart at the shafts and tips, and their angle."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ir_nav.geometry import angle_between_deg
from ir_nav.planning.finding import PlanFinding
from ir_nav.planning.path import PlannedPath
from ir_nav.planning.plan import Plan

# Below this share of the product of lengths two shafts count as parallel.
PARALLEL = 1e-9


@dataclass(frozen=True, slots=True)
class NeedlePair:
    """Two needles by their numbers, counted from 1. shafts_mm: least distance of their axes
    between skin and tip. entries_mm, tips_mm: of their ends. angle_deg: between the shafts."""

    first: int
    second: int
    shafts_mm: float
    entries_mm: float
    tips_mm: float
    angle_deg: float

    def words(self) -> str:
        """'1 and 2: tips 15 mm apart, shafts 10 mm, 7° between them'."""
        return (
            f"{self.first} and {self.second}: tips {self.tips_mm:.0f} mm apart, "
            f"shafts {self.shafts_mm:.0f} mm, {self.angle_deg:.0f}° between them"
        )


def needle_pairs(plan: Plan) -> tuple[NeedlePair, ...]:
    """Every two needles of a plan; none for a plan with one."""
    numbered = enumerate(plan.paths, start=1)
    return tuple(
        NeedlePair(
            number,
            other,
            shafts_apart_mm(one, two),
            float(np.linalg.norm(one.entry_ct_mm - two.entry_ct_mm)),
            float(np.linalg.norm(one.target_ct_mm - two.target_ct_mm)),
            angle_between_deg(one.direction_ct, two.direction_ct),
        )
        for (number, one), (other, two) in combinations(numbered, 2)
    )


def spacing_findings(plan: Plan, spacing_mm: float) -> tuple[PlanFinding, ...]:
    """Every two needles held against the least distance of their shafts, entries among them."""
    return tuple(
        PlanFinding(
            f"Needles {pair.first} and {pair.second} apart",
            "",
            pair.shafts_mm,
            "mm",
            spacing_mm,
            True,
            pair.shafts_mm >= spacing_mm,
        )
        for pair in needle_pairs(plan)
    )


def shafts_apart_mm(first: PlannedPath, second: PlannedPath) -> float:
    """Least distance of two straight pieces (Ericson, Real-Time Collision Detection, 2005,
    section 5.1.9)."""
    along, beside = first.direction_ct, second.direction_ct
    between = first.entry_ct_mm - second.entry_ct_mm
    cosine = float(along @ beside)
    spread = 1.0 - cosine**2
    ahead, behind = float(along @ between), float(beside @ between)
    at = 0.0
    if spread > PARALLEL:
        at = float(np.clip((cosine * behind - ahead) / spread, 0.0, first.length_mm))
    other = cosine * at + behind
    if not 0.0 <= other <= second.length_mm:
        other = float(np.clip(other, 0.0, second.length_mm))
        at = float(np.clip(cosine * other - ahead, 0.0, first.length_mm))
    return float(np.linalg.norm(between + at * along - other * beside))
