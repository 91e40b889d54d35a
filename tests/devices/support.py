"""Sockets and waiting for the device tests."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import numpy as np

from devices.contract import Sample
from devices.openigtlink import Message, MessageError, OpenIGTLinkClient, decode_bytes
from tests.data import data_path

POSE = np.array(
    [[0.0, -1.0, 0.0, 10.0], [1.0, 0.0, 0.0, -20.5], [0.0, 0.0, 1.0, 300.25], [0, 0, 0, 1]]
)
DEADLINE_S = 8.0


def wait_for(condition: Callable[[], object], what: str = "condition") -> None:
    """Poll until true; the deadline only matters when the test fails."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {DEADLINE_S} s for {what}"
        time.sleep(0.002)


def golden(name: str) -> bytes:
    """A reference message, byte for byte."""
    return data_path("igtl_vectors", f"{name}.bin").read_bytes()


class Collected:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []

    def __call__(self, sample: Sample) -> None:
        self.samples.append(sample)

    def wait(self, count: int) -> list[Sample]:
        wait_for(lambda: len(self.samples) >= count, f"{count} samples")
        return self.samples


class RawPeer:
    """A listening socket whose bytes the test writes itself."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(DEADLINE_S)
        self.port: int = self._listener.getsockname()[1]
        self._accepted: socket.socket | None = None

    def __enter__(self) -> RawPeer:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._accepted is not None:
            self._accepted.close()
        self._listener.close()

    @property
    def sock(self) -> socket.socket:
        if self._accepted is None:
            self._accepted, _ = self._listener.accept()
            self._accepted.settimeout(DEADLINE_S)
        return self._accepted

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def hang_up(self) -> None:
        self.sock.close()
        self._accepted = None


def run_in_thread(function: Callable[[], None]) -> None:
    """Run to the end in another thread; its exception fails the test."""
    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            function()
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    thread.join(DEADLINE_S)
    assert not thread.is_alive()
    if failures:
        raise failures[0]


def vector(name: str) -> bytes:
    """A complete reference message."""
    return golden(f"test_{name}")


def assembled(kind: str) -> bytes:
    """A reference message that is stored in pieces: bind, ndarray or polydata."""
    if kind == "bind":
        pieces = ("bind_message_header", "bind_message_bind_header", "bind_message_bind_body")
    else:
        pieces = (f"{kind}_message_header", f"{kind}_message_body")
    return b"".join(golden(f"test_{piece}") for piece in pieces)


def only(data: bytes) -> Message:
    """The one thing a message says, received at 5 s. Raises MessageError where it is refused."""
    (message,) = decode_bytes(data, 5.0)
    if isinstance(message, MessageError):
        raise message
    return message


def client_of(
    port: int,
    sink: Collected,
    *,
    silence_s: float | None = None,
    protocol_version: int = 1,
) -> OpenIGTLinkClient:
    return OpenIGTLinkClient(
        "tracker",
        "127.0.0.1",
        port,
        sink,
        silence_s=silence_s,
        protocol_version=protocol_version,
    )
