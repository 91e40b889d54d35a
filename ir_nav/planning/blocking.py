"""No safe straight path: what blocks, and which margin would have to give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ir_nav.geometry import FloatArray
from ir_nav.planning.criteria import clearances_mm, crossings, least_clearances_mm
from ir_nav.planning.ground import Ground
from ir_nav.planning.path import PlannedPath
from ir_nav.planning.plan_errors import PlanError
from ir_nav.planning.protocol import Protocol
from ir_nav.planning.search import FAR, KEPT_OUT, NEAR, OPEN, STEEP, SkinMap

# Enough to tell shares and the way with the most room.
MOST_ASKED = 6000
# A way that leaves less than this is a way through the structure.
LEAST_MARGIN_MM = 0.0


@dataclass(frozen=True, slots=True)
class Relief:
    """The smallest give: with `margin_mm` in place of `wanted_mm` to `structure`, a way opens."""

    structure: str
    wanted_mm: float
    margin_mm: float


class NoPathError(PlanError):
    """No straight path keeps the limits. blocked_by: (group, share of the ways in that it
    blocks), most first. relief: which single margin would have to give, None when none helps."""

    def __init__(
        self,
        words: str,
        blocked_by: tuple[tuple[str, float], ...] = (),
        relief: Relief | None = None,
    ) -> None:
        super().__init__(words)
        self.blocked_by = blocked_by
        self.relief = relief


def explain(ground: Ground, protocol: Protocol, found: SkinMap) -> NoPathError:
    """Why a searched skin has no way in, in words with numbers."""
    if not found.tried.any():
        return NoPathError(_no_entry(found))
    at = np.flatnonzero(found.tried)
    at = at[:: max(1, -(-len(at) // MOST_ASKED))]
    target = found.target_ct_mm
    margins = np.array([rule.margin_mm for rule in protocol.kept])
    clear = least_clearances_mm(
        ground,
        target[None],
        ground.skin.points_ct_mm[at],
        margins + 1.0,
        protocol.needle.radius_mm,
    )
    blocked = clear < margins
    shares = blocked.mean(axis=0) if len(margins) else np.zeros(0)
    order = np.argsort(-shares)
    by = tuple((ground.names()[n], float(shares[n])) for n in order if shares[n] > 0.0)
    relief = _relief(ground, protocol, found, at, clear)
    at_target = _at_the_target(ground, protocol, target)
    if at_target is not None:
        words = f"no safe straight path: {at_target}"
    else:
        words = _on_the_way(protocol, found, by)
    return NoPathError(f"{words}; {_relief_words(relief)}", by, relief)


def _no_entry(found: SkinMap) -> str:
    reasons = set(np.unique(found.reason).tolist())
    if KEPT_OUT in reasons:
        return "no safe straight path: all skin that is left is painted as kept free"
    if STEEP in reasons:
        return "no safe straight path: every entry is steeper to the skin than the limit"
    if reasons <= {FAR, NEAR}:
        return "no safe straight path: no skin within the needle's length of this target"
    return "no safe straight path: no skin in reach faces a side that can be reached"


def _on_the_way(protocol: Protocol, found: SkinMap, by: tuple[tuple[str, float], ...]) -> str:
    if not by:
        counts = np.bincount(found.reason[found.tried], minlength=len(found.reasons))
        what = found.reasons[int(np.argmax(counts))]
        return f"no safe straight path: on most of the ways in, the needle {what.lower()}"
    name, share = by[0]
    margin = next(rule.margin_mm for rule in protocol.kept if rule.name == name)
    return (
        f"no safe straight path: {name.lower()} is nearer than {margin:g} mm "
        f"on {share:.0%} of the {int(found.tried.sum())} ways in"
    )


def _relief_words(relief: Relief | None) -> str:
    if relief is None:
        return "lowering one margin alone opens no way"
    return (
        f"a margin of {relief.margin_mm:.1f} mm in place of {relief.wanted_mm:g} mm to "
        f"{relief.structure} would open one"
    )


def _relief(
    ground: Ground,
    protocol: Protocol,
    found: SkinMap,
    at: NDArray[np.int64],
    clear: FloatArray,
) -> Relief | None:
    """Which one margin costs least to lower until a way is open."""
    crossed = crossings(ground, found.target_ct_mm, ground.skin.points_ct_mm[at])
    margins = np.array([rule.margin_mm for rule in protocol.kept])
    best: tuple[float, int, int] | None = None
    for group in range(len(margins)):
        others = np.delete(clear - margins, group, axis=1)
        usable = crossed.in_body & (others >= 0.0).all(axis=1) & (found.reason[at] != OPEN)
        usable &= clear[:, group] >= LEAST_MARGIN_MM
        if not usable.any():
            continue
        way = int(np.argmax(np.where(usable, clear[:, group], -np.inf)))
        give = float(margins[group] - clear[way, group])
        if give > 0.0 and (best is None or give < best[0]):
            best = give, group, way
    if best is None:
        return None
    _, group, way = best
    path = PlannedPath.between(ground.skin.points_ct_mm[at[way]], found.target_ct_mm)
    name, distance = _nearest(ground, protocol, path, group)
    margin = float(np.floor(10.0 * max(0.0, min(distance, margins[group] - 0.1))) / 10.0)
    return Relief(name, float(margins[group]), margin)


def _nearest(
    ground: Ground, protocol: Protocol, path: PlannedPath, group: int
) -> tuple[str, float]:
    """The structure of a group nearest to a path, and its exact clearance in mm."""
    exact = clearances_mm(ground, path, protocol.needle.radius_mm)
    members = [n for n, known in enumerate(ground.structures.known) if known.group == group]
    nearest = min(members, key=lambda n: exact[n])
    return ground.structures.known[nearest].name, float(exact[nearest])


def _at_the_target(ground: Ground, protocol: Protocol, target: FloatArray) -> str | None:
    """What lies too near the target itself: no way can mend that."""
    tip = PlannedPath(target, target)
    exact = clearances_mm(ground, tip, protocol.needle.radius_mm)
    spare = [
        (distance - protocol.kept[known.group].margin_mm, known.name, distance, known.group)
        for known, distance in zip(ground.structures.known, exact.tolist(), strict=True)
        if known.group >= 0
    ]
    least = min(spare, default=None)
    if least is None or least[0] >= 0.0:
        return None
    _, name, distance, group = least
    wanted = protocol.kept[group].margin_mm
    if distance < 0.0:
        return f"the target lies in or at {name}, which {protocol.name} keeps {wanted:g} mm from"
    return f"the target itself is {distance:.1f} mm from {name}, nearer than {wanted:g} mm"
