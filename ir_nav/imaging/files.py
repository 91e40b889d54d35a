"""Volumes in one file: NIfTI, NRRD and MetaImage, read by SimpleITK, which gives LPS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ir_nav.geometry import LPS_FROM_RAS, FloatArray
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.integrity import (
    check_complete,
    check_parts,
    damaged,
    header_fields,
    nifti_header,
)
from ir_nav.imaging.volume import right_handed

# What sform and qform may differ by from rounding, added up over the axes.
ONE_PLACE_MM = 0.1


SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")

BYTES_PER_VOXEL = {
    sitk.sitkUInt8: 1,
    sitk.sitkInt8: 1,
    sitk.sitkUInt16: 2,
    sitk.sitkInt16: 2,
    sitk.sitkUInt32: 4,
    sitk.sitkInt32: 4,
    sitk.sitkUInt64: 8,
    sitk.sitkInt64: 8,
    sitk.sitkFloat32: 4,
    sitk.sitkFloat64: 8,
}


def is_grid_file(path: Path) -> bool:
    """Whether the name is one of the single-file formats."""
    return path.name.lower().endswith(SUFFIXES)


def read_grid(path: Path) -> tuple[NDArray[Any], FloatArray]:
    """Voxels (k, j, i) in the file's own type and the (4, 4) affine to LPS mm, right-handed.

    Raises ImagingError for files that are damaged, coloured, not 3D, or that do not say where
    the patient's left is.
    """
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    check_parts(path)
    _check_oriented(path)
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        raise damaged(path, "its header cannot be read, or its axes are skewed") from None
    _check_kind(path, reader)
    voxel_bytes = BYTES_PER_VOXEL[reader.GetPixelID()]
    check_complete(path, int(np.prod(reader.GetSize())) * _stored_bytes(path, voxel_bytes))
    try:
        image = reader.Execute()
    except RuntimeError:
        raise damaged(path, "its voxels cannot be read") from None
    ct_from_voxel = _ct_from_voxel(image)
    _check_one_place(path, ct_from_voxel, image.GetSize())
    return right_handed(sitk.GetArrayFromImage(image), ct_from_voxel)


def _check_kind(path: Path, reader: sitk.ImageFileReader) -> None:
    if reader.GetNumberOfComponents() != 1:
        raise ImagingError(f"{path.name} is a colour or vector image, not a CT: choose the CT")
    size = reader.GetSize()
    if len(size) != 3 or min(size) < 2:
        raise ImagingError(
            f"{path.name} has size {' x '.join(map(str, size))}, not one volume: "
            "choose a single 3D image"
        )
    if reader.GetPixelID() not in BYTES_PER_VOXEL:
        raise ImagingError(f"{path.name} holds {reader.GetPixelIDValue()} voxels: save it as int16")


def _stored_bytes(path: Path, voxel_bytes: int) -> int:
    """Bytes a voxel takes in the file; NIfTI's slope makes ITK report float for stored ints."""
    if ".nii" not in path.name.lower():
        return voxel_bytes
    return nifti_header(path).voxel_bytes


def _check_oriented(path: Path) -> None:
    name = path.name.lower()
    unknown = False
    if name.endswith((".nii", ".nii.gz")):
        header = nifti_header(path)
        unknown = header.qform_code == 0 and header.sform_code == 0
    elif name.endswith((".nrrd", ".nhdr")):
        fields, _ = header_fields(path)
        unknown = "sizes" in fields and "space" not in fields
    if unknown:
        raise ImagingError(
            f"{path.name} does not say where the patient's left and head are: "
            "export it again with its orientation"
        )


def _check_one_place(path: Path, ct_from_voxel: FloatArray, size_ijk: tuple[int, ...]) -> None:
    """Refuse a NIfTI file whose sform and qform differ: readers disagree on which one holds."""
    if ".nii" not in path.name.lower():
        return
    header = nifti_header(path)
    if header.sform_code == 0:
        return
    sform = LPS_FROM_RAS @ np.array(header.sform).reshape(3, 4)
    difference = np.abs(sform - ct_from_voxel[:3]) @ (*size_ijk, 1)
    if not difference.max() < ONE_PLACE_MM:
        raise ImagingError(
            f"{path.name} states two different places for the patient (sform and qform), or axes "
            "that are not at right angles: export it again from the original"
        )


def _ct_from_voxel(image: sitk.Image) -> FloatArray:
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return affine
