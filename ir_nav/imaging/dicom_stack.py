"""Slices put in order along their normal, and every reason not to trust the stack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ir_nav.geometry import FloatArray, read_only
from ir_nav.imaging.dicom_header import SliceHeader
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.laterality import check_sides

# Positions are written with three to six digits, direction cosines with five or six.
POSITION_TOLERANCE_MM = 0.1
TILT_TOLERANCE_MM = 0.2
COSINE_TOLERANCE = 1e-4
SAME_PLACE_MM = 0.01

# Gantries tilt by 30 degrees at most; more is another fault.
STEEPEST_TILT_DEG = 35.0


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """Slices that make a volume, from lowest to highest along row x column.

    ct_from_voxel: (4, 4). With gantry tilt its third column is not at right angles to the
    others: resample. tilt_deg: the angle by which it is not.
    """

    ordered: tuple[SliceHeader, ...]
    ct_from_voxel: FloatArray
    tilt_deg: float = 0.0


def arrange(headers: Sequence[SliceHeader]) -> Stack:
    """The slices in order with their geometry (DICOM PS3.3 C.7.6.2.1.1).

    Raises ImagingError for slices that differ in size, spacing or direction, that are missing,
    doubled, unevenly spaced or irregularly shifted, or whose sides contradict each other.
    """
    if len(headers) < 2:
        kind = headers[0].modality or "image"
        raise ImagingError(f"a single {kind} slice is no volume: load the whole series")
    _check_one_patient(headers)
    row, column, normal = _directions(headers)
    check_sides(headers, row, column)
    positions = np.array([_position(header) for header in headers])
    along_mm = positions @ normal
    order = np.argsort(along_mm, kind="stable")
    ordered = tuple(headers[index] for index in order)
    along_mm, positions = along_mm[order], positions[order]
    _check_doubles(ordered, along_mm)
    step_mm = _step(along_mm)
    between_rows, between_columns = _spacing(headers)
    affine = np.eye(4)
    affine[:3, 0] = row * between_columns
    affine[:3, 1] = column * between_rows
    affine[:3, 3] = positions[0]
    shift_mm = _shift(ordered, positions, row, column)
    affine[:3, 2] = normal * step_mm + shift_mm
    tilt_deg = float(np.degrees(np.arctan2(np.linalg.norm(shift_mm), step_mm)))
    return Stack(ordered, read_only(affine), tilt_deg)


def _check_one_patient(headers: Sequence[SliceHeader]) -> None:
    if len({header.facts.patient_id for header in headers}) > 1:
        raise ImagingError(
            "the series holds slices of two patients (Patient ID): have it put right in the "
            "archive, then load it again"
        )
    if len({header.facts.frame_of_reference_uid for header in headers}) > 1:
        raise ImagingError(
            "the series holds slices in two frames of reference, between which the patient was "
            "laid anew: export one of them"
        )


def _directions(headers: Sequence[SliceHeader]) -> tuple[FloatArray, FloatArray, FloatArray]:
    first = headers[0]
    cosines = first.place.orientation
    if cosines is None:
        raise ImagingError(
            f"{first.plain_name} does not state its orientation: export the series again"
        )
    for header in headers:
        if (header.rows, header.columns) != (first.rows, first.columns):
            raise ImagingError("the slices of the series differ in size: export one reconstruction")
        turned = header.place.orientation is None or not np.allclose(
            header.place.orientation, cosines, atol=COSINE_TOLERANCE
        )
        if turned:
            raise ImagingError(
                "the slices of the series point in different directions: export one orientation"
            )
    row, column = np.array(cosines[:3]), np.array(cosines[3:])
    skew = max(abs(row @ row - 1.0), abs(column @ column - 1.0), abs(row @ column))
    if not skew <= 10.0 * COSINE_TOLERANCE:
        raise ImagingError(f"{first.plain_name} states directions that are not at right angles")
    row /= np.linalg.norm(row)
    column = column - row * (row @ column)
    column /= np.linalg.norm(column)
    return row, column, np.cross(row, column)


def _position(header: SliceHeader) -> tuple[float, ...]:
    position = header.place.position_mm
    if position is None or not np.isfinite(position).all():
        raise ImagingError(
            f"{header.plain_name} does not state its position: export the series again"
        )
    return position


def _spacing(headers: Sequence[SliceHeader]) -> tuple[float, float]:
    first = headers[0].place.spacing_mm
    if first is None or not min(first) > 0.0:
        raise ImagingError(
            f"{headers[0].plain_name} does not state its pixel spacing: export it again"
        )
    for header in headers:
        spacing = header.place.spacing_mm
        if spacing is None or not np.allclose(spacing, first, atol=1e-4):
            raise ImagingError("the slices of the series differ in pixel spacing: export one CT")
    return first[0], first[1]


def _check_doubles(ordered: Sequence[SliceHeader], along_mm: FloatArray) -> None:
    doubles = np.flatnonzero(np.diff(along_mm) < SAME_PLACE_MM)
    if len(doubles):
        first, second = ordered[doubles[0]], ordered[doubles[0] + 1]
        raise ImagingError(
            f"{len(doubles)} duplicate slice(s): {first.plain_name} and {second.plain_name} lie "
            "at the same place. The series was copied twice or holds several phases: export one "
            "phase"
        )


def _shift(
    ordered: Sequence[SliceHeader], positions: FloatArray, row: FloatArray, column: FloatArray
) -> FloatArray:
    """(3,) mm by which each slice lies sideways of the one before: gantry tilt."""
    shift = positions - positions[0]
    sideways = np.stack([shift @ row, shift @ column], axis=1)
    if np.abs(sideways).max() <= TILT_TOLERANCE_MM:
        return np.zeros(3)
    per_slice = sideways[-1] / (len(ordered) - 1)
    regular = np.arange(len(ordered))[:, None] * per_slice
    stated = ordered[0].tilt_deg
    words = f", gantry tilt {stated:.1f} deg" if stated else ""
    if np.abs(sideways - regular).max() > TILT_TOLERANCE_MM:
        raise ImagingError(
            f"the slices are shifted sideways unevenly, by up to {np.abs(sideways).max():.1f} mm"
            f"{words}: the patient or the table moved. Acquire or reconstruct the series again"
        )
    return np.asarray(row * per_slice[0] + column * per_slice[1])


def check_tilt(stack: Stack) -> None:
    """Raise ImagingError for a tilt that no gantry has."""
    if stack.tilt_deg > STEEPEST_TILT_DEG:
        raise ImagingError(
            f"the slices are shifted sideways as if the gantry were tilted by {stack.tilt_deg:.0f} "
            "deg, which none is: export the series again"
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
