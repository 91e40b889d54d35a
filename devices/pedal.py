"""Device driver: a foot pedal on a serial line.

Three ways a pedal is wired: it closes a contact on CTS or on DSR, or a box sends characters, "1"
when it goes down and "0" when it comes up. Such a box may repeat the character as a sign of life,
and may end lines with carriage return and line feed. Contacts bounce; both are debounced here.
"""

from __future__ import annotations

import errno
import time
from enum import StrEnum

import serial

from devices.contract import ConnectionLostError, DeviceError, Sink
from devices.debounce import SETTLE_S, TICK_S, Debounce, require_settling, tell_turn
from devices.reading import Connection, ReadDevice, Reading

_LEVELS = {ord("1"): True, ord("0"): False}
_LINE_ENDS = b"\r\n"


class Wiring(StrEnum):
    """How the pedal tells that it is down."""

    CHARACTERS = "characters"
    CTS = "cts"
    DSR = "dsr"


class FootPedal(ReadDevice):
    """Hands over TextSample("pedal", "down" or "up") when the pedal has settled.

    port: a serial device such as /dev/ttyUSB0, or pyserial's rfc2217://host:port of a serial
    server. source_s is the first touch of the contact. A pedal that is down while it connects is
    no step; with characters its state is not known then and counts as up. inverted: the contact
    opens when the pedal goes down. silence_s: only for boxes that repeat the character, the
    longest time without one; None where silence is normal.
    """

    def __init__(
        self,
        name: str,
        port: str,
        sink: Sink,
        *,
        wiring: Wiring = Wiring.CHARACTERS,
        baud: int = 9600,
        inverted: bool = False,
        settle_s: float = SETTLE_S,
        silence_s: float | None = None,
    ) -> None:
        if silence_s is not None and wiring is not Wiring.CHARACTERS:
            raise DeviceError(f"{name}: a pedal on {wiring} is always silent; leave silence_s out")
        require_settling(name, settle_s)
        super().__init__(f"{name} at {port}", sink)
        self._port = port
        self._baud = baud
        self._wiring = wiring
        self._inverted = inverted
        self._settle_s = settle_s
        self._silence_s = silence_s

    def _connect(self) -> Connection:
        port = _opened(self._port, self._baud)
        if self._wiring is Wiring.CHARACTERS:
            return _Characters(port, self._inverted, self._settle_s, self._silence_s)
        try:
            return _Line(port, self._wiring, self._inverted, self._settle_s)
        except (OSError, serial.SerialException) as error:
            port.close()
            raise DeviceError(
                f"this port has no {self._wiring.upper()} line ({error}); wire the pedal to a port "
                "that has, or use one that sends characters"
            ) from error


class _Contact:
    """An opened port; subclasses feed the debounce from what they read."""

    def __init__(self, port: serial.SerialBase, debounce: Debounce) -> None:
        self._port = port
        self._debounce = debounce

    def read_all(self, reading: Reading) -> None:
        while not reading.stopping.is_set():
            try:
                data = self._port.read(1)
                data += self._port.read(self._port.in_waiting) if data else b""
                self._feed(data, reading)
            except (OSError, serial.SerialException, TypeError) as error:
                # pyserial fails with TypeError where another thread took its descriptor away.
                raise ConnectionLostError(
                    f"the pedal's line is gone ({error}); plug it in, then connect again"
                ) from error
            tell_turn(self._debounce, reading, time.monotonic())

    def close(self) -> None:
        self._port.close()

    def _feed(self, data: bytes, reading: Reading) -> None:
        raise NotImplementedError


class _Characters(_Contact):
    def __init__(
        self, port: serial.SerialBase, inverted: bool, settle_s: float, silence_s: float | None
    ) -> None:
        super().__init__(port, Debounce(settle_s))
        self._inverted = inverted
        self._silence_s = silence_s
        self._heard_s = time.monotonic()

    def _feed(self, data: bytes, reading: Reading) -> None:
        now_s = time.monotonic()
        for byte in data:
            if byte in _LEVELS:
                self._debounce.feed(_LEVELS[byte] != self._inverted, now_s)
                self._heard_s = now_s
            elif byte not in _LINE_ENDS:
                reading.refuse("unknown character")
        silent_s = now_s - self._heard_s
        if self._silence_s is not None and silent_s > self._silence_s:
            raise ConnectionLostError(
                f"the pedal has sent nothing for {silent_s:.1f} s; check its cable and power"
            )


class _Line(_Contact):
    def __init__(
        self, port: serial.SerialBase, wiring: Wiring, inverted: bool, settle_s: float
    ) -> None:
        self._line = port
        self._wiring = wiring
        self._inverted = inverted
        super().__init__(port, Debounce(settle_s, down=self._level()))

    def _feed(self, data: bytes, reading: Reading) -> None:
        self._debounce.feed(self._level(), time.monotonic())

    def _level(self) -> bool:
        high = self._line.cts if self._wiring is Wiring.CTS else self._line.dsr
        return bool(high) != self._inverted


def _opened(address: str, baud: int) -> serial.SerialBase:
    try:
        port = serial.serial_for_url(address, do_not_open=True, baudrate=baud, timeout=TICK_S)
        if isinstance(port, serial.Serial):
            port.exclusive = True
        port.open()
    except (OSError, ValueError) as error:
        raise DeviceError(_fault(error, baud)) from error
    return port


def _fault(error: Exception, baud: int) -> str:
    code = getattr(error, "errno", None)
    if code == errno.ENOENT:
        return "there is no such serial port; check the cable and the port's name"
    if code == errno.EACCES:
        return "this user may not open the port; add the user to the group 'dialout'"
    if code in (errno.EAGAIN, errno.EBUSY):
        return "another program has the port; close that program"
    return f"cannot be opened at {baud} baud ({error}); check the port's name and the cable"
