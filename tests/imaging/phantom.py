"""A small asymmetric phantom with a known place in the patient, written in every format."""

from __future__ import annotations

import random
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

SIZE_IJK = (14, 12, 9)
SPACING_MM = (0.8, 1.1, 2.5)
SERIES_UID = "1.2.826.0.1.3680043.8.498.1"
PATIENT = "Secretname^Patient"


def rotation(degrees_xyz: tuple[float, float, float]) -> np.ndarray:
    x, y, z = np.radians(degrees_xyz)
    turn_x = [[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]]
    turn_y = [[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]]
    turn_z = [[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]]
    return np.array(turn_z) @ np.array(turn_y) @ np.array(turn_x)


def affine(degrees_xyz: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> np.ndarray:
    """ct_from_voxel in LPS mm."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(degrees_xyz) * SPACING_MM
    matrix[:3, 3] = (-31.0, 47.0, -212.5)
    return matrix


def voxels() -> np.ndarray:
    """(k, j, i) int16 HU, no two axes or directions alike."""
    i, j, k = SIZE_IJK
    kk, jj, ii = np.mgrid[:k, :j, :i]
    return (-900 + 7 * ii + 31 * jj + 113 * kk + (ii * jj) % 5).astype(np.int16)


def write_nifti(path: Path, hu: np.ndarray, ct_from_voxel: np.ndarray) -> Path:
    """By nibabel, which thinks in RAS: independent of the reader's conversion."""
    ras_from_voxel = np.diag([-1.0, -1.0, 1.0, 1.0]) @ ct_from_voxel
    image = nibabel.Nifti1Image(np.transpose(hu), ras_from_voxel)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
    return path


def write_itk(
    path: Path, hu: np.ndarray, ct_from_voxel: np.ndarray, *, compressed: bool = False
) -> Path:
    image = sitk.GetImageFromArray(hu)
    spacing = np.linalg.norm(ct_from_voxel[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((ct_from_voxel[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(ct_from_voxel[:3, 3].tolist())
    sitk.WriteImage(image, str(path), compressed)
    return path


def dicom_slice(hu: np.ndarray, ct_from_voxel: np.ndarray, k: int, uid: str) -> FileDataset:
    """Slice k as a CT image that stores HU + 1024."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    data.SeriesInstanceUID, data.FrameOfReferenceUID = uid, "1.2.3.4"
    data.Modality, data.PatientName, data.PatientID = "CT", PATIENT, "P-7"
    data.StudyDate, data.SeriesDescription = "20240531", "Liver"
    spacing = np.linalg.norm(ct_from_voxel[:3, :3], axis=0)
    cosines = ct_from_voxel[:3, :3] / spacing
    position = ct_from_voxel[:3, 3] + k * ct_from_voxel[:3, 2]
    data.ImageOrientationPatient = [f"{v:.10f}" for v in cosines[:, :2].T.ravel()]
    data.ImagePositionPatient = [f"{v:.8f}" for v in position]
    data.PixelSpacing = [f"{spacing[1]:.8f}", f"{spacing[0]:.8f}"]
    data.Rows, data.Columns = hu.shape[1:]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 12, 11
    data.PixelRepresentation = 0
    data.RescaleSlope, data.RescaleIntercept = "1", "-1024"
    data.PixelData = (hu[k].astype(np.int32) + 1024).astype("<u2").tobytes()
    return data


def dicom_slices(
    hu: np.ndarray, ct_from_voxel: np.ndarray, uid: str = SERIES_UID
) -> list[FileDataset]:
    return [dicom_slice(hu, ct_from_voxel, k, uid) for k in range(len(hu))]


def write_dicom(folder: Path, slices: list[FileDataset], seed: int = 3) -> Path:
    """The slices under names whose order says nothing about their place."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"IM{n:04d}.dcm" for n in range(len(slices))]
    random.Random(seed).shuffle(names)
    for name, data in zip(names, slices, strict=True):
        pydicom.dcmwrite(folder / name, data, enforce_file_format=True)
    return folder
