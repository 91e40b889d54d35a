"""The life of a registration: touched in any order, accepted, checked, expired, gone back to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from devices.contract import PoseStatus
from ir_nav.planning import Protocol, shipped_protocol
from ir_nav.planning.protocol import RegistrationRules
from ir_nav.recording import EventKind, read_log
from ir_nav.registration import Method
from ir_nav.session.errors import SessionError
from ir_nav.session.resting import Touch
from ir_nav.session.session import Session
from ir_nav.session.state import Role
from ir_nav.session.touching import Fiducial
from tests.session.rig import (
    CT_FROM_REFERENCE,
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

POINTS = [
    (0.0, 0.0, 0.0),
    (90.0, 0.0, 10.0),
    (10.0, 80.0, -20.0),
    (-60.0, 30.0, 60.0),
    (50, 60, 70),
]
FIDUCIALS = tuple(Fiducial(f"F{n}", (x, y, z)) for n, (x, y, z) in enumerate(POINTS, start=1))


class Bench:
    """A session with a plan, a calibrated stylus and a tracker that sees it."""

    def __init__(self) -> None:
        self.now_s = NOW_S
        self.rig = Rig()
        self.session = Session(lambda: self.now_s)
        self.session.load_case(volume(), fiducials=FIDUCIALS)
        self.session.planning.set_target((0.0, 0.0, 0.0), "liver")
        self.session.planning.set_entry((0.0, -80.0, 0.0))
        self.session.approving.approve("P", confirmed=True)
        self.session.connection.room = self.rig.room
        self.session.connection.streams = self.rig.streams
        self.session.tools.stylus = calibration(STYLUS_TIP, False)
        self.session.tools.needle = calibration(NEEDLE_TIP, True)
        self.registering = self.session.registering

    def hold(self, ct_mm: tuple[float, ...], moved_mm: float = 0.0) -> None:
        """The stylus rests on a point of the CT; the reference was moved by so much."""
        reference = TRACKER_FROM_REFERENCE.copy()
        reference[0, 3] += moved_mm
        from_ct = TRACKER_FROM_REFERENCE @ np.linalg.inv(CT_FROM_REFERENCE)
        stylus = np.eye(4)
        stylus[:3, 3] = (from_ct @ np.append(ct_mm, 1.0))[:3] - STYLUS_TIP
        rng = np.random.default_rng(1)
        for _ in range(72):
            self.now_s += 1 / 60
            noisy = stylus.copy()
            noisy[:3, 3] += rng.normal(0.0, 0.1, 3)
            self.rig.send(Role.REFERENCE, reference, self.now_s)
            self.rig.send(Role.STYLUS, noisy, self.now_s)

    def touch(
        self, order: list[int], errors_mm: dict[int, tuple[float, ...]] | None = None
    ) -> None:
        """Take fiducials (by number from 0) in this order, with 0.3 mm of error and more."""
        rng = np.random.default_rng(5)
        reference_from_ct = np.linalg.inv(CT_FROM_REFERENCE)
        for number in order:
            at = np.array(POINTS[number]) + rng.normal(0.0, 0.3, 3)
            at += (errors_mm or {}).get(number, (0.0, 0.0, 0.0))
            touch = Touch((reference_from_ct @ np.append(at, 1.0))[:3], 0.2, self.now_s)
            self.registering.landmarks._take(touch, self.now_s)


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.hold((300.0, 300.0, 300.0))
    bench.registering.start()
    return bench


def test_points_in_any_order_are_matched_and_a_stray_belongs_to_none(bench: Bench) -> None:
    bench.registering.start(any_order=True)
    landmarks = bench.registering.landmarks
    bench.touch([3, 0, 4])
    assert landmarks.candidate is None
    stray = Touch(np.array((400.0, -80.0, 30.0)), 0.2, bench.now_s)
    landmarks._take(stray, bench.now_s)
    bench.touch([2, 1])
    assert landmarks.candidate is not None
    assert landmarks.matched == {0: 1, 1: 5, 2: 4, 3: 0, 4: 2}
    assert landmarks.strays == 1
    assert landmarks.candidate.names == ("F1", "F2", "F3", "F4", "F5")
    assert landmarks.candidate.fre_mm < 1.0
    bench.registering.undo()
    assert landmarks.matched == {0: 1, 2: 4, 3: 0, 4: 2}


def test_points_in_any_order_that_fit_nothing_say_why(bench: Bench) -> None:
    bench.registering.start(any_order=True)
    bench.touch([0, 1, 2], {1: (40.0, 0.0, 0.0)})
    bench.touch([3, 4], {3: (0.0, -60.0, 0.0), 4: (0.0, 0.0, 55.0)})
    assert bench.registering.landmarks.candidate is None
    assert "touched points find a marker" in (bench.registering.landmarks.doubt or "")


def test_a_point_is_left_out_let_in_and_undone(bench: Bench) -> None:
    bench.touch([0, 1, 2, 3, 4], {2: (9.0, 0.0, 0.0)})
    landmarks = bench.registering.landmarks
    fit = landmarks.candidate
    assert fit is not None
    assert fit.names[fit.worst()] == "F3"
    bench.registering.toggle("F3")
    assert landmarks.candidate is not None
    assert landmarks.candidate.names == ("F1", "F2", "F4", "F5")
    assert landmarks.candidate.fre_mm < 0.3 * fit.fre_mm
    bench.registering.undo()
    assert landmarks.excluded == frozenset()
    assert landmarks.candidate.names == fit.names
    bench.registering.toggle("F3")
    bench.registering.toggle("F3")
    assert landmarks.candidate.names == fit.names
    bench.registering.undo()
    assert landmarks.excluded == {"F3"}
    bench.registering.undo()
    bench.registering.undo()  # and now the last touch
    assert landmarks.count == 4
    with pytest.raises(SessionError, match="F5 was not touched yet"):
        bench.registering.toggle("F5")
    bench.registering.toggle("F1")
    with pytest.raises(SessionError, match="3 fiducials at least have to count"):
        bench.registering.toggle("F2")


def test_a_point_left_out_after_accepting_asks_to_accept_again(bench: Bench) -> None:
    bench.touch([0, 1, 2, 3, 4])
    bench.registering.accept()
    bench.registering.toggle("F2")
    assert bench.registering.registration is None
    bench.registering.go_back(0)
    assert bench.registering.registration is bench.registering.history[0].registration


def test_one_point_is_touched_again_and_counts_again(bench: Bench) -> None:
    bench.touch([0, 1, 2, 3, 4])
    bench.registering.toggle("F2")
    bench.registering.touch_again("F2")
    landmarks = bench.registering.landmarks
    assert landmarks.next_index == 1
    assert landmarks.excluded == frozenset()
    with pytest.raises(SessionError, match="was not touched yet"):
        bench.registering.touch_again("F2")


@pytest.mark.parametrize("role", [Role.STYLUS, Role.REFERENCE])
@pytest.mark.parametrize(
    ("status", "words"),
    [
        (PoseStatus.MISSING, "out of view"),
        (PoseStatus.OUT_OF_VOLUME, "out of volume"),
        (PoseStatus.INVALID, "invalid"),
        (None, "stale"),
    ],
)
def test_no_point_is_taken_while_a_tool_is_not_ok(
    bench: Bench, role: Role, status: PoseStatus | None, words: str
) -> None:
    bench.hold(POINTS[0])
    if status is None:
        bench.now_s += 0.3
        other = Role.REFERENCE if role is Role.STYLUS else Role.STYLUS
        bench.rig.send(other, np.eye(4), bench.now_s)
    else:
        bench.rig.send(role, None, bench.now_s, status)
    bench.session.tick(bench.now_s)
    landmarks = bench.registering.landmarks
    assert landmarks.count == 0
    assert landmarks.hindered is not None
    assert landmarks.hindered.startswith(f"{role} {words}")
    with pytest.raises(SessionError, match=f"{role} {words}.*no point is taken"):
        bench.registering.capture()
    bench.hold(POINTS[0])
    bench.session.tick(bench.now_s)
    assert landmarks.hindered is None
    assert landmarks.count == 1


def test_no_point_is_taken_with_a_calibration_that_has_expired(bench: Bench) -> None:
    bench.hold(POINTS[0])
    bench.session.tools.stylus = replace(bench.session.tools.stylus, pivot=None)
    with pytest.raises(SessionError, match="the stylus is not calibrated: in Set up, pivot it"):
        bench.registering.capture()


def test_an_old_registration_expires_and_the_screen_says_so(bench: Bench) -> None:
    bench.touch([0, 1, 2, 3, 4])
    bench.registering.accept()
    most_s = 60.0 * bench.registering.rules.max_age_min
    bench.session.tick(bench.now_s + most_s - 1.0)
    assert bench.registering.registration is not None
    late_s = bench.now_s + most_s + 1.0
    for role in (Role.NEEDLE, Role.REFERENCE):
        bench.rig.send(role, np.eye(4), late_s)
    state = bench.session.tick(late_s)
    assert bench.registering.registration is None
    assert state.refusal is not None
    assert "the registration is older than 240 minutes" in state.refusal.reason
    bench.now_s = late_s
    with pytest.raises(SessionError, match="has expired: the registration is older than 240"):
        bench.registering.go_back(0)


def test_the_protocol_sets_the_limits(bench: Bench) -> None:
    strict = RegistrationRules(good_tre_mm=1.0, max_tre_mm=2.0, least_landmarks=4, max_age_min=10)
    protocol = shipped_protocol()
    bench.session.planning.use_protocol(
        Protocol.model_validate(protocol.model_dump() | {"registration": strict.model_dump()})
    )
    bench.touch([0, 1, 2])
    with pytest.raises(SessionError, match="touch at least 4 fiducials first"):
        bench.registering.accept()
    bench.registering.landmarks.candidate = landmark_fit(1.5)
    with pytest.raises(SessionError, match=r"1\.5 mm predicted at the target: confirm"):
        bench.registering.accept()
    bench.registering.accept(confirmed=True)
    bench.registering.landmarks.candidate = landmark_fit(2.1)
    with pytest.raises(SessionError, match="touch the points again"):
        bench.registering.accept(confirmed=True)


def test_a_moved_reference_ends_everything_that_was_measured(bench: Bench) -> None:
    bench.touch([0, 1, 2, 3, 4])
    bench.registering.accept()
    bench.registering.reference_moved()
    assert bench.registering.registration is None
    assert bench.registering.landmarks.count == 0
    with pytest.raises(SessionError, match="expired: the reference was moved"):
        bench.registering.go_back(0)
    with pytest.raises(SessionError, match="there is no registration to check"):
        bench.registering.check()


def test_a_landmark_touched_again_tells_whether_the_registration_holds(bench: Bench) -> None:
    bench.touch([0, 1, 2, 3, 4])
    bench.registering.accept()
    bench.hold(POINTS[1])
    assert bench.registering.check() < 1.0
    assert bench.registering.check("F2") < 1.0
    assert bench.registering.registration is not None
    bench.hold(POINTS[1], moved_mm=11.0)
    assert bench.registering.check() == pytest.approx(11.0, abs=1.0)
    assert bench.registering.registration is None
    assert bench.registering.expired is not None
    assert bench.registering.expired.startswith("F2 touched again: 1")
    with pytest.raises(SessionError, match="F2 touched again"):
        bench.registering.go_back(0)


def test_every_accepted_registration_stays_and_can_be_gone_back_to(
    bench: Bench, tmp_path: Path
) -> None:
    bench.session.start_log(tmp_path / "a.irlog")
    first = replace(registration(), created_s=bench.now_s)
    second = replace(landmark_fit(3.0).registration, method=Method.SURFACE, created_s=bench.now_s)
    second = replace(second, ct_from_reference=type(second.ct_from_reference)(
        second.ct_from_reference.target, second.ct_from_reference.source,
        second.ct_from_reference.matrix,
    ))  # fmt: skip
    registering = bench.registering
    registering.take(first)
    registering.take(first)  # taken already
    registering.take(second)
    assert [one.registration.method for one in registering.history] == ["landmarks", "surface"]
    assert registering.in_use_index == 1
    assert registering.accepted_tre_mm == pytest.approx(3.0)
    registering.undo_registration()
    assert registering.in_use_index == 0
    with pytest.raises(SessionError, match="there is no earlier registration"):
        registering.undo_registration()
    registering.go_back(1)
    assert registering.accepted_tre_mm == pytest.approx(3.0)
    with pytest.raises(SessionError, match="no such registration"):
        registering.go_back(2)
    bench.session.set_fiducials(FIDUCIALS[:3])
    assert registering.in_use_index == 1  # other points to touch: what was accepted holds
    bench.session.load_case(volume("another"))
    assert registering.history == ()
    assert registering.registration is None
    bench.session.close()
    log = read_log(tmp_path / "a.irlog")
    texts = [one.text for one in log.events if one.kind is EventKind.REGISTRATION]
    assert [text.split(",")[0] for text in texts] == [
        "accepted", "accepted", "gone back to", "gone back to",
    ]  # fmt: skip


def test_what_a_method_refused_is_not_taken(bench: Bench) -> None:
    refused = registration().refused("the shape is slippery")
    with pytest.raises(SessionError, match="was refused: the shape is slippery"):
        bench.registering.take(refused)
    assert bench.registering.history == ()
