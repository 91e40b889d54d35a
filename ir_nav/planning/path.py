"""A straight path through the patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ir_nav.geometry import FloatArray, read_only, unit


@dataclass(frozen=True, slots=True, eq=False)
class PlannedPath:
    """Straight path in `ct`, mm: entry (3,) on the skin, target (3,)."""

    entry_ct_mm: FloatArray
    target_ct_mm: FloatArray

    @staticmethod
    def between(entry_ct_mm: ArrayLike, target_ct_mm: ArrayLike) -> PlannedPath:
        """Read-only copy of both points; GeometryError when they coincide."""
        path = PlannedPath(read_only(entry_ct_mm), read_only(target_ct_mm))
        unit(path.target_ct_mm - path.entry_ct_mm)
        return path

    @property
    def direction_ct(self) -> FloatArray:
        """Unit vector (3,) from entry to target."""
        return unit(self.target_ct_mm - self.entry_ct_mm)

    @property
    def length_mm(self) -> float:
        return float(np.linalg.norm(self.target_ct_mm - self.entry_ct_mm))
