"""What each step of the workflow asks for, with and without a stylus, a probe, a C-arm."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ir_nav.session.errors import SessionError
from ir_nav.session.room import Room
from ir_nav.session.session import Session
from ir_nav.session.state import Refusal, Role
from ir_nav.session.steps import Step, done, refusal
from ir_nav.session.touching import Fiducial
from tests.session.fluoro_room import room as fluoro_room
from tests.session.rig import NEEDLE_TIP, STYLUS_TIP, Rig, calibration, plan, room_values, volume

FIDUCIALS = tuple(
    Fiducial(name, at) for name, at in zip("ABC", ((0.0, 0, 0), (9, 0, 0), (0, 9, 0)), strict=True)
)


def connected(made: Room) -> Session:
    session = Session()
    session.load_case(volume(), fiducials=FIDUCIALS)
    session.connection.room, session.connection.streams = made, Rig(made).streams
    return session


def without(room: Room, role: Role) -> Room:
    return room.model_copy(update={"tools": [one for one in room.tools if one.role != role]})


@pytest.fixture
def plain() -> Room:
    return Room.model_validate(room_values(ultrasound=None))


def test_register_asks_for_a_ct_and_devices_and_for_no_calibration(plain: Room) -> None:
    session = Session()
    assert refusal(Step.REGISTER, session) == Refusal("no CT is open", "Open a CT in Patient")
    session.load_case(volume())
    why = refusal(Step.REGISTER, session)
    assert why is not None
    assert why.reason == "no device is connected"
    assert refusal(Step.REGISTER, connected(plain)) is None


def test_touching_and_swiping_say_what_the_stylus_lacks(plain: Room) -> None:
    session = connected(plain)
    words = "the stylus is not calibrated: in Set up, pivot it"
    with pytest.raises(SessionError, match=words):
        session.registering.start()
    with pytest.raises(SessionError, match=words):
        session.swiping.touch(True)
    none = connected(without(plain, Role.STYLUS))
    with pytest.raises(SessionError, match="this room has no stylus"):
        none.registering.start()
    with pytest.raises(SessionError, match="this room has no stylus"):
        none.swiping.touch(True)


def test_guide_asks_for_a_registration_however_it_is_made(plain: Room) -> None:
    session = connected(plain)
    session.planning.follow(plan())
    session.tools.needle = calibration(NEEDLE_TIP, True)
    why = refusal(Step.GUIDE, session)
    assert why == Refusal("the CT is not registered", "Register it in Register and accept")


def test_set_up_is_done_with_the_needle_and_one_way_to_find_the_patient(plain: Room) -> None:
    session = connected(plain)
    assert not done(Step.SET_UP, session)
    session.tools.needle = calibration(NEEDLE_TIP, True)
    assert not done(Step.SET_UP, session)  # nothing to register with
    session.tools.stylus = calibration(STYLUS_TIP, False)
    assert done(Step.SET_UP, session)
    session.tools.needle = replace(session.tools.needle, spin=None)
    assert not done(Step.SET_UP, session)


@pytest.mark.parametrize("calibrated", [True, False])
def test_a_probe_counts_once_it_is_calibrated(calibrated: bool) -> None:
    made = Room.model_validate(room_values())
    assert made.ultrasound is not None
    entry = made.ultrasound.model_copy(update={"calibrated": calibrated})
    session = connected(made.model_copy(update={"ultrasound": entry}))
    session.tools.needle = calibration(NEEDLE_TIP, True)
    assert done(Step.SET_UP, session) is calibrated


def test_a_c_arm_whose_place_is_known_counts() -> None:
    made = fluoro_room()
    assert made.ultrasound is not None
    session = connected(made.model_copy(update={"ultrasound": None}))
    assert not done(Step.SET_UP, session)
    session.tools.needle = calibration(NEEDLE_TIP, True)
    assert done(Step.SET_UP, session)
    session.connection.streams = None
    assert not done(Step.SET_UP, session)
