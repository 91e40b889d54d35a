"""A supervised device against a real server on loopback that dies and comes back."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from devices.contract import Device, PoseSample, Sample, Sink
from devices.openigtlink import OpenIGTLinkClient, OpenIGTLinkServer
from ir_nav.session.link import DeviceLink
from tests.session.rig import wait_for


class Told:
    """Samples and changes, in order."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.changes: list[tuple[str, bool, str]] = []

    def change(self, name: str, connected: bool, words: str) -> None:
        self.changes.append((name, connected, words))


def link_to(port: int, told: Told) -> DeviceLink:
    def open_device(sink: Sink) -> Device:
        return OpenIGTLinkClient("tracker", "127.0.0.1", port, sink)

    return DeviceLink("tracker", open_device, told.samples.append, told.change)


def send_until(server: OpenIGTLinkServer, told: Told, count: int) -> None:
    def sent() -> bool:
        server.send_pose("Needle", np.eye(4))
        return len(told.samples) >= count

    wait_for(sent, f"{count} samples")


def test_a_device_is_connected_and_its_samples_handed_on() -> None:
    told = Told()
    with OpenIGTLinkServer("room") as server:
        link = link_to(server.port, told)
        try:
            send_until(server, told, 20)
            status = link.status(time.time())
            assert status.connected
            assert status.reason is None
            assert status.rate_hz >= 20.0
            assert status.age_s is not None
            assert status.age_s < 5.0
            assert link.status(time.time() + 60.0).rate_hz == 0.0
            assert link.status(time.time() + 60.0).age_s > 59.0  # type: ignore[operator]
        finally:
            link.close()
    assert isinstance(told.samples[0], PoseSample)
    assert told.changes[0] == ("tracker", True, "connected")


def test_a_server_that_dies_and_returns_is_found_again_within_two_seconds() -> None:
    told = Told()
    with OpenIGTLinkServer("room") as server:
        port = server.port
        link = link_to(port, told)
        send_until(server, told, 1)
    try:
        threads = []
        for _ in range(3):
            wait_for(lambda: not link.status(time.time()).connected, "the loss")
            lost = link.status(time.time())
            assert lost.reason is not None
            assert "tracker" in lost.reason
            before = len(told.samples)
            with OpenIGTLinkServer("room", port) as again:
                started_s = time.monotonic()
                wait_for(lambda: link.status(time.time()).connected, "the return", 8.0)
                assert time.monotonic() - started_s < 2.0
                send_until(again, told, before + 1)
                threads.append(threading.active_count())
        assert threads[0] == threads[1] == threads[2]
    finally:
        link.close()
    changes = [connected for _, connected, _ in told.changes]
    assert changes[:6] == [True, False, True, False, True, False]
    assert told.changes[1][2].startswith("lost: tracker")


def test_nothing_listening_is_told_in_words_and_tried_again() -> None:
    told = Told()
    with OpenIGTLinkServer("room") as server:
        port = server.port
    link = link_to(port, told)
    try:
        wait_for(lambda: "nothing listens" in str(link.status(0.0).reason), "the reason")
        assert told.changes == []
        with OpenIGTLinkServer("room", port):
            wait_for(lambda: link.status(0.0).connected, "the connection")
    finally:
        link.close()


def test_a_driver_that_breaks_is_named_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    tries: list[float] = []

    def open_device(sink: Sink) -> Device:
        tries.append(time.monotonic())
        raise ZeroDivisionError

    link = DeviceLink("tracker", open_device, lambda sample: None, lambda *change: None)
    try:
        wait_for(lambda: len(tries) >= 2, "another try")
        assert "its driver failed (ZeroDivisionError)" in str(link.status(0.0).reason)
    finally:
        link.close()
    assert "driver of tracker failed" in caplog.text


def test_closing_ends_every_thread_of_the_link() -> None:
    told = Told()
    before = set(threading.enumerate())
    with OpenIGTLinkServer("room") as server:
        serving = set(threading.enumerate())
        link = link_to(server.port, told)
        send_until(server, told, 1)
        link.close()
        wait_for(lambda: server.clients() == 0, "the end")
        wait_for(lambda: set(threading.enumerate()) <= serving, "the threads")
        count = len(told.samples)
        server.send_pose("Needle", np.eye(4))
        assert len(told.samples) == count
    wait_for(lambda: set(threading.enumerate()) <= before, "the server's threads")
