"""What planning knows of a patient before there is a target: structures, distances, skin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ir_nav.geometry import FloatArray
from ir_nav.imaging import BoolArray, LabelMap, Volume, body_mask
from ir_nav.planning.distance import Box, DistanceMaps, distance_maps
from ir_nav.planning.protocol import Protocol
from ir_nav.planning.skin import Skin, find_skin
from ir_nav.planning.structures import Structures, find_structures, same_structures

SAMPLING_MM = 1.5


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """A patient, ready to be planned on. body: (k, j, i). sampling_mm: of maps and ways.

    protocol: the one the structures were sorted by; margins and limits may change freely.
    """

    volume: Volume
    body: BoolArray
    protocol: Protocol
    structures: Structures
    maps: DistanceMaps
    skin: Skin
    sampling_mm: float

    def serves(self, protocol: Protocol) -> bool:
        """Whether another protocol sorts the structures alike, so that all of this still holds."""
        return same_structures(self.protocol, protocol)

    def grid_mm(self, points_ct_mm: FloatArray) -> FloatArray:
        """Points (..., 3) in the grid's own mm: voxel index times spacing, along i, j, k."""
        axes = self.volume.ct_from_voxel[:3, :3] / self.spacing_mm
        return np.ascontiguousarray((points_ct_mm - self.volume.ct_from_voxel[:3, 3]) @ axes)

    @property
    def spacing_mm(self) -> FloatArray:
        """(3,) along i, j, k."""
        return np.array(self.volume.spacing_mm)

    @property
    def frame(self) -> FloatArray:
        """(2, 3): first node and step of the distance maps, the grid's own mm."""
        return np.stack([self.maps.first_mm, self.maps.step_mm])

    def names(self) -> tuple[str, ...]:
        """Name of each group that is kept away from."""
        return tuple(rule.name for rule in self.protocol.kept)


def prepare(
    volume: Volume,
    labels: LabelMap | None,
    protocol: Protocol,
    *,
    body: BoolArray | None = None,
    skin: Skin | None = None,
    sampling_mm: float = SAMPLING_MM,
) -> Ground:
    """Sort the structures, find the skin, and work out the distances.

    body: of body_mask, when it is at hand: finding it takes a while. skin:
    likewise, of find_skin. sampling_mm: distance between nodes of the maps and between samples
    along a way. Raises PlanError when labels and CT have different grids.
    """
    mask = body_mask(volume) if body is None else body
    structures = find_structures(volume, labels, mask, protocol)
    maps = distance_maps(
        structures.ids,
        structures.groups(),
        volume.spacing_mm,
        _box(mask),
        sampling_mm,
        len(protocol.kept),
    )
    found = find_skin(volume, mask) if skin is None else skin
    return Ground(volume, mask, protocol, structures, maps, found, sampling_mm)


def _box(body: BoolArray) -> Box:
    """First and last voxel of the body along i and j."""
    flat = np.asarray(body.any(axis=0))
    ends = [np.flatnonzero(flat.any(axis=axis))[[0, -1]].tolist() for axis in (0, 1)]
    i, j = ((int(first), int(last)) for first, last in ends)
    return i, j
