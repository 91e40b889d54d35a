"""The CT moved by hand: exact motions, an honest covariance, the difference of registrations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ir_nav.geometry import Frame, Transform, apply
from ir_nav.registration import Method, RegistrationError
from ir_nav.registration.manual import (
    UNSEEN_DEG,
    UNSEEN_MM,
    Nudge,
    difference_at,
    moved_registration,
)
from tests.session.rig import CT_FROM_REFERENCE, registration

PIVOT = np.array([40.0, -20.0, 60.0])


def test_shifts_and_turns_about_the_pivot_are_exact() -> None:
    nudge = Nudge.none(PIVOT).shifted((2.0, -1.0, 0.5))
    for _ in range(20):
        nudge = nudge.turned(0.5, (0.0, 0.0, 1.0))
    np.testing.assert_allclose(nudge.shift_mm, (2.0, -1.0, 0.5), atol=1e-9)
    np.testing.assert_allclose(nudge.turn_deg, (0.0, 0.0, 10.0), atol=1e-9)
    start = registration()
    # A point of the CT 30 mm to the left of the pivot: turned 10 deg, then carried along.
    angle = np.radians(10.0)
    there = (
        PIVOT + np.array([2.0, -1.0, 0.5]) + 30.0 * np.array([np.cos(angle), np.sin(angle), 0.0])
    )
    reference = apply(np.linalg.inv(CT_FROM_REFERENCE), there)
    np.testing.assert_allclose(
        apply(nudge.ct_from_reference(start), reference),
        PIVOT + np.array([30.0, 0.0, 0.0]),
        atol=1e-9,
    )
    again = Nudge.by(PIVOT, nudge.shift_mm, nudge.turn_deg)
    np.testing.assert_allclose(again.patient_from_ct, nudge.patient_from_ct, atol=1e-9)


def test_another_pivot_leaves_the_ct_where_it_is() -> None:
    nudge = Nudge.by(PIVOT, (1.0, 2.0, 3.0), (0.0, 5.0, 0.0))
    other = nudge.about(PIVOT + np.array([0.0, 0.0, 50.0]))
    np.testing.assert_array_equal(other.patient_from_ct, nudge.patient_from_ct)
    assert other.shift_mm[0] - nudge.shift_mm[0] == pytest.approx(50.0 * np.sin(np.radians(5.0)))
    turned = other.turned(3.0, (1.0, 0.0, 0.0))
    np.testing.assert_allclose(turned.shift_mm, other.shift_mm, atol=1e-9)


def test_its_covariance_is_the_starts_carried_along_and_what_an_eye_misses() -> None:
    start = replace(registration(), covariance=np.diag([1.0, 4.0, 9.0, 0.2, 0.4, 0.6]))
    nudge = Nudge.by(PIVOT, (3.0, 0.0, 0.0), (0.0, 0.0, 40.0))
    made = moved_registration(start, nudge, 3, 12.0, 1e9)
    assert made.method is Method.MANUAL
    assert made.accepted
    np.testing.assert_array_equal(made.about_ct_mm, PIVOT)
    # By trial: draws of the start's error, seen at a point in the axes of the moved CT.
    rng = np.random.default_rng(5)
    drawn = rng.multivariate_normal(np.zeros(6), start.covariance, 20_000)
    turns = Rotation.from_rotvec(np.radians(drawn[:, 3:]))
    at = PIVOT + np.array([20.0, -30.0, 10.0])
    old = apply(nudge.patient_from_ct, at)
    moved = turns.apply(old - start.about_ct_mm) + start.about_ct_mm + drawn[:, :3]
    back = apply(np.linalg.inv(nudge.patient_from_ct), moved) - at
    arm = at - PIVOT
    unseen = UNSEEN_MM**2 * np.eye(3)
    cross = np.radians(UNSEEN_DEG) * np.array(
        [[0.0, arm[2], -arm[1]], [-arm[2], 0.0, arm[0]], [arm[1], -arm[0], 0.0]]
    )
    expected = np.cov(back.T) + unseen + cross @ cross.T
    np.testing.assert_allclose(made.covariance_mm2(at), expected, atol=0.06 * expected.max())


def test_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(RegistrationError, match="finite"):
        Nudge.by(PIVOT, (np.nan, 0.0, 0.0), (0.0, 0.0, 0.0))


def test_the_difference_of_two_is_told_at_the_target() -> None:
    start = registration()
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_rotvec([0.0, 0.0, np.radians(4.0)]).as_matrix()
    motion[:3, 3] = (1.0, 0.0, 0.0)
    other = replace(
        start, ct_from_reference=Transform(Frame.CT, Frame.REFERENCE, motion @ CT_FROM_REFERENCE)
    )
    off_mm, deg = difference_at(other, start, (0.0, 0.0, 30.0))
    assert off_mm == pytest.approx(1.0)
    assert deg == pytest.approx(4.0)
    off_mm, _ = difference_at(other, start, (100.0, 0.0, 0.0))
    assert off_mm == pytest.approx(np.linalg.norm((motion @ [100.0, 0, 0, 1])[:3] - [100.0, 0, 0]))
