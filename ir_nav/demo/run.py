"""Running the demonstration, with a window or without."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ir_nav.demo.room_process import DemoError, RoomOptions, simulated_room
from ir_nav.demo.script import Player, procedure
from ir_nav.demo.summary import read_truth, summarise
from ir_nav.gui.app import run_console
from ir_nav.gui.main_window import MainWindow
from ir_nav.gui.notice import Mood
from ir_nav.gui.paint_clock import PaintSummary
from ir_nav.gui.remote import Remote
from ir_nav.recording import NeedleLog
from ir_nav.session.session import Session

OUTPUTS = ("plan.json", "session.irlog", "report.pdf", "summary.json", "screens", "truth.jsonl")

TAKEN_OVER = "the console is yours"


@dataclass(slots=True)
class _Outcome:
    failure: str | None = "the window was closed before the demonstration had ended"
    paint: PaintSummary | None = None
    log: NeedleLog | None = None


def run_demo(
    folder: Path, options: RoomOptions, *, headless: bool, by_images: bool
) -> dict[str, Any] | None:
    """Play one procedure; the summary, or None where the user took over. by_images: registered by
    ultrasound and fluoro after the landmarks.

    Writes plan.json, session.irlog, report.pdf, screens/*.png and summary.json into `folder`;
    what an earlier run left there is moved to earlier/. Raises DemoError when it cannot be
    played to its end without a window.
    """
    put_aside(folder)
    outcome = _Outcome()
    log_path = folder / "session.irlog"
    target = options.target_ct_mm
    words = None if target is None else ", ".join(f"{value:g}" for value in target)
    with simulated_room(folder, options) as files:
        session = Session(new_log=lambda: log_path)

        def ready(window: MainWindow) -> None:
            remote = Remote(window)

            def ended(failure: str | None) -> None:
                outcome.failure = failure
                outcome.paint = window.paint_clock.summary()
                outcome.log = session.journal.log
                if headless:
                    window.close()
                elif failure is None:
                    window.desk.banner.say(
                        "The demonstration has ended: the console is yours", Mood.DONE
                    )
                elif failure == TAKEN_OVER:
                    window.desk.banner.say(f"The demonstration stopped: {failure}", Mood.DONE)
                else:
                    window.desk.banner.say(f"The demonstration stopped: {failure}")

            script = procedure(remote, folder, files.room, words, by_images=by_images)
            player = Player(script, remote, ended)
            if not headless:
                remote.when_touched(lambda: player.stop(TAKEN_OVER))

        try:
            run_console(session, acknowledged=False, on_ready=ready)
        finally:
            session.close()
    if outcome.failure is not None or outcome.paint is None or outcome.log is None:
        if headless:
            raise DemoError(outcome.failure or "nothing was painted")
        return None
    summary = summarise(log_path, read_truth(files.truth), outcome.paint, outcome.log.counts())
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary


def put_aside(folder: Path) -> None:
    """Move an earlier run's files out of the way; a log is never written over."""
    found = [folder / name for name in OUTPUTS if (folder / name).exists()]
    if not found:
        return
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S-%f")
    aside = folder / "earlier" / stamp
    aside.mkdir(parents=True)
    for path in found:
        path.rename(aside / path.name)
