"""Touching fiducials: a point is taken where the tip rests, once, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from ir_nav.session.errors import SessionError
from ir_nav.session.session import Session
from ir_nav.session.state import Role
from ir_nav.session.touching import Fiducial
from tests.session.rig import (
    CT_FROM_REFERENCE,
    NOW_S,
    STYLUS_TIP,
    TRACKER_FROM_REFERENCE,
    Rig,
    calibration,
    volume,
)

POINTS = [(0.0, 0.0, 0.0), (90.0, 0.0, 10.0), (10.0, 80.0, -20.0), (-60.0, 30.0, 60.0)]
NOISE_MM = 0.15
PARKED = np.array([300.0, 300.0, 300.0])


class Hand:
    """Moves the stylus in the room; the session ticks along at half the tracker's rate."""

    def __init__(self, rate_hz: float = 60.0) -> None:
        self.rate_hz = rate_hz
        self.now_s = NOW_S
        self.rng = np.random.default_rng(6)
        self.rig = Rig()
        self.session = Session(lambda: self.now_s)
        self.session.load_case(
            volume(), fiducials=tuple(Fiducial(f"F{n}", p) for n, p in enumerate(POINTS, start=1))
        )
        self.session.connection.room, self.session.connection.streams = (
            self.rig.room,
            self.rig.streams,
        )
        self.session.tools.stylus = calibration(STYLUS_TIP, False)
        self.at = PARKED
        self.ticking = True

    def hold(self, ct_mm: np.ndarray, seconds: float, speed_mm_s: float = 0.0) -> None:
        """Stay at a point of the CT, or drift from it along x."""
        from_ct = TRACKER_FROM_REFERENCE @ np.linalg.inv(CT_FROM_REFERENCE)
        for step in range(round(seconds * self.rate_hz)):
            self.now_s += 1 / self.rate_hz
            shift = np.array([speed_mm_s * step / self.rate_hz, 0.0, 0.0])
            tip = (from_ct @ np.append(ct_mm + shift, 1.0))[:3]
            stylus = np.eye(4)
            stylus[:3, 3] = tip - STYLUS_TIP + self.rng.normal(0, NOISE_MM, 3)
            self.rig.send(Role.REFERENCE, TRACKER_FROM_REFERENCE, self.now_s)
            self.rig.send(Role.STYLUS, stylus, self.now_s)
            if step % 2 == 0 and self.ticking:
                self.session.tick(self.now_s)
        self.at = ct_mm

    def move(self, ct_mm: np.ndarray, seconds: float = 0.7) -> None:
        start = self.at
        for step in range(10):
            self.hold(start + (ct_mm - start) * (step + 1) / 10, seconds / 10)
        self.at = ct_mm

    def taken(self) -> int:
        return sum(touch is not None for touch in self.session.registering.landmarks.touches)


@pytest.fixture
def hand() -> Hand:
    hand = Hand()
    hand.hold(PARKED, 1.5)
    hand.session.registering.start()
    return hand


def test_points_are_taken_one_after_the_other_where_the_tip_rests(hand: Hand) -> None:
    for count, point in enumerate(POINTS, start=1):
        hand.move(np.array(point))
        assert hand.taken() == count - 1
        hand.hold(np.array(point), 1.2)
        assert hand.taken() == count
    for touch, point in zip(hand.session.registering.landmarks.touches, POINTS, strict=True):
        assert touch is not None
        at_ct = CT_FROM_REFERENCE @ np.append(touch.reference_mm, 1.0)
        assert np.linalg.norm(at_ct[:3] - point) < 0.2
        assert touch.spread_mm == pytest.approx(NOISE_MM * np.sqrt(3.0), rel=0.3)
    candidate = hand.session.registering.landmarks.candidate
    assert candidate is not None
    np.testing.assert_allclose(
        candidate.registration.ct_from_reference.apply((10.0, 20.0, 30.0)),
        (CT_FROM_REFERENCE @ (10.0, 20.0, 30.0, 1.0))[:3],
        atol=0.3,
    )
    assert candidate.names == ("F1", "F2", "F3", "F4")


@pytest.mark.parametrize("rate_hz", [10.0, 15.0, 24.0])
def test_a_slow_tracker_takes_points_too(rate_hz: float) -> None:
    hand = Hand(rate_hz)
    hand.hold(PARKED, 1.5)
    hand.session.registering.start()
    for count, point in enumerate(POINTS, start=1):
        hand.move(np.array(point), 1.5)
        hand.hold(np.array(point), 1.0, 15.0)
        assert hand.taken() == count - 1
        hand.hold(np.add(point, (15.0, 0.0, 0.0)), 3.0)
        assert hand.taken() == count
    candidate = hand.session.registering.landmarks.candidate
    assert candidate is not None
    assert candidate.fre_mm < 0.3


def test_a_stylus_lying_where_it_was_before_is_no_touch(hand: Hand) -> None:
    hand.hold(PARKED, 4.0)
    assert hand.taken() == 0


def test_resting_on_takes_the_point_once(hand: Hand) -> None:
    hand.move(np.array(POINTS[0]))
    hand.hold(np.array(POINTS[0]), 5.0)
    assert hand.taken() == 1


def test_coming_back_to_a_point_does_not_take_it_again(hand: Hand) -> None:
    hand.move(np.array(POINTS[0]))
    hand.hold(np.array(POINTS[0]), 1.5)
    hand.move(np.array((40.0, -60.0, 0.0)))
    hand.move(np.array((3.0, 2.0, -2.0)))
    hand.hold(np.array((3.0, 2.0, -2.0)), 3.0)
    assert hand.taken() == 1


