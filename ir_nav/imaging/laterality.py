"""Whether everything that the headers say about left and right agrees."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from ir_nav.geometry import FloatArray
from ir_nav.imaging.dicom_header import SliceHeader
from ir_nav.imaging.errors import ImagingError

SIDES: Final = {"L": "left", "R": "right"}
_WORDS: Final = {
    "L": re.compile(r"\b(left|lt|links|gauche|izquierd[ao]|sinist(er|ra))\b", re.IGNORECASE),
    "R": re.compile(r"\b(right|rt|rechts|droite?|derech[ao]|dext(er|ra))\b", re.IGNORECASE),
}
# Patient axes in LPS, towards which a row or a column can run.
_AXES: Final = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "H": (2, 1), "F": (2, -1)}


def check_sides(headers: Sequence[SliceHeader], row: FloatArray, column: FloatArray) -> None:
    """Raise ImagingError when Laterality, Image Laterality, Frame Laterality or Patient
    Orientation contradict each other or the direction cosines (PS3.3 C.7.6.1.1.1, C.7.3.1)."""
    sides = {header.facts.laterality for header in headers}
    sides |= {header.image_laterality for header in headers}
    if {"L", "R"} <= sides:
        raise ImagingError(
            "the series says both left and right about its body part (Laterality, Image "
            "Laterality): have the sides put right in the archive, then load it again"
        )
    for header in headers:
        for letters, direction in zip(header.row_letters, (row, column), strict=False):
            _check_letters(header, letters, direction)


def _check_letters(header: SliceHeader, letters: str, direction: FloatArray) -> None:
    """The letters of one direction, e.g. 'L' or 'LPH', the foremost first."""
    if not letters or letters[0] not in _AXES:
        return
    axis, sign = _AXES[letters[0]]
    if sign * direction[axis] < -0.1:
        raise ImagingError(
            f"{header.plain_name} states in Patient Orientation that it runs towards "
            f"{letters[0]}, and in its direction cosines the opposite: left and right are not "
            "known. Export it again from the scanner"
        )


def stated_side(headers: Sequence[SliceHeader]) -> str | None:
    """'L', 'R' or 'B' that the laterality elements agree on; None when they are silent."""
    sides = {header.image_laterality or header.facts.laterality for header in headers}
    known = {side for side in sides if side in ("L", "R", "B")}
    return known.pop() if len(known) == 1 else None


def described_side(header: SliceHeader) -> str | None:
    """'L' or 'R' when the descriptions or the body part name one side."""
    facts = header.facts
    said = f"{facts.description} {facts.body_part} {facts.study_description}".replace("_", " ")
    found = [side for side, words in _WORDS.items() if words.search(said)]
    return found[0] if len(found) == 1 else None


def side_conflict(headers: Sequence[SliceHeader]) -> str | None:
    """What to show when the descriptions name another side than the elements."""
    stated, described = stated_side(headers), described_side(headers[0])
    if stated not in SIDES or described is None or stated == described:
        return None
    return (
        f"the description says {SIDES[described]}, the laterality element "
        f"{SIDES[stated]}: check the side before you plan"
    )
