"""One C-arm view: its pinhole, where it stood, and the frame it took."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from ir_nav.geometry import CArmGeometry, FloatArray
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.registration_file import Matrix, parsed, rigid_matrix

# Wider than any C-arm, mobile or biplane, and its detector: beyond them the unit is another.
DistanceMm = Annotated[float, Field(ge=100.0, le=5000.0, allow_inf_nan=False)]
PitchMm = Annotated[float, Field(ge=0.01, le=50.0, allow_inf_nan=False)]
# A beam whose principal ray falls so many widths beside the detector is none.
MOST_BESIDE = 4.0


class Pixels(StrEnum):
    """What a frame's numbers mean."""

    INTENSITY = "intensity"  # bright where little is absorbed
    ATTENUATION = "attenuation"  # the line integral, or a monotone function of it


@dataclass(frozen=True, slots=True, eq=False)
class CArmView:
    """geometry: the pinhole. carm_from_world: (4, 4), mm; `world` is the frame in which the
    C-arm's poses are known (in the console: `reference`). pixels: what the frame's numbers mean.
    """

    geometry: CArmGeometry
    carm_from_world: FloatArray
    pixels: Pixels


@dataclass(frozen=True, slots=True, eq=False)
class FluoroFrame:
    """A view and what it shows. image: (rows, columns), float32."""

    view: CArmView
    image: NDArray[np.float32]


class _Geometry(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    format: Literal[1]
    sid_mm: DistanceMm
    pixel_mm: tuple[PitchMm, PitchMm]
    size_px: tuple[Annotated[int, Field(ge=8, le=8192)], Annotated[int, Field(ge=8, le=8192)]]
    principal_px: tuple[FiniteFloat, FiniteFloat]
    carm_from_world: Matrix
    pixels: Pixels


def read_view(path: Path) -> CArmView:
    """A geometry JSON file (docs/registration-fluoro.md).

    Raises RegistrationError with key and fault.
    """
    found = parsed(path, _Geometry)
    matrix = rigid_matrix(path, "carm_from_world", found.carm_from_world)
    beside = np.abs(np.array(found.principal_px)) / np.array(found.size_px)
    if beside.max() > MOST_BESIDE:
        raise RegistrationError(
            f"{path}: principal_px: lies {beside.max():.0f} detectors away: give it in pixels"
        )
    geometry = CArmGeometry(found.sid_mm, found.pixel_mm, found.size_px, found.principal_px)
    return CArmView(geometry, matrix, found.pixels)
