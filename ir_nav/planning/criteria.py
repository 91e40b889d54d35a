"""What a path is judged by: one small function for each criterion, for one path or for many.

Directions (..., 3) are unit vectors from entry to target. Sources are in docs/planning.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ir_nav.geometry import FloatArray, perpendicular_basis
from ir_nav.imaging import BoolArray
from ir_nav.planning.ground import Ground
from ir_nav.planning.nearest_kernels import nearest_squares
from ir_nav.planning.path import PlannedPath
from ir_nav.planning.protocol import ProbeView, Protocol
from ir_nav.planning.ray_kernels import least_squares, walk
from ir_nav.planning.skin import normals_at
from ir_nav.planning.structures import MOST
from ir_nav.threads import in_ranges

# Errors a path should bear: of the entry, and of the angle (Fichtinger et al. and others quote
# 2 to 4 mm and 2 to 4 degrees for freehand insertion).
SHIFT_MM = 3.0
TILT_DEG = 3.0
AZIMUTHS = 8
PROBE_POSITIONS = 16
# Farther away than this a structure limits nothing.
CLEARANCE_REACH_MM = 25.0


def lengths_mm(entries_ct_mm: FloatArray, target_ct_mm: ArrayLike) -> FloatArray:
    """(n,) way from entries (n, 3) to the target (3,)."""
    return np.asarray(np.linalg.norm(entries_ct_mm - np.asarray(target_ct_mm), axis=-1))


def skin_angles_deg(directions_ct: FloatArray, normals_ct: FloatArray) -> FloatArray:
    """(n,) angle between the needle and the skin's normal: 0 is straight in."""
    cosines = -np.sum(directions_ct * normals_ct, axis=-1)
    return np.asarray(np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0))))


def gantry_angles_deg(directions_ct: FloatArray) -> FloatArray:
    """(n,) tilt out of the axial plane, either way: 0 lies in one CT slice."""
    return np.asarray(np.degrees(np.arcsin(np.clip(np.abs(directions_ct[..., 2]), 0.0, 1.0))))


@dataclass(frozen=True, slots=True, eq=False)
class Crossings:
    """What lies on n ways. in_body (n,): the skin is crossed once, at the entry.

    pleura, fissures: (n,) int. organ_mm (n,): way in the organ. capsule_deg (n,): angle between
    needle and capsule, 90 is straight in, NaN where the organ is not met.
    """

    in_body: BoolArray
    pleura: NDArray[np.int16]
    fissures: NDArray[np.int16]
    organ_mm: FloatArray
    capsule_deg: FloatArray


def crossings(ground: Ground, target_ct_mm: ArrayLike, entries_ct_mm: FloatArray) -> Crossings:
    """What lies on the ways from entries (n, 3) to the target (3,), voxel by voxel."""
    count = len(entries_ct_mm)
    target = np.asarray(target_ct_mm, dtype=np.float64)
    structures = ground.structures
    organ = structures.flags("organ")
    inside = np.ones(count, dtype=np.bool_)
    counts = np.zeros((count, 2), dtype=np.int16)
    organ_mm = np.zeros(count)
    capsule = np.full((count, 3), -1, dtype=np.int32)
    start, ends, spacing = ground.grid_mm(target), ground.grid_mm(entries_ct_mm), ground.spacing_mm
    body = ground.body.view(np.uint8)
    kinds = (organ, structures.flags("pleura"))
    in_ranges(
        count,
        lambda piece: walk(
            structures.ids, body, kinds, spacing, start, ends,  piece,
            inside, counts, organ_mm, capsule,
        ),
    )  # fmt: skip
    angles = np.full(count, np.nan)
    met = capsule[:, 0] >= 0
    if met.any():
        volume = ground.volume
        normals = normals_at(
            volume.ct_from_voxel, volume.spacing_mm, structures.ids, organ, capsule[met]
        )
        inward = target - entries_ct_mm[met]
        inward /= np.linalg.norm(inward, axis=1, keepdims=True)
        angles[met] = 90.0 - np.minimum(
            skin_angles_deg(inward, normals), 180.0 - skin_angles_deg(inward, normals)
        )
    return Crossings(inside, counts[:, 0], counts[:, 1], organ_mm, angles)


def least_clearances_mm(
    ground: Ground,
    targets_ct_mm: FloatArray,
    entries_ct_mm: FloatArray,
    most_mm: FloatArray,
    radius_mm: float,
) -> FloatArray:
    """(n, groups) tissue between the shaft and each group, never more than the truth.

    targets (1, 3) or (n, 3), entries (n, 3). most_mm (groups,): clearance beyond it is cut off.
    """
    out = np.empty((len(entries_ct_mm), len(most_mm)), dtype=np.float32)
    targets, entries = ground.grid_mm(targets_ct_mm), ground.grid_mm(entries_ct_mm)
    squares, frame, step = ground.maps.squares, ground.frame, ground.sampling_mm
    start = most_mm + radius_mm
    in_ranges(
        len(entries),
        lambda piece: least_squares(squares, start, frame, targets, entries, step, piece, out),
    )
    return np.asarray(out - radius_mm, dtype=np.float64)


