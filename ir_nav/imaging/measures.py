"""What a reader measures in a volume: areas and balls with their CT numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ir_nav.geometry import FloatArray
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.volume import Volume, sample

# A plane this nearly parallel to a layer of voxels takes that layer's voxels as they are: the
# cosine of 0.8 degrees.
PARALLEL = 0.9999
# Beyond this an area is sampled more coarsely than the voxels.
MOST_SAMPLES = 400_000
ELLIPSE_POINTS = 180
FLAT_MM = 1e-3


@dataclass(frozen=True, slots=True)
class HuStatistics:
    """CT numbers of a region. sd_hu: of the population. count: voxels or samples.

    interpolated: the plane is oblique, the values are trilinear samples one voxel apart, whose
    noise is less than the voxels' own.
    """

    mean_hu: float
    sd_hu: float
    min_hu: float
    max_hu: float
    count: int
    interpolated: bool


def polygon_area_mm2(corners_ct_mm: ArrayLike) -> float:
    """Area of a flat polygon (n, 3): half the length of the summed cross products."""
    corners = np.asarray(corners_ct_mm, dtype=np.float64)
    off = corners - corners[0]
    total = np.cross(off[1:-1], off[2:]).sum(axis=0)
    return float(np.linalg.norm(total)) / 2.0


def ellipse_area_mm2(half_ct_mm: ArrayLike, other_half_ct_mm: ArrayLike) -> float:
    """Area of an ellipse by two conjugate half-axes (3,): pi times their cross product."""
    halves = np.asarray(half_ct_mm, np.float64), np.asarray(other_half_ct_mm, np.float64)
    return float(np.pi * np.linalg.norm(np.cross(*halves)))


def ellipse_outline(
    centre_ct_mm: ArrayLike, half_ct_mm: ArrayLike, other_half_ct_mm: ArrayLike
) -> FloatArray:
    """(180, 3) points on an ellipse in `ct`, mm."""
    turn = np.linspace(0.0, 2.0 * np.pi, ELLIPSE_POINTS, endpoint=False)[:, None]
    first, second = (np.asarray(half, np.float64) for half in (half_ct_mm, other_half_ct_mm))
    centre = np.asarray(centre_ct_mm, np.float64)
    return np.asarray(centre + np.cos(turn) * first + np.sin(turn) * second)


def area_statistics(volume: Volume, outline_ct_mm: ArrayLike) -> HuStatistics | None:
    """CT numbers inside a flat outline (n, 3) in `ct`, mm; None when it holds no voxel.

    In a plane parallel to a layer of voxels: the voxels of the nearest layer whose centres lie
    inside. In an oblique one: trilinear samples as far apart as the finest voxel spacing.
    Raises ImagingError for an outline that is not flat or has no area.
    """
    outline = np.asarray(outline_ct_mm, dtype=np.float64)
    if outline.ndim != 2 or len(outline) < 3:
        raise ImagingError("an area needs at least three points")
    right, down, normal = _plane_axes(outline)
    axes = volume.ct_from_voxel[:3, :3]
    spacing = np.array(volume.spacing_mm)
    across = np.abs(normal @ (axes / spacing))
    layer = int(np.argmax(across))
    if across[layer] >= PARALLEL:
        values = _layer_values(volume, outline, layer)
        return _statistics(values, interpolated=False)
    flat = (outline - outline[0]) @ np.stack([right, down], axis=1)
    low, high = flat.min(axis=0), flat.max(axis=0)
    step = max(float(spacing.min()), float(np.sqrt(np.prod(high - low) / MOST_SAMPLES)))
    places = _centred_grid(low, high, step)
    places = places[_inside(places, flat)]
    if len(places) == 0:
        return None
    found = sample(volume, outline[0] + places @ np.stack([right, down]))
    return _statistics(found[np.isfinite(found)].astype(np.float64), interpolated=True)


def ball_statistics(
    volume: Volume, centre_ct_mm: ArrayLike, radius_mm: float
) -> HuStatistics | None:
    """CT numbers of the voxels whose centres lie in a ball; None when it holds none."""
    if radius_mm <= 0.0:
        raise ImagingError("a ball needs a radius of more than 0 mm")
    centre = np.asarray(centre_ct_mm, dtype=np.float64)
    middle = volume.voxel_from_ct @ np.append(centre, 1.0)
    reach = radius_mm / np.array(volume.spacing_mm)
    size = np.array(volume.size_ijk)
    low = np.clip(np.ceil(middle[:3] - reach), 0, size).astype(int)
    high = np.clip(np.floor(middle[:3] + reach) + 1, 0, size).astype(int)
    if (high <= low).any():
        return None
    # Axes are orthogonal: distances in mm are the spacings' multiples.
    parts = [
        ((np.arange(low[axis], high[axis]) - middle[axis]) * volume.spacing_mm[axis]) ** 2
        for axis in range(3)
    ]
    square = parts[2][:, None, None] + parts[1][None, :, None] + parts[0][None, None, :]
    box = volume.voxels[low[2] : high[2], low[1] : high[1], low[0] : high[0]]
    return _statistics(box[square <= radius_mm**2], interpolated=False)


def ball_volume_mm3(radius_mm: float) -> float:
    """Volume of a ball."""
    return 4.0 / 3.0 * float(np.pi) * radius_mm**3


def _plane_axes(outline: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Two directions in the outline's plane and its normal, (3,) each."""
    off = outline - outline.mean(axis=0)
    _, sizes, directions = np.linalg.svd(off, full_matrices=False)
    if sizes[1] < FLAT_MM:
        raise ImagingError("an area needs points that are not on one line")
    if np.abs(off @ directions[2]).max() > 0.05:
        raise ImagingError("the points of an area lie in one plane")
    right, down = directions[0], directions[1]
    return right, down, np.cross(right, down)


