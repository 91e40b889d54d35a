"""The breathing model learnt from curves whose axis, depth and rest are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ir_nav.geometry import GeometryError
from ir_nav.guidance import BreathingModel, learn_breathing

REST = np.array([120.0, -80.0, 950.0])


def breaths(
    seed: int,
    amplitude_mm: float = 6.0,
    power: int = 2,
    seconds: float = 12.0,
    noise_mm: float = 0.1,
    rate_hz: float = 60.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lujan 1999: rest + amplitude * sin^2n, at rest (end-expiration) most of the time. Times,
    positions, axis from expiration to inspiration; axis and phase at random."""
    rng = np.random.default_rng(seed)
    axis = Rotation.random(random_state=seed).as_matrix()[0]
    times = np.arange(0.0, seconds, 1.0 / rate_hz)
    wave = np.sin(np.pi * times / 4.0 + rng.uniform(0, np.pi)) ** (2 * power)
    positions = REST + amplitude_mm * wave[:, None] * axis
    return times + 1.7e9, positions + rng.normal(0, noise_mm, positions.shape), axis


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("power", [2, 3])
def test_axis_sign_rest_and_depth_are_found(seed: int, power: int) -> None:
    times, positions, axis = breaths(seed, 6.0, power)
    model = learn_breathing(times, positions)
    assert model.breathes
    off_deg = np.degrees(
        np.arctan2(np.linalg.norm(np.cross(model.axis_tracker, axis)), model.axis_tracker @ axis)
    )
    assert off_deg < 1.5  # with its sign: towards inspiration
    assert model.phase_mm(REST) == pytest.approx(0.0, abs=0.2)
    np.testing.assert_allclose(model.expiration_tracker_mm, REST, atol=0.35)
    # 5th to 95th percentile of the motion: a little less than all of it.
    assert 5.3 < model.amplitude_mm < 6.2
    assert model.phase_mm(REST + 6.0 * axis) == pytest.approx(6.0, abs=0.3)
    assert model.phase_mm(REST - 2.0 * axis) == pytest.approx(-2.0, abs=0.3)
    assert model.observed_s == pytest.approx(12.0, abs=0.1)


def test_sideways_motion_is_no_phase() -> None:
    times, positions, axis = breaths(3)
    model = learn_breathing(times, positions)
    across = np.cross(axis, (0.3, 0.5, 0.7))
    assert model.phase_mm(REST + 5.0 * across) == pytest.approx(0.0, abs=0.4)


def test_the_gate_is_a_quarter_of_the_depth_and_holds_on_both_sides() -> None:
    times, positions, axis = breaths(5, amplitude_mm=10.0)
    model = learn_breathing(times, positions)
    assert model.gate_mm == pytest.approx(0.25 * model.amplitude_mm)
    for share, inside in ((0.0, True), (0.95, True), (1.05, False), (-0.95, True), (-1.05, False)):
        assert model.inside(share * model.gate_mm) is inside
    assert not model.inside(model.phase_mm(REST + 10.0 * axis))


def test_a_shallow_breath_keeps_a_gate_that_noise_does_not_close() -> None:
    model = learn_breathing(*breaths(4, amplitude_mm=1.5, noise_mm=0.05)[:2])
    assert model.breathes
    assert model.gate_mm == 0.6


@pytest.mark.parametrize("noise_mm", [0.0, 0.05, 0.15])
def test_a_phantom_does_not_breathe_and_the_gate_stands_open(noise_mm: float) -> None:
    model = learn_breathing(*breaths(1, amplitude_mm=0.0, noise_mm=noise_mm)[:2])
    assert not model.breathes
    assert model.inside(50.0)
    np.testing.assert_allclose(model.expiration_tracker_mm, REST, atol=0.5)


def test_what_was_watched_too_short_is_refused() -> None:
    times, positions, _ = breaths(1, seconds=5.0)
    with pytest.raises(GeometryError, match="breathing was watched for 5 s; watch it for 6 s"):
        learn_breathing(times, positions)
    learn_breathing(*breaths(1, seconds=6.5)[:2])


def test_too_few_poses_are_refused() -> None:
    times, positions, _ = breaths(1, rate_hz=4.0)
    with pytest.raises(GeometryError, match="watch it for"):
        learn_breathing(times, positions)
    with pytest.raises(GeometryError, match="watched for 0 s"):
        learn_breathing([], np.zeros((0, 3)))


@pytest.mark.parametrize("shape", [(700, 2), (699, 3), (700,)])
def test_positions_that_do_not_fit_the_times_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(GeometryError, match=r"need \(n, 3\) positions"):
        learn_breathing(np.linspace(0, 12, 700), np.zeros(shape))


def test_a_model_of_its_own_numbers() -> None:
    model = BreathingModel(np.array([0.0, 0.0, 1.0]), REST, 8.0, 2.0, 12.0)
    assert model.phase_mm(np.add(REST, (5.0, 5.0, 1.5))) == pytest.approx(1.5)
    assert model.inside(2.0)
    assert not model.inside(-2.01)
