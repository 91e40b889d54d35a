"""A first feasible path: straight, inside the protocol's limits, as clear as can be had."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike
from scipy.ndimage import map_coordinates

from ir_nav.geometry import FloatArray, apply, read_only
from ir_nav.imaging import LabelMap, Volume, body_mask
from ir_nav.planning.path import PlannedPath
from ir_nav.planning.plan import PlanError
from ir_nav.planning.protocol import Avoid, Protocol

GRID_MM = 2.5
STEP_MM = 1.5
BONE_HU = 250
GAS_HU = -400
# Clearance beyond this does not make a path better; a shorter one does.
AMPLE_ROOM_MM = 12.0
SIDES = {
    "R": (-1.0, 0.0, 0.0),
    "L": (1.0, 0.0, 0.0),
    "A": (0.0, -1.0, 0.0),
    "P": (0.0, 1.0, 0.0),
    "H": (0.0, 0.0, 1.0),
    "F": (0.0, 0.0, -1.0),
}


class NoPathError(PlanError):
    """No straight path keeps the limits; says what blocks it."""


@dataclass(frozen=True, slots=True)
class Clearance:
    """Distance in mm from the path to the group of structures that limits it."""

    structure: str
    distance_mm: float
    margin_mm: float


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """A path with what limits it. tried: candidate entries looked at."""

    path: PlannedPath
    clearance: Clearance
    skin_angle_deg: float
    tried: int


@dataclass(frozen=True, slots=True, eq=False)
class RoomMap:
    """For each avoided group its distance map on a coarse grid.

    distances_mm: (groups, k, j, i) float32. body: (k, j, i). voxel_from_ct: (4, 4) of the grid.
    """

    groups: tuple[Avoid, ...]
    distances_mm: np.ndarray
    body: np.ndarray
    ct_from_voxel: FloatArray

    def along(self, points_ct_mm: FloatArray) -> FloatArray:
        """Distance (groups, n) in mm of points (n, 3) to each group, interpolated."""
        voxel_from_ct = np.linalg.inv(self.ct_from_voxel).astype(np.float64)
        index = apply(voxel_from_ct, points_ct_mm)[:, ::-1].T
        return np.array(
            [map_coordinates(group, index, order=1, mode="nearest") for group in self.distances_mm]
        )


def room_map(volume: Volume, labels: LabelMap | None, protocol: Protocol) -> RoomMap:
    """Distance maps (Maurer 2003) to every avoided group; bone and gas by HU where no
    label names them."""
    stride = [max(1, round(GRID_MM / size)) for size in volume.spacing_mm]
    # A cell of the grid is a block of voxels; its centre lies half a block on.
    cell = np.diag([*stride, 1.0])
    cell[:3, 3] = (np.array(stride) - 1.0) / 2.0
    ct_from_voxel = volume.ct_from_voxel @ cell
    spacing = tuple(
        float(size * step) for size, step in zip(volume.spacing_mm, stride, strict=True)
    )
    body_fine = body_mask(volume)
    body = np.asarray(_blocks(body_fine, stride).mean(axis=(1, 3, 5)) >= 0.5)
    groups, maps = [], []
    for group in protocol.avoid:
        mask = _group_mask(group, labels, volume, body_fine)
        if mask is None or not mask.any():
            continue
        groups.append(group)
        # A cell belongs to the group when any voxel does: thin vessels must not fall through.
        maps.append(_distance_mm(_blocks(mask, stride).any(axis=(1, 3, 5)), spacing))
    stacked = np.array(maps) if maps else np.zeros((0, *body.shape), dtype=np.float32)
    return RoomMap(tuple(groups), stacked, body, read_only(ct_from_voxel))


def propose_path(
    rooms: RoomMap,
    protocol: Protocol,
    target_ct_mm: ArrayLike,
    progress: Callable[[float], None] | None = None,
) -> Proposal:
    """The clearest, then shortest, straight path to a target (3,) in `ct`, mm.

    Looks at every skin voxel of the grid within the length limits. Raises NoPathError naming
    the group that blocks most candidates.
    """
    target = np.asarray(target_ct_mm, dtype=np.float64)
    entries, normals = _skin(rooms, target, protocol)
    if not len(entries):
        raise NoPathError("no skin within the needle's length of this target")
    room, worst, angles = _judge(rooms, target, entries, normals, progress)
    lengths = np.linalg.norm(entries - target, axis=1)
    allowed = (room >= 0.0) & (angles <= protocol.max_skin_angle_deg)
    if not allowed.any():
        raise NoPathError(_blocked(rooms, worst[angles <= protocol.max_skin_angle_deg]))
    score = np.minimum(room, AMPLE_ROOM_MM) - 0.05 * lengths - 0.05 * angles
    best = int(np.argmax(np.where(allowed, score, -np.inf)))
    path = PlannedPath.between(entries[best], target)
    return Proposal(path, clearance(rooms, path), float(angles[best]), len(entries))


def clearance(rooms: RoomMap, path: PlannedPath) -> Clearance:
    """What limits a path: the avoided group with the least room beyond its margin."""
    if not rooms.groups:
        return Clearance("nothing to avoid is known", float("inf"), 0.0)
    count = max(2, int(path.length_mm / 0.5))
    steps = np.linspace(0.0, 1.0, count)[:, None]
    points = path.entry_ct_mm + steps * (path.target_ct_mm - path.entry_ct_mm)
    distances = rooms.along(points).min(axis=1)
    margins = np.array([group.margin_mm for group in rooms.groups])
    index = int(np.argmin(distances - margins))
    return Clearance(rooms.groups[index].name, float(distances[index]), float(margins[index]))


def _group_mask(
    group: Avoid, labels: LabelMap | None, volume: Volume, body: np.ndarray
) -> np.ndarray | None:
    if labels is not None:
        ids = {number for pattern in group.structures for number in labels.ids_named(pattern)}
        if ids:
            return labels.mask(ids)
    if group.name == "Bone":
        return np.asarray((volume.voxels > BONE_HU) & body)
    if group.name == "Lung":
        return np.asarray((volume.voxels < GAS_HU) & body)
    return None


def _blocks(mask: np.ndarray, stride: list[int]) -> np.ndarray:
    """(k, j, i) as (k, step, j, step, i, step), padded with False to whole blocks."""
    steps = stride[::-1]
    padded = np.pad(mask, [(0, -size % step) for size, step in zip(mask.shape, steps, strict=True)])
    shape = [(size // step, step) for size, step in zip(padded.shape, steps, strict=True)]
    return padded.reshape([length for pair in shape for length in pair])


def _distance_mm(mask: Any, spacing: tuple[float, ...]) -> np.ndarray:
    image = sitk.GetImageFromArray(np.asarray(mask, dtype=np.uint8))
    image.SetSpacing(spacing)
    distance = sitk.SignedMaurerDistanceMap(
        image, squaredDistance=False, useImageSpacing=True, insideIsPositive=False
    )
    return np.asarray(sitk.GetArrayFromImage(distance))


def _skin(rooms: RoomMap, target: FloatArray, protocol: Protocol) -> tuple[FloatArray, FloatArray]:
    """Skin points (n, 3) in reach and their outward normals (n, 3), in `ct`."""
    spacing = tuple(float(v) for v in np.linalg.norm(rooms.ct_from_voxel[:3, :3], axis=0))
    depth = _distance_mm(~rooms.body, spacing)
    shell = rooms.body & (depth < 1.01 * max(spacing))
    # The volume's own faces are cuts through the body, not skin.
    for axis in range(3):
        edge = [slice(None)] * 3
        for side in (slice(0, 2), slice(-2, None)):
            edge[axis] = side
            shell[tuple(edge)] = False
    index = np.argwhere(shell)[:, ::-1].astype(np.float64)
    points = apply(rooms.ct_from_voxel, index)
    lengths = np.linalg.norm(points - target, axis=1)
    near = (lengths >= protocol.min_length_mm) & (lengths <= protocol.max_length_mm)
    points, index = points[near], index[near]
    gradient = np.stack(
        [
            map_coordinates(component, index[:, ::-1].T, order=1)
            for component in np.gradient(depth)[::-1]
        ],
        axis=1,
    )
    # Per voxel: over the spacing once for mm, once because the columns carry it.
    normals = -(gradient / np.square(spacing)) @ rooms.ct_from_voxel[:3, :3].T
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    sides = np.array([SIDES[side] for side in protocol.reachable_from])
    reachable = (normals @ sides.T).max(axis=1) > 0.6
    return points[reachable], normals[reachable]


def _judge(
    rooms: RoomMap,
    target: FloatArray,
    entries: FloatArray,
    normals: FloatArray,
    progress: Callable[[float], None] | None,
) -> tuple[FloatArray, np.ndarray, FloatArray]:
    """Least room (n,) in mm, the group that leaves it (n,), and skin angle (n,) in degrees."""
    margins = np.array([group.margin_mm for group in rooms.groups])
    room = np.full(len(entries), AMPLE_ROOM_MM)
    worst = np.full(len(entries), -1)
    for start in range(0, len(entries), 2000):
        chunk = slice(start, start + 2000)
        offsets = entries[chunk] - target
        steps = np.linspace(0.0, 1.0, int(np.linalg.norm(offsets, axis=1).max() / STEP_MM) + 2)
        points = target + offsets[:, None, :] * steps[None, :, None]
        if len(margins):
            distances = rooms.along(points.reshape(-1, 3))
            least = distances.reshape(len(margins), len(offsets), -1).min(axis=2)
            spare = least - margins[:, None]
            room[chunk] = spare.min(axis=0)
            worst[chunk] = spare.argmin(axis=0)
        if progress is not None:
            progress(min(1.0, (start + 2000) / len(entries)))
    inward = (target - entries) / np.linalg.norm(target - entries, axis=1, keepdims=True)
    cosine = np.sum(-inward * normals, axis=1)
    angles = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
    return room, worst, angles


def _blocked(rooms: RoomMap, worst: np.ndarray) -> str:
    named = worst[worst >= 0]
    if not len(named):
        return "no safe straight path: every entry is steeper to the skin than the limit"
    counts = np.bincount(named, minlength=len(rooms.groups))
    index = int(np.argmax(counts))
    group = rooms.groups[index]
    share = counts[index] / len(named)
    return (
        f"no safe straight path: {group.name.lower()} is nearer than {group.margin_mm:g} mm "
        f"on {share:.0%} of the {len(named)} ways in"
    )