def _layer_values(volume: Volume, outline: FloatArray, layer: int) -> FloatArray:
    """Voxels of the layer nearest to the outline whose centres lie inside it."""
    ones = np.ones((len(outline), 1))
    corners = (np.hstack([outline, ones]) @ volume.voxel_from_ct.T)[:, :3]
    size = volume.size_ijk
    index = int(np.rint(corners[:, layer].mean()))
    if not 0 <= index < size[layer]:
        return np.zeros(0)
    first, second = (axis for axis in range(3) if axis != layer)
    flat = corners[:, [first, second]]
    low = np.clip(np.ceil(flat.min(axis=0)), 0, [size[first], size[second]]).astype(int)
    high = np.clip(np.floor(flat.max(axis=0)) + 1, 0, [size[first], size[second]]).astype(int)
    if (high <= low).any():
        return np.zeros(0)
    one, two = (values.ravel() for values in np.mgrid[low[0] : high[0], low[1] : high[1]])
    chosen = _inside(np.stack([one, two], axis=1).astype(float), flat)
    place: list[object] = [0, 0, 0]
    place[layer], place[first], place[second] = index, one[chosen], two[chosen]
    return np.asarray(volume.voxels[place[2], place[1], place[0]], dtype=np.float64)  # type: ignore[index]


def _centred_grid(low: FloatArray, high: FloatArray, step: float) -> FloatArray:
    """(n, 2) places a step apart, as far from the lower as from the upper bounds."""
    lines = []
    for start, end in zip(low, high, strict=True):
        count = int((end - start) / step) + 1
        lines.append((start + end) / 2.0 + (np.arange(count) - (count - 1) / 2.0) * step)
    across, along = np.meshgrid(*lines, indexing="ij")
    return np.stack([across.ravel(), along.ravel()], axis=1)


def _inside(places: FloatArray, corners: FloatArray) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """(n,) whether places (n, 2) lie in a polygon (m, 2): even-odd rule."""
    inside = np.zeros(len(places), np.bool_)
    x, y = places[:, 0], places[:, 1]
    for one, two in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        crosses = (one[1] > y) != (two[1] > y)
        if not crosses.any():
            continue
        at = one[0] + (y[crosses] - one[1]) * (two[0] - one[0]) / (two[1] - one[1])
        inside[crosses] ^= x[crosses] < at
    return inside


def _statistics(values: FloatArray, *, interpolated: bool) -> HuStatistics | None:
    if len(values) == 0:
        return None
    numbers = np.asarray(values, dtype=np.float64)
    return HuStatistics(
        float(numbers.mean()),
        float(numbers.std()),
        float(numbers.min()),
        float(numbers.max()),
        len(numbers),
        interpolated,
    )
