"""From an open line to a tracker that tracks, and back.

Source: Polaris Application Program Interface Guide, "Initialising the system" and "Port handles";
the order of steps is that of ndicapi's example program.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from devices.contract import DeviceError
from devices.ndi.clock import AURORA_HZ, POLARIS_HZ
from devices.ndi.conversation import Conversation
from devices.ndi.faults import TrackerRefusedError
from devices.ndi.framing import ReplyError
from devices.ndi.ports import (
    LOCATION_OPTION,
    REQUEST_WIRELESS,
    Listed,
    Location,
    WiredPort,
    parse_handle,
    parse_handles,
    parse_location,
)
from devices.ndi.status import PortStatus
from devices.ndi.toolfile import read_tool_definition, write_commands
from devices.ndi.transport import BAUD_DIGITS, START_BAUD, SerialLine, TcpLine

ToolSource = Path | WiredPort

_GREET_S = 0.7
_ASK_S = 2.0
_SLOW_S = 10.0  # INIT, PINIT and TSTART move hardware or read tools
_FAREWELL_S = 0.3
_BAUD_CHANGE_S = 0.1
_FRAME_HZ = re.compile(rb"Param\.Tracking\.Frame Frequency=([0-9]{1,4})\s*")


def greet(line: SerialLine | TcpLine, talk: Conversation, baud: int, reset_s: float) -> None:
    """Find a tracker in whatever state it was left. Raises DeviceError where none answers."""
    if isinstance(line, TcpLine):
        # A Vega takes its time to listen after it accepted the connection.
        if any(_answers(talk) for _ in range(3)):
            return
        raise DeviceError("something listens there, but it does not answer as an NDI tracker")
    for rate in dict.fromkeys((START_BAUD, baud)):
        line.set_baud(rate)
        if _answers(talk):
            return
    line.set_baud(START_BAUD)
    line.send_break()
    if not talk.await_reset(reset_s):
        raise DeviceError(
            "no NDI tracker answers on this serial port; switch it on, check the cable, "
            "wait until it has beeped, and see that it is the right port"
        )


def prepare(line: SerialLine | TcpLine, talk: Conversation, baud: int) -> None:
    """Initialise, agree on the baud rate and forget tools of former sessions."""
    # Noise in its buffer may have spoilt the first attempt.
    with contextlib.suppress(TrackerRefusedError):
        talk.ask("TSTOP:", _ASK_S)
    talk.ask("INIT:", _SLOW_S)
    if isinstance(line, SerialLine):
        set_baud(line, talk, baud, _ASK_S)
    for handle in _list(talk, Listed.TO_FREE):
        talk.ask(f"PHF:{handle:02X}", _ASK_S)
    for handle in _list(talk, Listed.ALL):
        if _location(talk, handle).port is None:
            talk.ask(f"PHF:{handle:02X}", _ASK_S)


def load_tools(talk: Conversation, tools: Mapping[str, ToolSource]) -> dict[int, str]:
    """Load or find every tool and enable it: names by handle. Raises DeviceError."""
    names: dict[int, str] = {}
    for name, source in tools.items():
        if isinstance(source, Path):
            names[_load_wireless(talk, name, source)] = name
    wired = {source: name for name, source in tools.items() if isinstance(source, WiredPort)}
    if wired:
        found = _initialise_wired(talk)
        for port, name in wired.items():
            if port not in found:
                raise DeviceError(f"{name}: no tool in port {port.port}; plug it in")
            names[found[port]] = name
    for handle, name in names.items():
        with _about(name):
            talk.ask(f"PENA:{handle:02X}D", _ASK_S)
    return names


def start(talk: Conversation) -> None:
    """Enter tracking mode."""
    talk.ask("TSTART:", _SLOW_S)


def frame_rate_hz(talk: Conversation) -> float:
    """Rate of the frame counter: as the tracker states it, or that of its kind."""
    with contextlib.suppress(TrackerRefusedError):
        found = _FRAME_HZ.fullmatch(talk.ask("GET:Param.Tracking.Frame Frequency", _ASK_S))
        if found and int(found[1]) > 0:
            return float(found[1])
    with contextlib.suppress(TrackerRefusedError):
        return AURORA_HZ if b"aurora" in talk.ask("VER:4", _ASK_S).lower() else POLARIS_HZ
    return POLARIS_HZ


def leave(line: SerialLine | TcpLine, talk: Conversation) -> None:
    """Stop tracking, and leave the tracker as the next program expects it. Never raises."""
    with contextlib.suppress(DeviceError):
        talk.resynchronise(_FAREWELL_S)
        with contextlib.suppress(TrackerRefusedError):
            talk.ask("TSTOP:", _FAREWELL_S)
        if isinstance(line, SerialLine):
            set_baud(line, talk, START_BAUD, _FAREWELL_S)


def set_baud(line: SerialLine, talk: Conversation, baud: int, timeout_s: float) -> None:
    """Change the rate at both ends. Raises DeviceError."""
    talk.ask(f"COMM:{BAUD_DIGITS[baud]}0000", timeout_s)
    time.sleep(_BAUD_CHANGE_S)
    line.set_baud(baud)


def _answers(talk: Conversation) -> bool:
    try:
        talk.ask("TSTOP:", _GREET_S)
    except TrackerRefusedError:
        return True  # it was not tracking, or had noise in its buffer
    except ReplyError:
        return False
    return True


def _load_wireless(talk: Conversation, name: str, path: Path) -> int:
    data = read_tool_definition(path)
    with _about(f"{name} ({path.name})"):
        handle = parse_handle(talk.ask(REQUEST_WIRELESS, _ASK_S))
        for command in write_commands(handle, data):
            talk.ask(command, _ASK_S)
        talk.ask(f"PINIT:{handle:02X}", _SLOW_S)
    return handle


def _initialise_wired(talk: Conversation) -> dict[WiredPort, int]:
    """Handles by port. Initialising one handle of an Aurora tool can bring up another."""
    tried: set[int] = set()
    while fresh := _list(talk, Listed.TO_INITIALIZE).keys() - tried:
        for handle in sorted(fresh):
            tried.add(handle)
            # A faulty tool that nobody asked for must not keep the others from being used.
            with contextlib.suppress(TrackerRefusedError):
                talk.ask(f"PINIT:{handle:02X}", _SLOW_S)
    ready = [
        handle
        for handle, status in _list(talk, Listed.ALL).items()
        if status & PortStatus.INITIALIZED
    ]
    places = {handle: _location(talk, handle).port for handle in ready}
    return {port: handle for handle, port in places.items() if port is not None}


def _list(talk: Conversation, which: Listed) -> dict[int, PortStatus]:
    return parse_handles(talk.ask(f"PHSR:{which:02X}", _ASK_S))


def _location(talk: Conversation, handle: int) -> Location:
    return parse_location(talk.ask(f"PHINF:{handle:02X}{LOCATION_OPTION:04X}", _ASK_S))


@contextlib.contextmanager
def _about(name: str) -> Iterator[None]:
    try:
        yield
    except TrackerRefusedError as error:
        raise DeviceError(f"{name}: {error}") from error
