"""DICOM series read into volumes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ir_nav.geometry import FloatArray
from ir_nav.imaging.dicom_read import Report, read_voxels
from ir_nav.imaging.dicom_source import DicomSource, is_dicom_source, open_source
from ir_nav.imaging.dicom_values import Quantity
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.series import (
    SeriesIndex,
    SeriesSummary,
    Severity,
    index_source,
)
from ir_nav.imaging.tilt import straighten
from ir_nav.imaging.volume import AIR_HU, Int16Array, Volume, VolumeInfo, content_identity
from ir_nav.progress import unheard

__all__ = ["SeriesInfo", "find_series", "is_dicom_source", "read_indexed", "read_series"]

# Listing takes about this part of the time.
SCAN_FRACTION = 0.3


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """One image series of a DICOM source. study_date: ISO. slice_count: without localizers."""

    series_uid: str
    description: str
    modality: str
    study_date: str
    slice_count: int


def find_series(path: Path) -> tuple[SeriesInfo, ...]:
    """All image series at `path`, CT with most slices first; ImagingError when there is none."""
    with open_source(path) as source:
        index = index_source(path, source, unheard)
    if not index.series:
        raise _nothing(index)
    listed = [_info(summary) for summary in index.series]
    return tuple(sorted(listed, key=lambda info: (info.modality != "CT", -info.slice_count)))


def read_series(path: Path, series_uid: str | None, part: int, report: Report) -> Volume:
    """Read one series into a Volume. report: called with 0..1. Raises ImagingError.

    series_uid: the CT series with most slices when None; another modality only by name.
    part: which stack of a series that holds several, from 1.
    """
    with open_source(path) as source:
        index = index_source(path, source, lambda done: report(SCAN_FRACTION * done))
        summary = _choose(index, series_uid, part)
        return _read(
            source,
            index,
            summary,
            lambda done: report(SCAN_FRACTION + (1.0 - SCAN_FRACTION) * done),
        )


def read_indexed(index: SeriesIndex, summary: SeriesSummary, report: Report) -> Volume:
    """Read a series that was listed before. Raises ImagingError with the reason it cannot be."""
    with open_source(index.path) as source:
        return _read(source, index, summary, report)


def _read(
    source: DicomSource, index: SeriesIndex, summary: SeriesSummary, report: Report
) -> Volume:
    spoiled = index.spoiled(summary)
    if spoiled:
        raise ImagingError(spoiled[0])
    stack = summary.stack
    if stack is None:
        raise ImagingError(_with_notes(summary))
    voxels, quantity, notes = read_voxels(source, stack.ordered, report)
    affine = stack.ct_from_voxel
    if stack.tilt_deg:
        outside = AIR_HU if quantity.unit == "HU" else 0
        voxels, affine = straighten(voxels, affine, outside)
    info = _describe(index.path, summary, quantity, notes)
    return Volume(voxels, affine, _identity(summary, voxels, affine), info)


def _with_notes(summary: SeriesSummary) -> str:
    """The refusal, and what was left out before it, which may be its cause."""
    notes = [found.text for found in summary.problems if found.severity is Severity.CORRECTED]
    return summary.refusal + (f" ({'; '.join(notes)})" if notes else "")


def _choose(index: SeriesIndex, series_uid: str | None, part: int) -> SeriesSummary:
    series = index.series
    if not series:
        raise _nothing(index)
    if series_uid is None and index.path.is_file():
        name = index.path.name
        series_uid = next(
            (one.facts.series_uid for one in series if any(i.name == name for i in one.images)),
            None,
        )
    if series_uid is None:
        found = [one for one in series if one.modality == "CT"]
        if not found:
            raise _no_ct(index)
    else:
        found = [one for one in series if one.facts.series_uid == series_uid]
        if not found:
            raise ImagingError(f"{index.path.name} does not hold the series {series_uid}")
        if part > 1:
            found = [one for one in found if one.part == part]
        if not found:
            raise ImagingError(f"the series {series_uid} has no part {part}")
    return max(found, key=lambda one: one.slice_count)


def _no_ct(index: SeriesIndex) -> ImagingError:
    kinds = ", ".join(sorted({one.modality or "unknown" for one in index.series}))
    return ImagingError(f"{index.path.name} holds no CT, only {kinds}: choose the CT series")


def _nothing(index: SeriesIndex) -> ImagingError:
    if index.unread:
        return ImagingError(index.unread[0][1])
    kinds = ", ".join(sorted({one.kind for one in index.objects}))
    held = f", only {kinds}" if kinds else ""
    return ImagingError(
        f"{index.path.name} holds no DICOM images{held}: choose the folder or zip with the CT "
        "series"
    )


def _describe(
    path: Path, summary: SeriesSummary, quantity: Quantity, notes: Sequence[str]
) -> VolumeInfo:
    facts = summary.facts
    return VolumeInfo(
        patient_name=facts.patient_name,
        patient_id=facts.patient_id,
        study_date=facts.study_date,
        series_description=summary.title if summary.part_name else facts.description,
        modality=facts.modality,
        laterality=summary.side,
        source_path=str(path),
        frame_of_reference_uid=facts.frame_of_reference_uid,
        series_uid=facts.series_uid,
        unit=quantity.unit,
        scale=quantity.scale,
        notes=(*(found.text for found in summary.problems), *notes),
    )


def _identity(summary: SeriesSummary, voxels: Int16Array, ct_from_voxel: FloatArray) -> str:
    digest = content_identity(voxels, ct_from_voxel).partition(":")[2]
    return f"dicom:{summary.facts.series_uid}:{digest[:12]}"


def _info(summary: SeriesSummary) -> SeriesInfo:
    facts = summary.facts
    return SeriesInfo(
        facts.series_uid, facts.description, facts.modality, facts.study_date, summary.slice_count
    )
