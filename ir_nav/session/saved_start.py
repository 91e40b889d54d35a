"""A start from a file: where searches and the hand begin while guidance goes by no registration."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ir_nav.geometry import FloatArray, Frame, Transform
from ir_nav.registration import Method, Registration
from ir_nav.registration.registration_file import read_start

# The patient may lie otherwise than when the file was made: as far off as searches look.
UNKNOWN_MM, UNKNOWN_DEG = 30.0, 15.0


def saved_start(path: Path, about_ct_mm: FloatArray, now_s: float) -> Registration:
    """The start in a file of `ir-nav register`, or in one written for its `--init`.

    Whatever error the file states was that of another day: it is taken to be off by 30 mm and 15
    degrees, one standard deviation along and about every axis of a point (3,) of the CT, so that
    no protocol lets guidance go by it. RegistrationError as `read_start`.
    """
    ct_from_reference = Transform(Frame.CT, Frame.REFERENCE, read_start(path))
    return Registration(
        Method.MANUAL,
        ct_from_reference,
        (),
        np.diag(np.repeat([UNKNOWN_MM**2, UNKNOWN_DEG**2], 3)),
        about_ct_mm,
        0.0,
        0,
        0.0,
        now_s,
        True,
        "",
        (f"start from the file {path.name}",),
    )
