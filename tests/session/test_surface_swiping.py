"""The stylus swiped over a belly: points, strokes, a registration true to the millimetre."""

from __future__ import annotations

import numpy as np
import pytest

from devices.contract import PoseStatus
from ir_nav.imaging import skin_surface
from ir_nav.registration import Method
from ir_nav.registration.surface import Tissue
from ir_nav.session.errors import SessionError
from ir_nav.session.session import Session
from ir_nav.session.state import Role
from tests.registration.surfaces_made import torso
from tests.session.rig import NOW_S, STYLUS_TIP, Rig, calibration
from tests.session.swiping_scene import (
    TARGET_CT,
    Stroker,
    belly,
    error_mm,
    off_start,
    skin,
)


class Bench:
    """A session with the belly, a plan and a stylus that lies on the skin."""

    def __init__(self, *, prepared: bool = True) -> None:
        self.rig = Rig()
        self.stroker = Stroker(self.rig)
        self.session = Session(lambda: self.stroker.now_s)
        self.session.load_case(belly())
        self.session.planning.set_target(TARGET_CT, "liver")
        self.session.planning.set_entry((60.0, -95.0, 20.0))
        self.session.approving.approve("P", confirmed=True)
        self.session.connection.room = self.rig.room
        self.session.connection.streams = self.rig.streams
        self.session.tools.stylus = calibration(STYLUS_TIP, False)
        self.swiping = self.session.swiping
        self.registering = self.session.registering
        self.stroker.put(torso(np.array([0.3]), np.array([0.7]))[0])
        self.swiping.advance(NOW_S)
        if prepared:
            self.swiping.keep(skin())

    def stroke(self, height: float, first: float = 0.5, last: float = 1.0) -> None:
        self.swiping.touch(True)
        self.stroker.stroke(self.stroker.places(height, first, last), self.swiping.advance)
        self.swiping.touch(False)

    def register(self) -> bool:
        return self.swiping.conclude(self.swiping.solution()(lambda _part: None))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_belly_is_the_one_that_is_swiped() -> None:
    mesh = skin_surface(belly(), 20_000)
    inner = mesh.points_ct_mm[np.abs(mesh.points_ct_mm[:, 2]) < 100.0]
    height = 0.5 - inner[:, 2] / 320.0
    fine = np.linspace(0.0, 1.0, 3000)
    away = [
        np.linalg.norm(torso(np.full(3000, at), fine) - point, axis=1).min()
        for point, at in zip(inner[::400], height[::400], strict=True)
    ]
    assert np.median(away) < 0.7
    assert max(away) < 1.5


def test_swiped_skin_corrects_a_registration_ten_millimetres_off() -> None:
    bench = Bench(prepared=False)
    start = off_start(10.0, 4.0)
    bench.registering.registration = start
    assert error_mm(start) == pytest.approx(10.0)
    for height in (0.25, 0.4, 0.55, 0.7):
        bench.stroke(height)
    assert bench.swiping.doubt == ""
    assert bench.swiping.strokes == 4
    assert bench.register()
    found = bench.swiping.found
    assert found is not None
    assert found.registration.accepted, found.registration.reason
    assert found.kept.mean() > 0.9
    assert 0.3 < (found.registration.residual_rms_mm or 0.0) < 1.2
    assert bench.registering.registration is start  # guidance goes on until it is accepted
    taken = bench.swiping.accept()
    assert bench.registering.registration is taken
    assert taken.method is Method.SURFACE
    assert error_mm(taken) < 0.5


def test_points_are_shown_where_the_registration_at_hand_has_them(bench: Bench) -> None:
    bench.stroke(0.4)
    assert bench.swiping.points_ct_mm() is None
    bench.registering.registration = off_start(0.0, 0.0)
    points = bench.swiping.points_ct_mm()
    assert points is not None
    fine = torso(np.full(3000, 0.4), np.linspace(0.5, 1.0, 3000))
    away = [np.linalg.norm(fine - point, axis=1).min() for point in points]
    assert np.median(away) < 1.5


def test_a_stroke_is_taken_back_and_drops_what_was_found(bench: Bench) -> None:
    bench.registering.registration = off_start(5.0, 2.0)
    for height in (0.3, 0.5, 0.7):
        bench.stroke(height)
    count = len(bench.swiping.swipes)
    assert bench.register()
    bench.swiping.undo()
    assert bench.swiping.found is None
    assert 0 < len(bench.swiping.swipes) < count
    bench.swiping.undo()
    bench.swiping.undo()
    assert len(bench.swiping.swipes) == 0
    with pytest.raises(SessionError, match="nothing was swiped"):
        bench.swiping.undo()


def test_a_stroke_that_took_nothing_is_none_to_take_back(bench: Bench) -> None:
    bench.stroke(0.4)
    count = len(bench.swiping.swipes)
    bench.swiping.touch(True)
    bench.swiping.touch(False)
    assert bench.swiping.strokes == 1
    bench.swiping.undo()
    assert count > 0
    assert len(bench.swiping.swipes) == 0


def test_nothing_is_taken_off_the_surface_or_while_a_tool_is_not_ok(bench: Bench) -> None:
    bench.stroker.stroke(bench.stroker.places(0.4, 0.5, 0.6), bench.swiping.advance)
    assert len(bench.swiping.swipes) == 0
    bench.swiping.touch(True)
    bench.stroker.now_s += 0.02
    bench.rig.send(Role.REFERENCE, None, bench.stroker.now_s, PoseStatus.MISSING)
    bench.swiping.advance(bench.stroker.now_s)
    assert bench.swiping.hindered is not None
    assert "reference" in bench.swiping.hindered
    bench.swiping.touch(False)
    with pytest.raises(SessionError, match="reference"):
        bench.swiping.touch(True)


def test_a_swipe_on_one_spot_says_what_is_missing(bench: Bench) -> None:
    with pytest.raises(SessionError, match="swipe the stylus"):
        bench.swiping.solution()
    for height in (0.48, 0.49, 0.5, 0.51, 0.52):
        bench.stroke(height, 0.7, 0.8)
    assert "swipe a wider area" in bench.swiping.doubt or "go on" in bench.swiping.doubt


def test_points_do_not_outlive_what_they_were_measured_with(bench: Bench) -> None:
    bench.stroke(0.4)
    bench.registering.reference_moved()
    bench.swiping.advance(bench.stroker.now_s)
    assert len(bench.swiping.swipes) == 0
    bench.stroker.now_s += 0.1
    bench.stroker.put(torso(np.array([0.3]), np.array([0.7]))[0])
    bench.stroke(0.5)
    assert len(bench.swiping.swipes) > 50
    bench.swiping.choose(Tissue.BONE)
    assert len(bench.swiping.swipes) == 0
    bench.swiping.choose(Tissue.SKIN)
    bench.stroke(0.5)
    bench.session.load_case(belly())
    bench.session.connection.streams = Rig().streams
    bench.swiping.advance(bench.stroker.now_s)
    assert len(bench.swiping.swipes) == 0


def test_points_swiped_while_it_was_worked_out_are_not_lost(bench: Bench) -> None:
    bench.registering.registration = off_start(5.0, 2.0)
    for height in (0.3, 0.5, 0.7):
        bench.stroke(height)
    outcome = bench.swiping.solution()(lambda _part: None)
    bench.stroke(0.6)
    assert not bench.swiping.conclude(outcome)
    assert bench.swiping.found is None
    assert bench.swiping.prepared is not None
