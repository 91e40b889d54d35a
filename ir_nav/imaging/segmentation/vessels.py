"""Vessels by threshold and connectivity from a click, with a guard against leaking."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from ir_nav.geometry import apply
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.segmentation.segments import Corner, trimmed
from ir_nav.imaging.volume import BoolArray, Volume

SEED_MM = 2.0
AROUND_MM = 16.0
LEAST_SPREAD_HU = 12.0
# A vessel that is no denser than this above its surroundings cannot be told from them.
LEAST_CONTRAST_HU = 30.0
ABOVE = 4.5
SHARES = (0.5, 0.6, 0.7, 0.8, 0.9)
# Fat round a vessel says nothing about the tissue that it must not run into.
FAT_HU = 0.0
COMPANY = 4
# Of the surroundings: where less is darker the click is in no vessel.
LEAST_SHARE = 0.1
LARGEST_ML = 200.0


class Ending(StrEnum):
    """Why growth stopped."""

    COMPLETE = "complete"
    TOO_LARGE = "too large"


@dataclass(frozen=True, slots=True, eq=False)
class Vessels:
    """What is joined to a click. part: (k, j, i) bool, its first voxel at corner_kji. ending:
    TOO_LARGE when the size limit stopped it: it has leaked, what is nearest is kept."""

    corner_kji: Corner
    part: BoolArray
    low_hu: float
    high_hu: float
    ending: Ending


def vessels(
    volume: Volume,
    seed_ct_mm: ArrayLike,
    threshold_hu: float | None = None,
    largest_ml: float = LARGEST_ML,
) -> Vessels:
    """The vessel round a point (3,) in `ct`, mm, and those joined to it.

    threshold_hu: the least density; None for halfway between the vessel and the soft tissue
    within 16 mm (full width at half maximum, the usual measure of a vessel's width), or closer
    to the vessel where that leaks. Upwards the vessel's mean and 4.5 standard deviations limit
    it, so that bone which touches is mostly left out. Growth goes outwards step by step, on
    through voxels of which four neighbours fit as well (after ITK's NeighborhoodConnected
    filter: noise builds no bridges), and stops at largest_ml.
    Raises ImagingError when the point lies outside the CT or on nothing brighter than around.
    """
    mean, spread, around = _around(volume, seed_ct_mm)
    high_hu = mean + ABOVE * spread
    if threshold_hu is None:
        if mean - around < LEAST_CONTRAST_HU:
            raise ImagingError(
                f"the click is at {mean:.0f} HU in surroundings of {around:.0f} HU: click on a "
                "vessel with contrast, or give a threshold"
            )
        tried_hu = [around + share * (mean - around) for share in SHARES]
    else:
        tried_hu = [float(threshold_hu)]
        if mean < threshold_hu:
            raise ImagingError(
                f"the click is at {mean:.0f} HU, below the threshold of {threshold_hu:.0f} HU"
            )
    voxel_mm3 = float(np.prod(volume.spacing_mm))
    limit = max(int(largest_ml * 1000.0 / voxel_mm3), 1)
    place = np.rint(apply(volume.voxel_from_ct, np.asarray(seed_ct_mm, float)))
    i, j, k = np.clip(place, 0, np.array(volume.size_ijk) - 1).astype(int)
    for low_hu in tried_hu:
        places, stopped = _joined(volume.voxels, int(k), int(j), int(i), low_hu, high_hu, limit)
        if not stopped:
            break
    low = places.min(axis=0)
    part = np.zeros(places.max(axis=0) - low + 1, np.bool_)
    part[tuple((places - low).T)] = True
    corner, kept = trimmed((int(low[0]), int(low[1]), int(low[2])), part)
    ending = Ending.TOO_LARGE if stopped else Ending.COMPLETE
    return Vessels(corner, kept, low_hu, high_hu, ending)


def _around(volume: Volume, seed_ct_mm: ArrayLike) -> tuple[float, float, float]:
    """Mean and standard deviation at the click, and that of the soft tissue around, HU."""
    place = apply(volume.voxel_from_ct, np.asarray(seed_ct_mm, dtype=np.float64))
    size = np.array(volume.size_ijk)
    if not (np.all(place >= -0.5) and np.all(place <= size - 0.5)):
        raise ImagingError("the click lies outside the CT")
    spacing = np.array(volume.spacing_mm)
    low = np.maximum(np.floor(place - AROUND_MM / spacing), 0).astype(int)
    high = np.minimum(np.ceil(place + AROUND_MM / spacing) + 1, size).astype(int)
    here = volume.voxels[low[2] : high[2], low[1] : high[1], low[0] : high[0]].astype(np.float64)
    away = [
        ((np.arange(low[axis], high[axis]) - place[axis]) * spacing[axis]) ** 2 for axis in range(3)
    ]
    distance_mm2 = away[2][:, None, None] + away[1][None, :, None] + away[0][None, None, :]
    # At least the nearest voxel: half a voxel's diagonal away at most.
    seed_mm = max(SEED_MM, 0.51 * float(np.linalg.norm(spacing)))
    seeds = here[distance_mm2 <= seed_mm**2]
    # A vessel is thin: at the click's own density, whatever of its wall the ball holds.
    value = here.ravel()[int(np.argmin(distance_mm2))]
    alike = seeds[np.abs(seeds - value) <= 60.0]
    mean = float(np.median(alike))
    spread = max(float(alike.std()), LEAST_SPREAD_HU)
    ball = distance_mm2 <= AROUND_MM**2
    darker = ball & (here < mean - 2.0 * spread)
    if darker.sum() < LEAST_SHARE * ball.sum():
        return mean, spread, mean
    soft = here[darker & (here > FAT_HU)]
    around = float(np.median(soft)) if len(soft) else FAT_HU
    return mean, spread, around


@njit(nogil=True, cache=True)
def _company(
    voxels: NDArray[np.int16], z: int, y: int, x: int, low_hu: float, high_hu: float
) -> int:
    """How many of the six neighbours lie between the limits."""
    count = 0
    for n in range(6):
        c = z + (1 if n == 0 else -1 if n == 1 else 0)
        b = y + (1 if n == 2 else -1 if n == 3 else 0)
        a = x + (1 if n == 4 else -1 if n == 5 else 0)
        if not (0 <= c < voxels.shape[0] and 0 <= b < voxels.shape[1] and 0 <= a < voxels.shape[2]):
            continue
        count += 1 if low_hu <= voxels[c, b, a] <= high_hu else 0
    return count


@njit(nogil=True, cache=True)
def _joined(
    voxels: NDArray[np.int16], k: int, j: int, i: int, low_hu: float, high_hu: float, limit: int
) -> tuple[NDArray[np.int32], bool]:
    """(n, 3) [k, j, i] joined to a voxel by such between the limits, nearest first, and whether
    the limit stopped it. Six neighbours: diagonal bridges are leaks."""
    slices, rows, columns = voxels.shape
    taken = np.zeros(voxels.shape, np.bool_)
    queue = np.empty((limit, 3), np.int32)
    queue[0] = (k, j, i)
    taken[k, j, i] = True
    first, count = 0, 1
    while first < count:
        z, y, x = queue[first]
        first += 1
        if first > 1 and _company(voxels, z, y, x, low_hu, high_hu) < COMPANY:
            continue
        for n in range(6):
            c = z + (1 if n == 0 else -1 if n == 1 else 0)
            b = y + (1 if n == 2 else -1 if n == 3 else 0)
            a = x + (1 if n == 4 else -1 if n == 5 else 0)
            if not (0 <= c < slices and 0 <= b < rows and 0 <= a < columns):
                continue
            if taken[c, b, a] or not low_hu <= voxels[c, b, a] <= high_hu:
                continue
            if count == limit:
                return queue, True
            taken[c, b, a] = True
            queue[count] = (c, b, a)
            count += 1
    return queue[:count].copy(), False
