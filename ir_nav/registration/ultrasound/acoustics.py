"""What ultrasound sees of a CT: impedance, scatter and loss on a grid fine enough to walk.

Density from CT numbers is piecewise linear (Schneider 1996, 2000), impedance is density times
the speed of sound; scatter and loss are of the order of Szabo 2014, appendix B. Contrast medium
changes the CT number and not the sound: where a label names a vessel, it is blood whatever its HU.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from ir_nav.geometry import FloatArray, read_only
from ir_nav.imaging import LabelMap, Volume
from ir_nav.imaging.labels import LabelArray, on_grid_of
from ir_nav.imaging.volume import frozen_view
from ir_nav.registration.ultrasound.acoustics_kernels import codes_of, resample_codes

GRID_MM = 1.25
MOST_VOXELS = 150_000_000

# One byte each: natural logarithm of the impedance over water's, scatter in dB over liver's,
# loss in dB / cm / MHz one way, CT number.
LOG_Z_LOW, LOG_Z_STEP = -0.25, 0.0065
SCATTER_LOW_DB, SCATTER_STEP_DB = -58.0, 1.0 / 3.0
LOSS_STEP = 0.04
HU_LOW, HU_STEP = -160.0, 2.0
HU_SHIFT = 2  # the table's bins are four HU wide
TABLE_HU = np.arange(-1024, 3072, 1 << HU_SHIFT) + (1 << HU_SHIFT) / 2.0

GAS_HU, MARROW_HU, BONE_HU = -420.0, 60.0, 240.0
VESSEL_EXCESS_HU = (18.0, 36.0)
VESSEL_SMOOTHING_MM = 1.1

Codes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Tissue:
    """impedance: MRayl. scatter_db: echo level over liver's. loss: dB / cm / MHz one way."""

    impedance: float
    scatter_db: float
    loss: float


WATER_MRAYL = 1.52
GAS = Tissue(1.19, -26.0, 10.2)  # told from tissue by its loss; its true impedance is nearly 0
BONE = Tissue(4.4, 0.0, 10.2)
BLOOD = Tissue(1.575, -44.0, 0.18)
FLUID = Tissue(1.51, -50.0, 0.03)
LIVER = Tissue(1.652, 0.0, 0.45)

# HU, MRayl, dB, dB / cm / MHz where no label says more; straight lines between.
BY_HU = np.array(
    [
        (-1024.0, 1.19, -26.0, 10.2),
        (GAS_HU, 1.19, -26.0, 10.2),
        (-300.0, 1.36, -8.0, 0.8),
        (-140.0, 1.47, -5.0, 0.48),
        (-70.0, 1.51, -3.5, 0.48),
        (-20.0, 1.58, -1.0, 0.5),
        (30.0, 1.63, -4.0, 0.55),
        (75.0, 1.655, -1.0, 0.5),
        (115.0, 1.66, -2.0, 0.45),
        (150.0, 1.63, -11.0, 0.4),
        (200.0, 1.66, -11.0, 0.6),
        (BONE_HU, 2.2, 0.0, 4.0),
        (400.0, 3.6, 0.0, 10.2),
        (1000.0, 5.2, 0.0, 10.2),
        (3072.0, 6.5, 0.0, 10.2),
    ]
)

