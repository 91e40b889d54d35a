"""Where every sample goes: to its buffer, and to the log."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from threading import Lock

from devices.contract import ImageSample, PoseSample, PoseStatus, Sample
from ir_nav.recording import NeedleLog
from ir_nav.session.device_clock import DeviceClock
from ir_nav.session.room import Room
from ir_nav.session.state import Role, ToolState, ToolStatus
from ir_nav.tracking import PoseBuffer
from ir_nav.tracking.quality import QualityReport, StreamQuality

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


@dataclass(frozen=True, slots=True)
class StreamReport:
    """How well one stream of the room comes in.

    stream: as it travels on the wire. name: for people. device: of the room file. role: of the
    tool, None for images. unknown: the tracker sends this tool's poses without saying whether
    they are good; such poses count as valid in `quality`.
    """

    stream: str
    name: str
    device: str
    role: Role | None
    unknown: bool
    quality: QualityReport


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
        # (stream, name, device, role) of what the room file names, poses first.
        self._listed: list[tuple[str, str, str, Role | None]] = [
            (tool.transform, tool.name, tool.device, tool.role) for tool in room.tools
        ]
        if room.ultrasound:
            self._listed.append((room.ultrasound.image, "Ultrasound", room.ultrasound.device, None))
        if room.fluoro:
            self._listed.append((room.fluoro.image, "Fluoro", room.fluoro.device, None))
        # Never changed from here on: reader threads look streams up without a lock.
        clocks = {device: DeviceClock() for _, _, device, _ in self._listed}
        self._clocks = {stream: clocks[device] for stream, _, device, _ in self._listed}
        self._qualities = {stream: StreamQuality() for stream, *_ in self._listed}

    def take(self, sample: Sample) -> None:
        """Log a sample as it came, and put it, on our clock, where the tick looks."""
        log = self.log
        if log is not None:
            log.sample(sample)
        if isinstance(sample, PoseSample):
            role = self._roles.get(sample.name)
            if role is not None:
                self.poses[role].push(self._clocks[sample.name].ours(sample))
                # A pose of unknown status is a pose: only what cannot be used counts as invalid.
                status = PoseStatus.OK if sample.matrix is not None else sample.status
                self._judge(sample, status)
        elif isinstance(sample, ImageSample):
            self._judge(sample, PoseStatus.OK)
            if sample.name == self._ultrasound_name:
                self.ultrasound.push(self._clocks[sample.name].ours(sample))
            elif sample.name == self._fluoro_name:
                self.fluoro.push(self._clocks[sample.name].ours(sample))

    def quality(self, now_s: float) -> tuple[StreamReport, ...]:
        """Each stream's last seconds up to `now_s` (Unix time), tools first. Costs about 0.1 ms
        a stream: ask now and then, not at each tick."""
        reports = []
        for stream, name, device, role in self._listed:
            newest = None if role is None else self.poses[role].latest()
            unknown = newest is not None and newest.status is PoseStatus.UNKNOWN
            report = self._qualities[stream].report(now_s)
            reports.append(StreamReport(stream, name, device, role, unknown, report))
        return tuple(reports)

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

    def _judge(self, sample: PoseSample | ImageSample, status: PoseStatus) -> None:
        quality = self._qualities.get(sample.name)
        if quality is not None:
            quality.push(sample.source_s, sample.received_s, status)

    def _unseen_s(self, role: Role, now_s: float) -> float | None:
        """Time since the tool was last seen, within the buffer."""
        for sample in reversed(self.poses[role].since(now_s - 60.0)):
            if sample.matrix is not None:
                return now_s - sample.received_s
        return None
