"""`python -m hw_mocks.replay`: a recording or a needle log played over the network as devices.

Sequences (.igs.mha), with images or of transforms only, and needle logs (.irlog; pixels are in it
twice a second and stream). Faults can be added to what was recorded.
"""

from __future__ import annotations

import argparse
import json
import math
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
from devices.recordings import RecordedPose
from hw_mocks.faults import Faults, skewed_s
from hw_mocks.playlist import Playlist, ReplayError, Sending, read_playlist, sendings
from ir_nav.geometry import FloatArray

ROLES = {"ProbeToTracker": "probe", "ReferenceToTracker": "reference"}
ROLES |= {"NeedleToTracker": "needle", "StylusToTracker": "stylus"}
# Stands in where no calibration is given: frames lie at the probe with a plausible size.
NOMINAL_MM_PER_PX = 0.2
# Streams of a needle log that are no ultrasound.
OTHER_IMAGES = ("Fluoro",)
BETWEEN_ROUNDS_S = 1.0
WAIT_FOR_CONSOLE_S = 60.0
# A client that reads slowly is waited for; one that reads nothing for so long loses what is oldest.
PATIENCE_S = 10.0
LOOK_S = 0.1
LEAST_QUEUE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Timing:
    """speed: 1 is the original. repeat: start again at the end, after a second."""

    speed: float
    repeat: bool


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    try:
        faults = _faults(options)
        playlist = read_playlist(options.recording)
        probe_from_image = image_calibration(options.calibration)
        stopping = Flag()
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, lambda *_: stopping.set())
        serve(playlist, faults, probe_from_image, options, stopping)
    except (DeviceError, ValueError) as error:
        sys.stderr.write(f"replay: {error}\n")
        return 2
    return 0


def serve(
    playlist: Playlist,
    faults: Faults,
    probe_from_image: FloatArray | None,
    options: argparse.Namespace,
    stopping: Flag,
) -> None:
    """Write the room file, wait for the console, play, and stay until told to stop."""
    timing = Timing(options.speed, not options.once)
    second = options.port + 1 if options.port else 0
    with (
        recording_server("Tracker", playlist, options.port) as tracker,
        recording_server("Ultrasound", playlist, second) as scanner,
    ):
        text = room_toml(playlist, tracker.port, scanner.port, probe_from_image)
        options.room.parent.mkdir(parents=True, exist_ok=True)
        part = options.room.with_name(options.room.name + ".part")
        part.write_text(text, encoding="utf-8")
        part.replace(options.room)
        _await_console(tracker, scanner, ultrasound_name(playlist) is not None, stopping)
        play(playlist, faults, tracker, scanner, timing, stopping)
        _tell_losses(tracker, scanner)
        while not stopping.wait(0.5):
            if options.while_parent and not Path(f"/proc/{options.while_parent}").exists():
                break


def recording_server(name: str, playlist: Playlist, port: int = 0) -> OpenIGTLinkServer:
    """A server that loses nothing of a playlist while its clients read at all."""
    images = (one.payload for one in playlist.messages if isinstance(one.payload, np.ndarray))
    largest = max((pixels.nbytes for pixels in images), default=0)
    queue_bytes = max(LEAST_QUEUE_BYTES, 4 * largest)
    return OpenIGTLinkServer(name, port, queue_bytes=queue_bytes, keepalive_s=0.4, lossless=True)


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


def ultrasound_name(playlist: Playlist) -> str | None:
    """The stream that is shown as ultrasound, or None without images."""
    names = playlist.first_images.keys() - set(OTHER_IMAGES)
    return min(names, default=None)


def room_toml(
    playlist: Playlist, tracker_port: int, scanner_port: int, probe_from_image: FloatArray | None
) -> str:
    """The room file of a recording."""
    lines = ["format = 1", f"name = {json.dumps(playlist.title)}", 'source = "replay"']
    image = ultrasound_name(playlist)
    for name, port in (("Tracker", tracker_port), ("Ultrasound", scanner_port)):
        if name == "Ultrasound" and image is None:
            continue
        lines += ["", "[[devices]]", f'name = "{name}"', 'kind = "openigtlink"', f"port = {port}"]
        lines += ["protocol_version = 2"]
    for name in playlist.pose_names:
        if name in ROLES:
            lines += ["", "[[tools]]", f'role = "{ROLES[name]}"', f'name = "{ROLES[name].title()}"']
            lines += ['device = "Tracker"', f'transform = "{name}"']
    if image is not None:
        matrix = probe_from_image
        if matrix is None:
            matrix = np.diag([NOMINAL_MM_PER_PX] * 3 + [1.0])
        rows = playlist.first_images[image].shape[0]
        depth = rows * float(np.linalg.norm(matrix[:3, 1]))
        lines += ["", "[ultrasound]", 'device = "Ultrasound"', f"image = {json.dumps(image)}"]
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


