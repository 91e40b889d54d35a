"""Where the ultrasound lies in its image: the fan of a convex probe, the field of a linear one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ir_nav.geometry import FloatArray
from ir_nav.registration.errors import RegistrationError

BoolArray = NDArray[np.bool_]

# The same image scale to this share; a calibration's two columns are measured, not exact.
SCALE_TOLERANCE = 0.01


@dataclass(frozen=True, slots=True)
class ConvexFan:
    """Beams from an arc, all through one apex; the central one runs down the image (+v).

    apex_px: (u, v), often above the image. mm_per_px: along u and v. near_mm, far_mm: from the
    apex to the transducer's face and to the deepest sample. half_angle_deg: of the outermost
    beam. Raises RegistrationError where these are no fan.
    """

    apex_px: tuple[float, float]
    mm_per_px: tuple[float, float]
    near_mm: float
    far_mm: float
    half_angle_deg: float

    def __post_init__(self) -> None:
        _check_scale(self.mm_per_px)
        if not 0.0 <= self.near_mm < self.far_mm or not 1.0 <= self.half_angle_deg <= 80.0:
            raise RegistrationError(
                f"a fan from {self.near_mm:g} to {self.far_mm:g} mm and of +-"
                f"{self.half_angle_deg:g} deg is none: check depth and opening angle"
            )

    @property
    def depth_mm(self) -> float:
        """Length of a beam."""
        return self.far_mm - self.near_mm

    def pitch_mm(self, depth_mm: ArrayLike, beams: int) -> FloatArray:
        """Distance (...,) of neighbouring beams at depths below the face."""
        radius = self.near_mm + np.asarray(depth_mm, dtype=np.float64)
        return np.asarray(radius * 2.0 * np.radians(self.half_angle_deg) / (beams - 1))

    def beams_px(self, beams: int) -> tuple[FloatArray, FloatArray]:
        """Where each beam starts (n, 2) px, and its step (n, 2) px per mm of depth."""
        angle = np.radians(np.linspace(-self.half_angle_deg, self.half_angle_deg, beams))
        step = np.stack([np.sin(angle), np.cos(angle)], axis=-1) / self.mm_per_px
        return np.asarray(self.apex_px + self.near_mm * step), step

    def beam_coordinates(self, points_px: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Share of the way across, 0 to 1 inside, and depth in mm, of points (..., 2)."""
        offset = (np.asarray(points_px, dtype=np.float64) - self.apex_px) * self.mm_per_px
        angle_deg = np.degrees(np.arctan2(offset[..., 0], offset[..., 1]))
        depth_mm = np.hypot(offset[..., 0], offset[..., 1]) - self.near_mm
        return angle_deg / (2.0 * self.half_angle_deg) + 0.5, depth_mm


@dataclass(frozen=True, slots=True)
class LinearFan:
    """Parallel beams down the image from a straight face.

    corner_px: (u, v) where the leftmost beam starts. mm_per_px: along u and v. width_mm: from
    the first to the last beam. depth_mm: length of a beam.
    """

    corner_px: tuple[float, float]
    mm_per_px: tuple[float, float]
    width_mm: float
    depth_mm: float

    def __post_init__(self) -> None:
        _check_scale(self.mm_per_px)
        if not (self.width_mm > 0.0 and self.depth_mm > 0.0):
            raise RegistrationError(
                f"a field {self.width_mm:g} mm wide and {self.depth_mm:g} mm deep is none"
            )

    def pitch_mm(self, depth_mm: ArrayLike, beams: int) -> FloatArray:
        """Distance (...,) of neighbouring beams; the same at every depth."""
        return np.full(np.shape(depth_mm), self.width_mm / (beams - 1))

    def beams_px(self, beams: int) -> tuple[FloatArray, FloatArray]:
        """Where each beam starts (n, 2) px, and its step (n, 2) px per mm of depth."""
        starts = np.tile(np.array(self.corner_px), (beams, 1))
        starts[:, 0] += np.linspace(0.0, self.width_mm, beams) / self.mm_per_px[0]
        return starts, np.tile([0.0, 1.0 / self.mm_per_px[1]], (beams, 1))

    def beam_coordinates(self, points_px: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Share of the way across, 0 to 1 inside, and depth in mm, of points (..., 2)."""
        offset = (np.asarray(points_px, dtype=np.float64) - self.corner_px) * self.mm_per_px
        return offset[..., 0] / self.width_mm, offset[..., 1]


Fan = ConvexFan | LinearFan


def mm_per_px_of(target_from_image: ArrayLike) -> tuple[float, float]:
    """Size of a pixel along u and v, from a matrix (4, 4) that carries the scale."""
    u, v = np.linalg.norm(np.asarray(target_from_image, dtype=np.float64)[:3, :2], axis=0)
    return float(u), float(v)


def check_same_scale(fan: Fan, target_from_image: ArrayLike) -> None:
    """Raise RegistrationError where the image's scale is not the fan's."""
    found = mm_per_px_of(target_from_image)
    if np.abs(np.array(found) / fan.mm_per_px - 1.0).max() > SCALE_TOLERANCE:
        raise RegistrationError(
            f"the image's pixels are {found[0]:.4f} x {found[1]:.4f} mm, those of the fan "
            f"{fan.mm_per_px[0]:.4f} x {fan.mm_per_px[1]:.4f} mm: find the fan again with this "
            "probe's calibration"
        )


def fan_mask(fan: Fan, size_px: tuple[int, int]) -> BoolArray:
    """(rows, columns): pixels between the outer beams, the face and the deepest sample."""
    columns, rows = size_px
    v, u = np.mgrid[0:rows, 0:columns]
    across, depth_mm = fan.beam_coordinates(np.stack([u, v], axis=-1))
    inside = (across >= 0.0) & (across <= 1.0) & (depth_mm >= 0.0) & (depth_mm <= fan.depth_mm)
    return np.asarray(inside)


def brightest(frames: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """(rows, columns): the largest value each pixel takes in any frame; all of one size."""
    if not len(frames):
        raise RegistrationError("the fan is found from frames: there is none")
    most = np.array(frames[0])
    for frame in frames[1:]:
        if frame.shape != most.shape:
            raise RegistrationError("the frames are not all of one size")
        np.maximum(most, frame, out=most)
    return most


def _check_scale(mm_per_px: tuple[float, float]) -> None:
    if not all(0.005 <= mm <= 5.0 for mm in mm_per_px):
        raise RegistrationError(
            f"pixels of {mm_per_px[0]:g} x {mm_per_px[1]:g} mm are no ultrasound's: check the "
            "probe's calibration"
        )
