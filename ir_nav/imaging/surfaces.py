"""Triangle surfaces of masks and volumes for the 3D view."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ir_nav.geometry import FloatArray
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.labels import LabelMap
from ir_nav.imaging.skin import body_mask
from ir_nav.imaging.volume import BoolArray, Float32Array, Volume, spacing_of

BONE_HU = 200.0

# Marching over finer cells than this only makes triangles that decimation removes again.
CELL_MM = 2.0

# Decimating by more than this factor costs seconds; averaging to larger cells does not.
DECIMATION_LIMIT = 7


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """A triangle surface.

    points_ct_mm: (n, 3) float32. triangles: (m, 3) int32 rows of point numbers, counter-clockwise
    seen from outside. Both read-only.
    """

    points_ct_mm: Float32Array
    triangles: NDArray[np.int32]

    def __post_init__(self) -> None:
        self.points_ct_mm.flags.writeable = False
        self.triangles.flags.writeable = False


def surface(
    field: NDArray[Any],
    ct_from_voxel: FloatArray,
    level: float,
    triangles: int = 24_000,
    smoothing: int = 15,
) -> Mesh:
    """The surface where `field` (k, j, i) falls through `level`, at most about `triangles`.

    Flying edges (Schroeder 2015), windowed-sinc smoothing (Taubin 1996) in `smoothing` passes,
    quadric decimation (Garland and Heckbert 1997); closed where the field meets the border.
    ct_from_voxel: (4, 4) of the field's own grid; oblique is fine.
    Raises ImagingError when no surface lies at that level.
    """
    poly = _decimated(_smoothed(_contour(_closed(field, level), level), smoothing), triangles)
    ijk, corners = _arrays(poly)
    if len(corners) == 0:
        raise ImagingError(f"the image has no surface at level {level:g}")
    points = (ijk - 1.0) @ ct_from_voxel[:3, :3].T + ct_from_voxel[:3, 3]
    return Mesh(np.ascontiguousarray(points, dtype=np.float32), corners)


def skin_surface(volume: Volume, triangles: int = 24_000, body: BoolArray | None = None) -> Mesh:
    """The patient's outline, table removed; `body` spares computing the mask again."""
    mask = body_mask(volume) if body is None else body
    return _mask_surface(mask, volume.ct_from_voxel, triangles)


def bone_surface(volume: Volume, triangles: int = 60_000, level_hu: float = BONE_HU) -> Mesh:
    """Everything denser than `level_hu` in pieces of at least 2 cm^3: bone, also contrast."""
    coarse, ct_from_coarse = _coarser(volume.voxels.astype(np.float32), volume.ct_from_voxel)
    labels, count = ndimage.label(coarse > level_hu)
    if count == 0:
        raise ImagingError(f"the image holds nothing denser than {level_hu:g} HU")
    cell_mm3 = float(np.prod(spacing_of(ct_from_coarse)))
    keep = np.bincount(labels.ravel()) * cell_mm3 >= 2000.0
    keep[0] = True
    low = min(float(coarse.min()), level_hu - 1.0)
    pieces = np.where(keep[labels], coarse, np.float32(low))
    return _within_budget(pieces, ct_from_coarse, level_hu, triangles, CELL_MM)


def label_surface(
    labels: LabelMap, structure: str | int | Iterable[int], triangles: int = 8_000
) -> Mesh:
    """The surface of one structure or the union of several; see LabelMap.mask."""
    mask = labels.mask(structure)
    if not mask.any():
        raise ImagingError(f"the labels hold no voxel of {structure!r}")
    box = tuple(
        slice(max(int(found[0]) - 2, 0), int(found[-1]) + 3)
        for axes in ((1, 2), (0, 2), (0, 1))
        for found in [np.flatnonzero(mask.any(axis=axes))]
    )
    affine = np.array(labels.ct_from_voxel)
    affine[:3, 3] += affine[:3, :3] @ np.array([piece.start for piece in box[::-1]])
    return _mask_surface(mask[box], affine, triangles, CELL_MM / 2.0)


def _mask_surface(
    mask: BoolArray, ct_from_voxel: FloatArray, triangles: int, cell_mm: float = CELL_MM
) -> Mesh:
    field = mask.astype(np.float32)
    coarse, ct_from_coarse = _coarser(field, ct_from_voxel, cell_mm)
    if coarse.max() <= 0.5:
        return surface(field, ct_from_voxel, 0.5, triangles)
    return _within_budget(coarse, ct_from_coarse, 0.5, triangles, cell_mm)


