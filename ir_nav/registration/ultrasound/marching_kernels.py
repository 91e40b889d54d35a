"""Compiled loops that walk beams through prepared tissue: numba, no GIL."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Singles = NDArray[np.float32]
Doubles = NDArray[np.float64]

SILENT_DB = -120.0

# Thresholds on code bytes: what is hardly passed and has no CT number is gas.
OPAQUE, EMPTY = 127.0, 10.0
# Weaker changes of the impedance are the CT's noise, not surfaces.
NOISE_CHANGE = 0.012
# Beyond this much gel between face and skin nothing gets through.
GEL_MM = 7.0
GAS_ENTRY_DB = -24.0


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy", inline="always")
def _lanes(code: np.uint32) -> np.uint64:
    """Four bytes in four lanes of 16 bits: 0, 2, 1, 3 from below."""
    wide = np.uint64(code)
    return (wide & np.uint64(0x00FF00FF)) | ((wide & np.uint64(0xFF00FF00)) << np.uint64(24))


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy", inline="always")
def _first(code: np.uint32) -> np.float32:
    return np.float32(np.int32(code & np.uint32(255)))


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def march(
    codes: NDArray[np.uint32],
    starts: Doubles,
    steps: Doubles,
    step_mm: float,
    grid_mm: float,
    loss_db_per_code: float,
    log_z_step: float,
    low: int,
    high: int,
    level: Singles,
    through: Singles,
    surface: Singles,
    hu: Singles,
    gas_at: NDArray[np.int32],
) -> None:
    """Walk beams [low, high) through the packed codes; starts, steps (beams, 3) in voxels.

    Into (beams, samples): scatter code, amplitude that gets there and back, impedance step per mm
    times the fourth power of the cosine of incidence (a mirror seen by a finite aperture), the
    CT number's code. gas_at (beams,): the sample where gas begins, or -1. Impedance and its
    gradient are exact; the other bytes are mixed in fixed point with weights of 1/256.
    """
    samples = level.shape[1]
    flat = codes.ravel()
    line = np.int64(codes.shape[2])
    plane = np.int64(codes.shape[1]) * line
    last_x, last_y, last_z = codes.shape[2] - 1.001, codes.shape[1] - 1.001, codes.shape[0] - 1.001
    right, down, below = np.uint64(1), np.uint64(line), np.uint64(plane)
    one, full, half = np.float32(1.0), np.float32(256.0), np.float32(0.5)
    per_mm, quiet = np.float32(log_z_step / grid_mm), np.float32(NOISE_CHANGE)
    half_step = 0.5 * log_z_step
    byte = np.uint64(255)
    per_db = np.float32(np.log(10.0) / 20.0)
    for beam in range(low, high):
        x, y, z = starts[beam]
        dx, dy, dz = steps[beam]
        length = np.sqrt(dx * dx + dy * dy + dz * dz)
        ux, uy, uz = np.float32(dx / length), np.float32(dy / length), np.float32(dz / length)
        passed: Any = 0.0
        gap = 0.0
        in_body = False
        before = np.float32(0.0)
        entry = -1
        row = through[beam]
        for s in range(samples):
            change = np.float32(0.0)
            impedance, scattered, absorbed, number = np.float32(0.0), 0.0, 255.0, 0.0
            if 0.0 <= x < last_x and 0.0 <= y < last_y and 0.0 <= z < last_z:
                i, j, k = np.int64(x), np.int64(y), np.int64(z)
                fx, fy, fz = np.float32(x - i), np.float32(y - j), np.float32(z - k)
                at = np.uint64(k * plane + j * line + i)
                c000, c100 = flat[at], flat[at + right]
                c010, c110 = flat[at + down], flat[at + down + right]
                at += below
                c001, c101 = flat[at], flat[at + right]
                c011, c111 = flat[at + down], flat[at + down + right]
                near, far = (one - fy) * (one - fz), fy * (one - fz)
                deep, deepest = (one - fy) * fz, fy * fz
                w100, w110 = np.uint64(near * fx * full + half), np.uint64(far * fx * full + half)
                w101, w111 = (
                    np.uint64(deep * fx * full + half),
                    np.uint64(deepest * fx * full + half),
                )
                w000 = np.uint64(near * full + half) - w100
                w010 = np.uint64(far * full + half) - w110
                w001 = np.uint64(deep * full + half) - w101
                w011 = np.uint64(256) - (w000 + w100 + w010 + w110 + w001 + w101 + w111)
                mixed = (
                    w000 * _lanes(c000)
                    + w100 * _lanes(c100)
                    + w010 * _lanes(c010)
                    + w110 * _lanes(c110)
                    + w001 * _lanes(c001)
                    + w101 * _lanes(c101)
                    + w011 * _lanes(c011)
                    + w111 * _lanes(c111)
                )
                absorbed = np.float64(np.int64((mixed >> np.uint64(24)) & byte))
                scattered = np.float64(np.int64((mixed >> np.uint64(32)) & np.uint64(65535))) / 256
                number = np.float64(np.int64(mixed >> np.uint64(48))) / 256
                z000, z010, z001, z011 = _first(c000), _first(c010), _first(c001), _first(c011)
                d00, d10 = _first(c100) - z000, _first(c110) - z010
                d01, d11 = _first(c101) - z001, _first(c111) - z011
                gx = near * d00 + far * d10 + deep * d01 + deepest * d11
                top, bottom = z000 + fx * d00, z010 + fx * d10
                top_deep, bottom_deep = z001 + fx * d01, z011 + fx * d11
                gy = (one - fz) * (bottom - top) + fz * (bottom_deep - top_deep)
                gz = (one - fy) * (top_deep - top) + fy * (bottom_deep - bottom)
                impedance = near * top + far * bottom + deep * top_deep + deepest * bottom_deep
                along = gx * ux + gy * uy + gz * uz
                square = gx * gx + gy * gy + gz * gz + np.float32(1e-6)
                cosine2 = along * along / square
                change = np.sqrt(square) * cosine2 * cosine2 * per_mm - quiet
            gas = absorbed > OPAQUE and number < EMPTY
            if in_body:
                step = half_step * (impedance - before)
                passed -= 8.686 * step * step  # 20 log10(1 - r^2), r small
                if gas and entry < 0:
                    entry = s
            else:
                change = np.float32(0.0)
                if gas:
                    gap += step_mm
                    if gap > GEL_MM:
                        passed = SILENT_DB
                    scattered, absorbed = 96.0, 0.0  # gel hardly scatters and hardly absorbs
                else:
                    in_body = True
            before = impedance
            level[beam, s] = scattered
            row[s] = passed
            hu[beam, s] = number
            surface[beam, s] = max(change, np.float32(0.0))
            if entry == s:
                passed += GAS_ENTRY_DB
            passed = max(passed - absorbed * loss_db_per_code, SILENT_DB)
            x += dx
            y += dy
            z += dz
        gas_at[beam] = entry
        for s in range(samples):
            row[s] = np.exp(per_db * row[s])


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def echo_db(
    level: Singles,
    through: Singles,
    surface: Singles,
    scatter_of: Singles,
    surface_gain: float,
    tgc_db: Singles,
    echo: Singles,
    reach: Singles,
) -> None:
    """Mean echo and what gets there and back after time gain, both (beams, samples) in dB.

    scatter_of (256,): amplitude of a scatter code. tgc_db (samples,).
    """
    per_neper = np.float32(10.0 / np.log(10.0))
    gain = np.float32(surface_gain)
    for beam in range(level.shape[0]):
        for s in range(level.shape[1]):
            rough = scatter_of[int(level[beam, s])]
            flat = surface[beam, s] * gain
            passed = through[beam, s] * through[beam, s] + np.float32(1e-12)
            arrived = per_neper * np.log(passed) + tgc_db[s]
            reach[beam, s] = arrived
            power = rough * rough + flat * flat
            echo[beam, s] = arrived + per_neper * np.log(power + np.float32(1e-9))


@njit(cache=True, nogil=True, error_model="numpy")
def scan_convert_floats(
    source: Singles,
    pixels: NDArray[np.int32],
    corners: NDArray[np.int32],
    shares: NDArray[np.uint16],
    image: Singles,
) -> None:
    """`scan_convert` of a float channel."""
    flat, target = source.ravel(), image.ravel()
    samples = source.shape[1]
    unit = np.float32(1.0 / 256.0)
    for n in range(pixels.shape[0]):
        at = corners[n]
        across, along = shares[n, 0] * unit, shares[n, 1] * unit
        first = flat[at] + along * (flat[at + 1] - flat[at])
        second = flat[at + samples] + along * (flat[at + samples + 1] - flat[at + samples])
        target[pixels[n]] = first + across * (second - first)
