"""Landmark registration: the error it predicts against the error that is made."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ir_nav.geometry import Frame, GeometryError, Transform, apply
from ir_nav.geometry.anisotropic_fit import fit_points_anisotropic
from ir_nav.registration import (
    LandmarkFit,
    Method,
    Registration,
    RegistrationError,
    register_landmarks,
)
from ir_nav.registration.tre import motion_covariance, stated_about, tre_map_mm

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
# A camera sees depth three times as badly; later points were held worse.
SHAPES = {
    "weighted": lambda n: np.array([np.eye(3) * (0.3 + 0.2 * i) ** 2 for i in range(n)]),
    "anisotropic": lambda n: np.array([np.diag([0.2, 0.25, 0.75]) ** 2] * n),
    "both": lambda n: np.array([np.diag([0.2, 0.2, 0.6]) ** 2 * (1 + i % 3) for i in range(n)]),
}


def truth() -> np.ndarray:
    """ct_from_reference."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", (25, -40, 110), degrees=True).as_matrix()
    matrix[:3, 3] = (40.0, -300.0, 900.0)
    return matrix


def in_reference(points: np.ndarray | tuple[float, ...]) -> np.ndarray:
    return apply(np.linalg.inv(truth()), points)


def fitzpatrick(points: np.ndarray, target: tuple[float, ...]) -> float:
    """rms TRE over rms FLE: Fitzpatrick, West and Maurer 1998, eq. 46, written out from the
    paper: <TRE^2> = <FLE^2>/n (1 + 1/3 sum_k d_k^2 / f_k^2)."""
    centred = points - points.mean(axis=0)
    axes = np.linalg.svd(centred)[2]
    total = 0.0
    for k in range(3):
        others = [axis for axis in range(3) if axis != k]
        f2 = np.mean(np.sum((centred @ axes.T)[:, others] ** 2, axis=1))
        d2 = np.sum((axes @ (np.array(target) - points.mean(axis=0)))[others] ** 2)
        total += d2 / f2
    return float(np.sqrt((1.0 + total / 3.0) / len(points)))