def clearances_mm(ground: Ground, path: PlannedPath, radius_mm: float) -> FloatArray:
    """(structures,) tissue between the shaft's surface and each structure, exact: the least
    distance from the axis to the boxes of its voxels, less the radius. inf beyond 25 mm;
    negative where the shaft runs into it."""
    structures = ground.structures
    wanted = structures.groups() >= 0
    best = np.empty(MOST + 1)
    ends = ground.grid_mm(np.stack([path.entry_ct_mm, path.target_ct_mm]))
    nearest_squares(
        structures.ids, wanted, ground.spacing_mm, ends[0], ends[1], CLEARANCE_REACH_MM, best
    )
    return np.asarray(np.sqrt(best[1 : len(structures.known) + 1]) - radius_mm)


def robust_percent(ground: Ground, protocol: Protocol, path: PlannedPath) -> float:
    """Share of paths 3 mm and 3 degrees off, alone and together, that keep every margin.

    80 of them: the entry moved to eight sides, the needle tilted to eight sides about it.
    """
    kept = protocol.kept
    if not kept:
        return 100.0
    entries, tips = perturbed(path)
    margins = np.array([rule.margin_mm for rule in kept])
    clear = least_clearances_mm(ground, tips, entries, margins + 0.1, protocol.needle.radius_mm)
    return float(100.0 * np.mean((clear >= margins).all(axis=1)))


def perturbed(path: PlannedPath) -> tuple[FloatArray, FloatArray]:
    """Entries and tips (80, 3) of the paths that robust_percent looks at."""
    right, up = perpendicular_basis(path.direction_ct, (0.0, 0.0, 1.0))
    turns = np.radians(np.arange(AZIMUTHS) * 360.0 / AZIMUTHS)
    ring = np.vstack([np.zeros(3), np.outer(np.cos(turns), right) + np.outer(np.sin(turns), up)])
    tilt = np.radians(TILT_DEG)
    shifts, tilts = np.meshgrid(np.arange(len(ring)), np.arange(len(ring)), indexing="ij")
    pairs = np.stack([shifts.ravel(), tilts.ravel()], axis=1)[1:]
    leans = np.cos(tilt) * path.direction_ct + np.sin(tilt) * ring
    leans[0] = path.direction_ct
    entries = path.entry_ct_mm + SHIFT_MM * ring[pairs[:, 0]]
    return entries, np.ascontiguousarray(entries + path.length_mm * leans[pairs[:, 1]])


def probe_view_percent(ground: Ground, probe: ProbeView, path: PlannedPath) -> float:
    """Share of probe positions round the entry from which the target is seen.

    The probe stands on the skin beside the needle, square to it; the image plane holds probe,
    entry and target, so the needle runs in it. Seen: within depth and angle of the image, with
    no structure that casts a shadow in between.
    """
    skin = ground.skin
    here = skin.normals_ct[skin.nearest(path.entry_ct_mm)]
    if not here.any():
        return 0.0
    right, up = perpendicular_basis(here, (0.0, 0.0, 1.0))
    turns = np.radians(np.arange(PROBE_POSITIONS) * 360.0 / PROBE_POSITIONS)
    wished = path.entry_ct_mm + probe.beside_mm * (
        np.outer(np.cos(turns), right) + np.outer(np.sin(turns), up)
    )
    misses, at = skin.tree.query(wished)
    seen = np.asarray(misses <= probe.beside_mm / 2.0)
    looks = path.target_ct_mm - skin.points_ct_mm[at]
    depths = np.linalg.norm(looks, axis=1)
    angles = skin_angles_deg(looks / np.maximum(depths, 1e-9)[:, None], skin.normals_ct[at])
    seen &= (depths <= probe.depth_mm) & (angles <= probe.half_angle_deg)
    seen &= ~_shadowed(ground, path.target_ct_mm, skin.points_ct_mm[at])
    return float(100.0 * np.mean(seen))


def _shadowed(ground: Ground, target_ct_mm: FloatArray, places_ct_mm: FloatArray) -> BoolArray:
    """(n,) whether something that casts a shadow lies between the places (n, 3) and the target."""
    count = len(places_ct_mm)
    structures = ground.structures
    kinds = (structures.flags("shadows"), np.zeros(MOST + 1, dtype=np.bool_))
    shadow_mm = np.zeros(count)
    walk(
        structures.ids, ground.body.view(np.uint8), kinds, ground.spacing_mm,
        ground.grid_mm(target_ct_mm), ground.grid_mm(places_ct_mm),  (0, count),
        np.ones(count, dtype=np.bool_), np.zeros((count, 2), dtype=np.int16), shadow_mm,
        np.full((count, 3), -1, dtype=np.int32),
    )  # fmt: skip
    return np.asarray(shadow_mm > 0.0)
