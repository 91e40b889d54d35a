"""The same phantom in every format must come back in the same place of the patient."""

from __future__ import annotations

import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import RLELossless

from ir_nav.imaging import Volume, list_series, read_volume, sample
from tests.imaging import phantom

TURNS = [(0.0, 0.0, 0.0), (12.0, -7.0, 31.0), (95.0, 4.0, -170.0)]
FORMATS = ["p.nii", "p.nii.gz", "p.nrrd", "p.nhdr", "p.mha", "p.mhd", "dicom", "zip"]


def write(folder: Path, kind: str, turn: tuple[float, float, float]) -> Path:
    hu, place = phantom.voxels(), phantom.affine(turn)
    if kind.startswith("p.nii"):
        return phantom.write_nifti(folder / kind, hu, place)
    if kind.startswith("p."):
        return phantom.write_itk(folder / kind, hu, place)
    dicom = phantom.write_dicom(folder / "study" / "series", phantom.dicom_slices(hu, place))
    return dicom.parent if kind == "dicom" else zipped(dicom, folder / "study.zip")


def zipped(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in folder.iterdir():
            archive.write(path, f"deep/{path.name}")
    return target


def assert_is_phantom(volume: Volume, turn: tuple[float, float, float]) -> None:
    """Known voxels lie at known LPS points, whichever way the axes were stored."""
    hu, place = phantom.voxels(), phantom.affine(turn)
    index = np.array([[0, 0, 0], [13, 0, 0], [0, 11, 0], [0, 0, 8], [5, 7, 3], [13, 11, 8]])
    points = index @ place[:3, :3].T + place[:3, 3]
    expected = hu[index[:, 2], index[:, 1], index[:, 0]]
    # NIfTI's float32 affine displaces by some 1e-5 mm: 113 HU per slice turn that into < 0.05.
    inward = points + 1e-4 * (points.mean(axis=0) - points)
    np.testing.assert_allclose(sample(volume, inward), expected, atol=0.2)
    assert np.linalg.det(volume.ct_from_voxel[:3, :3]) > 0.0
    assert sorted(volume.spacing_mm) == pytest.approx(sorted(phantom.SPACING_MM), abs=1e-4)
    assert volume.voxels.dtype == np.int16
    assert not volume.voxels.flags.writeable


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_reads_to_the_same_place(
    tmp_path: Path, kind: str, turn: tuple[float, float, float]
) -> None:
    assert_is_phantom(read_volume(write(tmp_path, kind, turn)), turn)


@pytest.mark.parametrize("flips", [(0,), (1,), (2,), (0, 1, 2)])
def test_left_handed_files_are_turned_right_handed(tmp_path: Path, flips: tuple[int, ...]) -> None:
    hu, place = phantom.voxels(), phantom.affine()
    for axis in flips:
        place[:3, 3] += place[:3, axis] * (phantom.SIZE_IJK[axis] - 1)
        place[:3, axis] *= -1.0
        hu = np.flip(hu, 2 - axis)
    path = phantom.write_nifti(tmp_path / "flipped.nii.gz", np.ascontiguousarray(hu), place)
    assert_is_phantom(read_volume(path), (0.0, 0.0, 0.0))


@pytest.mark.parametrize("name", ["p.nrrd", "p.mha"])
def test_compressed_files(tmp_path: Path, name: str) -> None:
    path = phantom.write_itk(tmp_path / name, phantom.voxels(), phantom.affine(), compressed=True)
    assert_is_phantom(read_volume(path), (0.0, 0.0, 0.0))


def test_nifti_with_slope_and_big_endian(tmp_path: Path) -> None:
    ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ phantom.affine()
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(np.int16)
    image = nibabel.Nifti1Image(np.transpose(phantom.voxels()).astype(">i2"), ras, header)
    image.header.set_slope_inter(2.0, -100.0)
    nibabel.save(image, tmp_path / "scaled.nii")
    values = read_volume(tmp_path / "scaled.nii").voxels
    # nibabel stores the array as it is beside a slope that was set by hand.
    expected = np.maximum(2 * phantom.voxels().astype(int) - 100, -1024)
    np.testing.assert_array_equal(values, expected)


def test_padding_becomes_air(tmp_path: Path) -> None:
    hu = phantom.voxels()
    hu[0, 0, 0] = -3024
    path = phantom.write_itk(tmp_path / "padded.mha", hu, phantom.affine())
    assert read_volume(path).voxels[0, 0, 0] == -1024


def test_run_length_dicom(tmp_path: Path) -> None:
    slices = phantom.dicom_slices(phantom.voxels(), phantom.affine())
    for data in slices:
        data.compress(RLELossless)
    path = phantom.write_dicom(tmp_path / "rle", slices)
    assert_is_phantom(read_volume(path), (0.0, 0.0, 0.0))


@pytest.mark.parametrize("kind", ["JPEG2000", "JPEG"])
def test_losslessly_compressed_dicom(tmp_path: Path, kind: str) -> None:
    slices = phantom.dicom_slices(phantom.voxels(), phantom.affine())
    for data in slices:
        stored = np.frombuffer(data.PixelData, "<u2").reshape(1, *phantom.voxels().shape[1:])
        writer = sitk.ImageFileWriter()
        writer.SetImageIO("GDCMImageIO")
        writer.SetFileName(str(tmp_path / "packed.dcm"))
        writer.UseCompressionOn()
        writer.SetCompressor(kind)
        writer.Execute(sitk.GetImageFromArray(stored))
        packed = pydicom.dcmread(tmp_path / "packed.dcm")
        data["PixelData"] = packed["PixelData"]
        data.BitsStored, data.HighBit = packed.BitsStored, packed.HighBit
        data.file_meta.TransferSyntaxUID = packed.file_meta.TransferSyntaxUID
    path = phantom.write_dicom(tmp_path / "packed", slices)
    assert_is_phantom(read_volume(path), (0.0, 0.0, 0.0))


def test_signed_pixels_and_a_fractional_slope(tmp_path: Path) -> None:
    slices = phantom.dicom_slices(phantom.voxels(), phantom.affine())
    for k, data in enumerate(slices):
        data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 15, 1
        data.RescaleSlope, data.RescaleIntercept = "0.5", "-10"
        data.PixelData = ((phantom.voxels()[k].astype(int) + 10) * 2).astype("<i2").tobytes()
    path = phantom.write_dicom(tmp_path / "signed", slices)
    assert_is_phantom(read_volume(path), (0.0, 0.0, 0.0))


def test_bits_above_the_stored_ones_are_ignored(tmp_path: Path) -> None:
    slices = phantom.dicom_slices(phantom.voxels(), phantom.affine())
    for data in slices:
        pixels = np.frombuffer(data.PixelData, "<u2") | 0x8000
        data.PixelData = pixels.tobytes()
    path = phantom.write_dicom(tmp_path / "overlay", slices)
    assert_is_phantom(read_volume(path), (0.0, 0.0, 0.0))


def test_the_series_with_most_ct_slices_is_taken_and_others_can_be_chosen(tmp_path: Path) -> None:
    hu = phantom.voxels()
    phantom.write_dicom(tmp_path / "a", phantom.dicom_slices(hu[:4], phantom.affine(), "1.2.3"))
    phantom.write_dicom(tmp_path / "b", phantom.dicom_slices(hu, phantom.affine()))
    mr = phantom.dicom_slices(np.concatenate([hu, hu]), phantom.affine(), "1.2.9")
    for data in mr:
        data.Modality = "MR"
    phantom.write_dicom(tmp_path / "c", mr)
    listed = list_series(tmp_path)
    assert [(s.modality, s.slice_count) for s in listed] == [("CT", 9), ("CT", 4), ("MR", 18)]
    assert read_volume(tmp_path).size_ijk == (14, 12, 9)
    assert read_volume(tmp_path, series_uid="1.2.3").size_ijk == (14, 12, 4)
    assert read_volume(tmp_path / "a" / "IM0000.dcm").size_ijk == (14, 12, 4)


def test_description_identity_and_localizer(tmp_path: Path) -> None:
    slices = phantom.dicom_slices(phantom.voxels(), phantom.affine())
    scout = phantom.dicom_slice(
        phantom.voxels(), phantom.affine((90.0, 0.0, 0.0)), 0, phantom.SERIES_UID
    )
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    first = read_volume(phantom.write_dicom(tmp_path / "one", [*slices, scout]))
    info = first.description
    assert info.patient_name == "Secretname Patient"
    assert (info.study_date, info.modality, info.series_description, info.laterality) == (
        "2024-05-31",
        "CT",
        "Liver",
        None,
    )
    again = read_volume(phantom.write_dicom(tmp_path / "two", slices, seed=8))
    assert first.identity == again.identity
    assert first.identity.startswith(f"dicom:{phantom.SERIES_UID}:")
    hu = phantom.voxels().copy()
    hu[4, 4, 4] += 1
    changed = read_volume(
        phantom.write_dicom(tmp_path / "three", phantom.dicom_slices(hu, phantom.affine()))
    )
    assert changed.identity != first.identity


def test_identity_of_files_follows_content_not_name(tmp_path: Path) -> None:
    first = read_volume(phantom.write_itk(tmp_path / "a.mha", phantom.voxels(), phantom.affine()))
    same = read_volume(phantom.write_itk(tmp_path / "b.nrrd", phantom.voxels(), phantom.affine()))
    moved = phantom.affine()
    moved[0, 3] += 0.01
    other = read_volume(phantom.write_itk(tmp_path / "c.mha", phantom.voxels(), moved))
    assert first.identity == same.identity != other.identity


def test_progress_rises_to_one(tmp_path: Path) -> None:
    seen: list[float] = []
    read_volume(write(tmp_path, "zip", (0.0, 0.0, 0.0)), seen.append)
    assert seen == sorted(seen)
    assert seen[0] == 0.0
    assert seen[-1] == 1.0
    assert len(seen) > 9


def test_sitk_and_the_reader_agree_on_a_double_conversion_trap(tmp_path: Path) -> None:
    """SimpleITK converts NIfTI to LPS already; converting again would mirror the patient."""
    path = write(tmp_path, "p.nii.gz", (12.0, -7.0, 31.0))
    assert read_volume(path).ct_from_voxel[:3, 3] == pytest.approx(
        sitk.ReadImage(str(path)).GetOrigin(), abs=1e-4
    )
