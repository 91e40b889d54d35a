"""Three to five clearly different paths, or why there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from ir_nav.geometry import FloatArray, angle_between_deg
from ir_nav.imaging import BoolArray, skin_crossings
from ir_nav.planning.blocking import NoPathError, explain
from ir_nav.planning.finding import PlanFinding
from ir_nav.planning.findings import broken, findings, limiting
from ir_nav.planning.ground import Ground
from ir_nav.planning.pareto_kernels import unbeaten
from ir_nav.planning.path import PlannedPath
from ir_nav.planning.protocol import Protocol
from ir_nav.planning.search import SkinMap, Ways, search
from ir_nav.planning.second_look import look_again
from ir_nav.planning.way_words import ribs_passed, way_words

MOST_PROPOSALS = 5
# Entries nearer to each other than this are one way to the user.
APART_MM = 20.0
# And if the same structure limits both, those within this angle.
APART_DEG = 10.0
# Differences below these are none: millimetres of room and way, parts of ease.
ALIKE = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """A path that keeps every hard limit. limiting: the clearance with the least to spare, None
    when nothing that is kept away from lies within 25 mm. best_at: 'safest', 'shortest' or
    'easiest' among those proposed beside it. way, ribs: its name, of way_words and ribs_passed."""

    path: PlannedPath
    findings: tuple[PlanFinding, ...]
    limiting: PlanFinding | None
    quality: float
    best_at: tuple[str, ...] = ()
    way: str = ""
    ribs: str = ""

    def words(self) -> str:
        """One line: '84 mm, 7.2 mm to Portal vein (5 wanted)'."""
        length = f"{self.path.length_mm:.0f} mm"
        if self.limiting is None:
            return f"{length}, nothing to avoid within 25 mm"
        near = self.limiting
        return f"{length}, {near.value:.1f} mm to {near.structure} ({near.limit:g} wanted)"


@dataclass(frozen=True, slots=True, eq=False)
class Proposals:
    """Paths, best first, and the skin they were chosen on. unbeaten: how many ways no other
    beats in safety, length and ease at once, of how many open ones."""

    paths: tuple[Proposal, ...]
    skin: SkinMap
    unbeaten: int
    open: int


def propose(
    ground: Ground,
    protocol: Protocol,
    target_ct_mm: ArrayLike,
    *,
    count: int = MOST_PROPOSALS,
    keep_out: BoolArray | None = None,
    progress: Callable[[float], None] | None = None,
) -> Proposals:
    """Search the whole skin and choose up to `count` paths with entries 20 mm apart.

    target (3,) in `ct`, mm. keep_out: (skin,) bool, painted by the user. Each path is the best
    by the protocol's weights among those that nothing beats, away from the ones before it.
    Raises NoPathError that says what blocks and which margin would have to give.
    """
    target = np.array(target_ct_mm, dtype=np.float64)
    found = search(ground, protocol, target, keep_out)
    if progress is not None:
        progress(0.6)
    if not len(found.ways):
        found = look_again(ground, protocol, found)
    if not len(found.ways):
        raise explain(ground, protocol, found)
    front = pareto(found.ways, np.ones(len(found.ways), dtype=np.bool_))
    chosen = _choose(ground, protocol, found, count)
    if progress is not None:
        progress(1.0)
    if not chosen:
        raise NoPathError("no safe straight path: the ways that seemed open are closer than 0.1 mm")
    chosen.sort(key=lambda proposal: -proposal.quality)
    return Proposals(_with_merits(chosen), found, int(front.sum()), len(found.ways))


def pareto(ways: Ways, among: BoolArray) -> BoolArray:
    """(n,) which of the ways `among` (n,) no other of them beats in safety, length and ease."""
    at = np.flatnonzero(among)
    values = np.stack([ways.safe[at], ways.short[at], ways.easy[at]], axis=1)
    values = np.round(values / ALIKE) * ALIKE
    kept = np.zeros(len(among), dtype=np.bool_)
    kept[at] = unbeaten(values, np.argsort(-values.sum(axis=1), kind="stable"))
    return kept


def _choose(ground: Ground, protocol: Protocol, found: SkinMap, count: int) -> list[Proposal]:
    ways = found.ways
    entries = ground.skin.points_ct_mm[ways.at]
    left = np.ones(len(ways), dtype=np.bool_)
    rim = float(np.linalg.norm(ground.spacing_mm))
    chosen: list[Proposal] = []
    while len(chosen) < count and left.any():
        front = pareto(ways, left)
        best = int(np.argmax(np.where(front, ways.quality, -1.0)))
        proposal = _measured(ground, protocol, found.target_ct_mm, entries[best])
        if proposal is None:
            left[best] = False
            continue
        path, found_of_it, limit = proposal
        away = np.linalg.norm(entries - path.entry_ct_mm, axis=1)
        if any(_alike(path, limit, other) for other in chosen):
            left &= away >= APART_MM / 2.0
            left[best] = False
            continue
        named = way_words(path), ribs_passed(ground, path, found_of_it)
        chosen.append(Proposal(*proposal, float(ways.quality[best]), (), *named))
        left &= away >= APART_MM + rim
    return chosen


def _alike(path: PlannedPath, limit: PlanFinding | None, other: Proposal) -> bool:
    """Whether the same structure limits both and they go nearly the same way."""
    names = [None if one is None else one.structure for one in (limit, other.limiting)]
    apart_deg = angle_between_deg(path.direction_ct, other.path.direction_ct)
    return names[0] == names[1] and apart_deg < APART_DEG


def _measured(
    ground: Ground, protocol: Protocol, target: FloatArray, entry: FloatArray
) -> tuple[PlannedPath, tuple[PlanFinding, ...], PlanFinding | None] | None:
    """The path with its entry on the very skin, and what is found of it; None when a limit is
    broken after all."""
    for place in (_on_the_skin(ground, target, entry), entry):
        path = PlannedPath.between(place, target)
        found = findings(ground, protocol, path)
        if not broken(found):
            return path, found, limiting(found)
    return None


def _on_the_skin(ground: Ground, target: FloatArray, entry: FloatArray) -> FloatArray:
    """Where the way from the target to a skin voxel leaves the body, below voxel size."""
    crossing = skin_crossings(ground.volume, ground.body, target, [entry - target])[0]
    near = np.linalg.norm(crossing - entry) <= np.linalg.norm(ground.spacing_mm)
    return crossing if near else entry


def _with_merits(chosen: list[Proposal]) -> tuple[Proposal, ...]:
    room = [
        np.inf if p.limiting is None else p.limiting.value - (p.limiting.limit or 0.0)
        for p in chosen
    ]
    lengths = [p.path.length_mm for p in chosen]
    angles = [next(f.value for f in p.findings if f.name == "Tilt at the skin") for p in chosen]
    merits: list[tuple[str, ...]] = []
    for n in range(len(chosen)):
        words = []
        if room[n] == max(room):
            words.append("safest")
        if lengths[n] == min(lengths):
            words.append("shortest")
        if angles[n] == min(angles):
            words.append("easiest")
        merits.append(tuple(words))
    return tuple(replace(p, best_at=merit) for p, merit in zip(chosen, merits, strict=True))
