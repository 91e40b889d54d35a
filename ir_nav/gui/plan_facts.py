"""What is said about a drafted path, as names, values and moods."""

from __future__ import annotations

from dataclasses import dataclass

from ir_nav.geometry import FloatArray
from ir_nav.gui.patient_terms import axial_words, craniocaudal_words, place_words
from ir_nav.planning import Criterion, Plan, Protocol
from ir_nav.planning.findings import WORDS
from ir_nav.session.case import Findings, PlanDraft

SKIN_ANGLE = WORDS[Criterion.SKIN_ANGLE][0]
FACTS = (
    "Target",
    "Entry",
    "Length",
    SKIN_ANGLE,
    "Craniocaudal",
    "In axial plane",
    "Limited by",
    "Clear by",
)


@dataclass(frozen=True, slots=True)
class Fact:
    """mood: '', 'good' or 'bad'."""

    name: str
    value: str = ""
    mood: str = ""


def path_state(draft: PlanDraft) -> str:
    """In a word or two, how far the path is."""
    if draft.path is not None:
        return f"{draft.path.length_mm:.0f} mm"
    return "" if draft.target_ct_mm is None else "target"


def needle_state(plan: Plan | None, protocol: Protocol) -> str:
    """What the plan is for: '18 G', or '2 of 3' needles."""
    if plan is None:
        return ""
    if protocol.insertions > 1 or len(plan.paths) > 1:
        return f"{len(plan.paths)} of {max(protocol.insertions, len(plan.paths))}"
    return f"{plan.needle.gauge} G"


def plan_facts(
    draft: PlanDraft, found: Findings | None, protocol: Protocol, skin_deg: float | None
) -> tuple[Fact, ...]:
    """One fact for each name of FACTS."""
    points = (
        Fact("Target", _place(draft.target_ct_mm, draft.structure)),
        Fact("Entry", _place(draft.entry_ct_mm, "")),
    )
    if found is None:
        return points + tuple(Fact(name) for name in FACTS[2:])
    skin_deg = _measured_deg(found, skin_deg)
    within = protocol.min_length_mm <= found.length_mm <= protocol.max_length_mm
    path = draft.path
    steep = skin_deg is not None and skin_deg > protocol.max_skin_angle_deg
    return (
        *points,
        Fact("Length", f"{found.length_mm:.0f} mm", "" if within else "bad"),
        Fact(
            SKIN_ANGLE,
            "" if skin_deg is None else f"{skin_deg:.0f}°",
            "bad" if steep else "",
        ),
        Fact("Craniocaudal", craniocaudal_words(found.axial_angle_deg)),
        Fact("In axial plane", "" if path is None else axial_words(path.direction_ct)),
        *_clearance_facts(found),
    )


def _measured_deg(found: Findings, seen_deg: float | None) -> float | None:
    """The angle to the skin as the limit is held against it; as the 3D view has it until then."""
    limits = found.limits or ()
    return next((item.value for item in limits if item.name == SKIN_ANGLE), seen_deg)


def _clearance_facts(found: Findings) -> tuple[Fact, Fact]:
    limit = found.clearance
    if limit is None:
        words = "being measured" if found.limits is None else "nothing within 25 mm"
        return Fact("Limited by", words), Fact("Clear by")
    words = f"{limit.value:.1f} mm, {limit.limit_words}".replace("-", "−")
    return (
        Fact("Limited by", limit.structure),
        Fact("Clear by", words, "good" if limit.passes else "bad"),
    )


def _place(point_ct_mm: FloatArray | None, structure: str) -> str:
    if point_ct_mm is None:
        return ""
    words = place_words(point_ct_mm)
    return f"{structure}\n{words}" if structure else words
