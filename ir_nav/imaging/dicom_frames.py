"""Where each frame of a DICOM image lies and how its numbers are scaled.

Single images carry it in the dataset; enhanced multi-frame images in functional groups
(PS3.3 C.7.6.16); reconstructed NM and RTDOSE as a first frame and steps (C.8.4.15, C.8.8.3).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from ir_nav.geometry import FloatArray
from ir_nav.imaging.dicom_parse import code, item, items, number, numbers, text, texts, whole
from ir_nav.imaging.errors import ImagingError

Mark = tuple[str, str]

MAX_FRAMES = 20_000

# Dimensions that count along the stack tell nothing apart.
_ALONG_STACK = tuple(
    Tag(keyword)
    for keyword in ("InStackPositionNumber", "ImagePositionPatient", "PlanePositionSequence")
)


@dataclass(frozen=True, slots=True)
class FramePlace:
    """Geometry and scaling of one frame; None where the file is silent.

    position_mm: centre of the first pixel. orientation: row then column direction cosines.
    spacing_mm: (between rows, between columns). marks: what may tell it from another frame at
    the same place, most telling first: (('stack', '1'), ('echo time', '4.2'), ...).
    """

    position_mm: tuple[float, ...] | None = None
    orientation: tuple[float, ...] | None = None
    spacing_mm: tuple[float, ...] | None = None
    slope: float | None = None
    intercept: float | None = None
    laterality: str = ""
    marks: tuple[Mark, ...] = ()


def frame_places(name: str, dataset: Dataset) -> tuple[FramePlace, ...]:
    """The place of every frame of a file. Raises ImagingError when the file contradicts itself."""
    count = max(1, whole(dataset, "NumberOfFrames") or 1)
    if count > MAX_FRAMES:
        raise ImagingError(f"{name} states {count} frames; the limit is {MAX_FRAMES}")
    per_frame = items(dataset, "PerFrameFunctionalGroupsSequence")
    if per_frame:
        if len(per_frame) != count:
            raise ImagingError(
                f"{name} states {count} frames and describes {len(per_frame)}: export it again"
            )
        shared = item(dataset, "SharedFunctionalGroupsSequence")
        pointers = _dimensions(dataset)
        return tuple(_grouped(shared, groups, pointers) for groups in per_frame)
    single = _plain(dataset)
    if code(dataset, "Modality") == "RTDOSE":
        scale = number(dataset, "DoseGridScaling")
        single = replace(single, slope=scale, intercept=None if scale is None else 0.0)
        return _dose_frames(name, dataset, single, count)
    if count > 1 and code(dataset, "Modality") in ("NM", "PT"):
        return _tomo_frames(dataset, single, count)
    return tuple(single if count == 1 else replace(single, position_mm=None) for _ in range(count))


def marks_of(dataset: Dataset) -> tuple[Mark, ...]:
    """What tells single images at one place apart, most telling first."""
    fields = (
        ("time point", "TemporalPositionIdentifier"),
        ("acquisition", "AcquisitionNumber"),
        ("echo time", "EchoTime"),
        ("b-value", "DiffusionBValue"),
        ("trigger time", "TriggerTime"),
        ("inversion time", "InversionTime"),
        ("image type", "ImageType"),
        ("acquired at", "AcquisitionTime"),
    )
    return _marks((label, dataset, keyword) for label, keyword in fields)


def _marks(fields: Iterable[tuple[str, Dataset, str]]) -> tuple[Mark, ...]:
    found = ((label, "/".join(texts(where, keyword))) for label, where, keyword in fields)
    return tuple((label, value) for label, value in found if value)


def _plain(dataset: Dataset) -> FramePlace:
    return FramePlace(
        numbers(dataset, "ImagePositionPatient", 3),
        numbers(dataset, "ImageOrientationPatient", 6),
        numbers(dataset, "PixelSpacing", 2),
        number(dataset, "RescaleSlope"),
        number(dataset, "RescaleIntercept"),
        marks=marks_of(dataset),
    )


def _grouped(shared: Dataset, frame: Dataset, pointers: tuple[BaseTag, ...]) -> FramePlace:
    def group(keyword: str) -> Dataset:
        return item(frame, keyword) if keyword in frame else item(shared, keyword)

    content = group("FrameContentSequence")
    kinds = "MRImageFrameTypeSequence", "CTImageFrameTypeSequence", "PETFrameTypeSequence"
    kind = next((group(name) for name in kinds if group(name)), Dataset())
    named = (
        ("stack", content, "StackID"),
        ("time point", content, "TemporalPositionIndex"),
        ("echo time", group("MREchoSequence"), "EffectiveEchoTime"),
        ("b-value", group("MRDiffusionSequence"), "DiffusionBValue"),
        (
            "trigger time",
            group("CardiacSynchronizationSequence"),
            "NominalCardiacTriggerDelayTime",
        ),
        ("image type", kind, "FrameType"),
    )
    scaling = group("PixelValueTransformationSequence")
    return FramePlace(
        numbers(group("PlanePositionSequence"), "ImagePositionPatient", 3),
        numbers(group("PlaneOrientationSequence"), "ImageOrientationPatient", 6),
        numbers(group("PixelMeasuresSequence"), "PixelSpacing", 2),
        number(scaling, "RescaleSlope"),
        number(scaling, "RescaleIntercept"),
        text(group("FrameAnatomySequence"), "FrameLaterality"),
        (*_marks(named), *_dimension_marks(content, pointers)),
    )


def _dimensions(dataset: Dataset) -> tuple[BaseTag, ...]:
    found = items(dataset, "DimensionIndexSequence")
    return tuple(Tag(entry.DimensionIndexPointer) for entry in found)


def _dimension_marks(content: Dataset, pointers: tuple[BaseTag, ...]) -> tuple[Mark, ...]:
    values: Any = content.get("DimensionIndexValues")
    if values is None or not pointers:
        return ()
    listed = [values] if isinstance(values, int) else list(values)
    return tuple(
        (f"dimension {place + 1}", str(value))
        for place, (pointer, value) in enumerate(zip(pointers, listed, strict=False))
        if pointer not in _ALONG_STACK
    )


def _normal(orientation: tuple[float, ...]) -> FloatArray:
    return np.cross(orientation[:3], orientation[3:])


def _along(first: FramePlace, steps_mm: Iterable[float], count: int) -> tuple[FramePlace, ...]:
    """Frames at steps along the normal from the first."""
    if first.position_mm is None or first.orientation is None:
        return (first,) * count
    normal, start = _normal(first.orientation), np.array(first.position_mm)
    return tuple(
        replace(first, position_mm=tuple((start + step * normal).tolist())) for step in steps_mm
    )


def _tomo_frames(dataset: Dataset, single: FramePlace, count: int) -> tuple[FramePlace, ...]:
    """Reconstructed tomography: first frame from the detector, then Spacing Between Slices.

    Its sign is the direction along row x column (PS3.3 C.8.4.15). Projections, gated and
    dynamic images stay without positions and are refused as volumes.
    """
    detector = item(dataset, "DetectorInformationSequence")
    first = replace(
        single,
        position_mm=numbers(detector, "ImagePositionPatient", 3) or single.position_mm,
        orientation=numbers(detector, "ImageOrientationPatient", 6) or single.orientation,
    )
    step_mm = number(dataset, "SpacingBetweenSlices")
    slices = whole(dataset, "NumberOfSlices")
    tomographic = "TOMO" in " ".join(texts(dataset, "ImageType"))
    if not tomographic or step_mm is None or (slices is not None and slices != count):
        return (replace(first, position_mm=None),) * count
    return _along(first, (step_mm * index for index in range(count)), count)


def _dose_frames(
    name: str, dataset: Dataset, single: FramePlace, count: int
) -> tuple[FramePlace, ...]:
    """Dose planes at the Grid Frame Offset Vector (PS3.3 C.8.8.3.2).

    Offsets that do not begin with 0 are patient z of axial planes.
    """
    offsets = numbers(dataset, "GridFrameOffsetVector", count)
    if offsets is None or single.position_mm is None or single.orientation is None:
        return (single,) if count == 1 else (replace(single, position_mm=None),) * count
    if offsets[0] == 0.0:
        return _along(single, offsets, count)
    if abs(abs(_normal(single.orientation)[2]) - 1.0) > 1e-4:
        raise ImagingError(f"{name} gives dose planes by table position, but they are not axial")
    x, y, start_z = single.position_mm
    if abs(offsets[0] - start_z) > 0.01:
        raise ImagingError(f"{name} gives dose planes that do not begin at its position")
    return tuple(replace(single, position_mm=(x, y, z)) for z in offsets)
