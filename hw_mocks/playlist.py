"""What a recording or a needle log sends, message by message, and when."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import cv2
import numpy as np
from numpy.typing import NDArray

from devices.contract import DeviceError, PoseStatus
from devices.recordings import RecordedPose, read_recording
from hw_mocks.faults import Faults, faulty_pose, is_dropped_out, is_lost, lateness_s

LOG_FORMATS = ("1", "2")
LOG_SUFFIX = ".irlog"
MAX_WIRE_NAME = 20
# A sender whose clock is further off than this is played by arrival.
MAX_CLOCK_OFFSET_S = 5.0
MISSING = RecordedPose(None, PoseStatus.MISSING)
_STATUSES = {status.value: status for status in PoseStatus}

Payload = RecordedPose | NDArray[np.generic] | str


class ReplayError(ValueError):
    """A recording cannot be played; says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """time_s: since the first one. payload: a pose, an image's pixels, or text."""

    time_s: float
    name: str
    payload: Payload


@dataclass(frozen=True, slots=True, eq=False)
class Playlist:
    """Messages in order of time."""

    title: str
    messages: tuple[Message, ...]

    @property
    def pose_names(self) -> tuple[str, ...]:
        found = {one.name for one in self.messages if isinstance(one.payload, RecordedPose)}
        return tuple(sorted(found))

    @property
    def first_images(self) -> dict[str, NDArray[np.generic]]:
        """The first image of each stream, by name."""
        found: dict[str, NDArray[np.generic]] = {}
        for one in self.messages:
            if isinstance(one.payload, np.ndarray):
                found.setdefault(one.name, one.payload)
        return found

    @property
    def duration_s(self) -> float:
        return self.messages[-1].time_s


@dataclass(frozen=True, slots=True, eq=False)
class Sending:
    """A message of one round. due_s: when it was taken, since the start of the replay; at_s: when
    it arrives."""

    at_s: float
    due_s: float
    name: str
    payload: Payload


def read_playlist(path: Path) -> Playlist:
    """A tracked sequence (.igs.mha, with or without images) or a needle log (.irlog). Raises
    DeviceError or ReplayError."""
    messages = _logged(path) if path.suffix == LOG_SUFFIX else list(_recorded(path))
    messages = [one for one in messages if 0 < len(one.name.encode()) <= MAX_WIRE_NAME]
    if not messages:
        raise ReplayError(f"{path}: holds nothing that can be played")
    if not np.isfinite([one.time_s for one in messages]).all():
        raise ReplayError(f"{path}: a time in it is not a finite number")
    messages.sort(key=lambda one: one.time_s)
    first_s = messages[0].time_s
    moved = (Message(one.time_s - first_s, one.name, one.payload) for one in messages)
    return Playlist(path.name, tuple(moved))


def sendings(playlist: Playlist, faults: Faults, speed: float, start_s: float) -> list[Sending]:
    """One round from `start_s` on, in order of arrival. Faults go by the time of the replay."""
    found = []
    for message in playlist.messages:
        due_s = start_s + message.time_s / speed
        if is_lost(faults, message.name, due_s):
            continue
        payload = message.payload
        if isinstance(payload, RecordedPose):
            payload = _faulty(payload, message.name, faults, due_s)
        at_s = due_s + lateness_s(faults, message.name, due_s)
        found.append(Sending(at_s, due_s, message.name, payload))
    return sorted(found, key=lambda one: one.at_s)


def _faulty(pose: RecordedPose, name: str, faults: Faults, t_s: float) -> RecordedPose:
    if is_dropped_out(faults, name, t_s):
        return MISSING
    if pose.matrix is None:
        return pose
    return RecordedPose(faulty_pose(faults, pose.matrix, t_s), pose.status)


def _recorded(path: Path) -> Iterator[Message]:
    for frame in read_recording(path).frames:
        for name, pose in frame.poses.items():
            yield Message(frame.time_s, name, pose)
        if frame.pixels is not None:
            yield Message(frame.time_s, "Image", frame.pixels)


def _logged(path: Path) -> list[Message]:
    if not path.is_file():
        raise DeviceError(f"{path}: there is no such log")
    try:
        # A log of a process that was killed has its last records in a file beside it.
        address = f"file:{quote(str(path.absolute()))}?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as log:
            meta = dict(log.execute("SELECT key, value FROM meta"))
            if meta.get("format") not in LOG_FORMATS:
                raise ReplayError(f"{path}: log format {meta.get('format')} is not known here")
            return _rows(log)
    except (sqlite3.Error, ValueError, TypeError) as error:
        if isinstance(error, ReplayError):
            raise
        raise ReplayError(f"{path}: not a readable needle log ({error})") from None


def _rows(log: sqlite3.Connection) -> list[Message]:
    offsets = [
        log.execute(f"SELECT MAX(ABS(source_s - received_s)) FROM {table}").fetchone()[0] or 0.0
        for table in ("poses", "images", "texts")
    ]
    clock = "source_s" if max(offsets) < MAX_CLOCK_OFFSET_S else "received_s"
    found: list[Message] = []
    for time_s, name, status, blob in log.execute(
        f"SELECT {clock}, name, status, matrix FROM poses ORDER BY id"
    ):
        found.append(Message(float(time_s), name, _pose(status, blob)))
    for time_s, name, jpeg in log.execute(
        f"SELECT {clock}, name, jpeg FROM images WHERE jpeg IS NOT NULL ORDER BY id"
    ):
        pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
        if pixels is not None:
            found.append(Message(float(time_s), name, np.asarray(pixels)))
    for time_s, name, text in log.execute(f"SELECT {clock}, name, text FROM texts ORDER BY id"):
        found.append(Message(float(time_s), name, str(text)))
    return found


def _pose(status: str, blob: bytes | None) -> RecordedPose:
    known = _STATUSES.get(status, PoseStatus.INVALID)
    if blob is None:
        return RecordedPose(None, known)
    matrix = np.eye(4)
    matrix[:3] = np.frombuffer(blob).reshape(3, 4)
    matrix.flags.writeable = False
    return RecordedPose(matrix, known)
