"""Devices with clocks of their own: samples meet on ours."""

from __future__ import annotations

import numpy as np
import pytest

from devices.contract import PoseSample, PoseStatus
from ir_nav.session.device_clock import DeviceClock
from ir_nav.session.navigation import navigate
from ir_nav.session.state import Role
from tests.session.rig import NOW_S, TRACKER_FROM_REFERENCE, Rig


def pose(source_s: float, received_s: float) -> PoseSample:
    return PoseSample("NeedleToTracker", np.eye(4), PoseStatus.OK, source_s, received_s)


def test_a_clock_that_is_ours_is_left_alone() -> None:
    clock = DeviceClock()
    for step in range(600):
        sample = pose(NOW_S + step / 60, NOW_S + step / 60 + 0.02)
        assert clock.ours(sample) is sample
    assert clock.shift_s == 0.0


@pytest.mark.parametrize("off_s", [-86_400.0, -0.6, 3.0, 1e9])
def test_a_clock_that_is_off_is_put_right_from_the_first_sample(off_s: float) -> None:
    clock, rng = DeviceClock(), np.random.default_rng(2)
    for step in range(1200):
        true_s = NOW_S + step / 60
        late_s = 0.004 + rng.exponential(0.003)
        found = clock.ours(pose(true_s - off_s, true_s + late_s))
        if step > 400:
            assert found.source_s == pytest.approx(true_s + 0.004, abs=0.002)
        else:
            assert found.source_s == pytest.approx(true_s, abs=0.05)


def test_a_first_sample_that_is_late_shifts_nothing_for_long() -> None:
    """The first three take 0.4 s on a busy machine, the others 5 ms."""
    clock = DeviceClock()
    for step in range(180):
        true_s = NOW_S + step / 60
        late_s = 0.4 - 0.015 * step if step < 3 else 0.005
        found = clock.ours(pose(true_s, max(true_s + late_s, NOW_S + 0.4)))
        if step > 100:
            assert found.source_s == true_s


def test_a_clock_that_is_set_meanwhile_is_followed() -> None:
    clock = DeviceClock()
    for step in range(1200):
        true_s = NOW_S + step / 60
        off_s = 0.0 if step < 300 else 5.0
        found = clock.ours(pose(true_s - off_s, true_s + 0.005))
        if step < 300 or step > 900:
            assert found.source_s == pytest.approx(true_s, abs=0.02)


def test_image_and_poses_of_different_clocks_find_each_other() -> None:
    """The tracker's clock is an hour slow, the scanner's two hours fast."""
    rig = Rig()
    for step in range(-60, 1):
        true_s = NOW_S + step / 60
        for role in (Role.REFERENCE, Role.PROBE):
            rig.send(role, TRACKER_FROM_REFERENCE, true_s - 3600.0, delay_s=3600.004)
    rig.frame(NOW_S - 0.05 + 7200.0, NOW_S - 0.04)
    state = navigate(rig.inputs(), NOW_S)
    assert state.ultrasound is not None
    assert state.ultrasound.image_from_ct is not None
    assert 0.0 <= state.ultrasound.age_s < 0.1
