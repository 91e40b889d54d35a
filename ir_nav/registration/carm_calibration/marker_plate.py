"""Pinhole and place of a C-arm from one frame of a bead phantom.

The larger beads give a first place (perspective from four points, OpenCV's SQPNP after Terzakis
and Lourakis 2020); the rest are matched to it; then focal length, principal point and pose are
fitted to least reprojection error (Hartley & Zisserman 2004, chapter 7). Only source-detector
distance over pixel size shows in a frame, so the pixel size is taken as known. A flat plate
leaves distance and depth open against one another: with it the distance must be known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import permutations

import cv2
import numpy as np
from scipy.optimize import least_squares
from scipy.spatial import cKDTree

from ir_nav.geometry import (
    CArmGeometry,
    FloatArray,
    apply,
    read_only,
    rigid,
    rotation_from_vector,
    vector_from_rotation,
)
from ir_nav.registration.carm_calibration.beads import Blobs, find_blobs
from ir_nav.registration.carm_calibration.plate import Plate, is_flat
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.fluoro.view import CArmView, FluoroFrame

TYPICAL_SID_MM = 1050.0
TYPICAL_MAGNIFICATION = 2.0
SPARE_BLOBS = 2
MOST_CODED = 7
FIRST_PX = 15.0
NEAR_PX = (15.0, 8.0, 4.0, 3.0)
LEAST_MATCHED, LEAST_SHARE = 8, 0.6
MOST_RMS_PX = 1.0
LEAST_RMS_PX = 0.05
MOST_TIMES_MEDIAN, LEAST_TRIMMED_PX = 4.0, 0.15
MOST_SID_SHARE = 0.02
# A second way round that fits nearly as well.
RIVAL_RMS = 1.5
RIVAL_DEG = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class PlateCalibration:
    """view: world is the plate's own frame. matched: names of the beads used. residuals_px:
    (n,) of each. covariance: (6, 6) of the pose about the beads' middle, plate axes: mm, then
    rotation vector in deg. sid_error_mm, principal_error_px: standard errors, 0 where they were
    given and not fitted."""

    view: CArmView
    matched: tuple[str, ...]
    residuals_px: FloatArray
    covariance: FloatArray
    sid_error_mm: float
    principal_error_px: float
    accepted: bool
    reason: str = ""

    @property
    def rms_px(self) -> float:
        return float(np.sqrt(np.mean(self.residuals_px**2)))


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """numbers: (9,) sid, principal u, v, rotation vector, translation of the beads' middle."""

    numbers: FloatArray
    pairs: tuple[tuple[int, int], ...]
    residuals_px: FloatArray
    jacobian: FloatArray

    @property
    def rms_px(self) -> float:
        return float(np.sqrt(np.mean(self.residuals_px**2))) if len(self.residuals_px) else np.inf


def calibrate_from_plate(
    frame: FluoroFrame, plate: Plate, *, sid_known: bool = False
) -> PlateCalibration:
    """The C-arm's geometry from a frame of the plate.

    frame.view holds the pixel size, the picture's size, about where the principal point is and
    about the source-detector distance; its pose is not used. sid_known: the distance and the
    principal point are taken as given, which a flat plate needs.
    Raises RegistrationError when the beads are not found, fit in two ways, or cannot determine
    what is asked.
    """
    if plate.flat and not sid_known:
        raise RegistrationError(
            "a flat plate does not determine the source-detector distance: give it with the "
            "nominal geometry, or use a phantom with beads in two planes"
        )
    geometry = frame.view.geometry
    pitch = min(geometry.pixel_mm)
    largest = max(bead.diameter_mm for bead in plate.beads) * TYPICAL_MAGNIFICATION / pitch
    blobs = find_blobs(frame, largest)
    free = np.arange(9) if not sid_known else np.arange(3, 9)
    fits = [
        fit
        for pose in _first_poses(geometry, plate, blobs)
        if (fit := _grown(geometry, plate, blobs, pose, free)) is not None
    ]
    if not fits:
        raise RegistrationError(
            f"{len(blobs.centres_px)} spots in the frame do not form the plate's pattern: show the "
            "whole plate and no other metal, and check its description"
        )
    best = _alone(fits)
    return _result(frame.view, plate, best, free)


