"""Compiled loops over ranges, side by side on every core."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=os.cpu_count(), thread_name_prefix="registration")


def in_ranges(
    count: int, work: Callable[[tuple[int, int]], None], pieces_per_core: int = 4
) -> None:
    """Call work((start, stop)) until [0, count) is covered; `work` must let go of the GIL.

    numba's own threads are not used: its work queue must not be entered from two threads.
    """
    pieces = min(count, pieces_per_core * (os.cpu_count() or 1))
    ends = [count * n // pieces for n in range(pieces + 1)] if pieces else []
    for _ in _pool().map(work, itertools.pairwise(ends)):
        pass
