"""The ultrasound frame that a CT would give at a pose, quick enough to run live.

Beams are walked through the prepared tissue: reflection from the impedance step and the angle of
incidence (Wein 2008; Burger 2013), loss per cm and MHz there and back, shadow behind bone and gas,
ring-down and a faint mirror behind gas. Speckle is complex noise fixed in the patient, spread by
the beam's width and the pulse's length, so its envelope is Rayleigh (Burckhardt 1978) and it moves
with the tissue. Time-gain compensation, logarithm and scan conversion follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ir_nav.geometry import FloatArray, rotation_from_vector
from ir_nav.registration.ultrasound import simulator_kernels as kernels
from ir_nav.registration.ultrasound.acoustics import (
    Acoustics,
    scatter_amplitudes,
)
from ir_nav.registration.ultrasound.fan import Fan, check_same_scale
from ir_nav.registration.ultrasound.marching import (
    BEAMS,
    PIECES_PER_CORE,
    SAMPLES,
    Marched,
    beams_in,
    march_beams,
    raster_of,
)
from ir_nav.threads import in_ranges

LIVER_GREY = 112.0
SURFACE_GAIN = 3.2
TEXTURE_CELL_MM = 0.34
# The texture's deviation is 32 in each of two parts.
PER_TEXTURE = np.float32(1.0 / (32.0 * np.sqrt(2.0)))
DB_PER_OCTAVE = 10.0 * np.log10(2.0)
BEAM_TAPS, APERTURE_TAPS = 9, 13

Singles = NDArray[np.float32]
Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Settings:
    """The scanner's settings. range_db: from black to white. tgc_loss: dB / cm / MHz one way
    that the time-gain compensation makes up for. focus_mm: where the beam is narrowest."""

    frequency_mhz: float = 3.5
    range_db: float = 62.0
    gain_db: float = 0.0
    tgc_loss: float = 0.47
    focus_mm: float = 65.0


def simulate(
    acoustics: Acoustics,
    fan: Fan,
    ct_from_image: FloatArray,
    size_px: tuple[int, int],
    settings: Settings | None = None,
) -> Image:
    """One frame, (rows, columns) uint8, black outside the fan; the same for the same arguments.

    ct_from_image (4, 4): px (u, v, 0, 1) to `ct` mm; it carries the scale, which must be the
    fan's (RegistrationError). size_px: (columns, rows).
    """
    check_same_scale(fan, ct_from_image)
    used = settings or Settings()
    look = _look(fan, used)
    marched = march_beams(acoustics, fan, ct_from_image, BEAMS, SAMPLES, used.frequency_mhz)
    in_phase, quadrature = _echoes(marched, fan, ct_from_image, look)
    grey = np.empty(in_phase.shape, np.uint8)
    per_octave = 255.0 / used.range_db * DB_PER_OCTAVE

    def detected(beams: tuple[int, int]) -> None:
        kernels.detect(
            in_phase, quadrature, look.beam, look.pulse, look.noise_power, look.gain_grey,
            per_octave, *beams, grey,
        )  # fmt: skip

    in_ranges(BEAMS, detected, PIECES_PER_CORE)
    raster = raster_of(fan, size_px, *grey.shape)
    image = np.zeros(size_px[::-1], np.uint8)
    in_ranges(
        len(raster.pixels),
        lambda part: kernels.scan_convert(
            grey, raster.pixels, raster.corners, raster.shares, *part, image
        ),
        PIECES_PER_CORE,
    )
    return image


def _echoes(
    marched: Marched, fan: Fan, ct_from_image: FloatArray, look: _Look
) -> tuple[Singles, Singles]:
    """In phase and in quadrature, (beams, echoes), before the beam's width."""
    fine = kernels.FINE * (SAMPLES - 1) + 1
    through = np.empty((BEAMS, SAMPLES), np.float32)
    in_phase = np.empty((BEAMS, fine), np.float32)
    quadrature = np.empty((BEAMS, fine), np.float32)
    start, step = _on_texture(fan, ct_from_image)
    step_mm = fan.depth_mm / (SAMPLES - 1)
    scatter_of = scatter_amplitudes() * PER_TEXTURE

    def echo(beams: tuple[int, int]) -> None:
        kernels.soften(marched.through, look.aperture, *beams, through)
        kernels.scatter(
            marched.level, through, marched.surface, marched.gas_at, scatter_of, SURFACE_GAIN,
            step_mm, _texture(), start, step, *beams, in_phase, quadrature,
        )  # fmt: skip

    in_ranges(BEAMS, echo, PIECES_PER_CORE)
    return in_phase, quadrature


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """What depends on fan and settings alone. Taps (n, samples); the others (beams, samples)."""

    aperture: Singles
    beam: Singles
    pulse: Singles
    noise_power: Singles
    gain_grey: Singles


