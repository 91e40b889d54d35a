"""Calibrations as files: what `ir-nav calibrate` and the console write, read back."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from ir_nav.geometry import FloatArray, read_only, rigidity_fault
from ir_nav.small_file import first_fault, read_small
from ir_nav.tracking.calibration.delay import MAX_LAG_S, DelayCalibration
from ir_nav.tracking.calibration.landmark_recording import PhantomRegistration
from ir_nav.tracking.calibration.pivot import PivotCalibration
from ir_nav.tracking.calibration.probe_result import (
    SCALES_MM_PER_PX,
    ProbeCalibration,
    ProbeMethod,
)
from ir_nav.tracking.calibration.result import (
    CalibrationError,
    ErrorStatistics,
    Rejection,
)
from ir_nav.whole_file import write_whole

MAX_FILE_BYTES = 16 * 1024 * 1024
# Tips further from their sensor than this were measured in another unit.
MAX_TIP_MM = 2000.0

Result = PivotCalibration | ProbeCalibration | DelayCalibration | PhantomRegistration
Triple = Annotated[list[FiniteFloat], Field(min_length=3, max_length=3)]
Row = Annotated[list[FiniteFloat], Field(min_length=4, max_length=4)]
Matrix = Annotated[list[Row], Field(min_length=4, max_length=4)]


class CalibrationKind(StrEnum):
    """What a calibration file holds."""

    PIVOT = "pivot"
    PROBE = "probe"
    DELAY = "delay"
    PHANTOM = "phantom"


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationFile:
    """An accepted calibration out of a file. tool: as the file names it, None where it does not.
    made_s: when it was measured (Unix time), None where the file does not say."""

    kind: CalibrationKind
    tool: str | None
    made_s: float | None
    result: Result


class _Statistics(BaseModel):
    mean: FiniteFloat
    rms: FiniteFloat
    max: FiniteFloat
    mean_best_95: FiniteFloat

    def errors(self) -> ErrorStatistics:
        return ErrorStatistics(self.mean, self.rms, self.max, self.mean_best_95)


class _Rejected(BaseModel):
    index: int
    reason: str


class _File(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    format: Literal[1]
    tool: str | None = None
    made_s: FiniteFloat | None = None
    accepted: Literal[True]
    rejected: tuple[_Rejected, ...] = ()

    def left_out(self) -> tuple[Rejection, ...]:
        return tuple(Rejection(one.index, one.reason) for one in self.rejected)


class _PivotFile(_File):
    tip_mm: Triple
    error_mm: _Statistics
    tip_error_mm: FiniteFloat
    span_deg: FiniteFloat
    used: int


class _ProbeErrors(BaseModel):
    calibration: _Statistics
    validation: _Statistics | None = None


class _ProbeFile(_File):
    method: str
    probe_from_image: Matrix
    error_mm: _ProbeErrors
    plane_error_mm: FiniteFloat | None = None
    used: int


class _DelayFile(_File):
    tracker_lag_s: FiniteFloat
    error_s: _Statistics | None = None
    lag_error_s: FiniteFloat | None = None
    correlation: FiniteFloat
    motion_mm: FiniteFloat
    motion_px: FiniteFloat
    periods: FiniteFloat
    used: int


class _LandmarkError(BaseModel):
    name: str
    error_mm: FiniteFloat


class _PhantomFile(_File):
    reference_from_phantom: Matrix
    error_mm: _Statistics
    landmarks: tuple[_LandmarkError, ...]


# The key by which each kind is known: files of before said no kind.
_KEYS = {
    "needle_from_tip": CalibrationKind.PIVOT,
    "probe_from_image": CalibrationKind.PROBE,
    "tracker_lag_s": CalibrationKind.DELAY,
    "reference_from_phantom": CalibrationKind.PHANTOM,
}


class _Opening(BaseModel):
    """What is looked at first, to say in words what the file is."""

    format: Any = None
    accepted: Any = None
    reason: Any = None
    model_config = ConfigDict(extra="allow")


def read_calibration(path: Path) -> CalibrationFile:
    """A calibration that `ir-nav calibrate` or the console wrote.

    CalibrationError says why it cannot be used: no calibration, of another format, refused when
    it was made, or with numbers that cannot be.
    """
    data = read_small(path, MAX_FILE_BYTES, CalibrationError, "a calibration")
    try:
        return _parsed(data)
    except ValidationError as error:
        raise CalibrationError(f"{path}: {first_fault(error)}") from None
    except CalibrationError as error:
        raise CalibrationError(f"{path}: {error}") from None


def write_calibration(path: Path, document: dict[str, Any]) -> None:
    """Whole or not at all; CalibrationError when the place cannot be written to."""
    text = json.dumps(document, indent=1, allow_nan=False) + "\n"
    try:
        write_whole(path, text.encode("utf-8"))
    except OSError as error:
        raise CalibrationError(f"{path}: cannot be written ({error.strerror})") from None


def stamped(
    document: dict[str, Any], kind: CalibrationKind, tool: str, made_s: float | None = None
) -> dict[str, Any]:
    """A calibration's document with what it is of. made_s: Unix time, None where not known."""
    named = {"format": document["format"], "kind": str(kind), "tool": tool}
    if made_s is not None:
        named["made_s"] = round(made_s, 3)
    return named | document


