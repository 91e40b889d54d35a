"""Faults are functions of seed and time: of the stated size, and the same every time."""

from __future__ import annotations

import numpy as np
import pytest

from hw_mocks.faults import (
    DROPOUT_S,
    Faults,
    distortion_mm,
    drift_mm,
    faulty_pose,
    is_dropped_out,
    is_lost,
    lateness_s,
    skewed_s,
)

TIMES_S = np.arange(0.0, 200.0, 0.02)


def test_without_faults_nothing_is_changed() -> None:
    pose = np.eye(4)
    assert faulty_pose(Faults(), pose, 50.0) is pose
    assert lateness_s(Faults(), "A", 1.0) == 0.0
    assert not is_lost(Faults(), "A", 1.0)
    assert not is_dropped_out(Faults(), "A", 1.0)
    assert skewed_s(Faults(), 1e9 + 5.0, 1e9) == 1e9 + 5.0


def test_delay_and_jitter() -> None:
    faults = Faults(delay_s=0.1, jitter_s=0.04)
    late = np.array([lateness_s(faults, "A", t) for t in TIMES_S])
    assert late.min() >= 0.1
    assert late.max() < 0.14
    assert late.mean() == pytest.approx(0.12, abs=0.001)
    assert late.std() == pytest.approx(0.04 / np.sqrt(12), rel=0.03)
    assert abs(np.corrcoef(late[1:], late[:-1])[0, 1]) < 0.05


def test_loss_has_its_share_and_streams_lose_apart() -> None:
    faults = Faults(loss=0.2)
    lost = {name: np.array([is_lost(faults, name, t) for t in TIMES_S]) for name in ("A", "B")}
    assert lost["A"].mean() == pytest.approx(0.2, abs=0.015)
    assert (lost["A"] & lost["B"]).mean() == pytest.approx(0.04, abs=0.01)
    assert all(is_lost(Faults(loss=1.0), "A", t) for t in TIMES_S[:100])


def test_dropouts_last_whole_stretches() -> None:
    faults = Faults(dropout=0.3)
    out = np.array([is_dropped_out(faults, "A", t) for t in np.arange(0.0, 2000.0, 0.1)])
    assert out.mean() == pytest.approx(0.3, abs=0.03)
    stretches = out.reshape(-1, round(DROPOUT_S / 0.1))
    assert (stretches.all(axis=1) | ~stretches.any(axis=1)).mean() > 0.99


def test_drift_has_its_speed_and_one_direction() -> None:
    faults = Faults(drift_mm_min=3.0)
    np.testing.assert_array_equal(drift_mm(faults, 0.0), 0.0)
    assert np.linalg.norm(drift_mm(faults, 40.0)) == pytest.approx(2.0)
    np.testing.assert_allclose(drift_mm(faults, 80.0), 2.0 * drift_mm(faults, 40.0))
    pose = np.eye(4)
    pose[:3, 3] = (10.0, 20.0, 30.0)
    moved = faulty_pose(faults, pose, 60.0)
    np.testing.assert_allclose(moved[:3, 3] - pose[:3, 3], drift_mm(faults, 60.0))
    np.testing.assert_array_equal(moved[:3, :3], np.eye(3))


def test_the_field_is_smooth_and_bounded() -> None:
    faults = Faults(distortion_mm=4.0)
    places = np.random.default_rng(3).uniform(-500.0, 500.0, (3000, 3))
    errors = np.array([distortion_mm(faults, place) for place in places])
    lengths = np.linalg.norm(errors, axis=1)
    assert lengths.max() <= 4.0
    assert lengths.max() > 3.0
    beside = np.array(
        [distortion_mm(faults, place + np.array([1.0, 0.0, 0.0])) for place in places]
    )
    assert np.linalg.norm(beside - errors, axis=1).max() < 0.07


def test_a_clock_that_runs_fast() -> None:
    assert skewed_s(Faults(skew_ppm=100.0), 1e6 + 1000.0, 1e6) == pytest.approx(1e6 + 1000.1)
    assert skewed_s(Faults(skew_ppm=-100.0), 1e6, 1e6) == 1e6


def test_the_seed_decides_everything() -> None:
    one, same, other = (
        Faults(jitter_s=0.1, drift_mm_min=1.0, distortion_mm=1.0, seed=seed) for seed in (5, 5, 6)
    )
    place = np.array([10.0, 20.0, 30.0])
    assert lateness_s(one, "A", 3.0) == lateness_s(same, "A", 3.0) != lateness_s(other, "A", 3.0)
    np.testing.assert_array_equal(distortion_mm(one, place), distortion_mm(same, place))
    assert not np.allclose(distortion_mm(one, place), distortion_mm(other, place))
    assert not np.allclose(drift_mm(one, 60.0), drift_mm(other, 60.0))


@pytest.mark.parametrize(
    "values",
    [
        {"delay_s": -1.0},
        {"jitter_s": float("nan")},
        {"loss": 1.1},
        {"dropout": -0.1},
        {"skew_ppm": float("inf")},
        {"seed": -1},
    ],
)
def test_faults_that_make_no_sense_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"0 or more|shares"):
        Faults(**values)  # type: ignore[arg-type]
