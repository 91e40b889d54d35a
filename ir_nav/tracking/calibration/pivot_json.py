"""A pivot calibration as it is written to a file."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ir_nav.tracking.calibration.pivot import PivotCalibration, tool_from_tip
from ir_nav.tracking.calibration.result import Rejection

FORMAT = 1


def pivot_json(
    pivot: PivotCalibration, indices: ArrayLike, more_rejected: tuple[Rejection, ...] = ()
) -> dict[str, Any]:
    """Plain numbers for json.dumps.

    needle_from_tip: (4, 4) mm, origin at the tip, +z from the sensor to the tip, the sensor
    taken to sit on the shaft. A refused calibration has no tip: null. error_mm: of the poses
    used, null before anything was solved. indices (n,): where each pose stood in the recording;
    more_rejected: what was left out before, by the same count.
    """
    solved = bool(len(pivot.kept))
    places = np.asarray(indices)
    own = (Rejection(int(places[one.index]), one.reason) for one in pivot.rejections())
    rejected = sorted((*own, *more_rejected), key=lambda one: one.index)
    matrix = tool_from_tip(pivot, None) if pivot.accepted else None
    return {
        "format": FORMAT,
        "tip_mm": pivot.tip_mm.tolist() if pivot.accepted else None,
        "needle_from_tip": None if matrix is None else matrix.tolist(),
        "error_mm": pivot.error_mm().as_json() if solved else None,
        "tip_error_mm": pivot.tip_error_mm if solved else None,
        "span_deg": pivot.span_deg,
        "used": pivot.used,
        "rejected": [{"index": one.index, "reason": one.reason} for one in rejected],
        "accepted": pivot.accepted,
        "reason": pivot.reason,
    }
