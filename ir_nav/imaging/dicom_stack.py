"""Slices put in order along their normal, and every reason not to trust the stack."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ir_nav.geometry import FloatArray
from ir_nav.imaging.dicom_header import SliceHeader
from ir_nav.imaging.errors import ImagingError

# Positions are written with three to six digits, direction cosines with five or six.
POSITION_TOLERANCE_MM = 0.1
TILT_TOLERANCE_MM = 0.2
COSINE_TOLERANCE = 1e-4


def stack(headers: Sequence[SliceHeader]) -> tuple[list[SliceHeader], FloatArray]:
    """The slices from lowest to highest along row x column, and the (4, 4) ct_from_voxel.

    DICOM PS3.3 C.7.6.2.1.1. Raises ImagingError for slices that differ in size, spacing or
    direction, that are missing, doubled or unevenly spaced, or whose gantry was tilted.
    """
    row, column, normal = _directions(headers)
    positions = np.array([_position(header) for header in headers])
    along_mm = positions @ normal
    order = np.argsort(along_mm, kind="stable")
    ordered = [headers[index] for index in order]
    along_mm, positions = along_mm[order], positions[order]
    _check_doubles(ordered, along_mm)
    _check_tilt(ordered, positions, row, column)
    step_mm = _step(along_mm)
    between_rows, between_columns = _spacing(headers)
    affine = np.eye(4)
    affine[:3, 0] = row * between_columns
    affine[:3, 1] = column * between_rows
    affine[:3, 2] = normal * step_mm
    affine[:3, 3] = positions[0]
    return ordered, affine


def _directions(headers: Sequence[SliceHeader]) -> tuple[FloatArray, FloatArray, FloatArray]:
    first = headers[0]
    if first.orientation is None:
        raise ImagingError(f"{first.name} does not state its orientation: export the CT again")
    for header in headers:
        if (header.rows, header.columns) != (first.rows, first.columns):
            raise ImagingError("the slices of the series differ in size: export one reconstruction")
        turned = header.orientation is None or not np.allclose(
            header.orientation, first.orientation, atol=COSINE_TOLERANCE
        )
        if turned:
            raise ImagingError(
                "the slices of the series point in different directions: export one orientation"
            )
    row, column = np.array(first.orientation[:3]), np.array(first.orientation[3:])
    skew = max(abs(row @ row - 1.0), abs(column @ column - 1.0), abs(row @ column))
    if skew > 10.0 * COSINE_TOLERANCE:
        raise ImagingError(f"{first.name} states directions that are not at right angles")
    row /= np.linalg.norm(row)
    column = column - row * (row @ column)
    column /= np.linalg.norm(column)
    return row, column, np.cross(row, column)


def _position(header: SliceHeader) -> tuple[float, ...]:
    if header.position_mm is None:
        raise ImagingError(f"{header.name} does not state its position: export the CT again")
    return header.position_mm


def _spacing(headers: Sequence[SliceHeader]) -> tuple[float, float]:
    first = headers[0].spacing_mm
    if first is None or min(first) <= 0.0:
        raise ImagingError(f"{headers[0].name} does not state its pixel spacing: export it again")
    for header in headers:
        if header.spacing_mm is None or not np.allclose(header.spacing_mm, first, atol=1e-4):
            raise ImagingError("the slices of the series differ in pixel spacing: export one CT")
    return first[0], first[1]


def _check_doubles(ordered: Sequence[SliceHeader], along_mm: FloatArray) -> None:
    doubles = np.flatnonzero(np.diff(along_mm) < 0.01)
    if len(doubles):
        first, second = ordered[doubles[0]], ordered[doubles[0] + 1]
        raise ImagingError(
            f"{len(doubles)} duplicate slice(s): {first.name} and {second.name} lie at the same "
            "place. The series was copied twice or holds several phases: export one phase"
        )


def _check_tilt(
    ordered: Sequence[SliceHeader], positions: FloatArray, row: FloatArray, column: FloatArray
) -> None:
    shift = positions - positions[0]
    drift_mm = max(float(np.abs(shift @ row).max()), float(np.abs(shift @ column).max()))
    if drift_mm <= TILT_TOLERANCE_MM:
        return
    tilt = ordered[0].tilt_deg
    stated = f", gantry tilt {tilt:.1f} deg" if tilt else ""
    raise ImagingError(
        f"the slices are shifted sideways by {drift_mm:.1f} mm over the stack{stated}: a CT with "
        "gantry tilt cannot be used. Acquire or reconstruct it without tilt"
    )


def _step(along_mm: FloatArray) -> float:
    gaps = np.diff(along_mm)
    step = float(np.median(gaps))
    wide = np.flatnonzero(gaps > 1.5 * step)
    if len(wide):
        missing = int(np.rint(gaps[wide] / step - 1.0).sum())
        near = along_mm[wide[0]] + step
        raise ImagingError(
            f"{missing} missing slice(s), the first near position {near:.1f} mm: "
            "copy the series again"
        )
    mean = float(along_mm[-1] - along_mm[0]) / (len(along_mm) - 1)
    regular = along_mm[0] + mean * np.arange(len(along_mm))
    if np.abs(along_mm - regular).max() > POSITION_TOLERANCE_MM:
        raise ImagingError(
            f"the slices are unevenly spaced ({gaps.min():.2f} to {gaps.max():.2f} mm): "
            "reconstruct the CT with one slice distance"
        )
    return mean