# What a name holds decides, the first that fits.
BY_WORD: tuple[tuple[tuple[str, ...], Tissue], ...] = (
    (("cartilage",), Tissue(1.83, -10.0, 1.6)),
    (("rib", "vertebra", "spine", "sternum", "sacrum", "scapula", "clavic"), BONE),
    (("humerus", "hip", "femur", "skull", "fiducial"), BONE),
    (("lung", "trachea", "gas"), GAS),
    (("gallbladder", "bladder", "cyst"), FLUID),
    (("portal",), Tissue(1.545, -44.0, 0.18)),
    (("vein", "vena", "aorta", "artery", "iliac", "trunk", "carotid", "atri"), BLOOD),
    (("abscess",), Tissue(1.59, -20.0, 0.2)),
    (("lesion", "tumour", "tumor", "metastas"), Tissue(1.635, -11.0, 0.5)),
    (("liver",), LIVER),
    (("spleen",), Tissue(1.648, 0.5, 0.45)),
    (("kidney",), Tissue(1.622, -5.0, 0.5)),
    (("pancreas",), Tissue(1.66, 2.5, 0.5)),
    (("adrenal", "thyroid", "prostate"), Tissue(1.64, -3.0, 0.5)),
    (("diaphragm",), Tissue(1.73, 1.0, 0.6)),
    (("heart", "myocardium", "ventricle"), Tissue(1.64, -7.0, 0.55)),
    (("stomach", "bowel", "colon", "duodenum", "esophagus"), Tissue(1.61, -6.0, 0.6)),
)


@dataclass(frozen=True, slots=True, eq=False)
class Acoustics:
    """A CT as sound meets it.

    codes: (k, j, i, 4) uint8, read-only: impedance, scatter, loss, CT number in the steps above.
    voxel_from_ct: (4, 4). identity: of the CT it was made from.
    """

    codes: Codes
    voxel_from_ct: FloatArray
    identity: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "codes", frozen_view(self.codes))
        object.__setattr__(self, "voxel_from_ct", read_only(self.voxel_from_ct))

    @property
    def packed(self) -> NDArray[np.uint32]:
        """(k, j, i): the four codes of a voxel in one number, impedance lowest."""
        return np.asarray(self.codes.view("<u4")[..., 0])


def prepare_acoustics(
    volume: Volume, labels: LabelMap | None = None, grid_mm: float = GRID_MM
) -> Acoustics:
    """The CT on cubes of `grid_mm` as impedance, scatter and loss; once a CT, about a second.

    labels: name vessels, gallbladder, gas and organs; without them the CT number alone decides,
    and enhanced vessels, spleen and kidneys cannot be told from one another. Gas and bone are
    found by HU inside any structure. Raises ImagingError when the labels lie elsewhere.
    """
    if labels is None:
        names = [""]
        ids: LabelArray = np.zeros(volume.voxels.shape, np.uint8)
        hu = volume.voxels
    else:
        placed = on_grid_of(labels, volume)
        ids = placed.voxels
        count = int(ids.max()) + 1
        names = [placed.names.get(number, "") if number else "" for number in range(count)]
        hu = _liver_smoothed(volume, ids, names)
    table = np.stack([_row(name, _liver_hu(name, hu, ids, n)) for n, name in enumerate(names)])
    native = np.empty(volume.voxels.shape, dtype=np.uint32)
    codes_of(hu, ids, np.ascontiguousarray(table).view(np.uint32)[:, :, 0], HU_SHIFT, native)
    return _on_cubes(native, volume, grid_mm)


def tissue_named(name: str) -> Tissue | None:
    """The tissue of a structure by its name; None where only the HU can tell."""
    words = name.lower()
    for holds, tissue in BY_WORD:
        if any(part in words for part in holds):
            return tissue
    return None


def bytes_of(log_z: ArrayLike, scatter_db: ArrayLike, loss: ArrayLike, hu: ArrayLike) -> Codes:
    """(..., 4) uint8 in the steps above, each clipped to what a byte holds."""
    values = np.stack([np.asarray(part) for part in (log_z, scatter_db, loss, hu)], axis=-1)
    low = (LOG_Z_LOW, SCATTER_LOW_DB, 0.0, HU_LOW)
    step = (LOG_Z_STEP, SCATTER_STEP_DB, LOSS_STEP, HU_STEP)
    return np.clip(np.rint((values - low) / step), 0, 255).astype(np.uint8)


