"""Places and directions in the patient's terms: letters instead of signed LPS numbers."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import ArrayLike

from ir_nav.geometry import FloatArray

POSITIVE = "LPH"
NEGATIVE = "RAF"
# An axial part of a direction smaller than this has no direction worth telling.
LEAST_AXIAL = 0.05

_NUMBER = r"[-+]?\d+(?:\.\d*)?|[-+]?\.\d+"
_LETTERED = re.compile(rf"([LRPAHF])\s*({_NUMBER})", re.IGNORECASE)


def along_words(axis: int, value_mm: float) -> str:
    """One LPS coordinate as "H 7": its letter and the whole mm from the CT's origin."""
    letter = POSITIVE[axis] if value_mm >= 0.0 else NEGATIVE[axis]
    return f"{letter} {abs(value_mm):.0f}"


def place_words(point_ct_mm: ArrayLike) -> str:
    """A point (3,) in `ct`, mm, as "R 83 · A 6 · H 7 mm"."""
    point = np.asarray(point_ct_mm, dtype=np.float64)
    return " · ".join(along_words(axis, float(point[axis])) for axis in range(3)) + " mm"


def slice_words(centre_ct_mm: FloatArray, right_ct: FloatArray, down_ct: FloatArray) -> str:
    """Where a slice square to a body axis lies, "H 7 mm"; '' for an oblique one."""
    # What neither edge of the picture runs along is the axis that it is square to.
    along = right_ct * right_ct + down_ct * down_ct
    axis = int(along.argmin())
    if float(along[axis]) > 0.002:
        return ""
    return along_words(axis, float(centre_ct_mm[axis])) + " mm"


def craniocaudal_words(axial_angle_deg: float) -> str:
    """Where the tip goes out of the axial plane; the angle is positive for a hub at the head."""
    if abs(axial_angle_deg) < 0.5:
        return "Tip stays in the axial plane"
    side = "feet (F)" if axial_angle_deg > 0.0 else "head (H)"
    return f"Tip {abs(axial_angle_deg):.0f}° toward {side}"


def axial_words(direction_ct: FloatArray) -> str:
    """Where the tip goes within the axial plane, from the horizontal R-L; '' for a direction
    along the body."""
    x, y = float(direction_ct[0]), float(direction_ct[1])
    if np.hypot(x, y) < LEAST_AXIAL:
        return ""
    turned_deg = float(np.degrees(np.arctan2(abs(y), abs(x))))
    across = POSITIVE[0] if x > 0.0 else NEGATIVE[0]
    if turned_deg < 0.5:
        return f"Tip toward {across}, horizontal"
    up = POSITIVE[1] if y > 0.0 else NEGATIVE[1]
    return f"Tip {turned_deg:.0f}° toward {up} from horizontal R-L"


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