def play(
    playlist: Playlist,
    faults: Faults,
    tracker: OpenIGTLinkServer,
    scanner: OpenIGTLinkServer,
    timing: Timing,
    stopping: Flag,
) -> None:
    """Send everything at its time, once or until `stopping` is set. Drift and skew go on from
    round to round. While a client is slow everything is later, stamped as it was due."""
    began_s, began_mono_s = time.time(), time.monotonic()
    round_s = playlist.duration_s / timing.speed + BETWEEN_ROUNDS_S
    start_s = 0.0
    while not stopping.is_set():
        for sending in sendings(playlist, faults, timing.speed, start_s):
            wait_s = began_mono_s + sending.at_s - time.monotonic()
            if stopping.wait(max(0.0, wait_s)):
                return
            _await_room((tracker, scanner), stopping)
            stamp_s = skewed_s(faults, began_s + sending.due_s, began_s)
            _send(sending, stamp_s, tracker, scanner)
        if not timing.repeat:
            return
        start_s += round_s


def _await_room(servers: tuple[OpenIGTLinkServer, ...], stopping: Flag) -> None:
    """Until every client that reads at all has room for the next message, or it is to stop."""
    while not all(server.await_room(LOOK_S, PATIENCE_S) for server in servers):
        if stopping.is_set():
            return


def _tell_losses(*servers: OpenIGTLinkServer) -> None:
    """Say which messages a client that stopped reading has lost."""
    for server in servers:
        for name, count in server.drops().items():
            sys.stderr.write(f"replay: {count} of {name} lost: a client has stopped reading\n")


def _send(
    sending: Sending, stamp_s: float, tracker: OpenIGTLinkServer, scanner: OpenIGTLinkServer
) -> None:
    payload = sending.payload
    if isinstance(payload, RecordedPose):
        tracker.send_pose(sending.name, payload.matrix, status=payload.status, timestamp_s=stamp_s)
    elif isinstance(payload, str):
        tracker.send_text(sending.name, payload, timestamp_s=stamp_s)
    else:
        scanner.send_image(sending.name, payload, np.eye(4), timestamp_s=stamp_s)


def _faults(options: argparse.Namespace) -> Faults:
    return Faults(
        delay_s=options.delay_ms / 1e3,
        jitter_s=options.jitter_ms / 1e3,
        loss=options.loss,
        dropout=options.dropout,
        drift_mm_min=options.drift_mm_min,
        distortion_mm=options.distortion_mm,
        skew_ppm=options.skew_ppm,
        seed=options.seed,
    )


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m hw_mocks.replay", description=__doc__)
    add = parser.add_argument
    add("recording", type=Path)
    add("--room", type=Path, default=Path("out/replay/room.toml"))
    add("--calibration", type=Path, help="Plus device set with Image to Probe")
    add("--port", type=_port, default=0, help="of the tracker, images on the next; 0: free ones")
    add("--speed", type=_speed, default=1.0, help="1 is the original timing")
    add("--once", action="store_true", help="play once instead of again and again")
    add("--while-parent", type=int, help="stop when this process has ended")
    add("--delay-ms", type=float, default=0.0, help="of every message")
    add("--jitter-ms", type=float, default=0.0, help="each message is later by up to so much")
    add("--loss", type=float, default=0.0, help="share of messages that never come, 0 to 1")
    add("--dropout", type=float, default=0.0, help="share of time each tool is missing, 0 to 1")
    add("--drift-mm-min", type=float, default=0.0, help="all poses wander off, mm per minute")
    add("--distortion-mm", type=float, default=0.0, help="largest error by place")
    add("--skew-ppm", type=float, default=0.0, help="how much faster the sender's clock runs")
    add("--seed", type=int, default=1, help="of the faults, 0 or more")
    return parser.parse_args(arguments)


def _speed(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and 0.01 <= value <= 1000.0):
        raise argparse.ArgumentTypeError("must be between 0.01 and 1000")
    return value


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 65534:
        raise argparse.ArgumentTypeError("must be between 0 and 65534")
    return value


if __name__ == "__main__":
    sys.exit(main())
