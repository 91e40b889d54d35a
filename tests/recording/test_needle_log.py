"""What is handed over to the needle log is read back as it was."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

from devices.contract import ImageSample
from ir_nav import RESEARCH_LABEL
from ir_nav.recording import (
    Event,
    EventKind,
    LogCounts,
    LogError,
    NeedleLog,
    Shown,
    read_log,
    read_poses,
)
from tests.recording.samples import image_sample, pose_sample, text_sample, wait_for


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "case.irlog"


def test_poses_are_read_back_to_the_last_bit(path: Path) -> None:
    given = [pose_sample(number) for number in range(300)]
    with NeedleLog(path) as log:
        for sample in given:
            log.sample(sample)
            log.sample(pose_sample(1, "StylusToTracker"))
    track = read_poses(path, "NeedleToTracker")
    assert track.statuses == tuple(str(sample.status) for sample in given)
    np.testing.assert_array_equal(track.source_s, [sample.source_s for sample in given])
    np.testing.assert_array_equal(track.received_s, [sample.received_s for sample in given])
    for matrix, sample in zip(track.matrices, given, strict=True):
        if sample.matrix is None:
            assert np.isnan(matrix).all()
        else:
            np.testing.assert_array_equal(matrix, sample.matrix)
    assert len(read_poses(path, "StylusToTracker").matrices) == 300
    assert len(read_poses(path, "Nothing").matrices) == 0
    assert read_log(path).sample_counts == {"NeedleToTracker": 300, "StylusToTracker": 300}
    assert log.counts() == LogCounts(600, 600, 0)


def test_events_are_read_back_in_order_with_their_data(path: Path) -> None:
    given = [
        Event(10.5, EventKind.PLAN, "Lésion", {"entry": [1.5, -2.0, 1e-9], "name": "Grüße"}),
        Event(11.0, EventKind.MARK, "at the target"),
        Event(10.75, EventKind.PLAN, "second", {"inside": {"deep": None, "yes": True}}),
    ]
    with NeedleLog(path, lambda: 1234.0625) as log:
        for event in given:
            log.event(event)
    contents = read_log(path)
    assert [(e.time_s, e.kind, e.text, dict(e.data)) for e in contents.events] == [
        (e.time_s, e.kind, e.text, dict(e.data)) for e in given
    ]
    last = contents.last(EventKind.PLAN)
    assert last is not None
    assert last.text == "second"
    assert contents.last(EventKind.DEVICE) is None
    assert contents.started_s == 1234.0625
    assert contents.software.startswith("ir-nav ")
    with closing(sqlite3.connect(path)) as raw:
        assert dict(raw.execute("SELECT key, value FROM meta"))["label"] == RESEARCH_LABEL


def test_what_was_shown_is_read_back_and_blanks_are_nan(path: Path) -> None:
    tip, shaft = np.array([1.1, 2.2, -3.3]), np.array([0.6, 0.0, 0.8])
    with NeedleLog(path) as log:
        log.shown(Shown(10.0, None, 9.95, tip, shaft, 40.5, 1.25, 0.5, -0.1))
        log.shown(Shown(10.1, "needle out of view 0.4 s", phase_mm=2.5))
        log.shown(Shown(10.2, None, 10.15, tip + 1, shaft, -2.0, 0.0, 179.5, None))
    shown = read_log(path).shown
    np.testing.assert_array_equal(shown.now_s, (10.0, 10.1, 10.2))
    np.testing.assert_array_equal(shown.pose_source_s, (9.95, np.nan, 10.15))
    np.testing.assert_array_equal(shown.tip_ct_mm, [tip, [np.nan] * 3, tip + 1])
    np.testing.assert_array_equal(shown.shaft_ct, [shaft, [np.nan] * 3, shaft])
    np.testing.assert_array_equal(shown.to_target_mm, (40.5, np.nan, -2.0))
    np.testing.assert_array_equal(shown.off_path_mm, (1.25, np.nan, 0.0))
    np.testing.assert_array_equal(shown.angle_deg, (0.5, np.nan, 179.5))
    np.testing.assert_array_equal(shown.phase_mm, (-0.1, 2.5, np.nan))
    assert shown.reasons == (None, "needle out of view 0.4 s", None)
    np.testing.assert_array_equal(shown.valid, (True, False, True))
    with pytest.raises(ValueError, match="read-only"):
        shown.now_s[0] = 1.0


def test_an_empty_log_is_a_log(path: Path) -> None:
    with NeedleLog(path):
        pass
    contents = read_log(path)
    assert contents.events == ()
    assert contents.sample_counts == {}
    assert contents.shown.tip_ct_mm.shape == (0, 3)
    assert not contents.shown.valid.any()


def test_texts_and_images_leave_their_times_and_some_pixels(path: Path) -> None:
    """Every frame's times and size; the pixels twice a second."""
    with NeedleLog(path) as log:
        log.sample(text_sample("Über"))
        for number in range(40):
            log.sample(image_sample(number, 100.0 + number / 20.0))
        deep = (np.arange(1200).reshape(30, 40) * 50).astype(np.uint16)
        log.sample(ImageSample("Fluoro", deep, np.eye(4), 99.0, 100.0))
    assert read_log(path).sample_counts == {"Says": 1, "Ultrasound": 40, "Fluoro": 1}
    with closing(sqlite3.connect(path)) as raw:
        rows = raw.execute(
            "SELECT source_s, received_s, columns, rows, jpeg FROM images WHERE name='Ultrasound'"
        ).fetchall()
        assert raw.execute("SELECT text FROM texts").fetchall() == [("Über",)]
        (fluoro,) = raw.execute("SELECT jpeg FROM images WHERE name='Fluoro'").fetchone()
    assert [row[1] for row in rows] == [100.0 + number / 20.0 for number in range(40)]
    assert {row[2:4] for row in rows} == {(40, 30)}
    kept = [number for number, row in enumerate(rows) if row[4] is not None]
    assert kept == [0, 10, 20, 30]
    for number in kept:
        pixels = cv2.imdecode(np.frombuffer(rows[number][4], np.uint8), cv2.IMREAD_UNCHANGED)
        assert abs(pixels.astype(int) - number).max() <= 2
    pixels = cv2.imdecode(np.frombuffer(fluoro, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_allclose(pixels, deep / deep.max() * 255.0, atol=12)


def test_many_threads_at_once_lose_nothing(path: Path) -> None:
    def hand_over(name: str) -> None:
        for number in range(800):
            log.sample(pose_sample(number % 50, name))

    with NeedleLog(path) as log:
        names = [f"Tool{n}ToTracker" for n in range(6)]
        threads = [threading.Thread(target=hand_over, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_for(lambda: log.counts().logged == 4800, "the writer")
        assert log.counts() == LogCounts(4800, 4800, 0)
    assert read_log(path).sample_counts == dict.fromkeys(names, 800)
    assert log.fault() is None


def test_a_log_can_be_read_while_it_is_written(path: Path) -> None:
    with NeedleLog(path) as log:
        log.sample(pose_sample(1))
        wait_for(lambda: log.counts().logged == 1, "the writer")
        assert read_log(path).sample_counts == {"NeedleToTracker": 1}


def test_what_comes_after_closing_counts_as_lost(path: Path) -> None:
    log = NeedleLog(path)
    log.sample(pose_sample(1))
    log.close()
    log.sample(pose_sample(2))
    assert log.counts() == LogCounts(2, 1, 1)


def test_a_log_that_can_no_longer_be_written_says_so_and_counts_its_losses(path: Path) -> None:
    with NeedleLog(path) as log:
        with closing(sqlite3.connect(path)) as vandal:
            vandal.execute("DROP TABLE poses")
            vandal.commit()
        log.sample(pose_sample(1))
        wait_for(lambda: log.fault(), "the fault")
        assert "the log cannot be written" in str(log.fault())
        log.sample(pose_sample(2))
    counts = log.counts()
    assert (counts.received, counts.logged, counts.lost) == (2, 0, 2)


def test_an_event_that_is_no_json_is_the_callers_error_and_the_log_goes_on(path: Path) -> None:
    with NeedleLog(path) as log:
        with pytest.raises(TypeError):
            log.event(Event(1.0, EventKind.NOTE, "bad", {"value": np.arange(3)}))
        log.event(Event(2.0, EventKind.NOTE, "good"))
    assert [event.text for event in read_log(path).events] == ["good"]
    assert log.fault() is None


def test_a_text_that_cannot_be_stored_does_not_end_the_log_in_silence(path: Path) -> None:
    with NeedleLog(path) as log:
        log.sample(text_sample("\ud800"))
        wait_for(lambda: log.fault(), "the fault")


def test_a_finished_log_is_one_file_in_no_special_mode(path: Path) -> None:
    with NeedleLog(path) as log:
        log.event(Event(1.0, EventKind.MARK, "here", {}))
    assert [found.name for found in path.parent.iterdir()] == [path.name]
    assert path.read_bytes()[18:20] == b"\x01\x01"  # the header's versions: 2 is write-ahead


def test_a_log_is_never_written_over(path: Path) -> None:
    with NeedleLog(path) as log:
        log.sample(pose_sample(1))
    with pytest.raises(LogError, match="exists: a log is never written over"):
        NeedleLog(path)
    assert read_log(path).sample_counts == {"NeedleToTracker": 1}


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(LogError, match=r"cannot start the log .*case\.irlog"):
        NeedleLog(tmp_path / "file" / "case.irlog")
    with pytest.raises(LogError, match="cannot start the log"):
        NeedleLog(Path("/proc/nowhere/case.irlog"))


def test_what_is_no_log_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="there is no such log"):
        read_log(tmp_path / "none.irlog")
    other = tmp_path / "other.irlog"
    other.write_bytes(b"not a database, but long enough to look at" * 100)
    for read in (lambda: read_log(other), lambda: read_poses(other, "x")):
        with pytest.raises(LogError, match="not a readable needle log"):
            read()
    empty = tmp_path / "empty.irlog"
    empty.write_bytes(b"")
    with pytest.raises(LogError, match="not a readable needle log"):
        read_log(empty)


def test_a_log_of_the_format_before_is_still_read(path: Path) -> None:
    """Format 1 has the same tables; an event of kind "quality" makes it format 2, so that readers
    that do not know the kind ask for an update."""
    with NeedleLog(path) as log:
        log.sample(pose_sample(1))
        log.event(Event(1.0, EventKind.MARK, "at the target"))
        log.event(Event(2.0, EventKind.QUALITY, "Needle 60.0 Hz"))
    with closing(sqlite3.connect(path)) as raw:
        assert dict(raw.execute("SELECT key, value FROM meta"))["format"] == "2"
        raw.execute("UPDATE meta SET value='1' WHERE key='format'")
        raw.commit()
    old = read_log(path)
    assert [event.kind for event in old.events] == [EventKind.MARK, EventKind.QUALITY]
    assert old.sample_counts == {"NeedleToTracker": 1}


def test_a_newer_format_asks_for_an_update(path: Path) -> None:
    with NeedleLog(path):
        pass
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("UPDATE meta SET value='3' WHERE key='format'")
        raw.commit()
    with pytest.raises(LogError, match="log format 3 is not known here: update"):
        read_log(path)
