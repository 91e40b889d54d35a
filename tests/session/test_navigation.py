"""One tick: guidance with everything, else the reason, gravest first, and no number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from devices.contract import PoseSample, PoseStatus
from ir_nav.session.collection import ToolCalibration
from ir_nav.session.navigation import navigate
from ir_nav.session.room import Room
from ir_nav.session.state import NavigationState, Role, Source
from ir_nav.session.streams import Streams
from tests.session.rig import (
    NEEDLE_TIP,
    NOW_S,
    STYLUS_TIP,
    TRACKER_FROM_REFERENCE,
    WIRE,
    Rig,
    needle_at,
    pose,
    registration,
    room_values,
    still_breath,
)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def refused(state: NavigationState) -> str:
    """The reason; and that no number is left standing beside it."""
    assert state.refusal is not None
    assert state.guidance is None
    assert state.tip is None
    assert state.budget is None
    assert state.refusal.cure
    return state.refusal.reason


def test_with_everything_the_numbers_are_those_of_the_geometry(rig: Rig) -> None:
    """Tip 3 and 4 mm beside the path, 40 mm short, shaft 0.1 in 1 off."""
    rig.all_seen((3.0, -40.0, 4.0), (0.1, 1.0, 0.0))
    state = navigate(rig.inputs(), NOW_S + 0.02)
    assert state.refusal is None
    assert state.guidance is not None
    assert state.tip is not None
    np.testing.assert_allclose(state.tip.tip_ct_mm, (3.0, -40.0, 4.0), atol=1e-6)
    np.testing.assert_allclose(
        state.tip.shaft_ct, np.array((0.1, 1, 0)) / np.hypot(0.1, 1), atol=1e-9
    )
    assert state.guidance.to_target_mm == pytest.approx(40.0)
    assert state.guidance.off_path_mm == pytest.approx(5.0)
    assert state.guidance.angle_deg == pytest.approx(np.degrees(np.arctan(0.1)))
    assert state.tip.measured_s == NOW_S
    assert state.source is Source.SIMULATED
    assert state.breathing is not None
    assert state.breathing.phase_mm == pytest.approx(0.0, abs=1e-9)
    assert state.budget is not None
    assert state.budget.calibration_mm == 0.1
    assert state.budget.registration_mm == pytest.approx(registration().tre_mm((3, -40, 4)))
    assert state.budget.radius_95_mm > state.budget.rms_mm > 0.0


def test_the_patient_may_move_with_the_reference(rig: Rig) -> None:
    """Reference and needle moved together: the tip stays where it is in the CT."""
    moved = pose(9, (3.0, 2.0, 1.0))
    rig.send(Role.REFERENCE, moved @ TRACKER_FROM_REFERENCE, NOW_S)
    rig.send(Role.NEEDLE, moved @ needle_at((3.0, -40.0, 4.0), (0, 1, 0)), NOW_S)
    model = still_breath()
    held = type(model)(model.axis_tracker, model.expiration_tracker_mm, 0.1, 0.6, 12.0)
    state = navigate(rig.inputs(breathing=held), NOW_S)
    assert state.tip is not None
    np.testing.assert_allclose(state.tip.tip_ct_mm, (3.0, -40.0, 4.0), atol=1e-6)


def test_a_tick_is_a_pure_function(rig: Rig) -> None:
    rig.all_seen()
    first, second = navigate(rig.inputs(), NOW_S), navigate(rig.inputs(), NOW_S)
    assert first.guidance is not None
    assert second.guidance is not None
    assert first.guidance.off_path_mm == second.guidance.off_path_mm
    assert first.budget == second.budget


def test_reasons_come_gravest_first_and_one_at_a_time(rig: Rig) -> None:
    """Everything is missing at first; each cure uncovers the next reason."""
    parts: dict[str, Any] = {
        "plan": None,
        "needle": ToolCalibration(needs_spin=True),
        "registration": None,
        "breathing": None,
    }

    def reason() -> str:
        return refused(navigate(rig.inputs(**parts), NOW_S))

    assert reason() == "needle not seen yet"
    rig.send(Role.NEEDLE, needle_at((0, -40, 0), (0, 1, 0)), NOW_S)
    assert reason() == "reference not seen yet"
    rig.send(Role.REFERENCE, TRACKER_FROM_REFERENCE, NOW_S)
    assert reason() == "no plan"
    del parts["plan"]
    parts["plan_withdrawn"] = "3.0 mm to Aorta, at least 5 mm is needed"
    assert reason() == "plan not allowed any more"
    del parts["plan_withdrawn"]
    assert reason() == "needle not calibrated"
    del parts["needle"]
    assert reason() == "not registered"
    del parts["registration"]
    assert reason().startswith("breathing not watched")
    del parts["breathing"]
    assert navigate(rig.inputs(**parts), NOW_S).guidance is not None


def test_without_devices_there_is_nothing(rig: Rig) -> None:
    for parts in ({"room": None}, {"streams": None}):
        state = navigate(rig.inputs(**parts), NOW_S)
        assert refused(state) == "no devices"
        assert state.tools == ()


@pytest.mark.parametrize("role", [Role.NEEDLE, Role.REFERENCE])
def test_a_room_without_a_needle_or_reference_says_so(role: Role) -> None:
    values = room_values()
    values["tools"] = [tool for tool in values["tools"] if tool["role"] != role]
    rig = Rig(Room.model_validate(values))
    for other in {Role.NEEDLE, Role.REFERENCE} - {role}:
        rig.send(other, TRACKER_FROM_REFERENCE, NOW_S)
    assert refused(navigate(rig.inputs(), NOW_S)) == f"no {role} in this room"


@pytest.mark.parametrize("role", [Role.NEEDLE, Role.REFERENCE])
@pytest.mark.parametrize(
    ("status", "words"),
    [
        (PoseStatus.MISSING, "out of view"),
        (PoseStatus.OUT_OF_VOLUME, "out of volume"),
        (PoseStatus.INVALID, "invalid"),
    ],
)
def test_a_lost_tool_blanks_the_numbers_at_once(
    rig: Rig, role: Role, status: PoseStatus, words: str
) -> None:
    rig.all_seen(until_s=NOW_S - 0.1)
    rig.send(role, None, NOW_S, status)
    other = Role.NEEDLE if role is Role.REFERENCE else Role.REFERENCE
    rig.send(other, TRACKER_FROM_REFERENCE, NOW_S)
    reason = refused(navigate(rig.inputs(), NOW_S))
    assert reason == f"{role} {words} 0.1 s"


@pytest.mark.parametrize(
    ("silence_s", "valid"), [(0.0, True), (0.24, True), (0.26, False), (2.0, False)]
)
def test_a_silent_tracker_blanks_the_numbers(rig: Rig, silence_s: float, valid: bool) -> None:
    rig.all_seen()
    state = navigate(rig.inputs(), NOW_S + silence_s)
    assert (state.guidance is not None) is valid
    if not valid:
        assert refused(state) == f"needle stale {silence_s:.1f} s"


def test_a_silent_tracker_leaves_no_breathing_phase_on_the_screen(rig: Rig) -> None:
    rig.all_seen()
    assert navigate(rig.inputs(), NOW_S).breathing is not None
    assert navigate(rig.inputs(), NOW_S + 5.0).breathing is None


def test_outside_the_gate_the_distance_from_expiration_is_the_reason(rig: Rig) -> None:
    """The gate is 2 mm; the reference stands 3 mm up the breathing axis."""
    risen = TRACKER_FROM_REFERENCE.copy()
    risen[2, 3] += 3.0
    for time_s in np.arange(NOW_S - 0.3, NOW_S + 1e-6, 1 / 60):
        rig.send(Role.REFERENCE, risen, float(time_s))
        rig.send(Role.NEEDLE, needle_at((0, -40, 0), (0, 1, 0)), float(time_s))
    state = navigate(rig.inputs(), NOW_S)
    assert refused(state) == "breathing 3.0 mm from end-expiration"
    assert state.breathing is not None
    assert not state.breathing.inside


def test_a_pose_without_quality_from_an_old_peer_may_be_used(rig: Rig) -> None:
    rig.send(Role.REFERENCE, TRACKER_FROM_REFERENCE, NOW_S, PoseStatus.UNKNOWN)
    rig.send(Role.NEEDLE, needle_at((0, -40, 0), (0, 1, 0)), NOW_S, PoseStatus.UNKNOWN)
    assert navigate(rig.inputs(), NOW_S).guidance is not None


def test_a_pose_that_arrives_between_two_looks_changes_nothing_half_way(rig: Rig) -> None:
    """After the first look at the needle another pose is pushed: what is judged, shown and
    timed must be one sample."""
    rig.all_seen()
    buffer = rig.streams.poses[Role.NEEDLE]
    late = PoseSample(WIRE[Role.NEEDLE], None, PoseStatus.MISSING, NOW_S + 0.001, NOW_S + 0.001)

    class Intruding(Streams):
        def tool_status(self, role: Role, newest: Any, now_s: float) -> Any:
            if role is Role.NEEDLE:
                buffer.push(late)
            return super().tool_status(role, newest, now_s)

    rig.streams.__class__ = Intruding
    state = navigate(rig.inputs(), NOW_S)
    assert state.guidance is not None
    assert state.tip is not None
    assert state.tip.measured_s == NOW_S
    np.testing.assert_allclose(state.tip.tip_ct_mm, (0.0, -40.0, 0.0), atol=1e-6)
    rig.streams.__class__ = Streams
    assert refused(navigate(rig.inputs(), NOW_S + 0.01)).startswith("needle out of view")


def test_the_stylus_tip_is_shown_where_it_is_in_the_ct(rig: Rig) -> None:
    ct_from_stylus = np.linalg.inv(
        TRACKER_FROM_REFERENCE @ np.linalg.inv(registration().ct_from_reference.matrix)
    )
    stylus = pose(7, (90.0, -20.0, 850.0))
    rig.send(Role.REFERENCE, TRACKER_FROM_REFERENCE, NOW_S)
    rig.send(Role.STYLUS, stylus, NOW_S)
    expected = ct_from_stylus @ stylus @ np.append(STYLUS_TIP, 1.0)
    shown = navigate(rig.inputs(), NOW_S).stylus_tip_ct_mm
    np.testing.assert_allclose(shown, expected[:3], atol=1e-6)
    assert navigate(rig.inputs(registration=None), NOW_S).stylus_tip_ct_mm is None
    assert navigate(rig.inputs(), NOW_S + 1.0).stylus_tip_ct_mm is None
    assert NEEDLE_TIP[2] != STYLUS_TIP[2]


def test_a_moving_needle_adds_its_way_during_the_delay(rig: Rig) -> None:
    """20 mm/s and a pose 0.1 s old: 2 mm."""
    for step in range(60):
        time_s = NOW_S - 0.1 - (59 - step) / 60
        rig.send(Role.REFERENCE, TRACKER_FROM_REFERENCE, time_s, delay_s=0.1)
        y = -40.0 + 20.0 * step / 60
        rig.send(Role.NEEDLE, needle_at((0, y, 0), (0, 1, 0)), time_s, delay_s=0.1)
    budget = navigate(rig.inputs(), NOW_S).budget
    assert budget is not None
    assert budget.delay_mm == pytest.approx(2.0, rel=0.05)
    assert budget.tracker_mm == pytest.approx(0.0, abs=1e-6)
