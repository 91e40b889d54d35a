"""What every archive promises, by C-GET, C-MOVE and DICOMweb against Orthanc."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pydicom
import pytest

from ir_nav.archive import ArchiveError, StudyQuery, open_archive
from ir_nav.archive.listing import MAX_MATCHES, limited
from tests.archive.conftest import IMAGES, Ward
from tests.archive.made import write_series

WAYS = ("get", "move", "web")


@pytest.mark.parametrize("way", ["get", "web"])
def test_studies_are_found_by_patient_day_and_kind(ward: Ward, way: str) -> None:
    client = ward.client(way)
    client.echo()

    def found(**query: object) -> set[str]:
        return {study.patient_id for study in client.find_studies(StudyQuery(**query))}

    assert found() >= {"HOSP-778812", "OTHER-1"}
    assert found(patient_id="HOSP*") == {"HOSP-778812"}
    assert found(patient_name="ACKERB*") == {"OTHER-1"}
    assert found(modality="mr") == {"OTHER-1"}
    assert found(last_day=date(2025, 12, 31)) == {"OTHER-1"}
    assert "OTHER-1" not in found(first_day=date(2026, 3, 17), last_day=date(2026, 3, 17))
    assert found(patient_id="NOBODY") == set()


@pytest.mark.parametrize("way", ["get", "web"])
def test_a_study_and_its_series_say_what_they_are(ward: Ward, way: str) -> None:
    client = ward.client(way)
    (study,) = client.find_studies(StudyQuery(patient_id="HOSP-778812"))
    assert study.patient_name == "ÄCKERMANN KLARA"
    assert (study.study_date, study.modalities) == ("2026-03-17", ("CT",))
    assert (study.series_count, study.instance_count) == (1, IMAGES)
    (series,) = client.find_series(study.study_uid)
    assert (series.modality, series.number, series.description) == ("CT", 3, "Portal venous")
    assert series.instance_count == IMAGES


@pytest.mark.parametrize("way", WAYS)
def test_a_series_comes_whole_with_progress_and_again(ward: Ward, way: str, tmp_path: Path) -> None:
    series, seen = ward.series, []
    client = ward.client(way)
    for _ in range(2):
        fetched = client.fetch(series, tmp_path, progress=lambda *at: seen.append(at))
        assert fetched.folder == tmp_path / series.series_uid
        assert sorted(path.name for path in tmp_path.iterdir()) == [series.series_uid]
    files = list(fetched.folder.iterdir())
    assert len(files) == fetched.instance_count == IMAGES
    got = {one.SOPInstanceUID: one for one in map(pydicom.dcmread, files)}
    for path in ward.originals:
        original = pydicom.dcmread(path)
        same = got[original.SOPInstanceUID]
        assert same.PixelData == original.PixelData
        assert same.PatientName == original.PatientName
    assert seen[-1] == (IMAGES, IMAGES)
    assert all(0 <= done <= total == IMAGES for done, total in seen)


@pytest.mark.parametrize("way", ["get", "web"])
def test_files_are_stored_and_counted(ward: Ward, way: str, tmp_path: Path) -> None:
    files = write_series(tmp_path, 3, PatientID=f"STORE-{way}")
    seen: list[tuple[int, int]] = []
    result = ward.client(way).store(files, progress=lambda *at: seen.append(at))
    assert (result.stored, result.refused) == (3, ())
    assert seen == [(1, 3), (2, 3), (3, 3)]
    (study,) = ward.client(way).find_studies(StudyQuery(patient_id=f"STORE-{way}"))
    assert study.instance_count == 3


@pytest.mark.parametrize("way", ["get", "web"])
def test_a_file_that_is_no_dicom_stops_the_store_before_the_first(
    ward: Ward, way: str, tmp_path: Path
) -> None:
    files = write_series(tmp_path, 1, PatientID=f"NONE-{way}")
    bad = tmp_path / "notes.txt"
    bad.write_text("not an image")
    with pytest.raises(ArchiveError, match=r"notes\.txt is no complete DICOM file"):
        ward.client(way).store((*files, bad))
    assert ward.client(way).find_studies(StudyQuery(patient_id=f"NONE-{way}")) == ()


def test_a_wildcard_leaves_the_rest_of_an_address_alone(ward: Ward) -> None:
    client = open_archive(ward.web())
    assert client.find_studies(StudyQuery(patient_id="H*P-7788?2"))
    assert client.find_studies(StudyQuery(patient_name="ACKERBAU*TIM"))


def test_a_search_text_that_dicom_cannot_carry_is_refused() -> None:
    with pytest.raises(ArchiveError, match="backslash"):
        StudyQuery(patient_id="A\\B")
    with pytest.raises(ArchiveError, match="exchange the two dates"):
        StudyQuery(first_day=date(2026, 2, 1), last_day=date(2026, 1, 1))


def test_more_studies_than_a_person_can_look_through_are_refused() -> None:
    assert len(list(limited(range(MAX_MATCHES)))) == MAX_MATCHES
    with pytest.raises(ArchiveError, match="narrow the search"):
        list(limited(range(MAX_MATCHES + 1)))
