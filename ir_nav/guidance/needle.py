"""The tracked needle against the planned path."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ir_nav.geometry import FloatArray, angle_between_deg, read_only, split_offset, unit
from ir_nav.planning.path import PlannedPath


@dataclass(frozen=True, slots=True, eq=False)
class Guidance:
    """Where the needle is against its plan, at one instant.

    to_target_mm: along the planned path; negative once past the target. off_path_mm: tip to
    planned line. angle_deg: shaft to planned line. aim_off_mm: how far from the target, square
    to the path, the shaft points if it is pushed on straight. tip_offset_ct_mm (3,): from the
    planned line to the tip. hub_tilt_ct (3,): direction in which the hub has to go so that the
    shaft runs along the path, zero when it does.
    """

    to_target_mm: float
    off_path_mm: float
    angle_deg: float
    aim_off_mm: float
    tip_offset_ct_mm: FloatArray
    aim_offset_ct_mm: FloatArray
    hub_tilt_ct: FloatArray


def guide(path: PlannedPath, tip_ct_mm: ArrayLike, shaft_ct: ArrayLike) -> Guidance:
    """Compare a tip (3,) in mm and a shaft direction (3,), hub to tip, with the plan."""
    tip = np.asarray(tip_ct_mm, dtype=np.float64)
    shaft = unit(shaft_ct)
    axis = path.direction_ct
    along, offset = split_offset(tip, path.target_ct_mm, axis)
    advance = float(np.dot(shaft, axis))
    # Pushed on straight, the tip meets the target's plane after -along / advance.
    aim = offset + (shaft - advance * axis) * (-along / advance) if advance > 0.2 else offset
    return Guidance(
        to_target_mm=-along,
        off_path_mm=float(np.linalg.norm(offset)),
        angle_deg=angle_between_deg(shaft, axis),
        aim_off_mm=float(np.linalg.norm(aim)),
        tip_offset_ct_mm=read_only(offset),
        aim_offset_ct_mm=read_only(aim),
        hub_tilt_ct=read_only(shaft - advance * axis),
    )
