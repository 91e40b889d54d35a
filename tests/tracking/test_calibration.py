"""Pivot and spin calibration on tools whose tip and shaft are known."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ir_nav.tracking.calibration import (
    CalibrationError,
    Rejection,
    calibrate_pivot,
    calibrate_spin,
    tool_from_tip,
)
from ir_nav.tracking.calibration.pivot_json import pivot_json
from tests.tracking.poses import pivoting, pose, spinning

TIP = np.array([210.0, 0.0, 0.0])
PIVOT = np.array([30.0, -250.0, 1100.0])


def jitter(poses: np.ndarray, sigma_mm: float, seed: int = 3) -> np.ndarray:
    moved = poses.copy()
    moved[:, :3, 3] += np.random.default_rng(seed).normal(0, sigma_mm, (len(poses), 3))
    return moved


def plus_case(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """PlusLib's simulated pivot: radius off by up to 1 mm, one pose in twenty gone astray."""
    rng = np.random.default_rng(1000 + seed)
    poses = pivoting(TIP, PIVOT, 100, 60.0, seed)
    away = poses[:, :3, 3] - PIVOT
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    poses[:, :3, 3] += away * rng.uniform(-1.0, 1.0, (100, 1))
    astray = rng.choice(100, 5, replace=False)
    poses[astray, :3, 3] += rng.choice((-1, 1), (5, 3)) * rng.uniform(20, 100, (5, 3))
    return poses, astray


@pytest.mark.parametrize("seed", range(8))
def test_simulated_pivot_of_plus_finds_the_tip_and_every_outlier(seed: int) -> None:
    poses, astray = plus_case(seed)
    found = calibrate_pivot(poses)
    assert found.reason is None
    assert np.linalg.norm(found.tip_mm - TIP) < 0.5
    assert np.linalg.norm(found.pivot_mm - PIVOT) < 0.5
    assert (found.rejected, found.used) == (5, 95)
    # Uniform in +-1 mm: 0.577 mm rms; Plus reports 0.484 mm, the mean absolute.
    assert found.rms_mm == pytest.approx(0.577, abs=0.08)
    assert 0.8 < found.max_mm < 1.2
    assert found.error_mm().mean == pytest.approx(0.484, abs=0.08)
    assert found.error_mm().rms == pytest.approx(found.rms_mm)
    assert {one.index for one in found.rejections()} == set(astray)
    assert all(re.fullmatch(r"tip \d+\.\d mm off the pivot", r.reason) for r in found.rejections())
    clean = np.delete(poses, astray, axis=0)
    np.testing.assert_allclose(found.tip_mm, calibrate_pivot(clean).tip_mm, atol=1e-9)


def test_outliers_by_turn_are_found_as_well() -> None:
    poses = jitter(pivoting(TIP, PIVOT), 0.1)
    poses[[7, 50, 93]] = poses[[7, 50, 93]] @ pose((0.0, 25.0, 0.0))
    found = calibrate_pivot(poses)
    assert found.rejected == 3
    assert np.linalg.norm(found.tip_mm - TIP) < 0.1


@settings(max_examples=30, deadline=None)
@given(st.tuples(*[st.floats(-250.0, 250.0)] * 3), st.integers(0, 1000))
def test_any_tip_is_found_exactly_from_poses_without_noise(
    tip: tuple[float, ...], seed: int
) -> None:
    found = calibrate_pivot(pivoting(np.array(tip), PIVOT, 60, 40.0, seed))
    np.testing.assert_allclose(found.tip_mm, tip, atol=1e-6)
    np.testing.assert_allclose(found.pivot_mm, PIVOT, atol=1e-6)


def test_standard_error_of_the_tip_is_what_repetition_shows() -> None:
    results = [
        calibrate_pivot(jitter(pivoting(TIP, PIVOT, 120, 25.0, 1), 0.2, seed))
        for seed in range(300)
    ]
    scatter = np.sqrt(np.mean([np.sum((r.tip_mm - TIP) ** 2) for r in results]))
    stated = np.sqrt(np.mean([r.tip_error_mm**2 for r in results]))
    assert stated == pytest.approx(scatter, rel=0.15)
    assert results[0].rms_mm == pytest.approx(0.2 * np.sqrt(3.0), rel=0.15)


