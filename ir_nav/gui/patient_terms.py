"""Places and directions in the patient's terms: letters instead of signed LPS numbers."""

from __future__ import annotations

import re

import numpy as np

from ir_nav.geometry import FloatArray
from ir_nav.planning.patient_words import (
    NEGATIVE,
    POSITIVE,
    along_words,
    axial_words,
    craniocaudal_words,
    place_words,
)

__all__ = [
    "along_words",
    "axial_words",
    "craniocaudal_words",
    "place_words",
    "slice_words",
    "typed_point",
]

_NUMBER = r"[-+]?\d+(?:\.\d*)?|[-+]?\.\d+"
_LETTERED = re.compile(rf"([LRPAHF])\s*({_NUMBER})", re.IGNORECASE)


def slice_words(centre_ct_mm: FloatArray, right_ct: FloatArray, down_ct: FloatArray) -> str:
    """Where a slice square to a body axis lies, "H 7 mm"; '' for an oblique one."""
    # What neither edge of the picture runs along is the axis that it is square to.
    along = right_ct * right_ct + down_ct * down_ct
    axis = int(along.argmin())
    if float(along[axis]) > 0.002:
        return ""
    return along_words(axis, float(centre_ct_mm[axis])) + " mm"


def typed_point(text: str) -> FloatArray | None:
    """(3,) in `ct`, mm, from "X, Y, Z" in LPS or from "R 83 A 6 H 7" in any order; None when it
    is no point. Either minus sign and the dots that the console itself writes are taken."""
    plain = text.replace("−", "-").replace("·", " ").replace(",", " ").strip()
    lettered = _lettered_point(plain)
    if lettered is not None:
        return lettered
    try:
        point = np.array([float(part) for part in plain.split()])
    except ValueError:
        return None
    return point if point.shape == (3,) and np.isfinite(point).all() else None


def _lettered_point(text: str) -> FloatArray | None:
    pairs = _LETTERED.findall(text)
    rest = _LETTERED.sub(" ", text).strip().lower()
    if len(pairs) != 3 or rest not in ("", "mm"):
        return None
    point = np.full(3, np.nan)
    for letter, number in pairs:
        signs = ((POSITIVE, 1.0), (NEGATIVE, -1.0))
        for letters, sign in signs:
            if letter.upper() in letters:
                point[letters.index(letter.upper())] = sign * float(number)
    return point if np.isfinite(point).all() else None
