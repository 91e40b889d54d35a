"""A finished registration from swiped points: found, judged, refused in words."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ir_nav.geometry import FloatArray, Frame, Transform, apply, read_only
from ir_nav.imaging import BoolArray
from ir_nav.progress import Progress, unheard
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.registration import Method, Registration, Residual
from ir_nav.registration.surface.fit import LEAST_POINTS, SurfaceFit, covariance
from ir_nav.registration.surface.freedom import Freedom, freedom_words, freedoms
from ir_nav.registration.surface.sampled import SampledSurface
from ir_nav.registration.surface.search import Found, search
from ir_nav.registration.surface.starts import starts_anywhere, starts_around

NOISE_MM = 1.0
# Of the points, so many must lie on the surface, to within this many times the noise expected.
LEAST_NEAR, NEAR_SIGMAS = 0.7, 4.0
# They scatter by no more than this many times the noise expected.
MOST_SCATTER = 2.5
# The best place fits better than the next by these standard errors, and by this much.
LEAST_DEVIATIONS, LEAST_AHEAD = 3.0, 1.2
# Points nearer together than this, rms from their middle, hold no rotation.
LEAST_REACH_MM = 15.0


@dataclass(frozen=True, slots=True, eq=False)
class SurfaceRegistration:
    """What every registration carries, and what is this method's own.

    signed_mm: (n,) distance of each swiped point from the surface, positive outside, infinite
    beside the rim of an open surface. kept: (n,) whether it counted. sigma_mm: scatter, robust.
    freedoms: motions the points leave free. cost, next_cost: mean misfit per point, 0 to 1, here
    and in the best place elsewhere, or None where every start ended here. moved_mm: the points'
    mean way from the start, or None without one.
    """

    registration: Registration
    signed_mm: FloatArray
    kept: BoolArray
    sigma_mm: float
    freedoms: tuple[Freedom, ...]
    cost: float
    next_cost: float | None
    moved_mm: float | None


def register_surface(
    points_reference_mm: ArrayLike,
    surface: SampledSurface,
    created_s: float,
    *,
    start: FloatArray | None = None,
    target_ct_mm: ArrayLike | None = None,
    noise_mm: float = NOISE_MM,
    progress: Progress | None = None,
) -> SurfaceRegistration:
    """Lay points (n, 3), swiped in `reference`, on a surface of the CT. For the worker.

    start: (4, 4) ct_from_reference, true to 60 mm and 45 degrees; without it every direction is
    tried. target_ct_mm: (3,) where the error is stated; the points' middle by default. noise_mm:
    expected rms scatter along the surface's normal. `progress` hears 0 to 1 and may raise to
    cancel. The result says itself whether it is accepted, and if not why. Raises
    RegistrationError for points that cannot be tried at all.
    """
    began_s = time.perf_counter()
    points = _checked(points_reference_mm)
    if not 0.0 < noise_mm < 20.0:
        raise RegistrationError("the expected noise is between 0 and 20 mm")
    centre = points.mean(axis=0)
    starts = starts_anywhere(surface, centre) if start is None else starts_around(start, centre)
    found = search(points, surface, starts, noise_mm, progress or unheard)
    fit = found.fit
    free = freedoms(fit)
    about = fit.moved_ct_mm[fit.kept].mean(axis=0) if target_ct_mm is None else target_ct_mm
    moved_mm = None
    if start is not None:
        away = np.linalg.norm(apply(start, points) - fit.moved_ct_mm, axis=1)
        moved_mm = float(away.mean())
    reason = _refusal(found, free, noise_mm, surface.name)
    registration = Registration(
        Method.SURFACE,
        Transform(Frame.CT, Frame.REFERENCE, fit.ct_from_reference),
        _residuals(fit),
        covariance(fit, np.asarray(about, dtype=np.float64)),
        read_only(about),
        found.confidence,
        found.evaluations,
        time.perf_counter() - began_s,
        created_s,
        reason == "",
        reason,
        (
            f"{len(points)} points on {surface.name}, {np.count_nonzero(fit.kept)} counted",
            f"{found.starts} starts {'in every direction' if start is None else 'round one given'}",
        ),
    )
    return SurfaceRegistration(
        registration,
        fit.signed_mm,
        fit.kept,
        fit.sigma_mm,
        free,
        found.cost,
        found.next_cost,
        moved_mm,
    )


def _checked(points_reference_mm: ArrayLike) -> FloatArray:
    """Points (n, 3), contiguous."""
    points = np.ascontiguousarray(points_reference_mm, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3:
        raise RegistrationError(f"swiped points are (n, 3), got {points.shape}")
    if not np.isfinite(points).all():
        raise RegistrationError("a swiped point holds a value that is not finite")
    if len(points) < LEAST_POINTS:
        raise RegistrationError(
            f"{len(points)} points are too few: swipe at least {LEAST_POINTS}, better 100"
        )
    reach = float(np.sqrt(np.mean(np.sum((points - points.mean(axis=0)) ** 2, axis=1))))
    if reach < LEAST_REACH_MM:
        raise RegistrationError(
            f"the points lie within {reach:.0f} mm of their middle: swipe over a wider area"
        )
    return points


def _refusal(found: Found, free: tuple[Freedom, ...], noise_mm: float, name: str) -> str:
    """Why the result is not accepted, and what to do; '' when it is."""
    fit = found.fit
    near_mm = NEAR_SIGMAS * noise_mm
    near = float(np.mean(np.abs(fit.signed_mm) < near_mm))
    if near < LEAST_NEAR:
        return (
            f"only {near:.0%} of the points lie within {near_mm:.0f} mm of {name}: "
            "swipe again, and only there"
        )
    if fit.sigma_mm > MOST_SCATTER * noise_mm:
        return (
            f"the points scatter by {fit.sigma_mm:.1f} mm about {name}, "
            f"{noise_mm:.1f} mm are expected: swipe again, or check tip and reference"
        )
    if free:
        return (
            f"the points do not hold {freedom_words(free)}: "
            f"swipe also where {name} bends another way"
        )
    if found.next_cost is not None and (
        found.deviations < LEAST_DEVIATIONS or found.next_cost < LEAST_AHEAD * found.cost
    ):
        return "another place fits nearly as well: swipe a wider area, or begin nearer to the truth"
    return ""


def _residuals(fit: SurfaceFit) -> tuple[Residual, ...]:
    """Of the points that counted, by their number in the swipe, from 1."""
    return tuple(
        Residual(f"point {number + 1}", abs(float(fit.signed_mm[number])))
        for number in np.flatnonzero(fit.kept)
    )
