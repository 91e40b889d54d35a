"""Thin dark lines of a fluoro frame, point by point.

Steger 1998 (An unbiased detector of curvilinear structures): the second derivative across the
line, at the scale of the line's width, with the ridge's place to a part of a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ir_nav.geometry import FloatArray
from ir_nav.registration.fluoro.view import Pixels

Float32 = NDArray[np.float32]

# Darker than this share of the bright end a pixel holds no more than noise and scatter.
LEAST_SHARE = 1.0 / 512.0
LEAST_SIGMA_PX = 0.9
SIGMA_PER_WIDTH = 0.4
MAD_TO_SIGMA = 1.4826
LEAST_Z = 4.0
MOST_POINTS = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class RidgePoints:
    """points_px: (n, 2) u, v. normal: (n, 2), across the ridge. z: (n,), strength over noise."""

    points_px: FloatArray
    normal: FloatArray
    z: FloatArray


def absorbed(image: NDArray[np.floating], pixels: Pixels) -> Float32:
    """(rows, columns), large where much is absorbed; a logarithm undoes Beer-Lambert."""
    values = np.asarray(image, dtype=np.float32)
    if pixels is Pixels.ATTENUATION:
        return values
    bright = float(np.percentile(values, 99.5))
    floor = max(bright * LEAST_SHARE, float(np.finfo(np.float32).tiny))
    return np.asarray(-np.log(np.maximum(values, floor)), dtype=np.float32)


def filter_sigma_px(width_px: float) -> float:
    """Of the ridge filter, for a line this wide."""
    return max(LEAST_SIGMA_PX, SIGMA_PER_WIDTH * width_px)


def ridge_points(absorbing: Float32, width_px: float) -> RidgePoints:
    """Where `absorbing` (rows, columns) has a ridge about width_px wide, strongest first."""
    sigma = filter_sigma_px(width_px)
    smooth = cv2.GaussianBlur(absorbing, (0, 0), sigma)
    xx, yy, xy = (
        np.asarray(cv2.Sobel(smooth, cv2.CV_32F, dx, dy, ksize=3, scale=scale))
        for dx, dy, scale in ((2, 0, 0.25), (0, 2, 0.25), (1, 1, 0.25))
    )
    x, y = (
        np.asarray(cv2.Sobel(smooth, cv2.CV_32F, dx, dy, ksize=3, scale=0.125))
        for dx, dy in ((1, 0), (0, 1))
    )
    # The most negative eigenvalue: across the ridge.
    half = 0.5 * np.hypot(xx - yy, 2.0 * xy)
    across = 0.5 * (xx + yy) - half
    angle = 0.5 * np.arctan2(2.0 * xy, xx - yy) + np.pi / 2.0
    nx, ny = np.cos(angle), np.sin(angle)
    step = (x * nx + y * ny) / np.maximum(-across, 1e-9)
    strength = np.maximum(-across, 0.0)
    noise = MAD_TO_SIGMA * float(np.median(np.abs(across - np.median(across))))
    z = strength / max(noise, 1e-9)
    margin = int(np.ceil(2.0 * sigma))
    z[:margin], z[-margin:], z[:, :margin], z[:, -margin:] = 0.0, 0.0, 0.0, 0.0
    seen = np.flatnonzero((z > LEAST_Z).ravel() & (np.abs(step) <= 0.75).ravel())
    seen = seen[np.argsort(-z.ravel()[seen], kind="stable")[:MOST_POINTS]]
    v, u = np.divmod(seen, absorbing.shape[1])
    normal = np.stack([nx.ravel()[seen], ny.ravel()[seen]], axis=1).astype(np.float64)
    places = np.stack([u, v], axis=1) + step.ravel()[seen, None] * normal
    return RidgePoints(places, normal, z.ravel()[seen].astype(np.float64))
