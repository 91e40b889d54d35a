"""Probe calibration from images of an N-wire phantom."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ir_nav.geometry import FloatArray, rigidity_fault
from ir_nav.tracking.calibration.nwire_pose import middle_points
from ir_nav.tracking.calibration.phantom import Phantom
from ir_nav.tracking.calibration.probe_fit import fit_affine, fit_orthogonal
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

# vtkPlusProbeCalibrationAlgo asks for ten as well.
MIN_FRAMES = 10
MIN_TRAVEL_MM = 5.0


def calibrate_probe(
    wires_px: ArrayLike,
    reference_from_probe: ArrayLike,
    phantom: Phantom,
    *,
    not_found: Sequence[Rejection] = (),
    orthogonal: bool = False,
) -> ProbeCalibration:
    """probe_from_image from wires seen in tracked images of a registered phantom.

    wires_px (n, 3 k, 2): u, v of each wire in the phantom's order, NaN for a frame without;
    not_found says why. reference_from_probe (n, 4, 4): mm, NaN where not tracked. A frame takes
    part whole or not at all.

    The method of Plus (Chen et al. 2009, doi 10.1016/j.ultrasmedbio.2008.07.004;
    PlusLib `vtkPlusProbeCalibrationAlgo`): the ratio of the
    three distances in the image places each diagonal's cut in the phantom and, by the poses, in
    the probe; linear least squares then takes (u, v, 1) there (`fit_affine`). With `orthogonal`
    the same distances are fitted again with square image axes (`fit_orthogonal`).

    Errors are distances in 3D at the probe, mm, of the diagonals' cuts, over all samples of all
    frames with wires, outliers of the fit included; Plus reports mean_best_95 of these.
    CalibrationError when the arrays do not match or the phantom is not registered; a reason in
    the result when the data do not allow it.
    """
    method = ProbeMethod.NWIRE_ORTHOGONAL if orthogonal else ProbeMethod.NWIRE_LINEAR
    wires = np.asarray(wires_px, dtype=np.float64)
    samples = _samples(wires, reference_from_probe, phantom, not_found)
    frames = len(samples.frames)
    if frames < MIN_FRAMES:
        reason = f"only {frames} frames with wires and poses, {MIN_FRAMES} are needed: record more"
        return refused_fit(method, samples, reason)
    travel = travel_mm(wires[samples.frames], phantom)
    if travel < MIN_TRAVEL_MM:
        reason = (
            f"moved only {travel:.1f} mm along the wires, {MIN_TRAVEL_MM:.0f} mm are needed: "
            "slide and tilt the probe"
        )
        return refused_fit(method, samples, reason)
    matrix, kept = fit_affine(samples.image_px, samples.probe_mm)
    if orthogonal:
        matrix = fit_orthogonal(samples.image_px[kept], samples.probe_mm[kept], matrix)
    return judged_fit(method, matrix, kept, samples)


def validate_probe(
    probe_from_image: ArrayLike,
    wires_px: ArrayLike,
    reference_from_probe: ArrayLike,
    phantom: Phantom,
    *,
    not_found: Sequence[Rejection] = (),
) -> ProbeValidation:
    """Errors of a calibration (4, 4) on other frames; arguments and errors of `calibrate_probe`.

    No sample is left out but frames without wires or pose.
    """
    wires = np.asarray(wires_px, dtype=np.float64)
    samples = _samples(wires, reference_from_probe, phantom, not_found)
    return judged_validation(probe_from_image, samples, MIN_FRAMES)


def _samples(
    wires: FloatArray,
    reference_from_probe: ArrayLike,
    phantom: Phantom,
    not_found: Sequence[Rejection],
) -> ProbeSamples:
    """The diagonals, in the image and at the probe."""
    poses = np.asarray(reference_from_probe, dtype=np.float64)
    if phantom.reference_from_phantom is None:
        raise CalibrationError("the phantom is not registered: point at its landmarks first")
    if wires.shape[1:] != (3 * phantom.patterns, 2) or poses.shape != (len(wires), 4, 4):
        raise CalibrationError(
            f"wires {wires.shape} and poses {poses.shape} do not match a phantom of "
            f"{3 * phantom.patterns} wires: give each frame both"
        )
    frames, rejected = _usable(wires, poses, not_found)
    middle = middle_points(wires[frames], phantom)
    probe_from_phantom = np.linalg.inv(poses[frames]) @ phantom.reference_from_phantom
    probe_mm = np.einsum("nij,nkj->nki", probe_from_phantom[:, :3, :3], middle)
    probe_mm += probe_from_phantom[:, None, :3, 3]
    return ProbeSamples(
        image_px=wires[frames, 1::3].reshape(-1, 2),
        probe_mm=probe_mm.reshape(-1, 3),
        frames=frames,
        labels=tuple(f"wire {name}" for name in phantom.names[1::3]),
        count=len(wires),
        rejected=rejected,
    )


def _usable(
    wires: FloatArray, poses: FloatArray, not_found: Sequence[Rejection]
) -> tuple[NDArray[np.int64], tuple[Rejection, ...]]:
    """Numbers of the frames with wires and pose, and why the others have not."""
    known = {one.index: one.reason for one in not_found}
    usable, rejected = [], []
    for index, (points, pose) in enumerate(zip(wires, poses, strict=True)):
        reason = known.get(index)
        if reason is None and not np.isfinite(points).all():
            reason = "wires were not found"
        if reason is None and not np.isfinite(pose).all():
            reason = "probe or reference was not tracked"
        if reason is None:
            reason = rigidity_fault(pose)
        if reason is None:
            usable.append(index)
        else:
            rejected.append(Rejection(index, reason))
    return np.array(usable, dtype=np.int64), tuple(rejected)


def travel_mm(wires: FloatArray, phantom: Phantom) -> float:
    """How far the plane moved along the side wires, 5th to 95th percentile of the frames, mm.

    wires (n, 3 k, 2): px, all found, n > 0.
    """
    along = phantom.wires_mm[0::3, 1] - phantom.wires_mm[0::3, 0]
    along = along / np.linalg.norm(along, axis=1, keepdims=True)
    reach = np.einsum("nkj,kj->nk", middle_points(wires, phantom), along)
    low, high = np.percentile(reach, (5.0, 95.0), axis=0)
    return float((high - low).max())
