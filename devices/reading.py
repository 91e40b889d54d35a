"""One reader thread per device, from connecting to its end: what the drivers have in common."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from types import MappingProxyType
from typing import Protocol, Self

from devices.contract import (
    ConnectionLostError,
    DeviceError,
    Sample,
    Sink,
    StreamCounts,
)

_JOIN_S = 0.25
_RELEASE_S = 3.0


class StoppedError(Exception):
    """Reading ended because this side asked for it."""


class Lifeline:
    """Whether one connection lives, and why it does not. title heads every message; the first
    reason stays. stopping: set when this side ends it, None for a new flag."""

    def __init__(self, title: str, stopping: threading.Event | None = None) -> None:
        self.stopping = threading.Event() if stopping is None else stopping
        self._title = title
        self._fault: str | None = None

    def is_open(self) -> bool:
        return self._fault is None and not self.stopping.is_set()

    def fault(self) -> str | None:
        """Why nothing arrives any more, in words, or None."""
        if self._fault is None and self.stopping.is_set():
            return f"{self._title}: closed"
        return self._fault

    def fail(self, reason: str) -> None:
        """End with a reason in words; a later one is not heard."""
        if self._fault is None:
            self._fault = f"{self._title}: {reason}"


class Connection(Protocol):
    """An opened source; belongs to the reader thread."""

    def read_all(self, reading: Reading) -> None:
        """Deliver until `reading.stopping` is set (StoppedError is allowed), or raise
        ConnectionLostError in words. Look at `stopping` at least every 0.1 s."""

    def close(self) -> None:
        """Release the source; called once, on the reader thread."""


class Reading(Lifeline):
    """The thread of one connection with its counts; never used for a second one."""

    def __init__(self, title: str, connection: Connection, sink: Sink) -> None:
        super().__init__(title)
        self._connection = connection
        self._sink = sink
        self._received = 0
        self._refused: dict[str, int] = {}
        self._last_received_s: float | None = None
        self._thread = threading.Thread(target=self._run, name=f"read {title}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def deliver(self, sample: Sample) -> None:
        """Hand over and count. Raises StoppedError once this side has stopped."""
        if self.stopping.is_set():
            raise StoppedError
        self._sink(sample)
        self._received += 1
        self._last_received_s = sample.received_s

    def refuse(self, reason: str, count: int = 1) -> None:
        """Count what was dropped; reasons come from the drivers, so there are few."""
        self._refused[reason] = self._refused.get(reason, 0) + count

    def counts(self) -> StreamCounts:
        refused = MappingProxyType(self._refused.copy())
        return StreamCounts(self._received, refused, self._last_received_s)

    def close(self) -> None:
        """Stop; returns within 0.3 s even where the source is blocked."""
        self.stopping.set()
        self._join(_JOIN_S)

    def released(self) -> bool:
        """Whether the source is free again, after waiting a while for it."""
        self._join(_RELEASE_S)
        return not self._thread.is_alive()

    def _join(self, timeout_s: float) -> None:
        if self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            self._connection.read_all(self)
        except StoppedError:
            pass
        except ConnectionLostError as error:
            self.fail(str(error))
        except Exception as error:  # noqa: BLE001  the thread's boundary
            self.fail(f"a sample could not be handled ({error!r})")
        finally:
            self._connection.close()


class ReadDevice(ABC):
    """A device that only reads. Subclasses say how to connect; `title` heads every message."""

    def __init__(self, title: str, sink: Sink) -> None:
        self._title = title
        self._sink = sink
        self._reading: Reading | None = None

    @abstractmethod
    def _connect(self) -> Connection:
        """Open the source, or raise DeviceError in words without the title."""

    def __enter__(self) -> Self:
        """Connect and start reading. Raises DeviceError in words."""
        if self._reading is not None:
            if self._reading.is_open():
                raise DeviceError(f"{self._title} is already connected; leave it first")
            if not self._reading.released():
                raise DeviceError(f"{self._title}: still being released; try again in a moment")
        try:
            connection = self._connect()
        except DeviceError as error:
            raise DeviceError(f"{self._title}: {error}") from error
        self._reading = Reading(self._title, connection, self._sink)
        self._reading.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Close within 0.3 s, whatever the source does."""
        if self._reading is not None:
            self._reading.close()

    def counts(self) -> StreamCounts:
        """Since the last connection; stays readable after it ended."""
        return StreamCounts() if self._reading is None else self._reading.counts()

    def fault(self) -> str | None:
        """Why nothing arrives any more, or None while connected."""
        return f"{self._title}: not connected" if self._reading is None else self._reading.fault()
