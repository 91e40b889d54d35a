"""The line to the tracker: a serial port or a TCP connection."""

from __future__ import annotations

import re
import socket
import time
from typing import Protocol

import serial

from devices.contract import ConnectionLostError, DeviceError

try:
    import termios
except ImportError:  # Windows
    _BROKEN: tuple[type[Exception], ...] = (OSError,)
else:
    _BROKEN = (OSError, termios.error)

TICK_S = 0.05  # how often a blocked thread looks whether it should stop
START_BAUD = 9600  # after power-up and after a reset
_BREAK_S = 0.3
_CHUNK = 4096
_TCP_ADDRESS = re.compile(r"\[?([^\[\]/]+)\]?:([0-9]{1,5})")

# The digit that COMM takes for each rate.
BAUD_DIGITS = {
    9600: "0",
    14400: "1",
    19200: "2",
    38400: "3",
    57600: "4",
    115200: "5",
    921600: "6",
    1228739: "7",
    230400: "A",
}


class Line(Protocol):
    """Bytes to and from the tracker. Used by one thread at a time."""

    def write(self, data: bytes) -> None:
        """Send everything. Raises ConnectionLostError."""

    def read(self) -> bytes:
        """What arrived within one tick, or nothing. Raises ConnectionLostError."""

    def discard(self) -> None:
        """Forget what arrived so far. Raises ConnectionLostError."""

    def close(self) -> None:
        """Release; never raises."""


class SerialLine:
    """A serial port, 8 data bits, no parity, 1 stop bit."""

    def __init__(self, path: str) -> None:
        try:
            self._port = serial.Serial(
                path, START_BAUD, timeout=TICK_S, write_timeout=1.0, exclusive=True
            )
        except (OSError, ValueError) as error:
            raise DeviceError(f"{path}: {_open_fault(error)}") from error

    def write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except OSError as error:
            raise _lost(error) from error

    def read(self) -> bytes:
        try:
            first: bytes = self._port.read(1)
            return first + self._port.read(min(self._port.in_waiting, _CHUNK)) if first else b""
        except OSError as error:
            raise _lost(error) from error

    def discard(self) -> None:
        try:
            self._port.reset_input_buffer()
        except _BROKEN as error:
            raise _lost(error) from error

    def set_baud(self, baud: int) -> None:
        """Change the rate at this end. Raises DeviceError where the port cannot."""
        try:
            self._port.baudrate = baud
        except ValueError as error:
            raise DeviceError(f"this serial port cannot do {baud} baud; choose another") from error
        except _BROKEN as error:
            raise _lost(error) from error

    def send_break(self) -> None:
        """Reset the tracker. Raises ConnectionLostError."""
        try:
            self._port.reset_input_buffer()
            self._port.reset_output_buffer()
            self._port.send_break(_BREAK_S)
        except _BROKEN as error:
            raise _lost(error) from error

    def close(self) -> None:
        try:
            self._port.close()
        except OSError:
            return  # it was unplugged


class TcpLine:
    """A TCP connection to a tracker with a network plug, such as the Vega."""

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        if not 1 <= port <= 65535:
            raise DeviceError(f"{host}:{port}: this port does not exist; choose 1 to 65535")
        try:
            self._sock = socket.create_connection((host, port), timeout_s)
        except (OSError, UnicodeError) as error:
            raise DeviceError(f"{host}:{port}: {_connect_fault(error, timeout_s)}") from error
        # Linux may connect a free local port to itself when nothing listens there.
        if self._sock.getsockname() == self._sock.getpeername():
            self._sock.close()
            fault = _connect_fault(ConnectionRefusedError(), timeout_s)
            raise DeviceError(f"{host}:{port}: {fault}")
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock.settimeout(TICK_S)

    def write(self, data: bytes) -> None:
        try:
            self._sock.sendall(data)
        except OSError as error:
            raise _lost(error) from error

    def read(self) -> bytes:
        try:
            data = self._sock.recv(_CHUNK)
        except TimeoutError:
            return b""
        except OSError as error:
            raise _lost(error) from error
        if not data:
            raise ConnectionLostError("the tracker closed the connection")
        return data

    def discard(self) -> None:
        self._sock.settimeout(0.0)
        try:
            while self._sock.recv(_CHUNK):
                pass
        except BlockingIOError:
            return
        except OSError as error:
            raise _lost(error) from error
        finally:
            self._sock.settimeout(TICK_S)
        raise ConnectionLostError("the tracker closed the connection")

    def close(self) -> None:
        self._sock.close()


def open_line(address: str, timeout_s: float) -> SerialLine | TcpLine:
    """`host:port`, or the path of a serial port. Raises DeviceError in words."""
    if found := _TCP_ADDRESS.fullmatch(address):
        return TcpLine(found[1], int(found[2]), timeout_s)
    return SerialLine(address)


def await_quiet(line: Line, limit_s: float) -> None:
    """Read until nothing arrives for a tick, or `limit_s` is over. Raises ConnectionLostError."""
    deadline = time.monotonic() + limit_s
    while line.read() and time.monotonic() < deadline:
        pass


def _lost(error: Exception) -> ConnectionLostError:
    reason = getattr(error, "strerror", None) or str(error)
    return ConnectionLostError(f"the connection broke ({reason})")


def _open_fault(error: Exception) -> str:
    text = str(error)
    if "lock" in text:
        return "another program uses this serial port; close it"
    number = getattr(error, "errno", None)
    if number == 2:
        return "no such serial port; check the cable and the name of the port"
    if number == 13:
        return "no permission for this serial port; add the user to its group (dialout)"
    return f"cannot open this serial port ({text}); check its name"


def _connect_fault(error: Exception, timeout_s: float) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "no tracker listens there; switch it on and check address and port (8765)"
    if isinstance(error, socket.gaierror | UnicodeError):
        return "this address does not exist; check its spelling"
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout_s:.1f} s; check the address and the cable"
    return f"cannot connect ({error}); check the address and the network"