def test_span_is_the_largest_angle_between_two_poses() -> None:
    turned = [pose((angle, 0.0, 0.0)) for angle in np.linspace(-15.0, 20.0, 60)]
    assert calibrate_pivot(turned).span_deg == pytest.approx(35.0, abs=0.01)


def about_one_axis() -> np.ndarray:
    return np.array(
        [pose((a, 0, 0), PIVOT) @ pose(place=-TIP) for a in np.linspace(-60.0, 60.0, 120)]
    )


@pytest.mark.parametrize(
    ("poses", "words"),
    [
        (jitter(pivoting(TIP, PIVOT, 49), 0.1), "only 49 poses: keep pivoting"),
        (np.zeros((0, 4, 4)), "only 0 poses"),
        (
            jitter(np.tile(pose((10, 20, 30), PIVOT), (80, 1, 1)), 0.1),
            "turned only 0°: tilt the tool by 20°",
        ),
        (jitter(pivoting(TIP, PIVOT), 0.8), r"residual 1\.\d\d mm is above 0.8 mm"),
        (np.tile(pose((0, 0, 0), PIVOT), (80, 1, 1)), "turned only 0°"),
        (jitter(about_one_axis(), 0.1), "one axis"),
        (about_one_axis(), "one axis|no residual"),
    ],
)
def test_each_pivot_refusal_says_what_to_do(poses: np.ndarray, words: str) -> None:
    found = calibrate_pivot(poses)
    assert not found.accepted
    assert re.search(words, str(found.reason)), found.reason


def test_a_pivot_without_any_residual_is_refused() -> None:
    """A tool lying still, or a replay of one pose turned by arithmetic: nothing is measured."""
    turned = np.array([pose((a, 0.7 * a, 0.3 * a**2 / 60.0)) for a in np.linspace(-40, 40, 80)])
    found = calibrate_pivot(turned)
    assert found.reason == "no residual at all: the tracker is not measuring"


def test_too_many_outliers_are_refused() -> None:
    poses = jitter(pivoting(TIP, PIVOT, 100), 0.02)
    rng = np.random.default_rng(9)
    poses[:32, :3, 3] += rng.uniform(3.0, 5.0, (32, 3)) * rng.choice((-1, 1), (32, 3))
    found = calibrate_pivot(poses)
    assert not found.accepted
    assert "of 100 poses are outliers" in str(found.reason) or "residual" in str(found.reason)


