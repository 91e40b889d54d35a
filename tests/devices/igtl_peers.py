"""Debian's OpenIGTLink example programs (C++, protocol 2): building, starting and ending them."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from devices.contract import DeviceError
from devices.openigtlink import OpenIGTLinkClient
from tests.devices.support import Collected, wait_for

SOURCES = Path("/usr/share/doc/openigtlink-examples/examples")
IMAGES = SOURCES / "Imager" / "img"
BUILD = Path(__file__).resolve().parents[2] / "build" / "igtl-peers"
PACKAGES = "libopenigtlink-dev openigtlink-examples cmake g++ make"


def build() -> Path:
    """The folder of the built programs.

    Skips the test where they cannot be built, and fails it when CI is "true".
    """
    done = BUILD / "built"
    if done.exists():
        return BUILD
    tools = [tool for tool in ("cmake", "g++", "make") if shutil.which(tool) is None]
    if tools or not (SOURCES / "CMakeLists.txt").exists():
        message = f"OpenIGTLink's C++ examples cannot be built: apt-get install {PACKAGES}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    policy = "-DCMAKE_POLICY_VERSION_MINIMUM=3.5"
    BUILD.mkdir(parents=True, exist_ok=True)
    # Two test processes may come at once: the second waits, and finds it built.
    with (BUILD / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            run("cmake", "-S", str(SOURCES), "-B", str(BUILD), "-DCMAKE_BUILD_TYPE=Release", policy)
            run("cmake", "--build", str(BUILD), "--parallel", "2")
            done.touch()
    return BUILD


def run(*command: str) -> None:
    """Run to the end; what it printed is told where it fails."""
    ended = subprocess.run(
        command,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=220,
    )
    assert ended.returncode == 0, ended.stdout[-4000:]


@dataclass
class Peer:
    """A running program. Everything it prints goes to one file."""

    process: subprocess.Popen[bytes]
    output: Path

    def said(self) -> str:
        return self.output.read_text(errors="replace")

    def wait_for(self, text: str) -> None:
        """Until it has printed this."""
        wait_for(lambda: text in self.said(), f"{text!r} from the peer; it said {self.said()!r}")

    def end(self) -> None:
        self.process.kill()
        self.process.wait(5)


class Peers:
    """Starts programs by their path in the build folder, such as "Tracker/TrackerServer"."""

    def __init__(self, built: Path, logs: Path) -> None:
        self._built = built
        self._logs = logs
        self._started: list[Peer] = []

    @contextmanager
    def started(self, program: str, *arguments: object) -> Iterator[Peer]:
        output = self._logs / f"{len(self._started)}.txt"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [self._built / program, *map(str, arguments)], stdout=file, stderr=file
            )
        peer = Peer(process, output)
        self._started.append(peer)
        try:
            yield peer
        finally:
            peer.end()

    @contextmanager
    def served(
        self, program: str, *arguments: object, tracking: str | None = None
    ) -> Iterator[tuple[OpenIGTLinkClient, Collected]]:
        """Our client, connected to their server; `arguments` follow the port."""
        port, sink = free_port(), Collected()
        client = OpenIGTLinkClient(
            program, "127.0.0.1", port, sink, silence_s=None, tracking=tracking
        )
        with self.started(program, port, *arguments):
            wait_for(lambda: entered(client), f"{program} to listen")
            try:
                yield client, sink
                assert client.counts().refused == {}
                assert client.fault() is None or "closed" in str(client.fault())
            finally:
                client.__exit__(None, None, None)

    def newest(self) -> Peer:
        """The program started last."""
        return self._started[-1]

    def end(self) -> None:
        for peer in self._started:
            peer.end()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port: int = reserved.getsockname()[1]
        return port


def entered(client: OpenIGTLinkClient) -> bool:
    try:
        client.__enter__()
    except DeviceError:
        return False
    return True


def their_pose(phi: float, theta: float) -> np.ndarray:
    """What the examples' GetRandomTestMatrix computes; their quaternion is not of length 1."""
    pose = np.eye(4)
    quaternion = (0.0, 2 / 3 * np.cos(theta), 0.577350269189626, 2 / 3 * np.sin(theta))
    pose[:3, :3] = Rotation.from_quat(quaternion).as_matrix()
    pose[:3, 3] = (50 * np.cos(phi), 50 * np.sin(phi), 50 * np.cos(phi))
    return pose
