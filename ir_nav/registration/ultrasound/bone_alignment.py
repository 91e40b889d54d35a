"""CT to patient from the bone that a tracked ultrasound sweep shows."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import qmc

from ir_nav.geometry import FloatArray, Frame, Transform, apply
from ir_nav.imaging import Volume
from ir_nav.progress import Progress, unheard
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.registration import Method, Registration, Residual
from ir_nav.registration.surface.fit import SurfaceFit, covariance
from ir_nav.registration.surface.freedom import freedom_words, freedoms
from ir_nav.registration.surface.search import Found, search
from ir_nav.registration.ultrasound.bone_echoes import BoneEchoes, find_bone
from ir_nav.registration.ultrasound.bone_facing import bone_round, facing_bone
from ir_nav.registration.ultrasound.fan import Fan, check_same_scale
from ir_nav.registration.ultrasound.sweep import TrackedSweep
from ir_nav.registration.ultrasound.sweep_error import (
    MOST_MOVED_MM,
    MOST_TRE_MM,
    with_unknown_breath,
)
from ir_nav.registration.ultrasound.sweep_search import motions, target_shift_mm
from ir_nav.registration.ultrasound.usable_frames import Indices, breath_words, usable_frames

# Where the search begins: round the start, so far along and about each axis.
STARTS, REACH_MM, REACH_DEG = 512, 24.0, 12.0
# Once there, round the place found: what faces the probe is known better then.
AGAIN, AGAIN_MM, AGAIN_DEG = 64, 6.0, 4.0
NOISE_MM = 1.2
LEAST_POINTS, LEAST_FRAMES = 80, 4
LEAST_NEAR, NEAR_MM = 0.75, 4.0
MOST_SCATTER_MM = 1.3
LEAST_DEVIATIONS, LEAST_AHEAD = 3.0, 1.2
# The CT's 150 HU and the echo's middle are not the same surface, and thin ribs are blurred in the
# CT (docs/registration-ultrasound.md). Along and about each axis through the points' middle.
FLOOR_MM, FLOOR_DEG = 0.5, 0.6


@dataclass(frozen=True, slots=True, eq=False)
class BoneRegistration:
    """registration: with each frame's rms distance as residual.

    points: how many the sweep shows, kept: how many counted. near: share of them within 4 mm of
    the bone. sigma_mm: their scatter, robust. cost, next_cost: misfit here and at the best other
    place, 0 to 1; None where every start ended here. frames: indices of those with bone.
    """

    registration: Registration
    points: int
    kept: int
    near: float
    sigma_mm: float
    cost: float
    next_cost: float | None
    frames: tuple[int, ...]


def register_bone(
    sweep: TrackedSweep,
    volume: Volume,
    fan: Fan,
    start: ArrayLike,
    created_s: float,
    *,
    target_ct_mm: ArrayLike | None = None,
    progress: Progress | None = None,
    seed: int = 1,
) -> BoneRegistration:
    """Find ct_from_reference from the bone in all frames, from a start (4, 4) within 20 mm.

    For the worker: seconds. The echoes of bone (`find_bone`) are laid on the bone of the CT that
    faces the probe, as swiped points are (`surface`), from many starts; then once more with what
    faces it from there. target_ct_mm (3,): where the error is stated, the points' middle if None.
    A poor result is returned with accepted False and its reason; RegistrationError only where no
    try is possible. `progress` may raise to cancel.
    """
    began_s = time.perf_counter()
    report = unheard if progress is None else progress
    report(0.0)
    begin = Transform(Frame.CT, Frame.REFERENCE, np.asarray(start, dtype=np.float64)).matrix
    check_same_scale(fan, sweep.reference_from_image[0])
    frames = usable_frames(sweep)
    echoes = find_bone(sweep.only(frames), fan)
    _require_bone(echoes)
    report(0.2)
    mesh = bone_round(volume, echoes, begin)
    report(0.4)
    points = np.ascontiguousarray(echoes.points_mm)
    pivot = apply(begin, points.mean(axis=0))
    around = _starts(begin, pivot, STARTS, REACH_MM, REACH_DEG, seed)
    first = search(
        points,
        facing_bone(mesh, volume, echoes, begin),
        around,
        NOISE_MM,
        lambda part: report(0.4 + 0.4 * part),
    )
    place = first.fit.ct_from_reference
    last = search(
        points,
        facing_bone(mesh, volume, echoes, place),
        np.concatenate([_starts(place, pivot, AGAIN, AGAIN_MM, AGAIN_DEG, seed), around]),
        NOISE_MM,
        lambda part: report(0.8 + 0.2 * part),
    )
    about = last.fit.moved_ct_mm[last.fit.kept].mean(axis=0)
    target = about if target_ct_mm is None else np.asarray(target_ct_mm, dtype=np.float64)
    moved_mm = target_shift_mm(begin, last.fit.ct_from_reference, target)
    error = _error(last.fit, target, breath_known=sweep.level is not None)
    reason = _refusal(last, error, moved_mm)
    registration = Registration(
        method=Method.ULTRASOUND,
        ct_from_reference=Transform(Frame.CT, Frame.REFERENCE, last.fit.ct_from_reference),
        residuals=_residuals(last.fit, echoes, frames),
        covariance=error,
        about_ct_mm=target,
        confidence=last.confidence,
        evaluations=first.evaluations + last.evaluations,
        seconds=time.perf_counter() - began_s,
        created_s=created_s,
        accepted=not reason,
        reason=reason,
        inputs=_inputs(sweep, echoes, moved_mm),
    )
    return BoneRegistration(
        registration,
        len(points),
        int(last.fit.kept.sum()),
        _near(last.fit),
        last.fit.sigma_mm,
        last.cost,
        last.next_cost,
        tuple(int(n) for n in frames[np.unique(echoes.frame)]),
    )


def _require_bone(echoes: BoneEchoes) -> None:
    frames = len(np.unique(echoes.frame))
    if len(echoes.points_mm) < LEAST_POINTS or frames < LEAST_FRAMES:
        raise RegistrationError(
            f"the sweep shows bone in {frames} frames only, at {len(echoes.points_mm)} points; "
            f"{LEAST_FRAMES} frames and {LEAST_POINTS} points are needed: sweep over ribs, spine "
            "or iliac crest, the beam square to the bone, or register by the image"
        )


def _starts(
    pose: FloatArray, pivot_ct_mm: FloatArray, count: int, mm: float, deg: float, seed: int
) -> FloatArray:
    """(count, 4, 4) round a pose (4, 4), which comes first (Sobol)."""
    cube = qmc.Sobol(6, rng=np.random.default_rng(seed)).random(count)
    parameters = (2.0 * cube - 1.0) * np.array([mm] * 3 + [deg] * 3)
    parameters[0] = 0.0
    return motions(parameters, pivot_ct_mm) @ pose


def _near(fit: SurfaceFit) -> float:
    return float(np.mean(np.abs(fit.signed_mm) < NEAR_MM))


def _error(fit: SurfaceFit, target_ct_mm: FloatArray, *, breath_known: bool) -> FloatArray:
    """(6, 6) about the target: the fit's own, and what no fit knows."""
    floor = np.diag([FLOOR_MM**2] * 3 + [FLOOR_DEG**2] * 3)
    x, y, z = target_ct_mm - fit.moved_ct_mm[fit.kept].mean(axis=0)
    to_target = np.eye(6)
    to_target[:3, 3:] = np.radians([[0.0, z, -y], [-z, 0.0, x], [y, -x, 0.0]])
    found = covariance(fit, target_ct_mm) + to_target @ floor @ to_target.T
    found = (found + found.T) / 2.0
    return found if breath_known else with_unknown_breath(found)


