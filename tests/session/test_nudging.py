"""A start from a file: searches and the hand begin there, guidance does not go by it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ir_nav.geometry import rigid_inverse
from ir_nav.registration import RegistrationError
from ir_nav.registration.registration_file import registration_json
from ir_nav.session.errors import SessionError
from ir_nav.session.patient_points import patient_points
from ir_nav.session.session import Session
from ir_nav.session.state import Role
from tests.session.rig import (
    CT_FROM_REFERENCE,
    NEEDLE_TIP,
    NOW_S,
    TRACKER_FROM_REFERENCE,
    Rig,
    calibration,
    needle_at,
    registration,
    volume,
)


@pytest.fixture
def session() -> Session:
    made = Session(lambda: NOW_S)
    made.load_case(volume())
    rig = Rig()
    made.connection.room, made.connection.streams = rig.room, rig.streams
    return made


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "start.json"
    path.write_text(json.dumps(registration_json(registration())))
    return path


def test_searches_begin_at_a_saved_start_and_where_the_hand_puts_it(
    session: Session, saved: Path
) -> None:
    registering, nudging = session.registering, session.nudging
    assert registering.begin is None
    nudging.open_start(saved)
    begin = registering.begin
    assert begin is not None
    np.testing.assert_allclose(begin.ct_from_reference.matrix, CT_FROM_REFERENCE, atol=1e-12)
    assert registering.registration is None
    assert not nudging.guides
    assert session.fluoro.start is begin
    assert session.swiping.start is begin
    nudging.shift((4.0, 0.0, -3.0))
    moved = registering.begin
    assert moved is not None
    point = rigid_inverse(CT_FROM_REFERENCE) @ [0.0, 0.0, 0.0, 1.0]
    seen = moved.ct_from_reference.matrix @ point
    np.testing.assert_allclose(seen[:3], (-4.0, 0.0, 3.0), atol=1e-9)
    nudging.undo()
    assert registering.begin is begin


def test_guidance_never_goes_by_a_saved_start(session: Session, saved: Path) -> None:
    nudging = session.nudging
    nudging.open_start(saved)
    with pytest.raises(SessionError, match="guides nothing"):
        nudging.accept(confirmed=True)
    nudging.shift((1.0, 0.0, 0.0))
    with pytest.raises(SessionError, match="guides nothing"):
        nudging.accept(confirmed=True)
    assert nudging.found is not None
    # Were it taken by another way: no protocol allows so large an error.
    assert nudging.found.tre_mm((0.0, 0.0, 0.0)) > 50.0
    assert session.registering.registration is None


def test_a_registration_in_use_goes_before_and_an_accepted_one_ends_the_start(
    session: Session, saved: Path
) -> None:
    nudging, registering = session.nudging, session.registering
    nudging.open_start(saved)
    used = replace(registration(), created_s=NOW_S)
    registering.registration = used
    assert registering.begin is used
    assert nudging.start is used
    with pytest.raises(SessionError, match="guidance goes by a registration"):
        nudging.open_start(saved)
    registering.reference_moved()
    assert registering.begin is None
    nudging.open_start(saved)
    session.load_case(volume())
    assert registering.begin is None


def test_a_start_needs_a_ct_and_a_sound_file(session: Session, tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps({"ct_from_reference": np.diag([2.0, 1, 1, 1]).tolist()}))
    with pytest.raises(RegistrationError, match=r"bad\.json: ct_from_reference"):
        session.nudging.open_start(bad)
    refused = registration_json(replace(registration(), accepted=False, reason="too few points"))
    bad.write_text(json.dumps(refused))
    with pytest.raises(RegistrationError, match=r"was refused.*too few points"):
        session.nudging.open_start(bad)
    assert session.registering.begin is None
    with pytest.raises(SessionError, match="open a CT first"):
        Session().nudging.open_start(bad)


def test_tips_leave_a_trail_at_the_patient_while_they_are_seen(session: Session) -> None:
    rig = Rig()
    session.connection.room, session.connection.streams = rig.room, rig.streams
    places = [(0.0, 10.0 + step, 20.0) for step in range(20)]
    for step, place in enumerate(places):
        at_s = NOW_S - 0.05 * (len(places) - step)
        rig.send(Role.REFERENCE, TRACKER_FROM_REFERENCE, at_s)
        rig.send(Role.NEEDLE, needle_at(place, (0, 1, 0)), at_s)
    assert patient_points(session, NOW_S).empty  # not calibrated
    session.tools.needle = calibration(NEEDLE_TIP, True)
    points = patient_points(session, NOW_S)
    expected = (np.array(places) - CT_FROM_REFERENCE[:3, 3]) @ CT_FROM_REFERENCE[:3, :3]
    np.testing.assert_allclose(points.trail_mm, expected, atol=1e-6)
    assert [name for name, _ in points.tips] == ["Needle"]
    np.testing.assert_allclose(points.tips[0][1], expected[-1], atol=1e-6)
    later = patient_points(session, NOW_S + 2.0)
    assert later.tips == ()  # not seen any more: the trail stays for a while
    assert len(later.trail_mm) == len(places)
    assert patient_points(session, NOW_S + 30.0).empty
