"""ERROR and WARNING replies in words: what is wrong, and what to do.

Source: Polaris Application Program Interface Guide, "Error code definitions"; the numbers agree
with ndicapi.h of PlusToolkit's ndicapi.
"""

from __future__ import annotations

import re

from devices.contract import DeviceError

_NEWER = "use another firmware of the tracker, or another driver"
_RESTART = "switch the tracker off and on, then connect again"
_SERVICE = "switch the tracker off and on; if it stays so, have NDI service it"
_LINE = "check the cable and lower the baud rate"
_STEP = "disconnect and connect again"
_FILE = "export the tool definition file anew from NDI 6D Architect"
_FEWER = "load fewer tools"

_MEANING = {
    0x01: ("it does not know the command", _NEWER),
    0x02: ("the command was too long", _LINE),
    0x03: ("the command was too short", _LINE),
    0x04: ("the command arrived with a bad checksum", _LINE),
    0x05: ("it ran out of time", "try again"),
    0x06: ("it cannot use this baud rate", "choose another baud rate"),
    0x07: ("the command had the wrong number of parameters", _NEWER),
    0x08: ("the port handle is not valid", _STEP),
    0x09: ("the tracking priority is not valid", _NEWER),
    0x0C: ("the command is not allowed in its present mode", _STEP),
    0x0D: ("no tool is assigned to the port handle", "plug the tool in, then connect again"),
    0x0E: ("the port handle is not initialised", _STEP),
    0x0F: ("the port handle is not enabled", _STEP),
    0x10: ("it is not initialised", _STEP),
    0x11: ("it cannot stop tracking", _RESTART),
    0x12: ("it cannot start tracking", _RESTART),
    0x13: ("it cannot initialise the tool", "check the tool and its definition file"),
    0x14: ("its characterisation data are damaged", _SERVICE),
    0x15: ("it cannot initialise", _SERVICE),
    0x19: ("it cannot read its firmware version", _SERVICE),
    0x1A: ("an internal error", _SERVICE),
    0x1E: ("it cannot read the tool's memory", "check the plug of the tool"),
    0x1F: ("it cannot write the tool's memory", "check the plug of the tool"),
    0x21: ("the tool's current test failed", "replace the tool"),
    0x22: ("the chosen volume cannot track this kind of marker", "choose another volume or tool"),
    0x23: ("a parameter is out of range", _NEWER),
    0x24: ("it cannot choose the volume", "choose another volume"),
    0x28: ("too many tools, or a kind it cannot track", _FEWER),
    0x29: ("its firmware is damaged", _SERVICE),
    0x2A: ("it has no memory left", _FEWER),
    0x2B: ("the port handle is not allocated", _STEP),
    0x2C: ("the tool was unplugged", "plug the tool in, then connect again"),
    0x2D: ("all port handles are taken", _FEWER),
    0x2E: ("its parts have firmware that does not fit together", "update its firmware"),
    0x2F: ("the port description is not valid", "check the port number of the tool"),
    0x30: ("the port has a handle already", _STEP),
    0x32: ("the tool cannot do this", "choose another tool"),
    0x33: ("it lacks this feature", _NEWER),
    0x34: ("it lacks this parameter", _NEWER),
    0x36: ("the parameter's value is out of range", _NEWER),
    0x39: ("another program controls it", "close the other program, then connect again"),
    0x40: ("the tool definition file is damaged", _FILE),
    0x41: ("it cannot track a tool like this", "choose a tool that this model supports"),
    0x42: ("a part of it is not connected", "check the cables between its parts"),
    0xF1: ("too much infrared light", "switch off or cover lamps, keep the sun out"),
    0xF4: ("it cannot erase its memory", _SERVICE),
    0xF5: ("it cannot write its memory", _SERVICE),
    0xF6: ("it cannot read its memory", _SERVICE),
}

_REFUSAL = re.compile(rb"ERROR([0-9A-Fa-f]{2})")
_WARNING = re.compile(rb"WARNING([0-9A-Fa-f]{2})?")


class TrackerRefusedError(DeviceError):
    """The tracker answered a command with an error. code: its number in NDI's guide."""

    def __init__(self, command: str, code: int) -> None:
        meaning, cure = _MEANING.get(code, ("an error NDI's guide does not name", _RESTART))
        super().__init__(f"the tracker refused {command} (error {code:02X}): {meaning}; {cure}")
        self.code = code


def check_refusal(command: str, content: bytes) -> None:
    """Raise TrackerRefusedError where a reply is an ERROR."""
    if found := _REFUSAL.match(content):
        raise TrackerRefusedError(command, int(found[1], 16))


def warning_words(command: str, content: bytes) -> str | None:
    """What a WARNING says, or None where the reply is none."""
    if (found := _WARNING.fullmatch(content)) is None:
        return None
    number = f" {found[1].decode()}" if found[1] else ""
    return (
        f"the tracker answered {command} with a warning{number}: it works, but look at its alerts "
        "in NDI ToolBox (heat, a knock, or two tools too much alike)"
    )
