"""How well a touched fiducial is known: scatter, stylus, hand and voxel, and what the fit makes of
them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ir_nav.geometry import apply
from ir_nav.imaging import Volume, VolumeInfo
from ir_nav.session.landmark_touching import LandmarkTouching
from ir_nav.session.resting import Touch, resting_touch
from ir_nav.session.touch_errors import HAND_MM, NO_ERRORS, TouchErrors, touch_covariances_mm2
from ir_nav.session.touching import Fiducial
from tests.session.rig import CT_FROM_REFERENCE, STYLUS_TIP, calibration

POINTS = np.array(
    [(0.0, 0, 0), (90, 0, 10), (10, 80, -20), (-60, 30, 60), (50, 60, 70)], dtype=float
)
TURN = CT_FROM_REFERENCE[:3, :3].T
HAND = HAND_MM**2 / 3.0 * np.eye(3)


def touches(spread_mm: float = 0.2) -> list[Touch]:
    at = apply(np.linalg.inv(CT_FROM_REFERENCE), POINTS)
    return [Touch(one, spread_mm, 1.0) for one in at]


def test_a_dwell_knows_in_which_direction_its_tip_scattered() -> None:
    times_s = np.arange(60) / 60.0
    noise = np.random.default_rng(2).normal(size=(60, 3)) * (0.1, 0.1, 0.4)
    touch = resting_touch(np.array([10.0, 20.0, 30.0]) + noise, times_s)
    assert touch is not None
    np.testing.assert_allclose(np.sqrt(np.diag(touch.scatter_mm2)), (0.1, 0.1, 0.4), rtol=0.3)
    assert touch.spread_mm**2 == pytest.approx(np.trace(touch.scatter_mm2))
    plain = Touch(touch.reference_mm, 0.6, 1.0)
    np.testing.assert_allclose(plain.scatter_mm2, 0.12 * np.eye(3))


def test_a_thick_slice_is_uncertain_along_the_patient_wherever_the_reference_points() -> None:
    shared = TouchErrors(0.6, np.diag([0.0, 0.0, 6.0]))
    found = touch_covariances_mm2(touches(0.3), POINTS, shared)
    along = TURN[:, 2]
    alike = HAND + (0.6**2 + 0.3**2) / 3.0 * np.eye(3)
    for one in found:
        np.testing.assert_allclose(one, alike + 3.0 * np.outer(along, along), atol=1e-9)


def test_stylus_and_voxel_are_those_of_the_room_and_the_ct() -> None:
    stylus = calibration(STYLUS_TIP, False)
    assert stylus.pivot is not None
    voxel = np.diag([0.7, 0.7, 2.5, 1.0])
    volume = Volume(np.zeros((4, 4, 4), np.int16), voxel, "v", VolumeInfo())
    errors = TouchErrors.of(stylus, volume)
    assert errors.tip_mm == stylus.pivot.tip_error_mm > 0.0
    np.testing.assert_array_equal(errors.voxel_ct_mm, voxel[:3, :3])
    none = TouchErrors.of(replace(stylus, pivot=None), None)
    assert none.tip_mm == 0.0
    assert not none.voxel_ct_mm.any()


def fitted(third_off_mm: float, third: Touch | None = None) -> LandmarkTouching:
    names = (Fiducial(f"F{n}", tuple(at)) for n, at in enumerate(POINTS.tolist(), start=1))
    touching = LandmarkTouching(tuple(names), errors=NO_ERRORS)
    rng = np.random.default_rng(7)
    taken = touches()
    off_mm = rng.normal(0.0, 0.3, (len(taken), 3))
    off_mm[2] += TURN @ np.array([third_off_mm, 0.0, 0.0])
    places = [touch.reference_mm + off for touch, off in zip(taken, off_mm, strict=True)]
    if third is not None:
        taken[2] = third
    for touch, place in zip(taken, places, strict=True):
        touching._take(replace(touch, reference_mm=place), 5.0)
    return touching


def test_a_point_that_scattered_pulls_the_fit_less_in_that_direction() -> None:
    across = TURN @ np.diag([25.0, 0.04, 0.04]) @ TURN.T
    scattered = Touch(np.zeros(3), 5.0, 1.0, across)
    target = apply(np.linalg.inv(CT_FROM_REFERENCE), np.array([[10.0, 30.0, 0.0]]))
    off_mm, stated_mm = [], []
    for third in (None, scattered):
        fit = fitted(5.0, third).candidate
        assert fit is not None
        assert fit.expected_mm is not None
        at = fit.registration.ct_from_reference.apply(target)[0]
        off_mm.append(float(np.linalg.norm(at - (10.0, 30.0, 0.0))))
        stated_mm.append(fit.registration.tre_mm(at))
        assert bool(fit.residuals_mm[2] > fit.expected_mm[2]) is (third is None)
    assert off_mm[1] < 0.4 * off_mm[0]
    assert stated_mm[1] < 0.6 * stated_mm[0]


def test_points_on_one_line_are_refused_in_words() -> None:
    line = tuple(Fiducial(f"F{n}", (10.0 * n, 0.0, 0.0)) for n in range(1, 4))
    touching = LandmarkTouching(line, errors=NO_ERRORS)
    for one in line:
        touching._take(Touch(np.array(one.ct_mm), 0.2, 1.0), 5.0)
    assert touching.candidate is None
    assert touching.doubt is not None
    assert "No fit" in touching.doubt
