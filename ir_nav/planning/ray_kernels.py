"""Compiled loops along straight ways from one target to many entries.

All places are in the grid's own mm (voxel index times spacing, along i, j, k), squares in
0.01 mm2. What is interpolated between nodes or samples is never more than the truth: see
DistanceMaps.slack_sq for the nodes; between two samples `step` apart the same sum adds at most
step2 / 4. Where the way is clear by more than a step, it is crossed in one (Hart, Sphere
tracing, The Visual Computer 12, 1996): a distance cannot shrink faster than one goes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# Labels leave slits between lobes that touch; the pleura is crossed once there.
SLIT_MM = 3.0


@njit(nogil=True, cache=True, inline="always")
def _node(place: float, first: float, step: float, size: int) -> tuple[int, float]:
    """Node below a place along one axis, and the fraction of the way to the next."""
    at = (place - first) / step
    low = min(max(int(at), 0), size - 2)
    return low, min(max(at - low, 0.0), 1.0)


@njit(nogil=True, cache=True, inline="always")
def _between(field: Any, i: int, j: int, k: int, fi: float, fj: float, fk: float) -> float:
    """Trilinear value of a field (k, j, i)."""
    near = (1.0 - fj) * ((1.0 - fi) * field[k, j, i] + fi * field[k, j, i + 1]) + fj * (
        (1.0 - fi) * field[k, j + 1, i] + fi * field[k, j + 1, i + 1]
    )
    far = (1.0 - fj) * ((1.0 - fi) * field[k + 1, j, i] + fi * field[k + 1, j, i + 1]) + fj * (
        (1.0 - fi) * field[k + 1, j + 1, i] + fi * field[k + 1, j + 1, i + 1]
    )
    return float((1.0 - fk) * near + fk * far)


@njit(nogil=True, cache=True)
def first_blocks(
    spare: NDArray[np.float32],
    squares: NDArray[np.uint16],
    needed_sq: Floats,
    frame: Floats,
    target: Floats,
    entries: Floats,
    step: float,
    rows: tuple[int, int],
    group: NDArray[np.int16],
    certain: NDArray[np.bool_],
) -> None:
    """group[n]: which group first blocks the way from the target to entry n; -1 for none.

    spare: (k, j, i) from spare_map. frame: (2, 3) first node and step. certain[n]: the way is
    blocked for sure, not only as far as the nodes can tell.
    """
    depth, height, width = spare.shape
    square_i = 100.0 * frame[1, 0] ** 2
    square_j = 100.0 * frame[1, 1] ** 2
    square_k = 100.0 * frame[1, 2] ** 2
    most = 0.0
    for needed in needed_sq:
        most = max(most, needed)
    widest = np.sqrt(most)
    apart = 25.0 * step * step
    for n in range(rows[0], rows[1]):
        x, y, z = entries[n, 0] - target[0], entries[n, 1] - target[1], entries[n, 2] - target[2]
        length = np.sqrt(x * x + y * y + z * z)
        x, y, z = x / length, y / length, z / length
        group[n], certain[n], nearest = -1, False, 0
        travelled = 0.0
        while True:
            i, fi = _node(target[0] + travelled * x, frame[0, 0], frame[1, 0], width)
            j, fj = _node(target[1] + travelled * y, frame[0, 1], frame[1, 1], height)
            k, fk = _node(target[2] + travelled * z, frame[0, 2], frame[1, 2], depth)
            value = _between(spare, i, j, k, fi, fj, fk)
            slack = (
                fi * (1.0 - fi) * square_i + fj * (1.0 - fj) * square_j + fk * (1.0 - fk) * square_k
            )
            left = value - slack - apart
            if left < 0.0:
                left = 0.0
                a, b, c = i + int(fi + 0.5), j + int(fj + 0.5), k + int(fk + 0.5)
                # A distance differs from one place to another by no more than the way between.
                away = 10.0 * np.sqrt(
                    ((a - i - fi) * frame[1, 0]) ** 2
                    + ((b - j - fj) * frame[1, 1]) ** 2
                    + ((c - k - fk) * frame[1, 2]) ** 2
                )
                least = np.inf
                for g in range(len(needed_sq)):
                    here = squares[g, c, b, a] - needed_sq[g]
                    if here < least:
                        least = here
                        nearest = g
                    if np.sqrt(squares[g, c, b, a]) + away + 0.1 < np.sqrt(needed_sq[g]):
                        certain[n] = True
                if group[n] < 0 or certain[n]:
                    group[n] = nearest
                if certain[n]:
                    break
            if travelled >= length:
                break
            clear = 0.1 * (np.sqrt(left + most) - widest)
            travelled = min(length, travelled + max(step, clear))


@njit(nogil=True, cache=True)
def least_squares(
    squares: NDArray[np.uint16],
    start_mm: Floats,
    frame: Floats,
    targets: Floats,
    entries: Floats,
    step: float,
    rows: tuple[int, int],
    out: NDArray[np.float32],
) -> None:
    """out (n, groups): least distance in mm from the way to each group, at most start_mm[group].

    targets: (1, 3), or (n, 3) with one for each entry. frame as in first_blocks.
    """
    groups, depth, height, width = squares.shape
    square_i = 100.0 * frame[1, 0] ** 2
    square_j = 100.0 * frame[1, 1] ** 2
    square_k = 100.0 * frame[1, 2] ** 2
    apart = 25.0 * step * step
    for n in range(rows[0], rows[1]):
        target = targets[n % len(targets)]
        x, y, z = entries[n, 0] - target[0], entries[n, 1] - target[1], entries[n, 2] - target[2]
        length = np.sqrt(x * x + y * y + z * z)
        x, y, z = x / length, y / length, z / length
        best = out[n]
        for g in range(groups):
            best[g] = np.float32(start_mm[g])
        travelled = 0.0
        while True:
            i, fi = _node(target[0] + travelled * x, frame[0, 0], frame[1, 0], width)
            j, fj = _node(target[1] + travelled * y, frame[0, 1], frame[1, 1], height)
            k, fk = _node(target[2] + travelled * z, frame[0, 2], frame[1, 2], depth)
            slack = apart + (
                fi * (1.0 - fi) * square_i + fj * (1.0 - fj) * square_j + fk * (1.0 - fk) * square_k
            )
            clear = np.inf
            for g in range(groups):
                value = max(0.0, _between(squares[g], i, j, k, fi, fj, fk) - slack)
                distance = 0.1 * np.sqrt(value)
                best[g] = min(best[g], np.float32(distance))
                clear = min(clear, distance - best[g])
            if travelled >= length:
                break
            travelled = min(length, travelled + max(step, clear))


@njit(nogil=True, cache=True, inline="always")
def _first_wall(place: float, along: float, size: float) -> tuple[int, int, float, float]:
    """Along one axis: voxel, its direction of travel, way to its wall, way between walls."""
    voxel = int(np.floor(place / size + 0.5))
    if along > 1e-12:
        return voxel, 1, ((voxel + 0.5) * size - place) / along, size / along
    if along < -1e-12:
        return voxel, -1, ((voxel - 0.5) * size - place) / along, -size / along
    return voxel, 0, np.inf, np.inf


@njit(nogil=True, cache=True)
def walk(
    ids: NDArray[np.uint8],
    body: NDArray[np.uint8],
    kinds: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    spacing: Floats,
    target: Floats,
    entries: Floats,
    rows: tuple[int, int],
    inside: NDArray[np.bool_],
    counts: NDArray[np.int16],
    organ_mm: Floats,
    capsule: NDArray[np.int32],
) -> None:
    """What lies on the way: every voxel that the line runs through, from the target out
    (Amanatides and Woo, A fast voxel traversal algorithm, Eurographics 1987).

    kinds: (256,) each, ids of the organ and of the lobes. inside[n]: the way stays in the body
    up to a voxel before the entry. counts (n, 2): crossings of pleura and of fissures.
    organ_mm (n,): way in the organ. capsule (n, 3): the outermost voxel (i, j, k) of the organ
    on the way, -1 without one.
    """
    organ, lobes = kinds
    depth, height, width = ids.shape
    rim = np.sqrt(spacing[0] ** 2 + spacing[1] ** 2 + spacing[2] ** 2)
    for n in range(rows[0], rows[1]):
        x, y, z = entries[n, 0] - target[0], entries[n, 1] - target[1], entries[n, 2] - target[2]
        length = np.sqrt(x * x + y * y + z * z)
        i, step_i, wall_i, wide_i = _first_wall(target[0], x / length, spacing[0])
        j, step_j, wall_j, wide_j = _first_wall(target[1], y / length, spacing[1])
        k, step_k, wall_k, wide_k = _first_wall(target[2], z / length, spacing[2])
        lobe, left_lobe, since = 0, 0.0, 0.0
        while since < length:
            if not (0 <= i < width and 0 <= j < height and 0 <= k < depth):
                inside[n] = False
                break
            if body[k, j, i] == 0 and since < length - rim:
                inside[n] = False
                break
            until = min(length, wall_i, wall_j, wall_k)
            found = ids[k, j, i]
            if organ[found]:
                organ_mm[n] += until - since
                capsule[n, 0], capsule[n, 1], capsule[n, 2] = i, j, k
            if lobes[found]:
                if lobe == 0 or since - left_lobe > SLIT_MM:
                    counts[n, 0] += 1
                elif found != lobe:
                    counts[n, 1] += 1
                lobe, left_lobe = int(found), until
            since = until
            if wall_i <= until:
                i += step_i
                wall_i += wide_i
            elif wall_j <= until:
                j += step_j
                wall_j += wide_j
            elif wall_k <= until:
                k += step_k
                wall_k += wide_k
