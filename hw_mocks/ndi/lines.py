"""The mock tracker at the end of a serial cable (a pty) or of a network."""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import termios
import threading
import time
import tty
from typing import Self

from hw_mocks.ndi.device import MockTracker

_TICK_S = 0.02
_TIOCPKT_FLUSHWRITE = 2
_BAUD_CODES = {
    code: int(name[1:])
    for name, code in vars(termios).items()
    if name.startswith("B") and name[1:].isdigit()
}


class PtyLine:
    """A pty whose other end, `path`, is the serial port. Linux only.

    The tracker takes commands for noise unless the host set the port to its baud rate. A pty does
    not carry a break. Hosts empty both queues before one, and that it does show; with
    `flush_is_break` it is taken for the break.
    """

    def __init__(self, tracker: MockTracker, *, flush_is_break: bool = False) -> None:
        self._tracker = tracker
        self._flush_is_break = flush_is_break
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="mock NDI pty", daemon=True)
        self._master = -1
        self.path = ""

    def __enter__(self) -> Self:
        self._master, slave = os.openpty()
        self.path = os.ttyname(slave)
        tty.setraw(slave)
        os.close(slave)
        fcntl.ioctl(self._master, termios.TIOCPKT, struct.pack("i", 1))
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if not self._stopping.is_set():
            self._stopping.set()
            self._thread.join()
            os.close(self._master)

    def reset(self) -> None:
        """The tracker restarts of its own."""
        os.write(self._master, self._tracker.reset())

    def _serve(self) -> None:
        while not self._stopping.is_set():
            ready, _, _ = select.select([self._master], [], [], _TICK_S)
            try:
                packet = os.read(self._master, 4096) if ready else b""
                if packet:
                    os.write(self._master, self._respond(packet[0], packet[1:]))
            except OSError:
                time.sleep(_TICK_S)  # no host has the port open

    def _respond(self, control: int, data: bytes) -> bytes:
        if control & _TIOCPKT_FLUSHWRITE and self._flush_is_break:
            return self._tracker.reset()
        speed = termios.tcgetattr(self._master)[5]
        if _BAUD_CODES.get(speed) != self._tracker.baud:
            data = b"\xff" * len(data)
        return self._tracker.receive(data)


class TcpServer:
    """Serves one host at a time on 127.0.0.1:`port`."""

    def __init__(self, tracker: MockTracker) -> None:
        self._tracker = tracker
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(_TICK_S)
        self.port: int = self._listener.getsockname()[1]
        self._host: socket.socket | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="mock NDI TCP", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopping.set()
        self._thread.join()

    def reset(self) -> None:
        """The tracker restarts of its own."""
        if self._host is not None:
            self._host.sendall(self._tracker.reset())

    def _serve(self) -> None:
        with self._listener:
            while not self._stopping.is_set():
                try:
                    host, _ = self._listener.accept()
                except TimeoutError:
                    continue
                with host:
                    self._attend(host)

    def _attend(self, host: socket.socket) -> None:
        host.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        host.settimeout(_TICK_S)
        self._host = host
        while not self._stopping.is_set():
            try:
                if not (data := host.recv(4096)):
                    break
                host.sendall(self._tracker.receive(data))
            except TimeoutError:
                continue
            except OSError:
                break
        self._host = None
