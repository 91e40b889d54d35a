"""Ways that the distance maps could not prove: measured exactly, where nothing else is left."""

from __future__ import annotations

import numpy as np

from ir_nav.geometry import FloatArray
from ir_nav.imaging import BoolArray
from ir_nav.planning.ground import Ground
from ir_nav.planning.nearest_kernels import nearest_squares
from ir_nav.planning.protocol import Protocol
from ir_nav.planning.search import SkinMap, judge_ways, needed_mm, with_ways
from ir_nav.planning.structures import MOST
from ir_nav.threads import in_ranges

# Each costs some tens of microseconds.
MOST_LOOKED_AT = 3000
# How far beyond the largest margin is looked: enough to tell the better of two narrow ways.
BEYOND_MM = 1.0


def look_again(ground: Ground, protocol: Protocol, found: SkinMap) -> SkinMap:
    """The same map with the unsure ways that keep every margin when measured exactly."""
    at = np.flatnonzero(found.unsure)
    at = at[:: max(1, -(-len(at) // MOST_LOOKED_AT))]
    if not len(at):
        return found
    clear = _exact_mm(ground, protocol, found.target_ct_mm, ground.skin.points_ct_mm[at])
    margins = np.array([rule.margin_mm for rule in protocol.kept])
    kept = (clear >= margins).all(axis=1)
    ways = judge_ways(ground, protocol, found.target_ct_mm, at[kept], clear[kept])
    skin = (found.target_ct_mm, found.reason, found.reasons, found.tried, found.unsure)
    return with_ways(ground, protocol, skin, ways)


def _exact_mm(
    ground: Ground, protocol: Protocol, target: FloatArray, entries: FloatArray
) -> FloatArray:
    """(n, groups) exact clearance of the ways from entries (n, 3), cut off past the margins."""
    groups = ground.structures.groups()
    reach = float(needed_mm(protocol).max()) + BEYOND_MM
    members = [groups == group for group in range(len(protocol.kept))]
    ends, tip = ground.grid_mm(entries), ground.grid_mm(target)
    least = np.empty((len(entries), len(members)))
    in_ranges(
        len(entries),
        lambda piece: _measure(ground, (groups >= 0, members), tip, ends, reach, piece, least),
    )
    return np.sqrt(least) - protocol.needle.radius_mm


def _measure(
    ground: Ground,
    wanted: tuple[BoolArray, list[BoolArray]],
    tip: FloatArray,
    ends: FloatArray,
    reach: float,
    rows: tuple[int, int],
    least: FloatArray,
) -> None:
    kept, members = wanted
    best = np.empty(MOST + 1)
    for n in range(*rows):
        nearest_squares(ground.structures.ids, kept, ground.spacing_mm, ends[n], tip, reach, best)
        least[n] = [best[chosen].min(initial=reach**2) for chosen in members]
