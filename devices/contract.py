"""What every driver promises, and the records it hands over.

A device is a context manager: `__enter__` connects or raises DeviceError, `__exit__` releases,
and the same address can be opened again. One reader thread per device reads, checks, decodes
and stamps, then calls the sink it was built with. The sink runs on that thread: it must be
quick, must not raise, and must not call back into the device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray


class DeviceError(Exception):
    """A device cannot do what was asked; the message says what is wrong and what to do."""


class ConnectionLostError(DeviceError):
    """The peer went away after it was connected."""


class PoseStatus(StrEnum):
    """What a tracker says of one tool in one sample."""

    OK = "ok"
    MISSING = "missing"
    OUT_OF_VOLUME = "out of volume"
    INVALID = "invalid"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, eq=False)
class PoseSample:
    """One pose of one tool.

    name: as it travels on the wire, such as "NeedleToTracker". matrix: (4, 4), mm, rigid and
    read-only, or None where the tool was not seen. source_s: Unix time the sender stamped.
    received_s: Unix time of arrival here.
    """

    name: str
    matrix: NDArray[np.float64] | None
    status: PoseStatus
    source_s: float
    received_s: float


@dataclass(frozen=True, slots=True, eq=False)
class ImageSample:
    """One image.

    pixels: (rows, columns) or (rows, columns, components), read-only. parent_from_pixel: the
    matrix sent with it (4, 4), from (column, row, slice) to the sender's frame, LPS mm.
    metadata: what the sender said besides.
    """

    name: str
    pixels: NDArray[np.generic]
    parent_from_pixel: NDArray[np.float64]
    source_s: float
    received_s: float
    metadata: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class TextSample:
    """One line of text."""

    name: str
    text: str
    source_s: float
    received_s: float


Sample = PoseSample | ImageSample | TextSample
Sink = Callable[[Sample], None]


@dataclass(frozen=True, slots=True)
class StreamCounts:
    """What a device has seen since it was connected.

    received: samples handed to the sink. refused: messages dropped, by reason (bad checksum,
    pose not rigid, unknown type ...).
    """

    received: int = 0
    refused: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    last_received_s: float | None = None


class Device(Protocol):
    """Source of samples."""

    def __enter__(self) -> Self:
        """Connect and start reading, or raise DeviceError."""

    def __exit__(self, *exc: object) -> None:
        """Stop reading and release; the same address can be opened again."""

    def counts(self) -> StreamCounts:
        """What was seen so far; never blocks."""

    def fault(self) -> str | None:
        """Why the device no longer delivers, in words, or None while it is connected."""
