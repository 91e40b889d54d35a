"""Camera calibration from views of a ChArUco board, after Zhang (2000), with its error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from devices.contract import DeviceError
from devices.optical.charuco import BoardView
from devices.optical.intrinsics import Intrinsics, IntrinsicsError

Floats = NDArray[np.float64]

_MIN_WIDTH = 0.1  # of the corners' spread across by along: corners on a line say little


class CalibrationError(DeviceError):
    """The views give no usable calibration; the message says what to photograph instead."""


@dataclass(frozen=True, slots=True)
class CalibrationGates:
    """min_corners: a view with fewer is left out. outlier_factor: a view whose rms exceeds so many
    times the median is left out, the worst first. max_outliers: part of the views. min_tilt_deg:
    largest angle between two views of the board. focal_sd: relative, of the focal length."""

    min_views: int = 8
    min_corners: int = 8
    outlier_factor: float = 3.0
    max_outliers: float = 0.3
    max_rms_px: float = 0.8
    min_tilt_deg: float = 25.0
    focal_sd: float = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class CameraCalibration:
    """view_rms_px: of each view used. left_out: the reason, by the view's name. tilt_deg: largest
    angle between two views. focal_sd_px: (fx, fy). coverage: part of the image that the corners of
    all views span; beyond them the lens model is a guess."""

    intrinsics: Intrinsics
    view_rms_px: Mapping[str, float]
    left_out: Mapping[str, str]
    tilt_deg: float
    focal_sd_px: tuple[float, float]
    coverage: float


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    matrix: Floats
    distortion: Floats
    rms_px: float
    view_rms_px: Floats
    normals: Floats
    focal_sd_px: tuple[float, float]


def calibrate_camera(
    views: Sequence[BoardView],
    size_px: tuple[int, int],
    gates: CalibrationGates | None = None,
    *,
    wide_lens: bool = False,
) -> CameraCalibration:
    """Intrinsics from views of one board that does not bend.

    size_px: (width, height) of all images. wide_lens: also fit k3. Raises CalibrationError.
    """
    gates = gates or CalibrationGates()
    used, left_out = _usable(views, gates)
    enough = len(used)
    while True:
        if len(used) < gates.min_views:
            raise CalibrationError(
                f"{len(used)} usable views of {len(views)}; take at least {gates.min_views} with "
                f"most of the board in the picture{_reasons(left_out)}"
            )
        fit = _fit(used, size_px, wide_lens)
        worst = int(fit.view_rms_px.argmax())
        limit = gates.outlier_factor * float(np.median(fit.view_rms_px))
        if fit.view_rms_px[worst] <= limit or len(used) - 1 < enough * (1.0 - gates.max_outliers):
            break
        left_out[used.pop(worst).name] = (
            f"off by {fit.view_rms_px[worst]:.2f} px, more than {limit:.2f}"
        )
    tilt_deg = _largest_angle_deg(fit.normals)
    _check(fit, tilt_deg, left_out, gates)
    return CameraCalibration(
        _intrinsics(fit, size_px),
        {view.name: float(rms) for view, rms in zip(used, fit.view_rms_px, strict=True)},
        left_out,
        tilt_deg,
        fit.focal_sd_px,
        _coverage(used, size_px),
    )


def _usable(
    views: Sequence[BoardView], gates: CalibrationGates
) -> tuple[list[BoardView], dict[str, str]]:
    if len({view.name for view in views}) < len(views):
        raise CalibrationError("two views have the same name; give each its own")
    used, left_out = [], {}
    for view in views:
        if len(view.points_mm) < gates.min_corners:
            left_out[view.name] = f"{len(view.points_mm)} corners of the board seen"
        elif _width(view.points_mm) < _MIN_WIDTH:
            left_out[view.name] = "the corners seen lie on a line"
        else:
            used.append(view)
    return used, left_out


def _width(points_mm: Floats) -> float:
    spread = np.linalg.svd(points_mm - points_mm.mean(axis=0), compute_uv=False)
    return float(spread[1] / spread[0])


def _fit(views: Sequence[BoardView], size_px: tuple[int, int], wide_lens: bool) -> _Fit:
    try:
        rms, matrix, distortion, turns, _, spreads, _, errors = cv2.calibrateCameraExtended(
            [view.points_mm.astype(np.float32) for view in views],
            [view.pixels.astype(np.float32) for view in views],
            size_px,
            None,
            None,
            flags=0 if wide_lens else cv2.CALIB_FIX_K3,
        )
    except cv2.error as error:
        raise CalibrationError(
            f"the views determine no camera ({error.err}); tilt the board in more directions"
        ) from error
    normals = np.array([cv2.Rodrigues(turn)[0][:, 2] for turn in turns])
    focal_sd_px = (float(spreads.ravel()[0]), float(spreads.ravel()[1]))
    return _Fit(matrix, distortion.ravel(), float(rms), errors.ravel(), normals, focal_sd_px)


def _check(
    fit: _Fit, tilt_deg: float, left_out: Mapping[str, str], gates: CalibrationGates
) -> None:
    if not fit.rms_px <= gates.max_rms_px:
        raise CalibrationError(
            f"reprojection error {fit.rms_px:.2f} px, at most {gates.max_rms_px:.2f}; is the board "
            f"flat, its size right, the focus fixed and every picture sharp?{_reasons(left_out)}"
        )
    if not tilt_deg >= gates.min_tilt_deg:
        raise CalibrationError(
            f"the board was tilted by {tilt_deg:.0f} degrees only; tilt it both ways until two "
            f"views differ by {gates.min_tilt_deg:.0f}"
        )
    for focal_px, sd_px in zip(np.diag(fit.matrix)[:2], fit.focal_sd_px, strict=True):
        if not sd_px <= gates.focal_sd * focal_px:
            raise CalibrationError(
                f"the focal length is known to {100 * sd_px / focal_px:.1f} % only, at most "
                f"{100 * gates.focal_sd:.1f}; add tilted and nearer views"
            )


def _intrinsics(fit: _Fit, size_px: tuple[int, int]) -> Intrinsics:
    k1, k2, p1, p2, k3 = (float(value) for value in fit.distortion[:5])
    try:
        return Intrinsics(
            size_px,
            (float(fit.matrix[0, 0]), float(fit.matrix[1, 1])),
            (float(fit.matrix[0, 2]), float(fit.matrix[1, 2])),
            (k1, k2, p1, p2, k3),
            fit.rms_px,
        )
    except IntrinsicsError as error:
        raise CalibrationError(f"{error}; add views whose corners reach the image's") from error


def _largest_angle_deg(normals: Floats) -> float:
    cosines = np.clip(normals @ normals.T, -1.0, 1.0)
    return float(np.degrees(np.arccos(cosines.min())))


def _coverage(views: Sequence[BoardView], size_px: tuple[int, int]) -> float:
    pixels = np.concatenate([view.pixels for view in views]).astype(np.float32)
    return float(cv2.contourArea(cv2.convexHull(pixels))) / (size_px[0] * size_px[1])


def _reasons(left_out: Mapping[str, str]) -> str:
    listed = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
    return f" (left out: {listed})" if listed else ""
