"""Files that must not become a volume, and what the user is told."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from ir_nav.imaging import ImagingError, dicom_source, read_volume
from tests.imaging import phantom
from tests.imaging.test_readers import write, zipped

STRAIGHT = (0.0, 0.0, 0.0)


def slices() -> list[pydicom.FileDataset]:
    return phantom.dicom_slices(phantom.voxels(), phantom.affine())


def assert_refused(path: Path, *words: str) -> None:
    with pytest.raises(ImagingError) as caught:
        read_volume(path)
    text = str(caught.value)
    for word in words:
        assert word in text
    assert "Secretname" not in text
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.97])
@pytest.mark.parametrize("kind", ["p.nii", "p.nii.gz", "p.nrrd", "p.mha", "zip"])
def test_cut_files(tmp_path: Path, kind: str, part: float) -> None:
    path = write(tmp_path, kind, STRAIGHT)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    assert_refused(path, path.name, "copy it again")


@pytest.mark.parametrize("part", [0.2, 0.6, 0.97])
@pytest.mark.parametrize("name", ["p.nrrd", "p.mha"])
def test_cut_compressed_files(tmp_path: Path, name: str, part: float) -> None:
    noise = np.random.default_rng(1).integers(-1000, 1000, (9, 12, 14)).astype(np.int16)
    path = phantom.write_itk(tmp_path / name, noise, phantom.affine(), compressed=True)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    assert_refused(path, path.name, "copy it again")


@pytest.mark.parametrize(("name", "data"), [("p.nhdr", "p.raw"), ("p.mhd", "p.raw")])
def test_cut_or_missing_detached_voxels(tmp_path: Path, name: str, data: str) -> None:
    path = write(tmp_path, name, STRAIGHT)
    voxels = tmp_path / data
    voxels.write_bytes(voxels.read_bytes()[:-2])
    assert_refused(path, "truncated")
    voxels.unlink()
    assert_refused(path, data, "missing")


def test_a_flipped_bit_in_a_compressed_nifti(tmp_path: Path) -> None:
    path = write(tmp_path, "p.nii.gz", STRAIGHT)
    plain = bytearray(gzip.decompress(path.read_bytes()))
    packed = bytearray(gzip.compress(bytes(plain), compresslevel=0))
    packed[len(packed) // 2] ^= 0x40
    path.write_bytes(packed)
    assert_refused(path, "p.nii.gz", "copy it again")


def test_a_compressed_nifti_without_its_checksum_or_its_last_voxels(tmp_path: Path) -> None:
    path = write(tmp_path, "p.nii.gz", STRAIGHT)
    data = path.read_bytes()
    path.write_bytes(data[:-5])
    assert_refused(path, "end too early")
    path.write_bytes(gzip.compress(gzip.decompress(data)[:-2]))
    assert_refused(path, "bytes are there")


def test_a_flipped_bit_in_a_zip(tmp_path: Path) -> None:
    folder = phantom.write_dicom(tmp_path / "d", slices())
    target = tmp_path / "study.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    data = bytearray(target.read_bytes())
    with zipfile.ZipFile(target) as archive:
        last_pixel = archive.infolist()[4].header_offset + archive.infolist()[4].compress_size
    data[last_pixel] ^= 1
    target.write_bytes(data)
    assert_refused(target, "study.zip", "copy it again")


@pytest.mark.parametrize("keep", [140, 400, -100, -1])
def test_one_cut_dicom_file(tmp_path: Path, keep: int) -> None:
    folder = phantom.write_dicom(tmp_path / "d", slices())
    path = folder / "IM0004.dcm"
    path.write_bytes(path.read_bytes()[:keep])
    assert_refused(folder, "IM0004.dcm", "copy it again")


def test_one_empty_dicom_file(tmp_path: Path) -> None:
    folder = phantom.write_dicom(tmp_path / "d", slices())
    (folder / "IM0008.dcm").write_bytes(b"")
    assert_refused(folder, "IM0008.dcm", "copy it again")


def test_cut_run_length_pixels(tmp_path: Path) -> None:
    packed = slices()
    for data in packed:
        data.compress(pydicom.uid.RLELossless)
    folder = phantom.write_dicom(tmp_path / "d", packed)
    path = folder / "IM0004.dcm"
    path.write_bytes(path.read_bytes()[:-60])
    assert_refused(folder, "IM0004.dcm", "copy it again")


def test_an_archive_beyond_the_cap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom_source, "MAX_BYTES", 1000)
    assert_refused(write(tmp_path, "zip", STRAIGHT), "limit")


def test_missing_slice(tmp_path: Path) -> None:
    left = slices()
    del left[5]
    assert_refused(phantom.write_dicom(tmp_path / "d", left), "1 missing slice", "-200.0 mm")


def test_duplicate_slice(tmp_path: Path) -> None:
    twice = [*slices(), slices()[3]]
    assert_refused(phantom.write_dicom(tmp_path / "d", twice), "1 duplicate slice", "IM00")


def test_uneven_spacing(tmp_path: Path) -> None:
    uneven = slices()
    for data in uneven[5:]:
        data.ImagePositionPatient[2] = float(data.ImagePositionPatient[2]) + 0.5
    assert_refused(phantom.write_dicom(tmp_path / "d", uneven), "unevenly spaced")


def test_slices_shifted_unevenly_or_too_far(tmp_path: Path) -> None:
    moved, leaning = slices(), slices()
    for k, data in enumerate(moved):
        shift_mm = 0.0 if k < 5 else 1.6
        data.ImagePositionPatient[1] = float(data.ImagePositionPatient[1]) + shift_mm
    assert_refused(phantom.write_dicom(tmp_path / "a", moved), "shifted", "1.6 mm", "moved")
    for k, data in enumerate(leaning):
        data.ImagePositionPatient[1] = float(data.ImagePositionPatient[1]) + 2.5 * k
    assert_refused(phantom.write_dicom(tmp_path / "b", leaning), "tilted by 45 deg")


def test_two_patients_or_two_frames_of_reference(tmp_path: Path) -> None:
    mixed, moved = slices(), slices()
    mixed[4].PatientID = "P-8"
    assert_refused(phantom.write_dicom(tmp_path / "a", mixed), "two patients")
    for data in moved[5:]:
        data.FrameOfReferenceUID = "1.2.3.5"
    assert_refused(phantom.write_dicom(tmp_path / "b", moved), "two frames of reference")


def test_different_directions_and_sizes(tmp_path: Path) -> None:
    turned = slices()
    turned[2].ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    assert_refused(phantom.write_dicom(tmp_path / "a", turned), "directions")
    smaller = slices()
    smaller[2].Rows = 6
    assert_refused(phantom.write_dicom(tmp_path / "b", smaller), "size")


def test_no_rescale(tmp_path: Path) -> None:
    silent = slices()
    for data in silent:
        del data.RescaleSlope
    assert_refused(phantom.write_dicom(tmp_path / "d", silent), "HU")


def test_colour_dicom_frames_without_places_and_mr(tmp_path: Path) -> None:
    colour, frames, mr = slices(), slices(), slices()
    for data in colour:
        data.SamplesPerPixel = 3
    for data in frames:
        data.NumberOfFrames = 4
    for data in mr:
        data.Modality = "MR"
    assert_refused(phantom.write_dicom(tmp_path / "a", colour), "colour")
    assert_refused(phantom.write_dicom(tmp_path / "b", frames), "position")
    assert_refused(phantom.write_dicom(tmp_path / "c", mr), "no CT", "MR")


def test_colour_and_four_dimensional_files(tmp_path: Path) -> None:
    colour = sitk.GetImageFromArray(np.zeros((4, 5, 6, 3), np.uint8), isVector=True)
    sitk.WriteImage(colour, str(tmp_path / "colour.mha"))
    assert_refused(tmp_path / "colour.mha", "colour")
    nibabel.save(
        nibabel.Nifti1Image(np.zeros((4, 5, 6, 3), np.int16), np.eye(4)), tmp_path / "four.nii.gz"
    )
    assert_refused(tmp_path / "four.nii.gz", "four.nii.gz", "4 x 5 x 6 x 3")


def test_files_without_orientation(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.transpose(phantom.voxels()), None)
    image.to_filename(tmp_path / "lost.nii")
    assert_refused(tmp_path / "lost.nii", "left and head")
    path = phantom.write_itk(tmp_path / "lost.nrrd", phantom.voxels(), phantom.affine())
    data = path.read_bytes().replace(b"space: left-posterior-superior", b"space dimension: 3")
    path.write_bytes(data)
    assert_refused(path, "left and head")


def test_a_nifti_that_states_two_places(tmp_path: Path) -> None:
    """ITK and nibabel take different ones of the two: 50 mm apart."""
    ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ phantom.affine()
    moved = ras.copy()
    moved[0, 3] += 50.0
    image = nibabel.Nifti1Image(np.transpose(phantom.voxels()), ras)
    image.set_sform(ras, 2)
    image.set_qform(moved, 1)
    image.to_filename(tmp_path / "two.nii")
    assert_refused(tmp_path / "two.nii", "two different places")


def test_a_skewed_nifti(tmp_path: Path) -> None:
    ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ phantom.affine()
    ras[0, 1] += 0.3
    nibabel.Nifti1Image(np.transpose(phantom.voxels()), ras).to_filename(tmp_path / "skew.nii")
    assert_refused(tmp_path / "skew.nii", "skewed")


def test_values_that_are_not_numbers(tmp_path: Path) -> None:
    values = phantom.voxels().astype(np.float32)
    values[3, 3, 3] = np.nan
    path = phantom.write_itk(tmp_path / "nan.mha", values, phantom.affine())
    assert_refused(path, "not numbers")


def test_nothing_there(tmp_path: Path) -> None:
    assert_refused(tmp_path, "no DICOM images")
    (tmp_path / "notes.txt").write_text("a report about Secretname")
    assert_refused(tmp_path, "no DICOM images")
    assert_refused(tmp_path / "notes.txt", "notes.txt", "choose")
    assert_refused(tmp_path / "absent", "does not exist")
    assert_refused(zipped(tmp_path, tmp_path / "z.zip"), "no DICOM images")
    (tmp_path / "fake.nii.gz").write_text("not a nifti")
    assert_refused(tmp_path / "fake.nii.gz", "fake.nii.gz")


def test_single_slice(tmp_path: Path) -> None:
    assert_refused(phantom.write_dicom(tmp_path / "d", slices()[:1]), "single CT slice")
