"""Standard views of the patient and the letters at their edges."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike

from ir_nav.geometry import FloatArray, unit

# A smaller part of a unit direction earns no letter: 0.3 is 17 degrees off.
LETTER_LIMIT = 0.3

_POSITIVE = "LPH"
_NEGATIVE = "RAF"


class StandardView(StrEnum):
    """The three radiological views."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"

    @property
    def right_ct(self) -> FloatArray:
        """(3,) direction of the image's right edge."""
        return np.array(_RIGHT_DOWN[self][0])

    @property
    def down_ct(self) -> FloatArray:
        """(3,) direction of the image's lower edge."""
        return np.array(_RIGHT_DOWN[self][1])


_RIGHT_DOWN = {
    StandardView.AXIAL: ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
    StandardView.CORONAL: ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0)),
    StandardView.SAGITTAL: ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0)),
}


def orientation_letters(direction_ct: ArrayLike) -> str:
    """Where a `ct` direction (3,) points: 'L', 'LA', 'HLP'; the largest part leads.

    R right, L left, A front, P back, H head, F feet of the patient. Raises GeometryError for a
    direction of length zero.
    """
    direction = unit(direction_ct)
    order = sorted(range(3), key=lambda axis: (-abs(float(direction[axis])), axis))
    shown = [axis for axis in order if abs(direction[axis]) > LETTER_LIMIT]
    return "".join(_POSITIVE[axis] if direction[axis] > 0.0 else _NEGATIVE[axis] for axis in shown)
