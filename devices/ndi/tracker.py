"""Device driver: NDI Polaris, Vega and Aurora trackers over a serial port or TCP."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Self

from devices.contract import ConnectionLostError, DeviceError, Sink, StreamCounts
from devices.ndi import startup
from devices.ndi.clock import FrameClock
from devices.ndi.conversation import Conversation, StoppedError
from devices.ndi.faults import TrackerRefusedError
from devices.ndi.framing import ReplyError
from devices.ndi.reader import REPLY_S, ReplyReader
from devices.ndi.transport import BAUD_DIGITS, SerialLine, TcpLine, open_line
from devices.reading import Lifeline

_JOIN_S = 0.9
_POLLS_PER_FRAME = 5.0


class NdiTracker:
    """A tracker that speaks NDI's combined API.

    address: path of a serial port ("/dev/ttyUSB0", "COM3"), or "host:port" (a Vega listens on
    8765). tools: where each pose to be delivered comes from, by its name such as
    "NeedleToTracker": a tool definition file, or the port of a wired tool. sink: gets every
    sample, on the reader thread. baud: for the serial port; 115200 carries six tools at 60 Hz.
    frame_rate_hz: rate of the tracker's frame counter; None asks the tracker. silence_s: a tracker
    that sends nothing readable for so long counts as dead. reset_s: how long to wait for it after
    a serial break.

    Poses are delivered with status OK only; a tool that is out of volume or disturbed has none,
    because NDI states no accuracy for it. A fault ends the connection; enter again to connect
    again.
    """

    def __init__(
        self,
        name: str,
        address: str,
        tools: Mapping[str, startup.ToolSource],
        sink: Sink,
        *,
        baud: int = 115200,
        binary: bool = True,
        frame_rate_hz: float | None = None,
        connect_timeout_s: float = 2.0,
        silence_s: float = 0.8,
        reset_s: float = 7.0,
    ) -> None:
        if baud not in BAUD_DIGITS:
            raise DeviceError(f"{name}: {baud} baud; choose one of {sorted(BAUD_DIGITS)}")
        if not tools:
            raise DeviceError(f"{name}: no tools; name at least one with its file or port")
        if len(set(tools.values())) < len(tools):
            raise DeviceError(f"{name}: two tools have the same file or port; give each its own")
        if frame_rate_hz is not None and not 1.0 <= frame_rate_hz <= 1000.0:
            raise DeviceError(f"{name}: a frame rate of {frame_rate_hz} Hz; choose 1 to 1000")
        self.name = name
        self._title = f"{name} at {address}"
        self._address = address
        self._tools = dict(tools)
        self._sink = sink
        self._baud = baud
        self._binary = binary
        self._frame_rate_hz = frame_rate_hz
        self._connect_timeout_s = connect_timeout_s
        self._silence_s = silence_s
        self._reset_s = reset_s
        self._link: _Link | None = None

    def __enter__(self) -> Self:
        """Connect, load the tools and start tracking; seconds on a real tracker. Raises
        DeviceError in words."""
        if self._link is not None and self._link.is_open():
            raise DeviceError(f"{self.name} is already connected; leave it before entering again")
        try:
            line = open_line(self._address, self._connect_timeout_s)
        except DeviceError as error:
            raise DeviceError(f"{self.name}: {error}") from error
        stopping = threading.Event()
        talk = Conversation(line, stopping)
        try:
            names, rate_hz = self._set_up(line, talk)
        except DeviceError as error:
            line.close()
            raise DeviceError(f"{self._title}: {error}") from error
        reader = ReplyReader(talk, names, FrameClock(rate_hz), self._sink, self._binary)
        self._link = _Link(self._title, line, talk, stopping, reader, self._silence_s)
        self._link.start(1.0 / (rate_hz * _POLLS_PER_FRAME))
        return self

    def _set_up(
        self, line: SerialLine | TcpLine, talk: Conversation
    ) -> tuple[dict[int, str], float]:
        startup.greet(line, talk, self._baud, self._reset_s)
        try:
            startup.prepare(line, talk, self._baud)
            names = startup.load_tools(talk, self._tools)
            rate_hz = self._frame_rate_hz or startup.frame_rate_hz(talk)
            startup.start(talk)
        except DeviceError:
            startup.leave(line, talk)
            raise
        return names, rate_hz

    def __exit__(self, *exc: object) -> None:
        """Stop tracking and close within 1 s, whatever the tracker does."""
        if self._link is not None:
            self._link.close()

    def counts(self) -> StreamCounts:
        """Since the last connection; stays readable after it ended."""
        return StreamCounts() if self._link is None else self._link.reader.counts()

    def fault(self) -> str | None:
        """Why nothing arrives any more, or None while connected."""
        return f"{self._title}: not connected" if self._link is None else self._link.fault()

    def notices(self) -> tuple[str, ...]:
        """What the tracker complains of now (temperature, infrared, alerts), and its warnings
        since the last connection, in words."""
        return () if self._link is None else self._link.reader.notices()


class _Link(Lifeline):
    """One connection from the start of tracking to its end; never used for a second one."""

    def __init__(
        self,
        title: str,
        line: SerialLine | TcpLine,
        talk: Conversation,
        stopping: threading.Event,
        reader: ReplyReader,
        silence_s: float,
    ) -> None:
        super().__init__(title, stopping)
        self.reader = reader
        self._line = line
        self._talk = talk
        self._silence_s = silence_s
        self._pause_s = 0.0
        self._thread = threading.Thread(target=self._run, name=f"read {title}", daemon=True)

    def start(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self._thread.start()

    def close(self) -> None:
        self.stopping.set()
        if self._thread is not threading.current_thread():
            self._thread.join(_JOIN_S)

    def _run(self) -> None:
        try:
            self._poll_all()
        except StoppedError:
            pass
        except ConnectionLostError as error:
            self.fail(f"{error}; check cable and power, then connect again")
            self._line.close()
            return
        except TrackerRefusedError as error:
            self.fail(str(error))
        except Exception as error:  # noqa: BLE001  the thread's boundary
            self.fail(f"a sample could not be handled ({error!r})")
        # A conversation of its own: the other one stops at once where it should wait.
        startup.leave(self._line, Conversation(self._line, threading.Event()))
        self._line.close()

    def _poll_all(self) -> None:
        heard_s = time.monotonic()
        while not self.stopping.is_set():
            try:
                is_news = self.reader.poll(self.stopping)
                heard_s = time.monotonic()
            except ReplyError as error:
                self.reader.refuse(error)
                self._check_silence(heard_s, error)
                self._talk.resynchronise(REPLY_S)
                continue
            if not is_news:
                self.stopping.wait(self._pause_s)

    def _check_silence(self, heard_s: float, error: ReplyError) -> None:
        silent_s = time.monotonic() - heard_s
        if silent_s > self._silence_s - REPLY_S:
            raise ConnectionLostError(
                f"the tracker has sent nothing readable for {silent_s:.1f} s ({error.reason})"
            ) from error
