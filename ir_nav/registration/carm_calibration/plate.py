"""A plate or phantom of radio-opaque beads, as its maker describes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from ir_nav.geometry import FloatArray, read_only
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.registration_file import parsed

LEAST_BEADS = 6
# Larger beads tell which way round the plate lies.
CODED_RATIO = 1.4
LEAST_CODED = 4
FLAT_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Bead:
    name: str
    position_mm: tuple[float, float, float]
    diameter_mm: float


@dataclass(frozen=True, slots=True)
class Plate:
    """beads: in the plate's own frame, which becomes `world` once it is calibrated with."""

    beads: tuple[Bead, ...]

    @property
    def positions_mm(self) -> FloatArray:
        """(n, 3)."""
        return np.array([bead.position_mm for bead in self.beads])

    @property
    def coded(self) -> tuple[int, ...]:
        """Indices of the larger beads."""
        sizes = np.array([bead.diameter_mm for bead in self.beads])
        return tuple(int(i) for i in np.flatnonzero(sizes >= CODED_RATIO * sizes.min()))

    @property
    def flat(self) -> bool:
        """Whether all beads lie in about one plane."""
        return is_flat(self.positions_mm)


class _Bead(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    name: Annotated[str, Field(min_length=1, max_length=64)]
    position_mm: tuple[FiniteFloat, FiniteFloat, FiniteFloat]
    diameter_mm: Annotated[float, Field(gt=0.1, le=20.0)]


class _Plate(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    format: Literal[1]
    beads: Annotated[list[_Bead], Field(min_length=LEAST_BEADS, max_length=2000)]


def read_plate(path: Path) -> Plate:
    """A plate's JSON file (docs/registration-carm.md).

    Raises RegistrationError for a file that cannot be read, names given twice, beads on one
    line, and fewer than four larger beads, without which the layout says no way round.
    """
    found = parsed(path, _Plate)
    beads = tuple(Bead(one.name, one.position_mm, one.diameter_mm) for one in found.beads)
    plate = Plate(beads)
    names = [bead.name for bead in beads]
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise RegistrationError(f"{path}: beads: {double[0]} is given twice")
    spread = _spread(plate.positions_mm)
    if spread[1] < FLAT_SHARE * spread[0]:
        raise RegistrationError(f"{path}: beads: they lie on one line")
    if not LEAST_CODED <= len(plate.coded) <= len(beads) // 2:
        raise RegistrationError(
            f"{path}: beads: {LEAST_CODED} or more must be larger than the rest, by "
            f"{CODED_RATIO:g} times in diameter, and no more than half; here {len(plate.coded)} are"
        )
    return plate


def is_flat(positions_mm: FloatArray) -> bool:
    """Whether points (n, 3) lie in about one plane."""
    spread = _spread(positions_mm)
    return bool(spread[2] < FLAT_SHARE * spread[0])


def _spread(positions_mm: FloatArray) -> FloatArray:
    centred = positions_mm - positions_mm.mean(axis=0)
    return read_only(np.linalg.svd(centred, compute_uv=False))
