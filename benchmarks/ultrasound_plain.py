"""The simulated ultrasound in plain numpy and scipy: the peer, and a check of the compiled one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ir_nav.geometry import FloatArray
from ir_nav.registration.ultrasound import marching_kernels, simulator, simulator_kernels
from ir_nav.registration.ultrasound.acoustics import (
    LOG_Z_STEP,
    LOSS_STEP,
    Acoustics,
    scatter_amplitudes,
)
from ir_nav.registration.ultrasound.fan import Fan
from ir_nav.registration.ultrasound.marching import BEAMS, SAMPLES, beams_in
from ir_nav.registration.ultrasound.simulator import Settings

FINE = simulator_kernels.FINE


def simulate_plain(
    acoustics: Acoustics, fan: Fan, ct_from_image: FloatArray, size_px: tuple[int, int]
) -> NDArray[np.uint8]:
    """As simulator.simulate with its standard settings, an array operation at a time."""
    used = Settings()
    look = simulator._look(fan, used)
    level, through, surface, gas_at = _marched(acoustics, fan, ct_from_image, used.frequency_mhz)
    through = _across(through, look.aperture)
    rough = np.interp(level, np.arange(256), scatter_amplitudes() * simulator.PER_TEXTURE) * through
    flat = surface * simulator.SURFACE_GAIN * through
    _ring(rough, through, gas_at, fan, ct_from_image)
    real, imaginary = _texture(fan, ct_from_image)
    coarse, fine = np.arange(SAMPLES), np.arange(FINE * (SAMPLES - 1) + 1) / FINE
    rough, flat = (
        np.stack([np.interp(fine, coarse, beam) for beam in channel]) for channel in (rough, flat)
    )
    parts = [rough * real + flat * (40.0 + real), (rough + 0.3 * flat) * imaginary]
    parts = [ndimage.correlate1d(_across(part, look.beam), look.pulse, axis=1) for part in parts]
    power = parts[0] ** 2 + parts[1] ** 2 + look.noise_power
    grey = 255.0 / used.range_db * 10.0 * np.log10(power) + look.gain_grey
    return _converted(np.clip(grey, 0.0, 255.0), fan, size_px)


def _marched(
    acoustics: Acoustics, fan: Fan, ct_from_image: FloatArray, frequency_mhz: float
) -> tuple[FloatArray, FloatArray, FloatArray, NDArray[np.int64]]:
    step_mm = fan.depth_mm / (SAMPLES - 1)
    start, step = beams_in(acoustics.voxel_from_ct @ ct_from_image, fan, BEAMS, step_mm)
    places = start[:, None] + step[:, None] * np.arange(SAMPLES)[:, None]
    at = places.reshape(-1, 3)[:, ::-1].T
    shape = places.shape[:2]
    z, level, loss, number = (
        ndimage.map_coordinates(
            acoustics.codes[..., n], at, np.float64, order=1, cval=255.0 if n == 2 else 0.0
        ).reshape(shape)
        for n in range(4)
    )
    slopes = []
    for axis in range(3):
        aside = np.zeros((3, 1))
        aside[axis] = 0.5
        low, high = (
            ndimage.map_coordinates(acoustics.codes[..., 0], at + sign * aside, np.float64, order=1)
            for sign in (-1.0, 1.0)
        )
        slopes.append((high - low).reshape(shape))
    square = sum(slope**2 for slope in slopes) + 1e-6
    ways = step[:, ::-1] / np.linalg.norm(step, axis=1, keepdims=True)
    along = sum(slope * ways[:, axis, None] for axis, slope in enumerate(slopes))
    grid_mm = 1.0 / np.linalg.norm(acoustics.voxel_from_ct[0, :3])
    change = np.sqrt(square) * (along**2 / square) ** 2 * LOG_Z_STEP / grid_mm
    gas = (loss > marching_kernels.OPAQUE) & (number < marching_kernels.EMPTY)
    body = np.cumsum(~gas, axis=1) > 0
    before_body = ~body
    off = before_body & (np.cumsum(before_body, axis=1) * step_mm > marching_kernels.GEL_MM)
    level[before_body], loss[before_body] = 96.0, 0.0
    change[before_body] = 0.0
    surface = np.maximum(change - marching_kernels.NOISE_CHANGE, 0.0)
    jump = 0.5 * LOG_Z_STEP * np.diff(z, axis=1, prepend=z[:, :1]) * body
    jump[:, 1:] *= body[:, :-1]
    inner = gas & body
    gas_at = np.where(inner.any(axis=1), inner.argmax(axis=1), -1)
    lost_db = loss * LOSS_STEP * frequency_mhz * 2.0 * step_mm / 10.0
    lost_db[np.arange(BEAMS)[gas_at >= 0], gas_at[gas_at >= 0]] -= marching_kernels.GAS_ENTRY_DB
    # What is lost in a sample is missing after it; what a surface reflects, from it on.
    passed = -np.cumsum(np.pad(lost_db, ((0, 0), (1, 0)))[:, :-1], axis=1)
    passed -= np.cumsum(8.686 * jump**2, axis=1)
    passed[np.maximum.accumulate(off, axis=1)] = marching_kernels.SILENT_DB
    passed = np.maximum(passed, marching_kernels.SILENT_DB)
    return level, 10.0 ** (passed / 20.0), surface, gas_at


def _across(image: FloatArray, taps: FloatArray) -> FloatArray:
    half = len(taps) // 2
    padded = np.pad(image, ((half, half), (0, 0)), mode="edge")
    return np.asarray(sum(taps[n] * padded[n : n + len(image)] for n in range(len(taps))))


def _ring(
    rough: FloatArray,
    through: FloatArray,
    gas_at: NDArray[np.int64],
    fan: Fan,
    ct_from_image: FloatArray,
) -> None:
    kernels = simulator_kernels
    step_mm = fan.depth_mm / (SAMPLES - 1)
    real, _ = _texture(fan, ct_from_image)
    for beam in np.flatnonzero(gas_at >= 0):
        gas = gas_at[beam]
        grain = real[beam, gas * FINE] / 32.0
        ring = through[beam, max(gas - 1, 0)] * 10.0 ** (kernels.RING_DB / 20.0)
        ring *= 0.12 + 0.88 * grain**2
        samples = np.arange(gas + 1, SAMPLES)
        back = 2 * gas - samples
        seen = np.where(back > 4, rough[beam, np.maximum(back, 0)], 0.0)
        fade = 10.0 ** (kernels.RING_DB_PER_MM * step_mm * (samples - gas - 1) / 20.0)
        rough[beam, samples] += ring * fade + seen * 10.0 ** (kernels.MIRROR_DB / 20.0)


def _texture(fan: Fan, ct_from_image: FloatArray) -> tuple[FloatArray, FloatArray]:
    start, step = simulator._on_texture(fan, ct_from_image)
    count = np.arange(FINE * (SAMPLES - 1) + 1)
    cells = ((start[:, None] + step[:, None] * count[:, None]) >> 20) & 63
    found = simulator._texture()[cells[..., 2], cells[..., 1], cells[..., 0]].astype(np.float64)
    return found[..., 0], found[..., 1]


def _converted(grey: FloatArray, fan: Fan, size_px: tuple[int, int]) -> NDArray[np.uint8]:
    columns, rows = size_px
    v, u = np.mgrid[0:rows, 0:columns]
    across, depth_mm = fan.beam_coordinates(np.stack([u, v], axis=-1))
    at = np.stack([across * (BEAMS - 1), depth_mm / fan.depth_mm * (grey.shape[1] - 1)])
    return np.rint(ndimage.map_coordinates(grey, at, order=1, cval=0.0)).astype(np.uint8)
