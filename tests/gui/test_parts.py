"""Paint clock, worker, scene thread, and the words of rail and header."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtWidgets import QApplication

from ir_nav.geometry import read_only
from ir_nav.gui import theme
from ir_nav.gui.header import alarm_of, clock_words, side_of
from ir_nav.gui.needle_planes import along_axes
from ir_nav.gui.paint_clock import PaintClock
from ir_nav.gui.patient_terms import axial_words, craniocaudal_words, place_words, typed_point
from ir_nav.gui.rail import status_rows
from ir_nav.gui.scene_records import Mark, Overlays
from ir_nav.gui.scene_request import Camera, SceneRequest, Surface
from ir_nav.gui.scene_thread import Detail, SceneThread
from ir_nav.gui.worker import Worker
from ir_nav.imaging import ImagingError, Volume, skin_surface
from ir_nav.planning import PlannedPath
from ir_nav.session.case import judge
from ir_nav.session.session import Session
from ir_nav.session.state import BreathingState, DeviceStatus, Refusal
from ir_nav.session.steps import Step
from tests.gui.conftest import Made


def wait_for(app: QApplication, condition: Callable[[], bool], timeout_s: float = 20.0) -> bool:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        app.processEvents()
        if condition():
            return True
        time.sleep(0.005)
    return False


def test_paint_clock_tells_rate_and_ages() -> None:
    clock = PaintClock()
    for index in range(101):
        painted = 1000.0 + index * 0.02
        clock.note(painted - 0.010, painted)
    clock.note(None, 1002.02)
    summary = clock.summary()
    assert summary.paints == 102
    assert summary.rate_hz == pytest.approx(50.0, rel=1e-3)
    assert summary.age_p50_ms == pytest.approx(10.0, abs=0.01)
    assert summary.age_max_ms == pytest.approx(10.0, abs=0.01)
    assert clock.rate_hz() == pytest.approx(50.0, rel=1e-3)


def test_paint_clock_leaves_out_the_time_away() -> None:
    clock = PaintClock()
    for start in (0.0, 500.0):
        clock.begin()
        for index in range(51):
            clock.note(None, start + index * 0.02)
    assert clock.summary().rate_hz == pytest.approx(50.0, rel=1e-3)


def test_paint_clock_forgets_the_oldest_and_starts_empty() -> None:
    clock = PaintClock(capacity=10)
    assert clock.summary().age_p50_ms is None
    assert clock.rate_hz() == 0.0
    for index in range(25):
        clock.note(float(index), index + (1.0 if index < 15 else 0.5))
    summary = clock.summary()
    assert summary.paints == 25
    assert summary.age_max_ms == pytest.approx(500.0)


def test_worker_returns_results_and_errors_on_the_gui_thread(app: QApplication) -> None:
    worker = Worker()
    results: list[tuple[int, bool]] = []
    errors: list[Exception] = []
    worker.failed.connect(errors.append)
    main = threading.current_thread()
    worker.submit(
        "Sum",
        lambda _: 42,
        lambda value: results.append((value, threading.current_thread() is main)),
    )

    def fail(_progress: object) -> None:
        raise ImagingError("no such file")

    worker.submit("Fail", fail, lambda _: None)
    assert wait_for(app, lambda: not worker.busy)
    assert results == [(42, True)]
    assert str(errors[0]) == "no such file"
    worker.close()


def test_worker_stops_when_cancelled(app: QApplication) -> None:
    worker = Worker()
    steps: list[float] = []
    done: list[object] = []

    def work(progress: Callable[[float], None]) -> None:
        for index in range(2000):
            steps.append(index)
            progress(index / 2000)
            time.sleep(0.002)

    worker.submit("Long", work, done.append)
    assert wait_for(app, lambda: len(steps) > 3)
    worker.cancel()
    assert wait_for(app, lambda: not worker.busy)
    assert len(steps) < 1000
    assert not done
    worker.close()


def test_scene_thread_renders_and_ends(app: QApplication, volume: Volume, made: Made) -> None:
    thread = SceneThread()
    surfaces = (Surface(skin_surface(volume, 2000), theme.SKIN, 0.5),)
    # Seen from the front: the patient's left is at the right of the picture, the head above.
    marks = (Mark(read_only((40.0, 0.0, 0.0)), "A"), Mark(read_only((0.0, 0.0, 40.0)), "B"))
    request = SceneRequest(7, surfaces, Overlays(marks=marks), Camera(0.0, 0.0), (200, 150))
    thread.ask(request)
    assert wait_for(app, lambda: thread.newest() is not None or thread.fault() is not None)
    fault = thread.fault()
    assert thread.close()
    assert not [t for t in threading.enumerate() if t.name == "scene"]
    if fault is not None:
        pytest.skip(f"no off-screen OpenGL here: {fault}")
    picture = thread.newest()
    assert picture is not None
    assert picture.owner == 7
    assert picture.pixels.shape == (150, 200, 4)
    assert np.ptp(picture.pixels[..., :3].astype(int)) > 60
    (left_x, left_y, _), (head_x, head_y, name) = picture.names
    assert left_x > 0.6
    assert head_y < 0.4
    assert name == "B"
    assert head_x == pytest.approx(0.5, abs=0.03)
    assert left_y == pytest.approx(0.5, abs=0.03)


def test_camera_turns_the_patient_as_the_letters_say() -> None:
    front = Camera(0.0, 0.0).view_from_ct
    assert front @ (1.0, 0.0, 0.0) == pytest.approx((1.0, 0.0, 0.0))
    assert front @ (0.0, -1.0, 0.0) == pytest.approx((0.0, 0.0, 1.0))
    assert front @ (0.0, 0.0, 1.0) == pytest.approx((0.0, 1.0, 0.0))
    # From the patient's left the front is at the left of the picture.
    left = Camera(90.0, 0.0).view_from_ct
    assert left @ (1.0, 0.0, 0.0) == pytest.approx((0.0, 0.0, 1.0))
    assert left @ (0.0, -1.0, 0.0) == pytest.approx((-1.0, 0.0, 0.0))


def test_scene_thread_closes_before_it_was_used() -> None:
    thread = SceneThread()
    assert thread.close()
    thread.ask(SceneRequest())
    assert thread.newest() is None


def test_detail_gives_way_to_slow_rendering_and_comes_back() -> None:
    detail = Detail()
    assert [detail.after(300.0) for _ in range(5)][-1] == 2
    assert [detail.after(10.0) for _ in range(20)][-1] == 1
    assert detail.after(300.0) == 1


@pytest.mark.parametrize(
    "direction", [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0.6, -0.7, 0.2), (0.1, 0, 1), (0, 0, -1)]
)
def test_plane_along_a_needle_contains_it_and_keeps_the_head_up(
    direction: tuple[float, float, float],
) -> None:
    shaft = np.array(direction) / np.linalg.norm(direction)
    right, down = along_axes(shaft)
    normal = np.cross(right, down)
    assert abs(float(right @ down)) < 1e-9
    assert abs(float(normal @ shaft)) < 1e-9
    assert float(down[2]) < 0.0
    if abs(shaft[2]) < 0.8:
        assert float(right[int(np.argmax(np.abs(shaft[:2])))]) > 0.0
    else:
        assert float(right[0]) > 0.0


def test_status_rows_say_silence_and_loss_in_words(made: Made) -> None:
    rows = status_rows(made.state(valid=False))
    assert [(row.name, row.words) for row in rows] == [
        ("Tracker", "60 Hz · 10 ms"),
        ("Needle", "out of view"),
    ]
    lost = DeviceStatus("Tracker", False, 0.0, None, 0, "refused")
    gone = replace(made.state(), devices=(lost,))
    assert status_rows(gone)[0].words == "not connected"


def test_typed_points() -> None:
    point = typed_point("−12.5, 3 , 40")
    assert point is not None
    assert point.tolist() == [-12.5, 3.0, 40.0]
    for lettered in ("R 83 A 6 H 7", "h7 r83 a6", "R 83 · A 6 · H 7 mm", "L −83, A 6, F −7"):
        point = typed_point(lettered)
        assert point is not None, lettered
        assert point.tolist() == [-83.0, -6.0, 7.0]
    assert typed_point(place_words((-83.2, 6.4, -7.0))) is not None
    letters = ("R 83 L 6 H 7", "R 83 A 6", "R 83 A 6 H 7 F 2", "R A H", "R 8 A 6 H 7 x")
    for wrong in ("", "1, 2", "1 2 3 4", "a, b, c", "nan 1 2", *letters):
        assert typed_point(wrong) is None


def test_angles_say_where_the_tip_goes() -> None:
    # Entry R 148 P 6 F 2, target R 83 A 6 H 7: the tip goes to the head and to the front.
    path = PlannedPath.between((-148.0, 6.0, -2.0), (-83.0, -6.0, 7.0))
    found = judge(path, None)
    assert found.axial_angle_deg < 0.0
    assert craniocaudal_words(found.axial_angle_deg) == "Tip 8° toward head (H)"
    back = judge(PlannedPath.between(path.target_ct_mm, path.entry_ct_mm), None)
    assert craniocaudal_words(back.axial_angle_deg) == "Tip 8° toward feet (F)"
    assert axial_words(path.direction_ct) == "Tip 10° toward A from horizontal R-L"
    assert axial_words(-path.direction_ct) == "Tip 10° toward P from horizontal R-L"
    assert axial_words(np.array([-1.0, 0.0, 0.0])) == "Tip toward R, horizontal"
    assert axial_words(np.array([0.0, 0.0, 1.0])) == ""
    assert place_words(path.target_ct_mm) == "R 83 · A 6 · H 7 mm"
    assert place_words((83.0, 6.0, -7.0)) == "L 83 · P 6 · F 7 mm"


def test_header_words(made: Made, session: Session) -> None:
    assert clock_words(761.0) == "00:12:41"
    lost = made.state(valid=False)
    assert alarm_of(lost, Step.GUIDE) == theme.ALARM_HIGH
    assert alarm_of(lost, Step.PLAN) is None
    assert alarm_of(made.state(), Step.GUIDE) is None
    breath = replace(
        lost,
        refusal=Refusal("breathing 4.0 mm from end-expiration", "Wait"),
        breathing=BreathingState(4.0, 8.0, 2.0, True, False),
    )
    assert alarm_of(breath, Step.GUIDE) == theme.ALARM_MEDIUM
    assert side_of(session) == "MIDLINE"
    assert session.case.volume is not None
    session.load_case(session.case.volume)
    session.planning.set_target((-40.0, 0.0, 0.0))
    assert side_of(session) == "RIGHT"
