"""Points gathered while a tip glides over skin or bone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from ir_nav.geometry import FloatArray, read_only
from ir_nav.registration.surface.fit import LEAST_POINTS

APART_MM = 2.0
MOST_POINTS = 5000
# Between these the tip glides; slower it rests or trembles, faster it is lifted across.
SLOWEST_MM_S, FASTEST_MM_S = 3.0, 250.0
# After a gap longer than this nothing is known about the way between.
GAP_S = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class SwipedPoints:
    """Points (n, 3) in `reference`, mm, no two of them within 2 mm; never changed after.

    last_mm, last_s: where and when the tip was seen last, or None while it is off the surface.
    """

    points_reference_mm: FloatArray = field(default_factory=lambda: read_only(np.empty((0, 3))))
    last_mm: FloatArray | None = None
    last_s: float | None = None

    def __len__(self) -> int:
        return len(self.points_reference_mm)

    def with_tip(self, tip_reference_mm: ArrayLike, now_s: float, *, on_surface: bool) -> Self:
        """Take the tip's place (3,) at a time, if it glides on the surface and is not yet here.

        on_surface: whether a person (the pedal, a key) says that the tip touches.
        """
        tip = read_only(tip_reference_mm)
        if not on_surface or not np.isfinite(tip).all():
            return self.lifted()
        seen = replace(self, last_mm=tip, last_s=now_s)
        if not self._glides(tip, now_s) or len(self) >= MOST_POINTS:
            return seen
        away = np.linalg.norm(self.points_reference_mm - tip, axis=1)
        if len(away) and float(away.min()) < APART_MM:
            return seen
        more = np.vstack([self.points_reference_mm, tip])
        return replace(seen, points_reference_mm=read_only(more))

    def lifted(self) -> Self:
        """The tip left the surface, or was lost."""
        return replace(self, last_mm=None, last_s=None)

    def doubt(self, wanted: int = 100, reach_mm: float = 40.0) -> str:
        """What is missing before a registration is worth trying; '' when nothing is."""
        if len(self) < max(wanted, LEAST_POINTS):
            return f"{len(self)} of {wanted} points: go on swiping"
        centred = self.points_reference_mm - self.points_reference_mm.mean(axis=0)
        reach = float(np.sqrt(np.mean(np.sum(centred**2, axis=1))))
        if reach < reach_mm:
            return f"points within {reach:.0f} mm of their middle: swipe a wider area"
        return ""

    def _glides(self, tip: FloatArray, now_s: float) -> bool:
        if self.last_mm is None or self.last_s is None:
            return False
        passed_s = now_s - self.last_s
        if not 0.0 < passed_s <= GAP_S:
            return False
        speed = float(np.linalg.norm(tip - self.last_mm)) / passed_s
        return SLOWEST_MM_S <= speed <= FASTEST_MM_S
