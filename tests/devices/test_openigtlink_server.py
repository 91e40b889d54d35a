"""The server: clients that come, go, stall and misbehave."""

from __future__ import annotations

import socket
import struct
import time

import numpy as np
import pytest

from devices.contract import (
    DeviceError,
    ImageSample,
    PoseSample,
    PoseStatus,
    TextSample,
)
from devices.openigtlink import (
    MessageError,
    OpenIGTLinkServer,
    Query,
    TrackedElement,
    pack_query,
)
from tests.devices.support import POSE, Collected, client_of, run_in_thread, wait_for


def test_everything_the_server_sends_arrives(server: OpenIGTLinkServer, sink: Collected) -> None:
    pixels = np.arange(70000, dtype=np.uint16).reshape(200, 350)
    with client_of(server.port, sink) as client:
        wait_for(lambda: server.clients() == 1)
        server.send_pose("Needle", POSE, timestamp_s=2.0)
        server.send_image("US", pixels, np.eye(4))
        server.send_text("Log", "Grüße")
        server.send_tracking("Tools", [TrackedElement("A", POSE), TrackedElement("B", POSE)])
        server.send_status(1, "ready")
        pose, image, text, first, second = sink.wait(5)
        wait_for(lambda: "STATUS" in client.notices())
    assert isinstance(pose, PoseSample)
    assert (pose.name, pose.status, pose.source_s) == ("Needle", PoseStatus.UNKNOWN, 2.0)
    np.testing.assert_array_equal(pose.matrix, POSE)
    assert isinstance(image, ImageSample)
    np.testing.assert_array_equal(image.pixels, pixels)
    assert isinstance(text, TextSample)
    assert text.text == "Grüße"
    assert (first.name, second.name) == ("A", "B")


def test_status_reaches_only_those_who_speak_v2(server: OpenIGTLinkServer) -> None:
    old, new = Collected(), Collected()
    with (
        client_of(server.port, old),
        client_of(server.port, new, protocol_version=2) as announced,
    ):
        wait_for(lambda: "CAPABILITY" in announced.notices())
        wait_for(lambda: server.clients() == 2)
        server.send_pose("Needle", None, status=PoseStatus.MISSING)
        server.send_pose("Needle", POSE, status=PoseStatus.OK)
        missing, seen = new.wait(2)
        (plain,) = old.wait(1)
    assert [missing.status, seen.status, plain.status] == [  # type: ignore[union-attr]
        PoseStatus.MISSING,
        PoseStatus.OK,
        PoseStatus.UNKNOWN,
    ]
    assert missing.matrix is None  # type: ignore[union-attr]


def test_clients_come_and_go(server: OpenIGTLinkServer) -> None:
    """Two at once; one leaves; a third comes; nobody else notices."""
    first, second, third = Collected(), Collected(), Collected()
    with client_of(server.port, first) as stays:
        with client_of(server.port, second):
            wait_for(lambda: server.clients() == 2)
            server.send_pose("Needle", POSE)
            first.wait(1)
            second.wait(1)
        wait_for(lambda: server.clients() == 1)
        with client_of(server.port, third):
            wait_for(lambda: server.clients() == 2)
            server.send_pose("Needle", POSE)
            first.wait(2)
            third.wait(1)
        assert stays.fault() is None


def test_client_that_resets_disturbs_nobody(server: OpenIGTLinkServer, sink: Collected) -> None:
    with client_of(server.port, sink) as client:
        rude = socket.create_connection(("127.0.0.1", server.port))
        wait_for(lambda: server.clients() == 2)
        rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        rude.close()
        wait_for(lambda: server.clients() == 1)
        server.send_pose("Needle", POSE)
        sink.wait(1)
        assert client.fault() is None


def test_garbage_from_a_client_ends_only_that_client(
    server: OpenIGTLinkServer, sink: Collected
) -> None:
    with (
        client_of(server.port, sink),
        socket.create_connection(("127.0.0.1", server.port)) as rude,
    ):
        wait_for(lambda: server.clients() == 2)
        rude.sendall(b"\xff" * 100)
        wait_for(lambda: server.clients() == 1)
        server.send_pose("Needle", POSE)
        sink.wait(1)


