"""What a fluoro fit states of itself: its gates in words, its error carried to the target."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ir_nav.geometry import (
    CArmGeometry,
    FloatArray,
    apply,
    rigid,
    rigid_inverse,
    rotation_from_vector,
)
from ir_nav.registration.fluoro.axes import axes_through
from ir_nav.registration.fluoro.local import Fit
from ir_nav.registration.fluoro.outcome import CALIBRATION, NORMAL_95, FluoroRegistration, stated
from ir_nav.registration.fluoro.view import CArmView, FluoroFrame, Pixels

WORLD_FROM_CT = rigid(rotation_from_vector([0.3, -0.5, 0.9]), [20.0, -10.0, 35.0])
CENTRE_MM = np.array([15.0, 5.0, -20.0])
CARM_FROM_WORLD = rigid(rotation_from_vector([1.2, 0.1, -0.2]), [0.0, 0.0, 700.0])
GEOMETRY = CArmGeometry(1000.0, (1.0, 1.0), (64, 64), (31.5, 31.5))
VIEW = CArmView(GEOMETRY, CARM_FROM_WORLD, Pixels.INTENSITY)
FRAME = FluoroFrame(VIEW, np.zeros((64, 64), np.float32))
AXES = axes_through(CARM_FROM_WORLD, CENTRE_MM)
SPREAD = np.diag([0.04, 0.05, 1.5, 0.03, 0.04, 0.02])
FIT = Fit(WORLD_FROM_CT, (0.95,), SPREAD, 10, settled=True)


def result(
    fit: Fit = FIT, target_ct_mm: FloatArray | None = None, runner_up: float | None = None
) -> FluoroRegistration:
    return stated(
        fit,
        [FRAME],
        AXES,
        target_ct_mm,
        created_s=0.0,
        breathing="",
        runner_up=runner_up,
        evaluations=1,
        seconds=0.1,
    )


@pytest.mark.parametrize(
    ("fit", "runner_up", "words"),
    [
        (FIT, None, ""),
        (FIT, 0.80, ""),
        (FIT, 0.92, "two places fit about equally well"),
        (
            replace(FIT, similarities=(0.79,)),
            None,
            "CT to 0.79 only, 0.80 is needed",
        ),
        (replace(FIT, settled=False), None, "did not come to rest"),
    ],
)
def test_each_gate_says_why(fit: Fit, runner_up: float | None, words: str) -> None:
    found = result(fit, runner_up=runner_up).registration
    assert found.accepted is (words == "")
    assert words in found.reason


def test_confidence_falls_with_the_similarity_and_with_a_rival() -> None:
    assert result().registration.confidence == 1.0
    assert result(replace(FIT, similarities=(0.8,))).registration.confidence == pytest.approx(0.5)
    assert result(replace(FIT, similarities=(0.7,))).registration.confidence == 0.0
    assert result(runner_up=0.875).registration.confidence == pytest.approx(0.5)


def test_residuals_are_no_millimetres() -> None:
    found = result(replace(FIT, similarities=(0.95, 0.85))).registration
    assert [one.value for one in found.residuals] == pytest.approx([0.05, 0.15])
    assert found.residual_rms_mm is None


def test_the_error_at_a_far_target_is_that_of_drawn_motions() -> None:
    target = apply(rigid_inverse(WORLD_FROM_CT), CENTRE_MM) + np.array([70.0, -40.0, 30.0])
    found = result(target_ct_mm=target)
    rng = np.random.default_rng(4)
    drawn = rng.multivariate_normal(np.zeros(6), SPREAD * CALIBRATION**2, 6000)
    poses = AXES.moved(drawn, WORLD_FROM_CT)
    placed = apply(WORLD_FROM_CT, target)
    # Where each drawn truth has, in the CT, what the result has at the target.
    seen = np.array([apply(rigid_inverse(pose), placed) for pose in poses]) - target
    stated_mm2 = found.registration.covariance_mm2(target)
    expected = np.cov(seen.T)
    np.testing.assert_allclose(stated_mm2, expected, atol=0.06 * float(expected.max()))
    np.testing.assert_array_equal(found.registration.about_ct_mm, target)
    focus = apply(rigid_inverse(CARM_FROM_WORLD @ WORLD_FROM_CT), np.zeros(3))
    ray = (target - focus) / np.linalg.norm(target - focus)
    assert found.depth_95_mm == pytest.approx(NORMAL_95 * float(np.std(seen @ ray)), rel=0.05)
    assert found.second_view_wanted
    sure = result(replace(FIT, covariance=SPREAD * 1e-2), target_ct_mm=target)
    assert not sure.second_view_wanted
