"""N-wire probe calibration against a known truth, and what it refuses."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from ir_nav.tracking.calibration.nwire import calibrate_probe, validate_probe
from ir_nav.tracking.calibration.phantom import Phantom, read_phantom
from ir_nav.tracking.calibration.probe_result import (
    ProbeMethod,
    probe_calibration_json,
    validated,
)
from ir_nav.tracking.calibration.result import CalibrationError, Rejection
from tests.tracking.nwire_scene import PHANTOM, SIZE_PX, Scene, scene

CORNERS = np.array([(u, v, 0.0, 1.0) for u in (0, SIZE_PX[0] - 1) for v in (0, SIZE_PX[1] - 1)])


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Phantom:
    path = tmp_path_factory.mktemp("phantom") / "phantom.json"
    path.write_text(json.dumps(PHANTOM))
    return read_phantom(path)


@pytest.fixture(scope="module")
def noisy(phantom: Phantom) -> Scene:
    return scene(phantom, 120, 1, travel_mm=25.0, noise_px=1.5, pose_noise_mm=0.2)


def corner_errors_mm(found: np.ndarray | None, truth: np.ndarray) -> np.ndarray:
    assert found is not None
    return np.linalg.norm((CORNERS @ (found - truth).T)[:, :3], axis=1)


@pytest.mark.parametrize("orthogonal", [False, True])
def test_exact_wires_give_the_exact_plane_but_are_no_measurement(
    phantom: Phantom, orthogonal: bool
) -> None:
    exact = scene(phantom, 20, 2)
    result = calibrate_probe(
        exact.wires_px, exact.reference_from_probe, phantom, orthogonal=orthogonal
    )
    assert corner_errors_mm(result.probe_from_image, exact.probe_from_image).max() < 1e-6
    assert not result.accepted
    assert "no residual" in str(result.reason)


@pytest.mark.parametrize(
    ("orthogonal", "method"),
    [(False, ProbeMethod.NWIRE_LINEAR), (True, ProbeMethod.NWIRE_ORTHOGONAL)],
)
def test_noise_is_averaged_out(
    phantom: Phantom, noisy: Scene, orthogonal: bool, method: ProbeMethod
) -> None:
    result = calibrate_probe(
        noisy.wires_px, noisy.reference_from_probe, phantom, orthogonal=orthogonal
    )
    assert result.accepted, result.reason
    assert result.method is method
    assert result.used == 120
    assert corner_errors_mm(result.probe_from_image, noisy.probe_from_image).max() < 0.6
    assert result.plane_error_mm is not None
    assert 0.05 < result.plane_error_mm < 0.3
    columns = result.probe_from_image[:3, :2]
    squareness = columns[:, 0] @ columns[:, 1] / np.prod(np.linalg.norm(columns, axis=0))
    assert abs(squareness) < (1e-9 if orthogonal else 0.01)


def test_wrong_wires_are_named_and_do_not_pull(phantom: Phantom, noisy: Scene) -> None:
    rng = np.random.default_rng(3)
    wires = noisy.wires_px.copy()
    wrong = set(rng.choice(120, 24, replace=False).tolist())
    for index in wrong:
        # The diagonal of one pattern is taken for something else.
        wires[index, 4] += (100.0 + 60.0 * rng.random(), 15.0)
    result = calibrate_probe(wires, noisy.reference_from_probe, phantom)
    assert result.accepted, result.reason
    assert corner_errors_mm(result.probe_from_image, noisy.probe_from_image).max() < 0.6
    named = {one.index for one in result.rejected if "5:H3_l3" in one.reason}
    assert named >= wrong
    assert len(result.rejected) < len(wrong) + 8
    assert not result.kept[sorted(wrong), 1].any()


def test_frames_without_wires_or_pose_are_named(phantom: Phantom, noisy: Scene) -> None:
    wires, poses = noisy.wires_px.copy(), noisy.reference_from_probe.copy()
    wires[3] = np.nan
    wires[7, 2] = np.nan
    poses[5] = np.nan
    poses[6, :3, :3] *= 1.1
    known = (Rejection(3, "4 bright spots, 9 wires are expected"),)
    result = calibrate_probe(wires, poses, phantom, not_found=known)
    reasons = {one.index: one.reason for one in result.rejected if one.index in (3, 5, 6, 7)}
    assert reasons[3] == known[0].reason
    assert "not tracked" in reasons[5]
    assert "not orthonormal" in reasons[6]
    assert "not found" in reasons[7]
    assert result.used == 116
    assert np.isnan(result.errors_mm[[3, 5, 6, 7]]).all()


@pytest.mark.parametrize(
    ("frames", "travel_mm", "noise_px", "message"),
    [
        (9, 20.0, 1.0, "only 9 frames with wires and poses, 10 are needed"),
        (40, 0.0, 0.1, "moved only .* mm along the wires"),
        (100, 20.0, 7.0, "calibration error .* is above 1.0 mm"),
        (10, 20.0, 3.0, "the plane is known to .* mm only: record more"),
    ],
)
def test_data_that_do_not_allow_it_are_refused(
    phantom: Phantom, frames: int, travel_mm: float, noise_px: float, message: str
) -> None:
    # Tilting alone moves the plane over the outer layers by a millimetre or two.
    seen = scene(phantom, frames, 4, travel_mm=travel_mm, noise_px=noise_px)
    result = calibrate_probe(seen.wires_px, seen.reference_from_probe, phantom)
    assert not result.accepted
    assert re.search(message, str(result.reason)), result.reason


def test_a_sheared_image_is_refused(phantom: Phantom, noisy: Scene) -> None:
    wires = noisy.wires_px.copy()
    wires[..., 0] += 0.06 * (wires[..., 1] - 300.0)
    result = calibrate_probe(wires, noisy.reference_from_probe, phantom)
    assert "from square" in str(result.reason)


def test_arrays_that_do_not_match_cannot_be_tried(phantom: Phantom, noisy: Scene) -> None:
    with pytest.raises(CalibrationError, match="do not match a phantom of 9 wires"):
        calibrate_probe(noisy.wires_px[:, :6], noisy.reference_from_probe, phantom)
    with pytest.raises(CalibrationError, match="do not match"):
        calibrate_probe(noisy.wires_px, noisy.reference_from_probe[:-1], phantom)


def test_an_unregistered_phantom_cannot_be_used(noisy: Scene, phantom: Phantom) -> None:
    loose = Phantom("loose", phantom.names, phantom.wires_mm, phantom.crossings_mm, None)
    with pytest.raises(CalibrationError, match="not registered"):
        calibrate_probe(noisy.wires_px, noisy.reference_from_probe, loose)


def test_validation_judges_on_other_frames(phantom: Phantom, noisy: Scene) -> None:
    result = calibrate_probe(noisy.wires_px, noisy.reference_from_probe, phantom)
    other = scene(phantom, 60, 5, travel_mm=25.0, noise_px=1.5, pose_noise_mm=0.2)
    good = validate_probe(
        result.probe_from_image, other.wires_px, other.reference_from_probe, phantom
    )
    assert good.accepted
    assert good.errors_mm.shape == (60, 3)
    assert validated(result, good).accepted

    slipped = other.reference_from_probe.copy()
    slipped[:, :3, 3] += 2.0
    bad = validate_probe(result.probe_from_image, other.wires_px, slipped, phantom)
    assert "validation error" in str(bad.reason)
    refused = validated(result, bad)
    assert not refused.accepted
    assert refused.validation_error == bad.error

    few = validate_probe(
        result.probe_from_image, other.wires_px[:4], other.reference_from_probe[:4], phantom
    )
    assert "only 4 frames to validate with" in str(few.reason)
    assert few.error is None
    with pytest.raises(CalibrationError, match="calibrate the probe first"):
        validate_probe(np.full((4, 4), np.nan), other.wires_px, slipped, phantom)


def test_json_says_everything_and_survives(phantom: Phantom, noisy: Scene) -> None:
    wires = noisy.wires_px.copy()
    wires[11] = np.nan
    result = calibrate_probe(wires, noisy.reference_from_probe, phantom)
    other = validate_probe(
        result.probe_from_image, noisy.wires_px, noisy.reference_from_probe, phantom
    )
    stored = json.loads(
        json.dumps(probe_calibration_json(validated(result, other)), allow_nan=False)
    )
    assert stored["format"] == 1
    np.testing.assert_array_equal(stored["probe_from_image"], result.probe_from_image)
    for kind in ("calibration", "validation"):
        assert set(stored["error_mm"][kind]) == {"mean", "rms", "max", "mean_best_95"}
    assert stored["used"] == 119
    assert {"index": 11, "reason": "wires were not found"} in stored["rejected"]
    assert stored["accepted"] is True
    assert stored["reason"] is None

    nothing = calibrate_probe(np.full_like(wires, np.nan), noisy.reference_from_probe, phantom)
    empty = json.loads(json.dumps(probe_calibration_json(nothing), allow_nan=False))
    assert empty["probe_from_image"] is None
    assert empty["error_mm"] == {"calibration": None, "validation": None}
    assert empty["accepted"] is False
