"""The camera's inner geometry: a pinhole with Brown's lens distortion, and its JSON file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import FiniteFloat

from devices.optical.documents import DocumentError, Strict, parse_document, read_document

Floats = NDArray[np.float64]
Pair = tuple[FiniteFloat, FiniteFloat]

_UNDISTORT_STEPS = 60
_UNDISTORT_PX = 1e-6
_INVERSE_PX = 0.01
_MAX_DISTORTION = 100.0
_CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
_RIM = np.array([[x, y] for x in np.linspace(0, 1, 9) for y in np.linspace(0, 1, 9)])


class IntrinsicsError(DocumentError):
    """Camera intrinsics that cannot be used, or their file."""


@dataclass(frozen=True, slots=True)
class Intrinsics:
    """size_px: (width, height). focal_px: (fx, fy). principal_px: (column, row); the middle of the
    first pixel is (0, 0). distortion: k1, k2, p1, p2, k3 in OpenCV's order. rms_px: reprojection
    error of the calibration, per point (both coordinates together).

    Raises IntrinsicsError where the numbers describe no camera.
    """

    size_px: tuple[int, int]
    focal_px: tuple[float, float]
    principal_px: tuple[float, float]
    distortion: tuple[float, float, float, float, float]
    rms_px: float

    def __post_init__(self) -> None:
        if fault := self._fault():
            raise IntrinsicsError(fault)

    @property
    def matrix(self) -> Floats:
        """(3, 3)."""
        (fx, fy), (cx, cy) = self.focal_px, self.principal_px
        return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])

    @property
    def corner_sd_px(self) -> float:
        """Standard deviation of one coordinate of a point, as the calibration found it."""
        return self.rms_px / float(np.sqrt(2.0))

    def distorted(self, ideal_px: Floats) -> Floats:
        """Where a camera sees points (..., 2) that a pinhole would see at `ideal_px`."""
        if not any(self.distortion):
            return ideal_px
        plane = (ideal_px - self.principal_px) / self.focal_px
        return np.asarray(self._bent(plane) * self.focal_px + self.principal_px)

    def undistorted(self, seen_px: Floats) -> Floats:
        """Inverse of `distorted`, to 0.01 px at the worst lens that is accepted."""
        if not any(self.distortion):
            return np.array(seen_px, dtype=np.float64)
        wanted = (seen_px - self.principal_px) / self.focal_px
        plane = wanted.copy()
        tolerance = _UNDISTORT_PX / max(self.focal_px)
        for _ in range(_UNDISTORT_STEPS):
            step = (wanted - self._bent(plane)) / self._gain(plane)
            plane += step
            if np.abs(step).max(initial=0.0) < tolerance:
                break
        return np.asarray(plane * self.focal_px + self.principal_px)

    def _bent(self, plane: Floats) -> Floats:
        k1, k2, p1, p2, k3 = self.distortion
        x, y = plane[..., 0], plane[..., 1]
        square = x * x + y * y
        radial = 1.0 + square * (k1 + square * (k2 + square * k3))
        bent_x = x * radial + 2.0 * p1 * x * y + p2 * (square + 2.0 * x * x)
        bent_y = y * radial + p1 * (square + 2.0 * y * y) + 2.0 * p2 * x * y
        return np.stack([bent_x, bent_y], axis=-1)

    def _gain(self, plane: Floats) -> Floats:
        """How much `_bent` stretches at most; whole steps would run away at wide pincushions."""
        k1, k2, _, _, k3 = self.distortion
        square = (plane**2).sum(axis=-1, keepdims=True)
        radial = 1.0 + square * (k1 + square * (k2 + square * k3))
        slope = 1.0 + square * (3.0 * k1 + square * (5.0 * k2 + square * 7.0 * k3))
        return np.asarray(np.maximum(1.0, np.maximum(radial, slope)))

    def _fault(self) -> str | None:
        (width, height), (fx, fy), (cx, cy) = self.size_px, self.focal_px, self.principal_px
        numbers = (*self.focal_px, *self.principal_px, *self.distortion, self.rms_px)
        if not np.isfinite(numbers).all():
            return "intrinsics: a number is not finite"
        if min(width, height) < 16:
            return f"size_px: {width} x {height} is no camera image"
        if not 0.1 < fx / max(width, height) < 30.0 or not 0.5 < fy / fx < 2.0:
            return f"focal_px: {fx:.4g}, {fy:.4g} fits no lens on {width} x {height} pixels"
        if not (0.0 < cx < width and 0.0 < cy < height):
            return f"principal_px: {cx:.4g}, {cy:.4g} lies outside the image"
        if not 0.0 < self.rms_px < 100.0:
            return f"rms_px: {self.rms_px:.4g} is no reprojection error"
        if max(map(abs, self.distortion)) > _MAX_DISTORTION or self._folds():
            return "distortion: the lens model folds back within the image; calibrate again"
        return None

    def _folds(self) -> bool:
        """Whether two rays fall on one pixel of the image, or the inverse is not found: nothing
        can be undistorted then."""
        k1, k2, _, _, k3 = self.distortion
        corners = (_CORNERS * self.size_px - self.principal_px) / self.focal_px
        reach = float(np.linalg.norm(corners, axis=1).max())
        radius = np.linspace(0.0, 4.0 * reach, 800)
        square = radius * radius
        bent = radius * (1.0 + square * (k1 + square * (k2 + square * k3)))
        falls = np.flatnonzero(np.diff(bent) <= 0.0)
        last = falls[0] if falls.size else radius.size - 1
        if bent[last] < reach:
            return True
        rim = (_RIM * self.size_px).astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            found = self.distorted(self.undistorted(rim))
        return not bool(np.abs(found - rim).max() < _INVERSE_PX)


class _File(Strict):
    """What the JSON file holds."""

    format: Literal[1]
    size_px: tuple[int, int]
    focal_px: Pair
    principal_px: Pair
    distortion: tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat]
    rms_px: FiniteFloat

    def intrinsics(self) -> Intrinsics:
        return Intrinsics(
            self.size_px, self.focal_px, self.principal_px, self.distortion, self.rms_px
        )


def read_intrinsics(path: Path) -> Intrinsics:
    """Read the JSON (or TOML) file of a camera; IntrinsicsError names the file and the key."""
    try:
        return read_document(path, parse_intrinsics)
    except DocumentError as error:
        raise IntrinsicsError(str(error)) from None


def parse_intrinsics(data: bytes, toml: bool = False) -> Intrinsics:
    """Content of the file. Raises DocumentError."""
    return parse_document(data, _File, toml).intrinsics()


def write_intrinsics(path: Path, intrinsics: Intrinsics) -> None:
    """Write the JSON file that `read_intrinsics` reads. Raises IntrinsicsError."""
    document = {
        "format": 1,
        "size_px": intrinsics.size_px,
        "focal_px": intrinsics.focal_px,
        "principal_px": intrinsics.principal_px,
        "distortion": intrinsics.distortion,
        "rms_px": intrinsics.rms_px,
    }
    try:
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise IntrinsicsError(f"{path}: cannot be written ({error.strerror})") from None
