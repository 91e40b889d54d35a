"""Which of many candidates no other beats in everything."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(nogil=True, cache=True)
def unbeaten(values: NDArray[np.float64], order: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n,) True where no other row of values (n, m) is as good in all and better in one.

    More is better. order: rows by falling sum: whoever beats a row has a larger sum.
    """
    count, width = values.shape
    kept = np.zeros(count, np.bool_)
    front = np.empty(count, np.int64)
    size = 0
    for n in order:
        beaten = False
        for f in range(size):
            better, worse = False, False
            for m in range(width):
                gap = values[front[f], m] - values[n, m]
                better |= gap > 0.0
                worse |= gap < 0.0
            if better and not worse:
                beaten = True
                break
        if not beaten:
            front[size] = n
            size += 1
            kept[n] = True
    return kept
