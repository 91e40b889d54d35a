"""The patient of the simulated room: CT numbers, labels and how the tissue moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from ir_nav.geometry import FloatArray, apply, read_only

BODY_HU = -350
STIFF_DEPTH_MM = 30.0
WEIGHT_GRID_MM = 4.0
OUTSIDE_HU = -1000.0


class AnatomyError(ValueError):
    """A CT and its labels cannot be used together; the message says why."""


@dataclass(frozen=True, slots=True, eq=False)
class TissueMotion:
    """Breathing at one instant: displacement (3,) in mm of the skin and of deep tissue."""

    skin_mm: FloatArray
    deep_mm: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "skin_mm", read_only(self.skin_mm))
        object.__setattr__(self, "deep_mm", read_only(self.deep_mm))

    @staticmethod
    def rest() -> TissueMotion:
        return TissueMotion(np.zeros(3), np.zeros(3))


@dataclass(frozen=True, slots=True, eq=False)
class NeedleShape:
    """The needle's straight shaft now, in the moved (not the resting) patient; mm."""

    tip_ct_mm: FloatArray
    hub_ct_mm: FloatArray
    diameter_mm: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "tip_ct_mm", read_only(self.tip_ct_mm))
        object.__setattr__(self, "hub_ct_mm", read_only(self.hub_ct_mm))


