"""Compiled loops of the distance maps: exact distances from nodes to the boxes of label voxels.

A voxel is a box, not a point: per axis the distance of a node to it is
max(0, |offset| - half a voxel), and the squares add up. So the separable scheme of Saito and
Toriwaki (Pattern Recognition 27, 1994) holds: nearest along i, then j, then k. Squared
distances are whole numbers in 0.01 mm2, rounded down at each axis and capped at 25.5 mm, the
largest that 16 bits hold. Loops over ranges, for threads of the caller: no lock is held.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

FAR_SQ = 65025.0
CAP_MM = 25.5

Squares = NDArray[np.uint16]
Floats32 = NDArray[np.float32]


@njit(nogil=True, cache=True)
def mark_present(labels: NDArray[Any], slices: tuple[int, int], present: NDArray[np.bool_]) -> None:
    """present[value] = True for every value in slices [start, stop)."""
    for k in range(slices[0], slices[1]):
        for j in range(labels.shape[1]):
            last = -1
            for i in range(labels.shape[2]):
                value = labels[k, j, i]
                if value != last:
                    present[value] = True
                    last = value


@njit(nogil=True, cache=True)
def relabel(
    labels: NDArray[Any], table: NDArray[np.uint8], slices: tuple[int, int], out: NDArray[np.uint8]
) -> None:
    """out = table[labels] for slices [start, stop)."""
    for k in range(slices[0], slices[1]):
        for j in range(labels.shape[1]):
            for i in range(labels.shape[2]):
                out[k, j, i] = table[labels[k, j, i]]


@njit(nogil=True, cache=True)
def row_squares(
    ids: NDArray[np.uint8],
    groups: NDArray[np.int8],
    gap_sq: Floats32,
    first: int,
    stride: int,
    out: Floats32,
    filled: NDArray[np.bool_],
) -> None:
    """Along i: out (groups, nodes) for one row of ids; filled (groups,): whether any is there."""
    reach = len(gap_sq)
    nodes = out.shape[1]
    filled[:] = False
    start = 0
    last = groups[ids[0]]
    for i in range(1, len(ids) + 1):
        group = groups[ids[i]] if i < len(ids) else np.int8(-2)
        if group == last:
            continue
        if last >= 0:
            if not filled[last]:
                filled[last] = True
                out[last, :] = np.float32(FAR_SQ)
            line = out[last]
            low = max(0, (start - reach - first + stride - 1) // stride)
            high = min(nodes - 1, (i - 1 + reach - first) // stride)
            for node in range(low, high + 1):
                place = first + node * stride
                gap = max(start - place, place - (i - 1), 0)
                if gap < reach and gap_sq[gap] < line[node]:
                    line[node] = gap_sq[gap]
        start = i
        last = group


@njit(nogil=True, cache=True, inline="always")
def take_lower(line: Floats32, extra: Any, best: Floats32) -> None:
    """best = min(best, line + extra), elementwise."""
    for n in range(len(best)):
        value = line[n] + extra
        best[n] = value if value < best[n] else best[n]


@njit(nogil=True, cache=True)
def plane_squares(
    ids: NDArray[np.uint8],
    groups: NDArray[np.int8],
    gaps: tuple[Floats32, Floats32],
    first: tuple[int, int],
    stride: tuple[int, int],
    slices: tuple[int, int],
    every: int,
    out: Squares,
    occupied: NDArray[np.bool_],
) -> None:
    """Along i and j, for slices [start, stop) of ids: out (groups, layers, nodes j, nodes i).

    gaps: squared gap per whole-voxel offset along i and j. every: layers of out to a slice.
    occupied: (groups, slices).
    """
    count, _, rows, columns = out.shape
    gap_i, gap_j = gaps
    reach = len(gap_j)
    lines = np.empty((ids.shape[1], count, columns), np.float32)
    filled = np.zeros((ids.shape[1], count), np.bool_)
    best = np.empty(columns, np.float32)
    for k in range(slices[0], slices[1]):
        occupied[:, k] = False
        for j in range(ids.shape[1]):
            row_squares(ids[k, j], groups, gap_i, first[0], stride[0], lines[j], filled[j])
            for group in range(count):
                occupied[group, k] |= filled[j, group]
        for group in range(count):
            if not occupied[group, k]:
                out[group, k * every] = np.uint16(FAR_SQ)
                continue
            for row in range(rows):
                place = first[1] + row * stride[1]
                best[:] = np.float32(FAR_SQ)
                for j in range(max(0, place - reach + 1), min(ids.shape[1], place + reach)):
                    if filled[j, group]:
                        take_lower(lines[j, group], gap_j[abs(j - place)], best)
                line = out[group, k * every, row]
                for n in range(columns):
                    line[n] = np.uint16(best[n])


@njit(nogil=True, cache=True)
def stack_squares(
    planes: Squares,
    every: int,
    occupied: NDArray[np.bool_],
    gap_k: Floats32,
    stride: int,
    fine: int,
    rows: tuple[int, int],
    out: Squares,
) -> None:
    """Along k: out (groups, nodes k, nodes j, nodes i) for node rows [start, stop).

    planes, every: as plane_squares left them; may be `out` itself. stride and gap_k count in
    parts of a voxel, `fine` to each: slices are often thick.
    """
    count, layers, _, columns = out.shape
    slices = occupied.shape[1]
    reach = len(gap_k)
    best = np.empty(columns, np.float32)
    lines = np.empty((slices, columns), np.float32)
    for group in range(count):
        for row in range(rows[0], rows[1]):
            for k in range(slices):
                if occupied[group, k]:
                    for n in range(columns):
                        lines[k, n] = np.float32(planes[group, k * every, row, n])
            for layer in range(layers):
                place = layer * stride
                best[:] = np.float32(FAR_SQ)
                low = max(0, (place - reach) // fine + 1)
                for k in range(low, min(slices, (place + reach - 1) // fine + 1)):
                    if occupied[group, k]:
                        take_lower(lines[k], gap_k[abs(k * fine - place)], best)
                line = out[group, layer, row]
                for n in range(columns):
                    line[n] = np.uint16(best[n])


@njit(nogil=True, cache=True)
def spare_squares(
    squares: Squares, needed_sq: Floats32, layers: tuple[int, int], out: Floats32
) -> None:
    """out (k, j, i) = least over the groups of square minus needed square, 0.01 mm2."""
    for layer in range(layers[0], layers[1]):
        for row in range(out.shape[1]):
            line = out[layer, row]
            line[:] = np.float32(FAR_SQ)
            for group in range(len(needed_sq)):
                needed = needed_sq[group]
                source = squares[group, layer, row]
                for n in range(len(line)):
                    value = np.float32(source[n]) - needed
                    line[n] = value if value < line[n] else line[n]
