"""Ten trackers at 250 Hz and two image streams at 30 Hz for as long as wanted.

    .venv/bin/python benchmarks/openigtlink_soak.py --minutes 2

Twelve servers in one process, twelve clients in another, over loopback. Every pose carries its
number and every image is counted, so that nothing can be lost unseen. Prints a Markdown table:
what was lost, lateness, memory over time and CPU share. Fails where something was lost without
being counted, or where memory grew by more than 5 % after the first fifth of the time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from devices.contract import ImageSample, PoseSample, Sample
from devices.openigtlink import OpenIGTLinkClient, OpenIGTLinkServer

TRACKERS, POSE_HZ = 10, 250
IMAGERS, IMAGE_HZ = 2, 30
BIN_S, BINS = 1e-5, 200_000
SAMPLES = 25


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--send", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    duration_s = 60 * options.minutes
    return send(duration_s) if options.send else receive(duration_s)


def send(duration_s: float) -> int:
    """The room: one server for each device. Says its ports first, what it sent at the end."""
    rng = np.random.default_rng(1)
    pixels = [rng.integers(0, 255, (1024, 1024), np.uint8) for _ in range(4)]
    with ExitStack() as stack:
        rooms = [
            stack.enter_context(OpenIGTLinkServer(f"room {number}"))
            for number in range(TRACKERS + IMAGERS)
        ]
        print(json.dumps([room.port for room in rooms]), flush=True)
        while any(room.clients() == 0 for room in rooms):
            time.sleep(0.02)
        poses = images = 0
        pose, place = np.eye(4), np.eye(4)
        start_s = time.time()
        while (now_s := time.time() - start_s) < duration_s:
            if poses <= now_s * POSE_HZ:
                pose[0, 3] = poses
                for number, room in enumerate(rooms[:TRACKERS]):
                    room.send_pose(f"Tool{number}", pose)
                poses += 1
            if images <= now_s * IMAGE_HZ:
                for number, room in enumerate(rooms[TRACKERS:]):
                    room.send_image(f"US{number}", pixels[images % 4], place)
                images += 1
            due_s = start_s + min(poses / POSE_HZ, images / IMAGE_HZ)
            time.sleep(max(0.0, due_s - time.time()))
        time.sleep(1.0)
        drops = [sum(room.drops().values()) for room in rooms]
        print(json.dumps({"poses": poses, "images": images, "drops": drops}), flush=True)
        sys.stdin.read()
    return 0


class Stream:
    """What arrived from one device; of fixed size, so that it does not grow itself."""

    def __init__(self) -> None:
        self.count = 0
        self.gaps = 0
        self.lateness = np.zeros(BINS, np.int64)
        self._next = 0

    def __call__(self, sample: Sample) -> None:
        now_s = time.time()
        if isinstance(sample, PoseSample) and sample.matrix is not None:
            number = int(sample.matrix[0, 3])
            self.gaps += number != self._next
            self._next = number + 1
        assert isinstance(sample, PoseSample | ImageSample)
        self.count += 1
        self.lateness[min(BINS - 1, max(0, int((now_s - sample.source_s) / BIN_S)))] += 1


def receive(duration_s: float) -> int:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    command = [sys.executable, __file__, "--send", "--minutes", str(duration_s / 60)]
    load = os.getloadavg()[0]
    room = subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert room.stdout is not None
        ports = json.loads(room.stdout.readline())
        streams = [Stream() for _ in ports]
        with ExitStack() as stack:
            clients = [
                stack.enter_context(
                    OpenIGTLinkClient("soak", "127.0.0.1", port, stream, silence_s=5.0)
                )
                for port, stream in zip(ports, streams, strict=True)
            ]
            pids = {"room": room.pid, "console": os.getpid()}
            used_s = {who: cpu_s(pid) for who, pid in pids.items()}
            memory: dict[str, list[float]] = {who: [] for who in pids}
            start_s = time.time()
            for number in range(SAMPLES):
                time.sleep(max(0.0, start_s + (number + 1) * duration_s / SAMPLES - time.time()))
                for who, pid in pids.items():
                    memory[who].append(resident_mib(pid))
            lasted_s = time.time() - start_s
            share = {who: (cpu_s(pid) - used_s[who]) / lasted_s for who, pid in pids.items()}
            sent = json.loads(room.stdout.readline())
            faults = [client.fault() for client in clients if client.fault() is not None]
            refused = [dict(client.counts().refused) for client in clients]
    finally:
        room.kill()
        room.wait()
    assert not faults, faults
    assert not any(refused), refused
    print(f"{os.cpu_count()} cores; load average {load:.1f} before\n")
    return report(streams, sent, memory, share, lasted_s)


def report(
    streams: list[Stream],
    sent: dict[str, object],
    memory: dict[str, list[float]],
    share: dict[str, float],
    lasted_s: float,
) -> int:
    poses, images = streams[:TRACKERS], streams[TRACKERS:]
    print("| quantity | found |\n|---|---|")
    print(f"| time (s) | {lasted_s:.0f} |")
    unseen = 0
    for what, group, drops in (
        ("poses", poses, sum(sent["drops"][:TRACKERS])),  # type: ignore[index]
        ("images", images, sum(sent["drops"][TRACKERS:])),  # type: ignore[index]
    ):
        expected = sent[what] * len(group)  # type: ignore[operator]
        arrived = sum(stream.count for stream in group)
        unseen += expected - arrived - drops
        late = sum(stream.lateness for stream in group)
        p50, p99 = (percentile_ms(late, share) for share in (0.5, 0.99))
        print(f"| {what} sent / arrived / dropped and counted | {expected} / {arrived} / {drops} |")
        print(f"| {what}, p50 / p99 late (ms) | {p50:.2f} / {p99:.2f} |")
    print(f"| lost without being counted | {unseen} |")
    print(f"| poses out of order | {sum(stream.gaps for stream in poses)} |")
    grew = False
    for who, found in memory.items():
        settled = found[SAMPLES // 5]
        grew |= found[-1] > 1.05 * settled
        print(
            f"| memory of the {who} after a fifth / at the end / largest (MiB) "
            f"| {settled:.1f} / {found[-1]:.1f} / {max(found):.1f} |"
        )
        print(f"| CPU of the {who} (share of one core) | {share[who]:.2f} |")
    return 1 if unseen or grew else 0


def percentile_ms(histogram: np.ndarray, share: float) -> float:
    return float(np.searchsorted(np.cumsum(histogram), share * histogram.sum()) * BIN_S * 1e3)


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    raise SystemExit(main())
