"""Every way in: each skin voxel in reach judged by every limit."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ir_nav.geometry import FloatArray
from ir_nav.imaging import BoolArray
from ir_nav.planning.criteria import (
    Crossings,
    crossings,
    gantry_angles_deg,
    least_clearances_mm,
    lengths_mm,
    skin_angles_deg,
)
from ir_nav.planning.distance import spare_map
from ir_nav.planning.ground import Ground
from ir_nav.planning.protocol import Criterion, Limit, Protocol
from ir_nav.planning.ray_kernels import first_blocks
from ir_nav.planning.skin import reachable
from ir_nav.threads import in_ranges

# Tissue beyond the margin past this does not make a path better; a shorter one does.
AMPLE_ROOM_MM = 10.0
# Shares of what makes a path easy: its angles, and the wishes it keeps.
ANGLES_SHARE = 0.5

OPEN, FAR, NEAR, FACING, KEPT_OUT, STEEP = range(6)
REASONS = (
    "",
    "Longer than the needle reaches",
    "Shorter than the protocol allows",
    "Cannot be reached on this side",
    "Painted as kept free",
    "Too steep to the skin",
)
LEAVES_BODY = "Leaves the body on the way"


@dataclass(frozen=True, slots=True, eq=False)
class Ways:
    """The n ways that keep every hard limit.

    at: (n,) index into the skin. clearances_mm: (n, groups) tissue between shaft and group,
    never more than the truth. room_mm: (n,) least clearance beyond its margin, 10 at most.
    safe, short, easy, quality: (n,) in [0, 1].
    """

    at: NDArray[np.int64]
    lengths_mm: FloatArray
    skin_deg: FloatArray
    gantry_deg: FloatArray
    crossed: Crossings
    clearances_mm: FloatArray
    room_mm: FloatArray
    safe: FloatArray
    short: FloatArray
    easy: FloatArray
    quality: FloatArray

    def __len__(self) -> int:
        return len(self.at)


@dataclass(frozen=True, slots=True, eq=False)
class SkinMap:
    """The skin judged for one target. quality: (skin,) float32 in [0, 1], 0 where no path may go.

    reason: (skin,) uint8, index into reasons; 0 where a path may go. tried: (skin,) bool, skin
    that only structures could have kept from being an entry. unsure: of those, blocked as far
    as the maps can tell, but not for sure.
    """

    target_ct_mm: FloatArray
    quality: NDArray[np.float32]
    reason: NDArray[np.uint8]
    reasons: tuple[str, ...]
    tried: BoolArray
    unsure: BoolArray
    ways: Ways = field(repr=False)


def search(
    ground: Ground,
    protocol: Protocol,
    target_ct_mm: ArrayLike,
    keep_out: BoolArray | None = None,
) -> SkinMap:
    """Judge every skin voxel as an entry for a straight path to the target (3,) in `ct`, mm.

    keep_out: (skin,) bool, painted by the user. A way counts as open only when it is proven to
    keep every hard limit; ground.serves(protocol) must hold.
    """
    target = np.array(target_ct_mm, dtype=np.float64)
    reason = _at_the_skin(ground, protocol, target, keep_out)
    tried = reason == OPEN
    blocked, doubtful = _blocked(ground, protocol, target, tried)
    reason[tried] = np.where(blocked >= 0, len(REASONS) + blocked, OPEN)
    unsure = np.zeros(len(reason), dtype=np.bool_)
    unsure[tried] = doubtful
    reasons = (*REASONS, *ground.names(), LEAVES_BODY, *_words(protocol))
    ways = judge_ways(ground, protocol, target, np.flatnonzero(reason == OPEN))
    return with_ways(ground, protocol, (target, reason, reasons, tried, unsure), ways)


def with_ways(
    ground: Ground,
    protocol: Protocol,
    skin: tuple[FloatArray, NDArray[np.uint8], tuple[str, ...], BoolArray, BoolArray],
    ways: Ways,
) -> SkinMap:
    """The map of a skin (target, reason, reasons, tried, unsure) with ways no structure blocks."""
    target, reason, reasons, tried, unsure = skin
    refused = _refused(ground, protocol, ways)
    told = reason.copy()
    told[ways.at] = refused
    open_ways = _only(ways, refused == OPEN)
    quality = np.zeros(len(told), dtype=np.float32)
    quality[open_ways.at] = open_ways.quality
    return SkinMap(target, quality, told, reasons, tried, unsure, open_ways)


def needed_mm(protocol: Protocol) -> FloatArray:
    """(groups,) from the needle's axis to each group at least: margin and radius."""
    return np.array([rule.margin_mm + protocol.needle.radius_mm for rule in protocol.kept])


