"""What of a protocol could be looked at on a patient: its structures and its measures."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ir_nav.planning.ground import Ground
from ir_nav.planning.protocol import Criterion, Protocol, StructureRule
from ir_nav.planning.structures import Structure


class Looked(StrEnum):
    """How a kind of structure was looked for."""

    LABELLED = "labelled"
    BY_NUMBER = "looked for by CT number"
    GAS_ONLY = "gas only checked"
    NOT = "not checked"


@dataclass(frozen=True, slots=True)
class GroupLook:
    """One rule that a path keeps away by, and how its structures were looked for."""

    rule: StructureRule
    looked: Looked

    @property
    def checked(self) -> bool:
        return self.looked in {Looked.LABELLED, Looked.BY_NUMBER}


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """A criterion with a limit that this patient's labels cannot answer. lacking: a label that
    would. hard: whether one of its limits is."""

    criterion: Criterion
    lacking: str
    hard: bool


def looked_for(ground: Ground, protocol: Protocol) -> tuple[GroupLook, ...]:
    """One for each rule that is kept away from, in the protocol's order.

    Gas alone does not show a hollow organ: where it is filled with fluid it stays unseen.
    """
    return tuple(
        GroupLook(rule, _looked(rule, _members(ground, group)))
        for group, rule in enumerate(protocol.kept)
    )


def unmeasured(ground: Ground, protocol: Protocol) -> tuple[Unmeasured, ...]:
    """The limited criteria whose organ or lung no label shows."""
    known = ground.structures.known
    organ = any(one.organ for one in known)
    lungs = [one for one in known if one.pleura]
    lobes = len(lungs) > 2 or any("lobe" in one.name.lower() for one in lungs)
    lacking = {
        Criterion.CAPSULE_ANGLE: "" if organ else _stem(protocol.organ),
        Criterion.PARENCHYMA: "" if organ else _stem(protocol.organ),
        Criterion.PLEURA: "" if lungs or _lung_is_kept(protocol) else _stem(protocol.pleura),
        Criterion.FISSURE: "" if lobes else f"{_stem(protocol.pleura)} lobe",
    }
    return tuple(
        Unmeasured(criterion, what, any(limit.hard for limit in protocol.of(criterion)))
        for criterion, what in lacking.items()
        if what and protocol.of(criterion)
    )


def _members(ground: Ground, group: int) -> list[Structure]:
    return [one for one in ground.structures.known if one.group == group]


def _looked(rule: StructureRule, members: list[Structure]) -> Looked:
    labelled = [one for one in members if one.label is not None]
    if labelled and all("gas" in one.name.lower().split() for one in labelled):
        return Looked.GAS_ONLY
    if labelled:
        return Looked.LABELLED
    # What is found by CT number was looked for: where there is none, none is in the way.
    return Looked.NOT if rule.without_label is None else Looked.BY_NUMBER


def _lung_is_kept(protocol: Protocol) -> bool:
    """Whether a rule keeps off the same lung by its CT number: then none is crossed unseen."""
    lung = _stem(protocol.pleura)
    return any(
        rule.without_label is not None and any(_stem((one,)) == lung for one in rule.patterns)
        for rule in protocol.kept
    )


def _stem(patterns: tuple[str, ...]) -> str:
    """'kidney' for 'kidney*': the first pattern as a word."""
    return patterns[0].strip("*_").replace("_", " ") if patterns else "organ"
