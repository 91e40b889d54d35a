"""What the planner works on: structures with a colour and an origin, on one CT's grid."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from ir_nav.geometry import FloatArray, read_only
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.labels import LabelMap, canonical, readable
from ir_nav.imaging.structures import Structure, StructureSet
from ir_nav.imaging.volume import BoolArray, check_grid, spacing_of

Box = tuple[slice, slice, slice]
Corner = tuple[int, int, int]

LONGEST_NAME = 80
HIGHEST_NUMBER = 65535
PLAIN_COLOUR = "#9fc2a8"

# The envelope of everything: it belongs to no voxel of a label map alone.
SKIN = "skin"


class Origin(StrEnum):
    """Where a structure comes from."""

    IMPORTED = "imported"
    AUTOMATIC = "automatic"
    DRAWN = "drawn"


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A structure as the planner sees it. colour: '#rrggbb'."""

    structure: Structure
    colour: str
    origin: Origin

    def __post_init__(self) -> None:
        name = self.structure.name
        if not canonical(name) or len(name) > LONGEST_NAME:
            raise ImagingError(f"a structure needs a name of 1 to {LONGEST_NAME} characters")

    @property
    def number(self) -> int:
        return self.structure.number

    @property
    def name(self) -> str:
        return self.structure.name

    @property
    def display_name(self) -> str:
        """The name for people, as LabelMap gives it."""
        return readable(self.name)

    def shaped(self, corner_kji: Corner, part: BoolArray) -> Segment:
        """The same with other voxels."""
        return replace(self, structure=replace(self.structure, part=part, corner_kji=corner_kji))

    def renamed(self, name: str) -> Segment:
        return replace(self, structure=replace(self.structure, name=name.strip()))


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """Segments on one grid, in order; they may overlap; numbers and names differ.

    shape_kji: voxels of the grid. ct_from_voxel: (4, 4) as in Volume.
    """

    shape_kji: tuple[int, int, int]
    ct_from_voxel: FloatArray
    segments: tuple[Segment, ...] = ()

    def __post_init__(self) -> None:
        check_grid(self.shape_kji, self.ct_from_voxel)
        object.__setattr__(self, "ct_from_voxel", read_only(self.ct_from_voxel))
        names = [canonical(item.name) for item in self.segments]
        for name in names:
            if names.count(name) > 1:
                raise ImagingError(f"two structures are named '{name}': rename one of them")

    @property
    def structures(self) -> StructureSet:
        """Without colours and origins, for planning and writing."""
        parts = tuple(item.structure for item in self.segments)
        return StructureSet(parts, self.shape_kji, self.ct_from_voxel)

    def numbered(self, number: int) -> Segment | None:
        """The segment of this number, or None."""
        return next((item for item in self.segments if item.number == number), None)

    def named(self, name: str) -> Segment | None:
        """The segment of this name, however it is written, or None."""
        wanted = canonical(name)
        return next((item for item in self.segments if canonical(item.name) == wanted), None)

    def free_number(self) -> int:
        return 1 + max((item.number for item in self.segments), default=0)

    def free_name(self, name: str) -> str:
        """The name, or the name with the first number that nobody has: 'lesion_2'."""
        if self.named(name) is None:
            return name
        number = 2
        while self.named(f"{name}_{number}") is not None:
            number += 1
        return f"{name}_{number}"

    def volume_ml(self, segment: Segment) -> float:
        voxel_mm3 = float(np.prod(spacing_of(self.ct_from_voxel)))
        return segment.structure.voxel_count * voxel_mm3 / 1000.0

    def label_map(self) -> LabelMap:
        """One label per voxel, the smallest structure's, the skin left out: see
        StructureSet.label_map."""
        kept = tuple(item for item in self.segments if canonical(item.name) != SKIN)
        return replace(self, segments=kept).structures.label_map()


def segmentation_of(
    structures: StructureSet, colours: Iterable[str] = (), origin: Origin = Origin.IMPORTED
) -> Segmentation:
    """Structures that were read, with colours in turn; a name that comes twice gets a number."""
    wheel = tuple(colours) or (PLAIN_COLOUR,)
    found = Segmentation(structures.shape_kji, structures.ct_from_voxel)
    for number, item in enumerate(structures.structures):
        named = replace(item, name=found.free_name(item.name))
        segment = Segment(named, wheel[number % len(wheel)], origin)
        found = replace(found, segments=(*found.segments, segment))
    return found


def bounding_box(mask: BoolArray) -> Box | None:
    """The smallest box (k, j, i) that holds every voxel; None when there is none."""
    kept = np.asarray(mask.any(axis=(1, 2)))
    if not kept.any():
        return None
    first, last = _ends(kept)
    inner = mask[first:last]
    j, j_end = _ends(np.asarray(inner.any(axis=(0, 2))))
    i, i_end = _ends(np.asarray(inner.any(axis=(0, 1))))
    return slice(first, last), slice(j, j_end), slice(i, i_end)


def trimmed(corner_kji: Corner, part: BoolArray) -> tuple[Corner, BoolArray]:
    """The same voxels in their smallest box; one empty voxel when there is none."""
    box = bounding_box(part)
    if box is None:
        return corner_kji, np.zeros((1, 1, 1), np.bool_)
    k, j, i = (start + side.start for start, side in zip(corner_kji, box, strict=True))
    return (k, j, i), part[box]


def widened(structure: Structure, box: Box) -> tuple[Corner, BoolArray]:
    """A copy of the structure's voxels in the smallest box round them and `box`."""
    lows = [min(a.start, b.start) for a, b in zip(structure.box, box, strict=True)]
    highs = [max(a.stop, b.stop) for a, b in zip(structure.box, box, strict=True)]
    out = np.zeros([high - low for low, high in zip(lows, highs, strict=True)], np.bool_)
    corner = (lows[0], lows[1], lows[2])
    out[within(structure.box, corner)] = structure.part
    return corner, out


def within(box: Box, corner_kji: Corner) -> Box:
    """A box of the grid as seen from an array that starts at `corner_kji`."""
    k, j, i = (
        slice(side.start - start, side.stop - start)
        for side, start in zip(box, corner_kji, strict=True)
    )
    return k, j, i


def _ends(kept: BoolArray) -> tuple[int, int]:
    places = np.flatnonzero(kept)
    return int(places[0]), int(places[-1]) + 1
