"""DICOM data sets of other kinds, made of the phantom with pydicom."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    MRImageStorage,
    NuclearMedicineImageStorage,
    PositronEmissionTomographyImageStorage,
    RTDoseStorage,
    RTStructureSetStorage,
    generate_uid,
)

from tests.imaging import phantom


def item(**values: object) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def sequence(**values: object) -> Sequence:
    return Sequence([item(**values)])


def as_kind(data: FileDataset, modality: str, sop_class: str) -> FileDataset:
    data.Modality = modality
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = sop_class
    return data


def mr_slices(hu: np.ndarray, place: np.ndarray, **values: object) -> list[FileDataset]:
    """MR images that store HU + 1024 and do not rescale."""
    made = phantom.dicom_slices(hu, place, generate_uid())
    for data in made:
        as_kind(data, "MR", MRImageStorage)
        del data.RescaleSlope, data.RescaleIntercept
        for keyword, value in values.items():
            setattr(data, keyword, value)
    return made


def enhanced(
    volumes: list[np.ndarray],
    place: np.ndarray,
    *,
    modality: str = "CT",
    shuffle: bool = False,
) -> FileDataset:
    """One multi-frame image; each volume is one time point, frames of all mixed."""
    frames = [(t, k) for k in range(len(volumes[0])) for t in range(len(volumes))]
    if shuffle:
        frames = frames[::-1]
    base = phantom.dicom_slice(volumes[0], place, 0, phantom.SERIES_UID)
    sop_class = EnhancedCTImageStorage if modality == "CT" else EnhancedMRImageStorage
    data = as_kind(base, modality, sop_class)
    orientation, spacing = base.ImageOrientationPatient, base.PixelSpacing
    del data.ImageOrientationPatient, data.ImagePositionPatient, data.PixelSpacing
    del data.RescaleSlope, data.RescaleIntercept
    data.NumberOfFrames = len(frames)
    shared = item(
        PlaneOrientationSequence=sequence(ImageOrientationPatient=orientation),
        PixelMeasuresSequence=sequence(PixelSpacing=spacing, SliceThickness="2.5"),
        PixelValueTransformationSequence=sequence(
            RescaleSlope="1", RescaleIntercept="-1024", RescaleType="HU"
        ),
    )
    data.SharedFunctionalGroupsSequence = Sequence([shared])
    data.DimensionIndexSequence = Sequence(
        [
            item(DimensionIndexPointer=0x00209128, FunctionalGroupPointer=0x00209111),
            item(DimensionIndexPointer=0x00209057, FunctionalGroupPointer=0x00209111),
        ]
    )
    groups = []
    for t, k in frames:
        position = place[:3, 3] + k * place[:3, 2]
        groups.append(
            item(
                FrameContentSequence=sequence(
                    StackID="1",
                    InStackPositionNumber=k + 1,
                    TemporalPositionIndex=t + 1,
                    DimensionIndexValues=[t + 1, k + 1],
                ),
                PlanePositionSequence=sequence(ImagePositionPatient=[f"{v:.8f}" for v in position]),
            )
        )
    data.PerFrameFunctionalGroupsSequence = Sequence(groups)
    stored = np.stack([volumes[t][k].astype(np.int32) + 1024 for t, k in frames])
    data.PixelData = stored.astype("<u2").tobytes()
    return data


def pet_slices(stored: np.ndarray, place: np.ndarray, slopes: list[float]) -> list[FileDataset]:
    """PET in Bq/ml, each slice with a slope of its own; FDG injected an hour before."""
    made = phantom.dicom_slices(stored.astype(np.int32) - 1024, place, generate_uid())
    for data, slope in zip(made, slopes, strict=True):
        as_kind(data, "PT", PositronEmissionTomographyImageStorage)
        data.RescaleSlope, data.RescaleIntercept = f"{slope:.6f}", "0"
        data.Units, data.DecayCorrection = "BQML", "START"
        data.CorrectedImage = ["ATTN", "DECY", "SCAT"]
        data.PatientWeight = "70"
        data.SeriesDate = data.AcquisitionDate = "20240531"
        data.SeriesTime, data.AcquisitionTime = "130000.00", "130500.00"
        data.RadiopharmaceuticalInformationSequence = sequence(
            RadiopharmaceuticalStartTime="120000.00",
            RadionuclideTotalDose="350000000",
            RadionuclideHalfLife="6586.2",
        )
    return made


def tomographic_nm(stored: np.ndarray, place: np.ndarray, *, downwards: bool) -> FileDataset:
    """A reconstructed SPECT; frames run along or against row x column."""
    data = phantom.dicom_slice(stored.astype(np.int32) - 1024, place, 0, generate_uid())
    as_kind(data, "NM", NuclearMedicineImageStorage)
    step = float(np.linalg.norm(place[:3, 2]))
    first = place[:3, 3] + (len(stored) - 1) * place[:3, 2] if downwards else place[:3, 3]
    data.DetectorInformationSequence = sequence(
        ImageOrientationPatient=data.ImageOrientationPatient,
        ImagePositionPatient=[f"{v:.8f}" for v in first],
    )
    del data.ImageOrientationPatient, data.ImagePositionPatient
    del data.RescaleSlope, data.RescaleIntercept
    data.ImageType = ["ORIGINAL", "PRIMARY", "RECON TOMO", "EMISSION"]
    data.NumberOfFrames = data.NumberOfSlices = len(stored)
    data.SpacingBetweenSlices = f"{-step if downwards else step:.8f}"
    frames = stored[::-1] if downwards else stored
    data.PixelData = frames.astype("<u2").tobytes()
    return data


def dose(stored: np.ndarray, place: np.ndarray, scale: float) -> FileDataset:
    data = phantom.dicom_slice(stored.astype(np.int32) - 1024, place, 0, generate_uid())
    as_kind(data, "RTDOSE", RTDoseStorage)
    del data.RescaleSlope, data.RescaleIntercept
    data.NumberOfFrames = len(stored)
    data.BitsAllocated, data.BitsStored, data.HighBit = 32, 32, 31
    step = float(np.linalg.norm(place[:3, 2]))
    data.GridFrameOffsetVector = [f"{step * k:.6f}" for k in range(len(stored))]
    data.DoseUnits, data.DoseType, data.DoseGridScaling = "GY", "PHYSICAL", f"{scale:.8f}"
    data.PixelData = stored.astype("<u4").tobytes()
    return data


def structure_set(
    rois: dict[str, list[np.ndarray]],
    *,
    reference: str = "1.2.3.4",
    geometry: str = "CLOSED_PLANAR",
) -> FileDataset:
    """name -> contours (n, 3) in LPS mm."""
    data = phantom.dicom_slice(phantom.voxels(), phantom.affine(), 0, generate_uid())
    for keyword in ("Rows", "Columns", "PixelData", "ImagePositionPatient", "BitsAllocated"):
        delattr(data, keyword)
    as_kind(data, "RTSTRUCT", RTStructureSetStorage)
    data.StructureSetROISequence = Sequence(
        [
            item(ROINumber=n, ROIName=name, ReferencedFrameOfReferenceUID=reference)
            for n, name in enumerate(rois, 1)
        ]
    )
    data.ROIContourSequence = Sequence(
        [
            item(
                ReferencedROINumber=n,
                ContourSequence=Sequence(
                    [
                        item(
                            ContourGeometricType=geometry,
                            NumberOfContourPoints=len(points),
                            ContourData=[f"{v:.5f}" for v in points.ravel()],
                        )
                        for points in contours
                    ]
                ),
            )
            for n, contours in enumerate(rois.values(), 1)
        ]
    )
    return data


def save(path: Path, data: FileDataset) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, data, enforce_file_format=True)
    return path
