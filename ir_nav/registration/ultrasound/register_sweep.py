"""CT to patient from a tracked ultrasound sweep."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ir_nav.geometry import FloatArray, Frame, Transform, apply, read_only
from ir_nav.progress import Progress, unheard
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.registration import Method, Registration, Residual
from ir_nav.registration.ultrasound.fan import Fan, check_same_scale
from ir_nav.registration.ultrasound.similarity import SmoothCt, SweepCt, SweepSimilarity
from ir_nav.registration.ultrasound.sweep import (
    BeamSamples,
    Float32,
    Sampling,
    TrackedSweep,
    beam_samples,
)
from ir_nav.registration.ultrasound.sweep_error import (
    breathing_doubt,
    confidence_of,
    motion_covariance_of,
    refusal_of,
)
from ir_nav.registration.ultrasound.sweep_search import (
    Summit,
    climb,
    curvature_at,
    find_places,
    target_shift_mm,
)
from ir_nav.registration.ultrasound.usable_frames import Indices, breath_words, usable_frames

COARSE = Sampling(20, 27, 3.0, 8.0)
FINE = Sampling(48, 108, 0.8, 6.0)
LEAST_INSIDE = 0.4
# The fit that is trusted at the target looks this far round it (standard deviation), and at what
# lies further away this much.
LOCAL_MM, FAR_SHARE = 30.0, 0.02
APART_MM = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class UltrasoundRegistration:
    """registration: with the frames' dissimilarities as residuals.

    similarity: of all frames at the pose found, 0 to 1; rival: at the best other place, 0 where
    every search ended at the same. whole_ct_from_reference: (4, 4), fitted to all samples alike;
    local_shift_mm: how far the fit round the target puts the target from there, which is what
    tissue has moved against itself. frames: indices of those that were used.
    """

    registration: Registration
    similarity: float
    rival: float
    whole_ct_from_reference: FloatArray
    local_shift_mm: float
    frames: tuple[int, ...]


def register_ultrasound(
    sweep: TrackedSweep,
    ct: SweepCt,
    fan: Fan,
    start: ArrayLike,
    created_s: float,
    *,
    target_ct_mm: ArrayLike | None = None,
    progress: Progress | None = None,
    seed: int = 1,
) -> UltrasoundRegistration:
    """Find ct_from_reference from all frames of a sweep at once, from a start (4, 4) within 20 mm
    at the target. For the worker: seconds. `progress` may raise to cancel.

    Correlation ratio along the beams (`SweepSimilarity`), coarse search, fine fit of the best
    places to all samples, then to those round target_ct_mm (3,); the middle of the sweep if None.
    Frames off the CT's breath are left out where the sweep says its levels. A poor result is
    returned with accepted False and its reason; RegistrationError only where no try is possible.
    """
    began_s = time.perf_counter()
    report = progress if progress is not None else unheard
    report(0.0)
    begin = Transform(Frame.CT, Frame.REFERENCE, np.asarray(start, dtype=np.float64)).matrix
    check_same_scale(fan, sweep.reference_from_image[0])
    frames = usable_frames(sweep)
    coarse_beams, fine_beams = beam_samples(sweep.only(frames), fan, (COARSE, FINE))
    _check_inside(ct.coarse, coarse_beams, begin)
    target = _target(target_ct_mm, coarse_beams, begin)
    report(0.05)
    coarse = SweepSimilarity(ct.coarse, coarse_beams)
    places = find_places(coarse, begin, target, seed)
    report(0.4)
    fine = SweepSimilarity(ct.fine, fine_beams)
    summits = []
    for number, place in enumerate(places):
        summits.append(climb(fine, place, target, seed + number))
        report(0.4 + 0.45 * (number + 1) / len(places))
    whole, rival = _winner(summits, target)
    local = SweepSimilarity(ct.fine, fine_beams, _round(target, whole, fine_beams))
    found = climb(local, whole.ct_from_reference, target, seed)
    shift_mm = target_shift_mm(whole.ct_from_reference, found.ct_from_reference, target)
    curvature = curvature_at(local, found.ct_from_reference, target, seed)
    report(1.0)
    covariance = motion_covariance_of(
        curvature, found.value, local.samples, breath_known=sweep.level is not None
    )
    evaluations = coarse.evaluations + fine.evaluations + local.evaluations
    confidence = confidence_of(whole.value, rival)
    moved_mm = target_shift_mm(begin, found.ct_from_reference, target)
    reason = refusal_of(covariance, confidence, moved_mm) or breathing_doubt(shift_mm)
    registration = Registration(
        method=Method.ULTRASOUND,
        ct_from_reference=Transform(Frame.CT, Frame.REFERENCE, found.ct_from_reference),
        residuals=_residuals(ct.fine, fine_beams, frames, found.ct_from_reference),
        covariance=covariance,
        about_ct_mm=target,
        confidence=confidence,
        evaluations=evaluations,
        seconds=time.perf_counter() - began_s,
        created_s=created_s,
        accepted=not reason,
        reason=reason,
        inputs=_inputs(sweep, frames, moved_mm, shift_mm),
    )
    return UltrasoundRegistration(
        registration,
        whole.value,
        rival,
        read_only(whole.ct_from_reference),
        shift_mm,
        tuple(int(n) for n in frames),
    )


def _check_inside(ct: SmoothCt, beams: BeamSamples, begin: FloatArray) -> None:
    voxels = apply(ct.voxel_from_ct @ begin, beams.points_mm)
    size = np.array(ct.voxels.shape[::-1]) - 1.0
    inside = float(np.all((voxels >= 0.0) & (voxels <= size), axis=-1).mean())
    if inside < LEAST_INSIDE:
        raise RegistrationError(
            f"only {100 * inside:.0f} % of the sweep lies in the CT where the search would start: "
            "register by landmarks first, or lock one plane"
        )


def _target(target_ct_mm: ArrayLike | None, beams: BeamSamples, begin: FloatArray) -> FloatArray:
    if target_ct_mm is None:
        return apply(begin, beams.points_mm.reshape(-1, 3).mean(axis=0))
    target = np.asarray(target_ct_mm, dtype=np.float64)
    if target.shape != (3,) or not np.isfinite(target).all():
        raise RegistrationError("the target is a point of three numbers in mm")
    return target


def _winner(summits: list[Summit], target: FloatArray) -> tuple[Summit, float]:
    """The highest, and how high the highest one elsewhere is."""
    best = max(summits, key=lambda one: one.value)
    elsewhere = (
        one.value
        for one in summits
        if target_shift_mm(best.ct_from_reference, one.ct_from_reference, target) > APART_MM
    )
    return best, max(elsewhere, default=0.0)


def _round(target: FloatArray, whole: Summit, beams: BeamSamples) -> Float32:
    """How much each sample counts for the fit round the target."""
    points = apply(whole.ct_from_reference, beams.points_mm)
    squared = np.sum((points - target) ** 2, axis=-1)
    return np.asarray(np.exp(-0.5 * squared / LOCAL_MM**2) + FAR_SHARE, dtype=np.float32)


def _residuals(
    ct: SmoothCt,
    beams: BeamSamples,
    frames: Indices,
    ct_from_reference: FloatArray,
) -> tuple[Residual, ...]:
    """Part of each frame's echoes that the CT does not explain at the pose found."""
    found = []
    for number, frame in enumerate(frames):
        part = slice(number, number + 1)
        alone = BeamSamples(
            beams.starts[part], beams.steps[part], beams.step_mm, beams.echoes[part]
        )
        explained = float(SweepSimilarity(ct, alone)(ct_from_reference[None])[0])
        found.append(Residual(f"frame {frame}", 1.0 - explained, "1"))
    return tuple(found)


def _inputs(
    sweep: TrackedSweep,
    frames: Indices,
    moved_mm: float,
    shift_mm: float,
) -> tuple[str, ...]:
    return (
        f"{len(frames)} of {len(sweep.images)} frames of a tracked ultrasound sweep",
        breath_words(sweep),
        f"moved the target by {moved_mm:.1f} mm from the start",
        f"fit round the target {shift_mm:.1f} mm from that of the whole sweep",
    )
