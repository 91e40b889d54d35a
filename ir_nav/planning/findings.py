"""One path held against every limit of its protocol."""

from __future__ import annotations

import numpy as np

from ir_nav.geometry import FloatArray
from ir_nav.planning.criteria import (
    CLEARANCE_REACH_MM,
    clearances_mm,
    crossings,
    gantry_angles_deg,
    probe_view_percent,
    robust_percent,
    skin_angles_deg,
)
from ir_nav.planning.finding import PlanFinding
from ir_nav.planning.ground import Ground
from ir_nav.planning.looked_for import unmeasured
from ir_nav.planning.path import PlannedPath
from ir_nav.planning.protocol import Criterion, Limit, Protocol
from ir_nav.planning.search import by_criterion
from ir_nav.planning.skin import FACES_SIDE_DEG, side_angles_deg

# An entry placed by hand may lie this far from the skin: a thick slice, and a little.
ON_SKIN_MM = 4.0

CLEARANCE = "Clearance"
WORDS: dict[Criterion, tuple[str, str]] = {
    Criterion.LENGTH: ("Length", "mm"),
    Criterion.SKIN_ANGLE: ("Tilt at the skin", "°"),
    Criterion.CAPSULE_ANGLE: ("To capsule", "°"),
    Criterion.PARENCHYMA: ("Organ before target", "mm"),
    Criterion.PLEURA: ("Pleura crossed", ""),
    Criterion.FISSURE: ("Fissures crossed", ""),
    Criterion.GANTRY: ("Out of axial plane", "°"),
    Criterion.ROBUST: ("Clear when 3 mm, 3° off", "%"),
    Criterion.PROBE: ("Seen by the probe", "%"),
}


def findings(ground: Ground, protocol: Protocol, path: PlannedPath) -> tuple[PlanFinding, ...]:
    """Every criterion of a path; clearances first, the one with the least to spare on top.

    Clearances are exact: from the shaft's surface to the boxes of label voxels. Those beyond
    25 mm and criteria that have no meaning here (no organ on the way) are left out.
    """
    radius_mm = protocol.needle.radius_mm
    nearest = ground.skin.nearest(path.entry_ct_mm)
    clear = clearance_findings(ground, protocol, clearances_mm(ground, path, radius_mm))
    values = _values(ground, protocol, path, ground.skin.normals_ct[nearest])
    judged = [
        finding
        for criterion, value in values.items()
        if np.isfinite(value)
        for finding in _against(criterion, value, protocol.of(criterion))
    ]
    return (*clear, *judged, *_entry(ground, protocol, path, nearest))


def clearance_findings(
    ground: Ground, protocol: Protocol, clearance_mm: FloatArray
) -> tuple[PlanFinding, ...]:
    """Clearances (structures,) against margins and wishes, least room first."""
    found = []
    for structure, distance in zip(ground.structures.known, clearance_mm.tolist(), strict=True):
        if structure.group < 0 or distance > CLEARANCE_REACH_MM:
            continue
        rule = protocol.kept[structure.group]
        kept = distance >= rule.margin_mm
        found.append(
            PlanFinding(
                CLEARANCE,
                structure.name,
                distance,
                "mm",
                rule.margin_mm,
                True,
                kept,
                group=rule.name,
            )
        )
        wish = rule.preferred_mm
        if wish is not None and kept and distance < wish:
            found.append(
                PlanFinding(
                    CLEARANCE, structure.name, distance, "mm", wish, False, False, group=rule.name
                )
            )
    return tuple(sorted(found, key=lambda item: (not item.hard, room_mm(item))))


def limiting(found: tuple[PlanFinding, ...]) -> PlanFinding | None:
    """The clearance with the least room beyond its margin; None when nothing is near."""
    clear = [item for item in found if item.name == CLEARANCE and item.hard]
    return min(clear, key=room_mm, default=None)


