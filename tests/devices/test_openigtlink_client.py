"""The driver against every fault a peer was seen to make."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator

import numpy as np
import pytest

from devices.contract import (
    ConnectionLostError,
    Device,
    DeviceError,
)
from devices.openigtlink import (
    OpenIGTLinkClient,
    OpenIGTLinkServer,
    pack_string,
    pack_transform,
    seal,
)
from tests.devices.contract import Bench, DeviceContract
from tests.devices.support import POSE, Collected, RawPeer, client_of, vector, wait_for

GOOD = pack_transform("Needle", POSE, 1.0)


class OpenIGTLinkBench(Bench):
    def __init__(self) -> None:
        self.sink = Collected()
        self.server = OpenIGTLinkServer("room").__enter__()
        self._port = self.server.port

    def device(self) -> Device:
        return client_of(self._port, self.sink)

    def emit(self) -> None:
        self.server.send_pose("Needle", POSE)

    def connected(self) -> bool:
        return self.server.clients() > 0

    def end_peer(self) -> None:
        self.server.__exit__(None, None, None)


class TestOpenIGTLinkClientContract(DeviceContract):
    @pytest.fixture
    def bench(self) -> Iterator[OpenIGTLinkBench]:
        bench = OpenIGTLinkBench()
        yield bench
        bench.end_peer()


def test_message_in_pieces_arrives_whole(peer: RawPeer, sink: Collected) -> None:
    with client_of(peer.port, sink) as client:
        for piece in (GOOD[:20], GOOD[20:58], GOOD[58:59], GOOD[59:] + GOOD[:1], GOOD[1:]):
            peer.send(piece)
            time.sleep(0.05)  # the pause is the subject
        sink.wait(2)
        assert client.counts().refused == {}
        assert client.fault() is None


def test_many_messages_in_one_piece(peer: RawPeer, sink: Collected) -> None:
    with client_of(peer.port, sink):
        peer.send(GOOD * 5000)
        assert len(sink.wait(5000)) == 5000


def test_faulty_messages_are_dropped_and_counted(peer: RawPeer, sink: Collected) -> None:
    nan, reflected = POSE.copy(), POSE.copy()
    nan[0, 3], reflected[2, 2] = np.nan, -1.0
    bad_sum = GOOD[:50] + b"\0" * 8 + GOOD[58:]
    with client_of(peer.port, sink) as client:
        for pose in (nan, reflected):
            content = pose[:3].T.astype(">f4").tobytes()
            peer.send(seal("TRANSFORM", "N", content, timestamp_s=1.0))
        peer.send(bad_sum + seal("NOSUCH", "N", b"abc", timestamp_s=1.0) + GOOD)
        sink.wait(1)
        assert client.counts().refused == {
            "pose not finite": 1,
            "pose reflected": 1,
            "bad checksum": 1,
            "unknown type NOSUCH": 1,
        }
        assert client.fault() is None


def test_video_is_skipped_and_the_stream_goes_on(peer: RawPeer, sink: Collected) -> None:
    """A frame of 3 MB of a codec that is not ours, and the golden list of videos."""
    with client_of(peer.port, sink) as client:
        video = seal("VIDEO", "Endoscope", bytes(3_000_000), timestamp_s=1.0)
        peer.send(video + vector("videometa_message") + GOOD)
        sink.wait(1)
        assert client.counts().refused == {"VIDEO is skipped": 1, "VIDEOMETA is skipped": 1}
        assert client.fault() is None


def test_tracking_is_asked_for_and_ended(peer: RawPeer, sink: Collected) -> None:
    client = OpenIGTLinkClient("t", "127.0.0.1", peer.port, sink, tracking="TDATA")
    with client:
        start = peer.sock.recv(4096)
        assert start[2:11] == b"STT_TDATA"
        assert struct.unpack(">I32s", start[58:]) == (10, bytes(32))
    assert peer.sock.recv(4096)[2:11] == b"STP_TDATA"
    with pytest.raises(DeviceError, match="choose TDATA or QTDATA"):
        OpenIGTLinkClient("t", "127.0.0.1", peer.port, sink, tracking="IMAGE")


def oversize(body_size: int) -> bytes:
    return GOOD[:42] + struct.pack(">Q", body_size) + GOOD[50:58]


def test_oversize_message_is_skipped(peer: RawPeer, sink: Collected) -> None:
    size = 1024 * 1024
    with client_of(peer.port, sink) as client:
        peer.send(oversize(size) + bytes(size) + GOOD)
        sink.wait(1)
        assert client.counts().refused == {"message too large": 1}


def test_impossible_length_ends_the_connection(peer: RawPeer, sink: Collected) -> None:
    with client_of(peer.port, sink) as client:
        peer.send(oversize(2**40))
        wait_for(client.fault)
        assert "impossible message" in (client.fault() or "")
        assert peer.sock.recv(1) == b""


def test_garbage_ends_the_connection(peer: RawPeer, sink: Collected) -> None:
    with client_of(peer.port, sink) as client:
        peer.send(b"HTTP/1.1 400 Bad Request\r\n".ljust(80))
        wait_for(client.fault)
        assert "does not send OpenIGTLink" in (client.fault() or "")


@pytest.mark.parametrize(
    ("sent", "reason"),
    [(b"", "closed the connection"), (GOOD[:30], "middle"), (GOOD[:70], "middle")],
)
def test_peer_closes(peer: RawPeer, sink: Collected, sent: bytes, reason: str) -> None:
    with client_of(peer.port, sink) as client:
        peer.send(sent)
        peer.hang_up()
        wait_for(client.fault)
        assert reason in (client.fault() or "")
        used_s = time.process_time()
        time.sleep(0.2)
        assert time.process_time() - used_s < 0.15, "spins after the peer closed"
        with pytest.raises(ConnectionLostError):
            client.send_text("N", "x")


@pytest.mark.parametrize("sent", [b"", GOOD[:30]])
def test_silent_peer_is_a_fault(peer: RawPeer, sink: Collected, sent: bytes) -> None:
    with client_of(peer.port, sink, silence_s=0.3) as client:
        peer.send(sent)
        wait_for(client.fault)
        assert "sent nothing for" in (client.fault() or "")


def test_exit_is_quick_while_the_peer_hangs_in_a_header(peer: RawPeer, sink: Collected) -> None:
    with client_of(peer.port, sink):
        peer.send(GOOD[:30])
        started_s = time.monotonic()
    assert time.monotonic() - started_s < 0.5


def test_sending_to_a_peer_that_does_not_read_is_bounded(peer: RawPeer, sink: Collected) -> None:
    message = pack_string("N", "x" * 60000, 1.0)
    with client_of(peer.port, sink) as client:
        assert peer.sock

        def flood() -> None:
            for _ in range(2000):
                client.send(message, timeout_s=0.3)

        started_s = time.monotonic()
        with pytest.raises(ConnectionLostError, match="took no data"):
            flood()
        assert time.monotonic() - started_s < 6.0
        assert client.fault()


def test_client_speaks_only_v1_unless_told(peer: RawPeer, sink: Collected) -> None:
    with client_of(peer.port, sink) as client:
        client.send_text("N", "hello")
        assert peer.sock.recv(2) == b"\0\1"


def test_connection_faults_in_words(sink: Collected) -> None:
    with RawPeer() as peer:
        port = peer.port
    with pytest.raises(DeviceError, match=f"127.0.0.1:{port}.*nothing listens"):
        client_of(port, sink).__enter__()
    with pytest.raises(DeviceError, match="port does not exist"):
        client_of(70000, sink).__enter__()
    unknown = OpenIGTLinkClient("tracker", "no-such-host.invalid", 18944, sink)
    with pytest.raises(DeviceError, match="host name"):
        unknown.__enter__()


def test_entering_twice_is_an_error(server: OpenIGTLinkServer, sink: Collected) -> None:
    with (
        client_of(server.port, sink) as client,
        pytest.raises(DeviceError, match="already connected"),
    ):
        client.__enter__()
    with pytest.raises(DeviceError, match="already serving"):
        server.__enter__()
