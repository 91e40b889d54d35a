"""Rigid transforms that carry the names of their frames."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ir_nav.geometry.frames import Frame, FrameError, GeometryError

FloatArray = NDArray[np.float64]

# Poses on the wire are float32: their rotation is orthonormal to about 1e-6.
RIGID_TOLERANCE = 1e-3


# Its own inverse: x and y change their sign, z does not.
LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0])
LPS_FROM_RAS.flags.writeable = False


def read_only(values: ArrayLike) -> FloatArray:
    """A float64 copy that cannot be written to."""
    array = np.array(values, dtype=np.float64)
    array.flags.writeable = False
    return array


def rigidity_fault(matrix: FloatArray, tolerance: float = RIGID_TOLERANCE) -> str | None:
    """Why a 4x4 matrix is no rigid transform, or None when it is one."""
    if matrix.shape != (4, 4):
        return f"a transform is a 4x4 matrix, got shape {matrix.shape}"
    # Plain floats: on 3 x 3 numpy's calls cost ten times the arithmetic, at every transform.
    (a, b, c, x), (d, e, f, y), (g, h, i, z), last = matrix.tolist()
    if not all(map(math.isfinite, (a, b, c, d, e, f, g, h, i, x, y, z, *last))):
        return "holds values that are not finite"
    if max(abs(last[0]), abs(last[1]), abs(last[2]), abs(last[3] - 1.0)) > 1e-9:
        return "last row is not 0 0 0 1"
    lengths = (a * a + d * d + g * g, b * b + e * e + h * h, c * c + f * f + i * i)
    angles = (a * b + d * e + g * h, a * c + d * f + g * i, b * c + e * f + h * i)
    if max(*(abs(length - 1.0) for length in lengths), *map(abs, angles)) > tolerance:
        return "rotation part is not orthonormal (scaled or sheared)"
    if a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g) < 0.0:
        return "rotation part is a reflection"
    return None


@dataclass(frozen=True, slots=True, eq=False)
class Transform:
    """Rigid map from `source` to `target`: p_target = matrix @ p_source.

    matrix: (4, 4), mm, made read-only. Raises GeometryError when it is not rigid.
    """

    target: Frame
    source: Frame
    matrix: FloatArray

    def __post_init__(self) -> None:
        matrix = read_only(self.matrix)
        fault = rigidity_fault(matrix)
        if fault is not None:
            raise GeometryError(f"{self.target}_from_{self.source}: {fault}")
        object.__setattr__(self, "matrix", matrix)

    def __matmul__(self, other: Transform) -> Transform:
        """Compose; the inner frames must be the same."""
        if self.source is not other.target:
            raise FrameError(
                f"{self.target}_from_{self.source} @ {other.target}_from_{other.source}: "
                f"'{self.source}' and '{other.target}' do not cancel"
            )
        return Transform(self.target, other.source, self.matrix @ other.matrix)

    def inverse(self) -> Transform:
        return Transform(self.source, self.target, rigid_inverse(self.matrix))

    def apply(self, points: ArrayLike) -> FloatArray:
        """Map points (3,) or (n, 3) in mm from `source` to `target`."""
        return apply(self.matrix, points)

    def rotate(self, directions: ArrayLike) -> FloatArray:
        """Turn direction vectors (3,) or (n, 3); no translation."""
        turned: FloatArray = np.asarray(directions, dtype=np.float64) @ self.matrix[:3, :3].T
        return turned


def apply(matrix: FloatArray, points: ArrayLike) -> FloatArray:
    """Map points (3,) or (n, 3) through an affine 4x4 matrix."""
    array = np.asarray(points, dtype=np.float64)
    mapped: FloatArray = array @ matrix[:3, :3].T + matrix[:3, 3]
    return mapped


def rigid_inverse(matrix: FloatArray) -> FloatArray:
    """Inverse of a rigid 4x4 matrix by transposition."""
    inverse = np.eye(4)
    inverse[:3, :3] = matrix[:3, :3].T
    inverse[:3, 3] = -matrix[:3, :3].T @ matrix[:3, 3]
    return inverse


def rotation_from_vector(rotation_vector_rad: ArrayLike) -> FloatArray:
    """Rodrigues' formula: axis times angle (3,) in radians to a 3x3 rotation."""
    vector = np.asarray(rotation_vector_rad, dtype=np.float64)
    angle = float(np.linalg.norm(vector))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = vector / angle
    skew = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    rotation: FloatArray = np.eye(3) + np.sin(angle) * skew + (1.0 - np.cos(angle)) * (skew @ skew)
    return rotation


def vector_from_rotation(rotation: FloatArray) -> FloatArray:
    """Axis times angle (3,), radians, of a 3x3 rotation; angle in [0, pi]."""
    skew = np.array(
        [
            rotation[2, 1] - rotation[1, 2],
            rotation[0, 2] - rotation[2, 0],
            rotation[1, 0] - rotation[0, 1],
        ]
    )
    sine = float(np.linalg.norm(skew)) / 2.0
    cosine = (float(np.trace(rotation)) - 1.0) / 2.0
    angle = float(np.arctan2(sine, cosine))
    if cosine > -0.9:
        return skew / (2.0 * sine) * angle if sine > 1e-9 else np.zeros(3)
    # Near half a turn the skew part fades into rounding: the axis is in the symmetric part,
    # (R + R^T) / 2 = cos I + (1 - cos) axis axis^T, and the skew part keeps only its sign.
    outer = ((rotation + rotation.T) / 2.0 - cosine * np.eye(3)) / (1.0 - cosine)
    axis = outer[:, int(np.argmax(np.diag(outer)))]
    axis = axis / np.linalg.norm(axis)
    return np.asarray(axis * (-angle if float(np.dot(axis, skew)) < 0.0 else angle))


def interpolate(first: FloatArray, second: FloatArray, fraction: float) -> FloatArray:
    """Rigid matrix `fraction` of the way from first to second.

    Rotation by slerp (Shoemake 1985, along the geodesic), translation linearly.
    """
    turn = vector_from_rotation(first[:3, :3].T @ second[:3, :3])
    result = np.eye(4)
    result[:3, :3] = first[:3, :3] @ rotation_from_vector(turn * fraction)
    result[:3, 3] = (1.0 - fraction) * first[:3, 3] + fraction * second[:3, 3]
    return result


def rotation_between_deg(first: FloatArray, second: FloatArray) -> float:
    """Angle in degrees between the rotation parts of two rigid matrices."""
    turn = vector_from_rotation(first[:3, :3].T @ second[:3, :3])
    return float(np.degrees(np.linalg.norm(turn)))


def rigid(rotation: FloatArray, translation_mm: ArrayLike) -> FloatArray:
    """A 4x4 matrix from a 3x3 rotation and a translation (3,) in mm."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = translation_mm
    return matrix