def kabsch(noisy: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotations and translations of noisy (trials, n, 3) onto points (n, 3), batched:
    independent of the code under test."""
    centre = noisy.mean(axis=1, keepdims=True)
    covariance = np.swapaxes(noisy - centre, 1, 2) @ (points - points.mean(axis=0))
    u, _, vt = np.linalg.svd(covariance)
    vt[:, 2] *= np.sign(np.linalg.det(u @ vt))[:, None]
    rotations = np.swapaxes(u @ vt, 1, 2)
    return rotations, points.mean(axis=0) - np.einsum("nij,nj->ni", rotations, centre[:, 0])


def with_covariance(covariance: np.ndarray, about: np.ndarray) -> Registration:
    transform = Transform(Frame.CT, Frame.REFERENCE, truth())
    return Registration(
        Method.LANDMARKS, transform, (), covariance, about, 1.0, 1, 0.0, 5.0, accepted=True
    )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_predicted_target_error_is_within_five_percent_of_what_happens(layout: str) -> None:
    points = np.array(LAYOUTS[layout], dtype=float)
    fle_mm = 0.5
    rng = np.random.default_rng(7)
    noise = rng.normal(0.0, fle_mm / np.sqrt(3.0), (TRIALS, *points.shape))
    rotations, moves = kabsch(in_reference(points) + noise, points)
    each = np.broadcast_to(np.eye(3) * fle_mm**2 / 3.0, (len(points), 3, 3))
    about = np.array((7.0, -5.0, 30.0))
    found = with_covariance(motion_covariance(points, each, about), about)
    for target in TARGETS:
        errors = rotations @ in_reference(target) + moves - target
        made = np.sqrt(np.mean(np.sum(errors**2, axis=1)))
        assert found.tre_mm(target) == pytest.approx(made, rel=0.05)
        assert found.tre_mm(target) == pytest.approx(fle_mm * fitzpatrick(points, target))


@pytest.mark.parametrize("shape", SHAPES)
def test_prediction_holds_for_points_that_are_not_alike(shape: str) -> None:
    """Fitted with their covariances, and fitted as if they were alike."""
    points = np.array(LAYOUTS["six on the skin"], dtype=float)
    shapes = SHAPES[shape](len(points))
    rng = np.random.default_rng(3)
    cholesky = np.linalg.cholesky(shapes)
    rotation = truth()[:3, :3]
    turned = rotation @ shapes @ rotation.T
    middle = points.mean(axis=0)
    target = TARGETS[1]
    noise = np.einsum("nij,tnj->tni", cholesky, rng.normal(size=(800, *points.shape)))
    noisy = in_reference(points) + noise
    matrices = [fit_points_anisotropic(one, points, shapes).matrix for one in noisy]
    errors = [np.linalg.norm(apply(one, in_reference(target)) - target) for one in matrices]
    made = float(np.sqrt(np.mean(np.square(errors))))
    stated = []
    for one in noisy[:60]:
        fit = register_landmarks(
            tuple("ABCDEF"), points, one, 5.0, covariances_reference_mm2=shapes
        )
        stated.append(fit.registration.tre_mm(target))
    predicted = with_covariance(motion_covariance(points, turned, middle), middle).tre_mm(target)
    # 800 trials: the rms itself is known to about 2 %; 60 stated scales to about 3 %.
    assert predicted == pytest.approx(made, rel=0.06)
    assert np.sqrt(np.mean(np.square(stated))) == pytest.approx(made, rel=0.1)
    rotations, moves = kabsch(noisy, points)
    plain = rotations @ in_reference(target) + moves - target
    plain_made = float(np.sqrt(np.mean(np.sum(plain**2, axis=1))))
    alike = np.broadcast_to(np.eye(3), shapes.shape)
    unweighted = motion_covariance(points, turned, middle, alike)
    assert with_covariance(unweighted, middle).tre_mm(target) == pytest.approx(plain_made, rel=0.06)
    assert plain_made > 1.1 * made


@pytest.mark.parametrize("layout", ["three", "six on the skin"])
def test_target_error_is_estimated_right_from_the_fit_itself(layout: str) -> None:
    """On average over many registrations, without knowing the noise."""
    points = np.array(LAYOUTS[layout], dtype=float)
    rng = np.random.default_rng(11)
    reference = in_reference(points)
    stated, made, estimated = [], [], []
    for _ in range(250):
        noisy = reference + rng.normal(0.0, 0.4 / np.sqrt(3.0), points.shape)
        found = register_landmarks(tuple("abcdef"[: len(points)]), points, noisy, 5.0)
        stated.append(found.registration.tre_mm(TARGETS[1]))
        estimated.append(found.fle_mm)
        at = found.registration.ct_from_reference.apply(in_reference(TARGETS[1]))
        made.append(np.linalg.norm(at - TARGETS[1]))
    rms = [float(np.sqrt(np.mean(np.square(values)))) for values in (stated, made, estimated)]
    assert rms[0] == pytest.approx(rms[1], rel=0.12)
    assert rms[2] == pytest.approx(0.4, rel=0.06)


def test_one_fit_states_exactly_what_fitzpatrick_makes_of_its_residuals() -> None:
    points = np.array(LAYOUTS["six on the skin"], dtype=float)
    noisy = in_reference(points + np.random.default_rng(5).normal(0.0, 0.7, points.shape))
    found = register_landmarks(tuple("ABCDEF"), points, noisy, 5.0, about_ct_mm=(9.0, 8.0, 7.0))
    fle_mm = np.sqrt(np.mean(found.residuals_mm**2) / (1.0 - 2.0 / 6.0))
    for target in TARGETS:
        assert found.registration.tre_mm(target) == pytest.approx(
            fle_mm * fitzpatrick(points, target), rel=1e-9
        )


def test_equal_covariances_change_nothing() -> None:
    points = np.array(LAYOUTS["eight"], dtype=float)
    noisy = in_reference(points + np.random.default_rng(6).normal(0.0, 1.0, points.shape))
    names = tuple("ABCDEFGH")
    plain = register_landmarks(names, points, noisy, 5.0)
    alike = np.broadcast_to(np.eye(3) * 4.0, (8, 3, 3))
    same = register_landmarks(names, points, noisy, 5.0, covariances_reference_mm2=alike)
    np.testing.assert_allclose(
        same.registration.ct_from_reference.matrix,
        plain.registration.ct_from_reference.matrix,
        atol=1e-8,
    )
    np.testing.assert_allclose(
        same.registration.covariance, plain.registration.covariance, rtol=1e-6
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_one_residual_in_a_hundred_is_larger_than_expected(shape: str) -> None:
    points = np.array(LAYOUTS["six on the skin"], dtype=float)
    errors = SHAPES[shape](len(points))
    rng = np.random.default_rng(12)
    noise = np.einsum("nij,tnj->tni", np.linalg.cholesky(errors), rng.normal(size=(700, 6, 3)))
    noisy = in_reference(points) + noise
    expected = register_landmarks(
        tuple("ABCDEF"), points, noisy[0], 5.0, errors_reference_mm2=errors
    ).expected_mm
    assert expected is not None
    left = [fit_points_anisotropic(one, points, errors).residuals_mm for one in noisy]
    larger = (np.array(left) > expected).mean(axis=0)
    # 7 of 700 at each point, give or take 2.6.
    assert (larger < 0.025).all()
    assert 0.004 < larger.mean() < 0.018


def test_points_that_agree_by_chance_prove_no_smaller_error_than_was_stated() -> None:
    points = np.array(LAYOUTS["six on the skin"], dtype=float)
    errors = np.broadcast_to(np.eye(3) * 0.5, (6, 3, 3))
    middle = points.mean(axis=0)
    stated = with_covariance(motion_covariance(points, errors, middle), middle)
    off = np.random.default_rng(4).normal(size=points.shape)

    def predicted_mm(rms_mm: float) -> float:
        touched = in_reference(points + rms_mm * off)
        names = tuple("ABCDEF")
        fit = register_landmarks(names, points, touched, 5.0, errors_reference_mm2=errors)
        return fit.registration.tre_mm(TARGETS[1])

    assert predicted_mm(0.05) == pytest.approx(stated.tre_mm(TARGETS[1]), rel=1e-2)
    assert predicted_mm(4.0) == pytest.approx(2.0 * predicted_mm(2.0), rel=0.05)
    assert predicted_mm(2.0) > 1.5 * stated.tre_mm(TARGETS[1])


def test_the_map_is_the_error_of_each_point_and_moves_with_no_place_it_is_stated_about() -> None:
    rng = np.random.default_rng(8)
    root = rng.normal(size=(6, 6))
    found = with_covariance(root @ root.T, np.array((3.0, -9.0, 40.0)))
    grid = rng.uniform(-150, 150, (4, 5, 3))
    there = stated_about(found, (60.0, 20.0, -70.0))
    np.testing.assert_array_equal(there.about_ct_mm, (60.0, 20.0, -70.0))
    assert there.covariance[0, 0] != pytest.approx(found.covariance[0, 0], rel=0.01)
    for index in np.ndindex(4, 5):
        expected = found.tre_mm(grid[index])
        assert tre_map_mm(found, grid)[index] == pytest.approx(expected)
        assert tre_map_mm(there, grid)[index] == pytest.approx(expected)


def registration(points: np.ndarray, shifts: np.ndarray) -> LandmarkFit:
    return register_landmarks(
        tuple("ABCDEF"[: len(points)]), points, in_reference(points + shifts), 123.0
    )


def test_the_registration_maps_reference_to_ct_and_keeps_its_record() -> None:
    points = np.array(LAYOUTS["six on the skin"], dtype=float)
    shifts = np.random.default_rng(2).normal(0.0, 0.2, points.shape)
    shifts[3] += (0.0, 5.0, 0.0)
    fit = registration(points, shifts)
    found = fit.registration
    assert found.ct_from_reference.target is Frame.CT
    assert found.ct_from_reference.source is Frame.REFERENCE
    assert found.method is Method.LANDMARKS
    np.testing.assert_allclose(
        found.ct_from_reference.apply(in_reference(points)), points, atol=4.0
    )
    assert [one.name for one in found.residuals] == list("ABCDEF")
    assert found.created_s == 123.0
    np.testing.assert_array_equal(fit.points_ct_mm, points)
    assert fit.names[fit.worst()] == "D"
    assert fit.fre_mm == pytest.approx(np.sqrt(np.mean(fit.residuals_mm**2)))
    assert fit.fre_mm == pytest.approx(found.residual_rms_mm)


def test_each_point_is_held_against_the_fit_of_the_others() -> None:
    points = np.array(LAYOUTS["six on the skin"], dtype=float)
    shifts = np.random.default_rng(9).normal(0.0, 0.3, points.shape)
    fit = registration(points, shifts)
    for index in range(6):
        kept = np.arange(6) != index
        others = registration(points[kept], shifts[kept]).registration.ct_from_reference
        off = others.apply(in_reference(points[index] + shifts[index])) - points[index]
        assert fit.left_out_mm[index] == pytest.approx(np.linalg.norm(off))
    assert (fit.left_out_mm > fit.residuals_mm).all()


def test_the_chance_of_a_good_point_is_a_chance() -> None:
    """Uniform between 0 and 1: one in twenty lies below 0.05."""
    points = np.array(LAYOUTS["six on the skin"], dtype=float)
    rng = np.random.default_rng(12)
    chances = np.concatenate(
        [registration(points, rng.normal(0.0, 0.8, points.shape)).chances for _ in range(150)]
    )
    assert np.mean(chances < 0.05) == pytest.approx(0.05, abs=0.03)
    assert np.mean(chances < 0.5) == pytest.approx(0.5, abs=0.07)


def test_a_far_landmark_is_named_although_it_pulls_the_fit_to_itself() -> None:
    points = np.array([(0, 0, 0), (40, 0, 5), (0, 40, 0), (45, 42, 0), (20, 20, 260)], dtype=float)
    shifts = np.random.default_rng(4).normal(0.0, 0.15, points.shape)
    shifts[4] += (12.0, 0.0, 0.0)
    fit = registration(points, shifts)
    assert fit.names[fit.worst()] == "E"
    assert fit.left_out_mm[4] > 8.0
    assert fit.chances[4] < 0.01
    assert fit.registration.confidence < 0.05


def test_three_points_register_without_knowing_more() -> None:
    points = np.array(LAYOUTS["three"], dtype=float)
    fit = registration(points, np.zeros_like(points))
    np.testing.assert_allclose(fit.registration.ct_from_reference.matrix, truth(), atol=1e-9)
    assert np.isnan(fit.left_out_mm).all()
    assert fit.registration.confidence == 0.5


def test_a_point_whose_others_lie_on_a_line_has_no_error_without_it() -> None:
    points = np.array([(0, 0, 0), (60, 0, 0), (120, 0, 0), (50, 70, 0)], dtype=float)
    fit = registration(points, np.random.default_rng(1).normal(0.0, 0.02, points.shape) * [1, 0, 0])
    assert np.isnan(fit.left_out_mm[3])
    assert np.isfinite(fit.left_out_mm[:3]).all()


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


def test_every_point_has_its_own_name() -> None:
    points = [[0.0, 0, 0], [90, 0, 0], [0, 90, 0]]
    with pytest.raises(GeometryError, match="2 names for 3 points"):
        register_landmarks(("A", "B"), points, points, 0.0)
    with pytest.raises(GeometryError, match="same name"):
        register_landmarks(("A", "B", "A"), points, points, 0.0)


@pytest.mark.parametrize(
    ("covariances", "words"),
    [
        (np.eye(3), "need 3 finite 3x3 covariances"),
        (np.array([np.eye(3), np.diag([1.0, 0.0, 1.0]), np.eye(3)]), "of point 2 is not positive"),
        (np.array([[[1.0, 0.5, 0], [0, 1, 0], [0, 0, 1]]] * 3), "not symmetric"),
    ],
)
def test_covariances_are_looked_at(covariances: np.ndarray, words: str) -> None:
    points = np.array(LAYOUTS["three"], dtype=float)
    touched, names = in_reference(points), tuple("ABC")
    with pytest.raises(GeometryError, match=words):
        register_landmarks(names, points, touched, 0.0, covariances_reference_mm2=covariances)


def test_a_registration_keeps_the_shape_of_its_covariance() -> None:
    with pytest.raises(RegistrationError, match="covariance is"):
        with_covariance(np.eye(3), np.zeros(3))


def test_confidence_is_how_often_noise_alone_looks_as_bad() -> None:
    """Six points are looked through for the worst, which does not make it six times as likely."""
    rng = np.random.default_rng(4)
    points = np.array(LAYOUTS["six on the skin"], dtype=float)
    names = tuple("abcdef")
    found = [
        register_landmarks(
            names, points, in_reference(points) + rng.normal(0.0, 0.6, (6, 3)), 0.0
        ).registration.confidence
        for _ in range(300)
    ]
    assert 0.06 < np.mean(np.array(found) < 0.1) < 0.18
