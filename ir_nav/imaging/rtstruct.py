"""RT Structure Sets: contours drawn by people, filled on a CT's grid (PS3.3 C.8.8.5, C.8.8.6)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset
from scipy.ndimage import distance_transform_edt

from ir_nav.geometry import FloatArray, apply
from ir_nav.imaging.dicom_parse import PARSE_ERRORS, items, text, whole
from ir_nav.imaging.dicom_seg import check_reference
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.integrity import damaged
from ir_nav.imaging.polygons import fill_even_odd
from ir_nav.imaging.structures import Structure, StructureSet
from ir_nav.imaging.volume import BoolArray, Volume

# A contour whose corners leave its plane by more than this is not drawn on these slices.
FLAT_MM = 0.5
# Contours this near to a slice are on it; writers round to 0.1 mm.
ON_SLICE = 0.1
ROUNDING = 1e-3
# Planes further apart than this many of the usual steps have nothing drawn between them.
WIDEST_GAP_STEPS = 1.5
COARSE_STEP = 1.5


@dataclass(frozen=True, slots=True, eq=False)
class _Plane:
    """Contours of one structure at one height. k: in the CT's slices, may lie between two."""

    k: float
    polygons: tuple[FloatArray, ...]  # (n, 2) i, j


def read_structure_set(name: str, data: bytes, like: Volume) -> StructureSet:
    """Every closed contour structure as a mask on `like`'s grid, with its name.

    Voxels count whose centres lie inside; a contour within another cuts a hole (even-odd).
    Contours drawn on coarser slices, or between the CT's, are interpolated by shape and a
    note says so. Raises ImagingError when the file is damaged, belongs to another frame of
    reference, or its contours lie across the slices.
    """
    try:
        dataset = pydicom.dcmread(io.BytesIO(data))
        return _read(name, dataset, like)
    except ImagingError:
        raise
    except PARSE_ERRORS:
        raise damaged(name, "it cannot be read as a structure set") from None


def _read(name: str, dataset: FileDataset, like: Volume) -> StructureSet:
    drawn = {
        whole(entry, "ReferencedROINumber"): items(entry, "ContourSequence")
        for entry in items(dataset, "ROIContourSequence")
    }
    structures, notes, empty = [], [], []
    for roi in items(dataset, "StructureSetROISequence"):
        roi_number = whole(roi, "ROINumber")
        if roi_number is None:
            raise ImagingError(f"{name} holds a structure without a number")
        title = text(roi, "ROIName") or f"Structure {roi_number}"
        contours = drawn.get(roi_number, ())
        if not contours:
            empty.append(title)
            continue
        check_reference(name, _reference(roi, dataset), like)
        planes, skipped = _planes(title, contours, like)
        if skipped:
            notes.append(f"'{title}': {skipped} point(s) or open line(s) are left out")
        mask, note = _filled(title, planes, like)
        if note:
            notes.append(note)
        if mask.any():
            structures.append(Structure.of_mask(roi_number, title, mask))
        else:
            empty.append(title)
    if empty:
        notes.append(f"{len(empty)} structure(s) of {name} are empty: {', '.join(empty)}")
    if not structures:
        raise ImagingError(f"{name} holds no closed contours within the CT")
    k, j, i = like.voxels.shape
    return StructureSet(tuple(structures), (k, j, i), like.ct_from_voxel, tuple(notes))


def _reference(roi: Dataset, dataset: Dataset) -> str:
    return text(roi, "ReferencedFrameOfReferenceUID") or text(dataset, "FrameOfReferenceUID")


def _planes(title: str, contours: Sequence[Dataset], like: Volume) -> tuple[list[_Plane], int]:
    """Closed contours gathered by height, lowest first, and how many others there are."""
    spacing_k_mm = like.spacing_mm[2]
    found: list[tuple[float, FloatArray]] = []
    skipped = 0
    for contour in contours:
        if text(contour, "ContourGeometricType") not in ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR"):
            skipped += 1
            continue
        points_ct_mm = np.array(contour.ContourData, dtype=np.float64).reshape(-1, 3)
        if len(points_ct_mm) < 3 or not np.isfinite(points_ct_mm).all():
            skipped += 1
            continue
        points = apply(like.voxel_from_ct, points_ct_mm)
        if np.ptp(points[:, 2]) * spacing_k_mm > FLAT_MM:
            raise ImagingError(
                f"the structure '{title}' was drawn across the slices of this CT: open the series "
                "that it was drawn on"
            )
        found.append((float(points[:, 2].mean()), points[:, :2]))
    found.sort(key=lambda one: one[0])
    planes: list[tuple[float, list[FloatArray]]] = []
    for k, polygon in found:
        if planes and abs(planes[-1][0] - k) < ON_SLICE:
            planes[-1][1].append(polygon)
        else:
            planes.append((k, [polygon]))
    return [_Plane(k, tuple(polygons)) for k, polygons in planes], skipped


def _filled(title: str, planes: Sequence[_Plane], like: Volume) -> tuple[BoolArray, str]:
    """(k, j, i) mask of one structure, and what to say about its making."""
    slices, rows, columns = like.voxels.shape
    mask = np.zeros(like.voxels.shape, dtype=np.bool_)
    if not planes:
        return mask, ""
    heights = np.array([plane.k for plane in planes])
    step = float(np.median(np.diff(heights))) if len(planes) > 1 else 1.0
    on_slices = np.abs(heights - np.rint(heights)).max() <= ON_SLICE
    drawn = [fill_even_odd(plane.polygons, rows, columns) for plane in planes]
    if on_slices and step < COARSE_STEP:
        for height, area in zip(heights, drawn, strict=True):
            k = int(np.rint(height))
            if 0 <= k < slices:
                mask[k] |= area
        return mask, ""
    _between(mask, heights, drawn, step)
    return mask, (
        f"'{title}' was drawn every {step * like.spacing_mm[2]:.1f} mm, not on each slice of this "
        "CT: interpolated by shape"
    )


def _between(mask: BoolArray, heights: FloatArray, drawn: Sequence[BoolArray], step: float) -> None:
    """Fill slices between drawn planes by the mean of their signed distances.

    Method: shape-based interpolation, Raya and Udupa, IEEE Trans Med Imaging 9(1), 1990. The
    first and last plane stand for half a step beyond them.
    """
    half = max(step, 1.0) / 2.0
    for k in range(len(mask)):
        above = int(np.searchsorted(heights, k))
        below = above - 1
        near = int(np.abs(heights - k).argmin())
        enclosed = below >= 0 and above < len(heights)
        if enclosed and heights[above] - heights[below] <= WIDEST_GAP_STEPS * step:
            share = (k - heights[below]) / (heights[above] - heights[below])
            inner, outer = _signed(drawn[below]), _signed(drawn[above])
            mask[k] = (1.0 - share) * inner + share * outer > 0.0
        # Half open: a structure of n planes half a slice off has n slices, not n + 1 or n - 1.
        elif -half <= k - heights[near] + ROUNDING < half:
            mask[k] = drawn[near]


def _signed(area: BoolArray) -> FloatArray:
    """Distance to the edge in pixels, positive inside; a plane without pixels is all outside."""
    if not area.any():
        return np.full(area.shape, -float(max(area.shape)))
    inside = distance_transform_edt(area)
    outside = distance_transform_edt(~area)
    return np.asarray(inside - outside)
