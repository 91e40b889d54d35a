"""Status bits of a port and of the whole system, and what they mean for a pose.

Source: Polaris Application Program Interface Guide, TX, tables "Port status" and "System status".
"""

from __future__ import annotations

from enum import IntEnum, IntFlag

from devices.contract import PoseStatus


class HandleState(IntEnum):
    """How a handle stands in one reply; the numbers are those of BX."""

    VALID = 1
    MISSING = 2
    DISABLED = 4
    UNOCCUPIED = 8  # TX only


class PortStatus(IntFlag):
    """One port. On an Aurora bit 8 is a broken sensor; the bits above are of optical systems."""

    OCCUPIED = 0x0001
    SWITCH_1 = 0x0002
    SWITCH_2 = 0x0004
    SWITCH_3 = 0x0008
    INITIALIZED = 0x0010
    ENABLED = 0x0020
    OUT_OF_VOLUME = 0x0040
    PARTIALLY_OUT_OF_VOLUME = 0x0080
    ALGORITHM_LIMITATION = 0x0100
    IR_INTERFERENCE = 0x0200
    PROCESSING_EXCEPTION = 0x1000
    FELL_BEHIND = 0x4000
    DATA_BUFFER_LIMITATION = 0x8000


class SystemStatus(IntFlag):
    """The whole tracker."""

    OUT_OF_SYNC = 0x0001
    TOO_MUCH_INFRARED = 0x0002
    INTERNAL_CHECKSUM = 0x0004
    PROCESSING_EXCEPTION = 0x0008
    HARDWARE_FAILURE = 0x0010
    HARDWARE_CHANGE = 0x0020
    PORT_OCCUPIED = 0x0040
    PORT_UNOCCUPIED = 0x0080
    DIAGNOSTIC_PENDING = 0x0100
    TEMPERATURE = 0x0200
    CONFIGURATION_CHANGED = 0x0400


_OUTSIDE = PortStatus.OUT_OF_VOLUME | PortStatus.PARTIALLY_OUT_OF_VOLUME
_DOUBTFUL = (
    PortStatus.ALGORITHM_LIMITATION
    | PortStatus.IR_INTERFERENCE
    | PortStatus.PROCESSING_EXCEPTION
    | PortStatus.FELL_BEHIND
    | PortStatus.DATA_BUFFER_LIMITATION
)
_UNTRUSTED = (
    SystemStatus.OUT_OF_SYNC
    | SystemStatus.TOO_MUCH_INFRARED
    | SystemStatus.INTERNAL_CHECKSUM
    | SystemStatus.PROCESSING_EXCEPTION
    | SystemStatus.HARDWARE_FAILURE
    | SystemStatus.TEMPERATURE
)
_SYSTEM_WORDS = {
    SystemStatus.OUT_OF_SYNC: "its parts are out of step; check the cables between them",
    SystemStatus.TOO_MUCH_INFRARED: "too much infrared light; switch off or cover lamps",
    SystemStatus.INTERNAL_CHECKSUM: "data inside it arrive damaged; check its cables",
    SystemStatus.PROCESSING_EXCEPTION: "it recovered from an internal error",
    SystemStatus.HARDWARE_FAILURE: "its hardware failed; have NDI service it",
    SystemStatus.HARDWARE_CHANGE: "its hardware changed; disconnect and connect again",
    SystemStatus.PORT_OCCUPIED: "a tool was plugged in; disconnect and connect again to use it",
    SystemStatus.PORT_UNOCCUPIED: "a tool was unplugged; plug it in, then connect again",
    SystemStatus.DIAGNOSTIC_PENDING: "it has a new alert; read it in NDI ToolBox",
    SystemStatus.TEMPERATURE: "it is too cold or too hot to measure; wait until it warmed up",
    SystemStatus.CONFIGURATION_CHANGED: "its hardware changed; disconnect and connect again",
}
_PORT_WORDS = {
    PortStatus.ALGORITHM_LIMITATION: "it cannot work out the pose, or its sensor is broken",
    PortStatus.IR_INTERFERENCE: "a bright light or reflection disturbs it; cover it",
    PortStatus.PROCESSING_EXCEPTION: "an internal error of the tracker",
    PortStatus.FELL_BEHIND: "the tracker does not keep up; load fewer tools",
    PortStatus.DATA_BUFFER_LIMITATION: "too many reflections in view; cover shiny things",
}


def pose_status(state: HandleState, port: PortStatus, system: SystemStatus) -> PoseStatus:
    """What a reading is worth. Partly out of volume counts as out: NDI states no accuracy there."""
    if state in (HandleState.DISABLED, HandleState.UNOCCUPIED):
        return PoseStatus.INVALID
    if port & _OUTSIDE:
        return PoseStatus.OUT_OF_VOLUME
    if state is HandleState.MISSING:
        return PoseStatus.MISSING
    return PoseStatus.INVALID if port & _DOUBTFUL or system & _UNTRUSTED else PoseStatus.OK


def system_words(status: SystemStatus) -> list[str]:
    """What is wrong with the tracker as a whole."""
    return [f"the tracker: {words}" for bit, words in _SYSTEM_WORDS.items() if status & bit]


def port_words(name: str, status: PortStatus) -> list[str]:
    """What is wrong with one tool."""
    return [f"{name}: {words}" for bit, words in _PORT_WORDS.items() if status & bit]
