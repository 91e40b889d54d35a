"""A stack that was acquired with a tilted gantry, put on a straight grid."""

from __future__ import annotations

import numpy as np

from ir_nav.geometry import FloatArray
from ir_nav.imaging.volume import Int16Array, spacing_of


def straighten(
    voxels: Int16Array, ct_from_voxel: FloatArray, outside: int
) -> tuple[Int16Array, FloatArray]:
    """Move each slice within its own plane so that the slices lie above one another.

    voxels: (k, j, i). ct_from_voxel: (4, 4), its third column not at right angles to the
    others. outside: value where there was no pixel. The slices stay in the planes in which
    they were acquired; within them values are interpolated linearly, so edges soften by less
    than a pixel. The grid grows so that nothing is cut off.
    """
    axes = ct_from_voxel[:3, :3]
    along = axes[:, :2] / np.array(spacing_of(ct_from_voxel))[:2]
    per_slice_px = (along.T @ axes[:, 2]) / np.array(spacing_of(ct_from_voxel))[:2]
    shifts = np.arange(len(voxels))[:, None] * per_slice_px
    lowest = np.floor(shifts.min(axis=0))
    grown = np.ceil(shifts.max(axis=0) - lowest).astype(int)
    rows, columns = voxels.shape[1] + int(grown[1]), voxels.shape[2] + int(grown[0])
    straight = np.empty((len(voxels), rows, columns), dtype=np.int16)
    for index, (shift_i, shift_j) in enumerate(shifts - lowest):
        straight[index] = _shifted(voxels[index], (shift_j, shift_i), (rows, columns), outside)
    affine = np.array(ct_from_voxel)
    affine[:3, 2] = axes[:, 2] - along @ (along.T @ axes[:, 2])
    affine[:3, 3] += axes[:, :2] @ lowest
    return straight, affine


def _shifted(
    pixels: Int16Array, shift_ji: tuple[float, float], shape: tuple[int, int], outside: int
) -> Int16Array:
    """(rows, columns) pixels moved to higher indices by a part of a pixel and more."""
    moved = pixels.astype(np.float32)
    for axis, shift in enumerate(shift_ji):
        whole = int(np.floor(shift))
        part = np.float32(shift - whole)
        spare = shape[axis] - moved.shape[axis] - whole
        if part:
            edge = [(0, 0), (0, 0)]
            edge[axis] = (1, 1)
            padded = np.pad(moved, edge, constant_values=outside)
            lower, upper = np.split(padded, [-1], axis)[0], np.split(padded, [1], axis)[1]
            moved = lower * part + upper * (1.0 - part)
            spare -= 1
        room = [(0, 0), (0, 0)]
        room[axis] = (whole, max(spare, 0))
        moved = np.pad(moved, room, constant_values=outside)
        moved = np.take(moved, range(shape[axis]), axis)
    return np.asarray(np.rint(moved), dtype=np.int16)
