"""A path named by how it goes: from which side, how steep, and between which ribs."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np

from ir_nav.geometry import FloatArray
from ir_nav.planning.finding import PlanFinding
from ir_nav.planning.findings import CLEARANCE
from ir_nav.planning.ground import Ground
from ir_nav.planning.path import PlannedPath

SIDES = (("right", "left"), ("front", "back"))
# A part of the axial direction below this share of the whole is not named: 22.5 degrees.
LEAST_SHARE = float(np.sin(np.radians(22.5)))
# Flatter than this the path stays in the slice.
IN_SLICE_DEG = 1.5
# Ribs are looked for this near to the path.
REACH_MM = 25.0
# Ribs on both sides lie at least 120 degrees apart about the path.
MOST_COSINE = -0.5
_RIB = re.compile(r"^(Left|Right) rib (\d+)$")


def way_words(path: PlannedPath) -> str:
    """'From the right and front, 7° to the feet': where the needle comes from, and where its tip
    goes across the slices."""
    axial, tilt_deg = path.direction_ct[:2], float(np.degrees(np.arcsin(path.direction_ct[2])))
    whole = float(np.linalg.norm(axial))
    named = [
        side[0 if share > 0.0 else 1]
        for side, share in zip(SIDES, axial / max(whole, 1e-9), strict=True)
        if abs(share) >= LEAST_SHARE
    ]
    came = f"From the {' and '.join(named)}" if whole > LEAST_SHARE else "Along the body"
    if abs(tilt_deg) < IN_SLICE_DEG:
        return f"{came}, in the slice"
    return f"{came}, {abs(tilt_deg):.0f}° to the {'head' if tilt_deg > 0.0 else 'feet'}"


def ribs_passed(ground: Ground, path: PlannedPath, found: tuple[PlanFinding, ...]) -> str:
    """'Between right ribs 7 and 8' where these are the nearest two and lie on both sides of the
    path; '' elsewhere."""
    near = sorted(
        (one.value, match.group(1).lower(), int(match.group(2)), one.structure)
        for one in found
        if one.name == CLEARANCE and one.hard and (match := _RIB.match(one.structure))
    )
    for first, second in combinations(near[:2], 2):
        if first[1] != second[1] or abs(first[2] - second[2]) != 1:
            continue
        offsets = [_offset_mm(ground, path, rib[3]) for rib in (first, second)]
        if offsets[0] is None or offsets[1] is None or not _opposite(offsets[0], offsets[1]):
            continue
        low, high = sorted((first[2], second[2]))
        return f"Between {first[1]} ribs {low} and {high}"
    return ""


def _opposite(first: FloatArray, second: FloatArray) -> bool:
    """Whether two ways across the path lead to its two sides: past the ends of both ribs they
    lead to one."""
    spread = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) < MOST_COSINE * spread


def _offset_mm(ground: Ground, path: PlannedPath, name: str) -> FloatArray | None:
    """(3,) across the path to the nearest voxel of a structure, in the grid's own mm."""
    ends = ground.grid_mm(np.stack([path.entry_ct_mm, path.target_ct_mm]))
    wanted = [n + 1 for n, known in enumerate(ground.structures.known) if known.name == name]
    spacing = ground.spacing_mm
    size = np.array(ground.structures.ids.shape[::-1])
    low = np.clip(((ends.min(axis=0) - REACH_MM) / spacing).astype(int), 0, size)
    high = np.clip(((ends.max(axis=0) + REACH_MM) / spacing).astype(int) + 1, 0, size)
    box = ground.structures.ids[low[2] : high[2], low[1] : high[1], low[0] : high[0]]
    voxels = np.argwhere(np.isin(box, wanted))[:, ::-1]
    if not len(voxels):
        return None
    points = (voxels + low) * spacing
    along = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
    ahead = np.clip((points - ends[0]) @ along, 0.0, path.length_mm)
    offsets = points - ends[0] - ahead[:, None] * along
    return np.asarray(offsets[np.argmin(np.einsum("ij,ij->i", offsets, offsets))])
