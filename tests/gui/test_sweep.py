"""Frames in space: every one that the room sent, at its pose, whatever the screen is busy with."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtWidgets import QApplication

from devices.contract import PoseStatus
from devices.recordings import RecordedPose
from hw_mocks.faults import Faults
from hw_mocks.playlist import Message, Playlist
from hw_mocks.replay import Timing, play, recording_server, room_toml
from ir_nav.gui.main_window import MainWindow
from ir_nav.gui.pages.set_up import SetUpPage
from ir_nav.gui.sweep_view import SweepView
from ir_nav.session.frame_queue import FrameQueue
from ir_nav.session.session import Session
from ir_nav.session.state import NavigationState, Role, Source
from ir_nav.session.steps import Step
from ir_nav.session.swept_frames import Sweep
from tests.session.rig import NOW_S, PROBE_FROM_IMAGE, Rig, pose, wait_for

Windows = Callable[..., MainWindow]
COUNT, RATE_HZ = 120, 60.0


def recorded() -> Playlist:
    """Two seconds of images, each with its number in its first pixel and 0.1 mm further."""
    messages = []
    for number in range(COUNT):
        matrix = np.eye(4)
        matrix[2, 3] = 0.1 * number
        pixels = np.zeros((240, 320), np.uint8)
        pixels[0, 0] = number
        for name, payload in (
            ("ProbeToTracker", RecordedPose(matrix, PoseStatus.OK)),
            ("Image", pixels),
        ):
            messages.append(Message(number / RATE_HZ, name, payload))
    return Playlist("made", tuple(messages))


def test_a_screen_slower_than_the_recording_shows_each_frame_at_its_pose(
    app: QApplication, make_window: Windows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tick that takes 150 ms meets nine images: all of them are placed."""
    playlist, room_file = recorded(), tmp_path / "room.toml"
    session = Session(new_log=lambda: tmp_path / "a.irlog")
    tick = session.tick

    def slow(now_s: float) -> NavigationState:
        time.sleep(0.15)
        return tick(now_s)

    with (
        recording_server("Tracker", playlist) as tracker,
        recording_server("Ultrasound", playlist) as scanner,
    ):
        room_file.write_text(room_toml(playlist, tracker.port, scanner.port, None))
        window = make_window(session)
        session.open_room(room_file)
        session.connect()
        wait_for(lambda: tracker.clients() and scanner.clients(), "the console")
        time.sleep(0.3)
        monkeypatch.setattr(session, "tick", slow)
        assert window.go(Step.SET_UP)
        page = window.pages[Step.SET_UP]
        assert isinstance(page, SetUpPage)
        arguments = (playlist, Faults(), tracker, scanner, Timing(1.0, False), threading.Event())
        playing = threading.Thread(target=play, args=arguments)
        playing.start()

        def shown() -> bool:
            app.processEvents()
            return len(page.sweep.frames) >= COUNT

        wait_for(shown, "every frame", 15.0)
        playing.join()
        session.close()
    frames = page.sweep.frames
    assert [int(one.sample.pixels[0, 0]) for one in frames] == list(range(COUNT))
    heights = [one.reference_from_image[2, 3] for one in frames]
    np.testing.assert_allclose(heights, 0.1 * np.arange(COUNT), atol=1e-3)
    assert page.sweep.note == "drag to turn"


def rig_with(source: Source = Source.SIMULATED) -> Rig:
    rig = Rig()
    rig.room = rig.room.model_copy(update={"source": source})
    rig.__post_init__()
    return rig


def seen(rig: Rig, step: int) -> None:
    """Reference and probe just before and after a frame."""
    for off_s in (-0.01, 0.01):
        for role in (Role.REFERENCE, Role.PROBE):
            rig.send(role, pose(3, (0.0, 0.0, float(step))), NOW_S + step / 20.0 + off_s)


def test_a_frame_waits_for_its_pose_and_one_without_is_let_go_with_its_reason() -> None:
    rig = rig_with()
    assert rig.room.ultrasound is not None
    sweep = Sweep(rig.room.ultrasound, rig.streams)
    rig.frame(NOW_S, NOW_S)
    assert sweep.gather(NOW_S) == ()
    seen(rig, 0)
    (first,) = sweep.gather(NOW_S + 0.02)
    probe = np.array(PROBE_FROM_IMAGE)
    assert first.reference_from_image is not None
    # Reference and probe lie at one place: what remains is the calibration.
    np.testing.assert_allclose(first.reference_from_image[:, [0, 1, 3]], probe[:, [0, 1, 3]], atol=1e-9)  # fmt: skip  # noqa: E501
    rig.frame(NOW_S + 1.0, NOW_S + 1.0)
    assert sweep.gather(NOW_S + 1.1) == ()
    (second,) = sweep.gather(NOW_S + 3.0)
    assert second.reference_from_image is None
    assert "no pose around the image" in str(second.reason)


def test_a_long_absence_is_made_up_for_in_portions_that_leave_time_to_paint() -> None:
    rig = rig_with(Source.REPLAY)
    for step in range(100):
        rig.frame(NOW_S + step / 20.0, NOW_S + step / 20.0)
        seen(rig, step)
    assert rig.room.ultrasound is not None
    sweep, portions = Sweep(rig.room.ultrasound, rig.streams), []
    while portions[-1:] != [0]:
        portions.append(len(sweep.gather(NOW_S + 5.0)))
    assert sum(portions) == 100
    assert max(portions) <= 12
    assert sweep.lost == 0


def test_what_nobody_fetches_is_bounded_and_counted() -> None:
    rig = Rig()
    queue, frames = FrameQueue(1_000_000), [rig.frame(NOW_S + n, NOW_S + n) for n in range(20)]
    for frame in frames:
        queue.put(frame)
    # Eight frames of 120,000 pixels fit.
    assert queue.lost == 12
    assert queue.take(3) == tuple(frames[12:15])
    assert queue.take(99) == tuple(frames[15:])
    queue.put(frames[0])
    assert (queue.lost, queue.take(9)) == (12, (frames[0],))


def test_an_empty_view_says_why_and_losses_of_a_recording_are_in_its_title(
    app: QApplication, session: Session
) -> None:
    rig = rig_with(Source.REPLAY)
    session.connection.room, session.connection.streams = rig.room, rig.streams
    view = SweepView()
    view.follow(session, NOW_S)
    rig.frame(NOW_S, NOW_S)
    view.follow(session, NOW_S)
    view.follow(session, NOW_S + 3.0)
    assert view.frames == ()
    assert "no pose" in str(view._reason)
    rig.streams.swept.lost = 3
    view.follow(session, NOW_S + 3.0)
    assert view.note == "3 frames not drawn"
    session.connection.streams = None
    view.follow(session, NOW_S + 4.0)
