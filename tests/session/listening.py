"""A client that hears what the console publishes, message by message."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from devices.contract import PoseSample
from devices.openigtlink import Capability, DeviceStatus, Table, decode_bytes, pack_query
from devices.openigtlink.header import parse_header
from ir_nav.session.publishing import Publisher
from tests.session.rig import wait_for


class Heard:
    """Everything one client of a publisher receives, in order."""

    def __init__(self, sock: socket.socket) -> None:
        self.poses: list[PoseSample] = []
        self.notices: list[object] = []
        self._sock = sock

    def read(self) -> None:
        with contextlib.suppress(OSError), self._sock.makefile("rb") as stream:
            while len(head := stream.read(58)) == 58:
                body = stream.read(parse_header(head).body_size)
                for message in decode_bytes(head + body, time.time()):
                    if isinstance(message, PoseSample):
                        self.poses.append(message)
                    else:
                        self.notices.append(message)

    def table(self, kind: str) -> Table:
        return next(
            one for one in reversed(self.notices) if isinstance(one, Table) and one.type == kind
        )

    def count(self, kind: str) -> int:
        return sum(isinstance(one, Table) and one.type == kind for one in self.notices)

    def guidance(self) -> list[tuple[int, str]]:
        return [
            (one.code, one.text)
            for one in self.notices
            if isinstance(one, DeviceStatus) and one.name == "Guidance"
        ]


@contextmanager
def client(publisher: Publisher, version: int = 2) -> Iterator[Heard]:
    """A client that keeps all it hears; one of version 2 says so at once."""
    before = publisher.status().clients
    with socket.create_connection(("127.0.0.1", publisher.status().port)) as sock:
        heard = Heard(sock)
        reader = threading.Thread(target=heard.read)
        reader.start()
        wait_for(lambda: publisher.status().clients > before, "the client")
        if version == 2:
            sock.sendall(pack_query("GET_CAPABIL", "", time.time(), version=2))
            wait_for(lambda: any(isinstance(n, Capability) for n in heard.notices), "the answer")
        yield heard
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        reader.join(5.0)
