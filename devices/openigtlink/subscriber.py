"""One client of the server: a thread that writes to it and one that reads from it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

from devices.contract import ConnectionLostError
from devices.openigtlink.envelope import Envelope
from devices.openigtlink.header import MessageError
from devices.openigtlink.outbox import Outbox
from devices.openigtlink.wire import (
    StreamReader,
    StreamStoppedError,
    Tally,
    hang_up,
    prepare,
    send_all,
)

Receive = Callable[["Subscriber", Envelope], None]
KeepAlive = Callable[[int], bytes]


class Subscriber:
    """A connected client. Its end, for whatever reason, disturbs no other.

    receive: gets what the client sends, on its reader thread. ended: called once with this and
    the fault of this side, if it was one. keep_alive: packs what is sent after `keepalive_s`
    without traffic. version: the newest header version the client has shown to speak.
    """

    def __init__(
        self,
        sock: socket.socket,
        queue_bytes: int,
        receive: Receive,
        ended: Callable[[Subscriber, str | None], None],
        *,
        keep_alive: KeepAlive,
        keepalive_s: float | None,
    ) -> None:
        prepare(sock)
        self.version = 1
        self.outbox = Outbox(queue_bytes, self._send_now)
        self.tally = Tally()
        self._sock = sock
        # The same connection, but its calls never wait.
        self._impatient = sock.dup()
        self._impatient.setblocking(False)
        self._receive = receive
        self._ended = ended
        self._keep_alive = keep_alive
        self._keepalive_s = keepalive_s
        self._stopping = threading.Event()
        self._threads = (
            threading.Thread(target=self._read, name="read client", daemon=True),
            threading.Thread(target=self._write, name="write client", daemon=True),
        )

    def start(self) -> None:
        # The reader waits for the writer when it ends, which may be at once.
        for thread in reversed(self._threads):
            thread.start()

    def hang_up(self) -> None:
        """End both threads soon; does not wait."""
        self._stopping.set()
        self.outbox.close()
        hang_up(self._sock)

    def join(self, deadline_s: float) -> None:
        """Wait for both threads until `deadline_s` on the monotonic clock."""
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline_s - time.monotonic()))

    def _send_now(self, message: bytes) -> int:
        try:
            return self._impatient.send(message)
        except OSError:
            return 0  # full, or broken: the writer thread finds out which

    def _read(self) -> None:
        fault = None
        try:
            self._read_all(StreamReader(self._sock, self._stopping))
        except (StreamStoppedError, ConnectionLostError):
            pass
        except Exception as error:  # noqa: BLE001  the thread's boundary
            fault = f"a client's message could not be handled ({error!r})"
        self.hang_up()
        self._threads[1].join()
        self._sock.close()
        self._impatient.close()
        self._ended(self, fault)

    def _read_all(self, reader: StreamReader) -> None:
        while True:
            try:
                envelope = reader.read()
                self.version = max(self.version, min(envelope.header.version, 2))
                self._receive(self, envelope)
            except MessageError as error:
                self.tally.refuse(error)

    def _write(self) -> None:
        try:
            while (batch := self.outbox.take(self._keepalive_s)) is not None:
                send_all(self._sock, batch or self._keep_alive(self.version), self._stopping)
        except (StreamStoppedError, ConnectionLostError):
            self.hang_up()
