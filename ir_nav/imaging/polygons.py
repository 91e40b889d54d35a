"""Polygons filled on a pixel grid."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ir_nav.geometry import FloatArray
from ir_nav.imaging.volume import BoolArray


def fill_even_odd(polygons: Iterable[FloatArray], rows: int, columns: int) -> BoolArray:
    """(rows, columns): the pixels whose centres lie inside an odd number of closed polygons.

    polygons: (n, 2) corners as column, row; pixel centres at whole numbers. A polygon within
    another is a hole, and a key-hole cut between outer and inner wall cancels itself.
    Method: every edge switches the pixels at and right of it in the rows that it crosses.
    """
    switches = np.zeros((rows, columns + 1), dtype=np.int32)
    for corners in polygons:
        following = np.roll(corners, -1, axis=0)
        up = corners[:, 1] <= following[:, 1]
        low = np.where(up[:, None], corners, following)
        high = np.where(up[:, None], following, corners)
        first = np.clip(np.ceil(low[:, 1]), 0, rows).astype(np.int64)
        last = np.clip(np.ceil(high[:, 1]), 0, rows).astype(np.int64)
        count = last - first
        edge = np.repeat(np.arange(len(corners)), count)
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        row = first[edge] + within
        run = high[edge] - low[edge]
        column = low[edge, 0] + (row - low[edge, 1]) / run[:, 1] * run[:, 0]
        at = np.clip(np.ceil(column), 0, columns).astype(np.int64)
        np.add.at(switches, (row, at), 1)
    inside: BoolArray = (np.cumsum(switches[:, :columns], axis=1) & 1).astype(np.bool_)
    return inside
