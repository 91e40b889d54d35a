"""Every place where a needle could go in: skin voxels and the way they face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from ir_nav.geometry import FloatArray, apply
from ir_nav.imaging import BoolArray, Volume
from ir_nav.planning.skin_kernels import facing, shell
from ir_nav.threads import in_ranges

# Wide enough to even out voxels, narrow enough to follow the skin; thick slices need more.
NORMAL_BALL_MM = 6.0
NORMAL_BALL_SLICES = 2.2
# Offsets of the ball lie no closer than this: what lies between says nothing new.
BALL_STEP_MM = 1.4

SIDES = {
    "R": (-1.0, 0.0, 0.0),
    "L": (1.0, 0.0, 0.0),
    "A": (0.0, -1.0, 0.0),
    "P": (0.0, 1.0, 0.0),
    "H": (0.0, 0.0, 1.0),
    "F": (0.0, 0.0, -1.0),
}
# Skin that faces a side to within this many degrees is reached from it.
FACES_SIDE_DEG = 53.0


@dataclass(frozen=True, slots=True, eq=False)
class Skin:
    """Skin voxels of a patient. voxels_ijk: (n, 3) int32. points_ct_mm, normals_ct: (n, 3), the
    voxels' centres and outward unit normals. tree: finds the nearest of the points."""

    voxels_ijk: NDArray[np.int32]
    points_ct_mm: FloatArray
    normals_ct: FloatArray
    tree: cKDTree

    def __len__(self) -> int:
        return len(self.voxels_ijk)

    def nearest(self, point_ct_mm: ArrayLike) -> int:
        """Index of the skin voxel nearest to a point (3,)."""
        return int(self.tree.query(point_ct_mm)[1])


def find_skin(volume: Volume, body: BoolArray) -> Skin:
    """All skin voxels of the body (k, j, i): body voxels with air beside them.

    Normals run down the plane fitted to the body mask in a ball round the voxel (the facet model
    of Haralick, 1984, in three dimensions).
    """
    surface = np.empty(body.shape, dtype=np.uint8)
    in_ranges(body.shape[0], lambda piece: shell(body.view(np.uint8), piece, surface))
    at = np.unravel_index(np.flatnonzero(surface.view(np.bool_)), body.shape)
    voxels = np.ascontiguousarray(np.stack(at[::-1], axis=1), dtype=np.int32)
    normals = normals_at(volume.ct_from_voxel, volume.spacing_mm, body, _INSIDE, voxels)
    points = apply(volume.ct_from_voxel, voxels)
    tree = cKDTree(points, balanced_tree=False, compact_nodes=False)
    return Skin(voxels, points, normals, tree)


def normals_at(
    ct_from_voxel: FloatArray,
    spacing_mm: tuple[float, float, float],
    mask: NDArray[np.generic],
    chosen: BoolArray,
    voxels_ijk: NDArray[np.int32],
) -> FloatArray:
    """Outward unit normals (n, 3) in `ct` of a mask's surface at voxels (n, 3).

    mask: (k, j, i) bool or uint8; chosen[value] says what belongs. Zero where nothing shows.
    """
    normals = np.zeros((len(voxels_ijk), 3))
    ball, size = _half_ball(spacing_mm), np.array(spacing_mm)
    # Slope of the plane fitted to the mask, times mm: over the ball's second moment, which thick
    # slices make unlike along the axes.
    weights = size / np.square(ball * size).sum(axis=0)
    values = mask.view(np.uint8)
    in_ranges(
        len(voxels_ijk),
        lambda piece: facing(values, chosen, voxels_ijk, ball, weights, piece, normals),
    )
    return np.asarray(normals @ (ct_from_voxel[:3, :3] / size).T)


def reachable(normals_ct: FloatArray, sides: tuple[str, ...]) -> BoolArray:
    """(n,) whether skin with these normals (n, 3) faces one of the sides: 'A', 'R' ..."""
    return side_angles_deg(normals_ct, sides) <= FACES_SIDE_DEG


def side_angles_deg(normals_ct: FloatArray, sides: tuple[str, ...]) -> FloatArray:
    """(n,) angle between normals (n, 3) and the nearest of the sides, degrees."""
    axes = np.array([SIDES[side] for side in sides])
    cosines = np.asarray(normals_ct) @ axes.T
    return np.asarray(np.degrees(np.arccos(np.clip(cosines.max(axis=-1), -1.0, 1.0))))


def _half_ball(spacing_mm: tuple[float, float, float]) -> NDArray[np.int32]:
    """Voxel offsets (m, 3) of half a ball, without its centre."""
    size = np.array(spacing_mm)
    stride = np.maximum(1, np.rint(BALL_STEP_MM / size)).astype(int)
    radius = max(NORMAL_BALL_MM, NORMAL_BALL_SLICES * float(size.max()))
    reach = (radius / size).astype(int)
    axes = [np.arange(-(r // s) * s, r + 1, s) for r, s in zip(reach, stride, strict=True)]
    offsets = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    near = np.linalg.norm(offsets * size, axis=1) <= radius
    half = [tuple(offset) > (0, 0, 0) for offset in offsets]
    return np.ascontiguousarray(offsets[near & half], dtype=np.int32)


_INSIDE = np.zeros(256, dtype=np.bool_)
_INSIDE[1] = True
