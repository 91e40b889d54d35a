"""Compiled loops over ranges, side by side on every core."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

PIECES_PER_CORE = 4


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=os.cpu_count(), thread_name_prefix="ranges")


def in_ranges(
    count: int,
    work: Callable[[tuple[int, int]], None],
    pieces_per_core: int = PIECES_PER_CORE,
) -> None:
    """Call work((start, stop)) until [0, count) is covered; `work` must let go of the GIL, and
    must not call this again: the pool would wait for itself.

    numba's own threads are not used: its work queue must not be entered from two threads, and
    the window searches while it warms up.
    """
    pieces = min(count, pieces_per_core * (os.cpu_count() or 1))
    ends = [count * n // pieces for n in range(pieces + 1)] if pieces else []
    for _ in _pool().map(work, itertools.pairwise(ends)):
        pass
