"""Compiled search for the edge of a collimator's blade."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Image = NDArray[np.float32]


@njit(nogil=True, cache=True)
def best_edge(
    absorbed: Image, first: int, last: int, depths: int, slopes: NDArray[np.float64], least: float
) -> tuple[float, float, float]:
    """(step, depth, slope) of the line with the most constant step from outside to inside.

    absorbed: (rows, columns); the blade comes from the top. first, last: the columns looked at.
    depths: lines from row 3 to this one, counted in the middle column. slopes: rows per column.
    Of a line's steps the lower quartile counts; half of it must lie in the image. A step that
    does not exceed `least` is no edge: it comes back with depth and slope 0.
    """
    rows, columns = absorbed.shape
    middle = (columns - 1) / 2.0
    count = last - first
    quarter = count // 4
    steps = np.empty(count, np.float32)
    best, depth, slope = least, 0.0, 0.0
    for n in range(len(slopes)):
        for at in range(3, depths):
            low, seen = 0, 0
            for c in range(first, last):
                row = round(at + slopes[n] * (c - middle))
                # A blade may leave the frame.
                step = np.float32(math.inf)
                if 2 <= row < rows - 2:
                    step = absorbed[row - 2, c] - absorbed[row + 2, c]
                    seen += 1
                steps[c - first] = step
                if step <= best:
                    low += 1
                    if low > quarter:
                        break
            if low > quarter or 2 * seen < count:
                continue
            found = float(np.partition(steps, quarter)[quarter])
            if found > best:
                best, depth, slope = found, float(at), slopes[n]
    return best, depth, slope
