"""The search without derivatives, on functions whose lowest point is known."""

from __future__ import annotations

import numpy as np
import pytest

from ir_nav.registration.search import cma_es


def test_a_narrow_turned_valley_is_followed_to_its_end() -> None:
    rng = np.random.default_rng(1)
    turned, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    lowest = np.array([3.0, -2.0, 1.0, 0.5, -4.0, 2.0])
    weights = 10.0 ** np.linspace(0.0, 3.0, 6)

    def values(candidates: np.ndarray) -> np.ndarray:
        return np.sum(weights * ((candidates - lowest) @ turned) ** 2, axis=1)

    found = cma_es(
        values, np.zeros(6), np.ones(6), population=16, generations=250, rng=rng, stop_spread=1e-7
    )
    assert np.abs(found.parameters - lowest).max() < 1e-4
    assert found.evaluations < 16 * 250
    assert found.spread.max() < 1e-6


def test_ripples_do_not_hold_it() -> None:
    """Local optima every 2 units, 30 deep: a descent from the start ends in the first."""

    def values(candidates: np.ndarray) -> np.ndarray:
        return np.sum(candidates**2 - 10.0 * np.cos(np.pi * candidates) + 10.0, axis=1)

    reached = [
        cma_es(
            values, np.full(3, 7.0), np.full(3, 4.0), population=40, generations=60,
            rng=np.random.default_rng(seed),
        ).value
        for seed in range(5)
    ]  # fmt: skip
    assert sorted(reached)[2] < 1e-3


def test_the_start_is_tried_and_the_best_is_kept() -> None:
    seen: list[np.ndarray] = []

    def values(candidates: np.ndarray) -> np.ndarray:
        seen.append(candidates)
        return np.linalg.norm(candidates - 1.0, axis=1)

    start = np.ones(4)
    found = cma_es(
        values, start, np.ones(4), population=8, generations=3, rng=np.random.default_rng(0)
    )
    assert any(np.array_equal(candidate, start) for candidate in seen[0])
    assert found.value == 0.0
    assert found.evaluations == sum(len(candidates) for candidates in seen) == 24


def test_values_may_cancel() -> None:
    def values(_candidates: np.ndarray) -> np.ndarray:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cma_es(
            values, np.zeros(2), np.ones(2), population=4, generations=2,
            rng=np.random.default_rng(0),
        )  # fmt: skip
