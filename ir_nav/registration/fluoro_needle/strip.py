"""A frame along one line, and the stretch of it that is a needle."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ir_nav.geometry import FloatArray
from ir_nav.registration.fluoro_needle.line import ImageLine
from ir_nav.registration.fluoro_needle.ridges import MAD_TO_SIGMA, Float32, filter_sigma_px

STEP_PX = 0.5
SMOOTH_SAMPLES = 9
SIDE_SAMPLES = 6
BESIDE_PX = 10.0
NOISE_SAMPLES = 81
ROUGH_PX, FINE_PX = 2.5, 1.5
FAINTER = 0.6
LEAST_CONTRAST = 0.12
MOST_RATIO = 2.0
# Neighbouring samples of a strip share pixels and blur.
CORRELATED_SAMPLES = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """A frame resampled along a line.

    along_px: (n,) from the line's point. contrast: (n,) absorption over both sides, matched to
    the needle's width. noise: (n,) of contrast, from parallel lines to both sides. offset_px:
    (n,) where across the line the ridge lies. profile: (n, m) absorption at across_px (m,).
    inside: (n,) bool, far enough from the image's border.
    """

    line: ImageLine
    along_px: FloatArray
    contrast: FloatArray
    noise: FloatArray
    offset_px: FloatArray
    profile: FloatArray
    across_px: FloatArray
    inside: NDArray[np.bool_]

    @property
    def typical_noise(self) -> float:
        return float(np.median(self.noise))


@dataclass(frozen=True, slots=True)
class Stretch:
    """Of a strip: first and last index, its typical contrast, the share of it that is there,
    its typical contrast over the noise, and how far each end may lie elsewhere, as likely."""

    first: int
    last: int
    level: float
    filled: float
    z: float
    first_spread_px: float
    last_spread_px: float


def strip_along(
    absorbing: Float32, line: ImageLine, width_px: float, *, rough: bool = False
) -> Strip:
    """The frame along `line` from border to border. rough: the line may be off by ROUGH_PX, the
    contrast is that of the highest point about it (which lies above zero where there is none)."""
    height, width = absorbing.shape
    sigma = filter_sigma_px(width_px)
    own = 4.5 * sigma + 3.0
    across = np.arange(-own - BESIDE_PX, own + BESIDE_PX + 1e-9, STEP_PX)
    reach = int(np.hypot(height, width)) + 2
    along = np.arange(-reach, reach, STEP_PX)
    middle = line.through_px + along[:, None] * line.along
    to_border = np.minimum(middle, np.array([width - 1, height - 1]) - middle).min(axis=1)
    along, middle, to_border = (part[to_border >= 0.0] for part in (along, middle, to_border))
    places = (middle[:, None, :] + across[None, :, None] * line.normal).astype(np.float32)
    profile = cv2.remap(
        absorbing,
        places[..., 0],
        places[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    ).astype(np.float64)
    response = cv2.filter2D(profile, cv2.CV_64F, _kernel(sigma), borderType=cv2.BORDER_REPLICATE)
    near = np.abs(across) <= (ROUGH_PX if rough else FINE_PX) + STEP_PX
    contrast, offset = _peak(response[:, near], across[near])
    if not rough:
        contrast = response[:, np.abs(across) <= STEP_PX].mean(axis=1)
    beside = np.median(np.abs(response[:, np.abs(across) >= own]), axis=1)
    noise = MAD_TO_SIGMA * cv2.blur(beside[:, None], (1, NOISE_SAMPLES)).ravel()
    core = np.abs(across) <= own
    return Strip(
        line,
        along,
        contrast,
        np.maximum(noise, 1e-6),
        offset,
        profile[:, core],
        across[core],
        to_border >= 2.0 * sigma,
    )


def longest_stretch(strip: Strip, at_px: FloatArray) -> Stretch | None:
    """The stretch most likely a needle, or None.

    The largest sum of log-likelihood ratios: a needle somewhat fainter than expected against
    none, with the noise of each place. at_px: (n,) places along the line where ridge points
    support it.
    """
    if len(at_px) == 0 or len(strip.along_px) < 8:
        return None
    faint = FAINTER * _expected_contrast(strip, at_px)
    ratio = faint * (strip.contrast - 0.5 * faint) / strip.noise**2
    gain = np.clip(ratio, -MOST_RATIO, MOST_RATIO)
    gain[~strip.inside] = 0.0
    total: FloatArray = np.concatenate([[0.0], np.cumsum(gain)])
    last = int(np.argmax(total - np.minimum.accumulate(total)))
    if last == 0:
        return None
    first = int(np.argmin(total[: last + 1]))
    part = slice(first, last)
    level = float(np.median(strip.contrast[part]))
    smooth = cv2.blur(strip.contrast[:, None], (1, SMOOTH_SAMPLES)).ravel()
    filled = float(np.mean(smooth[part] > 0.5 * faint[part]))
    z = float(np.median(strip.contrast[part] / strip.noise[part]))
    step: FloatArray = STEP_PX * np.arange(len(total), dtype=np.float64)
    return Stretch(
        first,
        last - 1,
        level,
        filled,
        z,
        _spread_px(step[: last + 1], -total[: last + 1]),
        _spread_px(step[first:], total[first:]),
    )


def _spread_px(places: FloatArray, likelihood: FloatArray) -> float:
    """Standard deviation of places (n,) weighted by their log-likelihood."""
    weight = np.exp((likelihood - likelihood.max()) / CORRELATED_SAMPLES)
    weight /= weight.sum()
    return float(np.sqrt(weight @ (places - weight @ places) ** 2))


def _expected_contrast(strip: Strip, at_px: FloatArray) -> FloatArray:
    """(n,) how dark this needle would be at each place of the line.

    Scatter is about the same everywhere: of intensity I = primary + scatter a needle takes
    contrast L (1 - scatter / I), less where the body is thick. Fitted where ridge points lie.
    """
    behind = 0.5 * (strip.profile[:, :SIDE_SAMPLES] + strip.profile[:, -SIDE_SAMPLES:]).mean(axis=1)
    thick = np.exp(np.clip(behind - np.median(behind), -4.0, 4.0))
    thick = cv2.blur(thick[:, None], (1, 4 * SMOOTH_SAMPLES)).ravel()
    index = np.clip(np.searchsorted(strip.along_px, at_px), 0, len(thick) - 1)
    seen, over = strip.contrast[index], thick[index]
    level, fall = float(np.median(seen)), 0.0
    if np.ptp(over) > 0.2 * float(np.median(over)):
        design = np.stack([np.ones_like(over), -over], axis=1)
        weight = np.ones_like(seen)
        for _ in range(4):
            root = np.sqrt(weight)
            one, two = np.linalg.lstsq(design * root[:, None], seen * root, rcond=None)[0]
            left = seen - one + two * over
            weight = 1.0 / np.maximum(np.abs(left), 0.1 * level)
        if two > 0.0:
            level, fall = float(one), float(two)
    typical = float(np.median(seen))
    return np.asarray(np.clip(level - fall * thick, LEAST_CONTRAST * typical, 3.0 * typical))


def _kernel(sigma: float) -> FloatArray:
    """Minus the second derivative of a Gaussian across a strip, one for a ridge of its scale."""
    half = int(np.ceil(4.0 * sigma / STEP_PX))
    t = np.arange(-half, half + 1) * STEP_PX / sigma
    kernel = (1.0 - t**2) * np.exp(-0.5 * t**2)
    kernel -= kernel.mean()
    return np.asarray(kernel / np.abs(kernel).sum())[None, :]


def _peak(response: FloatArray, across: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Height and place (n,) of each row's highest point, by a parabola through three samples."""
    rows = np.arange(len(response))
    index = np.clip(np.argmax(response, axis=1), 1, response.shape[1] - 2)
    before, at, after = (response[rows, index + shift] for shift in (-1, 0, 1))
    bend = before - 2.0 * at + after
    shift = np.where(np.abs(bend) > 1e-12, 0.5 * (before - after) / np.where(bend, bend, 1.0), 0.0)
    shift = np.clip(shift, -1.0, 1.0)
    return at - 0.25 * (before - after) * shift, across[index] + shift * STEP_PX