@dataclass(frozen=True, slots=True, eq=False)
class WeightField:
    """0 at and outside the skin, rising smoothly to 1 at 30 mm below it, on a coarse grid."""

    values: NDArray[np.float32]  # (k, j, i)
    voxel_from_ct: FloatArray  # (4, 4)

    def sample(self, points_ct_mm: ArrayLike) -> FloatArray:
        """Weights (n,) at points (n, 3), or () at a point (3,); trilinear, clamped at the edges."""
        return _sample(self.values, self.voxel_from_ct, points_ct_mm, mode="nearest", outside=0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """A CT with its label map on the same grid.

    hu: int16 (k, j, i). labels: uint8 or int16 (k, j, i). ct_from_voxel: (4, 4), voxel centres
    (i, j, k) to DICOM LPS mm. names: structure of each label id. Raises AnatomyError when the
    shapes differ.
    """

    hu: NDArray[np.int16]
    labels: NDArray[np.integer]
    ct_from_voxel: FloatArray
    names: Mapping[int, str]
    depth_weight: WeightField = field(init=False)

    def __post_init__(self) -> None:
        if self.hu.shape != self.labels.shape or self.hu.ndim != 3:
            raise AnatomyError(f"labels {self.labels.shape} are not on the CT's {self.hu.shape}")
        for array in (self.hu, self.labels):
            array.flags.writeable = False
        object.__setattr__(self, "ct_from_voxel", read_only(self.ct_from_voxel))
        object.__setattr__(self, "names", MappingProxyType(dict(self.names)))
        object.__setattr__(self, "depth_weight", _weight_field(self.hu, self.ct_from_voxel))

    @property
    def spacing_mm(self) -> FloatArray:
        """(3,) along i, j, k."""
        return np.asarray(np.linalg.norm(self.ct_from_voxel[:3, :3], axis=0))

    @property
    def voxel_from_ct(self) -> FloatArray:
        return np.asarray(np.linalg.inv(self.ct_from_voxel))

    def label_id(self, name: str) -> int:
        """Raises AnatomyError for a structure this patient does not have."""
        for label, structure in self.names.items():
            if structure == name:
                return label
        raise AnatomyError(f"no structure is called '{name}'")

    def centroid_ct_mm(self, name: str) -> FloatArray:
        """(3,). Raises AnatomyError when the structure is unknown or has no voxel."""
        where = np.argwhere(self.labels == self.label_id(name))
        if where.size == 0:
            raise AnatomyError(f"'{name}' has no voxel in the label map")
        return apply(self.ct_from_voxel, where.mean(axis=0)[::-1])

    def sample_hu(self, points_ct_mm: ArrayLike) -> FloatArray:
        """CT numbers () or (n,) at points (3,) or (n, 3); trilinear, air outside."""
        return _sample(
            self.hu, self.voxel_from_ct, points_ct_mm, mode="constant", outside=OUTSIDE_HU
        )

    def label_at(self, point_ct_mm: ArrayLike) -> int:
        """Label id of the voxel that holds a point (3,); 0 outside."""
        i, j, k = np.rint(apply(self.voxel_from_ct, point_ct_mm)).astype(int)
        inside = all(0 <= n < size for n, size in zip((k, j, i), self.hu.shape, strict=True))
        return int(self.labels[k, j, i]) if inside else 0

    def displacement(self, points_ct_mm: ArrayLike, motion: TissueMotion) -> FloatArray:
        """How far tissue resting at (3,) or (n, 3) has moved: skin + w (deep - skin); mm."""
        weight = self.depth_weight.sample(points_ct_mm)
        return np.asarray(motion.skin_mm + weight[..., None] * (motion.deep_mm - motion.skin_mm))

    def rest_position(self, points_ct_mm: ArrayLike, motion: TissueMotion) -> FloatArray:
        """Where the tissue now at (3,) or (n, 3) rests: `displacement` inverted.

        Fixed-point iteration; contracts for |deep - skin| < 20 mm (weight slope <= 0.05 / mm).
        """
        moved = np.asarray(points_ct_mm, dtype=np.float64)
        rest = moved
        for _ in range(12):
            rest = moved - self.displacement(rest, motion)
        return rest


def body_mask(hu: NDArray[np.int16], spacing_mm: FloatArray) -> NDArray[np.bool_]:
    """The patient (k, j, i) with lungs and bowel filled; table, clothes and beads dropped.

    On a grid of about 3 mm, opening cuts the table off, the largest piece is the body and its
    holes are filled slice by slice, since lungs may be open at the ends of the volume. Voxels
    at the surface are then decided one by one.
    """
    solid = hu > BODY_HU
    steps = np.maximum(1, np.rint(3.0 / spacing_mm[::-1])).astype(int)
    coarse = _fill_slices(solid[:: steps[0], :: steps[1], :: steps[2]])
    body = _largest(ndimage.binary_opening(coarse, iterations=2))
    solid &= _refine(ndimage.binary_dilation(body), steps, hu.shape)
    solid |= _refine(ndimage.binary_erosion(body, iterations=2, border_value=1), steps, hu.shape)
    return np.asarray(solid)


def _refine(
    coarse: NDArray[np.bool_], steps: NDArray[np.integer], shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    fine = coarse.repeat(steps[0], 0).repeat(steps[1], 1).repeat(steps[2], 2)
    return fine[: shape[0], : shape[1], : shape[2]]


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    pieces, count = ndimage.label(mask)
    if count == 0:
        raise AnatomyError("the CT holds no body: every voxel is air")
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.asarray(pieces == int(sizes.argmax()))


def _fill_slices(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.stack([ndimage.binary_fill_holes(plane) for plane in mask])


def _weight_field(hu: NDArray[np.int16], ct_from_voxel: FloatArray) -> WeightField:
    spacing = np.linalg.norm(ct_from_voxel[:3, :3], axis=0)
    steps = np.maximum(1, np.rint(WEIGHT_GRID_MM / spacing)).astype(int)  # along i, j, k
    coarse = np.ascontiguousarray(hu[:: steps[2], :: steps[1], :: steps[0]])
    grid_mm = spacing * steps
    body = body_mask(coarse, grid_mm)
    depth = ndimage.distance_transform_edt(body, sampling=grid_mm[::-1]) - 0.5 * grid_mm.min()
    fraction = np.clip(depth / STIFF_DEPTH_MM, 0.0, 1.0)
    values = (fraction * fraction * (3.0 - 2.0 * fraction)).astype(np.float32)
    values.flags.writeable = False
    scale = np.diag([*steps.astype(float), 1.0])
    return WeightField(values, read_only(np.linalg.inv(ct_from_voxel @ scale)))


def _sample(
    volume: NDArray[np.generic],
    voxel_from_ct: FloatArray,
    points_ct_mm: ArrayLike,
    *,
    mode: str,
    outside: float,
) -> FloatArray:
    ijk = apply(voxel_from_ct, points_ct_mm)
    coordinates = np.moveaxis(ijk[..., ::-1], -1, 0).reshape(3, -1)
    values = ndimage.map_coordinates(
        volume, coordinates, output=np.float64, order=1, mode=mode, cval=outside
    )
    return np.asarray(values.reshape(ijk.shape[:-1]))


def load_anatomy(ct_path: Path, labels_path: Path, names_csv: Path | None) -> Anatomy:
    """A real CT (DICOM zip or folder, NIfTI, NRRD, MetaImage) with its label map.

    Labels on another grid are brought to the CT's by nearest neighbour. Raises AnatomyError
    when they do not overlap it, and the readers' own errors for unreadable files.
    """
    from ir_nav.imaging import read_labels, read_volume

    volume = read_volume(ct_path)
    label_map = read_labels(labels_path, names_csv)
    labels = _onto_grid(
        np.asarray(label_map.voxels),
        np.asarray(label_map.ct_from_voxel),
        volume.voxels.shape,
        np.asarray(volume.ct_from_voxel),
    )
    return Anatomy(np.asarray(volume.voxels), labels, volume.ct_from_voxel, label_map.names)


def _onto_grid(
    labels: NDArray[np.integer],
    ct_from_label: FloatArray,
    shape: tuple[int, ...],
    ct_from_voxel: FloatArray,
) -> NDArray[np.integer]:
    if labels.shape == shape and np.allclose(ct_from_label, ct_from_voxel, atol=1e-3):
        return labels
    label_from_voxel = np.linalg.inv(ct_from_label) @ ct_from_voxel
    flip = np.eye(3)[::-1]
    resampled = ndimage.affine_transform(
        labels,
        flip @ label_from_voxel[:3, :3] @ flip,
        offset=label_from_voxel[:3, 3][::-1],
        output_shape=shape,
        order=0,
        mode="grid-constant",
        cval=0,
    )
    if not resampled.any():
        raise AnatomyError("the label map does not overlap the CT: it belongs to another scan")
    return np.asarray(resampled)
