"""What a plan is aimed at: an outlined target, or a bare point in something that is none."""

from __future__ import annotations

from dataclasses import dataclass

from ir_nav.imaging import LabelMap
from ir_nav.planning.plan import Plan
from ir_nav.planning.protocol import Protocol, Role, StructureRule
from ir_nav.planning.target_mask import TargetMask


@dataclass(frozen=True, slots=True)
class Aim:
    """target: its voxels, None where no target is outlined. words: 'Lesion', or 'point in Liver,
    no lesion outlined'."""

    target: TargetMask | None
    words: str


def aim_of(plan: Plan, labels: LabelMap | None, protocol: Protocol) -> Aim:
    """What the plan's structure is by the protocol. The share of a sample or a zone that lies in
    an organ round a point says nothing of the target: then there is no target."""
    name = plan.structure
    mask = None if labels is None or not name else TargetMask.shown_as(labels, name)
    if labels is None or mask is None:
        return Aim(None, name or "point, no structure named")
    rule = _rule_of(name, labels, protocol)
    if rule is not None and rule.role is Role.TARGET:
        return Aim(mask, name)
    wanted = next((one.name for one in protocol.structures if one.role is Role.TARGET), "target")
    return Aim(None, f"point in {name}, no {wanted.lower()} outlined")


def _rule_of(name: str, labels: LabelMap, protocol: Protocol) -> StructureRule | None:
    """The first rule that names one of the labels shown under this name."""
    shown = {number for number in labels.names if labels.display_name(number) == name}
    for rule in protocol.structures:
        if any(shown & set(labels.ids_named(pattern)) for pattern in rule.patterns):
            return rule
    return None
