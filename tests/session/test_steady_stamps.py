"""Jittering stamps on their way through the wire and the streams of a room."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from devices.contract import ImageSample, Sample
from devices.openigtlink import OpenIGTLinkClient, OpenIGTLinkServer
from devices.openigtlink.images import pack_image
from ir_nav.recording import EventKind, NeedleLog, read_log
from ir_nav.session.journal import Journal
from ir_nav.session.navigation import navigate
from ir_nav.session.room import Room
from ir_nav.session.state import Role
from tests.session.rig import NOW_S, Rig, needle_at, pose, room_values, wait_for
from tests.tracking.test_time import plus_items

RATE_HZ = 30.0


def jittered(count: int, jitter_s: float = 0.003) -> np.ndarray:
    noise = np.random.default_rng(1).normal(0.0, jitter_s, count)
    return np.asarray(NOW_S + np.arange(count) / RATE_HZ + noise)


def per_number_s(times_s: np.ndarray, numbers: np.ndarray) -> float:
    return float(np.std(np.diff(times_s) / np.diff(numbers)))


def test_images_of_plus_with_their_numbers_come_steady_through_the_wire() -> None:
    """PLUS's own test of its filter, sent as PLUS sends images: at least three times less
    jitter, by the standard deviation of the time per frame number, within 80 ms."""
    numbers, times_s = plus_items()
    rig, used = Rig(), []

    def take(sample: Sample) -> None:
        # As if each had arrived when it was taken: 25 s are sent in one.
        rig.streams.take(replace(sample, received_s=sample.source_s))
        used.append(rig.streams.ultrasound.newest_first()[0].source_s)

    pixels = np.zeros((4, 6), np.uint8)
    with (
        OpenIGTLinkServer("Plus") as server,
        OpenIGTLinkClient("u", "127.0.0.1", server.port, take, protocol_version=2),
    ):
        wait_for(server.clients, "the client")
        time.sleep(0.2)  # until it has shown that it speaks version 2
        for number, time_s in zip(numbers, times_s, strict=True):
            numbered = {"FrameNumber": str(number)}
            server.broadcast(
                pack_image("US", pixels, np.eye(4), float(time_s), version=2, metadata=numbered),
                "US",
            )
        wait_for(lambda: len(used) == 500, "every image")
    used_s = np.array(used)
    # The first ones show that it is worth it.
    later = slice(40, None)
    before = per_number_s(times_s[later], numbers[later])
    assert before / per_number_s(used_s[later], numbers[later]) > 4.5
    assert np.abs(used_s - times_s).max() < 0.08
    assert (np.diff(used_s) > 0.0).all()
    report = next(one for one in rig.streams.quality(NOW_S) if one.stream == "US").stamps
    assert report is not None
    assert report.smoothed
    assert report.raw_s / report.used_s > 4.0


def test_a_regular_stream_passes_as_the_same_objects() -> None:
    rig = Rig()
    for step in range(300):
        frame = rig.frame(NOW_S + step / RATE_HZ, NOW_S + step / RATE_HZ)
        assert rig.streams.ultrasound.newest_first()[0] is frame
        rig.send(Role.NEEDLE, pose(1), NOW_S + step / RATE_HZ)
    stamps = [sample.source_s for sample in rig.streams.poses[Role.NEEDLE].since(0.0)]
    assert stamps == [NOW_S + step / RATE_HZ for step in range(300)]
    assert not any(one.stamps and one.stamps.smoothed for one in rig.streams.quality(NOW_S))


def test_a_device_whose_stamps_are_exact_is_left_alone() -> None:
    values = room_values()
    values["devices"][0]["smooth_stamps"] = False
    rig = Rig(Room.model_validate(values))
    times_s = jittered(300)
    for time_s in times_s:
        rig.send(Role.NEEDLE, pose(1), float(time_s))
    stamps = [sample.source_s for sample in rig.streams.poses[Role.NEEDLE].since(0.0)]
    np.testing.assert_array_equal(stamps, times_s)
    assert rig.streams.quality(NOW_S)[0].stamps is None


def test_what_was_stamped_at_one_instant_stays_at_one_instant() -> None:
    """The needle misses every seventh sample and joins late; frames join later still."""
    rig, times_s = Rig(), jittered(600)
    for step, time_s in enumerate(times_s):
        rig.send(Role.REFERENCE, pose(1), float(time_s))
        if step > 50 and step % 7:
            rig.send(Role.NEEDLE, pose(2), float(time_s))
        if step > 200:
            rig.frame(float(time_s), float(time_s))
    reference = [s.source_s for s in rig.streams.poses[Role.REFERENCE].since(0.0)]
    needle = {s.source_s for s in rig.streams.poses[Role.NEEDLE].since(0.0)}
    assert needle <= set(reference)
    assert rig.streams.ultrasound.newest_first()[0].source_s == reference[-1]
    changed = np.array(reference)[200:] != times_s[200:]
    assert changed.mean() > 0.95


def test_guidance_of_a_jittering_tracker_is_measured_at_the_steady_time() -> None:
    rig, times_s = Rig(), jittered(300)
    for time_s in times_s:
        rig.send(Role.NEEDLE, needle_at((0.0, -40.0, 0.0), (0.0, 1.0, 0.0)), float(time_s))
    rig.all_seen(until_s=float(times_s[-1]), seconds=0.0)
    newest = rig.streams.poses[Role.NEEDLE].latest()
    assert newest is not None
    state = navigate(rig.inputs(), newest.received_s)
    assert state.tip is not None
    assert state.tip.measured_s == newest.source_s != times_s[-1]
    steady_s = NOW_S + (len(times_s) - 1) / RATE_HZ
    assert state.tip.measured_s == pytest.approx(steady_s, abs=0.004)


def test_the_log_keeps_the_stamps_as_sent_and_the_jitter_of_both(tmp_path: Path) -> None:
    rig, times_s = Rig(), jittered(200)
    journal = Journal(lambda: NOW_S)
    rig.streams.log = log = journal.start(tmp_path / "a.irlog")
    assert isinstance(log, NeedleLog)
    for time_s in times_s:
        rig.send(Role.NEEDLE, pose(1), float(time_s))
    journal.quality(rig.streams, NOW_S)
    journal.close()
    event = read_log(log.path).last(EventKind.QUALITY)
    assert event is not None
    stamps = event.data["streams"]["NeedleToTracker"]["stamps"]
    assert stamps["smoothed"] is True
    assert stamps["raw_s"] > 4.0 * stamps["used_s"] > 0.0
    assert event.data["streams"]["US"]["stamps"] is None
    assert json.dumps(event.data)


@pytest.mark.parametrize("text", ["", "-3", "1e3", "seven", "٣", "9" * 40])
def test_a_number_that_is_none_is_not_believed(text: str) -> None:
    rig = Rig()
    for time_s in jittered(150):
        pixels = np.zeros((4, 6), np.uint8)
        metadata = {"FrameNumber": text}
        rig.streams.take(ImageSample("US", pixels, np.eye(4), time_s, time_s, metadata))
    report = rig.streams.quality(NOW_S)[-1].stamps
    assert report is not None
    assert report.smoothed
