"""What ultrasound and X-rays see of a tissue: acoustic bytes per voxel from label and HU."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hw_mocks.anatomy import Anatomy

GAS_HU = -400
FAT_HU = -25
RIM_HU = 46
DISC_HU = 125
CHAMBER_HU = 138
BONE_HU = 240
HU_EDGES = (GAS_HU, FAT_HU, RIM_HU, DISC_HU, CHAMBER_HU, BONE_HU)
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


FAT = Tissue(-4.0, 0.32, 1.47)
MUSCLE = Tissue(-4.0, 0.42, 1.66)
LIVER = Tissue(0.0, 0.34, 1.65)
BLOOD = Tissue(-46.0, 0.10, 1.58)
BONE = Tissue(2.0, 6.0, 2.55)
GAS = Tissue(-30.0, 7.0, 0.20, gas=True)
BOWEL = Tissue(-7.0, 0.42, 1.60)
DISC = Tissue(-8.0, 0.9, 1.72)
RIM = Tissue(-3.0, 0.36, 1.66)

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
    ("lesion", Tissue(-14.0, 0.38, 1.62)),
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
    ("iliac_", BLOOD),
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
    classes = _class_of_hu()[anatomy.hu.astype(np.int32) - np.iinfo(np.int16).min]
    labels = np.asarray(anatomy.labels)
    count = max(int(labels.max()), *anatomy.names) + 1
    table = np.empty((count, len(HU_EDGES) + 1, 4), dtype=np.uint8)
    for label in range(count):
        name = anatomy.names.get(label, "") if label else ""
        table[label] = [as_bytes(_tissue_at(name, hu)) for hu in _middle_of_class()]
    packed = np.ascontiguousarray(table).view(np.uint32)[:, :, 0]
    volume = packed[labels, classes].view(np.uint8).reshape(*labels.shape, 4)
    if "hepatic_vein" not in anatomy.names.values() and "liver" in anatomy.names.values():
        _draw_liver_vessels(anatomy, volume)
    return volume


def _tissue_at(name: str, hu: float) -> Tissue:
    """The tissue of a voxel from its structure's name and its HU."""
    tissue = tissue_of(name)
    if tissue is BONE:
        return DISC if hu < DISC_HU else BONE
    if tissue is not None and tissue.gas:
        return tissue
    if hu < GAS_HU:
        return GAS
    if hu > BONE_HU and tissue is not BLOOD:
        return BONE
    if name == "heart" and hu > CHAMBER_HU:
        return BLOOD
    if name == "abscess" and hu > RIM_HU:
        return RIM
    return tissue or (FAT if hu < FAT_HU else MUSCLE)


def _class_of_hu() -> NDArray[np.uint8]:
    values = np.arange(np.iinfo(np.int16).min, np.iinfo(np.int16).max + 1)
    return np.digitize(values, HU_EDGES).astype(np.uint8)


def _middle_of_class() -> list[float]:
    bounds = [-2000.0, *HU_EDGES, 3000.0]
    return [(low + high) / 2.0 for low, high in pairwise(bounds)]


def _draw_liver_vessels(anatomy: Anatomy, volume: NDArray[np.uint8]) -> None:
    """Enhanced vessels that a real CT's label map counts as liver, by smoothed HU."""
    mask = anatomy.labels == anatomy.label_id("liver")
    block = ndimage.find_objects(mask.astype(np.uint8))
    if not block:
        return
    inside = mask[block[0]]
    hu = anatomy.hu[block[0]].astype(np.float32)
    smooth = ndimage.gaussian_filter(hu, tuple(1.3 / anatomy.spacing_mm[::-1]))
    core = ndimage.binary_erosion(inside, iterations=2)
    bright = core & (smooth > np.median(hu[inside]) + VESSEL_EXCESS_HU)
    volume[block[0]][bright] = as_bytes(BLOOD)
