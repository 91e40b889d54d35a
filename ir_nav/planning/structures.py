"""Which structure each voxel belongs to, and what the protocol makes of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ir_nav.imaging import BoolArray, LabelMap, Volume
from ir_nav.imaging.specks import without_specks
from ir_nav.imaging.volume import frozen_view
from ir_nav.planning.distance_kernels import mark_present, relabel
from ir_nav.planning.plan_errors import PlanError
from ir_nav.planning.protocol import Protocol, Role, StructureRule
from ir_nav.threads import in_ranges

MOST = 255
NO_GROUP = -1
# Noise, clips and calcified vessels reach bone's CT numbers in pieces smaller than this; a path
# through the liver would be refused for one voxel of them.
SPECK_MM3 = 30.0


@dataclass(frozen=True, slots=True)
class Structure:
    """A structure of this patient. label: id in the label map, None when found by CT number.

    group: index into Protocol.kept of the rule it is kept away by, or NO_GROUP.
    """

    name: str
    label: int | None
    role: Role
    margin_mm: float
    group: int
    organ: bool = False
    pleura: bool = False
    shadows: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Structures:
    """ids: (k, j, i) uint8, 0 for none, else 1 + index into `known`."""

    ids: NDArray[np.uint8]
    known: tuple[Structure, ...]

    def flags(self, name: str) -> BoolArray:
        """(256,) which ids have the flag `organ`, `pleura` or `shadows`."""
        chosen = np.zeros(MOST + 1, dtype=np.bool_)
        for index, structure in enumerate(self.known):
            chosen[index + 1] = getattr(structure, name)
        return chosen

    def groups(self) -> NDArray[np.int8]:
        """(256,) group of each id, NO_GROUP for none."""
        found = np.full(MOST + 1, NO_GROUP, dtype=np.int8)
        for index, structure in enumerate(self.known):
            found[index + 1] = structure.group
        return found


def find_structures(
    volume: Volume, labels: LabelMap | None, body: BoolArray, protocol: Protocol
) -> Structures:
    """Give every voxel its structure.

    A voxel whose label a rule names is what its label says. A rule that matches no label of
    the map finds its structure by CT number among the voxels no rule claims, where it says how.
    labels: on the volume's grid. body: (k, j, i), the patient. Raises PlanError when the grids
    differ.
    """
    if labels is not None and labels.voxels.shape != volume.voxels.shape:
        raise PlanError("the label map is not on the CT's grid: read it with the CT")
    known = [] if labels is None else _labelled(labels, protocol)
    ids = np.zeros(volume.voxels.shape, dtype=np.uint8)
    if labels is not None and known:
        voxels = labels.voxels
        table = np.zeros(np.iinfo(voxels.dtype).max + 1, dtype=np.uint8)
        for index, structure in enumerate(known):
            table[structure.label] = index + 1
        in_ranges(len(voxels), lambda piece: relabel(voxels, table, piece, ids))
    claimed = _claimed(known, protocol)
    for number, rule in enumerate(protocol.structures):
        if rule.without_label is None or number in claimed:
            continue
        mask = _by_density(rule, volume, body, ids, known)
        if mask.any():
            known.append(_structure(rule.name, None, rule, protocol))
            ids[mask] = len(known)
    return Structures(frozen_view(ids), tuple(known))


def _present(labels: LabelMap) -> list[int]:
    seen = np.zeros(np.iinfo(labels.voxels.dtype).max + 1, dtype=np.bool_)
    voxels = labels.voxels
    in_ranges(len(voxels), lambda piece: mark_present(voxels, piece, seen))
    return [int(number) for number in np.flatnonzero(seen) if number]


def _labelled(labels: LabelMap, protocol: Protocol) -> list[Structure]:
    present = _present(labels)
    rules: dict[int, StructureRule] = {}
    for rule in protocol.structures:
        for pattern in rule.patterns:
            for number in labels.ids_named(pattern):
                rules.setdefault(number, rule)
    organ = {n for pattern in protocol.organ for n in labels.ids_named(pattern)}
    pleura = {n for pattern in protocol.pleura for n in labels.ids_named(pattern)}
    matters = set(rules) | organ | pleura
    # What nothing in the protocol names only informs: it goes last, as far as there is room.
    ordered = sorted(present, key=lambda number: (number not in matters, number))
    if sum(number in matters for number in present) > MOST - len(protocol.structures):
        raise PlanError(f"the protocol names more than {MOST} labels of this map: it needs fewer")
    return [
        _structure(
            labels.display_name(number),
            number,
            rules.get(number),
            protocol,
            organ=number in organ,
            pleura=number in pleura,
        )
        for number in ordered[: MOST - len(protocol.structures)]
    ]


def _structure(
    name: str,
    label: int | None,
    rule: StructureRule | None,
    protocol: Protocol,
    *,
    organ: bool = False,
    pleura: bool = False,
) -> Structure:
    if rule is None:
        return Structure(name, label, Role.TRAVERSABLE, 0.0, NO_GROUP, organ, pleura)
    group = protocol.kept.index(rule) if rule in protocol.kept else NO_GROUP
    if label is None:
        pleura = any(pattern in protocol.pleura for pattern in rule.patterns)
    return Structure(name, label, rule.role, rule.margin_mm, group, organ, pleura, rule.shadows)


def _claimed(known: list[Structure], protocol: Protocol) -> set[int]:
    """Indices of the rules that a label of this patient stands for."""
    groups = {structure.group for structure in known}
    return {n for n, rule in enumerate(protocol.structures) if _group(rule, protocol) in groups}


def _group(rule: StructureRule, protocol: Protocol) -> int | None:
    return protocol.kept.index(rule) if rule in protocol.kept else None


def _by_density(
    rule: StructureRule,
    volume: Volume,
    body: BoolArray,
    ids: NDArray[np.uint8],
    known: list[Structure],
) -> BoolArray:
    how = rule.without_label
    assert how is not None
    free = np.ones(MOST + 1, dtype=np.bool_)
    for index, structure in enumerate(known):
        free[index + 1] = structure.role is Role.TRAVERSABLE and not structure.organ
    low = -np.inf if how.above_hu is None else how.above_hu
    high = np.inf if how.below_hu is None else how.below_hu
    found = volume.voxels > low if how.below_hu is None else volume.voxels < high
    return without_specks(found & body & free[ids], volume.spacing_mm, SPECK_MM3)


def same_structures(first: Protocol, second: Protocol) -> bool:
    """Whether two protocols make the same structures of a patient; margins may differ."""

    def essence(protocol: Protocol) -> object:
        rules = [
            (rule.name, rule.role, rule.patterns, rule.without_label, rule.shadows)
            for rule in protocol.structures
        ]
        return rules, protocol.organ, protocol.pleura

    return first is second or essence(first) == essence(second)
