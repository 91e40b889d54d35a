"""The mock tracker: what an NDI Polaris, Vega or Aurora answers to each command."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np
from scipy.spatial.transform import Rotation

from devices.ndi import (
    HandleState,
    NdiPose,
    PortStatus,
    ToolReading,
    TrackingReply,
    checksum,
    pack_bx,
    pack_tx,
    seal_binary,
    seal_text,
)
from hw_mocks.ndi.faults import Faults
from hw_mocks.ndi.ports import Port, PortTable, RefusedError, hexadecimal
from ir_nav.geometry import FloatArray

_BAUDS = {
    "0": 9600,
    "1": 14400,
    "2": 19200,
    "3": 38400,
    "4": 57600,
    "5": 115200,
    "6": 921600,
    "7": 1228739,
    "A": 230400,
}
_XFORMS, _ALL_XFORMS = 0x0001, 0x0800
_OUTSIDE = PortStatus.OUT_OF_VOLUME | PortStatus.PARTIALLY_OUT_OF_VOLUME


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """How the tracker sees a tool. tracker_from_tool: (4, 4) mm, or None where it is hidden.
    port: bits beside those of the handle, such as OUT_OF_VOLUME. error_mm: of the marker fit."""

    tracker_from_tool: FloatArray | None
    port: PortStatus = PortStatus(0)  # noqa: RUF009  immutable
    error_mm: float = 0.1


Sight = Callable[[float], Mapping[str, Sighting]]


class Mode(Enum):
    """What the tracker does."""

    POWERED = "powered"
    SETUP = "set up"
    TRACKING = "tracking"


class MockTracker:
    """Answers commands as the guide says. Any thread may call it.

    see: the tools in view at a Unix time, by part number of the tool definition file. A frame is
    measured at `frame_rate_hz`; None measures one only when `measure` is called.
    """

    def __init__(
        self,
        see: Sight,
        *,
        frame_rate_hz: float | None = 60.0,
        firmware: str = "Polaris Vega 017",
        knows_bx: bool = True,
    ) -> None:
        self.faults = Faults()
        self.ports = PortTable()
        self.baud = 9600
        self.mode = Mode.POWERED
        self._see = see
        self._rate_hz = frame_rate_hz
        self._firmware = firmware
        self._knows_bx = knows_bx
        self._lock = threading.RLock()
        self._pending = b""
        self._start_s = time.time()
        self._frame = 0
        self._seen: Mapping[str, Sighting] | None = None  # None until measured since TSTART

    def receive(self, data: bytes) -> bytes:
        """Bytes from the host; returns those to send back."""
        with self._lock:
            *lines, self._pending = (self._pending + data).split(b"\r")
            return b"".join(self.faults.spoil(self._answer(line)) for line in lines)

    def reset(self) -> bytes:
        """As a serial break or a power failure does; returns what the tracker says to it."""
        with self._lock:
            self.ports.clear()
            self.baud, self.mode, self._pending = 9600, Mode.POWERED, b""
            return seal_text(b"RESET")

    def measure(self) -> int:
        """Measure one frame now; returns its number."""
        with self._lock:
            self._frame += 1
            self._seen = self._see(time.time())
            return self._frame

    def _answer(self, line: bytes) -> bytes:
        try:
            name, parameters = _split(line)
            if name in self.faults.refuse:
                raise RefusedError(self.faults.refuse[name])
            if name == "BX" and self._knows_bx:
                return seal_binary(pack_bx(self._tracking(parameters)))
            content = self._command(name, parameters)
        except RefusedError as error:
            return seal_text(b"ERROR%02X" % error.code)
        return seal_text(b"WARNING" if name in self.faults.warn else content)

    def _command(self, name: str, parameters: str) -> bytes:
        if name == "TX":
            return pack_tx(self._tracking(parameters))
        anywhere: dict[str, Callable[[str], bytes]] = {
            "INIT": self._init,
            "VER": self._version,
            "GET": self._get,
            "GETINFO": self._get,
            "ECHO": lambda text: text.encode(),
            "BEEP": lambda _: b"1",
        }
        if name in anywhere:
            return anywhere[name](parameters)
        if name == "TSTOP":
            self._require(Mode.TRACKING)
            self.mode = Mode.SETUP
            return b"OKAY"
        in_setup: dict[str, Callable[[str], bytes]] = {
            "COMM": self._comm,
            "PHSR": self._phsr,
            "PHRQ": lambda _: b"%02X" % self.ports.request_wireless(),
            "PHF": self._phf,
            "PHINF": self._phinf,
            "PVWR": self._pvwr,
            "PINIT": self._pinit,
            "PENA": self._pena,
            "TSTART": self._tstart,
        }
        if name not in in_setup:
            raise RefusedError(0x01)
        self._require(Mode.SETUP)
        return in_setup[name](parameters)

    def _require(self, mode: Mode) -> None:
        if self.mode is not mode:
            raise RefusedError(0x10 if self.mode is Mode.POWERED else 0x0C)

    def _init(self, _: str) -> bytes:
        self.mode = Mode.SETUP
        return b"OKAY"

    def _version(self, _: str) -> bytes:
        return f"Mock\nNDI S/N: P0-00000\nFreeze Tag: {self._firmware}\n".encode()

    def _get(self, name: str) -> bytes:
        known = {
            "Features.Firmware.Version": "017.004",
            "Param.Tracking.Frame Frequency": f"{self._rate_hz or 60.0:.0f}",
        }
        if name not in known or "Vega" not in self._firmware:
            raise RefusedError(0x34)
        return f"{name}={known[name]}".encode()

    def _comm(self, parameters: str) -> bytes:
        if parameters[:1] not in _BAUDS or parameters[1:] != "0000":
            raise RefusedError(0x06)
        self.baud = _BAUDS[parameters[0]]
        return b"OKAY"

    def _phsr(self, parameters: str) -> bytes:
        found = self.ports.search(hexadecimal(parameters or "00"))
        listed = (b"%02X%03X" % (number, port.status) for number, port in found.items())
        return b"".join((b"%02X" % len(found), *listed))

    def _phf(self, parameters: str) -> bytes:
        self.ports.free(parameters)
        return b"OKAY"

    def _phinf(self, parameters: str) -> bytes:
        port = self.ports.find(parameters[:2])
        if parameters[2:] != "0020":
            raise RefusedError(0x23)
        return port.location()

    def _pvwr(self, parameters: str) -> bytes:
        try:
            block = bytes.fromhex(parameters[6:])
        except ValueError as error:
            raise RefusedError(0x07) from error
        if len(block) != 64:
            raise RefusedError(0x07)
        self.ports.write(parameters[:2], hexadecimal(parameters[2:6]), block)
        return b"OKAY"

    def _pinit(self, parameters: str) -> bytes:
        self.ports.find(parameters).initialize()
        return b"OKAY"

    def _pena(self, parameters: str) -> bytes:
        port = self.ports.find(parameters[:2])
        if parameters[2:] not in ("S", "D", "B"):
            raise RefusedError(0x09)
        if not port.is_initialized:
            raise RefusedError(0x0E)
        port.is_enabled = True
        return b"OKAY"

    def _tstart(self, _: str) -> bytes:
        self.mode, self._seen = Mode.TRACKING, None
        return b"OKAY"

    def _tracking(self, parameters: str) -> TrackingReply:
        self._require(Mode.TRACKING)
        options = hexadecimal(parameters or "0001")
        if options & ~(_XFORMS | _ALL_XFORMS) or not options & _XFORMS:
            raise RefusedError(0x23)
        self._measure_if_due()
        tools = [
            self._reading(number, port, bool(options & _ALL_XFORMS))
            for number, port in self.ports.handles.items()
        ]
        return TrackingReply(tools, self.faults.system)

    def _measure_if_due(self) -> None:
        if self._rate_hz is None:
            return
        number = int((time.time() - self._start_s) * self._rate_hz) + 1
        if number != self._frame or self._seen is None:
            self._frame = number
            self._seen = self._see(self._start_s + (number - 1) / self._rate_hz)

    def _reading(self, handle: int, port: Port, with_outside: bool) -> ToolReading:
        if not port.is_enabled:
            return ToolReading(handle, HandleState.DISABLED)
        frame = 0 if self._seen is None else self._frame
        seen = (self._seen or {}).get(port.tool, Sighting(None))
        bits = port.status | seen.port
        if seen.tracker_from_tool is None or (bits & _OUTSIDE and not with_outside):
            return ToolReading(handle, HandleState.MISSING, None, bits, frame)
        pose = ndi_pose(seen.tracker_from_tool, seen.error_mm)
        return ToolReading(handle, HandleState.VALID, pose, bits, frame)


def ndi_pose(matrix: FloatArray, error_mm: float = 0.0) -> NdiPose:
    """A (4, 4) pose in mm as NDI reports it, scalar first and not negative."""
    q0, qx, qy, qz = Rotation.from_matrix(matrix[:3, :3]).as_quat(canonical=True, scalar_first=True)
    x_mm, y_mm, z_mm = np.asarray(matrix)[:3, 3]
    return NdiPose(*map(float, (q0, qx, qy, qz, x_mm, y_mm, z_mm, error_mm)))


def _split(line: bytes) -> tuple[str, str]:
    """Name and parameters: "NAME:parametersCRC", or "NAME parameters". Raises RefusedError."""
    text = line.decode("latin-1")
    colon, space = text.find(":"), text.find(" ")
    if colon >= 0 and (space < 0 or colon < space):
        if text[-4:].upper() != f"{checksum(line[:-4]):04X}":
            raise RefusedError(0x04)
        name, _, parameters = text[:-4].partition(":")
    else:
        name, _, parameters = text.partition(" ")
    return name.upper(), parameters
