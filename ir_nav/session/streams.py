"""Where every sample goes: to its buffer, and to the log."""

from __future__ import annotations

from collections import deque
from threading import Lock

from devices.contract import ImageSample, PoseSample, Sample
from ir_nav.recording import NeedleLog
from ir_nav.session.room import Room
from ir_nav.session.state import Role, ToolState, ToolStatus
from ir_nav.tracking import PoseBuffer

STALE_AFTER_S = 0.25
KEPT_FRAMES = 8

_STATES = {
    "ok": ToolState.OK,
    "unknown": ToolState.UNKNOWN,
    "missing": ToolState.MISSING,
    "out of volume": ToolState.OUT_OF_VOLUME,
    "invalid": ToolState.INVALID,
}


class ImageBuffer:
    """The last few frames of one image stream."""

    def __init__(self) -> None:
        self._frames: deque[ImageSample] = deque(maxlen=KEPT_FRAMES)
        self._arrivals: deque[float] = deque(maxlen=128)
        self._lock = Lock()

    def push(self, frame: ImageSample) -> None:
        with self._lock:
            self._frames.append(frame)
            self._arrivals.append(frame.received_s)

    def newest_first(self) -> tuple[ImageSample, ...]:
        with self._lock:
            return tuple(reversed(self._frames))

    def rate_hz(self, now_s: float) -> float:
        """Frames that arrived in the last two seconds, per second."""
        with self._lock:
            return sum(1 for arrival in self._arrivals if now_s - arrival <= 2.0) / 2.0


class Streams:
    """Buffers of one room. `take` runs on the reader threads."""

    def __init__(self, room: Room) -> None:
        self._roles = {tool.transform: tool.role for tool in room.tools}
        self._names = {tool.role: tool.name for tool in room.tools}
        self.poses = {role: PoseBuffer(self._names[role]) for role in self._names}
        self.ultrasound = ImageBuffer()
        self.fluoro = ImageBuffer()
        self._ultrasound_name = room.ultrasound.image if room.ultrasound else None
        self._fluoro_name = room.fluoro.image if room.fluoro else None
        self.log: NeedleLog | None = None

    def take(self, sample: Sample) -> None:
        """Log a sample and put it where the tick looks."""
        log = self.log
        if log is not None:
            log.sample(sample)
        if isinstance(sample, PoseSample):
            role = self._roles.get(sample.name)
            if role is not None:
                self.poses[role].push(sample)
        elif isinstance(sample, ImageSample):
            if sample.name == self._ultrasound_name:
                self.ultrasound.push(sample)
            elif sample.name == self._fluoro_name:
                self.fluoro.push(sample)

    def tool_status(self, role: Role, newest: PoseSample | None, now_s: float) -> ToolStatus:
        """State of a tool from its newest sample: whether the tracker still says anything, then
        what it says."""
        name = self._names[role]
        if newest is None:
            return ToolStatus(role, name, ToolState.NEVER, None)
        age_s = now_s - newest.received_s
        if age_s > STALE_AFTER_S:
            return ToolStatus(role, name, ToolState.STALE, age_s)
        if newest.matrix is None:
            return ToolStatus(role, name, _STATES[newest.status], self._unseen_s(role, now_s))
        return ToolStatus(role, name, _STATES[newest.status], age_s)

    def _unseen_s(self, role: Role, now_s: float) -> float | None:
        """Time since the tool was last seen, within the buffer."""
        for sample in reversed(self.poses[role].since(now_s - 60.0)):
            if sample.matrix is not None:
                return now_s - sample.received_s
        return None
