"""DICOM Segmentation objects read onto a CT's grid (PS3.3 A.51, C.8.20)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.pixels.utils import iter_pixels

from ir_nav.geometry import FloatArray
from ir_nav.imaging.dicom_frames import FramePlace, frame_places
from ir_nav.imaging.dicom_parse import PARSE_ERRORS, code, item, items, number, text, whole
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.integrity import damaged
from ir_nav.imaging.kernels import nearest_grid
from ir_nav.imaging.structures import Corner, Structure, StructureSet
from ir_nav.imaging.volume import BoolArray, Volume

# A fractional segment's voxel counts from this share on.
INSIDE_SHARE = 0.5
# Grids whose voxels lie on one another to this part of a voxel are one grid.
SAME_VOXEL = 0.02
PLANE_TOLERANCE_MM = 0.1
MOST_PLANES = 5_000
COSINE_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class _Frames:
    """Frames of one geometry. indices: plane of each frame on seg_from_plane's grid."""

    masks: Sequence[BoolArray]
    planes: tuple[int, ...]
    ct_from_seg: FloatArray


def read_segmentation(name: str, data: bytes, like: Volume) -> StructureSet:
    """Binary, fractional and label-map segmentations as masks on `like`'s grid.

    name: of the file, for messages. Frames on the CT's own voxels are copied; others are put
    there by nearest voxel, and a note says so. Raises ImagingError when the file is damaged or
    belongs to another frame of reference.
    """
    try:
        dataset = pydicom.dcmread(io.BytesIO(data))
        check_reference(name, text(dataset, "FrameOfReferenceUID"), like)
        return _read(name, dataset, like)
    except ImagingError:
        raise
    except (RuntimeError, *PARSE_ERRORS):
        raise damaged(name, "it cannot be read as a segmentation") from None


def check_reference(name: str, frame_of_reference_uid: str, like: Volume) -> None:
    """Raise ImagingError unless the file's coordinates are known to be the image's."""
    own = like.description.frame_of_reference_uid
    if own is None:
        raise ImagingError(
            f"{name} can only be put on a DICOM image: the open image does not say which "
            "coordinates it uses (Frame of Reference). Open the DICOM series"
        )
    if frame_of_reference_uid != own:
        raise ImagingError(
            f"{name} was drawn on another image (another Frame of Reference): open the series "
            "that it belongs to"
        )


def _read(name: str, dataset: FileDataset, like: Volume) -> StructureSet:
    names = _segment_names(dataset)
    if not names:
        raise ImagingError(f"{name} describes no segments")
    kind = code(dataset, "SegmentationType")
    if kind not in ("BINARY", "FRACTIONAL", "LABELMAP"):
        raise ImagingError(f"{name} holds a segmentation of unknown type '{kind}'")
    places = frame_places(name, dataset)
    by_segment = _frames_by_segment(name, dataset, kind, places, names)
    notes: list[str] = []
    if kind == "FRACTIONAL":
        notes.append(f"{name} holds fractions: voxels count from {INSIDE_SHARE:.0%} on")
    structures, moved = [], False
    for segment, frames in by_segment.items():
        structure, resampled = _placed(segment, names[segment], frames, like)
        moved |= resampled
        structures.append(structure)
    if moved:
        notes.append(f"{name} was drawn on other voxels: put on the CT's by nearest voxel")
    absent = [names[segment] for segment in names if segment not in by_segment]
    if absent:
        notes.append(f"{len(absent)} segment(s) of {name} are empty: {', '.join(absent)}")
    k, j, i = like.voxels.shape
    return StructureSet(tuple(structures), (k, j, i), like.ct_from_voxel, tuple(notes))


def _segment_names(dataset: Dataset) -> dict[int, str]:
    names = {}
    for segment in items(dataset, "SegmentSequence"):
        found = whole(segment, "SegmentNumber")
        if found is not None and found > 0:
            names[found] = text(segment, "SegmentLabel") or f"Segment {found}"
    return names


def _frames_by_segment(
    name: str,
    dataset: FileDataset,
    kind: str,
    places: Sequence[FramePlace],
    names: dict[int, str],
) -> dict[int, _Frames]:
    planes, ct_from_seg = _grid(name, dataset, places)
    full = number(dataset, "MaximumFractionalValue") or 255.0
    threshold = INSIDE_SHARE * full if kind == "FRACTIONAL" else 0.5
    per_frame = items(dataset, "PerFrameFunctionalGroupsSequence")
    shared = item(dataset, "SharedFunctionalGroupsSequence")
    found: dict[int, list[tuple[BoolArray, int]]] = {}
    for index, pixels in enumerate(iter_pixels(dataset, raw=True)):
        if kind == "LABELMAP":
            for segment in np.unique(pixels):
                if int(segment) in names:
                    found.setdefault(int(segment), []).append((pixels == segment, planes[index]))
            continue
        segment = _segment_number(name, per_frame[index], shared)
        if segment not in names:
            raise ImagingError(f"{name} has a frame of segment {segment}, which it does not name")
        mask = np.asarray(pixels >= threshold)
        if mask.any():
            found.setdefault(segment, []).append((mask, planes[index]))
    return {
        segment: _Frames([m for m, _ in frames], tuple(p for _, p in frames), ct_from_seg)
        for segment, frames in sorted(found.items())
    }


