"""Segmented structures that may overlap, each with its own mask on one grid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType

import numpy as np
from scipy.ndimage import find_objects

from ir_nav.geometry import FloatArray, read_only
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.labels import LabelMap, canonical
from ir_nav.imaging.volume import BoolArray, check_grid, frozen_view

Corner = tuple[int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """One structure: the box of voxels round it.

    part: (k, j, i) bool, made read-only. corner_kji: index of its first voxel in the grid.
    """

    number: int
    name: str
    part: BoolArray
    corner_kji: Corner

    def __post_init__(self) -> None:
        object.__setattr__(self, "part", frozen_view(self.part))

    @classmethod
    def of_mask(cls, number: int, name: str, mask: BoolArray) -> Structure:
        """Cut a mask of the whole grid, (k, j, i), down to its box."""
        box = _box(mask)
        corner = tuple(int(side.start) for side in box)
        return cls(number, name, mask[box].copy(), (corner[0], corner[1], corner[2]))

    @property
    def voxel_count(self) -> int:
        return int(np.count_nonzero(self.part))

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """Where the part lies in the grid."""
        k, j, i = (
            slice(start, start + length)
            for start, length in zip(self.corner_kji, self.part.shape, strict=True)
        )
        return k, j, i


@dataclass(frozen=True, slots=True, eq=False)
class StructureSet:
    """Structures on one grid; a voxel may belong to several.

    shape_kji, ct_from_voxel: the grid, as in Volume. notes: what reading did, in words.
    """

    structures: tuple[Structure, ...]
    shape_kji: tuple[int, int, int]
    ct_from_voxel: FloatArray
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_grid(self.shape_kji, self.ct_from_voxel)
        object.__setattr__(self, "ct_from_voxel", read_only(self.ct_from_voxel))
        numbers = [one.number for one in self.structures]
        if len(set(numbers)) < len(numbers):
            raise ImagingError("two structures have one number")
        for one in self.structures:
            within = all(
                side.start >= 0 and side.stop <= length
                for side, length in zip(one.box, self.shape_kji, strict=True)
            )
            if not within:
                raise ImagingError(f"the structure '{one.name}' reaches out of its grid")

    @property
    def names(self) -> Mapping[int, str]:
        return MappingProxyType({one.number: one.name for one in self.structures})

    def named(self, name: str) -> Structure:
        """The structure of a name, however it is written; ImagingError when there is none."""
        wanted = canonical(name)
        for one in self.structures:
            if canonical(one.name) == wanted:
                return one
        raise ImagingError(f"no structure is named '{name}'")

    def mask(self, structure: str | int | Iterable[int]) -> BoolArray:
        """(k, j, i) bool over the whole grid: a name, a number, or several numbers together."""
        whole = np.zeros(self.shape_kji, dtype=np.bool_)
        for one in self._chosen(structure):
            whole[one.box] |= one.part
        return whole

    def overlaps(self) -> tuple[tuple[str, str, int], ...]:
        """(name, name, voxels) of every pair that shares voxels."""
        shared = (
            (first.name, second.name, _shared_voxels(first, second))
            for first, second in combinations(self.structures, 2)
        )
        return tuple(found for found in shared if found[2])

    def label_map(self) -> LabelMap:
        """One label per voxel: where structures overlap the smaller one shows, so that a lesion
        is seen in its organ. What else a voxel belongs to is lost there: see `overlaps`."""
        highest = max((one.number for one in self.structures), default=0)
        if highest > np.iinfo(np.uint16).max:
            raise ImagingError(f"structure number {highest} is too high for a label map")
        dtype = np.uint8 if highest <= np.iinfo(np.uint8).max else np.uint16
        voxels = np.zeros(self.shape_kji, dtype=dtype)
        for one in sorted(self.structures, key=lambda one: -one.voxel_count):
            voxels[one.box][one.part] = one.number
        return LabelMap(voxels, self.ct_from_voxel, self.names)

    def _chosen(self, structure: str | int | Iterable[int]) -> tuple[Structure, ...]:
        if isinstance(structure, str):
            return (self.named(structure),)
        numbers = (structure,) if isinstance(structure, int) else tuple(structure)
        return tuple(one for one in self.structures if one.number in numbers)


def structures_of(labels: LabelMap) -> StructureSet:
    """A label map as structures: every label that occurs, by its name."""
    found = []
    for number, box in enumerate(find_objects(labels.voxels), start=1):
        if box is not None:
            name = labels.names.get(number, f"Structure {number}")
            k, j, i = (int(side.start) for side in box)
            found.append(Structure(number, name, labels.voxels[box] == number, (k, j, i)))
    k, j, i = labels.voxels.shape
    return StructureSet(tuple(found), (k, j, i), labels.ct_from_voxel)


def _box(mask: BoolArray) -> tuple[slice, ...]:
    """The smallest box round the set voxels; one voxel when there is none."""
    sides = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        filled = np.flatnonzero(mask.any(axis=others))
        sides.append(slice(0, 1) if not len(filled) else slice(int(filled[0]), int(filled[-1]) + 1))
    return tuple(sides)


def _shared_voxels(first: Structure, second: Structure) -> int:
    lows = [max(a.start, b.start) for a, b in zip(first.box, second.box, strict=True)]
    highs = [min(a.stop, b.stop) for a, b in zip(first.box, second.box, strict=True)]
    if any(high <= low for low, high in zip(lows, highs, strict=True)):
        return 0

    def common(one: Structure) -> BoolArray:
        sides = zip(lows, highs, one.corner_kji, strict=True)
        cut = tuple(slice(low - start, high - start) for low, high, start in sides)
        return np.asarray(one.part[cut])

    return int(np.count_nonzero(common(first) & common(second)))
