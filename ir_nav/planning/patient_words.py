"""Places, sides and directions in the patient's terms: letters instead of signed LPS numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ir_nav.geometry import FloatArray, perpendicular_basis
from ir_nav.imaging import Volume

POSITIVE = "LPH"
NEGATIVE = "RAF"
SIDES = {"L": "LEFT", "R": "RIGHT", "B": "BOTH SIDES"}
# A target nearer to the middle than this has no side.
MIDDLE_MM = 15.0
# An axial part of a direction smaller than this has no direction worth telling.
LEAST_AXIAL = 0.05
# How far a gantry leans, on scanners whose gantry does.
MOST_TILT_DEG = 30.0

_HEAD = (0.0, 0.0, 1.0)
_RIGHT_OF_PICTURE = (1.0, 0.0, 0.0)


def along_words(axis: int, value_mm: float) -> str:
    """One LPS coordinate as "H 7": its letter and the whole mm from the CT's origin."""
    letter = POSITIVE[axis] if value_mm >= 0.0 else NEGATIVE[axis]
    return f"{letter} {abs(value_mm):.0f}"


def place_words(point_ct_mm: ArrayLike) -> str:
    """A point (3,) in `ct`, mm, as "R 83 · A 6 · H 7 mm"."""
    point = np.asarray(point_ct_mm, dtype=np.float64)
    return " · ".join(along_words(axis, float(point[axis])) for axis in range(3)) + " mm"


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


def gantry_words(direction_ct: FloatArray) -> str:
    """The gantry's tilt about the R-L axis that brings the whole path into one slice."""
    back, head = float(direction_ct[1]), float(direction_ct[2])
    if abs(head) < 0.01:
        return "No tilt: the path lies in one axial slice"
    tilt_deg = float(np.degrees(np.arctan2(abs(head), abs(back))))
    if tilt_deg > MOST_TILT_DEG:
        return f"The path leaves the axial slice: a tilt of {tilt_deg:.0f}° is beyond any gantry"
    # Going to the front, the slice of a path that runs back and to the head goes to the feet.
    side = "feet" if back * head > 0.0 else "head"
    return f"Tilt {tilt_deg:.0f}°, the slice's front edge toward the {side}"


def side_words(volume: Volume, target_ct_mm: FloatArray | None) -> str:
    """LEFT, RIGHT, BOTH SIDES or MIDLINE: the laterality in the images' header, else the side of
    the body the target lies on; '' when neither is known."""
    stated = SIDES.get(volume.description.laterality or "")
    if stated or target_ct_mm is None:
        return stated or ""
    from_middle = float(target_ct_mm[0] - volume.centre_ct_mm[0])
    if abs(from_middle) < MIDDLE_MM:
        return "MIDLINE"
    return "LEFT" if from_middle > 0.0 else "RIGHT"


def along_axes(direction_ct: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(right, down) of a plane that contains the direction, laid like the standard views.

    The patient's left, or the back, lies at the right of the picture; the head is up.
    """
    if abs(float(direction_ct[2])) > 0.8:
        down = -direction_ct * np.sign(direction_ct[2])
        _, right = perpendicular_basis(down, _RIGHT_OF_PICTURE)
        return right, down
    leading = int(np.argmax(np.abs(direction_ct[:2])))
    right = direction_ct * np.sign(direction_ct[leading])
    _, up = perpendicular_basis(right, _HEAD)
    return right, -up
