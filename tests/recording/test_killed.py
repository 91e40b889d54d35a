"""A console killed in the middle of a procedure leaves a log that lacks at most 0.2 s."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from ir_nav.recording import read_log, read_poses

ROOT = Path(__file__).resolve().parents[2]
WRITER = """
import sys, time
from pathlib import Path
import numpy as np
from devices.contract import PoseSample, PoseStatus
from ir_nav.recording import Event, EventKind, NeedleLog

log = NeedleLog(Path(sys.argv[1]))
log.event(Event(time.time(), EventKind.NOTE, "started"))
handed = open(sys.argv[2], "w")
while True:
    matrix = np.eye(4)
    matrix[0, 3] = now_s = time.time()
    log.sample(PoseSample("NeedleToTracker", matrix, PoseStatus.OK, now_s, now_s))
    handed.write(f"{now_s!r}\\n")
    handed.flush()
    time.sleep(1 / 60)
"""


def test_a_killed_writer_loses_at_most_a_fifth_of_a_second(tmp_path: Path) -> None:
    log, handed = tmp_path / "case.irlog", tmp_path / "handed.txt"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(log), str(handed)], cwd=ROOT)
    try:
        deadline = time.monotonic() + 60.0
        while not handed.exists() or handed.read_text().count("\n") < 70:
            assert writer.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(writer.pid, signal.SIGKILL)
    finally:
        writer.kill()
        writer.wait()
    given = np.array([float(line) for line in handed.read_text().split("\n")[:-1]])
    track = read_poses(log, "NeedleToTracker")
    count = len(track.received_s)
    assert count > 0
    np.testing.assert_array_equal(track.received_s, given[:count])  # nothing missing in between
    np.testing.assert_array_equal(track.matrices[:, 0, 3], given[:count])
    # The write that was under way may be in the log and not yet in the list.
    assert given[-1] - track.received_s[-1] <= 0.2
    assert read_log(log).events[0].text == "started"
