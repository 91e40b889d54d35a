"""A triangle surface made ready for quick nearest-point searches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ir_nav.geometry import FloatArray, read_only
from ir_nav.imaging import Mesh
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.surface.nearest_kernels import (
    RIM,
    Floats32,
    Ints32,
    distances,
    spread_nearest,
)

# Edges longer than this are split; between two samples a plane is true to 0.05 mm at the
# curvature of a fist.
EDGE_MM = 2.5
MOST_SAMPLES = 250_000
NEIGHBOURS = 8
LEAST_TRIANGLES = 20
# Round the surface, where the grid still names a near sample.
MARGIN_MM = 40.0
LEAST_CELL_MM = 2.0
MOST_CELLS = 1_500_000
# An edge sharper than this keeps the normals of its two faces.
CREASE_DEG = 40.0
MORTON_MM = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class SampledSurface:
    """A surface as samples with normals, their neighbours, and a grid of near samples.

    samples: (n, 7) float32, place in `ct` mm, outward unit normal, 1 on the rim of an open
    surface. neighbours: (n, 8) numbers of samples. nearest: (k, j, i) number of a sample near each
    cell; the first cell's centre is at origin_ct_mm (3,). spacing_mm: between samples.
    name: in words, such as "the skin of the CT".
    """

    samples: Floats32
    neighbours: Ints32
    nearest: Ints32
    origin_ct_mm: FloatArray
    cell_mm: float
    spacing_mm: float
    name: str

    def __post_init__(self) -> None:
        for array in (self.samples, self.neighbours, self.nearest):
            array.flags.writeable = False
        object.__setattr__(self, "origin_ct_mm", read_only(self.origin_ct_mm))

    @property
    def points_ct_mm(self) -> FloatArray:
        """(n, 3) of the samples."""
        return self.samples[:, :3].astype(np.float64)

    @property
    def search(self) -> tuple[Floats32, Ints32, Ints32, FloatArray, float, float]:
        """What the compiled loops take, in their order."""
        return (
            self.samples,
            self.neighbours,
            self.nearest,
            self.origin_ct_mm,
            self.cell_mm,
            self.spacing_mm,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Distances:
    """Points on their way to a surface. moved_ct_mm, normals_ct: (n, 3). signed_mm: (n,), positive
    outside; infinite for a point beside the rim of an open surface."""

    moved_ct_mm: FloatArray
    normals_ct: FloatArray
    signed_mm: FloatArray


def surface_distances(
    surface: SampledSurface, points_mm: FloatArray, ct_from_points: FloatArray
) -> Distances:
    """Where points (n, 3) lie against the surface when moved by a matrix (4, 4)."""
    count = len(points_mm)
    moved, signed = np.empty((count, 3)), np.empty(count)
    found = np.zeros(count, np.int32)
    distances(points_mm, ct_from_points, *surface.search, moved, found, signed)
    return Distances(moved, surface.samples[found, 3:6].astype(np.float64), signed)


def sample_surface(mesh: Mesh, name: str = "the surface") -> SampledSurface:
    """Prepare a mesh: some 0.5 s for a body's skin.

    Samples are the middles of the triangles, long ones divided first. Their normals lie between
    those of the corners, which are weighted by the angle of each triangle (Thuermer and Wuethrich
    1998), except at creases. Raises RegistrationError for a mesh without area.
    """
    points = mesh.points_ct_mm.astype(np.float64)
    corners = points[mesh.triangles]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(across, axis=1) / 2.0
    real = np.isfinite(area) & (area > 1e-8)
    if np.count_nonzero(real) < LEAST_TRIANGLES:
        raise RegistrationError(
            f"{name} has fewer than {LEAST_TRIANGLES} triangles with an area: choose another mesh"
        )
    triangles, corners = mesh.triangles[real], corners[real]
    faces = across[real] / (2.0 * area[real, None])
    normals = _corner_normals(points, triangles, corners, faces)
    rim = _rim(points, triangles)
    edge_mm = EDGE_MM
    parts = _parts(corners, edge_mm)
    while int((parts**2).sum()) > max(MOST_SAMPLES, len(triangles)):
        edge_mm *= 1.3
        parts = _parts(corners, edge_mm)
    samples = _samples(corners, normals, rim, parts)
    spacing_mm = float(np.sqrt(area.sum() / len(samples)))
    neighbours = cKDTree(samples[:, :3]).query(samples[:, :3], NEIGHBOURS + 1, workers=-1)[1]
    grid, origin, cell_mm = _grid(samples)
    return SampledSurface(
        samples,
        np.ascontiguousarray(neighbours[:, 1:], dtype=np.int32),
        grid,
        origin,
        cell_mm,
        spacing_mm,
        name,
    )


def _parts(corners: FloatArray, edge_mm: float) -> NDArray[np.int64]:
    """(m,) into how many parts each edge of a triangle is cut."""
    edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
    parts = np.maximum(np.ceil(edges.max(axis=1) / edge_mm - 0.2), 1.0)
    return np.asarray(parts, dtype=np.int64)


def _corner_normals(
    points: FloatArray, triangles: NDArray[np.int32], corners: FloatArray, faces: FloatArray
) -> FloatArray:
    """(m, 3, 3): the normal at each corner of each triangle."""
    # Files such as STL repeat every corner: what lies in one place is one corner.
    merged = _merged(points, triangles)
    total = np.zeros((int(merged.max()) + 1, 3))
    for c in range(3):
        one = corners[:, (c + 1) % 3] - corners[:, c]
        two = corners[:, (c + 2) % 3] - corners[:, c]
        lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1)
        angle = np.arccos(np.clip((one * two).sum(axis=1) / lengths, -1.0, 1.0))
        np.add.at(total, merged[:, c], angle[:, None] * faces)
    total /= np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)
    normals = total[merged]
    sharp = (normals * faces[:, None]).sum(axis=2) < np.cos(np.radians(CREASE_DEG))
    return np.asarray(np.where(sharp[..., None], faces[:, None], normals))


def _merged(points: FloatArray, triangles: NDArray[np.int32]) -> NDArray[np.int64]:
    """(m, 3) corner numbers, the same for corners within 1 um of each other."""
    _, number = np.unique(np.rint(points * 1e3).astype(np.int64), axis=0, return_inverse=True)
    return np.asarray(number.reshape(-1)[triangles], dtype=np.int64)


def _rim(points: FloatArray, triangles: NDArray[np.int32]) -> NDArray[np.bool_]:
    """(m,) triangles with an edge that no other triangle shares."""
    merged = _merged(points, triangles)
    edges = np.sort(np.stack([merged, np.roll(merged, -1, axis=1)], axis=2), axis=2)
    keys = edges[..., 0] * (int(merged.max()) + 1) + edges[..., 1]
    _, number, count = np.unique(keys.ravel(), return_inverse=True, return_counts=True)
    return np.asarray((count[number.reshape(-1)].reshape(-1, 3) == 1).any(axis=1))


def _samples(
    corners: FloatArray, normals: FloatArray, rim: NDArray[np.bool_], parts: NDArray[np.int64]
) -> Floats32:
    """(n, 7) middles of the parts of each triangle."""
    made = []
    for count in np.unique(parts):
        chosen = parts == count
        shares = _middles(int(count))
        places = np.einsum("sc,mcx->msx", shares, corners[chosen])
        facing = np.einsum("sc,mcx->msx", shares, normals[chosen])
        facing /= np.maximum(np.linalg.norm(facing, axis=2, keepdims=True), 1e-12)
        flags = np.broadcast_to(rim[chosen, None, None], (*places.shape[:2], 1))
        made.append(np.concatenate([places, facing, flags], axis=2).reshape(-1, RIM + 1))
    samples = np.concatenate(made)
    return np.ascontiguousarray(samples[_near_together(samples[:, :3])], dtype=np.float32)


def _near_together(places: FloatArray) -> NDArray[np.int64]:
    """An order that keeps what is near in space near in memory (Morton 1966): the search then
    finds a sample's neighbours in the processor's cache."""
    cells = ((places - places.min(axis=0)) / MORTON_MM).astype(np.int64)
    code = np.zeros(len(places), dtype=np.int64)
    for bit in range(12):
        for axis in range(3):
            code |= (cells[:, axis] >> bit & 1) << (3 * bit + axis)
    return np.asarray(np.argsort(code, kind="stable"), dtype=np.int64)


def _middles(parts: int) -> FloatArray:
    """(parts^2, 3) barycentric middles of a triangle whose edges are cut into parts."""
    found = []
    for i in range(parts):
        for j in range(parts - i):
            found.append((i + 1 / 3, j + 1 / 3))
            if i + j < parts - 1:
                found.append((i + 2 / 3, j + 2 / 3))
    first, second = np.array(found).T / parts
    return np.stack([first, second, 1.0 - first - second], axis=1)


def _grid(samples: Floats32) -> tuple[Ints32, FloatArray, float]:
    """(k, j, i) near samples, the first cell's centre, the size of a cell."""
    low = samples[:, :3].min(axis=0).astype(np.float64) - MARGIN_MM
    extent = samples[:, :3].max(axis=0) + MARGIN_MM - low
    cell_mm = max(LEAST_CELL_MM, float(np.cbrt(np.prod(extent) / MOST_CELLS)))
    size = (extent / cell_mm).astype(int) + 2
    nearest = np.empty(tuple(size[::-1]), dtype=np.int32)
    spread_nearest(samples, low, cell_mm, nearest)
    return nearest, low, cell_mm
