"""The simulated room as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

START_TIMEOUT_S = 120.0


class DemoError(Exception):
    """The demonstration cannot go on; says why."""


@dataclass(frozen=True, slots=True)
class RoomOptions:
    """What the room is started with; None leaves the room's default.

    ct, labels: a CT with a label map in place of the digital torso. target_ct_mm: LPS, mm.
    """

    seed: int = 1
    pace: float = 1.0
    tracker_noise_mm: float | None = None
    breathing_mm: float | None = None
    skin_slip_mm: float | None = None
    ct: Path | None = None
    labels: Path | None = None
    label_names: Path | None = None
    target_ct_mm: tuple[float, float, float] | None = None

    def arguments(self) -> list[str]:
        found = ["--seed", str(self.seed), "--pace", f"{self.pace:.3f}"]
        for name, value in (
            ("--tracker-noise-mm", self.tracker_noise_mm),
            ("--breathing-mm", self.breathing_mm),
            ("--skin-slip-mm", self.skin_slip_mm),
            ("--ct", self.ct),
            ("--labels", self.labels),
            ("--label-names", self.label_names),
        ):
            if value is not None:
                found += [name, str(value)]
        if self.target_ct_mm is not None:
            # One word: a value that begins with a minus would be taken for an option.
            found.append("--focus=" + ",".join(f"{value:g}" for value in self.target_ct_mm))
        return found


@dataclass(frozen=True, slots=True)
class RoomFiles:
    """What a running simulated room has written."""

    room: Path
    truth: Path


@contextmanager
def simulated_room(folder: Path, options: RoomOptions) -> Iterator[RoomFiles]:
    """A simulated room for the length of a `with` block; DemoError when it does not start."""
    files = RoomFiles(folder / "room.toml", folder / "truth.jsonl")
    arguments = ["--truth", str(files.truth), *options.arguments()]
    with served("hw_mocks", files.room, arguments):
        yield files


@contextmanager
def served(module: str, room_file: Path, arguments: list[str]) -> Iterator[None]:
    """A program that serves a room, as a process of its own, once it has written its room file.

    Raises DemoError with the program's own words when it ends before that.
    """
    room_file.parent.mkdir(parents=True, exist_ok=True)
    room_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", module, "--room", str(room_file)]
    command += ["--while-parent", str(os.getpid()), *arguments]
    with TemporaryFile("w+", encoding="utf-8") as complaints:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=complaints)
        try:
            _await_file(room_file, process, complaints)
            yield
        finally:
            process.terminate()
            try:
                process.wait(timeout=5.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await_file(path: Path, process: subprocess.Popen[bytes], complaints: IO[str]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not path.exists():
        if process.poll() is not None:
            complaints.seek(0)
            words = complaints.read().strip()[-600:] or f"exit code {process.returncode}"
            raise DemoError(f"the room did not start: {words}")
        if time.monotonic() > deadline:
            raise DemoError(f"the room was not ready after {START_TIMEOUT_S:.0f} s")
        time.sleep(0.05)
