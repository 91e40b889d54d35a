"""DICOM series: found, chosen, checked and read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from ir_nav.geometry import FloatArray
from ir_nav.imaging.dicom_header import SliceHeader, read_header
from ir_nav.imaging.dicom_pixels import read_hu
from ir_nav.imaging.dicom_source import DicomSource, is_dicom_source, open_source
from ir_nav.imaging.dicom_stack import stack
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.volume import Int16Array, Volume, VolumeInfo, content_identity

__all__ = ["SeriesInfo", "find_series", "is_dicom_source", "read_series"]

# Unpacking and disk reads leave the GIL; more threads than this gain nothing.
THREADS = 4

# Listing takes about this part of the time.
SCAN_FRACTION = 0.3

Item = TypeVar("Item")
Result = TypeVar("Result")


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
        groups = _group(_scan(source, _ignore))
    if not groups:
        raise _nothing(path)
    listed = [_info(slices) for slices in groups.values()]
    return tuple(sorted(listed, key=lambda info: (info.modality != "CT", -info.slice_count)))


def read_series(path: Path, series_uid: str | None, report: Callable[[float], None]) -> Volume:
    """Read one CT series into a Volume. report: called with 0..1. Raises ImagingError."""
    with open_source(path) as source:
        headers = _scan(source, lambda done: report(SCAN_FRACTION * done))
        chosen = _choose(path, headers, series_uid)
        ordered, ct_from_voxel = stack(chosen)
        voxels = _read_voxels(
            source, ordered, lambda done: report(SCAN_FRACTION + (1.0 - SCAN_FRACTION) * done)
        )
    return Volume(
        voxels,
        ct_from_voxel,
        _identity(ordered[0], voxels, ct_from_voxel),
        _describe(path, ordered[0]),
    )


def _scan(source: DicomSource, report: Callable[[float], None]) -> list[SliceHeader]:
    headers = _each(lambda name: read_header(source, name), source.names, report)
    return [header for header in headers if header is not None]


def _read_voxels(
    source: DicomSource, ordered: Sequence[SliceHeader], report: Callable[[float], None]
) -> Int16Array:
    voxels = np.empty((len(ordered), ordered[0].rows, ordered[0].columns), dtype=np.int16)

    def fill(index: int) -> None:
        header = ordered[index]
        voxels[index] = read_hu(source.read(header.name), header)

    _each(fill, range(len(ordered)), report)
    return voxels


def _each(
    work: Callable[[Item], Result], items: Sequence[Item], report: Callable[[float], None]
) -> list[Result]:
    results = []
    with ThreadPoolExecutor(THREADS) as pool:
        try:
            for result in pool.map(work, items):
                results.append(result)
                report(len(results) / len(items))
        except ImagingError:
            pool.shutdown(cancel_futures=True)
            raise
    return results


def _group(headers: Iterable[SliceHeader]) -> dict[str, list[SliceHeader]]:
    groups: dict[str, list[SliceHeader]] = {}
    for header in headers:
        if not header.is_localizer:
            groups.setdefault(header.series_uid, []).append(header)
    return groups


def _choose(
    path: Path, headers: Sequence[SliceHeader], series_uid: str | None
) -> list[SliceHeader]:
    groups = _group(headers)
    if not groups:
        raise _nothing(path)
    if series_uid is None and path.is_file():
        series_uid = next((h.series_uid for h in headers if h.name == path.name), None)
    if series_uid is None:
        candidates = [group for group in groups.values() if group[0].modality == "CT"]
    else:
        candidates = [group for uid, group in groups.items() if uid == series_uid]
        if not candidates:
            raise ImagingError(f"{path.name} does not hold the series {series_uid}")
    if not candidates:
        found = ", ".join(sorted({group[0].modality or "unknown" for group in groups.values()}))
        raise ImagingError(f"{path.name} holds no CT, only {found}: choose the CT series")
    chosen = max(candidates, key=len)
    _check_usable(path, chosen)
    return chosen


def _check_usable(path: Path, chosen: Sequence[SliceHeader]) -> None:
    first = chosen[0]
    if any(header.samples != 1 for header in chosen):
        raise ImagingError(f"{first.name} is a colour image, not a CT: choose the CT series")
    if first.modality != "CT":
        raise ImagingError(f"the series in {path.name} is {first.modality}, not CT: choose the CT")
    if any(header.frames != 1 for header in chosen):
        raise ImagingError(
            f"{first.name} is a multi-frame (enhanced) CT: export it as one file per slice"
        )
    if len(chosen) < 2:
        raise ImagingError(f"{path.name} holds a single CT slice: load the whole series")


def _describe(path: Path, first: SliceHeader) -> VolumeInfo:
    return VolumeInfo(
        patient_name=first.patient_name,
        patient_id=first.patient_id,
        study_date=first.study_date,
        series_description=first.description,
        modality=first.modality,
        laterality=first.laterality,
        source_path=str(path),
        frame_of_reference_uid=first.frame_of_reference_uid,
    )


def _identity(first: SliceHeader, voxels: Int16Array, ct_from_voxel: FloatArray) -> str:
    digest = content_identity(voxels, ct_from_voxel).partition(":")[2]
    return f"dicom:{first.series_uid}:{digest[:12]}"


def _info(slices: Sequence[SliceHeader]) -> SeriesInfo:
    first = slices[0]
    return SeriesInfo(
        first.series_uid, first.description, first.modality, first.study_date, len(slices)
    )


def _nothing(path: Path) -> ImagingError:
    return ImagingError(
        f"{path.name} holds no DICOM images: choose the folder or zip with the CT series"
    )


def _ignore(_fraction: float) -> None:
    return None
