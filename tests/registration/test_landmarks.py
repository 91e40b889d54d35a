"""Landmark registration: the error it predicts against the error that is made."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ir_nav.geometry import Frame, GeometryError, apply
from ir_nav.registration import LandmarkRegistration, register_landmarks, tre_over_fle

LAYOUTS = {
    "three": [(0, 0, 0), (120, 0, 0), (30, 100, 0)],
    "plate of four": [(0, 0, 0), (90, 0, 0), (0, 60, 0), (90, 60, 0)],
    "six on the skin": [
        (-80, -60, 0), (70, -75, 10), (90, 40, -20), (0, -90, 60), (-60, 50, 70), (20, -80, -70),
    ],
    "nearly a line": [(0, 0, 0), (50, 6, 0), (100, -6, 3), (150, 4, -4), (200, 0, 5)],
    "eight": list(np.random.default_rng(1).uniform(-90, 90, (8, 3))),
}  # fmt: skip
TARGETS = [(20.0, 10.0, 0.0), (60.0, 80.0, 90.0), (-40.0, 30.0, -120.0)]
TRIALS = 6000


def truth() -> np.ndarray:
    """ct_from_reference."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", (25, -40, 110), degrees=True).as_matrix()
    matrix[:3, 3] = (40.0, -300.0, 900.0)
    return matrix