def _refusal(found: Found, error: FloatArray, moved_mm: float) -> str:
    """Why the result is not to be used, in words; "" where nothing speaks against it."""
    fit = found.fit
    near = _near(fit)
    if near < LEAST_NEAR or fit.sigma_mm > MOST_SCATTER_MM:
        return (
            f"the bone in the sweep does not agree with the CT: {near:.0%} of its points lie "
            f"within {NEAR_MM:.0f} mm, they scatter by {fit.sigma_mm:.1f} mm. Check the CT and the "
            "probe's calibration, or sweep again"
        )
    free = freedoms(fit)
    if free:
        return (
            f"the bone in the sweep does not hold {freedom_words(free)}: sweep also where the "
            "bone bends another way"
        )
    if found.next_cost is not None and (
        found.deviations < LEAST_DEVIATIONS or found.next_cost < LEAST_AHEAD * found.cost
    ):
        return (
            "another place, such as the next rib, fits nearly as well: start nearer, or sweep "
            "over more bone"
        )
    tre_mm = float(np.sqrt(np.trace(error[:3, :3])))
    if tre_mm > MOST_TRE_MM:
        return (
            f"the bone leaves {tre_mm:.1f} mm (rms) open at the target: sweep over bone nearer to "
            "it, and round it"
        )
    if moved_mm > MOST_MOVED_MM:
        return (
            f"the result lies {moved_mm:.0f} mm from the start, beyond what is searched "
            "reliably: check the start"
        )
    return ""


def _residuals(fit: SurfaceFit, echoes: BoneEchoes, frames: Indices) -> tuple[Residual, ...]:
    """Rms distance of the points of each frame that counted."""
    found = []
    for number in np.unique(echoes.frame[fit.kept]):
        off_mm = fit.signed_mm[fit.kept & (echoes.frame == number)]
        rms_mm = float(np.sqrt(np.mean(off_mm**2)))
        found.append(Residual(f"frame {frames[number]}", rms_mm))
    return tuple(found)


def _inputs(sweep: TrackedSweep, echoes: BoneEchoes, moved_mm: float) -> tuple[str, ...]:
    return (
        f"{len(echoes.points_mm)} points of bone in {len(np.unique(echoes.frame))} of "
        f"{len(sweep.images)} frames of a tracked ultrasound sweep",
        breath_words(sweep),
        "holds for what moves with the bone: an organ that breathes against it is not seen",
        f"moved the target by {moved_mm:.1f} mm from the start",
    )
