"""A volume from a freehand sweep of tracked ultrasound images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray

from ir_nav.geometry import FloatArray, read_only
from ir_nav.imaging.compounding_kernels import fill_along_sticks, insert_image
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.volume import BoolArray, frozen_view

DEFAULT_SPACING_MM = 0.5
# PLUS's default stick: both filled ends and the gap between them, in voxels.
STICK_VOXELS = 9
# 10 bytes a voxel at most while it is worked out.
MAX_VOXELS = 200_000_000
SUFFIXES = (".mha", ".nrrd", ".nii.gz", ".nii")

_DIRECTIONS = np.array(
    [(i, j, k) for k in (-1, 0, 1) for j in (-1, 0, 1) for i in (-1, 0, 1) if (k, j, i) > (0, 0, 0)]
)


@dataclass(frozen=True, slots=True)
class ClipRectangle:
    """Part of an image that is used, px: from column u and row v, so many of each."""

    u: int
    v: int
    columns: int
    rows: int


@dataclass(frozen=True, slots=True, eq=False)
class ReconstructedVolume:
    """Grey values on a regular grid, and where there are any.

    voxels: (k, j, i) uint8, 0 where nothing was seen. filled: (k, j, i), True where a pixel
    fell or a hole was filled. seen_share: part of the voxels that a pixel fell into.
    reference_from_voxel: (4, 4), voxel centres (i, j, k, 1) to the frame the images' poses were
    given in, mm; its axes are that frame's.
    """

    voxels: NDArray[np.uint8]
    filled: BoolArray
    reference_from_voxel: FloatArray
    seen_share: float

    @property
    def spacing_mm(self) -> float:
        return float(self.reference_from_voxel[0, 0])

    @property
    def origin_mm(self) -> FloatArray:
        """(3,) centre of the first voxel."""
        return self.reference_from_voxel[:3, 3]


def reconstruct(
    images: Sequence[NDArray[Any]],
    reference_from_image: ArrayLike,
    spacing_mm: float = DEFAULT_SPACING_MM,
    *,
    clip: ClipRectangle | None = None,
    fill_holes: bool = True,
) -> ReconstructedVolume:
    """Compound n images (rows, columns), 8 bit, into the grid of cubes that holds them all.

    reference_from_image (n, 4, 4): px at pixel centres to mm, scale included. Each pixel goes
    to the voxel nearest to it, and a voxel is the mean of its pixels (Solberg 2007: pixel-based,
    nearest neighbour). Holes are then filled from the two ends of the shortest straight line
    through them, no longer than nine voxels. Raises ImagingError for images of other kinds or
    sizes, poses that are not finite, or a grid too large for the memory.
    """
    poses = np.asarray(reference_from_image, dtype=np.float64)
    _check_images(images, poses)
    rows, columns = images[0].shape
    part = _inside(clip or ClipRectangle(0, 0, columns, rows), columns, rows)
    origin_mm, size_ijk = _grid(poses, part, spacing_mm)
    voxel_from_reference = np.diag([1.0 / spacing_mm] * 3 + [1.0])
    voxel_from_reference[:3, 3] = -origin_mm / spacing_mm
    shape = size_ijk[::-1]
    sums = np.zeros(shape, dtype=np.uint32)
    counts = np.zeros(shape, dtype=np.uint16)
    for image, pose in zip(images, poses, strict=True):
        used = image[part.v : part.v + part.rows, part.u : part.u + part.columns]
        insert_image(
            np.ascontiguousarray(used), voxel_from_reference @ pose, part.u, part.v, sums, counts
        )
    filled = counts > 0
    voxels = np.zeros(shape, dtype=np.uint8)
    np.floor_divide(sums + counts // 2, counts, out=sums, where=filled)
    voxels[filled] = sums[filled]
    seen_share = float(filled.mean())
    if fill_holes:
        before, seen = voxels.copy(), filled.copy()
        fill_along_sticks(before, seen, _DIRECTIONS, STICK_VOXELS, voxels, filled)
    reference_from_voxel = np.diag([spacing_mm] * 3 + [1.0])
    reference_from_voxel[:3, 3] = origin_mm
    return ReconstructedVolume(
        frozen_view(voxels), frozen_view(filled), read_only(reference_from_voxel), seen_share
    )


def write_reconstruction(
    volume: ReconstructedVolume, path: Path, *, mask: Path | None = None
) -> None:
    """Write grey values, and the filled mask (0 or 1) when asked, as .mha, .nrrd or .nii.gz.

    Coordinates are stored as they are: the reference's axes take the place of DICOM's LPS.
    """
    for target in (path, mask):
        if target is not None and not target.name.lower().endswith(SUFFIXES):
            raise ImagingError(f"{target.name}: write the volume as .mha, .nrrd or .nii.gz")
    _write(volume.voxels, volume, path)
    if mask is not None:
        _write(volume.filled.astype(np.uint8), volume, mask)


def _write(voxels: NDArray[np.uint8], volume: ReconstructedVolume, path: Path) -> None:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing([volume.spacing_mm] * 3)
    image.SetOrigin(volume.origin_mm.tolist())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(image, str(path), useCompression=True)
    except (OSError, RuntimeError):
        raise ImagingError(f"{path}: cannot be written, choose another folder") from None


def _check_images(images: Sequence[NDArray[Any]], poses: FloatArray) -> None:
    if not len(images):
        raise ImagingError("the sweep has no image with a pose: nothing to reconstruct")
    if poses.shape != (len(images), 4, 4) or not np.isfinite(poses).all():
        raise ImagingError(f"{len(images)} images need as many finite 4x4 poses")
    shapes = {image.shape for image in images}
    if len(shapes) != 1 or len(images[0].shape) != 2 or images[0].dtype != np.uint8:
        raise ImagingError("the sweep's images must be grey, 8 bit and all of one size")


def _inside(clip: ClipRectangle, columns: int, rows: int) -> ClipRectangle:
    """The rectangle cut to the image."""
    u, v = max(clip.u, 0), max(clip.v, 0)
    wide, high = min(clip.u + clip.columns, columns) - u, min(clip.v + clip.rows, rows) - v
    if wide < 1 or high < 1:
        raise ImagingError(f"the clip rectangle lies outside the {columns} x {rows} image")
    return ClipRectangle(u, v, wide, high)


def _grid(
    poses: FloatArray, part: ClipRectangle, spacing_mm: float
) -> tuple[FloatArray, tuple[int, int, int]]:
    """Lowest corner of all pixel centres, and how many voxels (i, j, k) hold them."""
    if not 0.01 <= spacing_mm <= 100.0:
        raise ImagingError(f"a voxel spacing of {spacing_mm:g} mm is of no use: take 0.5")
    corners = np.array(
        [
            (part.u + a * (part.columns - 1), part.v + b * (part.rows - 1), 0.0, 1.0)
            for a in (0, 1)
            for b in (0, 1)
        ]
    )
    places = (poses @ corners.T)[:, :3]
    low, high = places.min(axis=(0, 2)), places.max(axis=(0, 2))
    extent = (high - low) / spacing_mm
    size = np.ceil(np.clip(extent, 0.0, 1e6)) + 1
    if np.prod(size) > MAX_VOXELS:
        raise ImagingError(
            f"the sweep spans {np.ptp([low, high], axis=0).max():.0f} mm, too much for voxels of "
            f"{spacing_mm:g} mm: take a larger spacing"
        )
    i, j, k = (int(value) for value in size)
    return np.asarray(low), (i, j, k)
