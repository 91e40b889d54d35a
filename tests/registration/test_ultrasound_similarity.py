"""The similarity of a sweep beside a slow one written out, and the search on known mountains."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from ir_nav.geometry import (
    FloatArray,
    apply,
    rigid_inverse,
    rotation_from_vector,
    vector_from_rotation,
)
from ir_nav.registration.ultrasound.similarity import (
    BINS,
    EDGE_HU,
    HIGH_HU,
    LOW_HU,
    SmoothCt,
    SweepSimilarity,
)
from ir_nav.registration.ultrasound.sweep import (
    BeamSamples,
    Sampling,
    TrackedSweep,
    beam_samples,
)
from ir_nav.registration.ultrasound.sweep_error import (
    confidence_of,
    motion_covariance_of,
    refusal_of,
)
from ir_nav.registration.ultrasound.sweep_search import climb, curvature_at, find_places, motions
from tests.registration.ultrasound_scene import FAN, GEOMETRY

PIVOT = np.array([20.0, -5.0, 10.0])
TOP = np.array([3.0, -2.0, 4.0, 1.5, -2.5, 0.8])
BEND = np.array([0.03, 0.02, 0.05, 0.04, 0.06, 0.03])


def small_ct(seed: int = 2) -> SmoothCt:
    """Soft tissue with a bone, a lung and air in front, 3 mm."""
    rng = np.random.default_rng(seed)
    hu = ndimage.gaussian_filter(rng.normal(0.0, 1.0, (24, 26, 28)), 1.5)
    hu = 60.0 + hu / hu.std() * 60.0
    hu[:, 10:12, 4:10] = 600.0
    hu[14:, 12:18, 12:] = -800.0
    hu[:, :3] = -1000.0
    return SmoothCt(hu.astype(np.int16), np.linalg.inv(np.diag([3.0, 3.0, 3.0, 1.0])))


def small_beams(seed: int = 4) -> BeamSamples:
    """Two frames of 9 beams through it, down +y; a few run out of the CT."""
    rng = np.random.default_rng(seed)
    starts = np.zeros((2, 9, 3))
    starts[..., 0] = np.linspace(2.0, 79.0, 9)
    starts[..., 1] = 3.0
    starts[..., 2] = np.array([[20.0], [52.0]])
    steps = np.zeros((2, 9, 3)) + np.array([0.05, 2.5, 0.1])
    echoes = rng.normal(0.0, 10.0, (2, 9, 34)).astype(np.float32)
    return BeamSamples(starts, steps, 2.5, echoes)


def written_out(ct: SmoothCt, beams: BeamSamples, pose: FloatArray, weights: np.ndarray) -> float:
    """The correlation ratio as its definition reads, sample by sample."""
    voxels = apply(ct.voxel_from_ct @ pose, beams.points_mm)
    top = np.array(ct.voxels.shape[::-1]) - 1.0
    inside = np.all((voxels >= 0.0) & (voxels < top), axis=-1)
    hu = ndimage.map_coordinates(
        ct.voxels.astype(float), np.moveaxis(voxels[..., ::-1], -1, 0), order=1, mode="nearest"
    )
    mean = np.average(beams.echoes, weights=weights)
    echo = beams.echoes - mean
    mass: dict[object, float] = {}
    moment: dict[object, float] = {}

    def add(name: object, w: float, value: float) -> None:
        mass[name] = mass.get(name, 0.0) + w
        moment[name] = moment.get(name, 0.0) + w * value

    for f, b in np.ndindex(hu.shape[:2]):
        bone = gas = 0.0
        entered = False
        shadow = ""
        for s in range(hu.shape[2]):
            w = float(weights[f, b, s])
            if not shadow and inside[f, b, s]:
                shadow = "bone" if bone > 2.0 else "gas" if gas > 2.0 else ""
            if shadow:
                add(shadow, w, echo[f, b, s])
                continue
            if not inside[f, b, s]:
                continue
            h = hu[f, b, s]
            rise = 0.0
            if 0 < s < hu.shape[2] - 1 and inside[f, b, s - 1] and inside[f, b, s + 1]:
                rise = hu[f, b, s + 1] - hu[f, b, s - 1]
            kind = "up" if rise > EDGE_HU else "down" if rise < -EDGE_HU else "even"
            at = np.clip((h - LOW_HU) * (BINS - 1) / (HIGH_HU - LOW_HU), 0.0, BINS - 1.001)
            low = int(at)
            add((kind, low), w * (low + 1 - at), echo[f, b, s])
            add((kind, low + 1), w * (at - low), echo[f, b, s])
            entered = entered or h > -300.0
            if entered and h > 200.0:
                bone += 2.5 * min((h - 200.0) / 200.0, 1.0)
            elif entered and h < -300.0:
                gas += 2.5
    explained = sum(moment[name] ** 2 / mass[name] for name in mass if mass[name] > 1e-6)
    return float(explained / np.sum(weights * echo**2))


@pytest.mark.parametrize("weighted", [False, True])
def test_similarity_is_the_correlation_ratio_with_edges_and_shadow(weighted: bool) -> None:
    ct, beams = small_ct(), small_beams()
    weights = np.ones_like(beams.echoes)
    if weighted:
        weights = np.random.default_rng(7).uniform(0.1, 2.0, weights.shape).astype(np.float32)
    similarity = SweepSimilarity(ct, beams, weights)
    moves = np.array([np.zeros(6), [2.0, -1.0, 3.0, 5.0, -4.0, 3.0], [-9.0, 4.0, 2.0, 0, 12, 0]])
    poses = motions(moves, PIVOT)
    expected = [written_out(ct, beams, pose, weights) for pose in poses]
    # A bound of a bin may fall on either side of a rounding.
    assert similarity(poses) == pytest.approx(expected, rel=0.02)
    assert similarity.evaluations == 3
    assert len(set(np.round(expected, 4))) == 3


def test_what_lies_outside_the_ct_explains_nothing() -> None:
    similarity = SweepSimilarity(small_ct(), small_beams())
    away = np.eye(4)
    away[0, 3] = 500.0
    assert similarity(away[None])[0] == 0.0


def test_echoes_do_not_know_the_gain() -> None:
    rng = np.random.default_rng(1)
    image = ndimage.gaussian_filter(rng.uniform(60.0, 160.0, (400, 480)), 2.0)
    pose = GEOMETRY.image_mm_from_px[None]
    sampling = (Sampling(20, 27, 1.0, 6.0),)
    plain, loud = (
        beam_samples(TrackedSweep(np.rint(one)[None].astype(np.uint8), pose), FAN, sampling)[0]
        for one in (image, image + 40.0)
    )
    assert np.abs(plain.echoes - loud.echoes).max() < 1.0
    assert plain.echoes.std() > 1.0


def test_samples_lie_where_their_pixels_are() -> None:
    """A bright spot, found again at its place in the reference."""
    depth_mm, angle_deg = 90.0, 12.0
    u, v = GEOMETRY.pixel(depth_mm, angle_deg)
    rows, columns = np.mgrid[0:400, 0:480]
    image = 255.0 * np.exp(-0.5 * ((rows - v) ** 2 + (columns - u) ** 2) / 8.0**2)
    pose = np.eye(4)
    pose[:3, :3] = rotation_from_vector([0.3, -0.5, 0.9])
    pose[:3, 3] = (30.0, -70.0, 200.0)
    pose = pose @ GEOMETRY.image_mm_from_px
    sweep = TrackedSweep(image[None].astype(np.uint8), pose[None])
    (beams,) = beam_samples(sweep, FAN, (Sampling(64, 108, 0.8, 20.0),))
    shares = np.clip(beams.echoes, 0.0, None)[0] ** 2
    middle = np.tensordot(shares, beams.points_mm[0], axes=2) / shares.sum()
    assert np.linalg.norm(middle - apply(pose, [u, v, 0.0])) < 0.5


def test_motions_turn_about_the_pivot() -> None:
    parameters = np.array([[0.0, 0, 0, 4, -3, 8], [1.0, 2, 3, 0, 0, 0], [-2.0, 5, 1, 30, 2, -60]])
    for row, motion in zip(parameters, motions(parameters, PIVOT), strict=True):
        assert apply(motion, PIVOT) == pytest.approx(PIVOT + row[:3])
        assert motion[:3, :3] == pytest.approx(rotation_from_vector(np.radians(row[3:])))


class Mountain:
    """A peak of known place and shape beside a lower one, over the motions about PIVOT."""

    def __init__(self, other: float = 0.0, shoulders: float = 0.3) -> None:
        self.evaluations = 0
        self._other, self._shoulders = other, shoulders

    def __call__(self, poses: FloatArray) -> FloatArray:
        back = rigid_inverse(motions(TOP[None], PIVOT)[0])
        off = np.array([_parameters(pose @ back) for pose in poses])
        peak = 0.6 - 0.5 * off**2 @ BEND
        # Wide shoulders, that a search from afar has something to climb.
        peak = np.maximum(peak, self._shoulders / (1.0 + 0.003 * np.sum(off**2, axis=1)))
        beside = np.sum((off[:, :3] - (18.0, 0.0, 0.0)) ** 2, axis=1)
        return np.maximum(peak, self._other * np.exp(-0.5 * beside / 4.0**2))


def _parameters(motion: FloatArray) -> FloatArray:
    turn = np.degrees(vector_from_rotation(motion[:3, :3]))
    return np.concatenate([apply(motion, PIVOT) - PIVOT, turn])


def test_climbing_ends_at_the_top_and_knows_its_curvature() -> None:
    mountain = Mountain(shoulders=0.0)
    begin = motions(np.array([TOP + np.array([1.5, -1.0, 1.0, 0.8, -1.0, 0.5])]), PIVOT)[0]
    found = climb(mountain, begin, PIVOT, 1)  # type: ignore[arg-type]
    back = rigid_inverse(motions(TOP[None], PIVOT)[0])
    assert np.abs(_parameters(found.ct_from_reference @ back)).max() < 0.3
    assert found.value == pytest.approx(0.6, abs=0.005)
    curvature = curvature_at(mountain, found.ct_from_reference, PIVOT, 1)  # type: ignore[arg-type]
    assert np.diag(curvature) == pytest.approx(-BEND, rel=0.1)
    assert np.abs(curvature - np.diag(np.diag(curvature))).max() < 0.004


def test_the_search_finds_the_higher_of_two_places_and_names_both() -> None:
    places = find_places(Mountain(other=0.45), np.eye(4), PIVOT, 3)  # type: ignore[arg-type]
    shifts = apply_each(places)
    assert np.linalg.norm(shifts[0] - TOP[:3]) < 2.0
    assert np.linalg.norm(shifts[1:] - (TOP[:3] + np.array([18.0, 0.0, 0.0])), axis=1).min() < 6.0


def apply_each(poses: FloatArray) -> FloatArray:
    return np.array([apply(pose, PIVOT) - PIVOT for pose in poses])


def test_a_flat_direction_leaves_a_large_error_and_is_refused() -> None:
    curvature = -np.diag([0.01, 0.0, 0.01, 0.01, 0.01, 0.01])
    covariance = motion_covariance_of(curvature, 0.2, 60_000.0, breath_known=True)
    assert np.sqrt(covariance[1, 1]) == pytest.approx(30.0, rel=0.01)
    assert np.sqrt(covariance[0, 0]) < 1.0
    assert "across" in refusal_of(covariance, 1.0, 5.0)
    sharp = motion_covariance_of(-0.01 * np.eye(6), 0.2, 60_000.0, breath_known=True)
    assert refusal_of(sharp, 1.0, 5.0) == ""
    assert "check the start" in refusal_of(sharp, 1.0, 50.0)
    breathing = motion_covariance_of(-0.01 * np.eye(6), 0.2, 60_000.0, breath_known=False)
    assert breathing[2, 2] > sharp[2, 2] + 1.0


def test_confidence_asks_for_height_and_for_no_rival() -> None:
    assert confidence_of(0.2, 0.0) > 0.95
    assert confidence_of(0.2, 0.19) < 0.5
    assert confidence_of(0.05, 0.0) < 0.5
    assert "another one fits" in refusal_of(0.01 * np.eye(6), confidence_of(0.2, 0.19), 1.0)
