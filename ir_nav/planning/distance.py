"""Distance maps: how far every place in the body is from each group of structures."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ir_nav.geometry import FloatArray
from ir_nav.planning.distance_kernels import (
    CAP_MM,
    FAR_SQ,
    plane_squares,
    spare_squares,
    stack_squares,
)
from ir_nav.threads import in_ranges

# Layers of nodes to a slice, at most: slices are thick, and memory is not endless.
FINEST = 2

Box = tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class DistanceMaps:
    """Squared distances of nodes to the boxes of the voxels of each group.

    squares: (groups, k, j, i) uint16 in 0.01 mm2, never more than the truth, at most 25.5 mm.
    first_mm, step_mm: (3,) place of the first node and distance between nodes along i, j, k, in
    the grid's own mm (voxel index times spacing).
    """

    squares: NDArray[np.uint16]
    first_mm: FloatArray
    step_mm: FloatArray

    @property
    def slack_sq(self) -> float:
        """Most that interpolation can add to a squared distance, 0.01 mm2.

        With weights w of nodes n round a point p (linear interpolation is exact for the point
        itself) and q the nearest place of the structure, sum w |n - q|2 = |p - q|2 + sum w
        |n - p|2, and the last sum is sum f (1 - f) step2 <= sum step2 / 4.
        """
        return float(np.sum(np.square(self.step_mm)) * 25.0)


def distance_maps(
    ids: NDArray[np.uint8],
    groups: NDArray[np.int8],
    spacing_mm: tuple[float, float, float],
    box: Box,
    sampling_mm: float,
    count: int,
) -> DistanceMaps:
    """Distances from nodes no more than `sampling_mm` apart (or a voxel, where that is more).

    ids: (k, j, i). groups: (256,) group of each id, below 0 for none. count: groups there are.
    box: voxels (first, last) along i and j that the nodes cover; along k they cover all slices.
    """
    stride = [max(1, int(sampling_mm / size + 1e-6)) for size in spacing_mm]
    fine = min(FINEST, max(1, round(spacing_mm[2] / sampling_mm)))
    steps = (stride[0], stride[1], stride[2] / fine)
    slices = ids.shape[0]
    ends = (*box, (0, slices - 1))
    nodes = [
        max(2, math.ceil((high - low) / step) + 1)
        for (low, high), step in zip(ends, steps, strict=True)
    ]
    squares = np.empty((count, nodes[2], nodes[1], nodes[0]), dtype=np.uint16)
    # Each slice is worked out where its own layer will be: memory for one map, not two.
    planes, every = squares, fine
    if stride[2] > 1:
        planes, every = np.empty((count, slices, nodes[1], nodes[0]), dtype=np.uint16), 1
    gaps = (_gap_squares(spacing_mm[0]), _gap_squares(spacing_mm[1]))
    gap_k = _gap_squares(spacing_mm[2], fine)
    starts, strides = (box[0][0], box[1][0]), (stride[0], stride[1])
    occupied = np.zeros((count, slices), dtype=np.bool_)
    in_ranges(
        slices,
        lambda piece: plane_squares(
            ids, groups, gaps, starts, strides, piece, every, planes, occupied
        ),
    )
    step_k = stride[2] if fine == 1 else 1
    in_ranges(
        nodes[1],
        lambda piece: stack_squares(planes, every, occupied, gap_k, step_k, fine, piece, squares),
    )
    squares.flags.writeable = False
    size = np.array(spacing_mm)
    first = np.array([*starts, 0])
    return DistanceMaps(squares, first * size, np.array(steps) * size)


def spare_map(maps: DistanceMaps, needed_mm: FloatArray) -> NDArray[np.float32]:
    """(k, j, i) float32: least over the groups of squared distance minus squared need, 0.01 mm2.

    needed_mm: (groups,) from the needle's axis: margin and radius.
    """
    needed_sq = np.square(10.0 * needed_mm).astype(np.float32)
    _, layers, rows, columns = maps.squares.shape
    out = np.empty((layers, rows, columns), dtype=np.float32)
    in_ranges(layers, lambda piece: spare_squares(maps.squares, needed_sq, piece, out))
    return out


def _gap_squares(size_mm: float, fine: int = 1) -> NDArray[np.float32]:
    """Squared distance, 0.01 mm2, rounded down, of a node to a voxel `index / fine` voxels away."""
    offsets = np.arange(int(fine * CAP_MM / size_mm) + fine + 1) / fine
    gaps_mm = np.maximum(0.0, (offsets - 0.5) * size_mm)
    return np.minimum(np.floor(100.0 * np.square(gaps_mm) + 1e-6), FAR_SQ).astype(np.float32)
