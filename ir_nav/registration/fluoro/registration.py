"""CT to fluoro: where the CT lies under one or several C-arm views, and how sure that is.

A few global searches (CMA-ES on a coarse CT and small frames) from different seeds, each followed
to its optimum, then finer and finer local least squares. The similarity is the correlation of
gradients (Penney et al. 1998), normalised patch by patch (Grupp et al. 2018): it knows nothing of
gain, offset, slow scatter and spectrum, and an instrument counts for no more than its place.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ir_nav.geometry import FloatArray, apply, rigid_inverse
from ir_nav.imaging import BoolArray, Volume, body_mask
from ir_nav.progress import Progress, unheard
from ir_nav.registration.fluoro.attenuation import Attenuation, prepare_attenuation
from ir_nav.registration.fluoro.axes import Axes, axes_through
from ir_nav.registration.fluoro.field import field_middle
from ir_nav.registration.fluoro.local import Fit, refine, similarities
from ir_nav.registration.fluoro.outcome import CONVINCING, FluoroRegistration, stated
from ir_nav.registration.fluoro.prepared import Level, prepare_levels
from ir_nav.registration.fluoro.view import FluoroFrame
from ir_nav.registration.search import cma_es

SPACINGS_MM = (8.0, 4.0, 2.0)
# Fluoro is filtered less than CT: mineral counts for more per HU (NIST, 60 keV).
BONE = 1.2
POPULATION, GENERATIONS = 24, 16
FEWEST_SEARCHES, MOST_SEARCHES = 2, 6
# What the first searches did not find lies further off than a start usually does.
WIDER = 1.5
# Most iterations at each resolution; three or four are usual.
COARSE_STEPS, MIDDLE_STEPS, FINE_STEPS = 10, 12, 16
# Two optima further apart than this are different places.
DISTINCT_MM = 10.0


@dataclass(frozen=True, slots=True)
class Spread:
    """How far a start may be off, as standard deviations about the middle of the field."""

    mm: float = 27.0
    deg: float = 10.0

    @staticmethod
    def within(mm: float, deg: float) -> Spread:
        """For starts that are off by up to `mm` and `deg`."""
        return Spread(mm / 3.0, deg / 4.0)


def fluoro_attenuations(volume: Volume, body: BoolArray | None = None) -> tuple[Attenuation, ...]:
    """The CT as the registration needs it, coarse first; once for all registrations of a CT.

    body: (k, j, i), body_mask(volume) where the caller has it. Raises ImagingError when the CT
    holds no body.
    """
    mask = body_mask(volume) if body is None else body
    return tuple(prepare_attenuation(volume, step, mask, bone=BONE) for step in SPACINGS_MM)


def register_fluoro(
    frames: Sequence[FluoroFrame],
    attenuations: Sequence[Attenuation],
    start_world_from_ct: FloatArray,
    target_ct_mm: ArrayLike | None = None,
    *,
    created_s: float,
    breathing: str = "",
    spread: Spread | None = None,
    progress: Progress | None = None,
    seed: int = 0,
) -> FluoroRegistration:
    """Register a CT to frames whose C-arm poses are known in one world.

    attenuations: from fluoro_attenuations. start_world_from_ct: (4, 4), mm. target_ct_mm: (3,),
    where the error is stated; None: the middle of what the frames see. created_s: Unix time of
    the frames. breathing: the phase they were taken in, in words, for the record: the CT's must
    be the same. spread: None for starts up to 80 mm and 40 deg off. progress: told the part done,
    may raise to cancel. The same seed gives the same result. Raises RegistrationError for frames
    that cannot be used; a result that is not believed comes back refused, with the reason.
    """
    began = time.perf_counter()
    report = progress or unheard
    levels = prepare_levels(frames, attenuations)
    axes = axes_through(
        frames[0].view.carm_from_world,
        field_middle(frames, levels[0].attenuation, start_world_from_ct),
    )
    found, evaluations = _searched(
        levels, axes, start_world_from_ct, spread or Spread(), seed, report
    )
    best = max(found, key=lambda fit: fit.similarity)
    others = [fit.similarity for fit in found if _apart_mm(fit, best, axes) > DISTINCT_MM]
    final = refine(levels[-1], axes, best.world_from_ct, FINE_STEPS, central=True)
    report(1.0)
    return stated(
        final,
        frames,
        axes,
        target_ct_mm,
        created_s=created_s,
        breathing=breathing,
        runner_up=max(others, default=None),
        evaluations=evaluations + final.evaluations,
        seconds=time.perf_counter() - began,
    )


def _searched(
    levels: tuple[Level, ...],
    axes: Axes,
    start: FloatArray,
    spread: Spread,
    seed: int,
    report: Progress,
) -> tuple[list[Fit], int]:
    """The optima, at the middle resolution, that searches from different seeds end in."""
    coarse, middle = levels[0], levels[-2] if len(levels) > 2 else levels[-1]
    deviations = np.array([spread.mm] * 3 + [spread.deg] * 3)
    found: list[Fit] = []
    evaluations = 0
    for attempt in range(MOST_SEARCHES):
        report(attempt / (MOST_SEARCHES + 1))
        best = cma_es(
            lambda moves: -similarities(coarse, axes.moved(moves, start)).mean(axis=1),
            np.zeros(6),
            deviations * (1.0 if attempt < FEWEST_SEARCHES else WIDER),
            population=POPULATION,
            generations=GENERATIONS,
            rng=np.random.default_rng([seed, attempt]),
        )
        pose = axes.moved(best.parameters[None], start)[0]
        rough = refine(coarse, axes, pose, COARSE_STEPS, central=False)
        found.append(refine(middle, axes, rough.world_from_ct, MIDDLE_STEPS, central=False))
        evaluations += best.evaluations + rough.evaluations + found[-1].evaluations
        if attempt + 1 >= FEWEST_SEARCHES and found[-1].similarity > CONVINCING:
            break
    return found, evaluations


def _apart_mm(first: Fit, second: Fit, axes: Axes) -> float:
    """How far the two put the corners of a box of 100 mm about the middle apart, mean mm."""
    corners = (np.indices((2, 2, 2)).reshape(3, 8).T - 0.5) * 100.0
    points = apply(rigid_inverse(second.world_from_ct), corners + axes.centre_world_mm)
    there = apply(first.world_from_ct, points) - apply(second.world_from_ct, points)
    return float(np.linalg.norm(there, axis=1).mean())
