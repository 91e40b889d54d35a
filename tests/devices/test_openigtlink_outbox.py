"""What waits for a slow client, and what is dropped."""

from __future__ import annotations

import threading
import time

from devices.openigtlink.outbox import Outbox


class Network:
    """Takes nothing until told."""

    def __init__(self) -> None:
        self.takes = 0
        self.sent = b""

    def __call__(self, message: bytes) -> int:
        count = min(self.takes, len(message))
        self.sent += message[:count]
        return count


def test_outbox_keeps_the_newest_and_spares_other_streams() -> None:
    outbox = Outbox(30, Network())
    outbox.put("needle", b"n" * 10)
    for number in range(5):
        outbox.put("probe", bytes([number]) * 10)
    assert outbox.take() == b"n" * 10 + b"\3" * 10 + b"\4" * 10
    assert outbox.drops() == {"probe": 3}


def test_outbox_coalesces_and_takes_one_that_is_too_large() -> None:
    outbox = Outbox(30, Network())
    for letter in (b"a", b"b"):
        outbox.put("image", letter * 100, coalesce=True)
    assert outbox.take() == b"b" * 100
    assert outbox.drops() == {"image": 1}
    assert outbox.take(0.01) == b""
    outbox.close()
    assert outbox.take() is None


def test_outbox_sends_the_rest_of_a_message_first() -> None:
    network = Network()
    outbox = Outbox(1000, network)
    network.takes = 4
    outbox.put("a", b"123456")
    outbox.put("b", b"789")
    assert network.sent == b"1234"
    assert outbox.take() == b"56789"


def test_outbox_tells_when_the_next_message_pushes_none_out() -> None:
    outbox = Outbox(40, Network())
    taken: list[bytes] = []

    def take() -> None:
        time.sleep(0.05)
        taken.append(outbox.take() or b"")

    assert outbox.await_room(0.0, 60.0)
    for number in range(2):
        outbox.put("image", bytes([number]) * 10)
    assert not outbox.await_room(0.01, 60.0)
    assert outbox.await_room(0.02, 0.01)
    taker = threading.Thread(target=take)
    taker.start()
    began_s = time.monotonic()
    assert outbox.await_room(5.0, 60.0)
    assert 0.03 < time.monotonic() - began_s < 1.0
    taker.join()
    assert taken == [b"\0" * 10 + b"\1" * 10]
    for number in range(2):
        outbox.put("image", bytes([number]) * 10)
    closer = threading.Timer(0.05, outbox.close)
    closer.start()
    assert outbox.await_room(5.0, 60.0)
    assert time.monotonic() - began_s < 2.0
    assert outbox.drops() == {}
