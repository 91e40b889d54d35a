"""Structures written as a DICOM Segmentation that refers to the series they lie on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydicom.dataset import Dataset

from ir_nav import __version__
from ir_nav.imaging.dicom_parse import parse_all
from ir_nav.imaging.dicom_source import is_dicom_source, open_source
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.integrity import damaged
from ir_nav.imaging.labels import SAME_GRID_MM
from ir_nav.imaging.series import index_source
from ir_nav.imaging.structures import StructureSet
from ir_nav.imaging.volume import Volume
from ir_nav.progress import unheard

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription

# Written where the source leaves them out, though every image should have them (type 2).
_EXPECTED = (
    "AccessionNumber",
    "PatientBirthDate",
    "PatientSex",
    "ReferringPhysicianName",
    "StudyDate",
    "StudyID",
    "StudyTime",
)
_LABEL_LENGTH = 64
_TARGET_WORDS = re.compile(r"lesion|tumou?r|metastas|target|abscess|nodule|cyst", re.IGNORECASE)


def write_segmentation(
    path: Path,
    structures: StructureSet,
    volume: Volume,
    *,
    description: str = "Segmentation",
    series_number: int = 900,
) -> None:
    """Write structures as one binary DICOM SEG (PS3.3 A.51), whole or not at all.

    volume: the DICOM series that the structures lie on, which is looked up again where it was
    read from: patient and study are taken from it. Segments are numbered from 1 in order.
    Raises ImagingError when the volume is no DICOM series, is gone, or has another grid.
    """
    # It takes a second to import and few commands need it.
    import highdicom

    path = Path(path)
    _check_grid(structures, volume)
    sources = _source_headers(volume)
    low, high = _span(structures)
    masks = np.stack(
        [structures.mask(one.number)[low:high] for one in structures.structures], axis=-1
    )
    place = volume.ct_from_voxel[:, [2, 1, 0, 3]].copy()
    place[:3, 3] += volume.ct_from_voxel[:3, 2] * low
    segment_numbers = list(range(1, len(structures.structures) + 1))
    try:
        segmentation = highdicom.seg.Segmentation(
            source_images=sources,
            pixel_array=highdicom.Volume(
                masks.astype(np.uint8),
                place,
                coordinate_system="PATIENT",
                frame_of_reference_uid=volume.description.frame_of_reference_uid,
                channels={"SegmentNumber": segment_numbers},
            ),
            segmentation_type="BINARY",
            segment_descriptions=[
                _segment(n, one.name)
                for n, one in zip(segment_numbers, structures.structures, strict=True)
            ],
            series_instance_uid=highdicom.UID(),
            series_number=series_number,
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            manufacturer="IR Nav",
            manufacturer_model_name="IR Nav",
            software_versions=__version__,
            device_serial_number="0",
            series_description=description[:_LABEL_LENGTH],
            content_label="SEGMENTATION",
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ImagingError(
            f"{volume.description.source_path} lacks elements that a segmentation must repeat "
            "(patient, study): no segmentation is written"
        ) from None
    _write(path, segmentation)


def _write(path: Path, segmentation: Dataset) -> None:
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        segmentation.save_as(part, enforce_file_format=True)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ImagingError(f"{path} cannot be written ({error.strerror})") from None


def _segment(number: int, name: str) -> SegmentDescription:
    import highdicom
    from pydicom.sr.codedict import codes

    aimed_at = _TARGET_WORDS.search(name) is not None
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=name[:_LABEL_LENGTH],
        segmented_property_category=(
            codes.SCT.MorphologicallyAbnormalStructure
            if aimed_at
            else codes.SCT.AnatomicalStructure
        ),
        segmented_property_type=codes.SCT.Lesion if aimed_at else codes.SCT.Tissue,
        algorithm_type="MANUAL",
    )


def _check_grid(structures: StructureSet, volume: Volume) -> None:
    if not structures.structures:
        raise ImagingError("there is no structure to write")
    apart = np.abs(structures.ct_from_voxel - volume.ct_from_voxel) @ (*volume.size_ijk, 1)
    if structures.shape_kji != volume.voxels.shape or apart.max() > SAME_GRID_MM:
        raise ImagingError("the structures do not lie on the voxels of this CT")
    empty = [one.name for one in structures.structures if not one.voxel_count]
    if empty:
        raise ImagingError(f"the structure '{empty[0]}' holds no voxel")


def _span(structures: StructureSet) -> tuple[int, int]:
    """First and past-last slice that any structure touches."""
    sides = [one.box[0] for one in structures.structures]
    return min(side.start for side in sides), max(side.stop for side in sides)


def _source_headers(volume: Volume) -> list[Dataset]:
    """All elements but the pixels of the images that the volume was made of."""
    info = volume.description
    where = Path(info.source_path)
    if not info.series_uid or not info.frame_of_reference_uid:
        raise ImagingError(
            "a DICOM segmentation needs a DICOM series under it: this image is of another format "
            "or does not say its frame of reference"
        )
    if not where.exists() or not is_dicom_source(where):
        raise ImagingError(f"{where} is gone: the segmentation takes patient and study from it")
    with open_source(where) as source:
        index = index_source(where, source, unheard)
        own = [one for one in index.series if one.facts.series_uid == info.series_uid]
        names = dict.fromkeys(
            image.name for one in own if one.stack is not None for image in one.stack.ordered
        )
        if not names:
            raise ImagingError(f"{where} no longer holds the series that was opened")
        headers = [parse_all(source.read(name)) for name in names]
    found: list[Dataset] = []
    for name, header in zip(names, headers, strict=True):
        if header is None:
            raise damaged(name, "its DICOM header cannot be read")
        for keyword in _EXPECTED:
            if keyword not in header:
                setattr(header, keyword, "")
        if not header.get("SliceThickness"):
            header.SliceThickness = f"{volume.spacing_mm[2]:.4f}"
        found.append(header)
    return found
