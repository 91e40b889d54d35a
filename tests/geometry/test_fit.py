"""Paired-point fit against scipy's align_vectors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ir_nav.geometry import GeometryError, apply, fit_points


def pair(
    seed: int, count: int, noise_mm: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Source, noisy target, weights, true matrix."""
    rng = np.random.default_rng(seed)
    truth = np.eye(4)
    truth[:3, :3] = Rotation.random(random_state=seed).as_matrix()
    truth[:3, 3] = rng.uniform(-300, 300, 3)
    source = rng.uniform(-100, 100, (count, 3))
    target = apply(truth, source) + rng.normal(0.0, noise_mm, (count, 3))
    return source, target, rng.uniform(0.2, 5.0, count), truth


@given(st.integers(0, 10_000), st.integers(3, 12), st.sampled_from([0.0, 0.5, 5.0]))
def test_weighted_fit_agrees_with_scipy(seed: int, count: int, noise_mm: float) -> None:
    source, target, weights, truth = pair(seed, count, noise_mm)
    a, b = source - weights @ source / weights.sum(), target - weights @ target / weights.sum()
    expected, _ = Rotation.align_vectors(b, a, weights=weights)
    fit = fit_points(source, target, weights)
    np.testing.assert_allclose(fit.matrix[:3, :3], expected.as_matrix(), atol=1e-6)
    centre = weights @ source / weights.sum()
    np.testing.assert_allclose(
        apply(fit.matrix, centre), weights @ target / weights.sum(), atol=1e-6
    )
    distances = np.linalg.norm(source @ fit.matrix[:3, :3].T + fit.matrix[:3, 3] - target, axis=1)
    np.testing.assert_allclose(fit.residuals_mm, distances, atol=1e-9)
    assert fit.rms_mm == pytest.approx(np.sqrt(np.mean(distances**2)))
    if noise_mm == 0.0:
        np.testing.assert_allclose(fit.matrix, truth, atol=1e-6)


def test_a_heavy_weight_pulls_the_fit_to_its_point() -> None:
    source, target, _, truth = pair(3, 6, 0.0)
    target[2] += (0.0, 8.0, 0.0)
    even = fit_points(source, target).residuals_mm[2]
    heavy = fit_points(source, target, [1, 1, 1e6, 1, 1, 1]).residuals_mm[2]
    ignored = fit_points(source, target, [1, 1, 0, 1, 1, 1])
    assert heavy < 0.01 < even < 8.0
    np.testing.assert_allclose(ignored.matrix, truth, atol=1e-6)
    assert ignored.residuals_mm[2] == pytest.approx(8.0)


def test_mirrored_points_get_a_rotation_not_a_reflection() -> None:
    """The best orthogonal matrix here is a reflection; Umeyama 1991."""
    rng = np.random.default_rng(5)
    source = rng.uniform(-50, 50, (8, 3)) * (1.0, 0.8, 0.3)
    fit = fit_points(source, source * (1.0, 1.0, -1.0))
    assert np.linalg.det(fit.matrix[:3, :3]) == pytest.approx(1.0)
    mirrored = source * (1.0, 1.0, -1.0)
    expected, _ = Rotation.align_vectors(mirrored - mirrored.mean(0), source - source.mean(0))
    np.testing.assert_allclose(fit.matrix[:3, :3], expected.as_matrix(), atol=1e-6)


def test_points_in_one_plane_are_enough() -> None:
    _, _, _, truth = pair(8, 3, 0.0)
    source = np.array([[0.0, 0, 0], [80, 0, 0], [0, 60, 0], [80, 60, 0]])
    np.testing.assert_allclose(fit_points(source, apply(truth, source)).matrix, truth, atol=1e-9)


LINE = np.array([[0.0, 0, 0], [10, 20, 30], [20, 40, 60], [30, 60, 90]])
SPREAD = np.array([[0.0, 0, 0], [50, 0, 0], [0, 50, 0], [0, 0, 50]])


@pytest.mark.parametrize(
    ("source", "target", "weights", "words"),
    [
        (SPREAD[:2], SPREAD[:2], None, "at least three point pairs, got 2"),
        (LINE, SPREAD, None, "one line"),
        (SPREAD, LINE, None, "one line"),
        (np.ones((4, 3)), SPREAD, None, "one line"),
        (SPREAD, np.ones((4, 3)), None, "one line"),
        (SPREAD, SPREAD, (1.0, 1.0, 0.0, 0.0), "one line"),
        (SPREAD, SPREAD, (1.0, 1.0, -1.0, 1.0), "weight"),
        (SPREAD, SPREAD, (0.0, 0.0, 0.0, 0.0), "weight"),
        (SPREAD, SPREAD, (1.0, 1.0, np.nan, 1.0), "weight"),
        (SPREAD, SPREAD, (1.0, 1.0, 1.0), "weight"),
        (np.where(SPREAD == 50, np.nan, SPREAD), SPREAD, None, "not finite"),
        (SPREAD, np.where(SPREAD == 50, np.inf, SPREAD), None, "not finite"),
        (SPREAD, SPREAD[:3], None, "got"),
        (SPREAD[:, :2], SPREAD[:, :2], None, "got"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_words(
    source: np.ndarray, target: np.ndarray, weights: tuple[float, ...] | None, words: str
) -> None:
    with pytest.raises(GeometryError, match=words):
        fit_points(source, target, weights)