@lru_cache(maxsize=8)
def _look(fan: Fan, settings: Settings) -> _Look:
    fine = kernels.FINE * (SAMPLES - 1) + 1
    coarse_mm = np.linspace(0.0, fan.depth_mm, SAMPLES)
    depth_mm = np.linspace(0.0, fan.depth_mm, fine)
    waves = 3.5 / settings.frequency_mhz
    soft = (0.7 + 0.009 * coarse_mm) / fan.pitch_mm(coarse_mm, BEAMS)
    aperture = _taps(APERTURE_TAPS, soft)
    off_focus = np.abs(depth_mm - settings.focus_mm)
    wide_mm = waves * (0.5 + 0.0045 * off_focus + 0.0024 * depth_mm)
    beam = _taps(BEAM_TAPS, wide_mm / fan.pitch_mm(depth_mm, BEAMS))
    beam /= np.sqrt((beam**2).sum(axis=0))
    pulse = _taps(3, np.array([0.3 * waves / (depth_mm[1] - depth_mm[0])]))[:, 0]
    gain_db = _gain_db(settings, depth_mm)
    grey_per_db = 255.0 / settings.range_db
    return _Look(
        aperture.astype(np.float32),
        beam.astype(np.float32),
        (pulse / np.sqrt((pulse**2).sum())).astype(np.float32),
        _noise_power(depth_mm, fan.depth_mm, gain_db),
        (LIVER_GREY + grey_per_db * (gain_db + settings.gain_db)).astype(np.float32),
    )


def _gain_db(settings: Settings, depth_mm: FloatArray) -> FloatArray:
    """Time gain, what the aperture loses at the fan's sides, and uneven contact of the face."""
    tgc = settings.tgc_loss * settings.frequency_mhz * 2.0 * depth_mm / 10.0
    side = np.abs(np.linspace(-1.0, 1.0, BEAMS))
    uneven = ndimage.gaussian_filter1d(np.random.default_rng(3).standard_normal(BEAMS), 8.0)
    lateral = 4.0 * uneven - 6.0 * np.clip((side - 0.8) / 0.2, 0.0, 1.0) ** 2
    return np.asarray(tgc[None, :] + lateral[:, None])


def _noise_power(depth_mm: FloatArray, full_mm: float, gain_db: FloatArray) -> Singles:
    """What is heard without an echo, before gain: the amplifier, and ringing of the face."""
    generator = np.random.default_rng(4)
    shape = (BEAMS, len(depth_mm))
    amplifier_db = -58.0 + 38.0 * (depth_mm / full_mm) ** 0.8
    rayleigh = generator.exponential(1.0, shape)
    noise = ndimage.gaussian_filter(rayleigh, 0.6) * 10.0 ** ((amplifier_db - gain_db) / 10.0)
    streaks = ndimage.gaussian_filter(generator.standard_normal(shape), (5.0, 1.0))
    ringing = 4.0 * np.exp(-depth_mm / 1.4) + 0.5 * np.exp(-depth_mm / 4.0)
    return np.asarray(noise + (streaks / streaks.std()) ** 2 * ringing, dtype=np.float32)


def _taps(count: int, sigma: FloatArray) -> FloatArray:
    """(count, n): Gaussians of `sigma` (n,) taps, sum 1."""
    offset = np.arange(count)[:, None] - count // 2
    taps = np.exp(-0.5 * (offset / sigma) ** 2)
    return np.asarray(taps / taps.sum(axis=0))


@lru_cache(maxsize=1)
def _texture() -> NDArray[np.int8]:
    """(n, n, n, 2): complex scatterers, deviation 32, periodic."""
    size = 1 << kernels.TEXTURE_BITS
    white = np.random.default_rng(5).standard_normal((size, size, size, 2), dtype=np.float32)
    soft = ndimage.gaussian_filter(white, (0.7, 0.7, 0.7, 0.0), mode="wrap")
    return np.asarray(np.clip(soft / soft.std() * 32.0, -127, 127), dtype=np.int8)


def _on_texture(fan: Fan, ct_from_image: FloatArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Start and step (beams, 3) of each beam's echoes on the texture, in 2**-20 cells.

    The texture is turned against the patient's axes: along them its period would show.
    """
    texture_from_ct = np.eye(4)
    texture_from_ct[:3, :3] = rotation_from_vector(np.array([0.61, -0.83, 0.47])) / TEXTURE_CELL_MM
    step_mm = fan.depth_mm / (kernels.FINE * (SAMPLES - 1))
    start, step = beams_in(texture_from_ct @ ct_from_image, fan, BEAMS, step_mm)
    one = float(kernels.TEXTURE_ONE)
    return np.rint(start * one).astype(np.int64), np.rint(step * one).astype(np.int64)