@lru_cache(maxsize=1)
def scatter_amplitudes() -> NDArray[np.float32]:
    """(256,): amplitude of each scatter code, liver's being 1."""
    level_db = SCATTER_LOW_DB + SCATTER_STEP_DB * np.arange(256)
    amplitudes = (10.0 ** (level_db / 20.0)).astype(np.float32)
    amplitudes.flags.writeable = False
    return np.asarray(amplitudes)


def _row(name: str, liver_hu: float | None) -> Codes:
    """(bins, 4): the codes of a structure at every CT number."""
    found = [np.interp(TABLE_HU, BY_HU[:, 0], BY_HU[:, n]) for n in (1, 2, 3)]
    tissue = tissue_named(name)
    if tissue is BONE:
        found = _mixed(found, BONE, MARROW_HU < TABLE_HU)
    elif tissue is not None:
        holds = np.ones(TABLE_HU.shape, dtype=np.bool_)
        if tissue is not GAS:
            holds &= TABLE_HU > GAS_HU
        if tissue.scatter_db > BLOOD.scatter_db:  # contrast medium may be as dense as bone
            holds &= TABLE_HU < BONE_HU + 40.0
        found = _mixed(found, tissue, holds)
    if liver_hu is not None:
        low, high = (liver_hu + excess for excess in VESSEL_EXCESS_HU)
        share = np.clip((TABLE_HU - low) / (high - low), 0.0, 1.0)
        found = _mixed(found, BLOOD, share * (TABLE_HU < BONE_HU))
    return bytes_of(np.log(found[0] / WATER_MRAYL), found[1], found[2], TABLE_HU)


def _mixed(old: list[FloatArray], tissue: Tissue, share: NDArray[Any]) -> list[FloatArray]:
    new = (tissue.impedance, tissue.scatter_db, tissue.loss)
    return [was + share * (becomes - was) for was, becomes in zip(old, new, strict=True)]


def _liver_hu(name: str, hu: NDArray[np.int16], ids: NDArray[np.integer], n: int) -> float | None:
    """The median CT number of the liver; None for every other structure."""
    if tissue_named(name) is not LIVER:
        return None
    inside = hu[ids == n]
    return float(np.median(inside)) if inside.size else None


def _liver_smoothed(
    volume: Volume, ids: NDArray[np.integer], names: list[str]
) -> NDArray[np.int16]:
    """The CT numbers, smoothed within the liver: noise would be drawn as small vessels."""
    livers = [n for n, name in enumerate(names) if tissue_named(name) is LIVER]
    mask = np.isin(ids, livers)
    box = ndimage.find_objects(mask.view(np.uint8))
    if not livers or not box:
        return volume.voxels
    hu = np.array(volume.voxels)
    image = sitk.GetImageFromArray(hu[box[0]].astype(np.float32))
    image.SetSpacing(volume.spacing_mm)
    smooth = sitk.GetArrayFromImage(
        sitk.DiscreteGaussian(image, VESSEL_SMOOTHING_MM**2, useImageSpacing=True)
    )
    hu[box[0]][mask[box[0]]] = np.rint(smooth[mask[box[0]]]).astype(np.int16)
    return hu


def _on_cubes(native: NDArray[np.uint32], volume: Volume, grid_mm: float) -> Acoustics:
    spacing = np.array(volume.spacing_mm)
    extent = (np.array(volume.size_ijk) - 1) * spacing
    size = np.floor(extent / grid_mm).astype(int) + 1
    while np.prod(size) > MOST_VOXELS:
        grid_mm *= 1.1
        size = np.floor(extent / grid_mm).astype(int) + 1
    codes = np.empty((*size[::-1], 4), dtype=np.uint8)
    resample_codes(native.view(np.uint8).reshape(*native.shape, 4), grid_mm / spacing, codes)
    ct_from_cube = volume.ct_from_voxel @ np.diag([*(grid_mm / spacing), 1.0])
    cube_from_ct = np.asarray(np.linalg.inv(ct_from_cube), dtype=np.float64)
    return Acoustics(codes, cube_from_ct, volume.identity)
