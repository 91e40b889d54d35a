"""A series thinned to about 2 mm for a search, and where its body lies."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from ir_nav.geometry import FloatArray, apply
from ir_nav.imaging import ImagingError, Volume, VolumeInfo, body_mask

GRID_MM = 2.0
AIR_SEEN_HU = -200
LEAST_OVERLAP_MM3 = 100.0**3
# Voxels along each axis for one point of the body.
STEP = 4


def thinned(volume: Volume) -> sitk.Image:
    """The voxels at about 2 mm as an ITK image, means of what they replace."""
    image = sitk.GetImageFromArray(volume.voxels)
    spacing = np.array(volume.spacing_mm)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((volume.ct_from_voxel[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(volume.ct_from_voxel[:3, 3].tolist())
    factors = [max(int(GRID_MM / step + 0.3), 1) for step in spacing]
    return sitk.Cast(sitk.BinShrink(image, factors), sitk.sitkFloat32)


def body_of(image: sitk.Image) -> sitk.Image | None:
    """The body with a margin, so that a table or a blanket does not count; None without air."""
    voxels = sitk.GetArrayFromImage(image)
    if voxels.min() > AIR_SEEN_HU:
        return None
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    thin = Volume(np.rint(voxels).astype(np.int16), affine, "", VolumeInfo())
    try:
        body = body_mask(thin)
    except ImagingError:
        return None
    mask = sitk.GetImageFromArray(body.astype(np.uint8))
    mask.CopyInformation(image)
    return sitk.BinaryDilate(mask, [2, 2, 2])


def body_middle(image: sitk.Image) -> FloatArray:
    """(3,) centroid in mm of what is not background (Otsu)."""
    voxels = sitk.GetArrayFromImage(sitk.OtsuThreshold(sitk.Shrink(image, [2, 2, 2]), 0, 1))
    places = np.argwhere(voxels > 0)[:, ::-1].mean(axis=0) * 2.0
    return np.array(image.TransformContinuousIndexToPhysicalPoint(places.tolist()))


def overlap_of(
    fixed: sitk.Image, mask: sitk.Image | None, moving: sitk.Image, second_from_ct: FloatArray
) -> float:
    """The part of the fixed body that lies within the moving image; 0 for less than a litre."""
    points = _inside_points(fixed, mask)
    size = np.array(moving.GetSize()) - 1.0
    axes = np.array(moving.GetDirection()).reshape(3, 3) * np.array(moving.GetSpacing())
    there = apply(second_from_ct, points) - np.array(moving.GetOrigin())
    index = there @ np.linalg.inv(axes).T
    within = ((index >= 0.0) & (index <= size)).all(axis=1)
    volume_mm3 = within.mean() * len(points) * np.prod(fixed.GetSpacing()) * STEP**3
    return float(within.mean()) if volume_mm3 >= LEAST_OVERLAP_MM3 else 0.0


def _inside_points(fixed: sitk.Image, mask: sitk.Image | None) -> FloatArray:
    """(n, 3) `ct` mm of every fourth voxel in the body, or of the image."""
    shape = fixed.GetSize()[::-1]
    chosen = np.ones(shape, np.bool_) if mask is None else sitk.GetArrayFromImage(mask) > 0
    places = np.argwhere(chosen[::STEP, ::STEP, ::STEP])[:, ::-1] * float(STEP)
    axes = np.array(fixed.GetDirection()).reshape(3, 3) * np.array(fixed.GetSpacing())
    return np.asarray(places @ axes.T + np.array(fixed.GetOrigin()))


def corners_of_body(fixed: sitk.Image, mask: sitk.Image | None) -> FloatArray:
    """(8, 3) `ct` mm of the corners of the box round the body."""
    points = _inside_points(fixed, mask)
    ends = np.stack([points.min(axis=0), points.max(axis=0)])
    choice = np.indices((2, 2, 2)).reshape(3, 8).T
    return np.take_along_axis(ends, choice, axis=0)


def middle(image: sitk.Image) -> FloatArray:
    """(3,) mm, of the image's box."""
    half = [(size - 1) / 2.0 for size in image.GetSize()]
    return np.array(image.TransformContinuousIndexToPhysicalPoint(half))
