"""What a probe calibration found, and when it may be used."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ir_nav.geometry import FloatArray, read_only
from ir_nav.tracking.calibration.probe_fit import (
    Kept,
    completed,
    least_spread_mm,
    plane_error_mm,
    point_errors_mm,
    skew_deg,
)
from ir_nav.tracking.calibration.result import CalibrationError, ErrorStatistics, Rejection

# A good freehand calibration reaches 0.5-0.7 mm; guidance budgets 1 mm for it.
MAX_MEAN_MM = 1.0
# Measured positions are rounded to a thousandth of a pixel or worse.
MIN_MEAN_MM = 1e-6
MAX_PLANE_ERROR_MM = 0.5
MAX_SKEW_DEG = 2.0
MIN_SPREAD_MM = 1.0
MIN_KEPT = 0.7
SCALES_MM_PER_PX = (0.01, 1.5)


class ProbeMethod(StrEnum):
    """How probe_from_image was found."""

    NWIRE_LINEAR = "N-wire, linear least squares"
    NWIRE_ORTHOGONAL = "N-wire, square image axes"
    STYLUS = "stylus tip in the image, square image axes"


@dataclass(frozen=True, slots=True, eq=False)
class ProbeSamples:
    """Points seen in images of a recording, and where they were at the probe.

    image_px (m, 2), probe_mm (m, 3): k = len(labels) a frame, frame by frame. frames (m / k,):
    index of each in the recording of `count` frames. labels: what each point of a frame is.
    rejected: why the other frames gave none.
    """

    image_px: FloatArray
    probe_mm: FloatArray
    frames: NDArray[np.int64]
    labels: tuple[str, ...]
    count: int
    rejected: tuple[Rejection, ...]

    def by_frame(self, values: FloatArray, absent: float) -> FloatArray:
        """Values (m,) as a table (count, k)."""
        table = np.full((self.count, len(self.labels)), absent)
        table[self.frames] = values.reshape(-1, len(self.labels))
        return table


@dataclass(frozen=True, slots=True, eq=False)
class ProbeCalibration:
    """Where the image lies in the frame of the probe's sensor.

    probe_from_image (4, 4): (u px, v px, 0, 1) to mm, its third column square to the image;
    None when nothing could be fitted. calibration_error, validation_error: distance in 3D, mm,
    of all samples, outliers included; validation None until `validated`. errors_mm (n, k): of
    frame n and pattern k (k = 1 with a stylus), NaN where a frame was left out whole; kept (n, k):
    False where the fit left a sample out. used: frames that gave a sample to the fit. rejected:
    frames and wires left out, by index in the recording; rejected_validation the same of the
    validation. plane_error_mm: standard error of the plane where the wires were, worst corner.
    reason: why it was refused, or None.
    """

    method: ProbeMethod
    probe_from_image: FloatArray | None
    calibration_error: ErrorStatistics | None
    validation_error: ErrorStatistics | None
    errors_mm: FloatArray
    kept: Kept
    used: int
    rejected: tuple[Rejection, ...]
    rejected_validation: tuple[Rejection, ...]
    plane_error_mm: float | None
    reason: str | None

    @property
    def accepted(self) -> bool:
        return self.reason is None

    @property
    def mm_per_px(self) -> FloatArray | None:
        """Scale along u and v (2,)."""
        if self.probe_from_image is None:
            return None
        return read_only(np.linalg.norm(self.probe_from_image[:3, :2], axis=0))


@dataclass(frozen=True, slots=True, eq=False)
class ProbeValidation:
    """A calibration judged by images it was not made from.

    error: distance in 3D, mm, of all samples. errors_mm (n, k): NaN where a frame was left out.
    """

    error: ErrorStatistics | None
    errors_mm: FloatArray
    rejected: tuple[Rejection, ...]
    reason: str | None

    @property
    def accepted(self) -> bool:
        return self.reason is None


def validated(calibration: ProbeCalibration, validation: ProbeValidation) -> ProbeCalibration:
    """The same calibration with its validation; refused when either is."""
    return replace(
        calibration,
        validation_error=validation.error,
        rejected_validation=validation.rejected,
        reason=calibration.reason or validation.reason,
    )


def judged_validation(
    probe_from_image: ArrayLike, samples: ProbeSamples, least: int
) -> ProbeValidation:
    """Errors of a calibration (4, 4) on all samples, which must come from `least` frames."""
    matrix = np.asarray(probe_from_image, dtype=np.float64)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise CalibrationError("probe_from_image is no 4x4 matrix: calibrate the probe first")
    errors = point_errors_mm(matrix[:3, [0, 1, 3]], samples.image_px, samples.probe_mm)
    table = read_only(samples.by_frame(errors, np.nan))
    frames = len(samples.frames)
    if frames < least:
        reason = f"only {frames} frames to validate with, {least} are needed: record more"
        return ProbeValidation(None, table, samples.rejected, reason)
    error = ErrorStatistics.of(errors)
    fault = None
    if error.mean_best_95 > MAX_MEAN_MM:
        fault = f"validation {_above_gate(error)}"
    return ProbeValidation(error, table, samples.rejected, fault)


def judged_fit(
    method: ProbeMethod, matrix: FloatArray, kept: Kept, samples: ProbeSamples
) -> ProbeCalibration:
    """Errors, outliers and gate of a fitted matrix (3, 3); kept (m,): samples it was fitted to."""
    errors = point_errors_mm(matrix, samples.image_px, samples.probe_mm)
    error = ErrorStatistics.of(errors)
    shared = len(samples.labels)
    outliers = tuple(
        Rejection(
            int(samples.frames[index // shared]),
            f"{samples.labels[index % shared]} is {errors[index]:.1f} mm off",
        )
        for index in np.flatnonzero(~kept)
    )
    kept_px = samples.image_px[kept]
    plane_error = plane_error_mm(kept_px, errors[kept], shared)
    table = samples.by_frame(kept.astype(np.float64), 0.0) > 0.5
    return ProbeCalibration(
        method=method,
        probe_from_image=read_only(completed(matrix)),
        calibration_error=error,
        validation_error=None,
        errors_mm=read_only(samples.by_frame(errors, np.nan)),
        kept=table,
        used=int(table.any(axis=1).sum()),
        rejected=tuple(sorted((*samples.rejected, *outliers), key=lambda one: one.index)),
        rejected_validation=(),
        plane_error_mm=plane_error,
        reason=_fault(matrix, kept_px, error, plane_error, float(kept.mean())),
    )


def refused_fit(method: ProbeMethod, samples: ProbeSamples, reason: str) -> ProbeCalibration:
    """Nothing could be fitted."""
    shape = (samples.count, len(samples.labels))
    return ProbeCalibration(
        method=method,
        probe_from_image=None,
        calibration_error=None,
        validation_error=None,
        errors_mm=read_only(np.full(shape, np.nan)),
        kept=np.zeros(shape, dtype=bool),
        used=0,
        rejected=samples.rejected,
        rejected_validation=(),
        plane_error_mm=None,
        reason=reason,
    )


def probe_calibration_json(result: ProbeCalibration) -> dict[str, Any]:
    """What is stored and shown: format 1, mm and px, absent values null."""
    matrix, scale = result.probe_from_image, result.mm_per_px
    calibration, validation = result.calibration_error, result.validation_error
    return {
        "format": 1,
        "method": str(result.method),
        "probe_from_image": None if matrix is None else matrix.tolist(),
        "mm_per_px": None if scale is None else scale.tolist(),
        "error_mm": {
            "calibration": None if calibration is None else calibration.as_json(),
            "validation": None if validation is None else validation.as_json(),
        },
        "plane_error_mm": result.plane_error_mm,
        "used": result.used,
        "rejected": _listed(result.rejected),
        "rejected_validation": _listed(result.rejected_validation),
        "accepted": result.accepted,
        "reason": result.reason,
    }


def _listed(rejected: tuple[Rejection, ...]) -> list[dict[str, Any]]:
    return [{"index": one.index, "reason": one.reason} for one in rejected]


def _above_gate(error: ErrorStatistics) -> str:
    return (
        f"error {error.mean_best_95:.2f} mm (mean of the best 95 %) is above {MAX_MEAN_MM} mm: "
        "check the registration to the reference and the sensor's seat on the probe"
    )


def _fault(
    matrix: FloatArray,
    image_px: FloatArray,
    error: ErrorStatistics,
    plane_error: float,
    kept: float,
) -> str | None:
    if error.mean < MIN_MEAN_MM:
        return "no residual at all: the poses or the image positions are not measured"
    if kept < MIN_KEPT:
        return f"{100 * (1 - kept):.0f} % of the samples are outliers: record again, more steadily"
    if error.mean_best_95 > MAX_MEAN_MM:
        return f"calibration {_above_gate(error)}"
    spread = least_spread_mm(matrix, image_px)
    if spread < MIN_SPREAD_MM:
        return f"points lie within {spread:.1f} mm of one line in the image: spread them wider"
    if plane_error > MAX_PLANE_ERROR_MM:
        return f"the plane is known to {plane_error:.2f} mm only: record more frames"
    skew = skew_deg(matrix)
    if skew > MAX_SKEW_DEG:
        return f"image axes are {skew:.1f}° from square: move the probe more, check the phantom"
    scale = np.linalg.norm(matrix[:, :2], axis=0)
    if scale.min() < SCALES_MM_PER_PX[0] or scale.max() > SCALES_MM_PER_PX[1]:
        return f"{scale[0]:.3f} x {scale[1]:.3f} mm/px is no ultrasound image: check the units"
    return None
