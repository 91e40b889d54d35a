"""A CT as X-rays meet it: linear attenuation, compact, without air and table, ready to project."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ir_nav.geometry import FloatArray, read_only
from ir_nav.imaging import BoolArray, ImagingError, Volume, body_mask
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.fluoro.attenuation_kernels import bin_means, row_extents
from ir_nav.threads import in_ranges

# Water at about 70 keV, the mean energy of a 120 kVp beam behind a body (NIST XCOM: 0.0193 at
# 70 keV, 0.0206 at 60 keV).
WATER_PER_MM = 0.0195
# Below this there is gas and noise, and what the reconstruction left of it.
AIR_HU = -900
# Above this a voxel holds mineral, which absorbs more per HU the softer the beam is.
BONE_HU = 100
# Air round the grid: interpolation never asks for a voxel that is not there.
PAD = 2
LEVELS = 32767
PYRAMID_MM = (4.0, 2.0)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Attenuation:
    """Linear attenuation on a grid, cropped to the body.

    levels: (k, j, i) int16, with two voxels of air on every side; one level is `per_mm` 1/mm.
    swapped: the same as (k, i, j), for rays along i. extents, swapped_extents: (k, j, 2) and
    (k, i, 2) int16, first and last + 1 voxel of each line that is not air. ct_from_voxel: (4, 4)
    of voxel centres, (i, j, k, 1) -> `ct` mm, right-angled. All read-only.
    """

    levels: NDArray[np.int16]
    swapped: NDArray[np.int16]
    extents: NDArray[np.int16]
    swapped_extents: NDArray[np.int16]
    per_mm: float
    ct_from_voxel: FloatArray

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance of voxel centres along i, j, k."""
        i, j, k = np.linalg.norm(self.ct_from_voxel[:3, :3], axis=0)
        return float(i), float(j), float(k)

    @property
    def centre_ct_mm(self) -> FloatArray:
        """(3,) middle of the grid."""
        middle = (np.array(self.levels.shape[::-1]) - 1.0) / 2.0
        return np.asarray(self.ct_from_voxel[:3, :3] @ middle + self.ct_from_voxel[:3, 3])


def prepare_attenuation(
    volume: Volume,
    spacing_mm: float | None = None,
    body: BoolArray | None = None,
    bone: float = 1.0,
) -> Attenuation:
    """What a CT absorbs, in voxels of about `spacing_mm` (None: the CT's own).

    Whole numbers of voxels are joined, never split, and hold the mean of what they replace, so
    that nothing is lost. body: (k, j, i), body_mask(volume) when the caller has it (it takes a
    second); what lies outside it, such as the table, is left out. bone: how much more mineral
    absorbs per HU than in the CT's own beam; 1 is the same, about 1.2 at 60 keV (NIST).
    Raises RegistrationError when the CT holds no body.
    """
    mask = _body(volume) if body is None else body
    low, high = _box(mask)
    factors = _factors(volume, spacing_mm)
    size = -(-(high - low) // factors)
    levels = np.zeros(tuple(size + 2 * PAD), np.int16)
    table = _curve(bone)
    largest = float(table[int(volume.voxels.max()) + 32768])
    if largest <= 0.0:
        raise RegistrationError("the CT holds nothing that absorbs X-rays: load another series")
    per_mm = largest / LEVELS
    table /= np.float32(per_mm)
    in_ranges(
        int(size[0]),
        lambda part: bin_means(
            volume.voxels, mask, table, tuple(low), tuple(high), tuple(factors), PAD, *part, levels
        ),
    )
    return _laid_out(levels, per_mm, _grid(volume, low, factors))


def pyramid(
    volume: Volume, body: BoolArray | None = None, bone: float = 1.0
) -> tuple[Attenuation, ...]:
    """The same CT at about 4 mm and 2 mm, coarse first. Arguments as in prepare_attenuation."""
    mask = _body(volume) if body is None else body
    return tuple(prepare_attenuation(volume, step, mask, bone) for step in PYRAMID_MM)


def _body(volume: Volume) -> BoolArray:
    try:
        return body_mask(volume)
    except ImagingError as error:
        raise RegistrationError(f"{error}: a fluoro view needs a CT of a patient") from error


def _box(mask: BoolArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(3,) first and last + 1 index k, j, i of what is body."""
    ends = []
    for axes in ((1, 2), (0, 2), (0, 1)):
        filled = np.flatnonzero(mask.any(axis=axes))
        if not len(filled):
            raise RegistrationError("the body mask is empty: there is nothing to project")
        ends.append((filled[0], filled[-1] + 1))
    low, high = np.array(ends).T
    return low, high


def _factors(volume: Volume, spacing_mm: float | None) -> NDArray[np.int64]:
    """Voxels along k, j, i that become one."""
    if spacing_mm is None:
        return np.ones(3, np.int64)
    if not 0.1 <= spacing_mm <= 50.0:
        raise RegistrationError(
            f"a grid of {spacing_mm:g} mm cannot be projected: ask for 0.1 to 50 mm"
        )
    own = np.array(volume.spacing_mm)[::-1]
    return np.maximum(np.rint(spacing_mm / own).astype(np.int64), 1)


def _curve(bone: float) -> NDArray[np.float32]:
    """(65536,) attenuation in 1/mm of every CT number from -32768 on."""
    hu = np.arange(-32768, 32768, dtype=np.float64)
    excess = np.maximum(hu - BONE_HU, 0.0)
    per_mm = WATER_PER_MM * (1.0 + (hu + (bone - 1.0) * excess) / 1000.0)
    per_mm[hu < AIR_HU] = 0.0
    return per_mm.astype(np.float32)


def _grid(volume: Volume, low: NDArray[np.int64], factors: NDArray[np.int64]) -> FloatArray:
    """(4, 4) of the joined and padded voxels' centres."""
    step = factors[::-1].astype(np.float64)
    origin = low[::-1] + (step - 1.0) / 2.0 - PAD * step
    ct_from_voxel = np.array(volume.ct_from_voxel)
    ct_from_voxel[:3, 3] += ct_from_voxel[:3, :3] @ origin
    ct_from_voxel[:3, :3] *= step
    return ct_from_voxel


def _laid_out(levels: NDArray[np.int16], per_mm: float, ct_from_voxel: FloatArray) -> Attenuation:
    swapped = np.ascontiguousarray(levels.transpose(0, 2, 1))
    extents, swapped_extents = row_extents(levels), row_extents(swapped)
    for array in (levels, swapped, extents, swapped_extents):
        array.flags.writeable = False
    return Attenuation(levels, swapped, extents, swapped_extents, per_mm, read_only(ct_from_voxel))