def _within_budget(
    field: Float32Array, ct_from_voxel: FloatArray, level: float, triangles: int, cell_mm: float
) -> Mesh:
    """The surface on cells as fine as the triangle budget is worth."""
    while _contour(_closed(field, level), level).GetNumberOfPolys() > DECIMATION_LIMIT * triangles:
        cell_mm *= 2.0
        field, ct_from_voxel = _coarser(field, ct_from_voxel, cell_mm)
    return surface(field, ct_from_voxel, level, triangles)


def _coarser(
    field: Float32Array, ct_from_voxel: FloatArray, cell_mm: float = CELL_MM
) -> tuple[Float32Array, FloatArray]:
    """The field averaged over blocks of about `cell_mm`, with its affine; edges padded."""
    i, j, k = (max(1, round(cell_mm / spacing)) for spacing in spacing_of(ct_from_voxel))
    blocks = (k, j, i)
    padding = [(0, -size % block) for size, block in zip(field.shape, blocks, strict=True)]
    coarse = np.pad(field, padding, mode="edge") if any(end for _, end in padding) else field
    for axis, block in enumerate(blocks):
        if block > 1:
            shape = (*coarse.shape[:axis], -1, block, *coarse.shape[axis + 1 :])
            coarse = coarse.reshape(shape).mean(axis=axis + 1, dtype=np.float32)
    affine = np.array(ct_from_voxel)
    sizes = np.array([i, j, k], dtype=np.float64)
    affine[:3, 3] += affine[:3, :3] @ ((sizes - 1.0) / 2.0)
    affine[:3, :3] *= sizes
    return coarse, affine


def _closed(field: NDArray[Any], level: float) -> Float32Array:
    """The field with one more cell on each side that lies below the level."""
    outside = min(float(field.min()), level - 1.0)
    return np.pad(np.asarray(field, dtype=np.float32), 1, constant_values=outside)


def _contour(field: Float32Array, level: float) -> Any:
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D

    image = vtkImageData()
    image.SetDimensions(*field.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(field).ravel(), deep=True))
    edges = vtkFlyingEdges3D()
    edges.SetInputData(image)
    edges.SetValue(0, level)
    edges.ComputeNormalsOff()
    edges.ComputeGradientsOff()
    edges.ComputeScalarsOff()
    edges.Update()
    return edges.GetOutput()


def _smoothed(poly: Any, passes: int) -> Any:
    from vtkmodules.vtkFiltersCore import vtkWindowedSincPolyDataFilter

    if passes <= 0 or poly.GetNumberOfPolys() == 0:
        return poly
    smooth = vtkWindowedSincPolyDataFilter()
    smooth.SetInputData(poly)
    smooth.SetNumberOfIterations(passes)
    smooth.SetPassBand(0.1)
    smooth.FeatureEdgeSmoothingOff()
    smooth.BoundarySmoothingOff()
    smooth.NonManifoldSmoothingOn()
    smooth.NormalizeCoordinatesOn()
    smooth.Update()
    return smooth.GetOutput()


def _decimated(poly: Any, triangles: int) -> Any:
    from vtkmodules.vtkFiltersCore import vtkQuadricDecimation

    count = poly.GetNumberOfPolys()
    if count <= triangles:
        return poly
    fewer = vtkQuadricDecimation()
    fewer.SetInputData(poly)
    fewer.SetTargetReduction(1.0 - triangles / count)
    fewer.Update()
    return fewer.GetOutput()


def _arrays(poly: Any) -> tuple[FloatArray, NDArray[np.int32]]:
    """Points (n, 3) in voxels and triangles (m, 3), with the winding seen from outside."""
    from vtkmodules.util.numpy_support import vtk_to_numpy

    if poly.GetNumberOfPolys() == 0:
        return np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int32)
    points = vtk_to_numpy(poly.GetPoints().GetData()).astype(np.float64)
    corners = vtk_to_numpy(poly.GetPolys().GetConnectivityArray()).reshape(-1, 3)
    return points, np.ascontiguousarray(corners, dtype=np.int32)
