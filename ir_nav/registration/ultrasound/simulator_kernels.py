"""Compiled loops of the simulated ultrasound: numba, no GIL; each works on a range of beams.

Beam space is (beam, sample): samples run from the face into the patient; echoes are `FINE` times
as close as the samples at which the tissue is looked up.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Singles = NDArray[np.float32]

FINE = 3
TEXTURE_BITS = 6
TEXTURE_ONE = 1 << 20
MIRROR_DB = -27.0
RING_DB, RING_DB_PER_MM = -22.0, -0.7


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def soften(amplitude: Singles, taps: Singles, low: int, high: int, out: Singles) -> None:
    """Shadows have soft edges: a wide aperture sees past the obstacle.

    amplitude, out (beams, samples): what gets there and back. taps (n, samples): symmetric, sum 1.
    """
    for beam in range(low, high):
        _across(amplitude, taps, beam, taps.shape[0] // 2, out[beam])


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def scatter(
    level: Singles,
    through: Singles,
    surface: Singles,
    gas_at: NDArray[np.int32],
    scatter_of: Singles,
    surface_gain: float,
    step_mm: float,
    texture: NDArray[np.int8],
    texture_start: NDArray[np.int64],
    texture_step: NDArray[np.int64],
    low: int,
    high: int,
    in_phase: Singles,
    quadrature: Singles,
) -> None:
    """Echoes of beams [low, high), (beams, FINE * (samples - 1) + 1), before the beam's width.

    scatter_of (256,): amplitude of a scatter code. texture (n, n, n, 2): complex noise fixed in
    the patient; texture_start, texture_step (beams, 3): where on it each beam runs, in 2**-20.
    """
    samples = level.shape[1]
    mask = (1 << TEXTURE_BITS) - 1
    rough = np.empty(samples, dtype=np.float32)
    mirror = np.empty(samples, dtype=np.float32)
    thirds = np.float32(1.0 / FINE)
    for beam in range(low, high):
        for s in range(samples):
            at = min(max(level[beam, s], np.float32(0.0)), np.float32(254.0))
            below = int(at)
            share = at - below
            plain = scatter_of[below] + share * (scatter_of[below + 1] - scatter_of[below])
            rough[s] = plain * through[beam, s]
            mirror[s] = surface[beam, s] * np.float32(surface_gain) * through[beam, s]
        gas = gas_at[beam]
        tx, ty, tz = texture_start[beam]
        sx, sy, sz = texture_step[beam]
        if gas >= 0:
            gx, gy, gz = tx + gas * FINE * sx, ty + gas * FINE * sy, tz + gas * FINE * sz
            grain = texture[
                (gz >> 20) & mask, (gy >> 20) & mask, (gx >> 20) & mask, 0
            ] / np.float32(32.0)
            ring = through[beam, max(gas - 1, 0)] * np.float32(10.0 ** (RING_DB / 20.0))
            ring *= np.float32(0.12) + np.float32(0.88) * grain * grain
            fade = np.float32(10.0 ** (RING_DB_PER_MM * step_mm / 20.0))
            mirrored = np.float32(10.0 ** (MIRROR_DB / 20.0))
            for s in range(gas + 1, samples):
                back = 2 * gas - s
                seen = rough[back] * mirrored if back > 4 else np.float32(0.0)
                rough[s] += ring + seen
                ring *= fade
        for s in range(samples - 1):
            amplitude, flat = rough[s], mirror[s]
            more, flatter = (rough[s + 1] - amplitude) * thirds, (mirror[s + 1] - flat) * thirds
            for n in range(FINE):
                cell = texture[(tz >> 20) & mask, (ty >> 20) & mask, (tx >> 20) & mask]
                real, imaginary = np.float32(cell[0]), np.float32(cell[1])
                fine = s * FINE + n
                in_phase[beam, fine] = amplitude * real + flat * (np.float32(40.0) + real)
                quadrature[beam, fine] = (amplitude + flat * np.float32(0.3)) * imaginary
                amplitude += more
                flat += flatter
                tx += sx
                ty += sy
                tz += sz
        last = (samples - 1) * FINE
        in_phase[beam, last] = in_phase[beam, last - 1]
        quadrature[beam, last] = quadrature[beam, last - 1]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def detect(
    in_phase: Singles,
    quadrature: Singles,
    beam_taps: Singles,
    pulse: Singles,
    noise_power: Singles,
    gain_grey: Singles,
    grey_per_octave: float,
    low: int,
    high: int,
    grey: Bytes,
) -> None:
    """The beam's width across beams, the pulse's length along them, power, noise, logarithm.

    beam_taps (n, samples), pulse (3,): symmetric. noise_power, gain_grey (beams, samples): added
    to the power, and to the grey value. log2 from the float's bits, within 0.01.
    """
    samples = in_phase.shape[1]
    half = beam_taps.shape[0] // 2
    wide_i = np.zeros(samples + 2, dtype=np.float32)
    wide_q = np.zeros(samples + 2, dtype=np.float32)
    power = np.empty(samples, dtype=np.float32)
    bits = power.view(np.int32)
    side, middle = pulse[0], pulse[1]
    octave = np.float32(grey_per_octave)
    for beam in range(low, high):
        _across(in_phase, beam_taps, beam, half, wide_i[1:-1])
        _across(quadrature, beam_taps, beam, half, wide_q[1:-1])
        for s in range(samples):
            total_i = side * (wide_i[s] + wide_i[s + 2]) + middle * wide_i[s + 1]
            total_q = side * (wide_q[s] + wide_q[s + 2]) + middle * wide_q[s + 1]
            power[s] = total_i * total_i + total_q * total_q + noise_power[beam, s]
        for s in range(samples):
            fraction = np.float32(bits[s] & np.int32(0x7FFFFF)) * np.float32(1.0 / 8388608.0)
            log2 = np.float32((bits[s] >> np.int32(23)) - np.int32(127)) + fraction
            log2 += np.float32(0.3465) * fraction * (np.float32(1.0) - fraction)
            value = octave * log2 + gain_grey[beam, s]
            value = min(max(value, np.float32(0.0)), np.float32(255.0))
            grey[beam, s] = np.uint8(np.int32(value))


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _across(source: Singles, taps: Singles, beam: int, half: int, out: Singles) -> None:
    """One beam of `source` spread by symmetric taps across its neighbours."""
    last = source.shape[0] - 1
    row, weights = source[beam], taps[half]
    for s in range(out.shape[0]):
        out[s] = weights[s] * row[s]
    for n in range(1, half + 1):
        left, right, weights = source[max(beam - n, 0)], source[min(beam + n, last)], taps[half + n]
        for s in range(out.shape[0]):
            out[s] += weights[s] * (left[s] + right[s])


@njit(cache=True, nogil=True, error_model="numpy")
def scan_convert(
    grey: Bytes,
    pixels: NDArray[np.int32],
    corners: NDArray[np.int32],
    shares: NDArray[np.uint16],
    low: int,
    high: int,
    image: Bytes,
) -> None:
    """Bilinear lookup of pixels [low, high): flat pixel, flat corner in `grey`, shares (n, 2) in
    1/256 across and along the beam."""
    source = grey.ravel()
    target = image.ravel()
    samples = np.uint64(grey.shape[1])
    one = np.uint64(1)
    for n in range(low, high):
        at = np.uint64(corners[n])
        across = np.int32(shares[n, 0])
        along = np.int32(shares[n, 1])
        a, b = np.int32(source[at]), np.int32(source[at + one])
        c, d = np.int32(source[at + samples]), np.int32(source[at + samples + one])
        first = (a << 8) + along * (b - a)
        second = (c << 8) + along * (d - c)
        target[np.uint64(pixels[n])] = np.uint8(
            ((first << 8) + across * (second - first) + 32768) >> 16
        )
