"""Volumes whose structures are known exactly."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ir_nav.imaging import Structure, Volume, VolumeInfo
from ir_nav.imaging.segmentation import Origin, Segment, Segmentation

SPACING_MM = (0.7, 0.7, 2.5)
SIZE_IJK = (150, 140, 44)


def grid(
    size_ijk: tuple[int, int, int] = SIZE_IJK,
    spacing_mm: tuple[float, float, float] = SPACING_MM,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """ct_from_voxel with its origin in the middle, and x, y, z in mm over (k, j, i)."""
    affine = np.diag([*spacing_mm, 1.0])
    affine[:3, 3] = -(np.array(size_ijk) - 1.0) * spacing_mm / 2.0
    i, j, k = (np.arange(size) for size in size_ijk)
    x = (i * spacing_mm[0] + affine[0, 3])[None, None, :]
    y = (j * spacing_mm[1] + affine[1, 3])[None, :, None]
    z = (k * spacing_mm[2] + affine[2, 3])[:, None, None]
    return affine, *np.broadcast_arrays(x, y, z)


def ball(
    radius_mm: float,
    inside_hu: float,
    noise_hu: float,
    *,
    beside_hu: float | None = None,
    seed: int = 5,
) -> tuple[Volume, np.ndarray]:
    """A ball about the origin in 100 HU, and its true mask. beside_hu: what fills the side
    y > 0.8 radius, which the ball touches."""
    affine, x, y, z = grid()
    truth = x**2 + y**2 + z**2 <= radius_mm**2
    hu = np.full(truth.shape, 100.0)
    if beside_hu is not None:
        hu[y > 0.8 * radius_mm] = beside_hu
    hu[truth] = inside_hu
    hu = ndimage.gaussian_filter(hu, (0.4, 0.7, 0.7))
    hu += np.random.default_rng(seed).normal(0.0, noise_hu, hu.shape)
    return volume_of(hu, affine), truth


def volume_of(hu: np.ndarray, affine: np.ndarray) -> Volume:
    return Volume(np.rint(hu).astype(np.int16), affine, "blake2b:phantom", VolumeInfo())


def dice(found: np.ndarray, truth: np.ndarray) -> float:
    return 2.0 * float((found & truth).sum()) / float(found.sum() + truth.sum())


def whole(corner_kji: tuple[int, int, int], part: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape, np.bool_)
    k, j, i = (slice(a, a + n) for a, n in zip(corner_kji, part.shape, strict=True))
    mask[k, j, i] = part
    return mask


def full(segment: Segment, shape: tuple[int, ...]) -> np.ndarray:
    return whole(segment.structure.corner_kji, segment.structure.part, shape)


def segment(number: int, name: str, mask: np.ndarray, colour: str = "#9fc2a8") -> Segment:
    return Segment(Structure.of_mask(number, name, mask), colour, Origin.DRAWN)


def segmentation(
    affine: np.ndarray, *segments: Segment, shape: tuple[int, int, int]
) -> Segmentation:
    return Segmentation(shape, affine, segments)
