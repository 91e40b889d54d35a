from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ir_nav.imaging import ImagingError, LabelMap, Volume, VolumeInfo, read_labels, read_names
from tests.imaging import phantom

NAMES = {1: "kidney_right", 2: "kidney_left", 7: "portal_vein"}


def label_voxels() -> np.ndarray:
    voxels = np.zeros((9, 12, 14), np.uint8)
    voxels[2:4, 3:6, 1:5] = 1
    voxels[5, 8, 9:12] = 2
    voxels[8, 0, 13] = 7
    return voxels


def labels() -> LabelMap:
    return LabelMap(label_voxels(), phantom.affine(), NAMES)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("portal_vein", "Portal vein"),
        ("rib_left_7", "Left rib 7"),
        ("kidney_right", "Right kidney"),
        ("lung_upper_lobe_left", "Left lung upper lobe"),
        ("vertebrae_L1", "Vertebra L1"),
        ("liver", "Liver"),
    ],
)
def test_names_for_people(name: str, shown: str) -> None:
    assert LabelMap(label_voxels(), np.eye(4), {3: name}).display_name(3) == shown


def test_lookup_by_name_pattern_and_id() -> None:
    known = labels()
    assert known.ids_named("kidney_*") == (1, 2)
    assert known.ids_named("Portal vein") == (7,)
    assert known.ids_named("heart") == ()
    assert known.display_name(9) == "Structure 9"
    assert known.present_ids() == (1, 2, 7)
    assert known.mask("kidney_*").sum() == known.mask((1, 2)).sum() == 27
    assert known.mask(7).nonzero() == ([8], [0], [13])
    with pytest.raises(ImagingError, match="heart"):
        known.mask("heart")


def test_centroid_in_an_oblique_image() -> None:
    place = phantom.affine((12.0, -7.0, 31.0))
    oblique = LabelMap(label_voxels(), place, NAMES)
    expected = (place @ (2.5, 4.0, 2.5, 1.0))[:3]
    np.testing.assert_allclose(oblique.centroid_ct_mm("kidney_right"), expected)
    with pytest.raises(ImagingError, match="no voxel"):
        oblique.centroid_ct_mm(99)


@pytest.mark.parametrize(
    "table",
    [
        "group,original_idx,structure,id\norgans,9,liver,5\nribs,2,rib_left_1,92\n",
        "label,name\n5,liver\n92,rib_left_1\n",
        "LABEL_NAME, Index\nliver, 5\nrib_left_1, 92\n",
        "\ufeffid,structure\n5,liver\n\n92,rib_left_1\n",
    ],
)
def test_names_tables(tmp_path: Path, table: str) -> None:
    (tmp_path / "names.csv").write_text(table, encoding="utf-8")
    assert read_names(tmp_path / "names.csv") == {5: "liver", 92: "rib_left_1"}


@pytest.mark.parametrize("table", ["", "a,b\n1,2\n", "id,name\nx,liver\n", "id,name\n4\n"])
def test_bad_names_tables(tmp_path: Path, table: str) -> None:
    (tmp_path / "names.csv").write_text(table)
    with pytest.raises(ImagingError, match=r"names\.csv"):
        read_names(tmp_path / "names.csv")


@pytest.mark.parametrize("table", ["seg_labels.csv", "seg.csv", None])
def test_the_table_beside_the_file_is_found(tmp_path: Path, table: str | None) -> None:
    path = phantom.write_nifti(tmp_path / "seg.nii.gz", label_voxels(), phantom.affine())
    if table is not None:
        (tmp_path / table).write_text("id,structure\n1,kidney_right\n")
    found = read_labels(path)
    assert dict(found.names) == ({} if table is None else {1: "kidney_right"})
    np.testing.assert_array_equal(found.voxels, label_voxels())
    assert found.voxels.dtype == np.uint8


def test_wide_ids_and_floats(tmp_path: Path) -> None:
    wide = label_voxels().astype(np.float32) * 500
    path = phantom.write_itk(tmp_path / "wide.mha", wide, phantom.affine())
    assert read_labels(path).present_ids() == (500, 1000, 3500)
    for bad in (wide + 0.5, wide - 1, wide * 1000):
        phantom.write_itk(tmp_path / "bad.mha", bad, phantom.affine())
        with pytest.raises(ImagingError, match="no labels"):
            read_labels(tmp_path / "bad.mha")


def test_another_grid_is_resampled_by_nearest_voxel(tmp_path: Path) -> None:
    place = phantom.affine((12.0, -7.0, 31.0))
    path = phantom.write_nifti(tmp_path / "seg.nii.gz", label_voxels(), place)
    finer = np.array(place)
    finer[:3, :3] /= 2.0
    like = Volume(np.zeros((17, 23, 27), np.int16), finer, "", VolumeInfo())
    found = read_labels(path, like=like)
    assert found.voxels.shape == (17, 23, 27)
    np.testing.assert_array_equal(found.voxels[::2, ::2, ::2], label_voxels())
    far = np.array(place)
    far[:3, 3] += 500.0
    with pytest.raises(ImagingError, match="outside the CT"):
        read_labels(path, like=Volume(like.voxels, far, "", VolumeInfo()))


def test_a_grid_of_the_same_size_elsewhere_is_resampled_too(tmp_path: Path) -> None:
    path = phantom.write_nifti(tmp_path / "seg.nii.gz", label_voxels(), phantom.affine())
    shifted = phantom.affine()
    shifted[:3, 3] += shifted[:3, 0]
    like = Volume(np.zeros((9, 12, 14), np.int16), shifted, "", VolumeInfo())
    found = read_labels(path, like=like)
    np.testing.assert_array_equal(found.voxels[:, :, :-1], label_voxels()[:, :, 1:])
    np.testing.assert_array_equal(found.ct_from_voxel, shifted)


def test_no_label_file(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ImagingError, match=r"notes\.txt"):
        read_labels(tmp_path / "notes.txt")
