"""How well streams come in: what the console tells of each, and what it leaves in the log."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from devices.contract import PoseSample, PoseStatus
from ir_nav.recording import EventKind, read_log
from ir_nav.session.session import Session
from ir_nav.session.state import Role
from ir_nav.session.streams import StreamReport
from tests.session.rig import NOW_S, Rig, pose


def report(rig: Rig, stream: str, now_s: float = NOW_S + 6.0) -> StreamReport:
    return next(one for one in rig.streams.quality(now_s) if one.stream == stream)


def test_every_stream_of_the_room_is_reported_and_no_other() -> None:
    rig = Rig()
    rig.streams.take(PoseSample("ScannerToTracker", pose(3), PoseStatus.OK, NOW_S, NOW_S))
    found = rig.streams.quality(NOW_S)
    assert [one.stream for one in found] == [
        "NeedleToTracker",
        "StylusToTracker",
        "ReferenceToTracker",
        "ProbeToTracker",
        "US",
    ]
    assert [one.role for one in found] == [
        Role.NEEDLE,
        Role.STYLUS,
        Role.REFERENCE,
        Role.PROBE,
        None,
    ]
    assert {one.device for one in found} == {"tracker"}
    assert {one.quality.samples for one in found} == {0}


def test_rate_losses_invalid_share_latency_and_offset_of_one_tool() -> None:
    """50 Hz; the source's clock is 2 s behind and each second sample takes 4 ms longer; the
    tenth second loses 5 samples in a row, and every fifth is not seen."""
    rig = Rig()
    for number in range(500):
        if 460 <= number < 465:
            continue
        source_s = NOW_S - 10.0 + number / 50.0
        late_s = 2.0 + 0.004 * (number % 2)
        seen = number % 5 != 0
        status = PoseStatus.OK if seen else PoseStatus.MISSING
        matrix = pose(1) if seen else None
        rig.streams.take(PoseSample("NeedleToTracker", matrix, status, source_s, source_s + late_s))
    quality = report(rig, "NeedleToTracker", NOW_S + 2.0).quality
    assert quality.rate_hz == pytest.approx(49.0, abs=0.6)
    assert quality.dropped == 5
    assert quality.invalid_share == pytest.approx(0.2, abs=0.01)
    assert quality.latency_s == pytest.approx(0.002, abs=2e-4)
    assert quality.jitter_s == pytest.approx(0.002, abs=2e-4)
    assert quality.offset_s == pytest.approx(2.0, abs=1e-4)
    assert quality.clock_reason is None


def test_a_pose_of_unknown_status_is_no_invalid_one() -> None:
    rig = Rig()
    for number in range(60):
        rig.send(Role.NEEDLE, pose(1), NOW_S + number / 30.0, PoseStatus.UNKNOWN)
        rig.send(Role.STYLUS, None, NOW_S + number / 30.0, PoseStatus.INVALID)
    needle, stylus = (report(rig, f"{name}ToTracker", NOW_S + 2.0) for name in ("Needle", "Stylus"))
    assert (needle.unknown, needle.quality.invalid_share) == (True, 0.0)
    assert (stylus.unknown, stylus.quality.invalid_share) == (False, 1.0)


def test_images_are_judged_too() -> None:
    rig = Rig()
    for number in range(75):
        rig.frame(NOW_S + number / 25.0, NOW_S + number / 25.0 + 0.03)
    assert report(rig, "US", NOW_S + 3.0).quality.rate_hz == pytest.approx(25.0, abs=0.5)


def test_reports_may_be_asked_for_while_readers_write() -> None:
    rig = Rig()
    ended = threading.Event()
    faults: list[BaseException] = []

    def read() -> None:
        number = 0
        try:
            while not ended.is_set():
                rig.send(Role.NEEDLE, pose(1), NOW_S + number / 1000.0)
                number += 1
        except BaseException as error:  # noqa: BLE001
            faults.append(error)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(200):
        rig.streams.quality(NOW_S + number / 50.0)
    ended.set()
    for thread in threads:
        thread.join(10.0)
    assert faults == []


def test_quality_goes_to_the_log_each_five_seconds_and_at_the_end(tmp_path: Path) -> None:
    now = [NOW_S]
    session = Session(lambda: now[0])
    session.start_log(tmp_path / "a.irlog")
    rig = Rig()
    session.connection.room, session.connection.streams = rig.room, rig.streams
    for number in range(12 * 60):
        now[0] = NOW_S + number / 60.0
        rig.send(Role.NEEDLE, pose(1), now[0], PoseStatus.UNKNOWN, delay_s=0.0)
        session.tick(now[0])
    session.close()
    noted = [one for one in read_log(tmp_path / "a.irlog").events if one.kind is EventKind.QUALITY]
    times = [round(one.time_s - NOW_S, 1) for one in noted]
    assert times == [0.0, 5.0, 10.0, 12.0]
    last = noted[-1]
    assert "Needle 60.0 Hz" in last.text
    needle = last.data["streams"]["NeedleToTracker"]
    assert needle["rate_hz"] == pytest.approx(60.0, abs=0.2)
    assert needle["status_unknown"] is True
    assert needle["device"] == "tracker"
    assert last.data["streams"]["US"]["samples"] == 0
