"""Faults measured in another implementation, that no other test of this folder covers.

Covered elsewhere: a closed connection noticed without spinning, split headers, a peer that dies in
a header, impossible lengths, bad checksums and poses (test_openigtlink_client); clients that come
and go, sending to nobody, a server built in a thread (test_openigtlink_server); long names, any
text, images of two dimensions (test_openigtlink_messages); surfaces (test_openigtlink_records).
Polling is a matter of time: benchmarks/openigtlink_latency.py measures it.
"""

from __future__ import annotations

import struct

import numpy as np
import pytest

from devices.contract import PoseSample, TextSample
from devices.openigtlink import (
    OpenIGTLinkServer,
    Query,
    pack_position,
    pack_query,
    pack_string,
    pack_transform,
    seal,
)
from devices.openigtlink.header import HEADER_SIZE
from devices.openigtlink.messages import DECODERS, SKIPPED
from tests.devices.support import POSE, Collected, RawPeer, client_of, only, wait_for

MISSING_ELSEWHERE = {
    *("TDATA", "QTDATA", "STATUS", "CAPABILITY", "COMMAND", "TRAJ"),
    *("SENSOR", "NDARRAY", "COLORT", "IMGMETA", "LBMETA"),
}


def test_one_name_for_several_types_loses_nothing(
    server: OpenIGTLinkServer, sink: Collected
) -> None:
    """An application that reads seldom still gets every pose, whatever else has its name."""
    with client_of(server.port, sink):
        wait_for(lambda: server.clients() == 1)
        for number in range(1500):
            server.send_pose("Needle", POSE, timestamp_s=float(number))
            server.send_text("Needle", str(number))
        samples = sink.wait(3000)
    poses = [sample.source_s for sample in samples if isinstance(sample, PoseSample)]
    texts = [sample.text for sample in samples if isinstance(sample, TextSample)]
    assert poses == list(range(1500))
    assert texts == [str(number) for number in range(1500)]
    assert server.drops() == {}


def test_a_flood_arrives_whole(server: OpenIGTLinkServer, sink: Collected) -> None:
    """20,000 messages as fast as they go; another queue kept 100 and dropped the others."""
    message = pack_transform("Needle", POSE, 1.0)
    with client_of(server.port, sink):
        wait_for(lambda: server.clients() == 1)
        for _ in range(20_000):
            server.broadcast(message, "Needle")
        sink.wait(20_000)
    assert server.drops() == {}


def test_the_client_connects_again_after_the_server_returned(sink: Collected) -> None:
    with OpenIGTLinkServer("room") as room:
        port = room.port
        client = client_of(port, sink)
        client.__enter__()
        wait_for(lambda: room.clients() == 1)
        room.send_pose("Needle", POSE)
        sink.wait(1)
    wait_for(client.fault)
    with OpenIGTLinkServer("room", port) as again, client:
        wait_for(lambda: again.clients() == 1)
        again.send_pose("Needle", POSE)
        sink.wait(2)
        assert client.fault() is None
        assert client.counts().received == 1


def test_position_has_the_28_bytes_of_the_specification() -> None:
    content = pack_position("Needle", POSE, 1.0)[HEADER_SIZE:]
    half = np.float32(0.5) ** 0.5
    np.testing.assert_allclose(
        struct.unpack(">7f", content), (10.0, -20.5, 300.25, 0.0, 0.0, half, half), rtol=1e-6
    )


@pytest.mark.parametrize("size", [0, 24 * 4, 27, 29, 152])
def test_position_of_another_length_is_refused(peer: RawPeer, sink: Collected, size: int) -> None:
    with client_of(peer.port, sink) as client:
        peer.send(seal("POSITION", "N", bytes(size), timestamp_s=1.0))
        peer.send(pack_string("Log", "next", 1.0))
        sink.wait(1)
        assert client.counts().refused == {"wrong length": 1}


def test_no_type_is_unknown() -> None:
    assert set(DECODERS) >= MISSING_ELSEWHERE
    assert set(SKIPPED) == {"VIDEO", "VIDEOMETA"}


@pytest.mark.parametrize("prefix", ["STT_", "STP_", "GET_", "RTS_"])
def test_queries_of_every_kind_reach_the_server(prefix: str, sink: Collected) -> None:
    heard: list[object] = []
    with (
        OpenIGTLinkServer("room", on_message=heard.append) as room,
        client_of(room.port, sink) as client,
    ):
        client.send(pack_query(f"{prefix}TDATA", "T", 1.0, content=b"\0"))
        wait_for(lambda: heard)
    assert isinstance(heard[0], Query)
    assert (heard[0].type, heard[0].content) == (f"{prefix}TDATA", b"\0")


def test_a_pose_of_a_damaged_checksum_is_never_a_pose() -> None:
    """Every bit of the body of a TRANSFORM, one after the other."""
    data = pack_transform("Needle", POSE, 1.0)
    for bit in range(HEADER_SIZE * 8, len(data) * 8):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Exception, match="bad checksum"):
            only(bytes(damaged))
