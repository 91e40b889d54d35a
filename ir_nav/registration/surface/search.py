"""From many starts to one place, and whether it stands out from the next best."""

from __future__ import annotations

from dataclasses import dataclass
from math import erf, sqrt

import numpy as np

from ir_nav.geometry import FloatArray, apply
from ir_nav.progress import Progress
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.surface.align_kernels import align_all
from ir_nav.registration.surface.fit import SurfaceFit, fit_surface
from ir_nav.registration.surface.sampled import SampledSurface
from ir_nav.threads import in_ranges

# Points, steps, and which part of the starts goes on: most starts show early that they fail.
ROUNDS = ((80, 8, 0.5), (150, 30, 1.0))
LEAST_KEPT = 60
COARSE_STILL_MM = 0.3
# The coarse fits forgive what the points and the surface do not show alike.
COARSE_CUT_MM = 6.0
LEAST_COARSE_SIGMA_MM = 1.0
AT_ONCE = 80
REFINED = 8
# Two ends are one place when the points lie within this of each other, rms.
ONE_PLACE_MM = 5.0
# A point this many sigmas off counts as fully wrong when two places are compared.
CUT_SIGMAS = 3.0
SEED = 7


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Where a search ended.

    fit: the best. cost: mean over the points of (distance / cut)^2, at most 1 each (MSAC, Torr and
    Zisserman 2000). next_cost: of the best place elsewhere, None where every start ended in one
    place. deviations: by how many standard errors the best fits better than that one.
    evaluations: steps of all fits. starts: how many.
    """

    fit: SurfaceFit
    cost: float
    next_cost: float | None
    deviations: float
    evaluations: int
    starts: int

    @property
    def confidence(self) -> float:
        """Share of the points that count, times the chance that the best place is the better."""
        return self.fit.kept_share * 0.5 * (1.0 + erf(self.deviations / sqrt(2.0)))


def search(
    points_reference_mm: FloatArray,
    surface: SampledSurface,
    starts: FloatArray,
    noise_mm: float,
    progress: Progress,
) -> Found:
    """The best place for points (n, 3) from starts (m, 4, 4), compared with the next best.

    All starts with few points and steps, the better ones with more, the best eight places with
    all points. `progress` hears 0 to 1 and may raise to cancel. RegistrationError where no start
    leads anywhere.
    """
    ends, costs, steps = _coarse(points_reference_mm, surface, starts, progress)
    fits = _refined(points_reference_mm, surface, _places(ends, costs, points_reference_mm))
    if not fits:
        raise RegistrationError(
            f"the points fit {surface.name} nowhere: check what was swiped, or give a nearer start"
        )
    progress(1.0)
    cut_mm = CUT_SIGMAS * max(noise_mm, min(one.sigma_mm for one in fits))
    misfits = [_misfits(one.signed_mm, cut_mm) for one in fits]
    best = int(np.argmin([one.mean() for one in misfits]))
    others = [
        misfit
        for fit, misfit in zip(fits, misfits, strict=True)
        if _apart_mm(fit.moved_ct_mm, fits[best].moved_ct_mm) > ONE_PLACE_MM
    ]
    following = min(others, key=lambda one: float(one.mean()), default=None)
    return Found(
        fits[best],
        float(misfits[best].mean()),
        None if following is None else float(following.mean()),
        np.inf if following is None else _deviations(misfits[best], following),
        steps + sum(one.steps for one in fits),
        len(starts),
    )


def _refined(points: FloatArray, surface: SampledSurface, starts: FloatArray) -> list[SurfaceFit]:
    """The fits from starts (m, 4, 4) with all points, as far as they lead anywhere."""
    fits: list[SurfaceFit | None] = [None] * len(starts)

    def work(piece: tuple[int, int]) -> None:
        for number in range(*piece):
            try:
                fits[number] = fit_surface(points, surface, starts[number])
            except RegistrationError:
                continue

    in_ranges(len(starts), work)
    return [fit for fit in fits if fit is not None]


def _coarse(
    points: FloatArray, surface: SampledSurface, starts: FloatArray, progress: Progress
) -> tuple[FloatArray, FloatArray, int]:
    """Ends (m, 4, 4), costs (m,) and steps of the better starts, with a few points."""
    order = np.random.default_rng(SEED).permutation(len(points))
    ends, costs, steps = np.array(starts), np.empty(len(starts)), 0
    for number, (count, most_steps, part) in enumerate(ROUNDS):
        few = np.ascontiguousarray(points[order[:count]])
        for first in range(0, len(ends), AT_ONCE):
            progress(0.4 * (number + first / len(ends)))
            piece = slice(first, first + AT_ONCE)
            steps += _aligned(few, surface, ends[piece], costs[piece], most_steps)
        kept = max(LEAST_KEPT, round(part * len(ends)))
        better = np.argsort(costs, kind="stable")[:kept]
        ends, costs = ends[better], costs[better]
    progress(0.8)
    return ends, costs, steps


def _aligned(
    points: FloatArray,
    surface: SampledSurface,
    ends: FloatArray,
    costs: FloatArray,
    most_steps: int,
) -> int:
    """Move ends (m, 4, 4) in place on every core, fill their costs (m,); the steps it took."""
    steps = []

    def work(piece: tuple[int, int]) -> None:
        chosen = slice(*piece)
        steps.append(
            align_all(
                points,
                ends[chosen],
                *surface.search,
                LEAST_COARSE_SIGMA_MM,
                COARSE_STILL_MM,
                most_steps,
                COARSE_CUT_MM,
                costs[chosen],
            )
        )

    in_ranges(len(ends), work)
    return sum(steps)


def _places(ends: FloatArray, costs: FloatArray, points: FloatArray) -> FloatArray:
    """(k, 4, 4) the best ends, each in a place of its own."""
    few = points[:: max(1, len(points) // 20)]
    chosen: list[FloatArray] = []
    seen: list[FloatArray] = []
    for number in np.argsort(costs):
        moved = apply(ends[number], few)
        if all(_apart_mm(moved, other) > ONE_PLACE_MM for other in seen):
            chosen.append(ends[number])
            seen.append(moved)
        if len(chosen) == REFINED:
            break
    return np.array(chosen)


def _misfits(signed_mm: FloatArray, cut_mm: float) -> FloatArray:
    return np.minimum((signed_mm / cut_mm) ** 2, 1.0)


def _deviations(best: FloatArray, other: FloatArray) -> float:
    """Of the mean difference, in its standard errors (Vuong 1989)."""
    difference = other - best
    error = float(difference.std()) / sqrt(len(difference))
    return float(difference.mean()) / max(error, 1e-12)


def _apart_mm(first: FloatArray, second: FloatArray) -> float:
    """Rms distance between the same points in two places."""
    return float(np.sqrt(np.mean(np.sum((first - second) ** 2, axis=1))))
