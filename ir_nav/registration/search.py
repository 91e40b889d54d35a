"""Search without derivatives, a whole population at a time: for every image registration here.

CMA-ES (Hansen 2016, The CMA evolution strategy: a tutorial, arXiv 1604.00772) with its default
weights and rates. The caller is asked for the values of all candidates of a generation in one
call, so that it can render them together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ir_nav.geometry import FloatArray

# (n, parameters) -> (n,), smaller is better.
Values = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """parameters: (d,) of the best candidate that was tried. spread: (d,) standard deviations
    of the last generation. evaluations: candidates whose value was asked for.
    """

    parameters: FloatArray
    value: float
    spread: FloatArray
    evaluations: int


def cma_es(
    values: Values,
    start: FloatArray,
    spread: FloatArray,
    *,
    population: int,
    generations: int,
    rng: np.random.Generator,
    stop_spread: float = 0.0,
    shrink: float = 1.0,
) -> Found:
    """Minimise `values` from `start` (d,) with standard deviations `spread` (d,).

    Candidates come in mirrored pairs about the mean (Auger, Brockhoff and Hansen 2011), the
    first generation with `start` itself. stop_spread: stop when every standard deviation is
    below this part of `spread`. shrink: factor on the step size after each generation, below 1
    where the evaluations are few. `values` may raise to cancel.
    """
    state = _State.of(len(start), population)
    mean, step = np.array(start, dtype=np.float64), 1.0
    covariance = np.eye(len(start))
    path, path_step = np.zeros(len(start)), np.zeros(len(start))
    best, best_value, evaluations = mean.copy(), np.inf, 0
    for generation in range(generations):
        scale, axes = np.linalg.eigh(covariance)
        scale = np.sqrt(np.maximum(scale, 1e-14))
        drawn = _mirrored(rng, population, len(start))
        if generation == 0:
            drawn[-1] = 0.0
        moves = (drawn * scale) @ axes.T
        candidates = mean + step * moves * spread
        found = np.asarray(values(candidates))
        evaluations += population
        order = np.argsort(found)
        if found[order[0]] < best_value:
            best, best_value = candidates[order[0]].copy(), float(found[order[0]])
        chosen = moves[order[: len(state.weights)]]
        shift = state.weights @ chosen
        mean = mean + step * shift * spread
        whitened = axes @ ((axes.T @ shift) / scale)
        path_step = (1 - state.c_step) * path_step + np.sqrt(
            state.c_step * (2 - state.c_step) * state.mass
        ) * whitened
        length = float(np.linalg.norm(path_step))
        settled = np.sqrt(1 - (1 - state.c_step) ** (2 * (generation + 1)))
        steady = length / settled < (1.4 + 2 / (len(start) + 1)) * state.expected
        path = (1 - state.c_path) * path + steady * np.sqrt(
            state.c_path * (2 - state.c_path) * state.mass
        ) * shift
        lost = (1 - steady) * state.c_path * (2 - state.c_path)
        covariance = (
            (1 - state.c_one - state.c_many + state.c_one * lost) * covariance
            + state.c_one * np.outer(path, path)
            + state.c_many * (chosen.T * state.weights) @ chosen
        )
        step *= shrink * float(np.exp(
            min(state.c_step / state.damping * (length / state.expected - 1), 1.0)
        ))  # fmt: skip
        deviations = step * np.sqrt(np.diag(covariance))
        if deviations.max() < stop_spread:
            break
    return Found(best, best_value, deviations * spread, evaluations)


def _mirrored(rng: np.random.Generator, count: int, size: int) -> FloatArray:
    half = rng.standard_normal(((count + 1) // 2, size))
    return np.concatenate([half, -half])[:count]


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """Hansen's default weights and rates for `size` parameters."""

    weights: FloatArray
    mass: float
    c_step: float
    damping: float
    c_path: float
    c_one: float
    c_many: float
    expected: float

    @staticmethod
    def of(size: int, population: int) -> _State:
        ranks = np.arange(1, population // 2 + 1)
        weights = np.log((population + 1) / 2) - np.log(ranks)
        weights /= weights.sum()
        mass = float(1.0 / np.sum(weights**2))
        c_step = (mass + 2) / (size + mass + 5)
        c_one = 2 / ((size + 1.3) ** 2 + mass)
        return _State(
            weights,
            mass,
            c_step,
            1 + 2 * max(0.0, np.sqrt((mass - 1) / (size + 1)) - 1) + c_step,
            (4 + mass / size) / (size + 4 + 2 * mass / size),
            c_one,
            min(1 - c_one, 2 * (mass - 2 + 1 / mass) / ((size + 2) ** 2 + mass)),
            np.sqrt(size) * (1 - 1 / (4 * size) + 1 / (21 * size**2)),
        )