@pytest.mark.parametrize("tilt_deg", [15.0, 60.0])
@pytest.mark.parametrize("share", [0.3, 0.4])
@pytest.mark.parametrize("kind", ["scattered", "slipped"])
def test_gross_outliers_are_all_found_and_too_many_are_refused(
    kind: str, share: float, tilt_deg: float
) -> None:
    """A plain least-squares start, 10 mm and more off here, would take good poses for outliers."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        poses = jitter(pivoting(TIP, PIVOT, 100, tilt_deg, seed), 0.2, seed)
        astray = rng.choice(100, round(100 * share), replace=False)
        shift = rng.normal(0.0, 30.0, (len(astray), 3)) if kind == "scattered" else (15.0, 0, 0)
        poses[astray, :3, 3] += shift
        found = calibrate_pivot(poses)
        gross = astray if kind == "slipped" else astray[np.linalg.norm(shift, axis=1) > 10.0]
        assert not found.kept[gross].any()
        assert found.kept.sum() > 0.97 * (100 - len(astray))
        assert np.linalg.norm(found.tip_mm - TIP) < 0.6
        assert found.accepted == (share == 0.3)
        if not found.accepted:
            assert f"{found.rejected} of 100 poses are outliers" in str(found.reason)


def test_an_outlier_by_turn_does_not_pass_for_motion() -> None:
    tilts = np.random.default_rng(8).uniform(-4.0, 4.0, (100, 3))
    poses = jitter(np.array([pose(tuple(t), PIVOT) @ pose(place=-TIP) for t in tilts]), 0.02)
    poses[3] = poses[3] @ pose((0.0, 60.0, 0.0))
    found = calibrate_pivot(poses)
    assert re.search("turned only 1[0-3]°", str(found.reason))
    assert found.rejected >= 1


def test_a_pivot_is_written_by_its_place_in_the_recording() -> None:
    poses, astray = plus_case(3)
    found = calibrate_pivot(poses)
    unseen = Rejection(1, "Stylus: missing")
    written = pivot_json(found, np.arange(100) + 10, (unseen,))
    assert json.loads(json.dumps(written, allow_nan=False)) == written
    assert [one["index"] for one in written["rejected"]] == [1, *sorted(astray + 10)]
    assert written["rejected"][0]["reason"] == "Stylus: missing"
    assert np.array(written["needle_from_tip"])[:3, 3] == pytest.approx(found.tip_mm)
    assert set(written["error_mm"]) == {"mean", "rms", "max", "mean_best_95"}
    assert (written["accepted"], written["reason"]) == (True, None)


def test_a_refused_pivot_is_written_without_a_tip() -> None:
    for poses in (jitter(pivoting(TIP, PIVOT), 0.8), pivoting(TIP, PIVOT, 20)):
        written = pivot_json(calibrate_pivot(poses), np.arange(len(poses)))
        assert written["tip_mm"] is None
        assert written["needle_from_tip"] is None
        assert written["accepted"] is False
        assert written["reason"]
    with pytest.raises(CalibrationError, match="only 20 poses"):
        calibrate_pivot(pivoting(TIP, PIVOT, 20)).error_mm()


SHAFT = np.array([0.2, -0.1, 0.97])


@pytest.mark.parametrize(("wobble_deg", "within_deg"), [(0.0, 1e-4), (0.3, 0.1), (0.8, 0.25)])
@pytest.mark.parametrize("turn_deg", [70.0, 180.0, 340.0])
def test_spin_finds_the_shaft(wobble_deg: float, within_deg: float, turn_deg: float) -> None:
    found = calibrate_spin(spinning(SHAFT, wobble_deg, turn_deg=turn_deg))
    axis = SHAFT / np.linalg.norm(SHAFT)
    off = np.degrees(np.arcsin(np.linalg.norm(np.cross(found.shaft, axis))))
    assert found.accepted
    assert off < within_deg
    assert found.rms_deg == pytest.approx(wobble_deg, rel=0.2, abs=1e-4)
    assert found.span_deg == pytest.approx(min(turn_deg, 180.0), abs=4.0)
    assert np.linalg.norm(found.shaft) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("poses", "words"),
    [
        (spinning(SHAFT, 0.1, count=49), "only 49 poses: keep spinning"),
        (spinning(SHAFT, 0.1, turn_deg=55.0), "turned only 5[4-6]°: spin the needle by 60°"),
        (spinning(SHAFT, 1.6), r"shaft wobbles by 1\.\d°, above 1\.0°: hold it still"),
    ],
)
def test_each_spin_refusal_says_what_to_do(poses: np.ndarray, words: str) -> None:
    found = calibrate_spin(poses)
    assert not found.accepted
    assert re.search(words, str(found.reason)), found.reason


@pytest.mark.parametrize("tip", [(210.0, 0.0, 0.0), (3.0, -4.0, -150.0), (-80.0, 5.0, 60.0)])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_tip_frame_points_from_hub_to_tip_and_is_right_handed(
    tip: tuple[float, ...], sign: float
) -> None:
    """The spin leaves the shaft's sign open; the tip lies ahead of the sensor."""
    pivot = calibrate_pivot(jitter(pivoting(np.array(tip), PIVOT), 0.05))
    shaft = sign * (np.array(tip) / np.linalg.norm(tip) + (0.0, 0.03, 0.03))
    spin = calibrate_spin(spinning(shaft, 0.05))
    matrix = tool_from_tip(pivot, spin)
    np.testing.assert_allclose(matrix[:3, 3], tip, atol=0.2)
    np.testing.assert_allclose(matrix[:3, :3].T @ matrix[:3, :3], np.eye(3), atol=1e-9)
    assert np.linalg.det(matrix[:3, :3]) == pytest.approx(1.0)
    expected = sign * shaft / np.linalg.norm(shaft)
    np.testing.assert_allclose(matrix[:3, 2], expected, atol=0.01)
    alone = tool_from_tip(pivot, None)
    np.testing.assert_allclose(alone[:3, 2], np.array(tip) / np.linalg.norm(tip), atol=0.01)
