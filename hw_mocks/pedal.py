"""The pedal end of a serial line: a box that sends characters, and a serial server with contacts.

Both bounce as a worn contact does.
"""

from __future__ import annotations

import os
import select
import socket
import threading
import time
import tty
from typing import Self

import numpy as np
from serial.rfc2217 import PortManager

from hw_mocks.network_camera import shut


class BouncingContact:
    """Levels of a contact that chatters before it rests. bounce_s: how long; gap_s: longest time
    between two edges, to be kept below the debouncing time."""

    def __init__(self, rng: np.random.Generator, bounce_s: float, gap_s: float) -> None:
        self._rng = rng
        self._bounce_s = bounce_s
        self._gap_s = gap_s

    def steps(self, down: bool) -> list[tuple[float, bool]]:
        """Pauses (s) and the level after each; begins and ends with `down`."""
        steps, passed_s = [(0.0, down)], 0.0
        while passed_s < self._bounce_s:
            pauses = self._rng.uniform(0.0, self._gap_s, 2)
            passed_s += float(pauses.sum())
            steps += [(float(pauses[0]), not down), (float(pauses[1]), down)]
        return steps


class SerialPedal:
    """A box on a pseudo terminal that sends "1" and "0" at every edge."""

    def __init__(self, contact: BouncingContact) -> None:
        self._contact = contact

    def __enter__(self) -> Self:
        self._line, end = os.openpty()
        tty.setraw(end)
        self.port = os.ttyname(end)
        os.close(end)
        self._open = True
        return self

    def __exit__(self, *exc: object) -> None:
        """Unplug."""
        if self._open:
            self._open = False
            os.close(self._line)

    def connected(self) -> bool:
        """Whether a program holds the other end open."""
        poll = select.poll()
        poll.register(self._line, select.POLLHUP)
        return not poll.poll(0)

    def move(self, down: bool) -> None:
        """Step on it, or off it; returns when the contact rests."""
        for pause_s, level in self._contact.steps(down):
            time.sleep(pause_s)
            self.send(b"1" if level else b"0")

    def send(self, data: bytes) -> None:
        os.write(self._line, data)


class PedalServer:
    """A serial server (RFC 2217) on whose CTS or DSR line the pedal's contact hangs."""

    def __init__(self, contact: BouncingContact, line: str = "cts") -> None:
        self._contact = contact
        self._port = _Port()
        self._line = line
        self._lock = threading.Lock()
        self._managers: list[tuple[PortManager, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = "rfc2217://{}:{}".format(*self._listener.getsockname())
        self._thread = threading.Thread(target=self._accept, name="pedal server", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Nothing answers any more."""
        shut(self._listener)
        self._listener.close()
        self._thread.join(1.0)
        with self._lock:
            for _, peer in self._managers:
                shut(peer)

    def connected(self) -> bool:
        with self._lock:
            return bool(self._managers)

    def move(self, down: bool) -> None:
        """Step on it, or off it; returns when the contact rests."""
        for pause_s, level in self._contact.steps(down):
            time.sleep(pause_s)
            setattr(self._port, self._line, level)
            with self._lock:
                for manager, _ in self._managers:
                    manager.check_modem_lines()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with peer:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            manager = PortManager(self._port, _Writer(peer))
            with self._lock:
                self._managers.append((manager, peer))
            try:
                while data := peer.recv(1024):
                    with self._lock:
                        b"".join(manager.filter(data))
            except OSError:
                pass
            finally:
                with self._lock:
                    self._managers.remove((manager, peer))


class _Port:
    """What PortManager asks of the port behind the server."""

    def __init__(self) -> None:
        self.cts = self.dsr = self.ri = self.cd = False
        self.rts = self.dtr = self.break_condition = False
        self.baudrate, self.bytesize, self.parity, self.stopbits = 9600, 8, "N", 1
        self.rtscts = self.xonxoff = self.dsrdtr = False

    def reset_input_buffer(self) -> None:
        """Nothing is buffered."""

    def reset_output_buffer(self) -> None:
        """Nothing is buffered."""


class _Writer:
    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer

    def write(self, data: bytes) -> None:
        self._peer.sendall(data)
