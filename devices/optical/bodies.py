"""Rigid bodies of printed markers, and the file that describes them.

format = 1
dictionary = "ARUCO_MIP_36h12"

[[bodies]]
transform = "NeedleToTracker"      # the name its pose travels under
[[bodies.markers]]
id = 3
# Outer corners of the black square in the body's mm: top left, top right, bottom right,
# bottom left of the print as one reads it.
corners_mm = [[-20, -20, 0], [20, -20, 0], [20, 20, 0], [-20, 20, 0]]
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat

from devices.optical.documents import DocumentError, Strict, parse_document, read_document

Floats = NDArray[np.float64]
PointMm = tuple[FiniteFloat, FiniteFloat, FiniteFloat]

MIN_SIDE_MM = 2.0
MAX_REACH_MM = 2000.0
SHAPE_TOLERANCE = 0.02  # of the side; what a caliper and a printer leave


class BodyFileError(DocumentError):
    """A body file cannot be used; names the file, the body and what to correct."""


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """transform: the name its pose travels under. corners_mm: by marker id, (4, 3) in body mm,
    read-only."""

    transform: str
    corners_mm: dict[int, Floats]


@dataclass(frozen=True, slots=True, eq=False)
class Bodies:
    """dictionary: OpenCV's name without "DICT_". cells: along a marker's side with its rim."""

    dictionary: str
    bodies: tuple[Body, ...]

    @property
    def marks(self) -> cv2.aruco.Dictionary:
        return dictionaries()[self.dictionary]

    @property
    def cells(self) -> int:
        return int(self.marks.markerSize) + 2


class _Marker(Strict):
    id: Annotated[int, Field(ge=0)]
    corners_mm: tuple[PointMm, PointMm, PointMm, PointMm]


class _Body(Strict):
    transform: Annotated[str, Field(min_length=1, max_length=20)]
    markers: Annotated[tuple[_Marker, ...], Field(min_length=1)]


class _File(Strict):
    format: Literal[1]
    dictionary: str
    bodies: Annotated[tuple[_Body, ...], Field(min_length=1)]


def read_bodies(path: Path) -> Bodies:
    """Read a body file (TOML or JSON). Raises BodyFileError."""
    try:
        return read_document(path, parse_bodies)
    except DocumentError as error:
        raise BodyFileError(str(error)) from None


def parse_bodies(data: bytes, toml: bool) -> Bodies:
    """Content of a body file. Raises DocumentError."""
    file = parse_document(data, _File, toml)
    names = dictionaries()
    dictionary = file.dictionary.removeprefix("DICT_")
    if dictionary not in names:
        raise BodyFileError(f"dictionary: unknown '{file.dictionary}'; one of {', '.join(names)}")
    count = len(names[dictionary].bytesList)
    markers = [marker for body in file.bodies for marker in body.markers]
    for marker in markers:
        if marker.id >= count:
            raise BodyFileError(f"marker {marker.id}: {dictionary} ends at id {count - 1}")
    if twice := _repeated(marker.id for marker in markers):
        raise BodyFileError(f"marker {twice}: listed twice; every marker belongs to one body, once")
    if twice := _repeated(body.transform for body in file.bodies):
        raise BodyFileError(f"transform '{twice}': two bodies have this name")
    return Bodies(dictionary, tuple(_body(body) for body in file.bodies))


def _body(body: _Body) -> Body:
    return Body(body.transform, {marker.id: _corners(marker) for marker in body.markers})


def _corners(marker: _Marker) -> Floats:
    """(4, 3), checked to be a square: nearly every slip of the pen breaks that."""
    corners = np.array(marker.corners_mm)
    where = f"marker {marker.id}: corners_mm"
    if np.abs(corners).max() > MAX_REACH_MM:
        raise BodyFileError(f"{where} lie more than {MAX_REACH_MM:.0f} mm from the body's origin")
    sides = np.roll(corners, -1, axis=0) - corners
    lengths = np.linalg.norm(sides, axis=1)
    side = float(lengths.mean())
    if side < MIN_SIDE_MM:
        raise BodyFileError(f"{where}: a side of {side:.2g} mm cannot be seen; are these mm?")
    # A flat square closes as a parallelogram with equal sides and equal diagonals.
    gap = np.linalg.norm(corners[0] - corners[1] + corners[2] - corners[3])
    diagonals = np.linalg.norm(corners[2:] - corners[:2], axis=1)
    slack = max(float(gap), float(np.ptp(lengths)), float(np.ptp(diagonals)))
    if slack > SHAPE_TOLERANCE * side:
        raise BodyFileError(
            f"{where} are no square (off by {slack:.2g} mm on a side of {side:.3g} mm); give the "
            "black square's corners as one reads the print: top left, top right, bottom right, "
            "bottom left"
        )
    corners.flags.writeable = False
    return corners


def _repeated(items: Iterable[Hashable]) -> str:
    """As text, so that marker 0 counts; "" where nothing repeats."""
    counts = Counter(items)
    return next((str(item) for item, count in counts.items() if count > 1), "")


@cache
def dictionaries() -> dict[str, cv2.aruco.Dictionary]:
    """By name without "DICT_"; OpenCV lists some twice, with capital letters."""
    names = sorted({name for name in dir(cv2.aruco) if name.startswith("DICT_")})
    codes = {getattr(cv2.aruco, name): name.removeprefix("DICT_") for name in names}
    return {name: cv2.aruco.getPredefinedDictionary(code) for code, name in codes.items()}
