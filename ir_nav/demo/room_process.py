"""The simulated room as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

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
    ct: Path | None = None
    labels: Path | None = None
    label_names: Path | None = None
    target_ct_mm: tuple[float, float, float] | None = None

    def arguments(self) -> list[str]:
        found = ["--seed", str(self.seed), "--pace", f"{self.pace:.3f}"]
        for name, value in (
            ("--tracker-noise-mm", self.tracker_noise_mm),
            ("--breathing-mm", self.breathing_mm),
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


class RoomProcess:
    """`python -m hw_mocks`, from start to end of a `with` block."""

    def __init__(self, folder: Path, options: RoomOptions, module: str = "hw_mocks") -> None:
        self.room_file = folder / "room.toml"
        self.truth_file = folder / "truth.jsonl"
        self._command = [
            sys.executable,
            "-m",
            module,
            "--room",
            str(self.room_file),
            "--truth",
            str(self.truth_file),
            "--while-parent",
            str(os.getpid()),
            *options.arguments(),
        ]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.room_file.parent.mkdir(parents=True, exist_ok=True)
        self.room_file.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.room_file.exists():
            if self._process.poll() is not None:
                raise DemoError(f"the simulated room did not start: {self._complaint()}")
            if time.monotonic() > deadline:
                self.__exit__()
                raise DemoError(f"the simulated room was not ready after {START_TIMEOUT_S:.0f} s")
            time.sleep(0.05)
        return self

    def __exit__(self, *exc: object) -> None:
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stderr is not None:
            process.stderr.close()

    def _complaint(self) -> str:
        process = self._process
        if process is None or process.stderr is None:
            return "no reason given"
        return process.stderr.read().strip()[-600:] or f"exit code {process.returncode}"
