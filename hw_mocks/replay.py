"""`python -m hw_mocks.replay`: a recording played over the network as devices."""

from __future__ import annotations

import argparse
import signal
import sys
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from threading import Event as Flag

import numpy as np

from devices.contract import DeviceError
from devices.openigtlink import OpenIGTLinkServer
from devices.recordings import RecordedFrame, Recording, read_recording
from ir_nav.geometry import FloatArray

ROLES = {"ProbeToTracker": "probe", "ReferenceToTracker": "reference"}
ROLES |= {"NeedleToTracker": "needle", "StylusToTracker": "stylus"}
# Stands in where no calibration is given: frames lie at the probe with a plausible size.
NOMINAL_MM_PER_PX = 0.2
MAX_WIRE_NAME = 20
WAIT_FOR_CONSOLE_S = 60.0


class ReplayError(ValueError):
    """A recording cannot be played."""


@dataclass(frozen=True, slots=True)
class Timing:
    """speed: 1 is the original. repeat: start again at the end, after a second."""

    speed: float
    repeat: bool


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    stopping = Flag()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stopping.set())
    try:
        recording = read_recording(options.recording)
        probe_from_image = image_calibration(options.calibration)
    except (DeviceError, ReplayError) as error:
        sys.stderr.write(f"replay: {error}\n")
        return 2
    timing = Timing(options.speed, not options.once)
    with (
        OpenIGTLinkServer("Tracker", keepalive_s=0.4) as tracker,
        OpenIGTLinkServer("Ultrasound", keepalive_s=0.4) as scanner,
    ):
        text = room_toml(recording, tracker.port, scanner.port, probe_from_image)
        options.room.parent.mkdir(parents=True, exist_ok=True)
        part = options.room.with_name(options.room.name + ".part")
        part.write_text(text, encoding="utf-8")
        part.replace(options.room)
        _await_console(tracker, scanner, recording.has_images, stopping)
        _play(recording, tracker, scanner, timing, stopping)
        while not stopping.wait(0.5):
            if options.while_parent and not Path(f"/proc/{options.while_parent}").exists():
                break
    return 0


def image_calibration(path: Path | None) -> FloatArray | None:
    """Image to Probe (4, 4), px to mm, of a Plus device set; None without a file."""
    if path is None:
        return None
    try:
        root = ET.parse(path).getroot()
    except (OSError, ET.ParseError) as error:
        raise ReplayError(f"{path}: not a Plus device set ({error})") from None
    for element in root.iter("Transform"):
        if element.get("From") == "Image" and element.get("To") == "Probe":
            numbers = [float(part) for part in (element.get("Matrix") or "").split()]
            if len(numbers) == 16:
                return np.array(numbers).reshape(4, 4)
    raise ReplayError(f"{path}: holds no Image to Probe transform")


def room_toml(
    recording: Recording, tracker_port: int, scanner_port: int, probe_from_image: FloatArray | None
) -> str:
    """The room file of a recording."""
    lines = ["format = 1", f'name = "{recording.path.name}"', 'source = "replay"']
    for name, port in (("Tracker", tracker_port), ("Ultrasound", scanner_port)):
        if name == "Ultrasound" and not recording.has_images:
            continue
        lines += ["", "[[devices]]", f'name = "{name}"', 'kind = "openigtlink"', f"port = {port}"]
        lines += ["protocol_version = 2"]
    for name in recording.pose_names:
        if name in ROLES:
            lines += ["", "[[tools]]", f'role = "{ROLES[name]}"', f'name = "{ROLES[name].title()}"']
            lines += ['device = "Tracker"', f'transform = "{name}"']
    if recording.has_images:
        matrix = probe_from_image
        if matrix is None:
            matrix = np.diag([NOMINAL_MM_PER_PX] * 3 + [1.0])
        rows = next(frame.pixels for frame in recording.frames if frame.pixels is not None).shape[0]
        depth = rows * float(np.linalg.norm(matrix[:3, 1]))
        lines += ["", "[ultrasound]", 'device = "Ultrasound"', 'image = "Image"']
        lines += [f"depth_mm = {depth:.1f}", f"probe_from_image = {matrix.tolist()}"]
        lines += [f"calibrated = {'true' if probe_from_image is not None else 'false'}"]
    return "\n".join(lines) + "\n"


def _await_console(
    tracker: OpenIGTLinkServer, scanner: OpenIGTLinkServer, images: bool, stopping: Flag
) -> None:
    deadline = time.monotonic() + WAIT_FOR_CONSOLE_S
    while time.monotonic() < deadline and not stopping.wait(0.05):
        if tracker.clients() and (scanner.clients() or not images):
            stopping.wait(0.3)
            return


def _play(
    recording: Recording,
    tracker: OpenIGTLinkServer,
    scanner: OpenIGTLinkServer,
    timing: Timing,
    stopping: Flag,
) -> None:
    first_s = recording.frames[0].time_s
    while not stopping.is_set():
        start_s = time.time()
        for frame in recording.frames:
            due_s = start_s + (frame.time_s - first_s) / timing.speed
            if stopping.wait(max(0.0, due_s - time.time())):
                return
            _send(frame, due_s, tracker, scanner)
        if not timing.repeat:
            return
        stopping.wait(1.0)


def _send(
    frame: RecordedFrame, stamp_s: float, tracker: OpenIGTLinkServer, scanner: OpenIGTLinkServer
) -> None:
    for name, pose in frame.poses.items():
        if len(name) <= MAX_WIRE_NAME:
            tracker.send_pose(name, pose.matrix, status=pose.status, timestamp_s=stamp_s)
    if frame.pixels is not None:
        scanner.send_image("Image", frame.pixels, np.eye(4), timestamp_s=stamp_s)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m hw_mocks.replay", description=__doc__)
    parser.add_argument("recording", type=Path)
    parser.add_argument("--room", type=Path, default=Path("out/replay/room.toml"))
    parser.add_argument("--calibration", type=Path, help="Plus device set with Image to Probe")
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--once", action="store_true", help="play once instead of again and again")
    parser.add_argument("--while-parent", type=int, help="stop when this process has ended")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
