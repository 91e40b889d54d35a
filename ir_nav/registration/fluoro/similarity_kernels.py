"""Compiled inner loops of the fluoro similarity: locally normalised gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Image = NDArray[np.float32]


@njit(nogil=True, cache=True, fastmath=True)
def normalised_gradients(
    image: Image, weight: Image, radius: int, floor: float, across: Image, down: Image
) -> None:
    """Sobel gradients of `image` over the root of their mean energy about each pixel.

    weight: (rows, columns), 0 to 1: what may vote, for the energy as well; zero on the border.
    radius: of the square, in px. floor: part of the whole image's mean energy that is added,
    so that noise in flat places stays small. across, down: filled with the gradients, each
    times the root of its weight.
    """
    rows, columns = image.shape
    energy = np.zeros((rows + 1, columns + 1), np.float64)
    votes = np.zeros((rows + 1, columns + 1), np.float64)
    for r in range(rows):
        line_energy = 0.0
        line_votes = 0.0
        for c in range(columns):
            w = weight[r, c]
            x = np.float32(0.0)
            y = np.float32(0.0)
            if w > 0.0 and 0 < r < rows - 1 and 0 < c < columns - 1:
                right = image[r - 1, c + 1] + 2.0 * image[r, c + 1] + image[r + 1, c + 1]
                left = image[r - 1, c - 1] + 2.0 * image[r, c - 1] + image[r + 1, c - 1]
                below = image[r + 1, c - 1] + 2.0 * image[r + 1, c] + image[r + 1, c + 1]
                above = image[r - 1, c - 1] + 2.0 * image[r - 1, c] + image[r - 1, c + 1]
                x = np.float32(right - left)
                y = np.float32(below - above)
            across[r, c] = x
            down[r, c] = y
            line_energy += w * (x * x + y * y)
            line_votes += w
            energy[r + 1, c + 1] = energy[r, c + 1] + line_energy
            votes[r + 1, c + 1] = votes[r, c + 1] + line_votes
    many = votes[rows, columns] + 1e-3
    least = floor * energy[rows, columns] / many + 1e-20
    for r in range(rows):
        top, bottom = max(r - radius, 0), min(r + radius + 1, rows)
        for c in range(columns):
            w = weight[r, c]
            if w <= 0.0:
                continue
            first, last = max(c - radius, 0), min(c + radius + 1, columns)
            near = energy[bottom, last] - energy[top, last]
            near -= energy[bottom, first] - energy[top, first]
            many = 1e-3 + votes[bottom, last] - votes[top, last]
            many -= votes[bottom, first] - votes[top, first]
            scale = np.float32(np.sqrt(w / (max(near, 0.0) / many + least)))
            across[r, c] *= scale
            down[r, c] *= scale


@njit(nogil=True, cache=True, fastmath=True)
def similarity(
    image: Image,
    weight: Image,
    radius: int,
    floor: float,
    frame_across: Image,
    frame_down: Image,
) -> float:
    """Cosine of the angle between the frame's normalised gradients and the image's, -1 to 1."""
    across = np.empty_like(image)
    down = np.empty_like(image)
    normalised_gradients(image, weight, radius, floor, across, down)
    both = 0.0
    own = 0.0
    frame = 0.0
    for r in range(image.shape[0]):
        for c in range(image.shape[1]):
            x, y = across[r, c], down[r, c]
            u, v = frame_across[r, c], frame_down[r, c]
            both += x * u + y * v
            own += x * x + y * y
            frame += u * u + v * v
    if own <= 0.0 or frame <= 0.0:
        return 0.0
    return float(both / np.sqrt(own * frame))


@njit(nogil=True, cache=True)
def unit_fields(
    images: Image,
    weight: Image,
    voting: NDArray[np.int32],
    radius: int,
    floor: float,
    part: tuple[int, int],
    fields: Image,
) -> None:
    """A range of images' normalised gradients where weight is not zero, scaled to unit length.

    voting: (m,) flat places in an image. fields: (n, 2 m), across, then down.
    """
    count = len(voting)
    across, down = np.empty_like(weight), np.empty_like(weight)
    for n in range(part[0], part[1]):
        normalised_gradients(images[n], weight, radius, floor, across, down)
        x, y = across.reshape(-1), down.reshape(-1)
        energy = 0.0
        for m in range(count):
            u, v = x[voting[m]], y[voting[m]]
            fields[n, m] = u
            fields[n, count + m] = v
            energy += u * u + v * v
        scale = np.float32(1.0 / max(np.sqrt(energy), 1e-12))
        for m in range(2 * count):
            fields[n, m] *= scale


@njit(nogil=True, cache=True, fastmath=True)
def combined(weights: Image, fields: Image, out: Image) -> None:
    """Fill `out` (p, m) with weights (p, n) times fields (n, m).

    numpy's product would start the linear algebra's own threads, which wait for each other.
    """
    for p in range(weights.shape[0]):
        out[p] = weights[p, 0] * fields[0]
        for n in range(1, weights.shape[1]):
            w = weights[p, n]
            if w != 0.0:
                for m in range(fields.shape[1]):
                    out[p, m] += w * fields[n, m]


@njit(nogil=True, cache=True, fastmath=True)
def displaced(image: Image, maps: NDArray[np.float64], part: tuple[int, int], moved: Image) -> None:
    """A range of moved images (n, rows, columns): `image` through homographies, bicubic.

    maps: (n, 3, 3), (u, v, 1) of a moved image -> (u, v, 1) of `image`. Bicubic is Keys 1981,
    a = -1/2; at the border, and a little beyond it, his quadratic.
    """
    rows, columns = image.shape
    for n in range(part[0], part[1]):
        m = maps[n]
        for v in range(rows):
            for u in range(columns):
                w = 1.0 / (m[2, 0] * u + m[2, 1] * v + m[2, 2])
                x = (m[0, 0] * u + m[0, 1] * v + m[0, 2]) * w
                y = (m[1, 0] * u + m[1, 1] * v + m[1, 2]) * w
                i = min(max(int(x), 0), columns - 2)
                j = min(max(int(y), 0), rows - 2)
                a, b, c, d = _cubic(np.float32(x - i), i == 0, i == columns - 2)
                p, q, r, s = _cubic(np.float32(y - j), j == 0, j == rows - 2)
                i0, i3 = max(i - 1, 0), min(i + 2, columns - 1)
                total = p * _across(image[max(j - 1, 0)], i0, i, i3, a, b, c, d)
                total += q * _across(image[j], i0, i, i3, a, b, c, d)
                total += r * _across(image[j + 1], i0, i, i3, a, b, c, d)
                total += s * _across(image[min(j + 2, rows - 1)], i0, i, i3, a, b, c, d)
                moved[n, v, u] = total


@njit(nogil=True, cache=True, fastmath=True, inline="always")
def _cubic(
    t: np.float32, first: bool, last: bool
) -> tuple[np.float32, np.float32, np.float32, np.float32]:
    """Weights of the four samples round a place `t` between the middle two.

    first, last: the first or last sample is not there: the other three stand for it.
    """
    half, one, three = np.float32(0.5), np.float32(1.0), np.float32(3.0)
    t2 = t * t
    t3 = t2 * t
    a, d = half * (t2 + t2 - t - t3), half * (t3 - t2)
    c = half * (t + np.float32(4.0) * t2 - three * t3)
    b = one - a - c - d
    if first:
        b, c, d, a = b + three * a, c - three * a, d + a, np.float32(0.0)
    if last:
        c, b, a, d = c + three * d, b - three * d, a + d, np.float32(0.0)
    return a, b, c, d


@njit(nogil=True, cache=True, fastmath=True, inline="always")
def _across(
    line: Image,
    first: int,
    at: int,
    last: int,
    a: np.float32,
    b: np.float32,
    c: np.float32,
    d: np.float32,
) -> Any:
    return a * line[first] + b * line[at] + c * line[at + 1] + d * line[last]
