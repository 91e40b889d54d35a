"""Tracking replies: TX (text) and BX (binary) under reply options 0x0001 and 0x0800.

Source: Polaris Application Program Interface Guide, TX and BX. A pose is q0 qx qy qz, tx ty tz
in mm, error (root mean square of the marker fit, mm), then port status and frame number. In TX
they are signed decimals without a point (four decimals, positions two); in BX float32 and u32.
Poses take points of the tool to the tracker's own frame.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.ndi.framing import ReplyError
from devices.ndi.status import HandleState, PortStatus, SystemStatus

# TX rounds to four decimals: the squared length is off by at most 2e-4.
UNIT_TOLERANCE = 1e-3

_POSE = struct.Struct("<8f")
_PORT = struct.Struct("<II")
_SYSTEM = struct.Struct("<H")
_TX_TOOL = re.compile(
    rb"([0-9A-Fa-f]{2})"
    rb"(?:((?:[+-][0-9]{5}){4}(?:[+-][0-9]{6}){3}[+-][0-9]{5})|(MISSING|DISABLED|UNOCCUPIED))"
    rb"(?:([0-9A-Fa-f]{8})([0-9A-Fa-f]{8}))?\n"
)
_TX_COUNT = re.compile(rb"[0-9A-Fa-f]{2}")
_TX_SYSTEM = re.compile(rb"[0-9A-Fa-f]{4}")
_TX_WIDTHS = (6, 6, 6, 6, 7, 7, 7, 6)
_TX_SCALES = (1e4, 1e4, 1e4, 1e4, 1e2, 1e2, 1e2, 1e4)


class NdiPose(NamedTuple):
    """A pose as it stands on the wire: quaternion, position in mm, error in mm."""

    q0: float
    qx: float
    qy: float
    qz: float
    x_mm: float
    y_mm: float
    z_mm: float
    error_mm: float


@dataclass(frozen=True, slots=True)
class ToolReading:
    """One handle in one reply. frame: counter of the tracker, 0 where none was measured yet."""

    handle: int
    state: HandleState
    pose: NdiPose | None = None
    port: PortStatus = field(default=PortStatus(0))
    frame: int = 0


@dataclass(frozen=True, slots=True)
class TrackingReply:
    """All handles at one instant."""

    tools: Sequence[ToolReading]
    system: SystemStatus = field(default=SystemStatus(0))


def pose_matrix(pose: NdiPose) -> NDArray[np.float64]:
    """(4, 4), mm, read-only, tracker from tool. Raises ReplyError where it is no rigid pose."""
    numbers = np.array(pose)
    if not np.isfinite(numbers).all():
        raise ReplyError("pose not finite")
    squared = float(numbers[:4] @ numbers[:4])
    if not abs(squared - 1.0) <= UNIT_TOLERANCE:
        raise ReplyError("pose not rigid", f"a quaternion of squared length {squared:.4f}")
    w, x, y, z = numbers[:4] / squared**0.5
    matrix = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y), pose.x_mm],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x), pose.y_mm],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y), pose.z_mm],
            [0.0, 0.0, 0.0, 1.0],
        ]
    )
    matrix.flags.writeable = False
    return matrix


def parse_tx(content: bytes) -> TrackingReply:
    """A TX reply without its checksum. Raises ReplyError."""
    if (count := _TX_COUNT.match(content)) is None:
        raise ReplyError("malformed reply", repr(content[:40]))
    tools, at = [], count.end()
    for _ in range(int(count[0], 16)):
        if (found := _TX_TOOL.match(content, at)) is None:
            raise ReplyError("malformed reply", repr(content[at : at + 40]))
        tools.append(_tx_tool(*found.groups()))
        at = found.end()
    if _TX_SYSTEM.fullmatch(content, at) is None:
        raise ReplyError("malformed reply", repr(content[at : at + 40]))
    return TrackingReply(tools, SystemStatus(int(content[at:], 16)))


def pack_tx(reply: TrackingReply) -> bytes:
    """A TX reply without its checksum. Raises ReplyError where a number does not fit."""
    parts = [b"%02X" % len(reply.tools)]
    for tool in reply.tools:
        said = _tx_pose(tool.pose) if tool.pose is not None else tool.state.name.encode()
        parts.append(b"%02X%s%08X%08X\n" % (tool.handle, said, tool.port, tool.frame))
    return b"".join((*parts, b"%04X" % reply.system))


def parse_bx(body: bytes) -> TrackingReply:
    """The body of a BX reply. Raises ReplyError."""
    try:
        return _parse_bx(body)
    except (struct.error, IndexError, ValueError) as error:
        raise ReplyError("malformed reply", str(error)) from error


def pack_bx(reply: TrackingReply) -> bytes:
    """The body of a BX reply."""
    parts = [bytes([len(reply.tools)])]
    for tool in reply.tools:
        parts.append(bytes([tool.handle, tool.state]))
        if tool.state is HandleState.DISABLED:
            continue
        if tool.pose is not None:
            parts.append(_POSE.pack(*tool.pose))
        parts.append(_PORT.pack(tool.port, tool.frame))
    return b"".join((*parts, _SYSTEM.pack(reply.system)))


def _parse_bx(body: bytes) -> TrackingReply:
    tools, at = [], 1
    for _ in range(body[0]):
        handle, state = body[at], HandleState(body[at + 1])
        at += 2
        pose, port, frame = None, 0, 0
        if state is HandleState.VALID:
            pose = NdiPose(*_POSE.unpack_from(body, at))
            at += _POSE.size
        if state is not HandleState.DISABLED:
            port, frame = _PORT.unpack_from(body, at)
            at += _PORT.size
        tools.append(ToolReading(handle, state, pose, PortStatus(port), frame))
    (system,) = _SYSTEM.unpack(body[at:])
    return TrackingReply(tools, SystemStatus(system))


def _tx_tool(
    handle: bytes, digits: bytes | None, word: bytes | None, port: bytes | None, frame: bytes | None
) -> ToolReading:
    state = HandleState.VALID if word is None else HandleState[word.decode()]
    if port is None or frame is None:
        if state in (HandleState.VALID, HandleState.MISSING):
            raise ReplyError("malformed reply", "a tool without port status and frame number")
        return ToolReading(int(handle, 16), state)
    pose = None if digits is None else _read_tx_pose(digits)
    return ToolReading(int(handle, 16), state, pose, PortStatus(int(port, 16)), int(frame, 16))


def _read_tx_pose(digits: bytes) -> NdiPose:
    numbers, at = [], 0
    for width, scale in zip(_TX_WIDTHS, _TX_SCALES, strict=True):
        numbers.append(int(digits[at : at + width]) / scale)
        at += width
    return NdiPose(*numbers)


def _tx_pose(pose: NdiPose) -> bytes:
    if not all(map(math.isfinite, pose)):
        raise ReplyError("pose not finite")
    words = []
    for number, width, scale in zip(pose, _TX_WIDTHS, _TX_SCALES, strict=True):
        word = b"%+0*d" % (width, round(number * scale))
        if len(word) != width:
            raise ReplyError("number too large", str(number))
        words.append(word)
    return b"".join(words)
