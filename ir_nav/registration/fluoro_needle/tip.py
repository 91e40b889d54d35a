"""A stretch of needle in a frame: where exactly it lies, how wide it is, where it ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from ir_nav.geometry import FloatArray
from ir_nav.registration.fluoro_needle.line import ImageLine
from ir_nav.registration.fluoro_needle.ridges import MAD_TO_SIGMA
from ir_nav.registration.fluoro_needle.strip import STEP_PX, Stretch, Strip

BLOCK_PX = 6.0
END_LEVEL_PX = 30.0
EDGE_WINDOW_PX = 24.0
EDGE_SEARCH_PX = 10.0
EDGE_BLURS_PX = (0.6, 1.0, 1.6, 2.4)
# What a model of an end that is neither blunt nor bevelled is worth.
LEAST_TIP_ERROR_PX = 0.25


@dataclass(frozen=True, slots=True)
class End:
    """along_px on the line, its standard error, and whether the image's border cut it."""

    along_px: float
    error_px: float
    at_border: bool


@dataclass(frozen=True, slots=True, eq=False)
class LineFit:
    """line: through the middle of the stretch. rms_px: of the ridge about it. wander_px: about a
    parabola, which a bent needle follows and clutter does not. across_px, slope: standard
    errors at the middle and in px per px."""

    line: ImageLine
    rms_px: float
    wander_px: float
    across_px: float
    slope: float


def refined_line(strip: Strip, stretch: Stretch) -> LineFit:
    """The line laid through the ridge's own places, by Tukey's biweight."""
    block = max(1, round(BLOCK_PX / STEP_PX))
    part = slice(stretch.first, stretch.last + 1)
    good = strip.contrast[part] > 0.4 * stretch.level
    along, offset = strip.along_px[part][good], strip.offset_px[part][good]
    count = max(2, len(along) // block)
    s = np.array([piece.mean() for piece in np.array_split(along, count)])
    t = np.array([np.median(piece) for piece in np.array_split(offset, count)])
    centre = 0.5 * (strip.along_px[stretch.first] + strip.along_px[stretch.last])
    design = np.stack([np.ones_like(s), s - centre], axis=1)
    weight = np.ones_like(s)
    solution = np.zeros(2)
    for _ in range(6):
        root = np.sqrt(weight)
        solution = np.linalg.lstsq(design * root[:, None], t * root, rcond=None)[0]
        left = t - design @ solution
        scale = max(MAD_TO_SIGMA * float(np.median(np.abs(left))), 0.03)
        weight = np.clip(1.0 - (left / (4.7 * scale)) ** 2, 0.0, None) ** 2 + 1e-9
    rms = float(np.sqrt(np.sum(weight * left**2) / np.sum(weight)))
    spread = np.linalg.inv(design.T @ (design * weight[:, None])) * max(rms, 0.05) ** 2
    line = strip.line
    through = line.through_px + centre * line.along + solution[0] * line.normal
    along_new = line.along + solution[1] * line.normal
    along_new = along_new / np.linalg.norm(along_new)
    return LineFit(
        ImageLine(through, along_new, line.support),
        rms,
        _wander(s - centre, t),
        float(np.sqrt(spread[0, 0])),
        float(np.sqrt(spread[1, 1])),
    )


def _wander(s: FloatArray, t: FloatArray) -> float:
    """Typical distance of t from a parabola over s."""
    if len(s) < 5:
        return 0.0
    left = t - np.polyval(np.polyfit(s, t, 2), s)
    return MAD_TO_SIGMA * float(np.median(np.abs(left)))


def end_of(strip: Strip, stretch: Stretch, *, forward: bool) -> End:
    """Where the stretch ends, to a part of a pixel: a blurred step, by least squares."""
    sign = 1.0 if forward else -1.0
    index = stretch.last if forward else stretch.first
    rough = sign * float(strip.along_px[index])
    s, c, inside = sign * strip.along_px, strip.contrast, strip.inside
    if np.max(s[inside]) - rough < 4.0:
        return End(float(strip.along_px[index]), float("inf"), at_border=True)
    before = inside & (s < rough - 2.0) & (s > rough - END_LEVEL_PX)
    level = float(np.median(c[before])) if before.any() else stretch.level
    window = inside & (np.abs(s - rough) < EDGE_WINDOW_PX)
    s, c = s[window], np.clip(c[window], -0.5 * level, 1.6 * level)
    error, place, blur, high = _best_step(s, c, rough, 0.4 * level)
    if high == 0.0:
        return End(sign * rough, EDGE_SEARCH_PX, at_border=False)
    slope = high / blur * np.exp(-0.5 * ((place - s) / blur) ** 2) / np.sqrt(2.0 * np.pi)
    # Neighbouring samples share pixels: half as many are independent.
    variance = max(error / max(len(s) * STEP_PX - 3.0, 1.0), float(strip.noise[index]) ** 2 / 4.0)
    own = np.sqrt(variance / max(float(np.sum(slope**2)) * STEP_PX, 1e-12))
    return End(sign * place, float(np.hypot(own, LEAST_TIP_ERROR_PX)), at_border=False)


def _best_step(
    s: FloatArray, c: FloatArray, rough: float, least: float
) -> tuple[float, float, float, float]:
    """Squared error, place, blur and height of the blurred step nearest to c (n,) over s (n,).

    Height and floor of each trial by linear regression; heights below `least` do not count.
    """
    best = (float("inf"), rough, EDGE_BLURS_PX[0], 0.0)
    places = rough + np.arange(-EDGE_SEARCH_PX, EDGE_SEARCH_PX, 0.1)
    centred = c - c.mean()
    for blur in EDGE_BLURS_PX:
        step = ndtr((places[:, None] - s) / blur)
        step = step - step.mean(axis=1, keepdims=True)
        power = np.maximum(np.sum(step**2, axis=1), 1e-9)
        high = step @ centred / power
        error = np.where(high > least, centred @ centred - high**2 * power, np.inf)
        index = int(np.argmin(error))
        if error[index] < best[0]:
            best = float(error[index]), float(places[index]), blur, float(high[index])
    return best


def width_seen_px(strip: Strip, stretch: Stretch) -> float:
    """Full width at half height of the mean profile across, over both sides' mean."""
    part = slice(stretch.first, stretch.last + 1)
    mean = strip.profile[part].mean(axis=0)
    trend = np.interp(strip.across_px, strip.across_px[[0, -1]], mean[[0, -1]])
    mean = mean - trend
    peak = int(np.argmax(np.where(np.abs(strip.across_px) <= 1.0, mean, -np.inf)))
    half = 0.5 * mean[peak]
    if half <= 0.0:
        return float("inf")
    below = mean < half
    left = np.flatnonzero(below[:peak])
    right = np.flatnonzero(below[peak:])
    if len(left) == 0 or len(right) == 0:
        return float("inf")
    return float(strip.across_px[peak + right[0]] - strip.across_px[left[-1]] - STEP_PX)
