"""Where every sample goes: to its buffer, and to the log."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import TypeVar

from devices.contract import ImageSample, PoseSample, PoseStatus, Sample, TextSample
from devices.debounce import SAMPLE_NAME as PEDAL
from ir_nav.recording import NeedleLog
from ir_nav.session.device_clock import DeviceClock
from ir_nav.session.device_entries import KeyboardPedalEntry, PedalEntry, may_smooth
from ir_nav.session.fluoro_correction import FluoroCorrection, distortion_of
from ir_nav.session.frame_queue import KEPT_BYTES, FrameQueue
from ir_nav.session.pedal_presses import PedalPresses
from ir_nav.session.room import Room
from ir_nav.session.state import Role, ToolState, ToolStatus
from ir_nav.session.steady_stamps import SteadyStamps
from ir_nav.tracking import PoseBuffer
from ir_nav.tracking.quality import QualityReport, StreamQuality
from ir_nav.tracking.stamp_filter import StampReport

STALE_AFTER_S = 0.25
KEPT_FRAMES = 8

S = TypeVar("S", PoseSample, ImageSample)

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
        # Told of every frame on the reader thread; must be quick. None: nobody listens.
        self.follower: Callable[[ImageSample], None] | None = None

    def push(self, frame: ImageSample) -> None:
        with self._lock:
            self._frames.append(frame)
            self._arrivals.append(frame.received_s)
        follower = self.follower
        if follower is not None:
            follower(frame)

    def clear(self) -> None:
        """Forget the frames: they no longer show what there is to see."""
        with self._lock:
            self._frames.clear()

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
    they are good; such poses count as valid in `quality`. stamps: how its time stamps jitter;
    None until that is known.
    """

    stream: str
    name: str
    device: str
    role: Role | None
    unknown: bool
    quality: QualityReport
    stamps: StampReport | None = None


class Streams:
    """Buffers of one room. `take` runs on the reader threads."""

    def __init__(self, room: Room) -> None:
        self._roles = {tool.transform: tool.role for tool in room.tools}
        self._names = {tool.role: tool.name for tool in room.tools}
        self.poses = {role: PoseBuffer(self._names[role]) for role in self._names}
        self.ultrasound = ImageBuffer()
        self.fluoro = ImageBuffer()
        self.swept = FrameQueue(KEPT_BYTES[room.source])
        # A recording's pedal was answered when it was recorded.
        pedals = any(isinstance(one, PedalEntry | KeyboardPedalEntry) for one in room.devices)
        self.pedal = PedalPresses() if pedals else None
        self._ultrasound_name = room.ultrasound.image if room.ultrasound else None
        self._fluoro_name = room.fluoro.image if room.fluoro else None
        # None: the detector is flat, or its source corrects the frames.
        self.fluoro_correction: FluoroCorrection | None = None
        if room.fluoro and room.fluoro.distortion:
            distortion = distortion_of(room.fluoro.distortion, room.fluoro.size_px)
            self.fluoro_correction = FluoroCorrection(distortion)
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
        smoothed = {device.name for device in room.devices if may_smooth(device)}
        self._stamps = SteadyStamps(
            stream for stream, _, device, _ in self._listed if device in smoothed
        )

    def take(self, sample: Sample) -> None:
        """Log a sample as it came, and put it, its stamp steadied and on our clock, where the
        tick looks."""
        log = self.log
        if log is not None:
            log.sample(sample)
        if isinstance(sample, PoseSample):
            role = self._roles.get(sample.name)
            if role is not None:
                self.poses[role].push(self._timed(sample))
                # A pose of unknown status is a pose: only what cannot be used counts as invalid.
                status = PoseStatus.OK if sample.matrix is not None else sample.status
                self._judge(sample, status)
        elif isinstance(sample, ImageSample):
            self._judge(sample, PoseStatus.OK)
            if sample.name == self._ultrasound_name:
                frame = self._timed(sample)
                self.ultrasound.push(frame)
                self.swept.put(frame)
            elif sample.name == self._fluoro_name:
                self._take_fluoro(self._timed(sample))
        elif self.pedal is not None and isinstance(sample, TextSample) and sample.name == PEDAL:
            self.pedal.turn(sample)

    def _take_fluoro(self, frame: ImageSample) -> None:
        correction = self.fluoro_correction
        straight = frame if correction is None else correction.corrected(frame)
        if straight is None:
            self.fluoro.clear()
        else:
            self.fluoro.push(straight)

    def quality(self, now_s: float) -> tuple[StreamReport, ...]:
        """Each stream's last seconds up to `now_s` (Unix time), tools first. Costs about 0.1 ms
        a stream: ask now and then, not at each tick."""
        reports = []
        for stream, name, device, role in self._listed:
            newest = None if role is None else self.poses[role].latest()
            unknown = newest is not None and newest.status is PoseStatus.UNKNOWN
            report = self._qualities[stream].report(now_s)
            stamps = self._stamps.report(stream)
            reports.append(StreamReport(stream, name, device, role, unknown, report, stamps))
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

    def _timed(self, sample: S) -> S:
        return self._clocks[sample.name].ours(self._stamps.steadied(sample))

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
