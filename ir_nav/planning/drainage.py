"""Where a locked pigtail and its side holes come to lie in a collection.

The shaft runs straight to the target and goes on as one full turn of a circle that is tangent to
it. Which way the loop turns about the shaft is not known beforehand, so every roll is tried and
the worst one counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import distance_transform_edt

from ir_nav.geometry import FloatArray, perpendicular_basis
from ir_nav.planning.instruments import Catheter
from ir_nav.planning.path import PlannedPath
from ir_nav.planning.target_mask import TargetMask

ROLLS = 36
LOOP_POINTS = 72


@dataclass(frozen=True, slots=True)
class DrainageFit:
    """How a catheter lies in a collection.

    holes_inside, loop_inside: share, 0 to 1, at the worst roll of the loop. rolls_fit: share of
    rolls at which the whole loop lies inside. widest_mm: diameter of the largest ball that fits
    anywhere in the collection. deepest_mm: the loop's far side past the target.
    """

    holes_inside: float
    loop_inside: float
    rolls_fit: float
    widest_mm: float
    deepest_mm: float

    @property
    def fits(self) -> bool:
        """Every side hole and the whole loop inside, however the loop turns."""
        return self.holes_inside == 1.0 and self.loop_inside == 1.0


def centreline(
    path: PlannedPath, catheter: Catheter, roll_deg: float, arcs_mm: ArrayLike
) -> FloatArray:
    """(n, 3) `ct` mm of points of the locked catheter at arcs (n,) from its tip.

    roll_deg: the way the loop lies about the shaft.
    """
    radius_mm = (catheter.loop_mm - catheter.outer_diameter_mm) / 2.0
    along = path.direction_ct
    first, second = perpendicular_basis(along, (0.0, 0.0, 1.0))
    roll = np.radians(roll_deg)
    side = np.cos(roll) * first + np.sin(roll) * second
    turn_mm = 2.0 * np.pi * radius_mm
    arcs = np.asarray(arcs_mm, dtype=np.float64)[:, None]
    angle = (turn_mm - np.minimum(arcs, turn_mm)) / radius_mm
    middle = path.target_ct_mm + radius_mm * side
    loop = middle + radius_mm * (np.sin(angle) * along - np.cos(angle) * side)
    return np.asarray(loop - np.maximum(arcs - turn_mm, 0.0) * along)


def fit_catheter(path: PlannedPath, catheter: Catheter, collection: TargetMask) -> DrainageFit:
    """How the catheter lies in the collection when its straight part ends at the target."""
    radius_mm = (catheter.loop_mm - catheter.outer_diameter_mm) / 2.0
    holes = hole_arcs_mm(catheter)
    loop = np.linspace(0.0, 2.0 * np.pi * radius_mm, LOOP_POINTS, endpoint=False)
    hole_shares, loop_shares = [], []
    for roll_deg in np.linspace(0.0, 360.0, ROLLS, endpoint=False):
        points = centreline(path, catheter, float(roll_deg), np.concatenate([holes, loop]))
        inside = collection.holds(points)
        hole_shares.append(float(np.mean(inside[: len(holes)])))
        loop_shares.append(float(np.mean(inside[len(holes) :])))
    fitting = float(np.mean(np.array(loop_shares) == 1.0))
    deepest_mm = radius_mm + catheter.outer_diameter_mm / 2.0
    return DrainageFit(
        min(hole_shares), min(loop_shares), fitting, widest_ball_mm(collection), deepest_mm
    )


def hole_arcs_mm(catheter: Catheter) -> FloatArray:
    """(count,) arcs of the side holes from the catheter's tip."""
    holes = catheter.side_holes
    return np.linspace(holes.first_mm, holes.first_mm + holes.span_mm, holes.count)


def widest_ball_mm(collection: TargetMask) -> float:
    """Diameter of the largest ball inside, from the mask's Euclidean distance map."""
    used = [np.flatnonzero(collection.voxels.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    box = tuple(slice(one[0], one[-1] + 1) for one in used)
    spacing_mm = np.linalg.norm(collection.ct_from_voxel[:3, :3], axis=0)
    # Padded: what lies beyond the image is not known to be inside.
    deep_mm = distance_transform_edt(np.pad(collection.voxels[box], 1), sampling=spacing_mm[::-1])
    # The map goes to the nearest centre outside, which lies half a voxel beyond the surface.
    return 2.0 * float(deep_mm.max()) - float(spacing_mm.min())
