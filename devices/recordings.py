"""Tracked image sequences as PLUS and 3D Slicer write them (`.igs.mha`, `.seq.mha`)."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from devices.contract import DeviceError, PoseStatus

MAX_HEADER_BYTES = 64 * 1024 * 1024
MAX_PIXEL_BYTES = 8 * 1024**3
SCALARS = {
    "MET_UCHAR": np.uint8,
    "MET_CHAR": np.int8,
    "MET_USHORT": np.uint16,
    "MET_SHORT": np.int16,
    "MET_FLOAT": np.float32,
}
STATUSES = {
    "OK": PoseStatus.OK,
    "MISSING": PoseStatus.MISSING,
    "OUT_OF_VIEW": PoseStatus.MISSING,
    "OUT_OF_VOLUME": PoseStatus.OUT_OF_VOLUME,
}


class RecordingError(DeviceError):
    """A recording cannot be read; names the file and what to do."""


@dataclass(frozen=True, slots=True, eq=False)
class RecordedPose:
    """matrix: (4, 4) mm as stored, None where the tool was not seen."""

    matrix: NDArray[np.float64] | None
    status: PoseStatus


@dataclass(frozen=True, slots=True, eq=False)
class RecordedFrame:
    """One instant. time_s: as stored, seconds from some start. poses: by name without
    "Transform", such as "ProbeToTracker". pixels: (rows, columns), None without images."""

    time_s: float
    poses: Mapping[str, RecordedPose]
    pixels: NDArray[np.generic] | None


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A whole sequence in order of its frames."""

    path: Path
    frames: tuple[RecordedFrame, ...]

    @property
    def pose_names(self) -> tuple[str, ...]:
        return tuple(sorted({name for frame in self.frames for name in frame.poses}))

    @property
    def has_images(self) -> bool:
        return any(frame.pixels is not None for frame in self.frames)


def read_recording(path: Path) -> Recording:
    """Read a sequence file; RecordingError when it is none, or damaged.

    Images are turned to marked-side left, near side up (PLUS's MF) by the file's
    UltrasoundImageOrientation.
    """
    data = _bytes(path)
    fields, frames, offset = _header(path, data)
    times = [_number(path, frame, "Timestamp") for frame in frames]
    stack = _pixels(path, fields, data[offset:], len(frames))
    recorded = []
    for index, (time_s, frame) in enumerate(zip(times, frames, strict=True)):
        picture = None
        if stack is not None and frame.get("ImageStatus", "OK") == "OK":
            picture = stack[index]
        recorded.append(RecordedFrame(time_s, _poses(path, frame), picture))
    return Recording(path, tuple(recorded))


def _bytes(path: Path) -> bytes:
    """The file's, no more of it than a sequence may hold; pipes and devices are no files."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise RecordingError(f"{path}: is no file: save the recording as one first")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_HEADER_BYTES)
            if b"ElementDataFile" in data:
                data += file.read(MAX_PIXEL_BYTES)
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read ({error.strerror})") from None
    return data


def _header(path: Path, data: bytes) -> tuple[dict[str, str], list[dict[str, str]], int]:
    """Fields of the file, fields of each frame, and where the pixels begin."""
    end = data.find(b"ElementDataFile", 0, MAX_HEADER_BYTES)
    line_end = data.find(b"\n", end)
    if end < 0 or line_end < 0:
        raise RecordingError(f"{path}: not a MetaImage sequence, or its header is cut off")
    fields: dict[str, str] = {}
    frames: dict[int, dict[str, str]] = {}
    for line in data[:end].decode("latin-1").splitlines():
        key, separator, value = line.partition("=")
        key, value = key.strip(), value.strip()
        if not separator:
            continue
        if key.startswith("Seq_Frame"):
            number, _, name = key.removeprefix("Seq_Frame").partition("_")
            if number.isdigit() and len(number) <= 9:
                frames.setdefault(int(number), {})[name] = value
        else:
            fields[key] = value
    if not frames:
        raise RecordingError(f"{path}: holds no tracked frames (no Seq_Frame fields)")
    return fields, [frames[number] for number in sorted(frames)], line_end + 1


def _poses(path: Path, frame: Mapping[str, str]) -> dict[str, RecordedPose]:
    found = {}
    for key, value in frame.items():
        if not key.endswith("Transform"):
            continue
        status = STATUSES.get(frame.get(f"{key}Status", "OK"), PoseStatus.INVALID)
        try:
            matrix = np.array([float(part) for part in value.split()])
        except ValueError:
            raise RecordingError(f"{path}: {key} is not sixteen numbers") from None
        if matrix.shape != (16,):
            raise RecordingError(f"{path}: {key} is not sixteen numbers")
        matrix = matrix.reshape(4, 4)
        matrix.flags.writeable = False
        seen = status is PoseStatus.OK
        found[key.removesuffix("Transform")] = RecordedPose(matrix if seen else None, status)
    return found


def _pixels(
    path: Path, fields: Mapping[str, str], data: bytes, frames: int
) -> NDArray[np.generic] | None:
    """All images (frames, rows, columns), or None for a file of transforms only."""
    try:
        columns, rows, count = (int(part) for part in fields["DimSize"].split())
        channels = int(fields.get("ElementNumberOfChannels", "1"))
    except (KeyError, ValueError):
        return None
    if columns == 0 or rows == 0 or fields.get("ElementType") not in SCALARS:
        return None
    scalar = np.dtype(SCALARS[fields["ElementType"]])
    size = columns * rows * count * channels * scalar.itemsize
    sensible = min(columns, rows, channels) > 0 and size <= MAX_PIXEL_BYTES
    if not sensible:
        raise RecordingError(f"{path}: says images of {columns} x {rows}: export it again")
    if count != frames:
        raise RecordingError(f"{path}: says {count} images but has {frames} tracked frames")
    if fields.get("CompressedData", "False").lower() == "true":
        data = _inflated(path, data, size)
    if len(data) < size:
        raise RecordingError(f"{path}: is cut off, copy it again")
    if fields.get("BinaryDataByteOrderMSB", "False").lower() == "true":
        scalar = scalar.newbyteorder(">")
    shape = (count, rows, columns) if channels == 1 else (count, rows, columns, channels)
    stack = np.frombuffer(data, scalar, size // scalar.itemsize).reshape(shape)
    return _upright(stack, fields.get("UltrasoundImageOrientation", "MF"))


def _inflated(path: Path, data: bytes, size: int) -> bytes:
    """At most `size` bytes, so that a forged file cannot fill the memory."""
    try:
        return zlib.decompressobj().decompress(data, size)
    except zlib.error:
        raise RecordingError(f"{path}: its images are damaged, copy it again") from None


def _upright(stack: NDArray[np.generic], orientation: str) -> NDArray[np.generic]:
    if orientation[:1] == "U":
        stack = stack[:, :, ::-1]
    if orientation[1:2] == "N":
        stack = stack[:, ::-1]
    return np.ascontiguousarray(stack)


def _number(path: Path, frame: Mapping[str, str], key: str) -> float:
    try:
        return float(frame[key])
    except (KeyError, ValueError):
        raise RecordingError(f"{path}: a frame has no usable {key}") from None
