"""A tracked ultrasound recording, played through the network into the console."""

from __future__ import annotations

import json
import time
from pathlib import Path

from devices.recordings import read_recording
from ir_nav.demo.room_process import DemoError, served
from ir_nav.demo.script import Player, Script, Wait
from ir_nav.gui.app import run_console
from ir_nav.gui.main_window import MainWindow
from ir_nav.gui.pages.set_up import SetUpPage
from ir_nav.gui.remote import Remote
from ir_nav.gui.sweep_view import KEPT_FRAMES
from ir_nav.session.session import Session
from ir_nav.session.steps import Step


def run_replay(
    recording: Path, calibration: Path | None, folder: Path, *, speed: float, headless: bool
) -> int:
    """Play a recording; headless it plays once, saves a picture and frames.json, and ends.

    frames.json: each frame shown, with reference_from_image (4x4, px to mm). Raises DemoError,
    or RecordingError (a DeviceError) for a file that cannot be played.
    """
    expected = sum(frame.pixels is not None for frame in read_recording(recording).frames)
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

            frames = min(expected, KEPT_FRAMES) if headless else 0
            Player(_script(remote, room_file, folder, frames), remote, ended)

        try:
            run_console(session, acknowledged=False, on_ready=ready)
        finally:
            session.close()
    if headless and failures:
        raise DemoError(failures[0])
    return 0


def _script(remote: Remote, room_file: Path, folder: Path, expected: int) -> Script:
    remote.press("acknowledge")
    remote.open_room(room_file)
    remote.go(Step.SET_UP)
    remote.press("connect")
    page = remote.window.pages[Step.SET_UP]
    assert isinstance(page, SetUpPage)
    if not expected:
        return
    yield Wait(f"{expected} frames are shown", lambda: len(page.sweep.frames) >= expected, 120.0)
    yield Wait("they are drawn", lambda: True)
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
