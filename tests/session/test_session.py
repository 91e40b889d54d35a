"""Commands of a session: in order they work, out of order they say what to do first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ir_nav.planning import Plan, PlanError, save_plan
from ir_nav.recording import EventKind, LogError, read_log
from ir_nav.session.collection import CollectionKind
from ir_nav.session.errors import SessionError
from ir_nav.session.session import Session
from ir_nav.session.state import Role
from ir_nav.session.touching import Fiducial
from tests.session.rig import (
    NEEDLE_TIP,
    NOW_S,
    STYLUS_TIP,
    TRACKER_FROM_REFERENCE,
    Rig,
    calibration,
    landmark_fit,
    registration,
    volume,
)

FIDUCIALS = tuple(
    Fiducial(n, p) for n, p in zip("ABC", [(0, 0, 0), (90, 0, 0), (0, 90, 0)], strict=True)
)


class Clock:
    def __init__(self) -> None:
        self.now_s = NOW_S

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def session() -> Session:
    return Session(Clock())


def with_streams(session: Session) -> Rig:
    rig = Rig()
    session.connection.room, session.connection.streams = rig.room, rig.streams
    return rig


def planned(session: Session) -> Session:
    session.load_case(volume())
    session.planning.set_target((0.0, 0.0, 0.0), "liver")
    session.planning.set_entry((0.0, -80.0, 0.0))
    session.approving.approve("P", confirmed=True)
    return session


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (lambda s: s.planning.set_target((0, 0, 0)), "open a CT first"),
        (lambda s: s.planning.set_entry((0, 0, 0)), "open a CT first"),
        (lambda s: s.set_fiducials(FIDUCIALS), "open a CT first"),
        (lambda s: s.approving.approve(), "open a CT first"),
        (lambda s: s.approving.load(Path("x.json")), "CT|no such plan"),
        (lambda s: s.approving.save(Path("x.json")), "approve a path first"),
        (lambda s: s.planning.undo(), "nothing to undo"),
        (lambda s: s.connect(), "open a room file first"),
        (
            lambda s: s.tools.start(CollectionKind.PIVOT, Role.NEEDLE),
            "connect the devices first",
        ),
        (lambda s: s.tools.finish(), "start pivoting first"),
        (lambda s: s.registering.start(), "connect the devices first"),
        (lambda s: s.registering.undo(), "no point was touched yet"),
        (lambda s: s.registering.accept(), "touch at least three fiducials first"),
        (lambda s: s.mark("here"), "no log is being written"),
    ],
)
def test_a_command_out_of_order_says_what_comes_first(
    session: Session, command: Callable[[Session], Any], words: str
) -> None:
    with pytest.raises((SessionError, PlanError), match=words):
        command(session)


def test_points_outside_the_ct_or_not_finite_are_refused(session: Session) -> None:
    session.load_case(volume())
    for point, words in (
        ((0.0, 0.0, 200.1), "lies outside the CT"),
        ((np.nan, 0.0, 0.0), "needs three numbers"),
        ((0.0, 0.0), "needs three numbers"),
    ):
        with pytest.raises(SessionError, match=f"the target {words}"):
            session.planning.set_target(point)
        with pytest.raises(SessionError, match=f"the entry {words}"):
            session.planning.set_entry(point)
    session.planning.set_target((0.0, 0.0, 200.0))


def test_a_plan_needs_both_ends_and_a_length_within_the_protocol(session: Session) -> None:
    session.load_case(volume())
    session.planning.set_target((0.0, 0.0, 0.0))
    with pytest.raises(SessionError, match="place the target and the entry first"):
        session.approving.approve()
    for entry in ((0.0, -10.0, 0.0), (0.0, -180.0, 0.0)):
        session.planning.set_entry(entry)
        with pytest.raises(SessionError, match=r"is \d+ mm long; .*allows 30 to 150 mm"):
            session.approving.approve()
    assert session.planning.plan is None


def test_undo_walks_back_point_by_point(session: Session) -> None:
    session.load_case(volume())
    session.planning.set_target((1.0, 2.0, 3.0))
    session.planning.set_entry((0.0, -80.0, 0.0))
    session.planning.set_target((9.0, 9.0, 9.0))
    session.planning.undo()
    np.testing.assert_array_equal(session.planning.draft.target_ct_mm, (1.0, 2.0, 3.0))
    session.planning.undo()
    assert session.planning.draft.entry_ct_mm is None
    session.planning.undo()
    assert session.planning.draft.target_ct_mm is None


def test_a_plan_goes_to_a_file_and_only_back_to_its_own_ct(
    session: Session, tmp_path: Path
) -> None:
    planned(session).approving.save(tmp_path / "p.json")
    first = session.planning.plan
    session.load_case(volume())
    session.approving.load(tmp_path / "p.json")
    assert session.planning.plan == first
    session.load_case(volume("another"))
    with pytest.raises(PlanError, match="belongs to another CT"):
        session.approving.load(tmp_path / "p.json")
    assert session.planning.plan is None


def test_a_new_ct_drops_plan_draft_and_registration(session: Session) -> None:
    planned(session)
    session.registering.landmarks.candidate = landmark_fit()
    session.registering.accept()
    assert session.registering.history
    session.load_case(volume("another"), fiducials=FIDUCIALS)
    assert session.planning.plan is None
    assert session.planning.draft.path is None
    assert session.registering.registration is None
    assert session.registering.landmarks.candidate is None
    assert session.registering.history == ()
    assert session.planning.ground is None
    with pytest.raises(SessionError, match="nothing to undo"):
        session.planning.undo()


def test_disconnecting_drops_what_was_measured_with_the_devices(session: Session) -> None:
    with_streams(session)
    session.tools.needle, session.tools.stylus = (
        calibration(NEEDLE_TIP, True),
        calibration(STYLUS_TIP, False),
    )
    session.registering.registration = registration()
    session.disconnect()
    assert session.connection.streams is None
    assert session.registering.registration is None
    assert session.breath.model is None
    assert session.tools.needle.tool_from_tip is None
    assert session.tools.stylus.tool_from_tip is None
    assert session.tools.needle.missing() == "pivot it"


def test_only_tools_of_the_room_are_collected_and_only_needles_spun(session: Session) -> None:
    with_streams(session)
    with pytest.raises(SessionError, match="only a needle is spun"):
        session.tools.start(CollectionKind.SPIN, Role.STYLUS)
    streams = session.connection.streams
    assert streams is not None
    del streams.poses[Role.STYLUS]
    with pytest.raises(SessionError, match="this room has no stylus"):
        session.tools.start(CollectionKind.PIVOT, Role.STYLUS)


@pytest.mark.parametrize(
    ("tre_mm", "confirmed", "words"),
    [
        (4.9, False, None),
        (5.1, False, "5.1 mm predicted at the target: confirm to accept it"),
        (5.1, True, None),
        (14.9, True, None),
        (15.1, True, "15.1 mm predicted at the target: touch the points again"),
    ],
)
def test_a_registration_is_accepted_by_its_error_at_the_target(
    session: Session, tre_mm: float, confirmed: bool, words: str | None
) -> None:
    """Gates of the yardsticks: below 5 mm, 5 to 15 mm when confirmed, never above."""
    planned(session)
    session.registering.landmarks.candidate = landmark_fit(tre_mm)
    if words is None:
        accepted = session.registering.accept(confirmed)
        assert session.registering.registration is accepted
        assert accepted.tre_mm((0.0, 0.0, 0.0)) == pytest.approx(tre_mm)
    else:
        with pytest.raises(SessionError, match=words):
            session.registering.accept(confirmed)
        assert session.registering.registration is None


def test_a_registration_wants_a_plan_first(session: Session) -> None:
    session.registering.landmarks.candidate = landmark_fit()
    with pytest.raises(SessionError, match="approve a plan first"):
        session.registering.accept()


def test_a_plan_from_a_file_meets_the_protocol_and_the_ct(session: Session, tmp_path: Path) -> None:
    session.load_case(volume())
    for entry, words in (
        ((0.0, -10.0, 0.0), r"is 10 mm long; .*allows 30 to 150 mm"),
        ((0.0, -900.0, 0.0), "the entry lies outside the CT"),
    ):
        other = Plan(
            name="P",
            ct_identity=volume().identity,
            entry_ct_mm=entry,
            target_ct_mm=(0.0, 0.0, 0.0),
        )
        path = tmp_path / f"{abs(entry[1]):.0f}.json"
        save_plan(other, path)
        with pytest.raises(SessionError, match=words):
            session.approving.load(path)
        assert session.planning.plan is None
        assert session.planning.draft.path is None


def test_another_plan_keeps_a_registration_only_where_it_holds_at_the_new_target(
    session: Session,
) -> None:
    planned(session)
    session.registering.landmarks.candidate = landmark_fit(4.0)
    session.registering.accept()
    session.planning.set_target((5.0, 0.0, 0.0))
    session.approving.approve(confirmed=True)
    assert session.registering.registration is not None
    session.planning.set_target((-190.0, -20.0, 0.0))
    session.planning.set_entry((-190.0, -90.0, 0.0))
    session.approving.approve(confirmed=True)
    assert session.registering.predicted_tre_mm is not None
    assert session.registering.predicted_tre_mm > 5.0
    assert session.registering.registration is None
    with pytest.raises(SessionError, match="confirm to accept it"):
        session.registering.accept()


def test_breathing_is_learnt_after_it_was_watched() -> None:
    clock = Clock()
    session = Session(clock)
    rig = with_streams(session)
    session.breath.begin()
    for step in range(15 * 60):
        time_s = NOW_S + step / 60
        place = TRACKER_FROM_REFERENCE.copy()
        place[2, 3] += 6.0 * np.sin(np.pi * step / 240) ** 4
        rig.send(Role.REFERENCE, place, time_s)
        if step % 30 == 0:
            session.tick(time_s)
            assert (session.breath.model is not None) == (step / 60 >= 12.0)
    assert session.breath.model is not None
    assert session.breath.model.axis_tracker[2] == pytest.approx(1.0, abs=1e-3)
    assert session.tick(time_s).breathing is not None
    learnt, clock.now_s = session.breath.model, time_s
    session.breath.begin()
    session.tick(time_s)
    assert session.breath.model is None, "what was seen before counts no more"
    session.breath.model = learnt
    session.disconnect()
    assert session.breath.model is None, "another room, another patient"


def test_what_happens_is_in_the_log(session: Session, tmp_path: Path) -> None:
    planned(session)
    session.start_log(tmp_path / "a.irlog")
    rig = with_streams(session)
    rig.streams.log = session.journal.log
    session.tools.needle = calibration(NEEDLE_TIP, True)
    session.registering.landmarks.candidate = landmark_fit()
    session.registering.accept()
    rig.all_seen()
    session.breath.begin()
    first = session.tick(NOW_S)
    assert first.refusal is not None
    session.mark("at the target")
    session.close()
    log = read_log(tmp_path / "a.irlog")
    kinds = [event.kind for event in log.events]
    for kind in (
        EventKind.CASE,
        EventKind.PLAN,
        EventKind.REGISTRATION,
        EventKind.GUIDANCE,
        EventKind.MARK,
    ):
        assert kind in kinds
    accepted = log.last(EventKind.REGISTRATION)
    assert accepted is not None
    assert accepted.data["fre_mm"] == 0.5
    assert accepted.data["method"] == "landmarks"
    assert np.shape(accepted.data["covariance"]) == (6, 6)
    assert log.shown.reasons == (first.refusal.reason,)
    assert log.sample_counts["NeedleToTracker"] == 43
    with pytest.raises(LogError, match="never written over"):
        session.start_log(tmp_path / "a.irlog")
