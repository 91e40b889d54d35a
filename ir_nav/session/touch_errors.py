"""How well each touched fiducial is known: what its fit is weighted by, and may leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ir_nav.geometry import FloatArray, fit_points
from ir_nav.imaging import Volume
from ir_nav.session.collection import ToolCalibration
from ir_nav.session.resting import Touch

# By how much a hand sets a tip beside the middle of a marker, rms in all directions: a cautious
# choice of ours.
HAND_MM = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class TouchErrors:
    """What every touch shares. tip_mm: error of the stylus's tip, rms in all directions, by its
    calibration. voxel_ct_mm: (3, 3) the CT's voxel, its edges as columns, in `ct`."""

    tip_mm: float
    voxel_ct_mm: FloatArray

    @classmethod
    def of(cls, stylus: ToolCalibration, volume: Volume | None) -> TouchErrors:
        """Of the calibration in use and the CT, as far as they are known."""
        tip_mm = 0.0 if stylus.pivot is None else stylus.pivot.tip_error_mm
        voxel = np.zeros((3, 3)) if volume is None else volume.ct_from_voxel[:3, :3]
        return cls(tip_mm, voxel)


NO_ERRORS = TouchErrors(0.0, np.zeros((3, 3)))


def touch_covariances_mm2(
    touches: Sequence[Touch], points_ct_mm: FloatArray, shared: TouchErrors
) -> FloatArray:
    """(n, 3, 3) of touched points in `reference`, mm squared; points_ct_mm (n, 3): theirs.

    The sum of how the tip scattered while it rested (in full, not that of a mean: a tracker is off
    for long by as much as it scatters in a moment), of the tip's calibration, of the hand, and of
    where in a voxel the CT's point lies (even over the voxel: a twelfth of its edges squared).
    Raises GeometryError as fit_points does.
    """
    touched = np.array([one.reference_mm for one in touches])
    turn = fit_points(touched, points_ct_mm).matrix[:3, :3].T
    edges = turn @ shared.voxel_ct_mm
    alike = (HAND_MM**2 + shared.tip_mm**2) / 3.0 * np.eye(3) + edges @ edges.T / 12.0
    return np.array([one.scatter_mm2 + alike for one in touches])
