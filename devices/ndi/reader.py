"""Tracking replies as samples."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from types import MappingProxyType

from devices.contract import PoseSample, PoseStatus, Sink, StreamCounts
from devices.ndi.clock import FrameClock, Timeline
from devices.ndi.conversation import Conversation, StoppedError
from devices.ndi.faults import TrackerRefusedError
from devices.ndi.framing import ReplyError
from devices.ndi.replies import ToolReading, TrackingReply, pose_matrix
from devices.ndi.status import SystemStatus, port_words, pose_status, system_words

REPLY_S = 0.3
_UNKNOWN_COMMAND = 0x01
_TOO_OFTEN = 4  # a counter that restarted once or twice is no wrong rate


class ReplyReader:
    """Turns replies into samples. Only `counts` and `notices` may be called by other threads."""

    def __init__(
        self,
        talk: Conversation,
        names: Mapping[int, str],
        clock: FrameClock,
        sink: Sink,
        binary: bool,
    ) -> None:
        self._talk = talk
        self._names = names
        self._clock = clock
        self._sink = sink
        self._binary = binary
        self._timelines = {handle: Timeline(clock) for handle in names}
        self._received = 0
        self._refused: dict[str, int] = {}
        self._last_received_s: float | None = None
        self._complaints: tuple[str, ...] = ()

    def counts(self) -> StreamCounts:
        refused = MappingProxyType(self._refused.copy())
        return StreamCounts(self._received, refused, self._last_received_s)

    def notices(self) -> tuple[str, ...]:
        return (*self._complaints, *self._talk.warnings)

    def poll(self, stopping: threading.Event) -> bool:
        """Ask once and hand over what is new; False where there was nothing new. Raises as
        Conversation.ask does."""
        try:
            reply = self._talk.track(self._binary, REPLY_S)
        except TrackerRefusedError as error:
            # Early Aurora and Polaris firmware knows only TX.
            if not self._binary or error.code != _UNKNOWN_COMMAND:
                raise
            self._binary = False
            return False
        return self._hand_over(reply, time.time(), stopping)

    def refuse(self, error: ReplyError) -> None:
        self._refused[error.reason] = self._refused.get(error.reason, 0) + 1

    def _hand_over(
        self, reply: TrackingReply, received_s: float, stopping: threading.Event
    ) -> bool:
        self._complaints = self._complain(reply)
        fresh = [tool for tool in reply.tools if self._is_new(tool)]
        for tool in fresh:
            try:
                sample = self._sample(tool, reply.system, received_s)
            except ReplyError as error:
                self.refuse(error)
                continue
            if stopping.is_set():
                raise StoppedError
            self._sink(sample)
            self._received += 1
            self._last_received_s = received_s
        return bool(fresh)

    def _is_new(self, tool: ToolReading) -> bool:
        timeline = self._timelines.get(tool.handle)
        return timeline is not None and timeline.is_new(tool.frame)

    def _sample(self, tool: ToolReading, system: SystemStatus, received_s: float) -> PoseSample:
        source_s = self._timelines[tool.handle].unix_s(tool.frame, received_s)
        status = pose_status(tool.state, tool.port, system)
        matrix = None
        if status is PoseStatus.OK and tool.pose is not None:
            matrix = pose_matrix(tool.pose)
        return PoseSample(self._names[tool.handle], matrix, status, source_s, received_s)

    def _complain(self, reply: TrackingReply) -> tuple[str, ...]:
        words = system_words(reply.system)
        for tool in reply.tools:
            if tool.handle in self._names:
                words += port_words(self._names[tool.handle], tool.port)
        if self._clock.anchored >= _TOO_OFTEN:
            words.append(
                f"the tracker: its frames do not come at {self._clock.rate_hz:g} Hz; "
                "set frame_rate_hz, or its times are off by up to 0.25 s"
            )
        return tuple(words)
