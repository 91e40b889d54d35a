"""Votes of ridge points for straight lines."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True)
def vote(
    points: NDArray[np.float64],
    normals: NDArray[np.float64],
    weights: NDArray[np.float64],
    spread: int,
    votes: NDArray[np.float32],
) -> None:
    """Add to votes (angles of the normal over half a turn, distances by 1 px about the middle).

    points (n, 2) are relative to the image's middle; each votes for its own angle and `spread`
    bins to either side.
    """
    angles, distances = votes.shape
    middle = distances // 2
    for index in range(points.shape[0]):
        own = np.arctan2(normals[index, 1], normals[index, 0]) / np.pi * angles
        first = int(np.floor(own + 0.5)) - spread
        for turn in range(first, first + 2 * spread + 1):
            theta = np.pi * turn / angles
            rho = points[index, 0] * np.cos(theta) + points[index, 1] * np.sin(theta)
            column = turn % angles
            if (turn // angles) % 2 != 0:
                rho = -rho
            place = rho + middle
            low = int(np.floor(place))
            if 0 <= low < distances - 1:
                share = place - low
                votes[column, low] += np.float32(weights[index] * (1.0 - share))
                votes[column, low + 1] += np.float32(weights[index] * share)
