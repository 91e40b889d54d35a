"""Oblique slices for the live views, resampled on the CPU at the view's own resolution."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ir_nav.geometry import FloatArray, read_only, unit
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.kernels import nearest_plane, window_plane
from ir_nav.imaging.labels import LabelArray, LabelMap
from ir_nav.imaging.skin import skin_crossings
from ir_nav.imaging.volume import Volume, VolumeInfo, sample

ByteImage = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """Where a view cuts the patient.

    ct_from_view: (4, 4), (column px, row px, depth mm, 1) -> `ct` mm; pixel centres at whole
    numbers, depth along right x down, so its inverse also tells how far a point is off the plane.
    """

    ct_from_view: FloatArray

    def __post_init__(self) -> None:
        matrix = read_only(self.ct_from_view)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
            raise ImagingError("a view plane is a finite 4x4 matrix")
        if abs(np.linalg.det(matrix)) < 1e-12:
            raise ImagingError("a view plane needs two different directions")
        object.__setattr__(self, "ct_from_view", matrix)

    @property
    def view_from_ct(self) -> FloatArray:
        """(4, 4), `ct` mm -> (column px, row px, depth mm, 1)."""
        return np.asarray(np.linalg.inv(self.ct_from_view), dtype=np.float64)


def plane_through(
    point_ct_mm: ArrayLike,
    right_ct: ArrayLike,
    down_ct: ArrayLike,
    mm_per_px: float,
    size_px: tuple[int, int],
) -> Plane:
    """The plane whose middle pixel is `point_ct_mm`.

    right_ct, down_ct: (3,) directions of growing column and row; `down` is made square to
    `right`. size_px: (columns, rows). Raises GeometryError for parallel directions.
    """
    right = unit(right_ct)
    down = np.asarray(down_ct, dtype=np.float64)
    down = unit(down - right * float(down @ right))
    matrix = np.eye(4)
    matrix[:3, 0] = right * mm_per_px
    matrix[:3, 1] = down * mm_per_px
    matrix[:3, 2] = np.cross(right, down)
    middle = (np.array(size_px) - 1.0) / 2.0
    matrix[:3, 3] = np.asarray(point_ct_mm, dtype=np.float64) - matrix[:3, :2] @ middle
    return Plane(matrix)


def reslice_window(
    volume: Volume,
    ct_from_view: FloatArray,
    size_px: tuple[int, int],
    window_hu: float,
    level_hu: float,
    out: ByteImage | None = None,
) -> ByteImage:
    """Trilinear slice windowed to 8 bit, (rows, columns) uint8; 0 outside the volume.

    ct_from_view: (4, 4) as in Plane. size_px: (columns, rows). level - window/2 becomes 0 and
    level + window/2 becomes 255. out: written and returned when given, C-contiguous.
    Runs without the GIL.
    """
    image = _image(size_px, np.dtype(np.uint8), out)
    width = max(float(window_hu), 1.0)
    voxel_from_view = volume.voxel_from_ct @ ct_from_view
    window_plane(volume.voxels, voxel_from_view, level_hu - width / 2.0, 255.0 / width, image)
    return image


def reslice_labels(
    labels: LabelMap,
    ct_from_view: FloatArray,
    size_px: tuple[int, int],
    out: LabelArray | None = None,
) -> LabelArray:
    """Nearest-voxel slice of labels, (rows, columns) of the labels' dtype; 0 outside."""
    image = _image(size_px, labels.voxels.dtype, out)
    nearest_plane(labels.voxels, labels.voxel_from_ct @ ct_from_view, image)
    return image


def contours(label_slice: LabelArray, ids: Iterable[int]) -> list[FloatArray]:
    """Closed outlines of the union of `ids`: list of (n, 2) px, (column, row).

    Border following after Suzuki and Abe 1985 (OpenCV), through the outermost pixels' centres;
    holes have outlines of their own. The last point joins the first.
    """
    chosen = np.zeros(np.iinfo(label_slice.dtype).max + 1, dtype=np.uint8)
    chosen[list(ids)] = 1
    lines, _ = cv2.findContours(chosen[label_slice], cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return [np.asarray(line.reshape(-1, 2), dtype=np.float64) for line in lines]


def compile_kernels() -> None:
    """Compile or load every inner loop, so that the first frame does not stall (about 1 s)."""
    affine = np.eye(4)
    volume = Volume(np.zeros((2, 2, 2), np.int16), affine, "", VolumeInfo())
    reslice_window(volume, affine, (2, 2), 400.0, 40.0)
    sample(volume, np.zeros((1, 3)))
    skin_crossings(volume, np.ones((2, 2, 2), np.bool_), (0.0, 0.0, 0.0), [(1.0, 0.0, 0.0)])
    narrow, wide = np.zeros((2, 2, 2), np.uint8), np.zeros((2, 2, 2), np.uint16)
    for voxels in (narrow, wide):
        reslice_labels(LabelMap(voxels, affine, {}), affine, (2, 2))


def _image(
    size_px: tuple[int, int], dtype: np.dtype[Any], out: NDArray[Any] | None
) -> NDArray[Any]:
    columns, rows = size_px
    if out is None:
        return np.empty((rows, columns), dtype=dtype)
    if out.shape != (rows, columns) or out.dtype != dtype or not out.flags.c_contiguous:
        raise ImagingError(f"`out` must be a contiguous ({rows}, {columns}) {dtype} image")
    return out
