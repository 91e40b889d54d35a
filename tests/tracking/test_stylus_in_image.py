"""Probe calibration with a stylus tip in the image, against a known truth."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ir_nav.tracking.calibration.probe_result import ProbeMethod, probe_calibration_json, validated
from ir_nav.tracking.calibration.result import CalibrationError
from ir_nav.tracking.calibration.stylus_in_image import (
    calibrate_probe_with_stylus,
    validate_probe_with_stylus,
)
from tests.tracking.nwire_scene import SIZE_PX, matrix, true_probe_from_image

CORNERS = np.array([(u, v, 0.0, 1.0) for u in (0, SIZE_PX[0] - 1) for v in (0, SIZE_PX[1] - 1)])


@dataclass(frozen=True)
class Touches:
    tips_px: np.ndarray
    tips_reference_mm: np.ndarray
    reference_from_probe: np.ndarray


def touches(
    count: int,
    seed: int,
    *,
    noise_px: float = 1.0,
    beam_mm: float = 0.5,
    box_px: tuple[float, float] = (700.0, 500.0),
) -> Touches:
    """A tip shown all over the image; it lies within the beam's thickness of the plane."""
    rng = np.random.default_rng(seed)
    truth = true_probe_from_image()
    centre = np.array(SIZE_PX) / 2
    true_px = centre + rng.uniform(-0.5, 0.5, (count, 2)) * box_px
    poses = np.array(
        [matrix(Rotation.random(rng=rng), rng.uniform(-100.0, 100.0, 3)) for _ in range(count)]
    )
    normal = np.cross(truth[:3, 0], truth[:3, 1])
    at_probe = np.column_stack((true_px, np.zeros(count), np.ones(count))) @ truth.T
    at_probe[:, :3] += rng.normal(0.0, beam_mm, (count, 1)) * normal / np.linalg.norm(normal)
    at_reference = np.einsum("nij,nj->ni", poses, at_probe)[:, :3]
    return Touches(true_px + rng.normal(0.0, noise_px, (count, 2)), at_reference, poses)


def corner_error_mm(found: np.ndarray | None) -> float:
    assert found is not None
    offsets = CORNERS @ (found - true_probe_from_image()).T
    return float(np.linalg.norm(offsets[:, :3], axis=1).max())


def test_exact_points_give_the_exact_plane_but_are_no_measurement() -> None:
    seen = touches(20, 1, noise_px=0.0, beam_mm=0.0)
    result = calibrate_probe_with_stylus(
        seen.tips_px, seen.tips_reference_mm, seen.reference_from_probe
    )
    assert corner_error_mm(result.probe_from_image) < 1e-6
    assert "no residual" in str(result.reason)


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_averaged_out(seed: int) -> None:
    seen = touches(80, seed)
    result = calibrate_probe_with_stylus(
        seen.tips_px, seen.tips_reference_mm, seen.reference_from_probe
    )
    assert result.accepted, result.reason
    assert result.method is ProbeMethod.STYLUS
    assert corner_error_mm(result.probe_from_image) < 0.6
    assert result.mm_per_px is not None
    np.testing.assert_allclose(result.mm_per_px, (0.080, 0.075), rtol=0.005)

    other = touches(30, seed + 100)
    validation = validate_probe_with_stylus(
        result.probe_from_image,
        other.tips_px,
        other.tips_reference_mm,
        other.reference_from_probe,
    )
    assert validation.error is not None
    assert validation.error.mean == pytest.approx(result.calibration_error.mean, rel=0.4)
    assert probe_calibration_json(validated(result, validation))["accepted"] is True


def test_the_stated_error_of_the_plane_is_about_the_true_one() -> None:
    truth = true_probe_from_image()
    true, stated = [], []
    for seed in range(25):
        seen = touches(40, 200 + seed)
        result = calibrate_probe_with_stylus(
            seen.tips_px, seen.tips_reference_mm, seen.reference_from_probe
        )
        low, high = seen.tips_px.min(axis=0), seen.tips_px.max(axis=0)
        box = [(u, v, 0.0, 1.0) for u in (low[0], high[0]) for v in (low[1], high[1])]
        offsets = (np.array(box) @ (result.probe_from_image - truth).T)[:, :3]
        true.append(np.mean(np.sum(offsets**2, axis=1)))
        stated.append(result.plane_error_mm)
    assert 0.6 < np.sqrt(np.mean(true)) / np.mean(stated) < 1.4


def test_wrong_points_are_named_and_do_not_pull() -> None:
    seen = touches(50, 7)
    points = seen.tips_px.copy()
    tips = seen.tips_reference_mm.copy()
    points[[4, 17, 30]] += (80.0, -60.0)
    tips[[8, 41]] += 15.0
    result = calibrate_probe_with_stylus(points, tips, seen.reference_from_probe)
    assert result.accepted, result.reason
    assert corner_error_mm(result.probe_from_image) < 0.6
    named = {one.index for one in result.rejected}
    assert named >= {4, 8, 17, 30, 41}
    assert len(named) <= 7
    assert all("tip is" in one.reason for one in result.rejected)


def test_points_not_marked_or_not_tracked_are_named() -> None:
    seen = touches(30, 8)
    points, tips = seen.tips_px.copy(), seen.tips_reference_mm.copy()
    poses = seen.reference_from_probe.copy()
    points[1] = np.nan
    tips[2] = np.nan
    poses[3] = np.nan
    poses[4, 0, 0] += 0.5
    result = calibrate_probe_with_stylus(points, tips, poses)
    reasons = {one.index: one.reason for one in result.rejected}
    assert "not marked" in reasons[1]
    assert "stylus was not tracked" in reasons[2]
    assert "probe or reference" in reasons[3]
    assert "not orthonormal" in reasons[4]
    assert result.used <= 26


@pytest.mark.parametrize(
    ("seen", "message"),
    [
        (touches(11, 9), "only 11 points, 12 are needed"),
        (touches(30, 9, box_px=(60.0, 60.0)), "within .* mm: show the tip all over"),
        (touches(30, 9, noise_px=0.0, box_px=(700.0, 0.0)), "on one line in the image"),
        (touches(30, 9, box_px=(700.0, 20.0)), "of one line in the image"),
        (touches(60, 9, beam_mm=3.0), "error .* is above 1.0 mm"),
    ],
)
def test_data_that_do_not_allow_it_are_refused(seen: Touches, message: str) -> None:
    result = calibrate_probe_with_stylus(
        seen.tips_px, seen.tips_reference_mm, seen.reference_from_probe
    )
    assert not result.accepted
    assert re.search(message, str(result.reason)), result.reason


def test_a_sensor_that_slipped_fails_the_validation() -> None:
    seen, other = touches(40, 10), touches(20, 11)
    result = calibrate_probe_with_stylus(
        seen.tips_px, seen.tips_reference_mm, seen.reference_from_probe
    )
    slipped = other.reference_from_probe @ matrix(Rotation.identity(), np.array([2.0, 0.0, 1.0]))
    validation = validate_probe_with_stylus(
        result.probe_from_image, other.tips_px, other.tips_reference_mm, slipped
    )
    assert not validated(result, validation).accepted
    assert "validation error" in str(validation.reason)


def test_arrays_that_do_not_match_cannot_be_tried() -> None:
    seen = touches(20, 12)
    with pytest.raises(CalibrationError, match="do not match"):
        calibrate_probe_with_stylus(
            seen.tips_px[:-1], seen.tips_reference_mm, seen.reference_from_probe
        )