def _first_poses(geometry: CArmGeometry, plate: Plate, blobs: Blobs) -> list[FloatArray]:
    """Poses (9,) from every way to lay four coded beads on the largest spots, best first."""
    positions = plate.positions_mm
    middle = positions.mean(axis=0)
    chosen = _spread_out(positions[list(plate.coded)])
    beads = (positions[list(plate.coded)] - middle)[chosen]
    spots = blobs.centres_px[: min(len(plate.coded) + SPARE_BLOBS, MOST_CODED)]
    tree = cKDTree(blobs.centres_px)
    scored: list[tuple[float, FloatArray]] = []
    for order in permutations(range(len(spots)), 4):
        seen = spots[list(order)]
        done, turn, shift = cv2.solvePnP(
            beads, seen, geometry.camera_matrix, None, flags=cv2.SOLVEPNP_SQPNP
        )
        if not done or shift[2, 0] <= 0.0:
            continue
        numbers = np.concatenate(
            [[geometry.sid_mm, *geometry.principal_px], turn.ravel(), shift.ravel()]
        )
        own = _projected(numbers, geometry, beads)
        if own is None or np.max(np.linalg.norm(own - seen, axis=1)) > FIRST_PX:
            continue
        all_px = _projected(numbers, geometry, positions - middle)
        if all_px is None:
            continue
        distance = np.minimum(tree.query(all_px)[0], FIRST_PX)
        scored.append((float(distance.sum()), numbers))
    scored.sort(key=lambda one: one[0])
    return [numbers for _, numbers in scored[:6]]


def _spread_out(points: FloatArray) -> list[int]:
    """Four of the points (n, 3), far from one another."""
    chosen = [int(np.argmax(np.linalg.norm(points - points.mean(axis=0), axis=1)))]
    while len(chosen) < 4:
        gaps = np.linalg.norm(points[:, None] - points[chosen][None], axis=2).min(axis=1)
        chosen.append(int(np.argmax(gaps)))
    return chosen


def _grown(
    geometry: CArmGeometry, plate: Plate, blobs: Blobs, numbers: FloatArray, free: np.ndarray
) -> _Fit | None:
    """The fit with every bead that can be matched, nearer at each step; None when too few."""
    beads = plate.positions_mm - plate.positions_mm.mean(axis=0)
    fit: _Fit | None = None
    for near_px in NEAR_PX:
        pairs = _pairs(_projected(numbers, geometry, beads), blobs, near_px)
        if len(pairs) < max(LEAST_MATCHED, LEAST_SHARE * len(beads)):
            return None
        fit = _fitted_to(pairs, geometry, beads, blobs, numbers, free)
        numbers = fit.numbers
    if fit is None:
        return None
    # A spot that two beads share lies off both.
    most = max(MOST_TIMES_MEDIAN * float(np.median(fit.residuals_px)), LEAST_TRIMMED_PX)
    pairs = [pair for pair, miss in zip(fit.pairs, fit.residuals_px, strict=True) if miss <= most]
    return _fitted_to(pairs, geometry, beads, blobs, numbers, free)


def _fitted_to(
    pairs: list[tuple[int, int]],
    geometry: CArmGeometry,
    beads: FloatArray,
    blobs: Blobs,
    start: FloatArray,
    free: np.ndarray,
) -> _Fit:
    of_beads, of_blobs = (list(part) for part in zip(*pairs, strict=True))
    fit = _fitted(geometry, beads[of_beads], blobs.centres_px[of_blobs], start, free)
    return replace(fit, pairs=tuple(pairs))


def _pairs(places_px: FloatArray | None, blobs: Blobs, near_px: float) -> list[tuple[int, int]]:
    """Beads and spots that are one another's nearest."""
    if places_px is None:
        return []
    distance, spot = cKDTree(blobs.centres_px).query(places_px)
    _, bead = cKDTree(places_px).query(blobs.centres_px)
    return [
        (index, int(spot[index]))
        for index in range(len(places_px))
        if distance[index] <= near_px and bead[spot[index]] == index
    ]


def _fitted(
    geometry: CArmGeometry,
    beads: FloatArray,
    seen: FloatArray,
    start: FloatArray,
    free: np.ndarray,
) -> _Fit:
    def filled(values: FloatArray) -> FloatArray:
        numbers = start.copy()
        numbers[free] = values
        return numbers

    def left(values: FloatArray) -> FloatArray:
        places = _projected(filled(values), geometry, beads)
        return np.full(2 * len(beads), 1e3) if places is None else (places - seen).ravel()

    scale = np.array([50.0, 5.0, 5.0, 0.01, 0.01, 0.01, 2.0, 2.0, 20.0])[free]
    solved = least_squares(left, start[free], x_scale=scale, method="lm")
    residuals = np.linalg.norm(solved.fun.reshape(-1, 2), axis=1)
    return _Fit(filled(solved.x), (), read_only(residuals), solved.jac)


