"""The LIDC-IDRI CT: truth from its manifest."""

from __future__ import annotations

import numpy as np
import pytest

from ir_nav.imaging import LabelMap, Volume, body_mask, read_labels, read_volume, skin_crossing
from tests.data import data_path


@pytest.fixture(scope="module")
def ct() -> Volume:
    return read_volume(data_path("ct", "chest_LIDC-IDRI-0001_dicom.zip"))


@pytest.fixture(scope="module")
def structures(ct: Volume) -> LabelMap:
    path = data_path("ct", "chest_LIDC-IDRI-0001_labels.nii.gz")
    return read_labels(path, data_path("ct", "chest_LIDC-IDRI-0001_labels.csv"), like=ct)


@pytest.mark.parametrize(
    ("name", "mean_hu"), [("liver", 71), ("spleen", 163), ("kidney_right", 194), ("lung_*", -835)]
)
def test_mean_hu_of_organs(ct: Volume, structures: LabelMap, name: str, mean_hu: float) -> None:
    """DICOM and NIfTI labels go different ways to LPS: a mirrored axis would miss the organs."""
    assert ct.voxels[structures.mask(name)].mean() == pytest.approx(mean_hu, abs=3)


def test_geometry(ct: Volume) -> None:
    assert ct.size_ijk == (512, 512, 133)
    assert ct.spacing_mm == pytest.approx((0.703125, 0.703125, 2.5))
    assert ct.ct_from_voxel[:3, 3] == pytest.approx((-166.0, -171.699997, -340.0))
    assert ct.description.patient_id == "LIDC-IDRI-0001"


def test_the_right_kidney_is_on_the_right(structures: LabelMap) -> None:
    right, left = (structures.centroid_ct_mm(f"kidney_{side}") for side in ("right", "left"))
    assert right[0] < left[0] - 80
    assert structures.centroid_ct_mm("liver")[2] < structures.centroid_ct_mm("heart")[2]
    assert structures.centroid_ct_mm("vertebrae_T10")[1] > structures.centroid_ct_mm("heart")[1]


def test_the_names_table_beside_the_file_is_taken() -> None:
    assert read_labels(data_path("ct", "chest_LIDC-IDRI-0001_labels.nii.gz")).ids_named(
        "liver"
    ) == (5,)


def test_organs_are_in_the_body_and_the_table_is_not(ct: Volume, structures: LabelMap) -> None:
    body = body_mask(ct)
    inside = structures.mask([*range(1, 23), *range(92, 118)])
    assert body[inside].mean() > 0.999
    liver_ct_mm = structures.centroid_ct_mm("liver")
    back = skin_crossing(ct, liver_ct_mm, (0.0, 1.0, 0.0), body)
    assert back is not None
    # The table top lies behind the skin, 20 mm and more at the level of the liver.
    assert not body[:, 440:].any(axis=(1, 2))[:40].any()
    assert 60 < back[1] - liver_ct_mm[1] < 160


def test_two_millimetre_copy_agrees(ct: Volume) -> None:
    copy = read_volume(data_path("ct", "chest_LIDC-IDRI-0001_2mm.nii.gz"))
    names = data_path("ct", "chest_LIDC-IDRI-0001_labels.csv")
    labels = read_labels(data_path("ct", "chest_LIDC-IDRI-0001_2mm_labels.nii.gz"), names, copy)
    assert copy.voxels[labels.mask("liver")].mean() == pytest.approx(71, abs=3)
    assert np.abs(copy.centre_ct_mm - ct.centre_ct_mm).max() < 2.0
    assert copy.identity != ct.identity
