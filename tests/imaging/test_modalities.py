"""MR, PET, NM, dose and enhanced multi-frame images become volumes of a known quantity."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import RLELossless

from ir_nav.imaging import ImagingError, Volume, index_series, read_indexed, read_volume
from tests.imaging import dicom_made, phantom

PLACE = phantom.affine((12.0, -7.0, 31.0))
STORED = (phantom.voxels().astype(np.int32) + 1024).astype(np.int32)


def read_only_series(path: Path) -> Volume:
    index = index_series(path)
    assert len(index.series) == 1, [one.title for one in index.series]
    return read_indexed(index, index.series[0], lambda _: None)


def assert_in_place(volume: Volume) -> None:
    np.testing.assert_allclose(volume.ct_from_voxel, PLACE, atol=1e-5)


def test_mr_keeps_its_numbers(tmp_path: Path) -> None:
    mr = read_only_series(
        phantom.write_dicom(tmp_path, dicom_made.mr_slices(phantom.voxels(), PLACE))
    )
    assert_in_place(mr)
    assert np.array_equal(mr.voxels, STORED)
    assert (mr.description.modality, mr.description.unit, mr.description.scale) == ("MR", "", 1.0)


def test_mr_is_not_taken_for_a_ct_unasked(tmp_path: Path) -> None:
    path = phantom.write_dicom(tmp_path, dicom_made.mr_slices(phantom.voxels(), PLACE))
    with pytest.raises(ImagingError, match="holds no CT, only MR"):
        read_volume(path)
    uid = index_series(path).series[0].facts.series_uid
    assert read_volume(path, series_uid=uid).description.modality == "MR"


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_enhanced_ct(tmp_path: Path, shuffle: bool, packed: bool) -> None:
    data = dicom_made.enhanced([phantom.voxels()], PLACE, shuffle=shuffle)
    if packed:
        data.compress(RLELossless)
    volume = read_volume(dicom_made.save(tmp_path / "enhanced.dcm", data))
    assert_in_place(volume)
    assert np.array_equal(volume.voxels, phantom.voxels())


def test_time_points_of_an_enhanced_image_are_chosen_one_by_one(tmp_path: Path) -> None:
    later = (phantom.voxels() // 2).astype(np.int16)
    data = dicom_made.enhanced([phantom.voxels(), later], PLACE, modality="MR")
    index = index_series(dicom_made.save(tmp_path / "dynamic.dcm", data))
    assert [one.part_name for one in index.series] == ["time point 1", "time point 2"]
    assert all(one.readable for one in index.series)
    second = read_indexed(index, index.series[1], lambda _: None)
    assert_in_place(second)
    values = second.voxels * second.description.scale
    assert np.abs(values - later).max() < 0.02


def test_an_enhanced_image_that_describes_too_few_frames(tmp_path: Path) -> None:
    data = dicom_made.enhanced([phantom.voxels()], PLACE)
    del data.PerFrameFunctionalGroupsSequence[-1]
    with pytest.raises(ImagingError, match="states 9 frames and describes 8"):
        read_volume(dicom_made.save(tmp_path / "short.dcm", data))


def test_an_enhanced_image_whose_pixels_are_cut(tmp_path: Path) -> None:
    data = dicom_made.enhanced([phantom.voxels()], PLACE)
    data.PixelData = data.PixelData[:-100]
    with pytest.raises(ImagingError, match="bytes are there"):
        read_volume(dicom_made.save(tmp_path / "cut.dcm", data))


def test_echoes_of_one_series_are_told_apart(tmp_path: Path) -> None:
    short = dicom_made.mr_slices(phantom.voxels(), PLACE, EchoTime="4.6")
    long = dicom_made.mr_slices(phantom.voxels() // 2, PLACE, EchoTime="9.2")
    for data in long:
        data.SeriesInstanceUID = short[0].SeriesInstanceUID
    index = index_series(phantom.write_dicom(tmp_path, [*short, *long]))
    assert sorted(one.part_name for one in index.series) == ["echo time 4.6", "echo time 9.2"]
    assert {one.size_ijk for one in index.series} == {(14, 12, 9)}
    uid = index.series[0].facts.series_uid
    parts = {one.part_name: one.part for one in index.series}
    chosen = read_volume(tmp_path, series_uid=uid, part=parts["echo time 4.6"])
    assert np.array_equal(chosen.voxels, STORED)
    with pytest.raises(ImagingError, match="no part 3"):
        read_volume(tmp_path, series_uid=uid, part=3)


def pet(tmp_path: Path, change: dict[str, object] | None = None) -> Volume:
    slopes = [0.5 + 0.25 * k for k in range(len(STORED))]
    made = dicom_made.pet_slices(STORED, PLACE, slopes)
    for data in made:
        for keyword, value in (change or {}).items():
            setattr(data, keyword, value)
    return read_only_series(phantom.write_dicom(tmp_path, made))


def expected_bq_ml() -> np.ndarray:
    return STORED * (0.5 + 0.25 * np.arange(len(STORED)))[:, None, None]


def test_suv_by_body_weight_with_a_slope_for_each_slice(tmp_path: Path) -> None:
    """By hand: 70 kg, 350 MBq of F-18 an hour before the scan."""
    volume = pet(tmp_path)
    assert_in_place(volume)
    assert volume.description.unit == "SUVbw g/ml"
    dose_at_scan_bq = 350e6 * 0.5 ** (3600.0 / 6586.2)
    expected = expected_bq_ml() * 70_000.0 / dose_at_scan_bq
    found = volume.voxels * volume.description.scale
    assert np.abs(found - expected).max() <= expected.max() / 65_000


def test_suv_corrected_to_the_injection(tmp_path: Path) -> None:
    volume = pet(tmp_path, {"DecayCorrection": "ADMIN"})
    found = volume.voxels * volume.description.scale
    assert found.max() == pytest.approx(expected_bq_ml().max() * 70_000.0 / 350e6, rel=1e-4)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"PatientWeight": None}, "weight"),
        ({"PatientWeight": "0"}, "weight"),
        ({"CorrectedImage": ["DECY"]}, "attenuation"),
        ({"DecayCorrection": "NONE"}, "decay is corrected"),
        ({"SeriesTime": "150000", "AcquisitionTime": "130500"}, "scan began"),
        ({"SeriesTime": "110000"}, "contradict"),
        ({"RadiopharmaceuticalInformationSequence": []}, "injected activity"),
        ({"Units": "PROPCPS"}, "PROPCPS"),
        ({"Units": "CNTS"}, "counts"),
    ],
)
def test_no_suv_without_what_it_needs(tmp_path: Path, change: dict[str, object], why: str) -> None:
    volume = pet(tmp_path, change)
    assert volume.description.unit != "SUVbw g/ml"
    note = next(note for note in volume.description.notes if "SUV" in note)
    assert why in note
    found = volume.voxels * volume.description.scale
    assert found.max() == pytest.approx(expected_bq_ml().max(), rel=1e-4)


def test_philips_counts_and_ge_scan_time(tmp_path: Path) -> None:
    made = dicom_made.pet_slices(STORED, PLACE, [1.0] * len(STORED))
    for data in made:
        data.Units = "CNTS"
        block = data.private_block(0x7053, "Philips PET Private Group", create=True)
        block.add_new(0x00, "DS", "0.00125")
    philips = read_only_series(phantom.write_dicom(tmp_path / "philips", made))
    assert philips.description.unit == "SUVbw g/ml"
    assert philips.voxels.max() * philips.description.scale == pytest.approx(STORED.max() / 800)
    made = dicom_made.pet_slices(STORED, PLACE, [1.0] * len(STORED))
    for data in made:
        data.SeriesTime = "190000"
        block = data.private_block(0x0009, "GEMS_PETD_01", create=True)
        block.add_new(0x0D, "DT", "20240531130000.00")
    ge = read_only_series(phantom.write_dicom(tmp_path / "ge", made))
    factor = 70_000.0 / (350e6 * math.exp2(-3600.0 / 6586.2))
    assert ge.voxels.max() * ge.description.scale == pytest.approx(STORED.max() * factor, rel=1e-4)


@pytest.mark.parametrize("downwards", [False, True])
def test_reconstructed_spect(tmp_path: Path, downwards: bool) -> None:
    data = dicom_made.tomographic_nm(STORED, PLACE, downwards=downwards)
    volume = read_only_series(dicom_made.save(tmp_path / "spect.dcm", data))
    assert_in_place(volume)
    assert np.array_equal(volume.voxels, STORED)
    assert volume.description.unit == "counts"


def test_projections_of_nm_are_no_volume(tmp_path: Path) -> None:
    data = dicom_made.tomographic_nm(STORED, PLACE, downwards=False)
    data.ImageType = ["ORIGINAL", "PRIMARY", "STATIC", "EMISSION"]
    found = index_series(dicom_made.save(tmp_path / "static.dcm", data)).series[0]
    assert not found.readable
    assert "position" in found.refusal


def test_dose_in_gray(tmp_path: Path) -> None:
    volume = read_only_series(
        dicom_made.save(tmp_path / "dose.dcm", dicom_made.dose(STORED * 40, PLACE, 2.5e-4))
    )
    assert_in_place(volume)
    assert volume.description.unit == "Gy"
    found = volume.voxels * volume.description.scale
    assert np.abs(found - STORED * 0.01).max() < 0.01 * STORED.max() / 65_000


def test_dose_by_table_position(tmp_path: Path) -> None:
    straight = phantom.affine()
    data = dicom_made.dose(STORED, straight, 0.01)
    start = float(straight[2, 3])
    data.GridFrameOffsetVector = [f"{start + 2.5 * k}" for k in range(len(STORED))]
    volume = read_only_series(dicom_made.save(tmp_path / "dose.dcm", data))
    np.testing.assert_allclose(volume.ct_from_voxel, straight, atol=1e-6)
    data.GridFrameOffsetVector = [f"{start + 7.0 + 2.5 * k}" for k in range(len(STORED))]
    dicom_made.save(tmp_path / "dose.dcm", data)
    with pytest.raises(ImagingError, match="do not begin at its position"):
        read_volume(tmp_path)


def test_a_mixed_folder_lists_everything_and_opens_the_ct(tmp_path: Path) -> None:
    phantom.write_dicom(tmp_path / "ct", phantom.dicom_slices(phantom.voxels(), PLACE))
    phantom.write_dicom(tmp_path / "mr", dicom_made.mr_slices(phantom.voxels(), PLACE))
    dicom_made.save(tmp_path / "dose.dcm", dicom_made.dose(STORED, PLACE, 0.01))
    contour = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0]])
    dicom_made.save(tmp_path / "rt.dcm", dicom_made.structure_set({"liver": [contour]}))
    report = pydicom.Dataset()
    report.SeriesInstanceUID, report.Modality = "1.2.77", "SR"
    report.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.22"
    report.SOPInstanceUID = "1.2.78"
    report.file_meta = pydicom.dataset.FileMetaDataset()
    report.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    pydicom.dcmwrite(tmp_path / "sr.dcm", report, enforce_file_format=True)
    index = index_series(tmp_path)
    assert [one.modality for one in index.series] == ["CT", "MR", "RTDOSE"]
    assert sorted(one.kind for one in index.objects) == ["structure set", "structured report"]
    assert read_volume(tmp_path).description.modality == "CT"