def _alone(fits: list[_Fit]) -> _Fit:
    """The best fit; RegistrationError when another way round fits nearly as well."""
    fits = sorted(fits, key=lambda fit: (-len(fit.pairs), fit.rms_px))
    best = fits[0]
    for other in fits[1:]:
        turn = rotation_from_vector(best.numbers[3:6]).T @ rotation_from_vector(other.numbers[3:6])
        apart = float(np.degrees(np.linalg.norm(vector_from_rotation(turn))))
        same = len(other.pairs) >= len(best.pairs) - 1
        if same and apart > RIVAL_DEG and other.rms_px < RIVAL_RMS * best.rms_px + 0.05:
            raise RegistrationError(
                "the beads fit in two ways: tilt the plate against the beam, or lay the larger "
                "beads out so that no turn or mirror image looks the same"
            )
    return best


def _result(view: CArmView, plate: Plate, best: _Fit, free: np.ndarray) -> PlateCalibration:
    numbers = best.numbers
    middle = plate.positions_mm.mean(axis=0)
    turn = rotation_from_vector(numbers[3:6])
    pose = rigid(turn, numbers[6:9] - turn @ middle)
    spread = max(best.rms_px, LEAST_RMS_PX) ** 2 / 2.0
    covariance = np.zeros((9, 9))
    covariance[np.ix_(free, free)] = spread * np.linalg.inv(best.jacobian.T @ best.jacobian)
    used = plate.positions_mm[[bead for bead, _ in best.pairs]]
    sid_error = float(np.sqrt(covariance[0, 0]))
    geometry = CArmGeometry(
        float(numbers[0]),
        view.geometry.pixel_mm,
        view.geometry.size_px,
        (float(numbers[1]), float(numbers[2])),
    )
    reason = ""
    if 0 in free and is_flat(used):
        reason = "only beads of one plane were seen: show both planes of the phantom"
    elif sid_error > MOST_SID_SHARE * numbers[0]:
        reason = (
            f"the source-detector distance is uncertain by {sid_error:.0f} mm: use a deeper "
            "phantom, or give the distance"
        )
    elif best.rms_px > MOST_RMS_PX:
        reason = (
            f"the beads lie {best.rms_px:.1f} px off (rms; {MOST_RMS_PX:g} is allowed): correct "
            "the detector's distortion first, or check the plate's description"
        )
    return PlateCalibration(
        view=CArmView(geometry, read_only(pose), view.pixels),
        matched=tuple(plate.beads[bead].name for bead, _ in best.pairs),
        residuals_px=best.residuals_px,
        covariance=read_only(_pose_covariance(numbers, covariance[3:, 3:])),
        sid_error_mm=sid_error,
        principal_error_px=float(np.sqrt(covariance[1, 1] + covariance[2, 2])),
        accepted=not reason,
        reason=reason,
    )


def _pose_covariance(numbers: FloatArray, covariance: FloatArray) -> FloatArray:
    """From rotation vector and translation to mm and deg about the beads' middle, plate axes."""
    turn = rotation_from_vector(numbers[3:6])
    jacobian = np.zeros((6, 6))
    jacobian[:3, 3:] = turn.T
    for axis in range(3):
        moved = numbers[3:6].copy()
        moved[axis] += 1e-6
        change = vector_from_rotation(turn.T @ rotation_from_vector(moved))
        jacobian[3:, axis] = np.degrees(change / 1e-6)
    return np.asarray(jacobian @ covariance @ jacobian.T)


def _projected(numbers: FloatArray, geometry: CArmGeometry, beads: FloatArray) -> FloatArray | None:
    """Places (n, 2) in px, or None when a bead lies behind the focal spot."""
    placed = apply(rigid(rotation_from_vector(numbers[3:6]), numbers[6:9]), beads)
    if numbers[0] <= 0.0 or np.any(placed[:, 2] <= 1.0):
        return None
    principal = (float(numbers[1]), float(numbers[2]))
    return replace(geometry, sid_mm=float(numbers[0]), principal_px=principal).project(placed)
