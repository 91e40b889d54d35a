"""Swiped points on surfaces with a formula, and on the real CT's liver."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ir_nav.geometry import FloatArray, apply, rigid, rigid_inverse, rotation_from_vector
from ir_nav.geometry import vector_from_rotation as turn_of
from ir_nav.imaging import Mesh, label_surface, read_labels
from ir_nav.registration import Method, RegistrationError
from ir_nav.registration.surface import (
    SampledSurface,
    SurfaceRegistration,
    fit_surface,
    register_surface,
    sample_surface,
)
from ir_nav.registration.surface.fit import covariance, design_effect
from ir_nav.registration.surface.sampled import surface_distances
from ir_nav.registration.surface.starts import starts_anywhere, starts_around
from tests.data import data_path
from tests.registration.surfaces_made import (
    Shape,
    ball,
    meshed,
    off_mm,
    pushed,
    swiped,
    table,
    torso,
    tube,
)

CT_FROM_REFERENCE = rigid(rotation_from_vector([0.4, -0.8, 1.1]), [120.0, -45.0, 300.0])
TARGET_CT = np.array([40.0, 10.0, 20.0])


@pytest.fixture(scope="module")
def skin() -> SampledSurface:
    return sample_surface(meshed(torso), "the skin")


def in_reference(points_ct: FloatArray) -> FloatArray:
    return apply(rigid_inverse(CT_FROM_REFERENCE), points_ct)


def registered(
    points_ct: FloatArray, surface: SampledSurface, by_mm: float, by_deg: float, seed: int = 0
) -> SurfaceRegistration:
    start = pushed(points_ct.mean(axis=0), by_mm, by_deg, seed) @ CT_FROM_REFERENCE
    return register_surface(
        in_reference(points_ct), surface, 12.0, start=start, target_ct_mm=TARGET_CT
    )


def test_distance_to_a_ball_is_true_inside_and_outside() -> None:
    surface = sample_surface(meshed(ball))
    rng = np.random.default_rng(3)
    directions = rng.normal(size=(400, 3))
    directions[:, 2] *= 0.5
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    away = rng.uniform(-25.0, 70.0, 400)
    points = np.array([10.0, 20.0, 30.0]) + (60.0 + away)[:, None] * directions
    here = surface_distances(surface, points, np.eye(4))
    # The signed distance is to the nearest sample's plane, which far points see at a slant.
    np.testing.assert_allclose(np.abs(here.signed_mm), np.abs(away), atol=0.25)
    near = np.abs(away) < 10.0
    np.testing.assert_allclose(here.signed_mm[near], away[near], atol=0.08)
    assert ((here.normals_ct * directions).sum(axis=1)[near] > 0.998).all()


def test_far_outside_the_grid_the_nearest_sample_is_still_found() -> None:
    surface = sample_surface(meshed(ball))
    here = surface_distances(surface, np.array([[10.0, 20.0, 900.0]]), np.eye(4))
    assert here.normals_ct[0, 2] > 0.99


def test_beside_an_open_surface_there_is_no_distance() -> None:
    surface = sample_surface(meshed(table))
    points = np.array([[0.0, 12.0, 0.0], [250.0, 1.0, 0.0]])
    here = surface_distances(surface, points, np.eye(4))
    assert abs(here.signed_mm[0]) == pytest.approx(12.0, abs=1e-4)
    assert np.isinf(here.signed_mm[1])


def test_swiped_belly_is_found_from_nearby(skin: SampledSurface) -> None:
    points = swiped(torso, 800, seed=1)
    found = registered(points, skin, 10.0, 6.0)
    carried = found.registration
    assert carried.accepted, carried.reason
    assert carried.method is Method.SURFACE
    matrix = carried.ct_from_reference.matrix
    assert off_mm(matrix, CT_FROM_REFERENCE, in_reference(points)) < 0.5
    assert found.kept.mean() == pytest.approx(0.96, abs=0.03)
    assert found.sigma_mm == pytest.approx(1.0, abs=0.15)
    assert carried.residual_rms_mm == pytest.approx(1.0, abs=0.15)
    assert found.moved_mm == pytest.approx(
        off_mm(
            pushed(points.mean(axis=0), 10.0, 6.0, 0) @ CT_FROM_REFERENCE,
            matrix,
            in_reference(points),
        ),
        abs=1e-6,
    )
    assert carried.created_s == 12.0
    assert "the skin" in carried.inputs[0]


@pytest.mark.parametrize("seed", range(6))
def test_it_captures_from_60_mm_and_45_degrees(skin: SampledSurface, seed: int) -> None:
    points = swiped(torso, 500, seed)
    found = registered(points, skin, 60.0, 45.0, seed)
    assert found.registration.accepted, found.registration.reason
    matrix = found.registration.ct_from_reference.matrix
    assert off_mm(matrix, CT_FROM_REFERENCE, in_reference(points)) < 0.8


def test_without_a_start_every_direction_is_tried(skin: SampledSurface) -> None:
    points = swiped(torso, 600, seed=4, round_part=(0.4, 1.0))
    found = register_surface(in_reference(points), skin, 0.0)
    assert found.registration.accepted, found.registration.reason
    matrix = found.registration.ct_from_reference.matrix
    assert off_mm(matrix, CT_FROM_REFERENCE, in_reference(points)) < 0.8
    assert found.moved_mm is None


def test_the_same_points_give_the_same_result(skin: SampledSurface) -> None:
    points = swiped(torso, 300, seed=2)
    first, second = (registered(points, skin, 20.0, 10.0).registration for _ in range(2))
    np.testing.assert_array_equal(first.ct_from_reference.matrix, second.ct_from_reference.matrix)


def test_predicted_covariance_is_what_repeated_swipes_show(skin: SampledSurface) -> None:
    clean = swiped(torso, 700, seed=5, noise_mm=0.0, outliers=0.0)
    errors, predicted, squares = [], [], []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        points = in_reference(clean + rng.normal(0.0, 1.0, clean.shape))
        fit = fit_surface(points, skin, CT_FROM_REFERENCE)
        # True ct_from_reference = motion @ found.
        motion = CT_FROM_REFERENCE @ rigid_inverse(fit.ct_from_reference)
        shift = motion[:3, :3] @ TARGET_CT + motion[:3, 3] - TARGET_CT
        error = np.concatenate([shift, np.degrees(turn_of(motion[:3, :3]))])
        matrix = covariance(fit, TARGET_CT)
        errors.append(error)
        predicted.append(np.diag(matrix))
        squares.append(error @ np.linalg.solve(matrix, error))
    real = np.sqrt(np.mean(np.square(errors), axis=0))
    stated = np.sqrt(np.mean(predicted, axis=0))
    np.testing.assert_allclose(stated, real, rtol=0.25)
    total = [np.sqrt(np.sum(np.square(one[:3]))) for one in (stated, real)]
    assert total[0] == pytest.approx(total[1], rel=0.15)
    assert np.mean(squares) == pytest.approx(6.0, rel=0.25)


def test_points_that_err_together_count_less() -> None:
    rng = np.random.default_rng(1)
    points = rng.uniform(0.0, 200.0, (2000, 3)) * [1.0, 1.0, 0.05]
    alone = rng.normal(size=2000)
    together = np.sin(points[:, 0] / 30.0) * np.cos(points[:, 1] / 30.0)
    assert design_effect(points, alone) == 1.0
    assert design_effect(points, together) > 5.0


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (ball, "turning about any axis"),
        (tube, r"sliding head to foot and turning about an axis head to foot through L 10 · P 20"),
        (table, "sliding .*, sliding .* and turning about an axis front to back"),
    ],
)
def test_a_slippery_shape_is_refused_and_the_motion_named(shape: Shape, words: str) -> None:
    surface = sample_surface(meshed(shape), "the skin")
    points = swiped(shape, 500, seed=1, noise_mm=0.5, round_part=(0.2, 0.8))
    found = register_surface(
        points, surface, 0.0, start=pushed(points.mean(axis=0), 4.0, 3.0, 2), noise_mm=0.5
    )
    assert not found.registration.accepted
    with pytest.raises(AssertionError, match=f"do not hold {words}"):
        raise AssertionError(found.registration.reason)
    assert all(one.lift < 0.05 for one in found.freedoms)


def test_a_cylinder_laid_across_slides_right_to_left() -> None:
    mesh = meshed(tube)
    turned = Mesh(np.ascontiguousarray(mesh.points_ct_mm[:, [2, 0, 1]]), mesh.triangles)
    points = swiped(tube, 500, seed=1, noise_mm=0.5)[:, [2, 0, 1]]
    found = register_surface(points, sample_surface(turned), 0.0, start=np.eye(4))
    assert found.freedoms[0].words == "sliding right to left"


def test_points_off_the_surface_are_refused(skin: SampledSurface) -> None:
    points = swiped(torso, 600, seed=3, outliers=0.6)
    found = registered(points, skin, 5.0, 3.0)
    assert not found.registration.accepted
    assert "of the points lie within 4 mm of the skin" in found.registration.reason


def test_points_that_scatter_too_much_are_refused(skin: SampledSurface) -> None:
    points = swiped(torso, 600, seed=3, noise_mm=3.0, outliers=0.0)
    found = registered(points, skin, 5.0, 3.0)
    assert not found.registration.accepted
    assert "the points scatter by" in found.registration.reason
    assert found.sigma_mm == pytest.approx(3.0, abs=0.4)


def test_two_places_that_fit_alike_are_refused() -> None:
    """A shape that looks the same after half a turn about its long axis."""

    def twin(u: FloatArray, v: FloatArray) -> FloatArray:
        angle, height = 2.0 * np.pi * v, 240.0 * (0.5 - u)
        wide = 70.0 + 12.0 * np.cos(2.0 * angle) + 10.0 * np.sin(height / 40.0)
        return np.stack([wide * np.cos(angle), wide * np.sin(angle), height], axis=1)

    surface = sample_surface(meshed(twin))
    points = swiped(twin, 500, seed=1, round_part=(0.0, 1.0))
    found = register_surface(points, surface, 0.0)
    assert not found.registration.accepted
    assert "another place fits nearly as well" in found.registration.reason
    assert found.registration.confidence < 0.97


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (np.zeros((5, 3)), "5 points are too few: swipe at least 12"),
        (np.zeros((50, 2)), r"\(n, 3\), got \(50, 2\)"),
        (np.full((50, 3), np.nan), "not finite"),
        (np.linspace(0.0, 9.0, 60).reshape(20, 3), "swipe over a wider area"),
    ],
)
def test_what_cannot_be_tried_is_refused_in_words(
    skin: SampledSurface, points: FloatArray, words: str
) -> None:
    with pytest.raises(RegistrationError, match=words):
        register_surface(points, skin, 0.0)


def test_a_start_far_beside_an_open_surface_says_what_to_do() -> None:
    surface = sample_surface(meshed(table), "the table")
    points = swiped(table, 100, seed=0)
    with pytest.raises(RegistrationError, match="beside the table: start nearer"):
        fit_surface(points, surface, rigid(np.eye(3), [900.0, 0.0, 0.0]))


def test_a_mesh_without_area_is_refused() -> None:
    mesh = meshed(table)
    flat = Mesh(np.zeros_like(mesh.points_ct_mm), mesh.triangles)
    with pytest.raises(RegistrationError, match="fewer than 20 triangles with an area"):
        sample_surface(flat)


def test_it_can_be_cancelled_and_tells_how_far_it_is(skin: SampledSurface) -> None:
    points = in_reference(swiped(torso, 300, seed=1))
    heard: list[float] = []
    register_surface(points, skin, 0.0, start=CT_FROM_REFERENCE, progress=heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == 1.0

    class StoppedError(Exception):
        pass

    def stop(part: float) -> None:
        if part > 0.2:
            raise StoppedError

    with pytest.raises(StoppedError):
        register_surface(points, skin, 0.0, start=CT_FROM_REFERENCE, progress=stop)


def test_starts_cover_60_mm_and_45_degrees_and_begin_with_the_one_given() -> None:
    centre = np.array([30.0, -20.0, 10.0])
    starts = starts_around(CT_FROM_REFERENCE, centre)
    np.testing.assert_allclose(starts[0], CT_FROM_REFERENCE)
    middle = apply(CT_FROM_REFERENCE, centre)
    shifts = np.array([np.linalg.norm(apply(one, centre) - middle) for one in starts])
    turns = np.degrees(
        [np.linalg.norm(turn_of(one[:3, :3] @ CT_FROM_REFERENCE[:3, :3].T)) for one in starts]
    )
    assert 50.0 < shifts.max() <= 60.0 + 1e-6
    assert 38.0 < turns.max() <= 45.0 + 1e-6


def test_starts_anywhere_leave_no_direction_out(skin: SampledSurface) -> None:
    starts = starts_anywhere(skin, np.zeros(3))
    wanted = [rotation_from_vector(v) for v in np.random.default_rng(0).uniform(-2, 2, (40, 3))]
    for rotation in wanted:
        cosines = (np.einsum("mij,ij->m", starts[:, :3, :3], rotation) - 1.0) / 2.0
        assert np.degrees(np.arccos(min(1.0, cosines.max()))) < 40.0


def test_a_long_edge_is_sampled_as_finely_as_short_ones() -> None:
    coarse = sample_surface(meshed(table, 12, 12))
    assert coarse.spacing_mm < 2.5
    assert replace(coarse, name="x").name == "x"
    with pytest.raises(ValueError, match="read-only"):
        coarse.samples[0, 0] = 1.0


def test_partial_liver_of_the_real_ct() -> None:
    """The setting that peers are measured in: 2000 points, 1 mm noise, 5 % outliers, 11 mm off."""
    folder = ("ct", "chest_LIDC-IDRI-0001_2mm_labels.nii.gz")
    names = data_path("ct", "chest_LIDC-IDRI-0001_labels.csv")
    labels = read_labels(data_path(*folder), names)
    fine = label_surface(labels, "liver", 30_000)
    surface = sample_surface(label_surface(labels, "liver"), "the liver")
    corners = fine.points_ct_mm.astype(float)[fine.triangles]
    front = corners.mean(axis=1)[:, 1] < np.median(fine.points_ct_mm[:, 1])
    errors = []
    for seed in range(15):
        rng = np.random.default_rng(seed)
        chosen = rng.choice(np.flatnonzero(front), 2000)
        points = np.einsum("nc,ncx->nx", rng.dirichlet((1, 1, 1), 2000), corners[chosen])
        points += rng.normal(0.0, 1.0, points.shape)
        points[:100] += rng.normal(0.0, 15.0, (100, 3))
        fit = fit_surface(points, surface, pushed(points.mean(axis=0), 9.0, 6.0, seed))
        errors.append(off_mm(fit.ct_from_reference, np.eye(4), fine.points_ct_mm.astype(float)))
    assert np.median(errors) < 0.2


def test_a_patient_of_another_shape_than_the_ct_is_not_promised_a_fine_fit(
    skin: SampledSurface,
) -> None:
    """The belly bulges by up to 3 mm: points beside each other err together."""
    stated, chance = [], []
    for bulge_mm in (0.0, 3.0):
        points = swiped(torso, 1500, seed=1)
        outward = points * [1.0, 1.0, 0.0]
        outward /= np.linalg.norm(outward, axis=1, keepdims=True)
        points += bulge_mm * np.sin(points[:, [0]] / 40.0) * np.cos(points[:, [2]] / 40.0) * outward
        found = registered(points, skin, 5.0, 3.0).registration
        stated.append(found.tre_mm(TARGET_CT))
        chance.append(found.residual_rms_mm / np.sqrt(1500))
        matrix = found.ct_from_reference.matrix
        target = in_reference(TARGET_CT)
        off = np.linalg.norm(apply(matrix, target) - TARGET_CT)
        assert off < 2.5 * stated[-1]
    assert stated[1] > 2.0 * stated[0] * chance[1] / chance[0]