def _at_the_skin(
    ground: Ground, protocol: Protocol, target: FloatArray, keep_out: BoolArray | None
) -> NDArray[np.uint8]:
    """Reason (skin,) as far as the entry alone decides it."""
    skin = ground.skin
    lengths = lengths_mm(skin.points_ct_mm, target)
    reason = np.full(len(skin), FAR, dtype=np.uint8)
    reason[lengths <= protocol.max_length_mm] = OPEN
    reason[lengths < protocol.min_length_mm] = NEAR
    near = np.flatnonzero(reason == OPEN)
    directions = (target - skin.points_ct_mm[near]) / lengths[near, None]
    angles = skin_angles_deg(directions, skin.normals_ct[near])
    steep = ~_allowed(protocol, Criterion.SKIN_ANGLE, angles)
    reason[near[steep]] = STEEP
    if keep_out is not None:
        reason[near[keep_out[near]]] = KEPT_OUT
    reason[near[~reachable(skin.normals_ct[near], protocol.reachable_from)]] = FACING
    return reason


def _blocked(
    ground: Ground, protocol: Protocol, target: FloatArray, tried: BoolArray
) -> tuple[NDArray[np.int16], BoolArray]:
    """First group (n,) that blocks each tried way, -1 for none; and whether that is not sure."""
    needed = needed_mm(protocol)
    spare = spare_map(ground.maps, needed)
    entries = ground.grid_mm(ground.skin.points_ct_mm[tried])
    group = np.empty(len(entries), dtype=np.int16)
    certain = np.empty(len(entries), dtype=np.bool_)
    squares, frame, start = ground.maps.squares, ground.frame, ground.grid_mm(target)
    needed_sq, step = np.square(10.0 * needed), ground.sampling_mm
    in_ranges(
        len(entries),
        lambda piece: first_blocks(
            spare, squares, needed_sq, frame, start, entries, step, piece, group, certain
        ),
    )
    return group, (group >= 0) & ~certain


def judge_ways(
    ground: Ground,
    protocol: Protocol,
    target: FloatArray,
    at: NDArray[np.int64],
    clearances: FloatArray | None = None,
) -> Ways:
    """Everything known of the ways from the skin voxels `at` (n,).

    clearances: (n, groups) mm, when they are known better than the distance maps can tell.
    """
    entries = ground.skin.points_ct_mm[at]
    lengths = lengths_mm(entries, target)
    directions = (target - entries) / lengths[:, None]
    skin_deg = skin_angles_deg(directions, ground.skin.normals_ct[at])
    gantry = gantry_angles_deg(directions)
    crossed = crossings(ground, target, entries)
    margins = np.array([rule.margin_mm for rule in protocol.kept])
    wished = np.array([rule.preferred_mm or 0.0 for rule in protocol.kept])
    if clearances is None:
        most = np.maximum(margins + AMPLE_ROOM_MM, wished)
        clearances = least_clearances_mm(
            ground, target[None], entries, most, protocol.needle.radius_mm
        )
    room = (clearances - margins).min(axis=1, initial=AMPLE_ROOM_MM)
    values = {
        Criterion.LENGTH: lengths,
        Criterion.SKIN_ANGLE: skin_deg,
        Criterion.GANTRY: gantry,
        **by_criterion(crossed),
    }
    kept = [limit_kept(limit, values[limit.criterion]) for limit in _soft(protocol)]
    kept += [clearances[:, n] >= wish for n, wish in enumerate(wished) if wish > 0.0]
    safe = np.clip(room / AMPLE_ROOM_MM, 0.0, 1.0)
    span = protocol.max_length_mm - protocol.min_length_mm
    short = np.clip((protocol.max_length_mm - lengths) / span, 0.0, 1.0)
    straight = 1.0 - (skin_deg + gantry) / 180.0
    wishes = np.mean(kept, axis=0) if kept else np.ones(len(at))
    easy = np.clip(ANGLES_SHARE * straight + (1.0 - ANGLES_SHARE) * wishes, 0.0, 1.0)
    weights = protocol.weights
    total = weights.safe + weights.short + weights.easy
    quality = (weights.safe * safe + weights.short * short + weights.easy * easy) / total
    return Ways(
        at, lengths, skin_deg, gantry, crossed, clearances, room, safe, short, easy, quality
    )


