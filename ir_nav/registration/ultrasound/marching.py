"""Beams walked through a CT's acoustics: what an image is compared with, and drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ir_nav.geometry import FloatArray
from ir_nav.imaging.volume import frozen_view
from ir_nav.registration.ultrasound import marching_kernels as kernels
from ir_nav.registration.ultrasound.acoustics import (
    HU_LOW,
    HU_STEP,
    LOG_Z_STEP,
    LOSS_STEP,
    Acoustics,
)
from ir_nav.registration.ultrasound.fan import Fan, check_same_scale
from ir_nav.threads import in_ranges

BEAMS = 256
SAMPLES = 171
PIECES_PER_CORE = 1
# Fewer samples than this take less time than handing them to other threads.
SMALL = 20_000

Singles = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """What the CT says of each pixel, (rows, columns) float32; 0 outside `inside`.

    reflection: change of the logarithm of the impedance per mm, times the fourth power of the
    cosine of incidence. transmission: amplitude that gets there and back without gain, 0 to 1.
    ct_hu: CT number, clipped to what soft tissue needs (-160 to 350 HU).
    """

    reflection: Singles
    transmission: Singles
    ct_hu: Singles
    inside: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Marched:
    """Beams walked through the tissue, (beams, samples) float32.

    level: scatter code. through: amplitude there and back. surface: see Expected.reflection.
    hu_code: CT number in steps of HU_STEP above HU_LOW. gas_at (beams,): sample where gas
    begins, or -1.
    """

    level: Singles
    through: Singles
    surface: Singles
    hu_code: Singles
    gas_at: NDArray[np.int32]


def expected(
    acoustics: Acoustics,
    fan: Fan,
    ct_from_image: FloatArray,
    size_px: tuple[int, int],
    frequency_mhz: float = 3.5,
) -> Expected:
    """The channels a similarity compares a frame with; arguments as in `simulate`."""
    check_same_scale(fan, ct_from_image)
    marched = march_beams(acoustics, fan, ct_from_image, BEAMS, SAMPLES, frequency_mhz)
    raster = raster_of(fan, size_px, BEAMS, SAMPLES)
    hu = marched.hu_code * np.float32(HU_STEP) + np.float32(HU_LOW)
    images = []
    for channel in (marched.surface, marched.through, hu):
        image = np.zeros(size_px[::-1], np.float32)
        kernels.scan_convert_floats(channel, raster.pixels, raster.corners, raster.shares, image)
        images.append(image)
    inside = np.zeros(size_px[::-1], np.bool_)
    inside.ravel()[raster.pixels] = True
    reflection, transmission, ct_hu = (frozen_view(image) for image in images)
    return Expected(reflection, transmission, ct_hu, frozen_view(inside))


def march_beams(
    acoustics: Acoustics,
    fan: Fan,
    ct_from_image: FloatArray,
    beams: int,
    samples: int,
    frequency_mhz: float,
) -> Marched:
    """Walk `beams` beams in `samples` steps from the face to the fan's depth."""
    step_mm = fan.depth_mm / (samples - 1)
    start, step = beams_in(acoustics.voxel_from_ct @ ct_from_image, fan, beams, step_mm)
    grid_mm = float(1.0 / np.linalg.norm(acoustics.voxel_from_ct[0, :3]))
    loss_db = LOSS_STEP * frequency_mhz * 2.0 * step_mm / 10.0
    level, through, surface, hu = (np.empty((beams, samples), np.float32) for _ in range(4))
    gas_at = np.empty(beams, np.int32)
    codes = acoustics.packed

    def walk(part: tuple[int, int]) -> None:
        kernels.march(
            codes,
            start,
            step,
            step_mm,
            grid_mm,
            loss_db,
            LOG_Z_STEP,
            *part,
            level,
            through,
            surface,
            hu,
            gas_at,
        )

    if beams * samples < SMALL:
        walk((0, beams))
    else:
        in_ranges(beams, walk, PIECES_PER_CORE)
    return Marched(level, through, surface, hu, gas_at)


@dataclass(frozen=True, slots=True, eq=False)
class Raster:
    """Where pixels inside the fan lie in beam space: flat pixel and corner (n,), shares (n, 2)
    across and along the beam in 1/256."""

    pixels: NDArray[np.int32]
    corners: NDArray[np.int32]
    shares: NDArray[np.uint16]


@lru_cache(maxsize=8)
def raster_of(fan: Fan, size_px: tuple[int, int], beams: int, samples: int) -> Raster:
    """The table that scan conversion reads; 0.1 s the first time."""
    columns, rows = size_px
    v, u = np.mgrid[0:rows, 0:columns]
    across, depth_mm = fan.beam_coordinates(np.stack([u, v], axis=-1))
    beam, sample = across * (beams - 1), depth_mm / fan.depth_mm * (samples - 1)
    inside = (beam >= 0) & (beam <= beams - 1) & (sample >= 0) & (sample <= samples - 1)
    beam, sample = beam[inside], sample[inside]
    beam0 = np.minimum(beam.astype(np.int64), beams - 2)
    sample0 = np.minimum(sample.astype(np.int64), samples - 2)
    shares = np.rint(np.stack([beam - beam0, sample - sample0], axis=1) * 256.0)
    corners = (beam0 * samples + sample0).astype(np.int32)
    pixels = np.flatnonzero(inside).astype(np.int32)
    return Raster(pixels, corners, shares.astype(np.uint16))


def beams_in(
    target_from_image: FloatArray, fan: Fan, beams: int, step_mm: float
) -> tuple[FloatArray, FloatArray]:
    """Start and step (beams, 3) of each beam in a frame that the image's pixels map to."""
    start_px, step_px = fan.beams_px(beams)
    linear = np.asarray(target_from_image, dtype=np.float64)[:3, :2]
    start = start_px @ linear.T + target_from_image[:3, 3]
    return np.ascontiguousarray(start), np.ascontiguousarray(step_px @ linear.T * step_mm)
