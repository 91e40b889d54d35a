"""Lines and directions."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from ir_nav.geometry.frames import GeometryError
from ir_nav.geometry.transform import FloatArray


def unit(vector: ArrayLike) -> FloatArray:
    """Vector (3,) scaled to length one; GeometryError when it has no direction."""
    array = np.asarray(vector, dtype=np.float64)
    length = math.sqrt(float(np.dot(array, array)))
    if not math.isfinite(length) or length < 1e-9:
        raise GeometryError("a direction needs two different points")
    return array / length


def angle_between_deg(first: ArrayLike, second: ArrayLike) -> float:
    """Angle between two vectors in degrees, by arctan2: arccos loses precision near 0."""
    a = np.asarray(first, dtype=np.float64)
    b = np.asarray(second, dtype=np.float64)
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b)), np.dot(a, b))))


def perpendicular_basis(direction: ArrayLike, up: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Two unit vectors (right, up) square to `direction`, the second as close to `up` as it can.

    Looking along `direction`, `right x up` points back at the viewer.
    """
    forward = unit(direction)
    hint = np.asarray(up, dtype=np.float64)
    hint = hint - forward * float(np.dot(hint, forward))
    if np.linalg.norm(hint) < 1e-6:
        hint = np.eye(3)[int(np.argmin(np.abs(forward)))]
        hint = hint - forward * float(np.dot(hint, forward))
    up_vector = unit(hint)
    return np.cross(forward, up_vector), up_vector


def rotation_along(direction: ArrayLike, up: ArrayLike = (0.0, 0.0, 1.0)) -> FloatArray:
    """A rotation (3, 3) whose +z column runs along `direction`, +y as close to `up` as it can."""
    right, up_vector = perpendicular_basis(direction, up)
    return np.column_stack([-right, up_vector, unit(direction)])


def split_offset(
    point: ArrayLike, origin: ArrayLike, direction: ArrayLike
) -> tuple[float, FloatArray]:
    """Distance along a line and the offset (3,) square to it, of a point seen from `origin`."""
    axis = unit(direction)
    offset = np.asarray(point, dtype=np.float64) - np.asarray(origin, dtype=np.float64)
    along = float(np.dot(offset, axis))
    return along, offset - along * axis
