"""Lines that break say so as ConnectionLostError, whatever they are asked to do."""

from __future__ import annotations

import os
import tty
from collections.abc import Callable

import pytest

from devices.contract import ConnectionLostError
from devices.ndi.transport import SerialLine, TcpLine
from tests.devices.support import RawPeer, wait_for


@pytest.mark.parametrize(
    "act",
    [
        SerialLine.read,
        SerialLine.discard,
        SerialLine.send_break,
        lambda line: line.write(b"INIT:E3A5\r"),
        lambda line: line.set_baud(115200),
    ],
)
def test_unplugged_serial_port(act: Callable[[SerialLine], object]) -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    line = SerialLine(os.ttyname(slave))
    os.close(slave)
    os.close(master)
    with pytest.raises(ConnectionLostError):
        act(line)
    line.close()


def test_closed_connection() -> None:
    with RawPeer() as peer:
        line = TcpLine("127.0.0.1", peer.port, 1.0)
        peer.send(b"left over")
        assert line.read() == b"left over"
        assert line.read() == b""
        peer.send(b"more")
        line.discard()
        peer.hang_up()
        with pytest.raises(ConnectionLostError, match="closed the connection"):
            line.read()
        with pytest.raises(ConnectionLostError, match="closed the connection"):
            line.discard()

        def fails() -> bool:
            try:
                line.write(b"INIT:E3A5\r")
            except ConnectionLostError:
                return True
            return False

        wait_for(fails)
        line.close()
