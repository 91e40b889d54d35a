"""Where in the CT a sweep belongs: a broad look, four searches, a fine fit of the best places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import qmc

from ir_nav.geometry import FloatArray, apply, rigid_inverse
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.search import cma_es
from ir_nav.registration.ultrasound.similarity import SweepSimilarity

# Standard deviations of the start's error along and about each axis.
SPREAD_MM, SPREAD_DEG = 9.0, 5.0
REACH = 3.0  # of those, how far the broad look goes
LOOKS = 512
POPULATION, GENERATIONS = 32, 25
WIDTHS = (1.0, 1.6, 0.6, 0.6)
PLACES = 3
# In units of the similarity, for a start that is off by one spread along every axis.
PRIOR = 0.003
APART_MM = 8.0
FIT_RADII_MM = (3.0, 2.0, 1.5)
FIT_TRIES = 64
BEND_PAIRS, BEND_RADIUS_MM = 48, 2.0
BEND_ARMS = (0.75, 1.5, 2.5)  # of that radius
# What a turn of one degree moves, mm, where most of the sweep lies.
MM_PER_DEG = 1.0
SQUARES = np.triu_indices(6)


@dataclass(frozen=True, slots=True, eq=False)
class Summit:
    """ct_from_reference (4, 4) where the similarity is largest; value there."""

    ct_from_reference: FloatArray
    value: float


def motions(parameters: FloatArray, pivot_ct_mm: FloatArray) -> FloatArray:
    """(m, 4, 4) rigid motions of the CT's space: turn about the pivot, then shift.

    parameters (m, 6): translation mm, then rotation vector deg.
    """
    turn = np.radians(parameters[:, 3:])
    angle = np.linalg.norm(turn, axis=1)
    axis = turn / np.maximum(angle, 1e-12)[:, None]
    skew = np.zeros((len(turn), 3, 3))
    skew[:, 0, 1], skew[:, 0, 2], skew[:, 1, 2] = -axis[:, 2], axis[:, 1], -axis[:, 0]
    skew -= skew.transpose(0, 2, 1).copy()
    sine, rest = np.sin(angle)[:, None, None], (1.0 - np.cos(angle))[:, None, None]
    moved = np.tile(np.eye(4), (len(turn), 1, 1))
    moved[:, :3, :3] += sine * skew + rest * (skew @ skew)
    moved[:, :3, 3] = pivot_ct_mm - moved[:, :3, :3] @ pivot_ct_mm + parameters[:, :3]
    return moved


def find_places(
    similarity: SweepSimilarity, start: FloatArray, pivot_ct_mm: FloatArray, seed: int
) -> FloatArray:
    """Up to PLACES poses (n, 4, 4) round `start` (4, 4) where the similarity is large, the best
    first, each with the pivot at least APART_MM from where the others have it.

    CMA-ES twice from the start and twice from the best of a low-discrepancy sample (Sobol) of
    the neighbourhood, with a weak prior for the start.
    """
    spread = np.array([SPREAD_MM] * 3 + [SPREAD_DEG] * 3)
    tried: list[FloatArray] = []
    costs: list[FloatArray] = []

    def cost(parameters: FloatArray) -> FloatArray:
        found = similarity(motions(parameters, pivot_ct_mm) @ start)
        prior = PRIOR / 6.0 * np.sum((parameters / spread) ** 2, axis=1)
        tried.append(parameters)
        costs.append(prior - found)
        return costs[-1]

    cube = qmc.Sobol(6, rng=np.random.default_rng(seed)).random(LOOKS)
    looks = (2.0 * cube - 1.0) * REACH * spread
    best = looks[_apart(looks, cost(looks), 2)]
    for number, begin in enumerate([np.zeros(6), np.zeros(6), *best]):
        cma_es(
            cost,
            begin,
            spread * WIDTHS[number],
            population=POPULATION,
            generations=GENERATIONS,
            rng=np.random.default_rng(seed + number),
        )
    every = np.concatenate(tried)
    chosen = _apart(every, np.concatenate(costs), PLACES)
    return motions(every[chosen], pivot_ct_mm) @ start


def _apart(parameters: FloatArray, costs: FloatArray, count: int) -> list[int]:
    """The cheapest ones that move the pivot at least APART_MM apart from each other."""
    chosen: list[int] = []
    left = np.ones(len(costs), dtype=bool)
    while len(chosen) < count and left.any():
        best = int(np.argmin(np.where(left, costs, np.inf)))
        chosen.append(best)
        away_mm = np.linalg.norm(parameters[:, :3] - parameters[best, :3], axis=1)
        left &= away_mm >= APART_MM
    return chosen


def climb(
    similarity: SweepSimilarity, start: FloatArray, pivot_ct_mm: FloatArray, seed: int
) -> Summit:
    """The nearest maximum by response surfaces: a quadric through poses tried at random round
    the best so far, and a step to its top (Box and Wilson 1951), in ever smaller rounds.
    """
    rng = np.random.default_rng(seed)
    pose, value = start, 0.0
    for radius_mm in FIT_RADII_MM:
        scale = radius_mm * np.array([1.0] * 3 + [1.0 / MM_PER_DEG] * 3)
        tries = _in_ball(rng, FIT_TRIES)
        tries[0] = 0.0
        found = similarity(motions(tries * scale, pivot_ct_mm) @ pose)
        if not np.isfinite(found).all():
            raise RegistrationError("the sweep shows no echoes to compare: check gain and poses")
        slope, bend = _quadric(tries, found)
        way = _to_top(slope, bend)
        steps = np.vstack([np.outer((1.0, 0.6, 0.3), way), tries[int(np.argmax(found))]])
        poses = motions(steps * scale, pivot_ct_mm) @ pose
        found = similarity(poses)
        best = int(np.argmax(found))
        pose, value = poses[best], float(found[best])
    return Summit(pose, value)


def curvature_at(
    similarity: SweepSimilarity, pose: FloatArray, pivot_ct_mm: FloatArray, seed: int
) -> FloatArray:
    """(6, 6) second derivatives of the similarity at a pose (4, 4), by translation (mm), then
    rotation vector (deg) about the pivot: the quadric of least squares through opposite pairs of
    poses, which leave its slope out, over the width of the similarity's peak. How much it falls
    along the quadric's axes is then looked at again further out, where speckle counts less.
    """
    scale = BEND_RADIUS_MM * np.array([1.0] * 3 + [1.0 / MM_PER_DEG] * 3)
    tries = _in_ball(np.random.default_rng(seed), BEND_PAIRS)
    both = np.concatenate([np.zeros((1, 6)), tries, -tries])
    found = similarity(motions(both * scale, pivot_ct_mm) @ pose)
    pairs = (found[1 : 1 + BEND_PAIRS] + found[1 + BEND_PAIRS :]) / 2.0 - found[0]
    products = tries[:, SQUARES[0]] * tries[:, SQUARES[1]]
    factors = np.linalg.lstsq(products, pairs, rcond=None)[0]
    bend = np.zeros((6, 6))
    bend[SQUARES] = factors
    axes = np.linalg.eigh(bend + bend.T)[1]
    arms = np.concatenate([reach * axes.T for reach in BEND_ARMS])
    both = np.concatenate([arms, -arms])
    fallen = found[0] - similarity(motions(both * scale, pivot_ct_mm) @ pose)
    lengths = np.repeat(np.square(BEND_ARMS), 6)
    fall = np.maximum((fallen[: len(arms)] + fallen[len(arms) :]) / lengths, 0.0)
    along = fall.reshape(len(BEND_ARMS), 6).mean(axis=0)
    return np.asarray(-(axes * along) @ axes.T / np.outer(scale, scale))


def _in_ball(rng: np.random.Generator, count: int) -> FloatArray:
    """(count, 6) within the unit ball, more of them near its surface than its middle."""
    tries = rng.normal(size=(count, 6))
    length = np.linalg.norm(tries, axis=1)[:, None]
    return np.asarray(tries / length * rng.uniform(0.1, 1.0, (count, 1)) ** 0.5)


def _quadric(tries: FloatArray, found: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Gradient (6,) and second derivatives (6, 6) at 0 of the quadric of least squares."""
    products = tries[:, SQUARES[0]] * tries[:, SQUARES[1]]
    terms = np.column_stack([np.ones(len(tries)), tries, products])
    factors = np.asarray(np.linalg.lstsq(terms, found, rcond=None)[0], dtype=np.float64)
    bend = np.zeros((6, 6))
    bend[SQUARES] = factors[7:]
    return factors[1:7], bend + bend.T


def _to_top(slope: FloatArray, bend: FloatArray) -> FloatArray:
    """The step to the quadric's top, at most a fifth beyond where it was sampled."""
    values, axes = np.linalg.eigh(bend)
    values = np.minimum(values, -0.05 * np.abs(values).max() - 1e-12)
    way = -axes @ ((axes.T @ slope) / values)
    return np.asarray(way * min(1.0, 1.2 / max(float(np.linalg.norm(way)), 1e-12)))


def target_shift_mm(first: FloatArray, second: FloatArray, target_ct_mm: FloatArray) -> float:
    """How far apart two poses (4, 4) put what the first puts at the target."""
    moved = apply(second @ rigid_inverse(first), target_ct_mm)
    return float(np.linalg.norm(moved - target_ct_mm))
