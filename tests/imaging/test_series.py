"""What the index finds: problems in words, copies, localizers, sides, tilt, discs."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest

from ir_nav.imaging import (
    ImagingError,
    SeriesIndex,
    Severity,
    Volume,
    index_series,
    patients,
    read_indexed,
    read_volume,
    sample,
    thumbnails,
)
from tests.data import data_path
from tests.imaging import dicom_made, phantom
from tests.imaging.peers import program

PLACE = phantom.affine()


def slices() -> list[pydicom.FileDataset]:
    return phantom.dicom_slices(phantom.voxels(), PLACE)


def problems(index: SeriesIndex) -> dict[Severity, str]:
    return {found.severity: found.text for one in index.series for found in one.problems}


def test_a_plain_series_has_no_problems(tmp_path: Path) -> None:
    index = index_series(phantom.write_dicom(tmp_path, slices()))
    (found,) = index.series
    assert found.problems == ()
    assert (found.size_ijk, found.slice_count) == ((14, 12, 9), 9)
    assert found.spacing_mm == pytest.approx(phantom.SPACING_MM)
    (patient,) = patients(index)
    assert (patient.patient_id, patient.studies[0].series) == ("P-7", (found,))


def test_the_same_image_twice_is_used_once(tmp_path: Path) -> None:
    made = slices()
    phantom.write_dicom(tmp_path / "a", made)
    phantom.write_dicom(tmp_path / "b", made[3:6])
    index = index_series(tmp_path)
    assert problems(index) == {Severity.CORRECTED: "3 image(s) are there twice and are used once"}
    volume = read_volume(tmp_path)
    assert np.array_equal(volume.voxels, phantom.voxels())
    assert volume.description.notes == ("3 image(s) are there twice and are used once",)


def test_an_image_that_lies_another_way_is_left_out(tmp_path: Path) -> None:
    """A localizer whose header does not call itself one."""
    turned = phantom.dicom_slice(
        phantom.voxels(), phantom.affine((90.0, 0.0, 0.0)), 0, phantom.SERIES_UID
    )
    index = index_series(phantom.write_dicom(tmp_path, [*slices(), turned]))
    assert "1 image(s) with other directions" in problems(index)[Severity.CORRECTED]
    assert read_volume(tmp_path).size_ijk == (14, 12, 9)


def test_refusals_are_shown_with_their_reason(tmp_path: Path) -> None:
    gap = slices()
    del gap[5]
    index = index_series(phantom.write_dicom(tmp_path, gap))
    assert not index.readable
    assert index.series[0].refusal.startswith("1 missing slice(s)")
    assert index.series[0].size_ijk is None


def tilted(degrees: float) -> tuple[list[pydicom.FileDataset], np.ndarray]:
    """Slices of a linear field of HU as a gantry that leans by some degrees acquires them:
    each lies further along its columns than the one before."""
    lean = np.eye(4)
    lean[:3, :3] = phantom.rotation((degrees, 0.0, 0.0)) * phantom.SPACING_MM
    lean[:3, 3] = PLACE[:3, 3]
    step = np.array((0.0, 0.0, phantom.SPACING_MM[2] / np.cos(np.radians(degrees))))
    i, j, k = phantom.SIZE_IJK
    kk, jj, ii = np.mgrid[:k, :j, :i]
    points = (
        lean[:3, 3]
        + ii[..., None] * lean[:3, 0]
        + jj[..., None] * lean[:3, 1]
        + kk[..., None] * step
    )
    hu = np.rint(field(points)).astype(np.int16)
    made = phantom.dicom_slices(hu, lean)
    for n, data in enumerate(made):
        data.ImagePositionPatient = [f"{v:.8f}" for v in lean[:3, 3] + n * step]
        data.GantryDetectorTilt = f"{degrees}"
    return made, points


def field(points: np.ndarray) -> np.ndarray:
    return 40.0 + points @ np.array((3.0, -7.0, 1.5)) - 7.0 * -47.0


@pytest.mark.parametrize("degrees", [4.6, -17.5, 30.0])
def test_gantry_tilt_is_resampled_in_place(tmp_path: Path, degrees: float) -> None:
    made, points = tilted(degrees)
    index = index_series(phantom.write_dicom(tmp_path, made))
    words = problems(index)[Severity.CORRECTED]
    assert f"tilted by {abs(degrees)} deg" in words
    assert "resampled" in words
    volume = read_indexed(index, index.series[0], lambda _: None)
    assert volume.description.notes == (words,)
    inner = points[1:-1, 2:-2, 1:-1].reshape(-1, 3)
    found = sample(volume, inner)
    assert np.isfinite(found).all()
    # Rounding to whole HU twice; a field that is linear is interpolated exactly.
    assert np.abs(found - field(inner)).max() < 1.6
    assert (volume.voxels == -1024).any()


def test_tilt_within_the_plane_of_rows_too(tmp_path: Path) -> None:
    made = slices()
    for k, data in enumerate(made):
        data.ImagePositionPatient[0] = float(data.ImagePositionPatient[0]) + 0.4 * k
    volume = read_volume(phantom.write_dicom(tmp_path, made))
    assert volume.size_ijk == (14 + 4, 12, 9)
    shifted = PLACE[:3, 3] + 8 * PLACE[:3, 2] + (3.2, 0.0, 0.0)
    assert sample(volume, shifted) == pytest.approx(phantom.voxels()[8, 0, 0], abs=1.0)


def test_sides_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    made = slices()
    for k, data in enumerate(made):
        data.ImageLaterality = "L" if k else "R"
    with pytest.raises(ImagingError, match="both left and right"):
        read_volume(phantom.write_dicom(tmp_path / "a", made))
    for data in made:
        data.ImageLaterality, data.Laterality = "L", "R"
    with pytest.raises(ImagingError, match="both left and right"):
        read_volume(phantom.write_dicom(tmp_path / "b", made))
    for data in made:
        data.Laterality = "L"
    assert read_volume(phantom.write_dicom(tmp_path / "c", made)).description.laterality == "L"


def test_patient_orientation_against_the_cosines_is_refused(tmp_path: Path) -> None:
    made = slices()
    for data in made:
        data.PatientOrientation = ["L", "P"]
    assert index_series(phantom.write_dicom(tmp_path / "a", made)).readable
    for data in made:
        data.PatientOrientation = ["R", "P"]
    with pytest.raises(ImagingError, match="left and right are not known"):
        read_volume(phantom.write_dicom(tmp_path / "b", made))


@pytest.mark.parametrize(
    ("description", "conflict"),
    [("Right kidney", True), ("Niere rechts", True), ("LEFT KIDNEY", False), ("bright", False)],
)
def test_a_description_of_the_other_side_is_shown(
    tmp_path: Path, description: str, conflict: bool
) -> None:
    made = slices()
    for data in made:
        data.Laterality, data.SeriesDescription = "L", description
    index = index_series(phantom.write_dicom(tmp_path, made))
    assert index.series[0].readable
    shown = problems(index).get(Severity.NOTED, "")
    assert ("description says right" in shown) is conflict
    assert index.series[0].side == (None if conflict else "L")


def test_a_damaged_file_is_listed_and_stops_only_its_folder(tmp_path: Path) -> None:
    phantom.write_dicom(tmp_path / "good", slices())
    bad = phantom.dicom_slices(phantom.voxels(), PLACE, "1.2.9")
    folder = phantom.write_dicom(tmp_path / "bad", bad)
    path = folder / "IM0004.dcm"
    path.write_bytes(path.read_bytes()[:300])
    index = index_series(tmp_path)
    assert [name for name, _ in index.unread] == [os.path.join("bad", "IM0004.dcm")]
    assert read_volume(tmp_path, series_uid=phantom.SERIES_UID).size_ijk == (14, 12, 9)
    with pytest.raises(ImagingError, match=r"IM0004\.dcm"):
        read_volume(tmp_path, series_uid="1.2.9")


def disc(folder: Path) -> Path:
    """A CD as scanners write it, its DICOMDIR made by dcmtk."""
    phantom.write_dicom(folder / "plain", slices())
    images = folder / "DICOM"
    images.mkdir()
    for n, path in enumerate(sorted((folder / "plain").iterdir())):
        data = pydicom.dcmread(path)
        data.StudyInstanceUID, data.StudyID, data.StudyTime = "1.2.5", "1", "120000"
        data.AccessionNumber, data.SeriesNumber, data.InstanceNumber = "", "1", str(n)
        data.save_as(images / f"IM{n}")
    shutil.rmtree(folder / "plain")
    subprocess.run(
        [program("dcmmkdir"), "+r", "+id", str(folder), "-Pgp", "DICOM"], cwd=folder, check=True
    )
    return folder / "DICOMDIR"


def test_a_disc_is_read_by_its_dicomdir(tmp_path: Path) -> None:
    directory = disc(tmp_path)
    (tmp_path / "stray.dcm").write_bytes(b"not on the list")
    assert np.array_equal(read_volume(directory).voxels, phantom.voxels())
    # Linux shows old discs in lower case.
    for path in (tmp_path / "DICOM").iterdir():
        path.rename(path.with_name(path.name.lower()))
    assert index_series(directory).missing == ()
    assert np.array_equal(read_volume(directory).voxels, phantom.voxels())
    (tmp_path / "DICOM" / "im3").unlink()
    assert index_series(directory).missing == ("DICOM/IM3",)
    shutil.rmtree(tmp_path / "DICOM")
    with pytest.raises(ImagingError, match="copy the whole disc"):
        read_volume(directory)


def test_a_zipped_disc_and_a_damaged_dicomdir(tmp_path: Path) -> None:
    directory = disc(tmp_path / "disc")
    with zipfile.ZipFile(tmp_path / "disc.zip", "w") as archive:
        for path in (tmp_path / "disc").rglob("*"):
            archive.write(path, path.relative_to(tmp_path))
    assert np.array_equal(read_volume(tmp_path / "disc.zip").voxels, phantom.voxels())
    directory.write_bytes(directory.read_bytes()[:400])
    with pytest.raises(ImagingError, match="DICOMDIR"):
        read_volume(directory)


def test_thumbnails_show_the_middle_slice_with_square_pixels(tmp_path: Path) -> None:
    hu = np.full((9, 12, 14), -1000, np.int16)
    hu[4, 6:, :] = 300
    phantom.write_dicom(tmp_path / "ct", phantom.dicom_slices(hu, PLACE))
    dicom_made.save(tmp_path / "dose.dcm", dicom_made.dose(hu + 1024, PLACE, 1.0))
    index = index_series(tmp_path)
    for _, picture in thumbnails(index, index.series):
        assert picture is not None
        assert picture.dtype == np.uint8
        # 14 x 0.8 mm wide, 12 x 1.1 mm high.
        assert picture.shape[0] == 128
        assert picture.shape[1] == round(128 * 14 * 0.8 / (12 * 1.1))
        assert picture[-5:].min() > 240
        assert picture[:5].max() < 20


def test_a_thumbnail_of_broken_pixels_is_missing(tmp_path: Path) -> None:
    made = slices()
    for data in made:
        data.PixelData = data.PixelData[:20]
    index = index_series(phantom.write_dicom(tmp_path, made))
    assert [picture for _, picture in thumbnails(index, index.series)] == [None]


def test_cancelling_stops_the_reading(tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    def stop(_part: float) -> None:
        raise StopError

    path = phantom.write_dicom(tmp_path, slices())
    with pytest.raises(StopError):
        index_series(path, stop)
    index = index_series(path)
    with pytest.raises(StopError):
        read_indexed(index, index.series[0], stop)


@pytest.fixture(scope="module")
def real() -> SeriesIndex:
    return index_series(data_path("ct", "chest_LIDC-IDRI-0001_dicom.zip"))


def test_the_real_ct_is_listed_as_it_is(real: SeriesIndex) -> None:
    (found,) = real.series
    assert (found.modality, found.size_ijk, found.problems) == ("CT", (512, 512, 133), ())
    assert found.spacing_mm == pytest.approx((0.703125, 0.703125, 2.5))
    ((_, picture),) = thumbnails(real, real.series)
    assert picture is not None
    # Air round the chest is black, the table and the patient are not.
    assert picture[:4].max() < 40
    assert 40 < picture[40:90, 30:100].mean() < 200


def test_a_real_ct_read_from_its_index(real: SeriesIndex) -> None:
    volume: Volume = read_indexed(real, real.series[0], lambda _: None)
    assert volume.voxels[66].max() > 500