def _segment_number(name: str, frame: Dataset, shared: Dataset) -> int:
    for groups in (frame, shared):
        found = whole(item(groups, "SegmentIdentificationSequence"), "ReferencedSegmentNumber")
        if found is not None:
            return found
    raise ImagingError(f"{name} does not say which segment a frame belongs to")


def _grid(
    name: str, dataset: Dataset, places: Sequence[FramePlace]
) -> tuple[tuple[int, ...], FloatArray]:
    """Plane number of each frame, and (4, 4) ct_from_seg of (column, row, plane)."""
    first = places[0]
    if first.orientation is None or first.spacing_mm is None:
        raise ImagingError(f"{name} does not state where its frames lie")
    row, column = np.array(first.orientation[:3]), np.array(first.orientation[3:])
    normal = np.cross(row, column)
    along = []
    for place in places:
        if place.position_mm is None or not np.allclose(
            place.orientation or (), first.orientation, atol=COSINE_TOLERANCE
        ):
            raise ImagingError(f"{name} holds frames of several directions: export one")
        along.append(float(np.array(place.position_mm) @ normal))
    lowest = int(np.argmin(along))
    start = np.array(places[lowest].position_mm)
    step_mm = _step(dataset, along)
    planes = np.rint((np.array(along) - along[lowest]) / step_mm).astype(int)
    regular = along[lowest] + planes * step_mm
    sideways = [
        np.abs((np.array(place.position_mm) - start) @ np.stack([row, column]).T).max()
        for place in places
    ]
    uneven = np.abs(regular - along).max() > PLANE_TOLERANCE_MM
    if uneven or max(sideways) > PLANE_TOLERANCE_MM or planes.max() > MOST_PLANES:
        raise ImagingError(f"{name} holds frames that lie unevenly: export it on the CT's slices")
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = row * first.spacing_mm[1], column * first.spacing_mm[0]
    affine[:3, 2], affine[:3, 3] = normal * step_mm, start
    return tuple(int(plane) for plane in planes), affine


def _step(dataset: Dataset, along_mm: Sequence[float]) -> float:
    """Distance of neighbouring planes: the smallest there is, else what the header says."""
    gaps = np.diff(np.unique(np.round(along_mm, 3)))
    wide = gaps[gaps > PLANE_TOLERANCE_MM]
    if len(wide):
        smallest = wide.min()
        steps = np.maximum(np.rint(wide / smallest), 1.0)
        return float(wide.sum() / steps.sum())
    measures = item(item(dataset, "SharedFunctionalGroupsSequence"), "PixelMeasuresSequence")
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        stated = number(measures, keyword)
        if stated is not None and stated > 0.0:
            return stated
    return 1.0


def _placed(segment: int, name: str, frames: _Frames, like: Volume) -> tuple[Structure, bool]:
    """The segment on the CT's grid, and whether it had to be resampled."""
    lowest = min(frames.planes)
    rows, columns = frames.masks[0].shape
    voxels = np.zeros((max(frames.planes) - lowest + 1, rows, columns), dtype=np.uint8)
    for mask, plane in zip(frames.masks, frames.planes, strict=True):
        voxels[plane - lowest] |= mask
    ct_from_seg = np.array(frames.ct_from_seg)
    ct_from_seg[:3, 3] += ct_from_seg[:3, 2] * lowest
    low, high = _box_on(like, ct_from_seg, voxels.shape)
    if np.any(high <= low):
        raise ImagingError(f"the segment '{name}' lies outside the CT: it belongs to another")
    seg_from_box = np.linalg.inv(ct_from_seg) @ like.ct_from_voxel
    seg_from_box[:3, 3] += seg_from_box[:3, :3] @ low
    out = np.zeros(tuple(int(n) for n in (high - low)[::-1]), dtype=np.uint8)
    nearest_grid(voxels, seg_from_box, out)
    turned = np.abs(seg_from_box - np.rint(seg_from_box)).max() > SAME_VOXEL
    return _cut(segment, name, out, low), bool(turned)


def _box_on(
    like: Volume, ct_from_seg: FloatArray, shape_kji: tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lowest and past-highest i, j, k of the CT's voxels that a block can touch."""
    ends = np.indices((2, 2, 2)).reshape(3, 8).T * np.array(shape_kji[::-1]) - 0.5
    corners = np.column_stack([ends, np.ones(8)])
    touched = (like.voxel_from_ct @ ct_from_seg @ corners.T)[:3]
    size = np.array(like.size_ijk)
    low = np.clip(np.floor(touched.min(axis=1)), 0, size).astype(np.int64)
    high = np.clip(np.ceil(touched.max(axis=1)) + 1, 0, size).astype(np.int64)
    return low, high


def _cut(segment: int, name: str, out: NDArray[Any], low: NDArray[np.int64]) -> Structure:
    if not out.any():
        raise ImagingError(f"the segment '{name}' lies between or outside the CT's slices")
    cut = Structure.of_mask(segment, name, out.astype(np.bool_))
    k, j, i = (start + int(offset) for start, offset in zip(cut.corner_kji, low[::-1], strict=True))
    corner: Corner = (k, j, i)
    return Structure(segment, name, cut.part, corner)
