"""A whole plan held against its protocol: every needle, as deep as its instrument goes."""

from __future__ import annotations

from dataclasses import replace

from ir_nav.planning.criteria import clearances_mm
from ir_nav.planning.finding import PlanFinding
from ir_nav.planning.findings import CLEARANCE, clearance_findings, findings
from ir_nav.planning.ground import Ground
from ir_nav.planning.instrument_findings import deepest_paths, instrument_findings
from ir_nav.planning.instruments import Drainage, Instrument
from ir_nav.planning.needle_pairs import spacing_findings
from ir_nav.planning.plan import Plan
from ir_nav.planning.protocol import Protocol
from ir_nav.planning.target_mask import TargetMask


def plan_findings(
    ground: Ground, protocol: Protocol, plan: Plan, target: TargetMask | None
) -> tuple[PlanFinding, ...]:
    """Limits of every path, clearances along its deepest line, then what happens in the target.

    The shaft is as thick as the protocol's needle or the plan's instrument, whichever is more.
    """
    radius_mm = max(protocol.needle.radius_mm, _radius_mm(plan.instrument))
    lines = list(zip(plan.paths, deepest_paths(plan), strict=True))
    found: list[PlanFinding] = []
    for number, (path, deepest) in enumerate(lines, start=1):
        clear = clearance_findings(ground, protocol, clearances_mm(ground, deepest, radius_mm))
        others = [one for one in findings(ground, protocol, path) if one.name != CLEARANCE]
        mark = f", needle {number}" if len(lines) > 1 else ""
        found += [replace(one, name=one.name + mark) for one in (*clear, *others)]
    found += spacing_findings(plan, protocol.needle_spacing_mm)
    return (*found, *instrument_findings(plan, target))


def _radius_mm(instrument: Instrument) -> float:
    needle_mm = instrument.needle.outer_diameter_mm
    if isinstance(instrument, Drainage):
        needle_mm = max(needle_mm, instrument.catheter.outer_diameter_mm)
    return needle_mm / 2.0