def test_sending_without_clients_returns_at_once(server: OpenIGTLinkServer) -> None:
    started_s = time.monotonic()
    server.send_pose("Needle", POSE)
    server.send_image("US", np.zeros((1024, 1024), np.uint8), np.eye(4))
    server.send_text("Log", "x")
    assert time.monotonic() - started_s < 0.5


def test_bad_sends_raise_whoever_listens(server: OpenIGTLinkServer) -> None:
    for name, matrix in (("x" * 21, POSE), ("Needle", np.zeros((4, 4))), ("Needle", None)):
        with pytest.raises(MessageError):
            server.send_pose(name, matrix)
    with pytest.raises(MessageError, match="too long"):
        server.send_text("x" * 21, "hello")


def test_server_built_in_a_thread() -> None:
    def serve() -> None:
        sink = Collected()
        with OpenIGTLinkServer("room") as room, client_of(room.port, sink):
            wait_for(lambda: room.clients() == 1)
            room.send_pose("Needle", POSE)
            sink.wait(1)

    run_in_thread(serve)


def test_port_opens_again_at_once(sink: Collected) -> None:
    room = OpenIGTLinkServer("room")
    with room, client_of(room.port, sink):
        port = room.port
        wait_for(lambda: room.clients() == 1)
    with OpenIGTLinkServer("room", port) as again, client_of(port, sink):
        wait_for(lambda: again.clients() == 1)
        again.send_pose("Needle", POSE)
        sink.wait(1)


def test_taken_port_is_told_in_words(server: OpenIGTLinkServer) -> None:
    with pytest.raises(DeviceError, match="choose another port"):
        OpenIGTLinkServer("other", server.port).__enter__()


def test_server_exit_is_quick_with_a_client_that_does_not_read() -> None:
    with OpenIGTLinkServer("room") as room:
        with socket.create_connection(("127.0.0.1", room.port)):
            wait_for(lambda: room.clients() == 1)
            for _ in range(20):
                room.send_image("US", np.zeros((1024, 1024), np.uint8), np.eye(4))
            started_s = time.monotonic()
            room.__exit__(None, None, None)
            assert time.monotonic() - started_s < 0.8
        wait_for(lambda: room.clients() == 0)


def test_slow_client_gets_the_newest_and_drops_are_counted() -> None:
    sink = Collected()
    with OpenIGTLinkServer("room", queue_bytes=20_000) as room:
        slow = socket.create_connection(("127.0.0.1", room.port))
        with client_of(room.port, sink) as quick, slow:
            wait_for(lambda: room.clients() == 2)
            number = 0
            while room.drops().get("Count", 0) < 100:
                room.send_text("Count", f"{number:01000}")
                number += 1
                assert number < 200_000
            wait_for(lambda: sink.samples and int(sink.samples[-1].text) == number - 1)  # type: ignore[union-attr]
            assert quick.fault() is None
            slow.settimeout(8.0)
            stream = b""
            last = f"{number - 1:01000}".encode()
            while last not in stream[-4000:]:
                piece = slow.recv(1 << 20)
                assert piece
                stream += piece
        assert room.drops()["Count"] >= 100


def test_keepalive_tells_idle_from_dead(sink: Collected) -> None:
    with (
        OpenIGTLinkServer("room", keepalive_s=0.05) as room,
        client_of(room.port, sink, silence_s=0.5) as client,
    ):
        wait_for(lambda: "STATUS" in client.notices())
        time.sleep(0.8)
        assert client.fault() is None


def test_what_clients_send_is_handed_over(sink: Collected) -> None:
    heard: list[object] = []
    with (
        OpenIGTLinkServer("room", on_message=heard.append) as room,
        client_of(room.port, sink) as client,
    ):
        client.send_text("Cmd", "Über")
        client.send(pack_query("STT_TDATA", "T", 1.0))
        wait_for(lambda: len(heard) == 2)
        text, query = heard
    assert isinstance(text, TextSample)
    assert text.text == "Über"
    assert isinstance(query, Query)


def test_receiver_that_raises_costs_only_that_client(sink: Collected) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("no")

    with OpenIGTLinkServer("room", on_message=fail) as room:
        with client_of(room.port, sink) as client:
            client.send_text("Cmd", "x")
            wait_for(room.fault)
        with client_of(room.port, sink):
            wait_for(lambda: room.clients() == 1)
