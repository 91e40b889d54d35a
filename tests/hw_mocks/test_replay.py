"""Recordings and needle logs played over the network to our own client."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from threading import Event as Flag

import numpy as np
import pytest

from devices.contract import ImageSample, PoseSample, PoseStatus, Sample, TextSample
from devices.openigtlink import OpenIGTLinkClient, OpenIGTLinkServer
from devices.recordings import RecordedPose, read_recording
from hw_mocks.faults import Faults, drift_mm, is_dropped_out, is_lost
from hw_mocks.playlist import Message, Playlist, ReplayError, read_playlist, sendings
from hw_mocks.replay import Timing, _tell_losses, main, play, recording_server, room_toml
from ir_nav.recording import NeedleLog
from ir_nav.session.room import parse_room, read_room
from tests.data import data_path
from tests.session.rig import wait_for

NEEDLE, STYLUS = "NeedleToTracker", "StylusToTracker"
RATE_HZ = 50.0


def pose_at(x_mm: float) -> RecordedPose:
    matrix = np.eye(4)
    matrix[:3, 3] = (x_mm, 50.0, -900.0)
    return RecordedPose(matrix, PoseStatus.OK)


def made(seconds: float) -> Playlist:
    """Needle and stylus at 50 Hz."""
    messages = [
        Message(step / RATE_HZ, name, pose_at(float(step)))
        for step in range(round(seconds * RATE_HZ))
        for name in (NEEDLE, STYLUS)
    ]
    return Playlist("made", tuple(messages))


def played(playlist: Playlist, faults: Faults, speed: float = 1.0) -> tuple[float, list[Sample]]:
    """When it began (Unix time), and what the client got of one round."""
    taken: list[Sample] = []
    with (
        OpenIGTLinkServer("Tracker", keepalive_s=0.4) as tracker,
        OpenIGTLinkServer("Ultrasound", keepalive_s=0.4) as scanner,
        OpenIGTLinkClient("t", "127.0.0.1", tracker.port, taken.append, protocol_version=2),
        OpenIGTLinkClient("u", "127.0.0.1", scanner.port, taken.append, protocol_version=2),
    ):
        wait_for(lambda: tracker.clients() and scanner.clients(), "the clients")
        time.sleep(0.2)
        began_s = time.time()
        play(playlist, faults, tracker, scanner, Timing(speed, False), Flag())
        expected = len(sendings(playlist, faults, speed, 0.0))
        wait_for(lambda: len(taken) >= expected, "the end")
        time.sleep(0.05)
    return began_s, taken


def poses(samples: list[Sample], name: str = NEEDLE) -> list[PoseSample]:
    return [one for one in samples if isinstance(one, PoseSample) and one.name == name]


def ages_s(samples: list[PoseSample]) -> np.ndarray:
    return np.array([one.received_s - one.source_s for one in samples])


@pytest.mark.parametrize("speed", [1.0, 4.0])
def test_every_message_arrives_at_its_time(speed: float) -> None:
    began_s, taken = played(made(1.0), Faults(), speed)
    needle = poses(taken)
    assert len(needle) == len(poses(taken, STYLUS)) == 50
    stamps_s = np.array([one.source_s for one in needle])
    np.testing.assert_allclose(np.diff(stamps_s), 1.0 / RATE_HZ / speed, atol=1e-6)
    assert stamps_s[0] == pytest.approx(began_s, abs=0.1)
    assert 0.0 <= np.median(ages_s(needle)) < 0.5
    for step, one in enumerate(needle):
        assert one.matrix is not None
        np.testing.assert_allclose(one.matrix, pose_at(float(step)).matrix, atol=1e-4)


def test_delay_and_jitter_are_seen_in_the_age() -> None:
    _, taken = played(made(1.0), Faults(delay_s=0.15, jitter_s=0.1))
    age_s = ages_s(poses(taken))
    assert age_s.min() > 0.149
    assert np.median(age_s) == pytest.approx(0.2, abs=0.04)
    assert age_s.max() - age_s.min() > 0.06


def test_what_is_lost_never_arrives() -> None:
    faults = Faults(loss=0.25)
    _, taken = played(made(1.0), faults)
    kept = [step for step in range(50) if not is_lost(faults, NEEDLE, step / RATE_HZ)]
    found = [round(float(one.matrix[0, 3])) for one in poses(taken) if one.matrix is not None]
    assert found == kept
    assert 25 < len(found) < 49


def test_a_dropout_is_told_as_missing() -> None:
    faults = Faults(dropout=0.5, seed=3)
    _, taken = played(made(1.5), faults)
    missing = [one.status is PoseStatus.MISSING for one in poses(taken)]
    assert missing == [is_dropped_out(faults, NEEDLE, step / RATE_HZ) for step in range(75)]
    assert 0 < sum(missing) < 75


def test_drift_and_distortion_move_the_poses() -> None:
    faults = Faults(drift_mm_min=120.0)
    _, taken = played(made(0.5), faults)
    for step, one in enumerate(poses(taken)):
        assert one.matrix is not None
        offset = one.matrix[:3, 3] - pose_at(float(step)).matrix[:3, 3]  # type: ignore[index]
        np.testing.assert_allclose(offset, drift_mm(faults, step / RATE_HZ), atol=1e-3)
    _, taken = played(made(0.5), Faults(distortion_mm=5.0))
    offsets = [
        one.matrix[:3, 3] - pose_at(float(step)).matrix[:3, 3]  # type: ignore[index]
        for step, one in enumerate(poses(taken))
    ]
    lengths = np.linalg.norm(offsets, axis=1)
    assert 0.3 < lengths.max() <= 5.0 + 1e-3
    assert np.linalg.norm(np.diff(offsets, axis=0), axis=1).max() < 0.1


def test_a_skewed_clock_shows_in_the_stamps() -> None:
    _, taken = played(made(0.5), Faults(skew_ppm=20_000.0))
    stamps_s = np.array([one.source_s for one in poses(taken)])
    np.testing.assert_allclose(np.diff(stamps_s), 1.02 / RATE_HZ, atol=1e-6)


def test_it_is_played_again_and_drifts_on() -> None:
    taken: list[Sample] = []
    stopping = Flag()

    def take(sample: Sample) -> None:
        taken.append(sample)
        if len(poses(taken)) >= 15:
            stopping.set()

    with (
        OpenIGTLinkServer("Tracker") as tracker,
        OpenIGTLinkServer("Ultrasound") as scanner,
        OpenIGTLinkClient("t", "127.0.0.1", tracker.port, take, silence_s=None),
    ):
        wait_for(tracker.clients, "the client")
        timing = Timing(1.0, True)
        play(made(0.2), Faults(drift_mm_min=60.0), tracker, scanner, timing, stopping)
    needle = poses(taken)
    assert needle[10].matrix is not None
    assert needle[0].matrix is not None
    offset = needle[10].matrix[:3, 3] - needle[0].matrix[:3, 3]
    assert np.linalg.norm(offset) == pytest.approx(1.18, abs=0.02)
    assert needle[10].source_s - needle[0].source_s == pytest.approx(1.18, abs=1e-3)


def sweep(count: int, rows: int = 500) -> Playlist:
    """Images at 200 Hz, each with its number in its first pixel."""
    pixels = np.zeros((count, rows, 400), np.uint8)
    pixels[:, 0, 0] = np.arange(count)
    messages = tuple(Message(step / 200.0, "Image", one) for step, one in enumerate(pixels))
    return Playlist("sweep", messages)


def test_a_client_slower_than_the_recording_gets_every_image() -> None:
    """It takes 10 ms over images that are due each 5 ms: 40 MB against a queue of 4 MB."""
    playlist, seen = sweep(200), []

    def take(sample: Sample) -> None:
        if isinstance(sample, ImageSample):
            seen.append((int(sample.pixels[0, 0]), sample.source_s))
            time.sleep(0.01)

    with (
        recording_server("Tracker", playlist) as tracker,
        recording_server("Ultrasound", playlist) as scanner,
        OpenIGTLinkClient("t", "127.0.0.1", tracker.port, take, silence_s=None),
        OpenIGTLinkClient("u", "127.0.0.1", scanner.port, take, silence_s=None),
    ):
        wait_for(lambda: tracker.clients() and scanner.clients(), "the clients")
        play(playlist, Faults(), tracker, scanner, Timing(1.0, False), Flag())
        wait_for(lambda: len(seen) == 200, "every image", 20.0)
        assert scanner.drops() == {}
    assert [number for number, _ in seen] == list(range(200))
    np.testing.assert_allclose(np.diff([time_s for _, time_s in seen]), 0.005, atol=1e-5)


def test_a_client_that_reads_nothing_is_waited_for_once_and_its_losses_are_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("hw_mocks.replay.PATIENCE_S", 0.5)
    playlist, seen = sweep(100), []
    with (
        recording_server("Tracker", playlist) as tracker,
        recording_server("Ultrasound", playlist) as scanner,
        socket.create_connection(("127.0.0.1", scanner.port)),
        OpenIGTLinkClient("u", "127.0.0.1", scanner.port, seen.append, silence_s=None),
    ):
        wait_for(lambda: scanner.clients() == 2, "the clients")
        began_s = time.monotonic()
        play(playlist, Faults(), tracker, scanner, Timing(1.0, False), Flag())
        assert 0.6 < time.monotonic() - began_s < 3.0
        images = (one for one in seen if isinstance(one, ImageSample))
        wait_for(lambda: len(seen) >= 100, "every image at the client that reads", 10.0)
        assert [int(one.pixels[0, 0]) for one in images] == list(range(100))
        lost = scanner.drops()["Image"]
        assert 20 < lost < 100
        _tell_losses(tracker, scanner)
    assert capsys.readouterr().err == (
        f"replay: {lost} of Image lost: a client has stopped reading\n"
    )


def test_a_replay_that_waits_ends_when_it_is_told_to() -> None:
    playlist, stopping = sweep(100), Flag()
    with (
        recording_server("Tracker", playlist) as tracker,
        recording_server("Ultrasound", playlist) as scanner,
        socket.create_connection(("127.0.0.1", scanner.port)),
    ):
        wait_for(scanner.clients, "the client")
        threading.Timer(1.0, stopping.set).start()
        began_s = time.monotonic()
        play(playlist, Faults(), tracker, scanner, Timing(1.0, False), stopping)
        assert time.monotonic() - began_s < 2.0


def needle_log(folder: Path, clock_offset_s: float = 0.0) -> Path:
    path = folder / "session.irlog"
    pixels = np.full((40, 60), 80, np.uint8)
    with NeedleLog(path) as log:
        for step in range(20):
            received_s = 1.7e9 + step / RATE_HZ
            matrix = None if step == 7 else pose_at(float(step)).matrix
            status = PoseStatus.MISSING if step == 7 else PoseStatus.OK
            source_s = received_s - 0.01 + clock_offset_s
            log.sample(PoseSample(NEEDLE, matrix, status, source_s, received_s))
        for name in ("Fluoro", "US"):
            log.sample(ImageSample(name, pixels, np.eye(4), 1.7e9 + 0.05, 1.7e9 + 0.06))
        log.sample(TextSample("pedal", "down", 1.7e9 + 0.1, 1.7e9 + 0.1))
    return path


def test_a_needle_log_is_a_device_again(tmp_path: Path) -> None:
    playlist = read_playlist(needle_log(tmp_path))
    _, taken = played(playlist, Faults())
    needle = poses(taken)
    assert len(needle) == 20
    assert [one.status for one in needle].index(PoseStatus.MISSING) == 7
    np.testing.assert_allclose(np.diff([one.source_s for one in needle]), 0.02, atol=1e-5)
    images = [one for one in taken if isinstance(one, ImageSample)]
    assert {one.name for one in images} == {"Fluoro", "US"}
    assert images[0].pixels.shape == (40, 60)
    assert images[0].pixels.mean() == pytest.approx(80, abs=2)
    assert images[0].source_s - needle[0].source_s == pytest.approx(0.06, abs=1e-3)
    assert [one.text for one in taken if isinstance(one, TextSample)] == ["down"]
    room = parse_room(room_toml(playlist, 1, 2, None), None)
    assert room.ultrasound is not None
    assert (room.ultrasound.image, room.tools[0].transform) == ("US", NEEDLE)


def test_logs_of_both_formats_are_played_and_a_newer_one_is_refused(tmp_path: Path) -> None:
    path = needle_log(tmp_path)
    for number, known in ((1, True), (2, True), (3, False)):
        with closing(sqlite3.connect(path)) as raw:
            raw.execute("UPDATE meta SET value=? WHERE key='format'", (str(number),))
            raw.commit()
        if known:
            assert len(read_playlist(path).messages) == 23
        else:
            with pytest.raises(ReplayError, match="log format 3 is not known here"):
                read_playlist(path)


def test_a_log_whose_sender_had_another_clock_is_played_by_arrival(tmp_path: Path) -> None:
    playlist = read_playlist(needle_log(tmp_path, clock_offset_s=-7200.0))
    assert playlist.duration_s == pytest.approx(0.38, abs=1e-6)


@pytest.mark.parametrize("content", [b"", b"nothing", b"SQLite format 3\0" + bytes(200)])
def test_what_is_no_log_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.irlog"
    path.write_bytes(content)
    with pytest.raises(ReplayError, match="not a readable needle log"):
        read_playlist(path)
    assert main([str(path), "--room", str(tmp_path / "room.toml")]) == 2


def test_a_recording_of_transforms_only(tmp_path: Path) -> None:
    path = data_path("plus", "EightLandmarkPointsTrackedForPhantomRegistration.igs.mha")
    playlist = read_playlist(path)
    assert not playlist.first_images
    frames = read_recording(path).frames
    sent = [one for one in playlist.messages if one.name == playlist.pose_names[0]]
    assert len(sent) == len(frames)
    assert playlist.duration_s == pytest.approx(frames[-1].time_s - frames[0].time_s)
    room = parse_room(room_toml(playlist, 18944, 1, None), None)
    assert [device.name for device in room.devices] == ["Tracker"]
    assert room.ultrasound is None


def test_the_command_serves_a_room_at_its_port(tmp_path: Path) -> None:
    log, room_file = needle_log(tmp_path), tmp_path / "room.toml"
    with OpenIGTLinkServer("free") as free:
        port = free.port
    command = [sys.executable, "-m", "hw_mocks.replay", str(log), "--room", str(room_file)]
    command += ["--port", str(port), "--speed", "2", "--delay-ms", "100", "--once"]
    process = subprocess.Popen(command)
    try:
        wait_for(room_file.exists, "the room file", 20.0)
        tracker, scanner = read_room(room_file).devices
        assert (tracker.port, scanner.port) == (port, port + 1)  # type: ignore[union-attr]
        taken: list[Sample] = []
        with (
            OpenIGTLinkClient("t", "127.0.0.1", port, taken.append, protocol_version=2),
            OpenIGTLinkClient("u", "127.0.0.1", port + 1, taken.append),
        ):
            wait_for(lambda: len(poses(taken)) == 20, "the poses", 20.0)
        needle = poses(taken)
        np.testing.assert_allclose(np.diff([one.source_s for one in needle]), 0.01, atol=1e-5)
        assert np.median(ages_s(needle)) == pytest.approx(0.1, abs=0.04)
    finally:
        process.terminate()
        assert process.wait(10.0) == 0


@pytest.mark.parametrize("option", [["--loss", "2"], ["--seed", "-1"], ["--delay-ms", "nan"]])
def test_faults_out_of_range_are_told(
    tmp_path: Path, option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(needle_log(tmp_path)), *option]) == 2
    assert capsys.readouterr().err.startswith("replay: ")