def _parsed(data: bytes) -> CalibrationFile:
    try:
        opening = _Opening.model_validate_json(data)
    except ValidationError:
        raise CalibrationError("not a calibration: choose a JSON file of `calibrate`") from None
    known = [kind for key, kind in _KEYS.items() if key in (opening.model_extra or {})]
    if len(known) != 1:
        raise CalibrationError(
            "not a calibration of a pivot, probe, delay or phantom: choose a file that "
            "`calibrate` or Save wrote"
        )
    if opening.format != 1:
        raise CalibrationError(f"format {opening.format} is not known here: calibrate again")
    if opening.accepted is not True:
        raise CalibrationError(f"this calibration was refused ({opening.reason})")
    file, result = _READERS[known[0]](data)
    return CalibrationFile(known[0], file.tool, file.made_s, result)


def _pivot(data: bytes) -> tuple[_File, PivotCalibration]:
    file = _PivotFile.model_validate_json(data)
    tip = read_only(file.tip_mm)
    if np.linalg.norm(tip) > MAX_TIP_MM:
        raise CalibrationError(f"its tip is {np.linalg.norm(tip):.0f} mm from the sensor: not mm?")
    nothing = np.zeros((0, 3))
    return file, PivotCalibration(
        tip_mm=tip,
        pivot_mm=read_only(np.full(3, np.nan)),
        rms_mm=file.error_mm.rms,
        max_mm=file.error_mm.max,
        span_deg=file.span_deg,
        tip_error_mm=file.tip_error_mm,
        used=file.used,
        rejected=len(file.rejected),
        turned_deg=nothing[:, :2],
        offsets_mm=nothing,
        kept=np.zeros(0, dtype=bool),
        reason=None,
    )


def _probe(data: bytes) -> tuple[_File, ProbeCalibration]:
    file = _ProbeFile.model_validate_json(data)
    matrix = read_only(file.probe_from_image)
    _require_image_scale(matrix)
    methods = {str(method): method for method in ProbeMethod}
    if file.method not in methods:
        raise CalibrationError(f"method '{file.method}' is not known here")
    validation = file.error_mm.validation
    return file, ProbeCalibration(
        method=methods[file.method],
        probe_from_image=matrix,
        calibration_error=file.error_mm.calibration.errors(),
        validation_error=None if validation is None else validation.errors(),
        errors_mm=read_only(np.zeros((0, 1))),
        kept=np.zeros((0, 1), dtype=bool),
        used=file.used,
        rejected=file.left_out(),
        rejected_validation=(),
        plane_error_mm=file.plane_error_mm,
        reason=None,
    )


def _require_image_scale(matrix: FloatArray) -> None:
    scale = np.linalg.norm(matrix[:3, :2], axis=0)
    low, high = SCALES_MM_PER_PX
    if scale.min() < low or scale.max() > high or not np.allclose(matrix[3], (0, 0, 0, 1)):
        raise CalibrationError(
            f"probe_from_image: {scale[0]:.3g} x {scale[1]:.3g} mm/px is no ultrasound image"
        )


def _delay(data: bytes) -> tuple[_File, DelayCalibration]:
    file = _DelayFile.model_validate_json(data)
    if not math.fabs(file.tracker_lag_s) <= MAX_LAG_S:
        raise CalibrationError(f"tracker_lag_s: {file.tracker_lag_s:g} s is no delay of a tracker")
    return file, DelayCalibration(
        tracker_lag_s=file.tracker_lag_s,
        error_s=None if file.error_s is None else file.error_s.errors(),
        lag_error_s=file.lag_error_s,
        correlation=file.correlation,
        motion_mm=file.motion_mm,
        motion_px=file.motion_px,
        periods=file.periods,
        used=file.used,
        rejected=file.left_out(),
        reason=None,
    )


def _phantom(data: bytes) -> tuple[_File, PhantomRegistration]:
    file = _PhantomFile.model_validate_json(data)
    matrix = read_only(file.reference_from_phantom)
    fault = rigidity_fault(matrix)
    if fault is not None:
        raise CalibrationError(f"reference_from_phantom: {fault}")
    count = tuple(range(len(file.landmarks)))
    residuals = read_only([one.error_mm for one in file.landmarks])
    return file, PhantomRegistration(matrix, count, count, residuals, file.error_mm.errors())


_READERS: dict[CalibrationKind, Callable[[bytes], tuple[_File, Result]]] = {
    CalibrationKind.PIVOT: _pivot,
    CalibrationKind.PROBE: _probe,
    CalibrationKind.DELAY: _delay,
    CalibrationKind.PHANTOM: _phantom,
}