@pytest.mark.parametrize("speed_mm_s", [4.0, 15.0])
def test_a_moving_tip_is_never_taken(hand: Hand, speed_mm_s: float) -> None:
    hand.move(np.array(POINTS[0]))
    hand.hold(np.array(POINTS[0]), 4.0, speed_mm_s)
    assert hand.taken() == 0
    with pytest.raises(SessionError, match="hold the stylus still"):
        hand.session.registering.capture()


def test_the_last_point_can_be_taken_back_and_is_taken_again_on_command(hand: Hand) -> None:
    for point in POINTS[:3]:
        hand.move(np.array(point))
        hand.hold(np.array(point), 1.2)
    assert hand.session.registering.landmarks.candidate is not None
    hand.session.registering.undo()
    assert hand.taken() == 2
    assert hand.session.registering.landmarks.candidate is None
    assert hand.session.registering.landmarks.next_index == 2
    hand.hold(np.array(POINTS[2]), 2.0)
    assert hand.taken() == 2  # the place just taken back is not taken again by itself
    hand.session.registering.capture()
    assert hand.taken() == 3
    assert hand.session.registering.landmarks.candidate is not None


def test_a_point_taken_back_is_taken_by_itself_once_the_stylus_was_lifted(hand: Hand) -> None:
    hand.move(np.array(POINTS[0]))
    hand.hold(np.array(POINTS[0]), 1.2)
    hand.session.registering.undo()
    hand.hold(np.array(POINTS[0]), 3.0)
    assert hand.taken() == 0
    hand.move(np.array((0.0, 0.0, 40.0)))
    hand.move(np.array(POINTS[0]))
    hand.hold(np.array(POINTS[0]), 1.2)
    assert hand.taken() == 1
    hand.move(PARKED)
    hand.hold(PARKED, 3.0)
    assert hand.taken() == 1  # its tray is still its tray


def test_a_late_tick_misses_no_point(hand: Hand) -> None:
    """The screen stood still while the second fiducial was touched and left."""
    hand.move(np.array(POINTS[0]))
    hand.hold(np.array(POINTS[0]), 1.2)
    hand.ticking = False
    hand.move(np.array(POINTS[1]))
    hand.hold(np.array(POINTS[1]), 1.1)
    hand.move(np.array(POINTS[2]))
    hand.hold(np.array(POINTS[2]), 0.1)
    hand.ticking = True
    hand.hold(np.array(POINTS[2]), 1.2)
    assert hand.taken() == 3
    candidate = hand.session.registering.landmarks.candidate
    assert candidate is not None
    assert candidate.fre_mm < 0.5


def test_a_place_that_does_not_fit_the_others_is_doubted(hand: Hand) -> None:
    """The second fiducial is left out by mistake: the third is not taken for it."""
    hand.move(np.array(POINTS[0]))
    hand.hold(np.array(POINTS[0]), 1.2)
    stray = np.array((0.0, 0.0, -150.0))
    hand.move(stray)
    hand.hold(stray, 1.5)
    assert hand.taken() == 1
    assert hand.session.registering.landmarks.doubt == (
        "This is 150 mm from F1; F2 is 91 mm from it in the CT"
    )
    hand.move(np.array(POINTS[1]))
    hand.hold(np.array(POINTS[1]), 1.2)
    assert hand.taken() == 2
    assert hand.session.registering.landmarks.doubt is None
    hand.move(stray)
    hand.hold(stray, 1.5)
    hand.session.registering.capture()  # on command it is taken all the same
    assert hand.taken() == 3


def test_touching_says_that_it_has_not_begun_or_is_done() -> None:
    hand = Hand()
    with pytest.raises(SessionError, match="start touching first"):
        hand.session.registering.capture()
    hand.hold(PARKED, 1.5)
    hand.session.registering.start()
    for point in POINTS:
        hand.move(np.array(point))
        hand.hold(np.array(point), 1.2)
    with pytest.raises(SessionError, match="every fiducial was touched"):
        hand.session.registering.capture()


def test_touching_wants_fiducials_and_a_calibrated_stylus() -> None:
    hand = Hand()
    hand.session.tools.stylus = type(hand.session.tools.stylus)()
    with pytest.raises(SessionError, match="the stylus is not calibrated: in Set up, pivot it"):
        hand.session.registering.start()
    hand.session.set_fiducials(hand.session.case.fiducials[:2])
    with pytest.raises(SessionError, match="at least three fiducials"):
        hand.session.registering.start()


def test_touches_ride_with_the_patient_reference(hand: Hand) -> None:
    """A stylus seen while the reference is not gives no point."""
    hand.move(np.array(POINTS[0]))
    from_ct = TRACKER_FROM_REFERENCE @ np.linalg.inv(CT_FROM_REFERENCE)
    for step in range(180):
        hand.now_s += 1 / 60
        stylus = np.eye(4)
        stylus[:3, 3] = (from_ct @ np.append(POINTS[1], 1.0))[:3] - STYLUS_TIP
        hand.rig.send(Role.STYLUS, stylus, hand.now_s)
        hand.rig.send(Role.REFERENCE, None, hand.now_s)
        if step % 2 == 0:
            hand.session.tick(hand.now_s)
    assert hand.taken() == 0
