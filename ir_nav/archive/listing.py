"""Records out of what an archive lists, the same for DIMSE and DICOMweb."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from ir_nav.archive.errors import ArchiveError
from ir_nav.archive.incoming import is_uid
from ir_nav.archive.records import SeriesRecord, StudyQuery, StudyRecord

MAX_MATCHES = 1000

STUDY_KEYS = (
    "PatientName",
    "PatientID",
    "StudyInstanceUID",
    "StudyDate",
    "StudyDescription",
    "ModalitiesInStudy",
    "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
)
SERIES_KEYS = (
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "Modality",
    "SeriesNumber",
    "SeriesDescription",
    "NumberOfSeriesRelatedInstances",
)

Record = TypeVar("Record")


def matching(query: StudyQuery) -> dict[str, str]:
    """The keys of a query that are not empty, by their DICOM keywords."""
    keys = {
        "PatientID": query.patient_id,
        "PatientName": query.patient_name,
        "StudyDate": query.days,
        "ModalitiesInStudy": query.modality.upper(),
    }
    return {keyword: value for keyword, value in keys.items() if value}


def limited(records: Iterable[Record]) -> Iterator[Record]:
    """The records, or ArchiveError when there are more than a person can look through."""
    for number, record in enumerate(records):
        if number >= MAX_MATCHES:
            raise ArchiveError(f"more than {MAX_MATCHES} studies match: narrow the search")
        yield record


def study_record(match: Dataset) -> StudyRecord | None:
    """A study; None where its identifier is missing."""
    uid = text(match, "StudyInstanceUID")
    if not is_uid(uid):
        return None
    return StudyRecord(
        study_uid=uid,
        patient_name=text(match, "PatientName").replace("^", " ").strip(),
        patient_id=text(match, "PatientID"),
        study_date=_iso(text(match, "StudyDate")),
        description=text(match, "StudyDescription"),
        modalities=_several(match, "ModalitiesInStudy"),
        series_count=whole(match, "NumberOfStudyRelatedSeries"),
        instance_count=whole(match, "NumberOfStudyRelatedInstances"),
    )


def series_record(match: Dataset, study_uid: str) -> SeriesRecord | None:
    """A series; None where its identifier is missing."""
    uid = text(match, "SeriesInstanceUID")
    if not is_uid(uid):
        return None
    return SeriesRecord(
        study_uid=study_uid,
        series_uid=uid,
        modality=text(match, "Modality"),
        number=whole(match, "SeriesNumber"),
        description=text(match, "SeriesDescription"),
        instance_count=whole(match, "NumberOfSeriesRelatedInstances"),
    )


def in_order(
    studies: Iterable[StudyRecord | None],
) -> tuple[StudyRecord, ...]:
    """Newest first, then by patient."""
    known = [study for study in studies if study is not None]
    known.sort(key=lambda study: study.patient_name)
    return tuple(sorted(known, key=lambda study: study.study_date, reverse=True))


def by_number(series: Iterable[SeriesRecord | None]) -> tuple[SeriesRecord, ...]:
    """In the order of their numbers, those without at the end."""
    known = [one for one in series if one is not None]
    return tuple(sorted(known, key=lambda one: (one.number is None, one.number or 0)))


def text(dataset: Dataset, keyword: str) -> str:
    """A value as text, '' where it is absent."""
    value = dataset.get(keyword)
    return "" if value is None else str(value).strip()


def whole(dataset: Dataset, keyword: str) -> int | None:
    """A whole number, None where it is absent or no number."""
    try:
        return int(text(dataset, keyword))
    except ValueError:
        return None


def _several(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    value = dataset.get(keyword)
    if not value:
        return ()
    return tuple(map(str, value)) if isinstance(value, MultiValue | list) else (str(value),)


def _iso(day: str) -> str:
    return f"{day[:4]}-{day[4:6]}-{day[6:8]}" if len(day) == 8 and day.isdigit() else day
