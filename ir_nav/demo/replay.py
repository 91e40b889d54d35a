"""A recording or a needle log, played through the network into the console."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np

from devices.recordings import read_recording
from ir_nav.demo.room_process import DemoError, served
from ir_nav.demo.script import Player, Script, Wait
from ir_nav.gui.app import run_console
from ir_nav.gui.main_window import MainWindow
from ir_nav.gui.pages.set_up import SetUpPage
from ir_nav.gui.remote import Remote
from ir_nav.gui.sweep_view import KEPT_FRAMES
from ir_nav.recording import read_log
from ir_nav.session.session import Session
from ir_nav.session.steps import Step

SILENCE_S = 1.0


def run_replay(
    recording: Path, calibration: Path | None, folder: Path, *, speed: float, headless: bool
) -> int:
    """Play a `.igs.mha` recording or an `.irlog` needle log; headless it plays once, saves a
    picture and frames.json, and ends.

    frames.json: each frame shown, with reference_from_image (4x4, px to mm). Raises DemoError,
    RecordingError (a DeviceError) or LogError for a file that cannot be played.
    """
    expected, lasts_s = _extent(recording)
    folder.mkdir(parents=True, exist_ok=True)
    failures: list[str] = []
    room_file = folder / "room.toml"
    arguments = [str(recording), "--speed", str(speed)]
    arguments += ["--once"] if headless else []
    arguments += ["--calibration", str(calibration)] if calibration is not None else []
    with served("hw_mocks.replay", room_file, arguments):
        stamp = time.strftime("%Y%m%d-%H%M%S")
        session = Session(new_log=lambda: folder / f"replay-{stamp}.irlog")

        def ready(window: MainWindow) -> None:
            remote = Remote(window)

            def ended(failure: str | None) -> None:
                if failure is not None:
                    failures.append(failure)
                    window.desk.banner.say(f"The replay stopped: {failure}")
                if headless:
                    window.close()

            script = _script(remote, room_file)
            if headless:
                frames = min(expected, KEPT_FRAMES)
                script = chain(script, _kept(remote, folder, frames, lasts_s / speed))
            Player(script, remote, ended)

        try:
            run_console(session, acknowledged=False, on_ready=ready)
        finally:
            session.close()
    if headless and failures:
        raise DemoError(failures[0])
    return 0


def _extent(recording: Path) -> tuple[int, float]:
    """Frames that will be shown, and how long it takes, s. A log keeps images now and then only:
    none of them is waited for."""
    if recording.suffix == ".irlog":
        times_s = read_log(recording).shown.now_s
        return 0, float(np.ptp(times_s)) if len(times_s) else 0.0
    frames = read_recording(recording).frames
    times = [frame.time_s for frame in frames]
    return sum(frame.pixels is not None for frame in frames), max(times) - min(times)


def _script(remote: Remote, room_file: Path) -> Script:
    remote.press("acknowledge")
    remote.open_room(room_file)
    remote.go(Step.SET_UP)
    remote.press("connect")
    yield Wait("the devices connect", lambda: _connected(remote), 30.0)


def _connected(remote: Remote) -> bool:
    state = remote.window.state
    return state is not None and any(device.connected for device in state.devices)


def _kept(remote: Remote, folder: Path, expected: int, lasts_s: float) -> Script:
    """Wait for the frames, or to the end where there are none; leave what was shown."""
    page = remote.window.pages[Step.SET_UP]
    assert isinstance(page, SetUpPage)
    if expected:
        yield Wait(
            f"{expected} frames are shown", lambda: len(page.sweep.frames) >= expected, 120.0
        )
        yield Wait("they are drawn", lambda: True)
    else:
        yield Wait("the recording is over", _silent(remote.window.session, lasts_s), lasts_s + 60.0)
    remote.window.grab_to(folder / "screens" / "replay.png")
    shown = [
        {
            "source_s": frame.sample.source_s,
            "size_px": list(frame.sample.pixels.shape[1::-1]),
            "mean": float(frame.sample.pixels.mean()),
            "reference_from_image": frame.reference_from_image.tolist(),
        }
        for frame in page.sweep.frames
    ]
    text = json.dumps({"format": 1, "frames": shown}, indent=1)
    (folder / "frames.json").write_text(text + "\n", encoding="utf-8")


def _silent(session: Session, lasts_s: float) -> Callable[[], bool]:
    """Whether a recording that lasts so long has been played and nothing more comes."""
    began_s = time.time()

    def silent() -> bool:
        newest_s, now_s = session.connection.newest_pose_s, time.time()
        if newest_s == 0.0:
            return now_s > began_s + lasts_s + SILENCE_S + 10.0
        return now_s > max(began_s + lasts_s, newest_s + SILENCE_S)

    return silent
