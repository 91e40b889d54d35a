"""OpenIGTLink from sender to application: ours, Debian's C++ library and pyigtl, interleaved.

    .venv/bin/python benchmarks/openigtlink_latency.py --rounds 5

Needs libopenigtlink-dev, cmake and g++ (`make test` installs them). Sender and receiver are
processes of their own over loopback. Prints Markdown tables: the median over the rounds, and its
range in brackets.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent / "build" / "igtl-bench"
LATENCY = (
    # title, what, Hz, messages
    ("TRANSFORM at 60 Hz", "transform", 60, 300),
    ("TRANSFORM at 1 kHz", "transform", 1000, 4000),
    ("IMAGE 1024 x 1024 x 8 at 30 Hz", "image", 30, 150),
)
PAIRS = ("ours", "C++", "pyigtl", "C++ to ours", "ours to C++")
FLOOD_PAIRS = ("ours", "ours, client to server", "C++", "pyigtl", "C++ to ours")
FLOOD = 300


@dataclass(frozen=True)
class Run:
    """One sender with one receiver."""

    sent: int
    p50_ms: float
    p99_ms: float
    lost: int
    rate_hz: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    build()
    print(f"{os.cpu_count()} cores; load average {os.getloadavg()[0]:.1f} before\n")
    for title, what, hz, count in LATENCY:
        found: dict[str, list[Run]] = {pair: [] for pair in PAIRS}
        for _ in range(options.rounds):
            for pair, runs in found.items():
                runs.append(run(pair, what, hz, count))
        print(latency_table(title, found, count), flush=True)
    floods: dict[str, list[Run]] = {pair: [] for pair in FLOOD_PAIRS}
    for _ in range(options.rounds):
        for pair, runs in floods.items():
            runs.append(run(pair, "image", 0, FLOOD))
    print(flood_table(floods), flush=True)
    print(f"load average {os.getloadavg()[0]:.1f} after")
    return 0


def build() -> None:
    for command in (
        ["cmake", "-S", str(HERE / "cpp"), "-B", str(BUILD), "-DCMAKE_BUILD_TYPE=Release"],
        ["cmake", "--build", str(BUILD)],
    ):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def command(whose: str, role: str, *arguments: object) -> list[str]:
    words = [str(argument) for argument in arguments]
    if whose == "C++":
        return [str(BUILD / "igtl_bench"), role, *words]
    return [sys.executable, str(HERE / "openigtlink_roles.py"), whose, role, *words]


def run(pair: str, what: str, hz: int, count: int) -> Run:
    """Start both, wait for both; neither outlives this call."""
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    if pair == "ours, client to server":
        roles = (("ours", "push"), ("ours", "serve"))
    else:
        sender, _, receiver = pair.partition(" to ")
        roles = ((sender, "send"), (receiver or sender, "receive"))
    environment = os.environ | {"PYTHONPATH": str(HERE.parent)}
    send = command(*roles[0], port, what, hz, count)
    receive = command(*roles[1], port, what, count)
    sending = subprocess.Popen(send, env=environment, stderr=subprocess.DEVNULL)
    try:
        receiving = subprocess.run(
            receive, env=environment, check=False, capture_output=True, text=True, timeout=120
        )
    finally:
        sending.kill()
        sending.wait()
    if receiving.returncode != 0:
        raise SystemExit(f"{pair}: {receiving.stderr}")
    lines = [line.split() for line in receiving.stdout.splitlines()]
    arrived_s = [float(line[0]) for line in lines]
    late_ms = sorted(1000 * float(line[1]) for line in lines)
    return Run(
        count,
        statistics.median(late_ms),
        late_ms[min(len(late_ms) - 1, int(0.99 * len(late_ms)))],
        count - len(lines),
        (len(lines) - 1) / (arrived_s[-1] - arrived_s[0]),
    )


def latency_table(title: str, found: dict[str, list[Run]], count: int) -> str:
    reference = statistics.median(run.p50_ms for run in found["C++"])
    lines = [
        f"| {title} | p50 (ms) | p99 (ms) | p50 / that of C++ | lost of {count} |",
        "|---|---|---|---|---|",
    ]
    for pair, runs in found.items():
        p50 = [run.p50_ms for run in runs]
        ratio = statistics.median(p50) / reference
        lines.append(
            f"| {pair} | {middle(p50)} | {middle([run.p99_ms for run in runs])} "
            f"| {ratio:.2f} | {middle([run.lost for run in runs], 0)} |"
        )
    return "\n".join(lines) + "\n"


def flood_table(found: dict[str, list[Run]]) -> str:
    reference = statistics.median(run.rate_hz for run in found["C++"])
    lines = [
        f"| IMAGE 1024 x 1024 x 8 flood | arrived / s | / that of C++ | lost of {FLOOD} |",
        "|---|---|---|---|",
    ]
    for pair, runs in found.items():
        rate = [run.rate_hz for run in runs]
        lines.append(
            f"| {pair} | {middle(rate, 0)} | {statistics.median(rate) / reference:.2f} "
            f"| {middle([run.lost for run in runs], 0)} |"
        )
    return "\n".join(lines) + "\n"


def middle(values: list[float], digits: int = 3) -> str:
    low, high = min(values), max(values)
    return f"{statistics.median(values):.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


if __name__ == "__main__":
    raise SystemExit(main())
