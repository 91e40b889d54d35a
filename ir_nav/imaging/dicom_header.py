"""The header fields of one DICOM image or object that decide how it is listed and read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePath

from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import UID

from ir_nav.imaging.dicom_frames import FramePlace, frame_places
from ir_nav.imaging.dicom_parse import (
    PARSE_ERRORS,
    code,
    iso_date,
    number,
    parse_all,
    parse_head,
    text,
    texts,
    whole,
)
from ir_nav.imaging.dicom_source import DicomSource, is_dicom
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.integrity import damaged

# Headers of CT slices are a few kB; this spares unpacking the pixels to list a series.
HEADER_BYTES = 1 << 15

CT_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
DIRECTORY_STORAGE = "1.2.840.10008.1.3.10"

# Objects with Rows that are no images to navigate on.
_OBJECT_MODALITIES = ("SEG", "RTSTRUCT", "RTPLAN", "SR", "PR", "KO", "DOC", "REG", "AU", "ECG")
_OBJECT_KINDS = {
    "SEG": "segmentation",
    "RTSTRUCT": "structure set",
    "RTPLAN": "treatment plan",
    "SR": "structured report",
    "PR": "presentation state",
    "KO": "key images",
    "DOC": "document",
    "REG": "registration",
}
# Their geometry or values lie behind the elements that all images share.
_DETAILED_MODALITIES = ("PT", "NM", "RTDOSE")

TAGS = [
    "AcquisitionNumber",
    "AcquisitionTime",
    "BitsAllocated",
    "BitsStored",
    "BodyPartExamined",
    "Columns",
    "DiffusionBValue",
    "EchoTime",
    "FrameOfReferenceUID",
    "GantryDetectorTilt",
    "ImageLaterality",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "ImageType",
    "InversionTime",
    "Laterality",
    "Modality",
    "NumberOfFrames",
    "PatientID",
    "PatientName",
    "PatientOrientation",
    "PhotometricInterpretation",
    "PixelPaddingValue",
    "PixelRepresentation",
    "PixelSpacing",
    "RescaleIntercept",
    "RescaleSlope",
    "Rows",
    "SOPClassUID",
    "SOPInstanceUID",
    "SamplesPerPixel",
    "SeriesDescription",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SpecificCharacterSet",
    "StudyDate",
    "StudyDescription",
    "StudyInstanceUID",
    "TemporalPositionIdentifier",
    "TriggerTime",
    "WindowCenter",
    "WindowWidth",
]


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """What a file says about the patient, study and series it belongs to; '' when silent."""

    patient_name: str
    patient_id: str
    study_uid: str
    study_date: str
    study_description: str
    series_uid: str
    series_number: int | None
    modality: str
    description: str
    body_part: str
    laterality: str
    frame_of_reference_uid: str | None


@dataclass(frozen=True, slots=True)
class SliceHeader:
    """One image, or one frame of a multi-frame image; None where the header is silent.

    frame: its number in the file, from 0, of `frames`. signed, bits: how a pixel is stored.
    padding: the stored value that stands for no pixel. row_letters: where rows and columns
    run to by Patient Orientation, e.g. ('L', 'P'). window: centre and width as stored.
    """

    name: str
    facts: SeriesFacts
    sop_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    photometric: str
    frame: int
    frames: int
    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    padding: int | None
    tilt_deg: float | None
    is_localizer: bool
    image_laterality: str
    row_letters: tuple[str, ...]
    window: tuple[float, float] | None
    place: FramePlace

    @property
    def series_uid(self) -> str:
        return self.facts.series_uid

    @property
    def modality(self) -> str:
        return self.facts.modality

    @property
    def plain_name(self) -> str:
        """The file without its folders, and the frame where there are several."""
        file = PurePath(self.name).name
        return file if self.frames == 1 else f"{file} frame {self.frame + 1}"


@dataclass(frozen=True, slots=True)
class ObjectHeader:
    """A DICOM object that is no image: report, segmentation, plan. kind: in words."""

    name: str
    facts: SeriesFacts
    sop_class_uid: str
    kind: str


Header = SliceHeader | ObjectHeader


def read_headers(source: DicomSource, name: str) -> tuple[Header, ...]:
    """One header for each image of a file, or the object in it; () when it is no DICOM.

    Raises ImagingError when the file is cut or malformed.
    """
    head = source.read(name, HEADER_BYTES)
    if not is_dicom(head):
        if name.lower().endswith((".dcm", ".ima")):
            raise damaged(name, "it does not begin like a DICOM file")
        return ()
    dataset, passed = parse_head(head, TAGS)
    whole_file = len(head) < HEADER_BYTES
    if not passed and not whole_file:
        dataset, passed = parse_head(source.read(name), TAGS)
    if dataset is None:
        raise damaged(name, "its DICOM header cannot be read")
    try:
        return _classify(source, name, dataset)
    except PARSE_ERRORS as error:
        if isinstance(error, ImagingError):
            raise
        raise ImagingError(
            f"{name} has a DICOM header with missing or malformed fields: export it again"
        ) from None


def facts_of(dataset: Dataset) -> SeriesFacts:
    """Patient, study and series of a dataset."""
    return SeriesFacts(
        patient_name=text(dataset, "PatientName").replace("^", " ").strip(),
        patient_id=text(dataset, "PatientID"),
        study_uid=text(dataset, "StudyInstanceUID"),
        study_date=iso_date(text(dataset, "StudyDate")),
        study_description=text(dataset, "StudyDescription"),
        series_uid=text(dataset, "SeriesInstanceUID"),
        series_number=whole(dataset, "SeriesNumber"),
        modality=code(dataset, "Modality"),
        description=text(dataset, "SeriesDescription"),
        body_part=text(dataset, "BodyPartExamined"),
        laterality=text(dataset, "Laterality"),
        frame_of_reference_uid=text(dataset, "FrameOfReferenceUID") or None,
    )


def _classify(source: DicomSource, name: str, dataset: FileDataset) -> tuple[Header, ...]:
    sop_class = text(dataset, "SOPClassUID") or str(
        dataset.file_meta.get("MediaStorageSOPClassUID", "")
    )
    if sop_class == DIRECTORY_STORAGE:
        return ()
    modality = code(dataset, "Modality")
    if "SeriesInstanceUID" not in dataset or ("Rows" not in dataset and sop_class == CT_STORAGE):
        raise damaged(name, "its DICOM header is cut off")
    if "Rows" not in dataset or modality in _OBJECT_MODALITIES:
        kind = _OBJECT_KINDS.get(modality) or UID(sop_class).name.removesuffix(" Storage")
        return (ObjectHeader(name, facts_of(dataset), sop_class, kind),)
    if modality in _DETAILED_MODALITIES or (whole(dataset, "NumberOfFrames") or 1) > 1:
        complete = parse_all(source.read(name))
        if complete is None:
            raise damaged(name, "its DICOM header cannot be read")
        return _images(name, complete, sop_class)
    return _images(name, dataset, sop_class)


def _images(name: str, dataset: FileDataset, sop_class: str) -> tuple[SliceHeader, ...]:
    places = frame_places(name, dataset)
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    if min(rows, columns) < 1:
        raise damaged(name, "it states an image without pixels")
    centre, width = _first_number(dataset, "WindowCenter"), _first_number(dataset, "WindowWidth")
    side = text(dataset, "ImageLaterality")
    first = SliceHeader(
        name=name,
        facts=facts_of(dataset),
        sop_uid=text(dataset, "SOPInstanceUID"),
        sop_class_uid=sop_class,
        transfer_syntax_uid=str(dataset.file_meta.get("TransferSyntaxUID", "")),
        photometric=text(dataset, "PhotometricInterpretation"),
        frame=0,
        frames=len(places),
        rows=rows,
        columns=columns,
        samples=int(dataset.get("SamplesPerPixel", 1) or 1),
        bits_allocated=int(dataset.BitsAllocated),
        bits_stored=int(dataset.get("BitsStored") or dataset.BitsAllocated),
        signed=bool(dataset.get("PixelRepresentation", 0)),
        padding=whole(dataset, "PixelPaddingValue"),
        tilt_deg=number(dataset, "GantryDetectorTilt"),
        is_localizer="LOCALIZER" in texts(dataset, "ImageType"),
        image_laterality=places[0].laterality or side,
        row_letters=texts(dataset, "PatientOrientation"),
        window=None if centre is None or not width else (centre, width),
        place=places[0],
    )
    others = (
        replace(first, frame=index, place=place, image_laterality=place.laterality or side)
        for index, place in enumerate(places[1:], start=1)
    )
    return (first, *others)


def _first_number(dataset: Dataset, keyword: str) -> float | None:
    """The first of an element's values as a number: windows may be several."""
    values = texts(dataset, keyword)
    try:
        return float(values[0]) if values else None
    except ValueError:
        return None