def by_group(found: tuple[PlanFinding, ...]) -> tuple[tuple[PlanFinding, ...], ...]:
    """Findings of one quantity and kind of structure together, the worst of each first, in the
    order in which the first of each stands; what has no structure stands alone."""
    groups: dict[tuple[str, str], list[PlanFinding]] = {}
    for number, one in enumerate(found):
        key = (one.name, one.group) if one.group else (one.name, f" {number}")
        groups.setdefault(key, []).append(one)
    return tuple(
        tuple(sorted(group, key=lambda one: (one.passes, not one.hard, room_mm(one))))
        for group in groups.values()
    )


def shared_name(found: tuple[PlanFinding, ...]) -> str:
    """What structures of one kind are called together: the words their names begin with, else the
    protocol's name for them."""
    names = [one.structure.split() for one in found]
    common: list[str] = []
    for words in zip(*names, strict=False):
        if len(set(words)) > 1:
            break
        common.append(words[0])
    name = " ".join(common)
    return found[0].group if name in {"", "Left", "Right"} else name


def room_mm(finding: PlanFinding) -> float:
    """What a clearance has beyond its limit."""
    return finding.value - (finding.limit or 0.0)


def broken(found: tuple[PlanFinding, ...]) -> tuple[PlanFinding, ...]:
    """The hard limits that are not kept."""
    return tuple(item for item in found if item.hard and not item.passes)


def _values(
    ground: Ground, protocol: Protocol, path: PlannedPath, normal_ct: FloatArray
) -> dict[Criterion, float]:
    crossed = crossings(ground, path.target_ct_mm, path.entry_ct_mm[None])
    direction = path.direction_ct
    values = {
        Criterion.LENGTH: path.length_mm,
        Criterion.SKIN_ANGLE: float(skin_angles_deg(direction, normal_ct)),
        Criterion.GANTRY: float(gantry_angles_deg(direction)),
    }
    values |= {name: float(value[0]) for name, value in by_criterion(crossed).items()}
    values[Criterion.ROBUST] = robust_percent(ground, protocol, path)
    if protocol.probe is not None:
        values[Criterion.PROBE] = probe_view_percent(ground, protocol.probe, path)
    if not protocol.of(Criterion.FISSURE):
        del values[Criterion.FISSURE]
    for missing in unmeasured(ground, protocol):
        values[missing.criterion] = np.nan
    return values


def _against(criterion: Criterion, value: float, limits: tuple[Limit, ...]) -> list[PlanFinding]:
    name, unit = WORDS[criterion]
    if not limits:
        return [PlanFinding(name, "", value, unit, None, False, True)]
    found = [_judged(limit, value, name, unit) for limit in limits]
    # A wish that is kept says nothing more than the hard limit beside it.
    return [item for item in found if item.hard or not item.passes] or found[:1]


def _judged(limit: Limit, value: float, name: str, unit: str) -> PlanFinding:
    """A value against the end of a limit that matters: the broken one, else the nearer one."""
    ends = [(limit.min, False), (limit.max, True)]
    # The room to an end is negative where the end is broken, and then it is the least.
    room = [
        (end - value if most else value - end, end, most) for end, most in ends if end is not None
    ]
    _, end, most = min(room)
    return PlanFinding(name, "", value, unit, end, limit.hard, limit.allows(value), most)


def _entry(
    ground: Ground, protocol: Protocol, path: PlannedPath, nearest: int
) -> tuple[PlanFinding, ...]:
    skin = ground.skin
    away = float(np.linalg.norm(skin.points_ct_mm[nearest] - path.entry_ct_mm))
    side = float(side_angles_deg(skin.normals_ct[nearest], protocol.reachable_from))
    return (
        PlanFinding("Entry to skin", "", away, "mm", ON_SKIN_MM, True, away <= ON_SKIN_MM, True),
        PlanFinding(
            "Skin to reachable side",
            "",
            side,
            "°",
            FACES_SIDE_DEG,
            True,
            side <= FACES_SIDE_DEG,
            most=True,
        ),
    )
