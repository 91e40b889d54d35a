"""Straightened slices along a curved line: a vessel, a duct, the bowel, drawn as if straight.

Kanitsar et al. 2002 (CPR - curved planar reformation), "straightened CPR": both axes in mm, the
line in the middle column. Directions across the line turn as little as the line allows: double
reflection after Wang et al. 2008 (Computation of rotation minimizing frames).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline

from ir_nav.geometry import FloatArray, read_only
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.slab_kernels import curved_rows
from ir_nav.imaging.volume import Volume

# Clicked points nearer than this are one point.
APART_MM = 0.5
FINE_STEP_MM = 0.1
MOST_POINTS = 500
LONGEST_MM = 3000.0


@dataclass(frozen=True, slots=True, eq=False)
class CurvedLine:
    """A smooth line through the patient at even steps of its length.

    points_ct_mm (n, 3), step_mm apart along the line; tangents_ct, across_ct (n, 3): unit
    directions along the line and square to it, the latter without twist.
    """

    points_ct_mm: FloatArray
    tangents_ct: FloatArray
    across_ct: FloatArray
    step_mm: float

    @property
    def length_mm(self) -> float:
        return self.step_mm * (len(self.points_ct_mm) - 1)

    def across_at(self, angle_deg: float) -> FloatArray:
        """(n, 3) directions across the line, turned about it."""
        turn = np.radians(angle_deg)
        third = np.cross(self.tangents_ct, self.across_ct)
        return np.asarray(self.across_ct * np.cos(turn) + third * np.sin(turn))


@dataclass(frozen=True, slots=True, eq=False)
class CurvedSlice:
    """hu: (rows, columns) float32, NaN outside the CT; one row per step of the line.

    starts_ct_mm, steps_ct_mm (rows, 3): first pixel of each row and the way to the next.
    Both axes have mm_per_px.
    """

    hu: NDArray[np.float32]
    starts_ct_mm: FloatArray
    steps_ct_mm: FloatArray
    mm_per_px: float

    def point_ct_mm(self, column_px: float, row_px: float) -> FloatArray:
        """(3,) where a pixel lies in the patient; rows between two are interpolated."""
        row = min(max(row_px, 0.0), len(self.starts_ct_mm) - 1.0)
        low = min(int(row), len(self.starts_ct_mm) - 2)
        part = row - low
        ends = [
            self.starts_ct_mm[index] + column_px * self.steps_ct_mm[index]
            for index in (low, low + 1)
        ]
        return np.asarray(ends[0] * (1.0 - part) + ends[1] * part)


def curved_line(controls_ct_mm: ArrayLike, step_mm: float) -> CurvedLine:
    """Smooth line through control points (n, 3) in `ct`: natural cubic spline over their
    distances, at even steps of arc length.

    Raises ImagingError for fewer than two different points, or a line too long or too many.
    """
    points = _distinct(np.asarray(controls_ct_mm, dtype=np.float64))
    if step_mm <= 0.0:
        raise ImagingError("the step along a line is more than 0 mm")
    chords = np.linalg.norm(np.diff(points, axis=0), axis=1)
    if chords.sum() > LONGEST_MM:
        raise ImagingError(f"the line is longer than {LONGEST_MM / 1000:.0f} m: place it anew")
    knots = np.concatenate([[0.0], np.cumsum(chords)])
    spline = CubicSpline(knots, points, bc_type="natural")
    fine = np.linspace(0.0, knots[-1], max(int(knots[-1] / FINE_STEP_MM), 8) + 1)
    dense = spline(fine)
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(dense, axis=0), axis=1))])
    count = max(int(lengths[-1] / step_mm), 1) + 1
    places = np.interp(np.arange(count) * step_mm, lengths, fine)
    tangents = spline(places, 1)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    line = spline(places)
    return CurvedLine(
        read_only(line), read_only(tangents), read_only(_untwisted(line, tangents)), step_mm
    )


def curved_slice(
    volume: Volume, line: CurvedLine, width_mm: float, angle_deg: float = 0.0
) -> CurvedSlice:
    """The CT along a line, width_mm across it, pixels as large as the line's step."""
    columns = max(round(width_mm / line.step_mm), 1) | 1
    steps = line.across_at(angle_deg) * line.step_mm
    starts = line.points_ct_mm - steps * ((columns - 1) / 2.0)
    hu = np.empty((len(starts), columns), np.float32)
    curved_rows(volume.voxels, volume.voxel_from_ct, starts, steps, hu)
    hu.flags.writeable = False
    return CurvedSlice(hu, read_only(starts), read_only(steps), line.step_mm)


def _distinct(points: FloatArray) -> FloatArray:
    if points.ndim != 2 or points.shape[1:] != (3,) or not np.isfinite(points).all():
        raise ImagingError("a line is a list of points in mm")
    kept: list[FloatArray] = []
    for point in points:
        if not kept or np.linalg.norm(point - kept[-1]) >= APART_MM:
            kept.append(point)
    if len(kept) < 2:
        raise ImagingError("a line needs two points apart from each other: click further along")
    if len(kept) > MOST_POINTS:
        raise ImagingError(f"a line has at most {MOST_POINTS} points")
    return np.array(kept)


def _untwisted(points: FloatArray, tangents: FloatArray) -> FloatArray:
    """(n, 3) unit directions square to the tangents, each the one before carried along."""
    first = np.eye(3)[int(np.argmin(np.abs(tangents[0])))]
    first = first - tangents[0] * float(first @ tangents[0])
    found = [first / np.linalg.norm(first)]
    for index in range(len(points) - 1):
        chord = points[index + 1] - points[index]
        square = float(chord @ chord)
        side = found[-1] - (2.0 / square) * float(chord @ found[-1]) * chord
        ahead = tangents[index] - (2.0 / square) * float(chord @ tangents[index]) * chord
        bend = tangents[index + 1] - ahead
        length = float(bend @ bend)
        if length > 1e-18:
            side = side - (2.0 / length) * float(bend @ side) * bend
        side = side - tangents[index + 1] * float(side @ tangents[index + 1])
        found.append(side / np.linalg.norm(side))
    return np.array(found)
