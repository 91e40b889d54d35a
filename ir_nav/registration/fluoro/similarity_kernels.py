"""Compiled inner loops of the fluoro similarity: locally normalised gradients."""

from __future__ import annotations

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
