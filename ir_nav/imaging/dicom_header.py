"""The header fields of one DICOM image that decide how it is read."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import pydicom
from pydicom.dataset import FileDataset
from pydicom.errors import InvalidDicomError

from ir_nav.imaging.dicom_source import DicomSource, is_dicom
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.integrity import damaged

# Headers of CT slices are a few kB; this spares unpacking the pixels to list a series.
HEADER_BYTES = 1 << 15

CT_STORAGE = "1.2.840.10008.5.1.4.1.1.2"

TAGS = [
    "BitsAllocated",
    "BitsStored",
    "Columns",
    "FrameOfReferenceUID",
    "GantryDetectorTilt",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "ImageType",
    "Laterality",
    "Modality",
    "NumberOfFrames",
    "PatientID",
    "PatientName",
    "PixelRepresentation",
    "PixelSpacing",
    "RescaleIntercept",
    "RescaleSlope",
    "Rows",
    "SamplesPerPixel",
    "SeriesDescription",
    "SeriesInstanceUID",
    "SpecificCharacterSet",
    "StudyDate",
]


@dataclass(frozen=True, slots=True)
class SliceHeader:
    """One image of a series; None where the header is silent.

    position_mm: centre of the first pixel. orientation: row then column direction cosines.
    spacing_mm: (between rows, between columns). signed, bits: how a pixel is stored.
    """

    name: str
    series_uid: str
    modality: str
    description: str
    study_date: str
    patient_name: str
    patient_id: str
    laterality: str | None
    frame_of_reference_uid: str | None
    transfer_syntax_uid: str
    rows: int
    columns: int
    samples: int
    frames: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    position_mm: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing_mm: tuple[float, ...] | None
    slope: float | None
    intercept: float | None
    tilt_deg: float | None
    is_localizer: bool


def read_header(source: DicomSource, name: str) -> SliceHeader | None:
    """The header of one file; None when it is no DICOM image. ImagingError when it is cut."""
    head = source.read(name, HEADER_BYTES)
    if not is_dicom(head):
        if name.lower().endswith((".dcm", ".ima")):
            raise damaged(name, "it does not begin like a DICOM file")
        return None
    dataset, complete = _parse(head)
    if not complete and len(head) == HEADER_BYTES:
        dataset, _ = _parse(source.read(name))
    if dataset is None:
        raise damaged(name, "its DICOM header cannot be read")
    if "Rows" in dataset and "SeriesInstanceUID" in dataset:
        return _header(name, dataset)
    if dataset.file_meta.get("MediaStorageSOPClassUID") in (CT_STORAGE, None):
        raise damaged(name, "its DICOM header is cut off")
    return None


def _parse(data: bytes) -> tuple[FileDataset | None, bool]:
    """The dataset before the pixels, and whether the parser came to the pixels."""
    stream = io.BytesIO(data)
    try:
        dataset = pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=list(TAGS))
    except (InvalidDicomError, EOFError, OSError, ValueError, KeyError, AttributeError):
        return None, False
    except NotImplementedError:
        return None, False
    return dataset, stream.tell() < len(data)


def _header(name: str, dataset: FileDataset) -> SliceHeader:
    try:
        return SliceHeader(
            name=name,
            series_uid=str(dataset.SeriesInstanceUID),
            modality=_text(dataset, "Modality"),
            description=_text(dataset, "SeriesDescription"),
            study_date=_iso_date(_text(dataset, "StudyDate")),
            patient_name=_text(dataset, "PatientName").replace("^", " ").strip(),
            patient_id=_text(dataset, "PatientID"),
            laterality=_text(dataset, "Laterality") or None,
            frame_of_reference_uid=_text(dataset, "FrameOfReferenceUID") or None,
            transfer_syntax_uid=str(dataset.file_meta.get("TransferSyntaxUID", "")),
            rows=int(dataset.Rows),
            columns=int(dataset.Columns),
            samples=int(dataset.get("SamplesPerPixel", 1)),
            frames=int(dataset.get("NumberOfFrames", 1) or 1),
            bits_allocated=int(dataset.BitsAllocated),
            bits_stored=int(dataset.BitsStored),
            signed=bool(dataset.PixelRepresentation),
            position_mm=_numbers(dataset, "ImagePositionPatient", 3),
            orientation=_numbers(dataset, "ImageOrientationPatient", 6),
            spacing_mm=_numbers(dataset, "PixelSpacing", 2),
            slope=_number(dataset, "RescaleSlope"),
            intercept=_number(dataset, "RescaleIntercept"),
            tilt_deg=_number(dataset, "GantryDetectorTilt"),
            is_localizer="LOCALIZER" in (dataset.get("ImageType") or ()),
        )
    except (AttributeError, TypeError, ValueError):
        raise ImagingError(
            f"{name} has a DICOM header with missing or malformed fields: export it again"
        ) from None


def _text(dataset: FileDataset, keyword: str) -> str:
    value: Any = dataset.get(keyword)
    return "" if value is None else str(value).strip()


def _number(dataset: FileDataset, keyword: str) -> float | None:
    value: Any = dataset.get(keyword)
    return None if value is None or value == "" else float(value)


def _numbers(dataset: FileDataset, keyword: str, count: int) -> tuple[float, ...] | None:
    value: Any = dataset.get(keyword)
    if value is None or len(value) != count:
        return None
    return tuple(float(number) for number in value)


def _iso_date(text: str) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}" if len(text) == 8 and text.isdigit() else text
