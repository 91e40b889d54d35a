"""Made-up DICOM images that carry a patient's identity in many places."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

SIDE_PX = 256


def new_uid() -> str:
    """Short enough that a test may add to it."""
    return f"1.2.826.{uuid4().int % 10**30}"


def image(number: int, series: str, study: str, **changes: object) -> FileDataset:
    """A CT slice of noise, which no encoding makes small."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    made.SOPClassUID = meta.MediaStorageSOPClassUID = CTImageStorage
    made.SOPInstanceUID = meta.MediaStorageSOPInstanceUID = new_uid()
    made.SpecificCharacterSet = "ISO_IR 100"
    made.StudyInstanceUID, made.SeriesInstanceUID = study, series
    made.FrameOfReferenceUID = f"{study}.9"
    made.PatientName, made.PatientID = "ÄCKERMANN^KLARA", "HOSP-778812"
    made.PatientBirthDate, made.PatientSex = "19481203", "F"
    made.StudyDate, made.StudyTime, made.StudyID = "20260317", "091500", "STUDY-4711"
    made.SeriesDate, made.ContentDate, made.ContentTime = "20260318", "20260317", "091501"
    made.AccessionNumber, made.ReferringPhysicianName = "ACC99120045", "HOUSEMAN^GREGOR"
    made.Modality, made.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    made.StudyDescription, made.SeriesDescription = "Liver of Mrs ÄCKERMANN", "Portal venous"
    made.SeriesNumber, made.InstanceNumber, made.AcquisitionNumber = 3, number, 1
    made.Manufacturer, made.DeviceSerialNumber, made.StationName = "ACME", "SER-55-1", "CT-ROOM-4"
    made.ImagePositionPatient = [0.0, 0.0, 2.0 * number]
    made.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    made.PixelSpacing, made.SliceThickness = [1.0, 1.0], 2.0
    made.Rows = made.Columns = SIDE_PX
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 16, 15, 1
    made.RescaleSlope, made.RescaleIntercept = 1.0, 0.0
    noise = np.random.default_rng(number).integers(-1000, 1000, (SIDE_PX, SIDE_PX), np.int16)
    made.PixelData = noise.tobytes()
    for keyword, value in changes.items():
        setattr(made, keyword, value)
    return made


def talkative(number: int, series: str, study: str) -> FileDataset:
    """An image with the patient in sequences, private attributes, overlays and its preamble."""
    made = image(number, series, study)
    made.preamble = b"ACKERMANN".ljust(128, b"\0")
    made.file_meta.SourceApplicationEntityTitle = "KLINIKUM1"
    request = Dataset()
    request.RequestingPhysician = "HOUSEMAN^GREGOR"
    request.RequestedProcedureDescription = "Biopsy for ÄCKERMANN"
    inner = Dataset()
    inner.PatientID, inner.ReferencedSOPInstanceUID = "HOSP-778812", f"{series}.77"
    inner.add_new(0x00111010, "LO", "HOSP-778812")
    request.ReferencedStudySequence = Sequence([inner])
    made.RequestAttributesSequence = Sequence([request])
    source = Dataset()
    source.ReferencedSOPClassUID = CTImageStorage
    source.ReferencedSOPInstanceUID = f"{series}.77"
    made.SourceImageSequence = Sequence([source])
    kept = Dataset()
    kept.CodeValue, kept.CodingSchemeDesignator, kept.CodeMeaning = "T-62000", "SRT", "Liver"
    made.AnatomicRegionSequence = Sequence([kept])
    block = made.private_block(0x0009, "ACME PRIVATE", create=True)
    block.add_new(0x01, "LO", "KLARA ÄCKERMANN")
    made.InstitutionName, made.InstitutionAddress = "Klinikum Seeblick", "Am See 12"
    made.OperatorsName, made.PatientAddress = "TECHNIKER^TONI", "Bachweg 7"
    made.PatientComments, made.ImageComments = "daughter phones daily", "KLARA moved"
    made.add_new(0x60003000, "OW", b"KLARAOVERLAY")
    made.add_new(0x60004000, "LT", "HOSP-778812")
    made.DeviceUID = f"{study}.3"
    return made


# Nothing of these may be left in a file, in any encoding of its text.
IDENTIFYING = (
    *("ACKERMANN", "CKERMANN", "KLARA", "HOSP-778812", "19481203", "ACC99120045", "HOUSEMAN"),
    *("GREGOR", "Klinikum", "KLINIKUM1", "Am See 12", "TECHNIKER", "Bachweg", "daughter"),
    *(
        "SER-55-1",
        "CT-ROOM-4",
        "20260317",
        "20260318",
        "STUDY-4711",
        "ACME PRIVATE",
        "Portal venous",
    ),
)


def write_series(folder: Path, count: int, **changes: object) -> tuple[Path, ...]:
    """A new study of one series, a file each."""
    folder.mkdir(parents=True, exist_ok=True)
    study, series = new_uid(), new_uid()
    paths = []
    for number in range(1, count + 1):
        path = folder / f"{series}-{number:03d}.dcm"
        image(number, series, study, **changes).save_as(path, enforce_file_format=True)
        paths.append(path)
    return tuple(paths)
