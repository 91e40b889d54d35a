"""The port handles of the mock tracker."""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass, field

from devices.ndi import PortStatus
from hw_mocks.ndi.rom import part_number

_ROM_SIZE = 1024
_FIRST_HANDLE, _MAX_HANDLES = 0x0A, 24


class RefusedError(Exception):
    """The tracker answers a command with this error code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"{code:02X}")
        self.code = code


def hexadecimal(digits: str) -> int:
    """A parameter. Raises RefusedError."""
    if not digits or not set(digits) <= set(string.hexdigits):
        raise RefusedError(0x07)
    return int(digits, 16)


@dataclass(slots=True)
class Port:
    """One handle. plug: number of the wired port, None for a wireless tool. tool: whose pose it
    reports, known once it is initialised."""

    plug: int | None
    tool: str = ""
    rom: bytearray = field(default_factory=lambda: bytearray(_ROM_SIZE))
    is_occupied: bool = False
    is_initialized: bool = False
    is_enabled: bool = False

    @property
    def status(self) -> PortStatus:
        bits = PortStatus(0)
        for holds, bit in (
            (self.is_occupied, PortStatus.OCCUPIED),
            (self.is_initialized, PortStatus.INITIALIZED),
            (self.is_enabled, PortStatus.ENABLED),
        ):
            bits |= bit if holds else PortStatus(0)
        return bits

    def initialize(self) -> None:
        """Raises RefusedError."""
        if not self.is_occupied:
            raise RefusedError(0x0D)
        if self.plug is None:
            tool = part_number(self.rom)
            if tool is None:
                raise RefusedError(0x40)
            self.tool = tool
        self.is_initialized = True

    def location(self) -> bytes:
        if self.plug is None:
            return b"00000000010A00"
        return b"0000000000%02d00" % self.plug


class PortTable:
    """Handles by number, and the tools in the plugs."""

    def __init__(self) -> None:
        self.handles: dict[int, Port] = {}
        self._plugged: dict[int, str] = {}

    def plug(self, port: int, tool: str) -> None:
        self._plugged[port] = tool

    def unplug(self, port: int) -> None:
        del self._plugged[port]
        for handle in self.handles.values():
            if handle.plug == port:
                handle.is_occupied = handle.is_initialized = handle.is_enabled = False

    def clear(self) -> None:
        self.handles.clear()

    def request_wireless(self) -> int:
        return self._add(Port(None))

    def find(self, digits: str) -> Port:
        """Port of a handle in hexadecimal. Raises RefusedError."""
        number = hexadecimal(digits)
        if number not in self.handles:
            raise RefusedError(0x08)
        return self.handles[number]

    def free(self, digits: str) -> None:
        self.find(digits)
        del self.handles[int(digits, 16)]

    def write(self, digits: str, address: int, block: bytes) -> None:
        port = self.find(digits)
        if address + len(block) > _ROM_SIZE:
            raise RefusedError(0x23)
        port.rom[address : address + len(block)] = block
        port.is_occupied = True

    def search(self, option: int) -> dict[int, Port]:
        """Handles that PHSR lists; gives plugged tools theirs."""
        held = {port.plug for port in self.handles.values() if port.is_occupied}
        for plug, tool in sorted(self._plugged.items()):
            if plug not in held:
                self._add(Port(plug, tool, is_occupied=True))
        wanted: dict[int, Callable[[Port], bool]] = {
            0: lambda port: True,
            1: lambda port: not port.is_occupied and port.plug is not None,
            2: lambda port: port.is_occupied and not port.is_initialized,
            3: lambda port: port.is_initialized and not port.is_enabled,
            4: lambda port: port.is_enabled,
        }
        if option not in wanted:
            raise RefusedError(0x23)
        return {number: port for number, port in self.handles.items() if wanted[option](port)}

    def _add(self, port: Port) -> int:
        for number in range(_FIRST_HANDLE, _FIRST_HANDLE + _MAX_HANDLES):
            if number not in self.handles:
                self.handles[number] = port
                return number
        raise RefusedError(0x2D)
