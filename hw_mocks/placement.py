"""Putting tools somewhere: poses from a tip and a direction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ir_nav.geometry import (
    FloatArray,
    rigid,
    rigid_inverse,
    rotation_along,
    rotation_from_vector,
    unit,
)


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """Where a pointed tool is, in the patient's rest frame: tip (3,) mm, direction (3,) hub to
    tip, roll about the shaft."""

    tip_mm: FloatArray
    direction: FloatArray
    roll_deg: float = 0.0

    @staticmethod
    def at(tip_mm: ArrayLike, direction: ArrayLike, roll_deg: float = 0.0) -> Placement:
        return Placement(np.asarray(tip_mm, dtype=np.float64), unit(direction), roll_deg)

    @property
    def matrix(self) -> FloatArray:
        """Pose (4, 4) of the tip frame: origin at the tip, +z along the shaft."""
        rotation = rotation_along(self.direction)
        turn = rotation_from_vector(np.array([0.0, 0.0, np.radians(self.roll_deg)]))
        return rigid(rotation @ turn, self.tip_mm)


def blend(first: Placement, second: Placement, fraction: float) -> Placement:
    """Between two placements, easing in and out."""
    f = float(np.clip(fraction, 0.0, 1.0))
    f = f * f * (3.0 - 2.0 * f)
    return Placement.at(
        (1.0 - f) * first.tip_mm + f * second.tip_mm,
        (1.0 - f) * first.direction + f * second.direction,
        (1.0 - f) * first.roll_deg + f * second.roll_deg,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Tool:
    """A tool with a sensor. tool_from_tip (4, 4): what the console has to find out."""

    tool_from_tip: FloatArray

    def sensor_pose(self, rest_from_tip: FloatArray) -> FloatArray:
        """Pose (4, 4) of the sensor that puts the tip frame at `rest_from_tip`."""
        return np.asarray(rest_from_tip @ rigid_inverse(self.tool_from_tip))


def odd_tool(generator: np.random.Generator, length_mm: float) -> Tool:
    """A tool of a length whose sensor sits a little beside and askew of the shaft."""
    tilt = rotation_from_vector(generator.normal(0.0, np.radians(3.0), 3))
    beside = generator.normal(0.0, 2.0, 2)
    return Tool(rigid(tilt, tilt @ np.array([beside[0], beside[1], length_mm])))


def wander(now_s: float, seed: int, low_hz: float = 0.3, high_hz: float = 10.0) -> FloatArray:
    """A smooth random offset (3,), rms 1: drift of the hand and tremor at 8 to 10 Hz."""
    generator = np.random.default_rng(seed)
    slow = np.sin(
        2 * np.pi * (low_hz * generator.uniform(0.7, 1.3, 3) * now_s + generator.random(3))
    )
    fast = np.sin(
        2 * np.pi * (high_hz * generator.uniform(0.8, 1.0, 3) * now_s + generator.random(3))
    )
    return np.asarray(slow * 0.75 + fast * 0.3)
