"""Port handles: how the tracker lists them, and where their tools are.

Source: Polaris Application Program Interface Guide, PHSR, PHRQ and PHINF (reply option 0x0020).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum

from devices.ndi.framing import ReplyError
from devices.ndi.status import PortStatus

LOCATION_OPTION = 0x0020
REQUEST_WIRELESS = "PHRQ:*********1****"

_COUNT = re.compile(rb"[0-9A-Fa-f]{2}")
_HANDLE = re.compile(rb"([0-9A-Fa-f]{2})([0-9A-Fa-f]{3})")
# Hardware device, system type, tool type, port number, channel.
_LOCATION = re.compile(rb".{8}.([01])([0-9A-Za-z*]{2})([0-9*]{2})", re.DOTALL)


class Listed(IntEnum):
    """Which handles PHSR is to list."""

    ALL = 0
    TO_FREE = 1
    TO_INITIALIZE = 2
    TO_ENABLE = 3
    ENABLED = 4


@dataclass(frozen=True, slots=True)
class WiredPort:
    """A plug of the tracker, from 1. channel: 1 for the second sensor of an Aurora tool."""

    port: int
    channel: int = 0


@dataclass(frozen=True, slots=True)
class Location:
    """Where the tool of a handle is. port: None for wireless tools."""

    port: WiredPort | None


def parse_handles(content: bytes) -> dict[int, PortStatus]:
    """A PHSR reply: status of each handle. Raises ReplyError."""
    count = _COUNT.match(content)
    if count is None or len(content) != 2 + 5 * int(count[0], 16):
        raise ReplyError("malformed reply", repr(content[:40]))
    found = _HANDLE.findall(content, 2)
    if len(found) != int(count[0], 16):
        raise ReplyError("malformed reply", repr(content[:40]))
    return {int(handle, 16): PortStatus(int(status, 16)) for handle, status in found}


def parse_handle(content: bytes) -> int:
    """A PHRQ reply. Raises ReplyError."""
    if _COUNT.fullmatch(content) is None:
        raise ReplyError("malformed reply", repr(content[:40]))
    return int(content, 16)


def parse_location(content: bytes) -> Location:
    """A PHINF reply under option 0x0020. Raises ReplyError."""
    if (found := _LOCATION.fullmatch(content)) is None:
        raise ReplyError("malformed reply", repr(content[:40]))
    wireless, port, channel = found.groups()
    if wireless == b"1":
        return Location(None)
    if not (port.isdigit() and channel.isdigit()):
        raise ReplyError("malformed reply", repr(content[:40]))
    return Location(WiredPort(int(port), int(channel)))
