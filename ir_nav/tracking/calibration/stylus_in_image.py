"""Probe calibration from a tracked stylus whose tip is shown in the image."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ir_nav.geometry import FloatArray, rigidity_fault
from ir_nav.tracking.calibration.probe_fit import (
    Kept,
    fit_affine,
    fit_orthogonal,
    point_errors_mm,
)
from ir_nav.tracking.calibration.probe_result import (
    ProbeCalibration,
    ProbeMethod,
    ProbeSamples,
    ProbeValidation,
    judged_fit,
    judged_validation,
    refused_fit,
)
from ir_nav.tracking.calibration.result import CalibrationError, Rejection

MIN_POINTS = 12
MIN_VALIDATION_POINTS = 5
MIN_EXTENT_MM = 15.0
# Least singular value of the centred image points.
MIN_RANK_PX = 1.0
OUTLIER_FACTOR = 3.5
# A tip is marked to about a pixel and lies in a beam a millimetre thick.
MIN_OUTLIER_MM = 0.5


def calibrate_probe_with_stylus(
    tips_px: ArrayLike, tips_reference_mm: ArrayLike, reference_from_probe: ArrayLike
) -> ProbeCalibration:
    """probe_from_image from n images in which the tip of a tracked stylus was marked.

    tips_px (n, 2): u, v of the tip. tips_reference_mm (n, 3): the tip by the tracker at the
    same instant. reference_from_probe (n, 4, 4): mm. NaN where not marked or not tracked.
    Each point gives its position at the probe; a rigid pose and two scales are fitted to them
    (beam calibration with a tracked point: Muratore and Galloway, Ultrasound Med. Biol. 2001;
    27:1557), points further off than 3.5 robust deviations left out.
    Errors are distances in 3D at the probe, mm, over all points, outliers included.
    CalibrationError when the arrays do not match.
    """
    samples = _samples(tips_px, tips_reference_mm, reference_from_probe)
    points = len(samples.frames)
    if points < MIN_POINTS:
        reason = f"only {points} points, {MIN_POINTS} are needed: mark the tip in more images"
        return refused_fit(ProbeMethod.STYLUS, samples, reason)
    extent = float(np.linalg.norm(np.ptp(samples.probe_mm, axis=0)))
    if extent < MIN_EXTENT_MM:
        reason = f"points lie within {extent:.0f} mm: show the tip all over the image"
        return refused_fit(ProbeMethod.STYLUS, samples, reason)
    centred = samples.image_px - samples.image_px.mean(axis=0)
    if np.linalg.matrix_rank(centred, tol=MIN_RANK_PX) < 2:
        reason = "points lie on one line in the image: show the tip all over it"
        return refused_fit(ProbeMethod.STYLUS, samples, reason)
    matrix, kept = _robust_fit(samples.image_px, samples.probe_mm)
    return judged_fit(ProbeMethod.STYLUS, matrix, kept, samples)


def validate_probe_with_stylus(
    probe_from_image: ArrayLike,
    tips_px: ArrayLike,
    tips_reference_mm: ArrayLike,
    reference_from_probe: ArrayLike,
) -> ProbeValidation:
    """Errors of a calibration (4, 4) on other points; arguments as of the calibration."""
    samples = _samples(tips_px, tips_reference_mm, reference_from_probe)
    return judged_validation(probe_from_image, samples, MIN_VALIDATION_POINTS)


def _robust_fit(image_px: FloatArray, probe_mm: FloatArray) -> tuple[FloatArray, Kept]:
    start, kept = fit_affine(image_px, probe_mm)
    matrix = start
    for _ in range(5):
        matrix = fit_orthogonal(image_px[kept], probe_mm[kept], start)
        distances = point_errors_mm(matrix, image_px, probe_mm)
        spread = 1.4826 * float(np.median(distances[kept]))
        chosen = distances <= max(OUTLIER_FACTOR * spread, MIN_OUTLIER_MM)
        if (chosen == kept).all() or chosen.sum() < MIN_POINTS // 2:
            break
        kept = chosen
    return matrix, kept


def _samples(
    tips_px: ArrayLike, tips_reference_mm: ArrayLike, reference_from_probe: ArrayLike
) -> ProbeSamples:
    """The tip, in the image and at the probe."""
    points = np.asarray(tips_px, dtype=np.float64)
    tips_mm = np.asarray(tips_reference_mm, dtype=np.float64)
    poses = np.asarray(reference_from_probe, dtype=np.float64)
    count = len(points)
    if points.shape != (count, 2) or tips_mm.shape != (count, 3) or poses.shape != (count, 4, 4):
        raise CalibrationError(
            f"{points.shape} image points, {tips_mm.shape} tips and {poses.shape} poses do not "
            "match: give each image one of each"
        )
    frames, rejected = _usable(points, tips_mm, poses)
    probe_from_reference = np.linalg.inv(poses[frames])
    probe_mm = np.einsum("nij,nj->ni", probe_from_reference[:, :3, :3], tips_mm[frames])
    probe_mm += probe_from_reference[:, :3, 3]
    return ProbeSamples(points[frames], probe_mm, frames, ("tip",), count, rejected)


def _usable(
    points: FloatArray, tips_mm: FloatArray, poses: FloatArray
) -> tuple[NDArray[np.int64], tuple[Rejection, ...]]:
    usable, rejected = [], []
    for index, pose in enumerate(poses):
        reason = None
        if not np.isfinite(points[index]).all():
            reason = "the tip was not marked"
        elif not np.isfinite(tips_mm[index]).all():
            reason = "the stylus was not tracked"
        elif not np.isfinite(pose).all():
            reason = "probe or reference was not tracked"
        else:
            reason = rigidity_fault(pose)
        if reason is None:
            usable.append(index)
        else:
            rejected.append(Rejection(index, reason))
    return np.array(usable, dtype=np.int64), tuple(rejected)
