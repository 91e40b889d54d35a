"""A CT volume: voxels, where they are in the patient, and what is known about them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ir_nav.geometry import FloatArray, read_only
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.kernels import sample_trilinear

Int16Array = NDArray[np.int16]
BoolArray = NDArray[np.bool_]
Float32Array = NDArray[np.float32]
Scalar = TypeVar("Scalar", bound=np.generic)

# Nothing is emptier than air: padding outside the scan circle is stored far below it.
AIR_HU = -1024

# Headers store direction cosines with five or six digits.
ORTHOGONALITY_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class VolumeInfo:
    """What the file says about the image; '' when it does not say.

    study_date: ISO, e.g. '2024-05-31'. laterality: 'L', 'R', 'B' or None. A voxel times
    `scale` is in `unit`; '' for arbitrary numbers. notes: what reading changed or left out, in
    words for the user.
    """

    patient_name: str = ""
    patient_id: str = ""
    study_date: str = ""
    series_description: str = ""
    modality: str = ""
    laterality: str | None = None
    source_path: str = ""
    frame_of_reference_uid: str | None = None
    series_uid: str = ""
    unit: str = "HU"
    scale: float = 1.0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """CT numbers, or those of another modality, on a regular grid.

    voxels: (k, j, i) int16, HU unless the description names another unit, made read-only
    without a copy. ct_from_voxel: (4, 4) affine of
    voxel centres, (i, j, k, 1) -> `ct` mm; orthogonal columns that carry the spacing,
    right-handed. identity: names this CT in plans; equal only for the same voxels in the same
    place. Raises ImagingError when any of this does not hold.
    """

    voxels: Int16Array
    ct_from_voxel: FloatArray
    identity: str
    description: VolumeInfo

    def __post_init__(self) -> None:
        if self.voxels.dtype != np.int16:
            raise ImagingError(f"CT numbers are int16, got {self.voxels.dtype}")
        check_grid(self.voxels.shape, self.ct_from_voxel)
        object.__setattr__(self, "voxels", frozen_view(self.voxels))
        object.__setattr__(self, "ct_from_voxel", read_only(self.ct_from_voxel))

    @property
    def voxel_from_ct(self) -> FloatArray:
        """(4, 4), `ct` mm -> (i, j, k, 1)."""
        return np.asarray(np.linalg.inv(self.ct_from_voxel), dtype=np.float64)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance of voxel centres along i, j, k."""
        return spacing_of(self.ct_from_voxel)

    @property
    def size_ijk(self) -> tuple[int, int, int]:
        k, j, i = self.voxels.shape
        return i, j, k

    @property
    def bounds_mm(self) -> FloatArray:
        """(2, 3): lowest and highest `ct` x, y, z of any voxel centre."""
        corners = corners_ct_mm(self.voxels.shape, self.ct_from_voxel)
        return np.array([corners.min(axis=0), corners.max(axis=0)])

    @property
    def centre_ct_mm(self) -> FloatArray:
        """(3,) middle of the grid."""
        return np.asarray(corners_ct_mm(self.voxels.shape, self.ct_from_voxel).mean(axis=0))


def sample(volume: Volume, points_ct_mm: ArrayLike) -> Float32Array:
    """HU at points (3,) or (n, 3), trilinear, float32 () or (n,).

    NaN outside the hull of the voxel centres.
    """
    points = np.ascontiguousarray(points_ct_mm, dtype=np.float64)
    flat = np.ascontiguousarray(points.reshape(-1, 3))
    values: Float32Array = sample_trilinear(volume.voxels, volume.voxel_from_ct, flat)
    return values.reshape(points.shape[:-1])


def content_identity(voxels: Int16Array, ct_from_voxel: FloatArray) -> str:
    """'blake2b:' and 32 hex digits over the geometry (to 0.1 um) and the voxels."""
    digest = hashlib.blake2b(digest_size=16)
    # Adding zero turns -0.0 into 0.0, which has other bytes.
    digest.update((np.round(ct_from_voxel, 4) + 0.0).tobytes())
    digest.update(str(voxels.shape).encode())
    digest.update(np.ascontiguousarray(voxels).data)
    return f"blake2b:{digest.hexdigest()}"


def spacing_of(ct_from_voxel: FloatArray) -> tuple[float, float, float]:
    """Lengths in mm of the affine's columns: spacing along i, j, k."""
    i, j, k = np.linalg.norm(ct_from_voxel[:3, :3], axis=0)
    return float(i), float(j), float(k)


def corners_ct_mm(shape_kji: tuple[int, ...], ct_from_voxel: FloatArray) -> FloatArray:
    """(8, 3) `ct` mm of the corner voxels' centres."""
    last = np.array(shape_kji[::-1]) - 1.0
    corners = np.indices((2, 2, 2)).reshape(3, 8).T * last
    return np.asarray(corners @ ct_from_voxel[:3, :3].T + ct_from_voxel[:3, 3])


def check_grid(shape_kji: tuple[int, ...], ct_from_voxel: FloatArray) -> None:
    """Raise ImagingError unless this is a 3D right-handed orthogonal grid in mm."""
    if len(shape_kji) != 3 or min(shape_kji) < 2:
        raise ImagingError(
            f"a volume needs three axes of at least two voxels, got {shape_kji}: "
            "load the whole series, not one slice"
        )
    affine = np.asarray(ct_from_voxel, dtype=np.float64)
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        raise ImagingError("the image's geometry is not a finite 4x4 matrix")
    spacing = np.array(spacing_of(affine))
    if spacing.min() <= 1e-6:
        raise ImagingError("the image states a voxel spacing of zero: export it again")
    axes = affine[:3, :3] / spacing
    if np.abs(axes.T @ axes - np.eye(3)).max() > ORTHOGONALITY_TOLERANCE:
        raise ImagingError(
            "the image's axes are not at right angles (gantry tilt or shear): "
            "resample it to a straight grid first"
        )
    if np.linalg.det(axes) < 0.0:
        raise ImagingError("the image's axes are left-handed: flip one of them")


def right_handed(
    voxels: NDArray[Scalar], ct_from_voxel: FloatArray
) -> tuple[NDArray[Scalar], FloatArray]:
    """The same image with its slices reversed when its axes are left-handed."""
    if np.linalg.det(ct_from_voxel[:3, :3]) > 0.0:
        return voxels, ct_from_voxel
    flipped = np.array(ct_from_voxel)
    flipped[:3, 3] += flipped[:3, 2] * (voxels.shape[0] - 1)
    flipped[:3, 2] *= -1.0
    return voxels[::-1], flipped


def frozen_view(array: NDArray[Scalar]) -> NDArray[Scalar]:
    """A C-contiguous view that cannot be written to."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
