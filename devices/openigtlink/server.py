"""A multi-client OpenIGTLink server: sends poses, images, text and status to whoever connects."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devices.contract import DeviceError, PoseStatus
from devices.openigtlink.envelope import Envelope
from devices.openigtlink.header import (
    HEADER_SIZE,
    NAME_SIZE,
    MessageError,
    fixed_bytes,
    parse_header,
)
from devices.openigtlink.images import pack_image
from devices.openigtlink.messages import DECODERS, Message, decode
from devices.openigtlink.poses import TrackedElement, pack_tdata, pack_transform
from devices.openigtlink.subscriber import Subscriber
from devices.openigtlink.texts import Query, pack_capability, pack_status, pack_string
from devices.openigtlink.wire import TICK_S, hang_up

OnMessage = Callable[[Message], None]
_Pack = Callable[[int], bytes]
_CLOSE_S = 0.4
_STATUS_OK = 1


class OpenIGTLinkServer:
    """Serves every client that connects, each at its own pace.

    port: 0 takes a free one, see `port`. queue_bytes: what may wait for one slow client; beyond it
    the oldest message of the stream is dropped and counted. on_message: gets what clients send,
    on their reader threads. keepalive_s: after so long without traffic, at most twice, a STATUS
    is sent, so that clients tell an idle room from a dead one; None sends nothing.

    Images replace those of the same name that still wait. Where none may be lost, such as of a
    recording: `lossless` lets them queue, and the sender asks `await_room` before each.

    A client gets v1 headers until it has sent a v2 header itself. May be built in any thread.
    """

    def __init__(
        self,
        name: str,
        port: int = 0,
        host: str = "127.0.0.1",
        *,
        queue_bytes: int = 4 * 1024 * 1024,
        on_message: OnMessage | None = None,
        keepalive_s: float | None = None,
        lossless: bool = False,
    ) -> None:
        self.name = name
        self._lossless = lossless
        self._address = (host, port)
        self._queue_bytes = queue_bytes
        self._on_message = on_message
        self._keepalive_s = keepalive_s
        self._listener: socket.socket | None = None
        self._accepting: threading.Thread | None = None
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._subscribers: tuple[Subscriber, ...] = ()
        self._admitted = 0
        self._past_drops: dict[str, int] = {}
        self._fault: str | None = None

    def __enter__(self) -> Self:
        """Listen, or raise DeviceError."""
        if self._listener is not None:
            raise DeviceError(f"{self.name} is already serving; leave it before entering again")
        self._listener = _listen(self.name, self._address)
        self._stopping = threading.Event()
        self._fault = None
        arguments = (self._listener, self._stopping)
        self._accepting = threading.Thread(
            target=self._accept, args=arguments, name=f"accept {self.name}", daemon=True
        )
        self._accepting.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Hang up on every client and free the port, within 0.5 s."""
        deadline_s = time.monotonic() + _CLOSE_S
        listener, self._listener = self._listener, None
        self._stopping.set()
        if listener is None or self._accepting is None:
            return
        hang_up(listener)
        self._accepting.join(_CLOSE_S / 2)
        listener.close()
        subscribers = self._subscribers
        for subscriber in subscribers:
            subscriber.hang_up()
        for subscriber in subscribers:
            subscriber.join(deadline_s)

    @property
    def port(self) -> int:
        """The port it listens on. Raises DeviceError while it does not serve."""
        if self._listener is None:
            raise DeviceError(f"{self.name} is not serving; enter it first")
        port: int = self._listener.getsockname()[1]
        return port

    def clients(self) -> int:
        """How many clients are connected."""
        return len(self._subscribers)

    def admitted(self) -> int:
        """How many clients have connected since it was built: grows when a new one has."""
        return self._admitted

    def drops(self) -> Mapping[str, int]:
        """Messages dropped for slow clients since it was built, by device name."""
        with self._lock:
            total = self._past_drops.copy()
            for subscriber in self._subscribers:
                _add(total, subscriber.outbox.drops())
        return total

    def await_room(self, timeout_s: float, patience_s: float) -> bool:
        """Whether each client has taken enough that the next message pushes none out, after at
        most `timeout_s`: one that reads slowly is waited for, one that has read nothing for
        `patience_s` is not."""
        deadline_s = time.monotonic() + timeout_s
        return all(
            subscriber.outbox.await_room(max(0.0, deadline_s - time.monotonic()), patience_s)
            for subscriber in self._subscribers
        )

    def fault(self) -> str | None:
        """The last failure of this side (a receiver that raised), or None."""
        return self._fault

    def send_pose(
        self,
        name: str,
        matrix: ArrayLike | None,
        *,
        status: PoseStatus | None = PoseStatus.OK,
        timestamp_s: float | None = None,
    ) -> None:
        """Send a TRANSFORM; (4, 4), mm. Raises MessageError.

        A tool that was not seen reaches only clients that speak v2: v1 has no word for it.
        """
        stamp_s = _now(timestamp_s)
        seen = status in (None, PoseStatus.OK, PoseStatus.UNKNOWN)

        def pack(version: int) -> bytes:
            if version == 1 and not seen:
                return b""
            return pack_transform(name, matrix, stamp_s, status, version)

        if not self._subscribers:
            pack(2)  # a bad pose raises whoever is connected
        self._deliver(name, pack)

    def send_tracking(
        self, name: str, elements: Sequence[TrackedElement], *, timestamp_s: float | None = None
    ) -> None:
        """Send a TDATA: several tools at one instant. Raises MessageError."""
        stamp_s = _now(timestamp_s)
        self._deliver(name, lambda version: pack_tdata(name, elements, stamp_s, version))

    def send_image(
        self,
        name: str,
        pixels: NDArray[np.generic],
        parent_from_pixel: ArrayLike,
        *,
        timestamp_s: float | None = None,
    ) -> None:
        """Send an IMAGE; see pack_image. A client that is behind gets only the newest."""
        stamp_s = _now(timestamp_s)

        def pack(version: int) -> bytes:
            return pack_image(name, pixels, parent_from_pixel, stamp_s, version=version)

        self._deliver(name, pack, coalesce=not self._lossless)

    def send_text(self, name: str, text: str, *, timestamp_s: float | None = None) -> None:
        """Send a STRING. Raises MessageError."""
        stamp_s = _now(timestamp_s)
        self._deliver(name, lambda version: pack_string(name, text, stamp_s, version))

    def send_status(self, code: int, text: str, *, timestamp_s: float | None = None) -> None:
        """Send a STATUS of this server; code 1 is OK. Raises MessageError."""
        stamp_s = _now(timestamp_s)
        self._deliver(
            "", lambda version: pack_status(self.name, code, text, stamp_s, version=version)
        )

    def broadcast(self, packed: bytes, stream: str, *, coalesce: bool = False) -> None:
        """Send packed bytes as they are; v2 messages go only to clients that speak v2."""
        needs = parse_header(packed[:HEADER_SIZE]).version
        self._deliver(
            stream, lambda version: packed if needs <= version else b"", coalesce=coalesce
        )

    def _deliver(self, stream: str, pack: _Pack, *, coalesce: bool = False) -> None:
        """Queue for every client; pack once per header version in use."""
        fixed_bytes(stream, NAME_SIZE)
        packed: dict[int, bytes] = {}
        for subscriber in self._subscribers:
            version = subscriber.version
            if version not in packed:
                packed[version] = pack(version)
            if packed[version]:
                subscriber.outbox.put(stream, packed[version], coalesce=coalesce)

    def _accept(self, listener: socket.socket, stopping: threading.Event) -> None:
        while not stopping.is_set():
            try:
                sock, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:
                stopping.wait(TICK_S)  # out of file descriptors, or closing
                continue
            if stopping.is_set():
                sock.close()
            else:
                self._admit(sock)

    def _admit(self, sock: socket.socket) -> None:
        subscriber = Subscriber(
            sock,
            self._queue_bytes,
            self._receive,
            self._forget,
            keep_alive=self._pack_alive,
            keepalive_s=self._keepalive_s,
        )
        with self._lock:
            self._subscribers = (*self._subscribers, subscriber)
            self._admitted += 1
        subscriber.start()

    def _forget(self, subscriber: Subscriber, fault: str | None) -> None:
        with self._lock:
            self._subscribers = tuple(one for one in self._subscribers if one is not subscriber)
            _add(self._past_drops, subscriber.outbox.drops())
        if fault is not None:
            self._fault = f"{self.name}: {fault}"

    def _receive(self, subscriber: Subscriber, envelope: Envelope) -> None:
        for message in decode(envelope):
            if isinstance(message, MessageError):
                subscriber.tally.refuse(message)
                continue
            if isinstance(message, Query) and message.type == "GET_CAPABIL":
                subscriber.outbox.put("", self._pack_capability(subscriber.version))
            if self._on_message is not None:
                self._on_message(message)
            subscriber.tally.receive(message.received_s)

    def _pack_alive(self, version: int) -> bytes:
        return pack_status(self.name, _STATUS_OK, "alive", time.time(), version=version)

    def _pack_capability(self, version: int) -> bytes:
        return pack_capability(self.name, tuple(DECODERS), time.time(), version)


def _listen(name: str, address: tuple[str, int]) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except (OSError, OverflowError) as error:
        listener.close()
        raise DeviceError(
            f"{name} cannot listen at {address[0]}:{address[1]} ({error}); "
            "choose another port or end the program that uses it"
        ) from error
    listener.settimeout(TICK_S)
    return listener


def _now(timestamp_s: float | None) -> float:
    return time.time() if timestamp_s is None else timestamp_s


def _add(total: dict[str, int], more: Mapping[str, int]) -> None:
    for stream, count in more.items():
        total[stream] = total.get(stream, 0) + count
