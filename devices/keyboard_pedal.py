"""Device driver: a foot pedal that types.

USB foot switches and page-turning pedals are keyboards with one key. Whatever window has the
keyboard tells a KeyLine when that key goes down and up; from there on it is a pedal as any other,
debounced in the same way. A keyboard's own repetition is left out by the window.
"""

from __future__ import annotations

import time
from queue import Empty, SimpleQueue
from threading import Lock

from devices.contract import ConnectionLostError, DeviceError, Sink
from devices.debounce import SETTLE_S, TICK_S, Debounce, require_settling, tell_turn
from devices.reading import Connection, ReadDevice, Reading

_IDLE_S = 0.1

# Down or up, and when on the monotonic clock; None at the end.
Edges = SimpleQueue[tuple[bool, float] | None]


class KeyLine:
    """From the window that has the keyboard to the pedal that listens. Any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._open = False
        self._edges: Edges | None = None

    @property
    def heard(self) -> bool:
        """Whether a pedal listens."""
        return self._edges is not None

    def open(self) -> None:
        """There is a window from now on."""
        with self._lock:
            self._open = True

    def close(self) -> None:
        """The window goes away; the pedal is told."""
        with self._lock:
            self._open = False
            if self._edges is not None:
                self._edges.put(None)

    def turn(self, down: bool, now_s: float) -> None:
        """A key of the pedal has gone down or up, on the monotonic clock; never waits."""
        with self._lock:
            if self._edges is not None:
                self._edges.put((down, now_s))

    def listen(self) -> Edges:
        """What comes from now on. DeviceError without a window, and while another listens."""
        with self._lock:
            if not self._open:
                raise DeviceError("no window has the keyboard; open the console's window")
            if self._edges is not None:
                raise DeviceError("another pedal has the keyboard; name all its keys in one")
            self._edges = SimpleQueue()
            return self._edges

    def leave(self, edges: Edges) -> None:
        """Listen no longer."""
        with self._lock:
            if self._edges is edges:
                self._edges = None


class KeyboardPedal(ReadDevice):
    """Hands over TextSample("pedal", "down" or "up") as FootPedal does."""

    def __init__(self, name: str, line: KeyLine, sink: Sink, *, settle_s: float = SETTLE_S) -> None:
        require_settling(name, settle_s)
        super().__init__(name, sink)
        self._line = line
        self._settle_s = settle_s

    def _connect(self) -> Connection:
        return _Keys(self._line, Debounce(self._settle_s))


class _Keys:
    def __init__(self, line: KeyLine, debounce: Debounce) -> None:
        self._line = line
        self._edges = line.listen()
        self._debounce = debounce

    def read_all(self, reading: Reading) -> None:
        while not reading.stopping.is_set():
            try:
                edge = self._edges.get(timeout=TICK_S if self._debounce.settling else _IDLE_S)
            except Empty:
                tell_turn(self._debounce, reading, time.monotonic())
                continue
            if edge is None:
                raise ConnectionLostError(
                    "the window that had the keyboard is gone; open the console's window again"
                )
            down, edge_s = edge
            # Late to the first of two edges: it had settled before the second.
            tell_turn(self._debounce, reading, edge_s)
            self._debounce.feed(down, edge_s)

    def close(self) -> None:
        self._line.leave(self._edges)
