"""What goes wrong in a room, with the room as a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from ir_nav.recording import read_log, read_poses
from ir_nav.session.session import Session
from ir_nav.session.state import NavigationState, Role, ToolState
from tests.end_to_end.running import ir_nav

pytestmark = pytest.mark.end_to_end


class Room:
    """`python -m hw_mocks` on fixed ports, so that it can come back where it was."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "room.toml"
        self._folder = folder
        self._port = _free_ports()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        self.file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "hw_mocks", "--room", str(self.file)]
        command += ["--truth", str(self._folder / f"truth-{time.monotonic_ns()}.jsonl")]
        command += ["--port", str(self._port), "--while-parent", str(os.getpid())]
        command += options
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 90.0
        while not self.file.exists():
            assert self._process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()


def _free_ports() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return min(int(probe.getsockname()[1]), 65000)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    found = Room(tmp_path)
    found.start()
    yield found
    found.kill()


@pytest.fixture
def session(tmp_path: Path, room: Room) -> Iterator[Session]:
    found = Session(new_log=lambda: tmp_path / "session.irlog")
    found.open_room(room.file)
    found.connect()
    yield found
    found.close()


def until(
    session: Session, holds: Callable[[NavigationState], bool], timeout_s: float
) -> NavigationState:
    deadline = time.monotonic() + timeout_s
    while True:
        state = session.tick(time.time())
        if holds(state):
            return state
        assert time.monotonic() < deadline, state.refusal
        time.sleep(0.02)


def sees_needle(state: NavigationState) -> bool:
    needle = state.tool(Role.NEEDLE)
    return needle is not None and needle.state is ToolState.OK


def test_a_room_that_dies_and_comes_back_is_noticed_named_and_taken_up_again(
    session: Session, room: Room, tmp_path: Path
) -> None:
    until(session, sees_needle, 20.0)
    room.kill()
    state = until(session, lambda now: not sees_needle(now), 3.0)
    assert state.refusal is not None
    assert "needle stale" in state.refusal.reason
    assert "connection" in state.refusal.cure
    lost = until(session, lambda now: not any(d.connected for d in now.devices), 5.0)
    assert all(device.reason for device in lost.devices)
    room.start()
    back_s = time.monotonic()
    until(session, sees_needle, 10.0)
    assert time.monotonic() - back_s < 2.0
    until(session, lambda _: time.monotonic() - back_s > 3.0, 10.0)
    session.close()
    log = read_log(tmp_path / "session.irlog")
    words = [event.text for event in log.events if event.text.startswith("Tracker")]
    assert words[0] == "Tracker connected"
    assert words[1].startswith("Tracker lost")
    assert words[2] == "Tracker connected"
    poses = read_poses(tmp_path / "session.irlog", "NeedleToTracker")
    returned = [event for event in log.events if event.text == "Tracker connected"][-1]
    assert poses.received_s[-1] > returned.time_s
    assert (poses.received_s[1:] >= poses.received_s[:-1]).all()


def test_a_covered_needle_is_out_of_view_until_it_is_seen_again(session: Session) -> None:
    until(session, sees_needle, 20.0)

    def listens(_: NavigationState) -> bool:
        return session.connection.operator is not None and session.connection.operator.listening

    until(session, listens, 10.0)
    session.connection.ask_operator("cover needle", seconds=1.0)
    state = until(session, lambda now: not sees_needle(now), 5.0)
    needle = state.tool(Role.NEEDLE)
    assert needle is not None
    assert needle.state is ToolState.MISSING
    assert state.refusal is not None
    assert "out of view" in state.refusal.reason
    assert "line of sight" in state.refusal.cure
    until(session, sees_needle, 5.0)


def test_a_room_with_an_ndi_tracker_works_like_any_other(tmp_path: Path) -> None:
    """The whole chain: .rom files, BX replies, statuses, images matched to poses."""
    room = Room(tmp_path)
    room.start("--tracker", "ndi")
    session = Session(new_log=lambda: tmp_path / "session.irlog")
    try:
        session.open_room(room.file)
        session.connect()
        until(session, sees_needle, 20.0)

        def image_at_its_pose(now: NavigationState) -> bool:
            return now.ultrasound is not None and now.ultrasound.reference_from_image is not None

        until(session, image_at_its_pose, 10.0)
        until(
            session,
            lambda _: (
                session.connection.operator is not None and session.connection.operator.listening
            ),
            10.0,
        )
        session.connection.ask_operator("cover needle", seconds=1.0)
        state = until(session, lambda now: not sees_needle(now), 5.0)
        needle = state.tool(Role.NEEDLE)
        assert needle is not None
        assert needle.state is ToolState.MISSING
        until(session, sees_needle, 5.0)
        seen_s = time.monotonic()
        until(session, lambda _: time.monotonic() - seen_s > 2.0, 10.0)
    finally:
        session.close()
        room.kill()
    poses = read_poses(tmp_path / "session.irlog", "NeedleToTracker")
    seen = ~np.isnan(poses.matrices[:, 0, 3])
    assert seen.sum() > 60
    assert (np.diff(poses.source_s) > 0.0).all()


def test_a_misspelt_key_in_the_room_file_is_named_with_the_right_one(tmp_path: Path) -> None:
    path = tmp_path / "room.toml"
    path.write_text(
        'format = 1\nname = "Lab"\nsource = "live"\n'
        '[[devices]]\nname = "Tracker"\nkind = "openigtlink"\nprot = 18944\n'
    )
    done = ir_nav("console", "--room", path)
    assert done.returncode == 1
    assert "prot: unknown key; did you mean 'port'?" in done.stderr
