"""Device driver: connects to an OpenIGTLink server and hands over what it sends."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
import time
from collections.abc import Mapping
from typing import Self

from devices.contract import (
    ConnectionLostError,
    DeviceError,
    ImageSample,
    PoseSample,
    Sink,
    StreamCounts,
    TextSample,
)
from devices.openigtlink.envelope import Envelope
from devices.openigtlink.header import MessageError
from devices.openigtlink.messages import Notice, decode
from devices.openigtlink.texts import pack_query, pack_start_tracking, pack_string
from devices.openigtlink.wire import (
    StreamReader,
    StreamStoppedError,
    Tally,
    hang_up,
    prepare,
    send_all,
)
from devices.reading import Lifeline

_JOIN_S = 0.25
_GOODBYE_S = 0.05
_SAMPLES = (PoseSample, ImageSample, TextSample)


class OpenIGTLinkClient:
    """A tracker, imager or anything else that serves OpenIGTLink.

    sink: gets every sample, on the reader thread. silence_s: a peer that sends nothing for so
    long counts as dead; None waits for ever. protocol_version: 1 sends only v1 headers, because
    peers built on the C++ library of protocol 2 lose step at others; 2 tells the peer at once
    that it may answer with tool status and metadata. tracking: TDATA or QTDATA, for peers that
    send poses only when they are asked to (STT_, ended with STP_).

    A fault ends the connection. Enter again to connect again; nothing reconnects by itself.
    """

    def __init__(
        self,
        name: str,
        host: str,
        port: int,
        sink: Sink,
        *,
        connect_timeout_s: float = 2.0,
        silence_s: float | None = 1.0,
        protocol_version: int = 1,
        tracking: str | None = None,
    ) -> None:
        if tracking not in (None, "TDATA", "QTDATA"):
            raise DeviceError(f"{name}: tracking {tracking!r}; choose TDATA or QTDATA")
        if protocol_version not in (1, 2):
            raise DeviceError(f"{name}: protocol version {protocol_version}; choose 1 or 2")
        self.name = name
        self._address = (host, port)
        self._sink = sink
        self._connect_timeout_s = connect_timeout_s
        self._silence_s = silence_s
        self._version = protocol_version
        self._tracking = tracking
        self._link: _Link | None = None

    def __enter__(self) -> Self:
        """Connect and start reading. Raises DeviceError in words."""
        if self._link is not None and self._link.is_open():
            raise DeviceError(f"{self.name} is already connected; leave it before entering again")
        sock = _connect(self.name, self._address, self._connect_timeout_s)
        self._link = _Link(self._title(), sock, self._sink, self._silence_s)
        self._link.start()
        now_s = time.time()
        if self._version == 2:
            self._ask(self._link, pack_query("GET_CAPABIL", "", now_s, version=2))
        if self._tracking is not None:
            start = pack_start_tracking(self._tracking, "", now_s, version=self._version)
            self._ask(self._link, start)
        return self

    def __exit__(self, *exc: object) -> None:
        """Close within 0.3 s, whatever the peer does."""
        if self._link is None:
            return
        if self._tracking is not None and self._link.is_open():
            stop = pack_query(f"STP_{self._tracking}", "", time.time(), version=self._version)
            with contextlib.suppress(ConnectionLostError):
                self._link.send(stop, _GOODBYE_S)
        self._link.close()

    def counts(self) -> StreamCounts:
        """Since the last connection; stays readable after it ended."""
        return StreamCounts() if self._link is None else self._link.tally.counts()

    def fault(self) -> str | None:
        """Why nothing arrives any more, or None while connected."""
        return f"{self._title()}: not connected" if self._link is None else self._link.fault()

    def notices(self) -> Mapping[str, Notice]:
        """The newest of each message that is no sample (STATUS, POINT ...), by message type."""
        return {} if self._link is None else self._link.notices.copy()

    def send_text(self, name: str, text: str, *, timeout_s: float = 0.5) -> None:
        """Send a STRING. Raises MessageError, or ConnectionLostError within `timeout_s`."""
        self.send(pack_string(name, text, time.time(), self._version), timeout_s=timeout_s)

    def send(self, packed: bytes, *, timeout_s: float = 0.5) -> None:
        """Send a packed message, from any thread. Raises ConnectionLostError within `timeout_s`."""
        if self._link is None:
            raise ConnectionLostError(f"{self._title()}: not connected")
        self._link.send(packed, timeout_s)

    def _ask(self, link: _Link, packed: bytes) -> None:
        try:
            self.send(packed)
        except ConnectionLostError:
            link.close()
            raise

    def _title(self) -> str:
        return f"{self.name} at {self._address[0]}:{self._address[1]}"


class _Link(Lifeline):
    """One connection from its socket to its end; never used for a second one."""

    def __init__(
        self, title: str, sock: socket.socket, sink: Sink, silence_s: float | None
    ) -> None:
        super().__init__(title)
        self.tally = Tally()
        self.notices: dict[str, Notice] = {}
        self._sock = sock
        self._sink = sink
        self._sending = threading.Lock()
        self._reader = StreamReader(sock, self.stopping, silence_s)
        self._thread = threading.Thread(target=self._run, name=f"read {title}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self.stopping.set()
        hang_up(self._sock)
        if self._thread is not threading.current_thread():
            self._thread.join(_JOIN_S)

    def send(self, packed: bytes, timeout_s: float) -> None:
        if not self.is_open():
            raise ConnectionLostError(self.fault() or f"{self._title}: closed")
        if not self._sending.acquire(timeout=timeout_s):
            raise ConnectionLostError(f"{self._title}: the peer takes no data")
        try:
            send_all(self._sock, packed, self.stopping, timeout_s)
        except (ConnectionLostError, StreamStoppedError) as error:
            # Part of the message may be out; the next one would be garbage to the peer.
            self.fail(str(error) or "closed")
            hang_up(self._sock)
            raise ConnectionLostError(self._fault) from error
        finally:
            self._sending.release()

    def _run(self) -> None:
        try:
            self._read_all()
        except StreamStoppedError:
            pass
        except ConnectionLostError as error:
            self.fail(f"{error}; check that it is running, then connect again")
        except Exception as error:  # noqa: BLE001  the thread's boundary
            self.fail(f"a sample could not be handled ({error!r})")
        finally:
            self._sock.close()

    def _read_all(self) -> None:
        while True:
            try:
                self._hand_over(self._reader.read())
            except MessageError as error:
                self.tally.refuse(error)

    def _hand_over(self, envelope: Envelope) -> None:
        for message in decode(envelope):
            if self.stopping.is_set():
                raise StreamStoppedError
            if isinstance(message, _SAMPLES):
                self._sink(message)
                self.tally.receive(message.received_s)
            elif isinstance(message, MessageError):
                self.tally.refuse(message)
            else:
                self.notices[envelope.header.type] = message


def _connect(name: str, address: tuple[str, int], timeout_s: float) -> socket.socket:
    where = f"{name} at {address[0]}:{address[1]}"
    if not 1 <= address[1] <= 65535:
        raise DeviceError(f"{where}: this port does not exist; choose 1 to 65535")
    try:
        sock = socket.create_connection(address, timeout_s)
    except (OSError, UnicodeError) as error:
        raise DeviceError(f"{where}: {_connect_fault(error, timeout_s)}") from error
    # Linux may connect a free local port to itself when nothing listens there.
    if sock.getsockname() == sock.getpeername():
        sock.close()
        raise DeviceError(f"{where}: {_connect_fault(ConnectionRefusedError(), timeout_s)}")
    prepare(sock)
    return sock


def _connect_fault(error: Exception, timeout_s: float) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there; start the OpenIGTLink server and check the port"
    if isinstance(error, socket.gaierror | UnicodeError):
        return "this host name is not known; check its spelling and the network"
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout_s:.1f} s; check the address, the cable and the firewall"
    if isinstance(error, OSError) and error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return "no route to this host; check the cable and the network settings"
    return f"cannot connect ({error}); check the address and the network"
