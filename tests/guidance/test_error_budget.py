"""The error budget against errors drawn at random."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ir_nav.guidance import ErrorBudget


def test_the_stated_radius_holds_the_tip_in_95_percent_of_cases() -> None:
    budget = ErrorBudget(1.2, 0.3, 0.4, 0.2, 0.8)
    rng = np.random.default_rng(3)
    errors = sum(
        rng.normal(0.0, part / np.sqrt(3.0), (200_000, 3)) for part in dataclasses.astuple(budget)
    )
    distances = np.linalg.norm(errors, axis=1)
    assert np.sqrt(np.mean(distances**2)) == pytest.approx(budget.rms_mm, rel=0.01)
    assert np.mean(distances <= budget.radius_95_mm) == pytest.approx(0.95, abs=0.003)


@pytest.mark.parametrize("part", [field.name for field in dataclasses.fields(ErrorBudget)])
def test_every_part_counts(part: str) -> None:
    nothing = dict.fromkeys((field.name for field in dataclasses.fields(ErrorBudget)), 0.0)
    assert ErrorBudget(**nothing).radius_95_mm == 0.0
    assert ErrorBudget(**(nothing | {part: 3.0})).rms_mm == pytest.approx(3.0)
    assert ErrorBudget(**(dict.fromkeys(nothing, 4.0) | {part: 3.0})).rms_mm == pytest.approx(
        np.sqrt(4 * 16.0 + 9.0)
    )
