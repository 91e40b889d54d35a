"""What ultrasound and X-rays see of a tissue: acoustic bytes per voxel from label and HU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hw_mocks.anatomy import Anatomy

GAS_HU = -400
FAT_HU = -25
BONE_HU = 240
VESSEL_EXCESS_HU = 28.0
SCATTER_FLOOR_DB = -60.0
SCATTER_STEP_DB = 1.0 / 3.0
ATTENUATION_STEP = 0.05  # dB / mm, there and back
IMPEDANCE_STEP = 0.01  # MRayl


@dataclass(frozen=True, slots=True)
class Tissue:
    """Acoustics at 3.5 MHz (orders of size after Szabo 2014, appendix B).

    scatter_db: speckle against liver. attenuation: dB/mm there and back. impedance: MRayl;
    lowered for vessels, since thin walls are lost in a CT but bright in ultrasound.
    """

    scatter_db: float
    attenuation: float
    impedance: float
    gas: bool = False


FAT = Tissue(-5.0, 0.32, 1.40)
MUSCLE = Tissue(-4.0, 0.42, 1.66)
LIVER = Tissue(0.0, 0.34, 1.65)
BLOOD = Tissue(-46.0, 0.10, 1.58)
BONE = Tissue(2.0, 6.0, 2.55)
GAS = Tissue(-30.0, 7.0, 0.20, gas=True)
BOWEL = Tissue(-7.0, 0.42, 1.60)

# The first matching start of a structure's name decides; torso and TotalSegmentator names.
BY_NAME: tuple[tuple[str, Tissue], ...] = (
    ("lung", GAS),
    ("bowel_gas", GAS),
    ("trachea", GAS),
    ("skin", Tissue(5.0, 0.5, 1.68)),
    ("fat", FAT),
    ("liver", LIVER),
    ("hepatic_vein", BLOOD),
    ("portal_vein", Tissue(-46.0, 0.10, 1.46)),
    ("lesion", Tissue(-10.0, 0.38, 1.62)),
    ("abscess", Tissue(-19.0, 0.16, 1.57)),
    ("gallbladder", Tissue(-50.0, 0.04, 1.50)),
    ("urinary_bladder", Tissue(-50.0, 0.04, 1.50)),
    ("kidney_cyst", Tissue(-50.0, 0.04, 1.52)),
    ("kidney", Tissue(-5.0, 0.36, 1.61)),
    ("spleen", Tissue(0.5, 0.34, 1.64)),
    ("pancreas", Tissue(2.5, 0.36, 1.64)),
    ("adrenal", Tissue(-3.0, 0.36, 1.64)),
    ("diaphragm", Tissue(2.0, 0.42, 1.72)),
    ("costal_cartilage", Tissue(-14.0, 1.3, 1.86)),
    ("rib", BONE),
    ("spine", BONE),
    ("vertebrae", BONE),
    ("sternum", BONE),
    ("sacrum", BONE),
    ("scapula", BONE),
    ("clavicula", BONE),
    ("humerus", BONE),
    ("hip", BONE),
    ("skull", BONE),
    ("femur", BONE),
    ("fiducial", BONE),
    ("heart", Tissue(-5.0, 0.38, 1.64)),
    ("atrial", BLOOD),
    ("aorta", Tissue(-46.0, 0.10, 1.52)),
    ("inferior_vena", Tissue(-46.0, 0.10, 1.55)),
    ("superior_vena", BLOOD),
    ("pulmonary_vein", BLOOD),
    ("brachiocephalic", BLOOD),
    ("subclavian", BLOOD),
    ("common_carotid", BLOOD),
    ("iliac", BLOOD),
    ("stomach", BOWEL),
    ("bowel", BOWEL),
    ("small_bowel", BOWEL),
    ("duodenum", BOWEL),
    ("colon", BOWEL),
    ("esophagus", BOWEL),
    ("spinal_cord", Tissue(-12.0, 0.3, 1.58)),
)


def tissue_of(name: str) -> Tissue | None:
    """The tissue of a labelled structure, None where only the HU can tell."""
    for start, tissue in BY_NAME:
        if name.startswith(start):
            return tissue
    return None


def as_bytes(tissue: Tissue) -> tuple[int, int, int, int]:
    """(scatter, attenuation, impedance, gas) in the steps above, each 0..255."""
    return (
        int(np.clip((tissue.scatter_db - SCATTER_FLOOR_DB) / SCATTER_STEP_DB, 0, 255)),
        int(np.clip(tissue.attenuation / ATTENUATION_STEP, 0, 255)),
        int(np.clip(tissue.impedance / IMPEDANCE_STEP, 0, 255)),
        255 if tissue.gas else 0,
    )


def acoustic_volume(anatomy: Anatomy) -> NDArray[np.uint8]:
    """uint8 (k, j, i, 4): scatter, attenuation, impedance, gas of every voxel.

    A voxel's label decides, its HU where the label says nothing; gas and bone by HU win inside
    soft structures (bowel content, calcified cartilage, a mislabelled rim).
    """
    by_hu = _by_hu(anatomy.hu)
    volume = np.array([as_bytes(t) for t in (GAS, FAT, MUSCLE, BONE)], dtype=np.uint8)[by_hu]
    for label, name in anatomy.names.items():
        tissue = tissue_of(name)
        if tissue is None or label == 0:
            continue
        mask = anatomy.labels == label
        if tissue is not BONE and not tissue.gas:
            mask &= (by_hu == 1) | (by_hu == 2)
        volume[mask] = as_bytes(tissue)
        _refine(anatomy, name, mask, volume)
    return volume


def _by_hu(hu: NDArray[np.int16]) -> NDArray[np.uint8]:
    """0 gas, 1 fat, 2 muscle or fluid, 3 bone."""
    classes = np.full(hu.shape, 2, dtype=np.uint8)
    classes[hu < FAT_HU] = 1
    classes[hu < GAS_HU] = 0
    classes[hu > BONE_HU] = 3
    return classes


def _refine(
    anatomy: Anatomy, name: str, mask: NDArray[np.bool_], volume: NDArray[np.uint8]
) -> None:
    """Structures that one label does not tell apart: chambers, rims, unlabelled vessels."""
    if name == "heart":
        volume[mask & (anatomy.hu > 138)] = as_bytes(BLOOD)
    elif name == "abscess":
        volume[mask & (anatomy.hu > 46)] = as_bytes(Tissue(-3.0, 0.36, 1.66))
    elif name == "liver" and not _has_vessels(anatomy) and mask.any():
        block = ndimage.find_objects(mask.astype(np.uint8))[0]
        inside = mask[block]
        hu = anatomy.hu[block].astype(np.float32)
        smooth = ndimage.gaussian_filter(hu, tuple(1.3 / anatomy.spacing_mm[::-1]))
        core = ndimage.binary_erosion(inside, iterations=2)
        bright = core & (smooth > np.median(hu[inside]) + VESSEL_EXCESS_HU)
        volume[block][bright] = as_bytes(BLOOD)


def _has_vessels(anatomy: Anatomy) -> bool:
    return "hepatic_vein" in anatomy.names.values()
