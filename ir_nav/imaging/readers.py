"""Opening a CT, whatever the disk holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ir_nav.imaging.dicom import SeriesInfo, find_series, is_dicom_source, read_series
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.files import is_grid_file, read_grid
from ir_nav.imaging.volume import AIR_HU, Int16Array, Volume, VolumeInfo, content_identity
from ir_nav.progress import Progress, unheard


def read_volume(
    path: Path,
    progress: Progress | None = None,
    *,
    series_uid: str | None = None,
    part: int = 1,
) -> Volume:
    """Read a CT into HU on an LPS grid, or another modality in its own unit when it is named.

    path: a DICOM folder (searched recursively), a DICOMDIR, a DICOM zip, one DICOM file of a
    series (its folder is read), or a NIfTI, NRRD or MetaImage file. progress: called with 0..1.
    series_uid: which DICOM series; the CT series with most slices when None. part: which stack
    of a series with several, from 1.
    Values below -1024 HU (padding) become -1024. Raises ImagingError.
    """
    report = progress if progress is not None else unheard
    path = Path(path)
    _require(path)
    report(0.0)
    if is_grid_file(path):
        volume = _read_file(path)
    elif is_dicom_source(path):
        volume = read_series(path, series_uid, part, report)
    else:
        raise _unknown(path)
    report(1.0)
    return volume


def list_series(path: Path) -> tuple[SeriesInfo, ...]:
    """The image series of a DICOM folder, zip or file, CT with most slices first.

    Raises ImagingError when there is none.
    """
    path = Path(path)
    _require(path)
    if not is_dicom_source(path):
        raise _unknown(path)
    return find_series(path)


def _read_file(path: Path) -> Volume:
    stored, ct_from_voxel = read_grid(path)
    voxels = _to_hu(stored, path)
    info = VolumeInfo(source_path=str(path))
    return Volume(voxels, ct_from_voxel, content_identity(voxels, ct_from_voxel), info)


def _to_hu(stored: NDArray[Any], path: Path) -> Int16Array:
    if np.issubdtype(stored.dtype, np.floating):
        if not np.isfinite(stored).all():
            raise ImagingError(f"{path.name} holds voxels that are not numbers: export it again")
        stored = np.rint(stored)
    limited = np.clip(stored, AIR_HU, np.iinfo(np.int16).max) if _exceeds(stored) else stored
    return np.ascontiguousarray(limited, dtype=np.int16)


def _exceeds(stored: NDArray[Any]) -> bool:
    return bool(stored.min() < AIR_HU or stored.max() > np.iinfo(np.int16).max)


def _require(path: Path) -> None:
    if not path.exists():
        raise ImagingError(f"{path} does not exist: check the path or connect the drive")


def _unknown(path: Path) -> ImagingError:
    return ImagingError(
        f"{path.name} is no image this console reads: choose a DICOM folder or zip, or a "
        ".nii, .nii.gz, .nrrd or .mha file"
    )