def fits(points: np.ndarray, fle_mm: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """TRIALS rotations and translations of reference-to-CT from noisy points (Kabsch, batched):
    independent of the code under test."""
    rng = np.random.default_rng(seed)
    reference = apply(np.linalg.inv(truth()), points)
    noisy = reference + rng.normal(0.0, fle_mm / np.sqrt(3.0), (TRIALS, *points.shape))
    centre = noisy.mean(axis=1, keepdims=True)
    covariance = np.swapaxes(noisy - centre, 1, 2) @ (points - points.mean(axis=0))
    u, _, vt = np.linalg.svd(covariance)
    vt[:, 2] *= np.sign(np.linalg.det(u @ vt))[:, None]
    rotations = np.swapaxes(u @ vt, 1, 2)
    moves = points.mean(axis=0) - np.einsum("nij,nj->ni", rotations, centre[:, 0])
    residuals = noisy @ np.swapaxes(rotations, 1, 2) + moves[:, None] - points
    fre = np.sqrt(np.mean(np.sum(residuals**2, axis=2), axis=1))
    return np.concatenate([rotations, moves[:, :, None]], axis=2), fre


@pytest.mark.parametrize("layout", LAYOUTS)
def test_predicted_target_error_is_within_five_percent_of_what_happens(layout: str) -> None:
    points = np.array(LAYOUTS[layout], dtype=float)
    fle_mm = 0.5
    matrices, fre = fits(points, fle_mm, seed=7)
    for target in TARGETS:
        in_reference = apply(np.linalg.inv(truth()), target)
        errors = matrices[:, :, :3] @ in_reference + matrices[:, :, 3] - target
        made = np.sqrt(np.mean(np.sum(errors**2, axis=1)))
        assert fle_mm * tre_over_fle(points, target) == pytest.approx(made, rel=0.05)
    share = 1.0 - 2.0 / len(points)
    assert np.mean(fre**2) == pytest.approx(share * fle_mm**2, rel=0.05)


@pytest.mark.parametrize("layout", ["three", "six on the skin"])
def test_target_error_is_estimated_right_from_the_fit_itself(layout: str) -> None:
    """On average over many registrations, without knowing the noise."""
    points = np.array(LAYOUTS[layout], dtype=float)
    rng = np.random.default_rng(11)
    reference = apply(np.linalg.inv(truth()), points)
    stated, made, estimated = [], [], []
    for _ in range(700):
        noisy = reference + rng.normal(0.0, 0.4 / np.sqrt(3.0), points.shape)
        found = register_landmarks(tuple("abcdef"[: len(points)]), points, noisy, 5.0)
        stated.append(found.tre_mm(TARGETS[1]))
        estimated.append(found.fle_mm)
        at = found.ct_from_reference.apply(apply(np.linalg.inv(truth()), TARGETS[1]))
        made.append(np.linalg.norm(at - TARGETS[1]))
    rms = [float(np.sqrt(np.mean(np.square(values)))) for values in (stated, made, estimated)]
    assert rms[0] == pytest.approx(rms[1], rel=0.1)
    assert rms[2] == pytest.approx(0.4, rel=0.05)


def test_error_by_hand_at_the_middle_and_beside_a_square() -> None:
    """Four points (+-10, +-10, 0): at their middle 1/sqrt(4); at (10, 0, 0) the rms distances
    from the axes are f = (10, 10, sqrt 200), d = (0, 10, 10): sqrt((1 + (1 + 0.5) / 3) / 4)."""
    square = [(10, 10, 0), (-10, 10, 0), (-10, -10, 0), (10, -10, 0)]
    assert tre_over_fle(square, (0.0, 0.0, 0.0)) == pytest.approx(0.5)
    assert tre_over_fle(square, (10.0, 0.0, 0.0)) == pytest.approx(np.sqrt(1.5 / 4.0))
    assert tre_over_fle(square, (0.0, 0.0, 30.0)) == pytest.approx(np.sqrt(7.0 / 4.0))


def registration(points: np.ndarray, shifts: np.ndarray) -> LandmarkRegistration:
    reference = apply(np.linalg.inv(truth()), points + shifts)
    return register_landmarks(tuple("ABCDEF"[: len(points)]), points, reference, 123.0)


def test_the_registration_maps_reference_to_ct_and_keeps_its_record() -> None:
    points = np.array(LAYOUTS["six on the skin"], dtype=float)
    shifts = np.zeros_like(points)
    shifts[3] = (0.0, 3.0, 0.0)
    found = registration(points, shifts)
    assert found.ct_from_reference.target is Frame.CT
    assert found.ct_from_reference.source is Frame.REFERENCE
    reference = apply(np.linalg.inv(truth()), points)
    np.testing.assert_allclose(found.ct_from_reference.apply(reference), points, atol=2.0)
    assert found.names == tuple("ABCDEF")
    assert found.created_s == 123.0
    np.testing.assert_array_equal(found.points_ct_mm, points)
    name, residual = found.worst()
    assert name == "D"
    assert residual == found.residuals_mm.max()
    assert found.fre_mm == pytest.approx(np.sqrt(np.mean(found.residuals_mm**2)))


def test_three_points_register_without_knowing_more() -> None:
    points = np.array(LAYOUTS["three"], dtype=float)
    np.testing.assert_allclose(
        registration(points, np.zeros_like(points)).ct_from_reference.matrix, truth(), atol=1e-9
    )


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ([(0, 0, 0), (50, 0, 0)], "at least three point pairs, got 2"),
        ([(0, 0, 0), (50, 0, 0), (90, 0, 0), (120, 0, 0)], "one line"),
        ([(0, 0, 0), (0, 0, 0), (0, 0, 0)], "one line"),
        (LAYOUTS["plate of four"], "without any residual: touch the points again"),
        ([(0, 0, 0), (50, 0, np.nan), (9, 80, 0)], "not finite"),
    ],
)
def test_what_cannot_be_registered_is_refused_in_words(
    points: list[tuple[float, ...]], words: str
) -> None:
    array = np.array(points, dtype=float)
    with pytest.raises(GeometryError, match=words):
        registration(array, np.zeros_like(array))


def test_every_point_has_its_name() -> None:
    points = [[0.0, 0, 0], [90, 0, 0], [0, 90, 0]]
    with pytest.raises(GeometryError, match="2 names for 3 points"):
        register_landmarks(("A", "B"), points, points, 0.0)