def by_criterion(crossed: Crossings) -> dict[Criterion, FloatArray]:
    """The values (n,) of what is counted on the way; NaN where a criterion has no meaning."""
    return {
        Criterion.CAPSULE_ANGLE: crossed.capsule_deg,
        Criterion.PARENCHYMA: np.where(crossed.organ_mm > 0.0, crossed.organ_mm, np.nan),
        Criterion.PLEURA: crossed.pleura.astype(np.float64),
        Criterion.FISSURE: crossed.fissures.astype(np.float64),
    }


def limit_kept(limit: Limit, values: FloatArray) -> BoolArray:
    """(n,) whether values keep a limit; what has no value (NaN) keeps it."""
    low = -np.inf if limit.min is None else limit.min
    high = np.inf if limit.max is None else limit.max
    return np.asarray(np.isnan(values) | ((values >= low) & (values <= high)))


def _soft(protocol: Protocol) -> list[Limit]:
    shown = {Criterion.ROBUST, Criterion.PROBE}
    return [limit for limit in protocol.limits if not limit.hard and limit.criterion not in shown]


def _hard_on_the_way(protocol: Protocol) -> list[Limit]:
    """Hard limits that the entry alone does not decide."""
    at_skin = {Criterion.LENGTH, Criterion.SKIN_ANGLE}
    return [limit for limit in protocol.limits if limit.hard and limit.criterion not in at_skin]


def _words(protocol: Protocol) -> list[str]:
    names = {
        Criterion.CAPSULE_ANGLE: "Too flat to the capsule",
        Criterion.PARENCHYMA: "Too little of the organ before the target",
        Criterion.PLEURA: "Crosses the pleura too often",
        Criterion.FISSURE: "Crosses a fissure",
        Criterion.GANTRY: "Tilted too far out of the slice",
    }
    return [names[limit.criterion] for limit in _hard_on_the_way(protocol)]


def _refused(ground: Ground, protocol: Protocol, ways: Ways) -> NDArray[np.uint8]:
    """Reason (n,) why a way that no structure blocks is refused all the same; 0 for none."""
    first = len(REASONS) + len(ground.names())
    refused = np.where(ways.crossed.in_body, OPEN, first).astype(np.uint8)
    values = by_criterion(ways.crossed) | {Criterion.GANTRY: ways.gantry_deg}
    for number, limit in enumerate(_hard_on_the_way(protocol)):
        broken = ~limit_kept(limit, values[limit.criterion])
        refused[broken & (refused == OPEN)] = first + 1 + number
    return refused


def _allowed(protocol: Protocol, criterion: Criterion, values: FloatArray) -> BoolArray:
    kept = np.ones(len(values), dtype=np.bool_)
    for limit in protocol.of(criterion):
        if limit.hard:
            kept &= limit_kept(limit, values)
    return kept


def _only(ways: Ways, chosen: BoolArray) -> Ways:
    crossed = ways.crossed
    return Ways(
        ways.at[chosen],
        ways.lengths_mm[chosen],
        ways.skin_deg[chosen],
        ways.gantry_deg[chosen],
        Crossings(
            crossed.in_body[chosen],
            crossed.pleura[chosen],
            crossed.fissures[chosen],
            crossed.organ_mm[chosen],
            crossed.capsule_deg[chosen],
        ),
        ways.clearances_mm[chosen],
        ways.room_mm[chosen],
        ways.safe[chosen],
        ways.short[chosen],
        ways.easy[chosen],
        ways.quality[chosen],
    )
