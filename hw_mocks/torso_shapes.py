"""What the digital torso is drawn with: a warped voxel grid, smooth noise, tubes and solids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from ir_nav.geometry import FloatArray

Float32 = NDArray[np.float32]
Mask = NDArray[np.bool_]

SPACING_MM = 1.5
SHAPE = (200, 170, 240)  # k, j, i
ORIGIN_MM = np.array([-179.25, -126.75, -149.25])
WARP_MM = 3.5

LABELS = {
    "background": 0,
    "skin": 1,
    "fat": 2,
    "muscle": 3,
    "rib": 4,
    "spine": 5,
    "lung_left": 6,
    "lung_right": 7,
    "liver": 8,
    "hepatic_vein": 9,
    "portal_vein": 10,
    "gallbladder": 11,
    "kidney_left": 12,
    "kidney_right": 13,
    "bowel": 14,
    "bowel_gas": 15,
    "lesion": 16,
    "abscess": 17,
    "heart": 18,
    "aorta": 19,
    "inferior_vena_cava": 20,
    "stomach": 21,
    "spleen": 22,
    "pancreas": 23,
    "costal_cartilage": 24,
    "diaphragm": 25,
    "spinal_cord": 26,
    "sternum": 27,
    "esophagus": 28,
    "fiducial": 29,
}


def smooth_noise(
    rng: np.random.Generator, scale_mm: float, shape: tuple[int, int, int] = SHAPE
) -> Float32:
    """Gaussian noise (k, j, i) of about unit deviation with features of `scale_mm`.

    A random lattice under a cubic B-spline, evaluated by one matrix product per axis.
    """
    bases = [_spline_basis(size, scale_mm / SPACING_MM) for size in shape]
    lattice = rng.standard_normal([basis.shape[1] for basis in bases], dtype=np.float32)
    for basis in bases:
        lattice = np.moveaxis(np.tensordot(basis, lattice, axes=(1, 0)), 0, -1)
    # A cubic B-spline keeps (2/3)^2 + 2 (1/6)^2 .. of the lattice's variance along each axis.
    return np.ascontiguousarray(lattice) * np.float32(3.2)


def _spline_basis(size: int, step: float) -> Float32:
    position = np.arange(size) / step
    count = int(np.ceil(position[-1])) + 4
    distance = np.abs(position[:, None] + 1.0 - np.arange(count)[None])
    inner = 2.0 / 3.0 - distance**2 + distance**3 / 2.0
    outer = (2.0 - distance) ** 3 / 6.0
    basis = np.where(distance < 1.0, inner, np.where(distance < 2.0, outer, 0.0))
    return basis.astype(np.float32)


@dataclass(slots=True, eq=False)
class Canvas:
    """The torso while it is drawn. x, y, z (k, j, i): mm, bent by smooth noise."""

    rng: np.random.Generator
    x: Float32
    y: Float32
    z: Float32
    wobble: Float32  # (k, j, i) unit noise of about 14 mm for uneven surfaces
    mottle: Float32  # (k, j, i) unit noise of about 6 mm for texture
    hu: Float32 = field(init=False)
    labels: NDArray[np.uint8] = field(init=False)

    def __post_init__(self) -> None:
        self.hu = np.full(SHAPE, -1000.0, dtype=np.float32)
        self.labels = np.zeros(SHAPE, dtype=np.uint8)

    def box(self, centre_mm: ArrayLike, reach_mm: ArrayLike) -> Box:
        """The part of the grid within `reach_mm` (3,) of a point (3,)."""
        index = (np.asarray(centre_mm, dtype=np.float64) - ORIGIN_MM) / SPACING_MM
        reach = (np.asarray(reach_mm, dtype=np.float64) + 3.0 * WARP_MM) / SPACING_MM
        limit = np.array(SHAPE[::-1])
        low = np.clip(np.floor(index - reach).astype(int), 0, limit)
        high = np.clip(np.ceil(index + reach).astype(int) + 1, 0, limit)
        return Box(self, (slice(low[2], high[2]), slice(low[1], high[1]), slice(low[0], high[0])))

    def whole(self) -> Box:
        return Box(self, (slice(None), slice(None), slice(None)))

    def unwarp(self, points_mm: ArrayLike) -> FloatArray:
        """Where on the voxel grid a point (n, 3) of the undisturbed drawing lands; mm."""
        target = np.atleast_2d(np.asarray(points_mm, dtype=np.float64))
        real = target
        limit = np.array(SHAPE[::-1]) - 1
        for _ in range(3):
            ijk = np.clip(np.rint((real - ORIGIN_MM) / SPACING_MM).astype(int), 0, limit)
            at = (ijk[:, 2], ijk[:, 1], ijk[:, 0])
            grid = ORIGIN_MM + ijk * SPACING_MM
            drawn = np.stack([self.x[at], self.y[at], self.z[at]], axis=1)
            real = target - (drawn - grid)
        return real

    def tube(
        self,
        points_mm: ArrayLike,
        radii_mm: ArrayLike,
        flatten: float = 1.0,
        outward: ArrayLike | None = None,
    ) -> tuple[Box, Float32]:
        """Normalised distance (1 at the wall) around a polyline (n, 3) with radii (n,).

        `outward` (n, 3): direction along which the tube is `flatten` times its radius.
        """
        real = self.unwarp(points_mm)
        radii = np.broadcast_to(np.asarray(radii_mm, dtype=np.float64), (len(real),))
        points, radii, outwards = _dense(real, radii, outward)
        middle = (points.min(axis=0) + points.max(axis=0)) / 2.0
        reach = (points.max(axis=0) - points.min(axis=0)) / 2.0 + 2.0 * radii.max()
        box = self.box(middle, reach)
        distance = np.full(tuple(s.stop - s.start for s in box.spans), 9.0, dtype=np.float32)
        if distance.size:
            start = np.array([box.spans[axis].start for axis in (2, 1, 0)])
            local = (points - ORIGIN_MM) / SPACING_MM - start
            _stamp(distance, local, radii / SPACING_MM, outwards, flatten)
        return box, distance


@dataclass(frozen=True, slots=True, eq=False)
class Box:
    """A block of the canvas; arrays are views of (k, j, i) inside it."""

    canvas: Canvas
    spans: tuple[slice, slice, slice]

    @property
    def xyz(self) -> tuple[Float32, Float32, Float32]:
        c = self.canvas
        return c.x[self.spans], c.y[self.spans], c.z[self.spans]

    @property
    def labels(self) -> NDArray[np.uint8]:
        return self.canvas.labels[self.spans]

    @property
    def hu(self) -> Float32:
        return self.canvas.hu[self.spans]

    @property
    def wobble(self) -> Float32:
        return self.canvas.wobble[self.spans]

    @property
    def mottle(self) -> Float32:
        return self.canvas.mottle[self.spans]

    def solid(self, centre_mm: Sequence[float], radii_mm: Sequence[float]) -> Float32:
        """Normalised distance to an ellipsoid: 1 on its surface."""
        x, y, z = self.xyz
        total = ((x - np.float32(centre_mm[0])) / np.float32(radii_mm[0])) ** 2
        total += ((y - np.float32(centre_mm[1])) / np.float32(radii_mm[1])) ** 2
        total += ((z - np.float32(centre_mm[2])) / np.float32(radii_mm[2])) ** 2
        return np.asarray(np.sqrt(total))

    def is_any(self, *names: str) -> Mask:
        lookup = np.zeros(256, dtype=bool)
        lookup[[LABELS[name] for name in names]] = True
        return np.asarray(lookup[self.labels])

    def paint(self, mask: Mask, name: str, hu: float | Float32) -> None:
        np.copyto(self.labels, np.uint8(LABELS[name]), where=mask)
        np.copyto(self.hu, hu, where=mask, casting="same_kind")


def _dense(
    points: FloatArray, radii: FloatArray, outward: ArrayLike | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    fine = np.linspace(0.0, along[-1], max(2, int(along[-1] / 0.8) + 1))

    def spread(columns: FloatArray) -> FloatArray:
        return np.stack([np.interp(fine, along, column) for column in columns.T], axis=1)

    outwards = np.zeros((len(fine), 3)) if outward is None else spread(np.asarray(outward))
    return spread(points), np.interp(fine, along, radii), outwards


@njit(cache=True, nogil=True)
def _stamp(
    distance: Float32, points: FloatArray, radii: FloatArray, outwards: FloatArray, flatten: float
) -> None:
    depth, height, width = distance.shape
    for n in range(points.shape[0]):
        x, y, z = points[n]
        reach = 1.6 * radii[n] + 1.0
        ox, oy, oz = outwards[n]
        for k in range(max(0, int(z - reach)), min(depth, int(z + reach) + 2)):
            for j in range(max(0, int(y - reach)), min(height, int(y + reach) + 2)):
                for i in range(max(0, int(x - reach)), min(width, int(x + reach) + 2)):
                    dx = i - x
                    dy = j - y
                    dz = k - z
                    along = dx * ox + dy * oy + dz * oz
                    square = dx * dx + dy * dy + dz * dz
                    square += along * along * (1.0 / (flatten * flatten) - 1.0)
                    value = np.sqrt(square) / radii[n]
                    distance[k, j, i] = min(distance[k, j, i], value)


def new_canvas(seed: int) -> Canvas:
    """An empty grid, bent so that no organ is a perfect ellipsoid."""
    rng = np.random.default_rng(seed)
    k, j, i = (np.arange(size, dtype=np.float32) * np.float32(SPACING_MM) for size in SHAPE)
    axes = (
        (i + np.float32(ORIGIN_MM[0]))[None, None, :],
        (j + np.float32(ORIGIN_MM[1]))[None, :, None],
        (k + np.float32(ORIGIN_MM[2]))[:, None, None],
    )
    bent = [
        axis + WARP_MM * np.clip(smooth_noise(rng, 55.0), -2.0, 2.0) * np.float32(0.8)
        for axis in axes
    ]
    wobble, mottle = smooth_noise(rng, 14.0), smooth_noise(rng, 6.0)
    return Canvas(rng, bent[0], bent[1], bent[2], wobble=wobble, mottle=mottle)
