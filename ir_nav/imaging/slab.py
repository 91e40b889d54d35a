"""Slabs: what lies within some mm of a plane, projected onto it."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

import numpy as np

from ir_nav.geometry import FloatArray
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.reslice import ByteImage, reslice_window
from ir_nav.imaging.slab_kernels import MAXIMUM, MEAN, MINIMUM, slab_rows
from ir_nav.imaging.volume import Volume, VolumeInfo

THICKEST_MM = 200.0
MOST_SAMPLES = 160
# Fewer rows than this are not worth a second core.
LEAST_ROWS = 64


class Projection(StrEnum):
    """What a pixel shows of the voxels behind one another."""

    MIP = "MIP"
    MINIP = "MinIP"
    MEAN = "Mean"


@dataclass(frozen=True, slots=True)
class Slab:
    """thickness_mm: across the plane, half of it on either side; 0 for the plane alone."""

    thickness_mm: float = 0.0
    projection: Projection = Projection.MIP

    def __post_init__(self) -> None:
        if not 0.0 <= self.thickness_mm <= THICKEST_MM:
            raise ImagingError(f"a slab is 0 to {THICKEST_MM:.0f} mm thick")


_KINDS = {Projection.MIP: MAXIMUM, Projection.MINIP: MINIMUM, Projection.MEAN: MEAN}


def reslice_slab(
    volume: Volume,
    ct_from_view: FloatArray,
    size_px: tuple[int, int],
    slab: Slab,
    window_hu: float,
    level_hu: float,
    out: ByteImage | None = None,
    *,
    least_step_mm: float = 0.0,
) -> ByteImage:
    """A slab windowed to 8 bit, (rows, columns) uint8; arguments as for `reslice_window`.

    Trilinear samples one voxel apart along the normal, the extremes' first and last on the
    slab's faces; samples outside the volume are left out, 0 where all are. Two threads, no GIL.
    least_step_mm: samples no nearer than this, for a slab that is moving.
    """
    if slab.thickness_mm <= 0.0:
        return reslice_window(volume, ct_from_view, size_px, window_hu, level_hu, out)
    columns, rows = size_px
    image = np.empty((rows, columns), np.uint8) if out is None else out
    if image.shape != (rows, columns) or image.dtype != np.uint8 or not image.flags.c_contiguous:
        raise ImagingError(f"`out` must be a contiguous ({rows}, {columns}) uint8 image")
    width = max(float(window_hu), 1.0)
    depths_mm = sample_depths_mm(volume, ct_from_view[:3, 2], slab, least_step_mm)
    depths = depths_mm / float(np.linalg.norm(ct_from_view[:3, 2]))
    voxel_from_view = volume.voxel_from_ct @ ct_from_view
    low_hu, gain = level_hu - width / 2.0, 255.0 / width

    def fill(first: int, last: int) -> None:
        part = image[first:last]
        kind = _KINDS[slab.projection]
        slab_rows(volume.voxels, voxel_from_view, depths, kind, low_hu, gain, first, part)

    if rows < LEAST_ROWS:
        fill(0, rows)
    else:
        second = _second_core().submit(fill, rows // 2, rows)
        fill(0, rows // 2)
        second.result()
    return image


def sample_depths_mm(
    volume: Volume, normal_ct: FloatArray, slab: Slab, least_step_mm: float = 0.0
) -> FloatArray:
    """(n,) where the samples of a slab lie along the plane's normal, 0 in the plane."""
    normal = normal_ct / np.linalg.norm(normal_ct)
    axes = volume.ct_from_voxel[:3, :3]
    spacing = np.linalg.norm(axes, axis=0)
    # In this many mm the normal crosses one layer of voxels, of those crossed soonest.
    step_mm = 1.0 / float(np.max(np.abs(normal @ (axes / spacing)) / spacing))
    step_mm = max(step_mm, least_step_mm)
    thick = slab.thickness_mm
    if thick <= 0.0:
        return np.zeros(1)
    if slab.projection is Projection.MEAN:
        count = min(max(2, math.ceil(thick / step_mm)), MOST_SAMPLES)
        return (np.arange(count) + 0.5) / count * thick - thick / 2.0
    count = min(math.ceil(thick / step_mm) + 1, MOST_SAMPLES)
    return np.linspace(-thick / 2.0, thick / 2.0, max(count, 2))


def compile_slabs() -> None:
    """Compile or load the slab's inner loop, so that the first slab does not stall."""
    volume = Volume(np.zeros((2, 2, 2), np.int16), np.eye(4), "", VolumeInfo())
    for projection in Projection:
        reslice_slab(volume, np.eye(4), (2, 2), Slab(1.0, projection), 400.0, 40.0)


@cache
def _second_core() -> ThreadPoolExecutor:
    """Numba's own thread pool may not be entered from two threads at once on every platform."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="slab")
