"""The needle log: every sample received, every event, every state shown.

Any thread hands records over without waiting; one writer thread commits them every 50 ms in
SQLite's write-ahead mode, so that a killed process loses no more than that.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event as Flag
from threading import Lock, Thread
from typing import Any, Self

import cv2
import numpy as np

from devices.contract import ImageSample, PoseSample, Sample, TextSample
from ir_nav import RESEARCH_LABEL, __version__
from ir_nav.recording.records import Event, LogError, Shown
from ir_nav.recording.schema import FORMAT, TABLES

COMMIT_EVERY_S = 0.05
MAX_QUEUED = 20_000
PIXELS_EVERY_S = 0.5
JPEG_QUALITY = 85

Record = Sample | Event | Shown


@dataclass(frozen=True, slots=True)
class LogCounts:
    """Samples handed over, committed, and refused because the disk could not keep up."""

    received: int
    logged: int
    lost: int


class NeedleLog:
    """An open log. Use as a context manager, or call `close`."""

    def __init__(self, path: Path, now_s: Callable[[], float] = time.time) -> None:
        self.path = path
        self.started_s = now_s()
        self._queue: SimpleQueue[Record] = SimpleQueue()
        self._counting = Lock()
        self._received = 0
        self._logged = 0
        self._lost = 0
        self._closing = Flag()
        self._fault: str | None = None
        self._pixels_s: dict[str, float] = {}
        self._create(path)
        self._writer = Thread(target=self._write_all, name=f"log {path.name}", daemon=True)
        self._writer.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def sample(self, sample: Sample) -> None:
        """Hand over one sample; never waits. Counted as lost when the disk cannot keep up."""
        refused = self._closing.is_set() or self._queue.qsize() >= MAX_QUEUED
        with self._counting:
            self._received += 1
            self._lost += refused
        if not refused:
            self._queue.put(sample)

    def event(self, event: Event) -> None:
        """Hand over an event. Raises TypeError here, not on the writer, when data is no JSON."""
        json.dumps(dict(event.data))
        self._queue.put(event)

    def shown(self, shown: Shown) -> None:
        if self._queue.qsize() < MAX_QUEUED:
            self._queue.put(shown)

    def counts(self) -> LogCounts:
        received, logged = self._received, self._logged
        return LogCounts(received, logged, received - logged if self._fault else self._lost)

    def fault(self) -> str | None:
        """Why nothing is written any more, or None."""
        return self._fault

    def close(self) -> None:
        """Write what is queued and close the file."""
        self._closing.set()
        self._writer.join(timeout=30.0)

    def _create(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                raise LogError(f"{path} exists: a log is never written over")
            connection = sqlite3.connect(path)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(TABLES)
            meta = {
                "format": str(FORMAT),
                "software": f"ir-nav {__version__}",
                "label": RESEARCH_LABEL,
                "started_s": repr(self.started_s),
            }
            connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
            connection.commit()
            connection.close()
        except (OSError, sqlite3.Error) as error:
            raise LogError(f"cannot start the log {path}: {error}") from error

    def _write_all(self) -> None:
        connection = sqlite3.connect(self.path)
        connection.execute("PRAGMA synchronous=NORMAL")
        try:
            while not (self._closing.is_set() and self._queue.empty()):
                self._write_batch(connection)
        except (sqlite3.Error, ValueError) as error:
            self._fault = f"the log cannot be written: {error}"
        finally:
            # A finished log is one file, readable from a folder that cannot be written to.
            with suppress(sqlite3.Error):
                connection.execute("PRAGMA journal_mode=DELETE")
            connection.close()

    def _write_batch(self, connection: sqlite3.Connection) -> None:
        batch = self._drain()
        if not batch:
            return
        samples = 0
        with connection:
            for record in batch:
                statement, values = self._row(record)
                connection.execute(statement, values)
                samples += isinstance(record, PoseSample | ImageSample | TextSample)
        self._logged += samples

    def _drain(self) -> list[Record]:
        batch: list[Record] = []
        deadline = time.monotonic() + COMMIT_EVERY_S
        while (left_s := deadline - time.monotonic()) > 0 and len(batch) < 2000:
            try:
                batch.append(self._queue.get(timeout=left_s))
            except Empty:
                break
            if self._queue.empty() and self._closing.is_set():
                break
        return batch

    def _row(self, record: Record) -> tuple[str, tuple[Any, ...]]:
        match record:
            case PoseSample(name, matrix, status, source_s, received_s):
                blob = None if matrix is None else np.ascontiguousarray(matrix[:3]).tobytes()
                return _insert("poses", (name, source_s, received_s, str(status), blob))
            case ImageSample(name, pixels, _, source_s, received_s):
                rows, columns = pixels.shape[:2]
                jpeg = self._jpeg(name, pixels, received_s)
                return _insert("images", (name, source_s, received_s, columns, rows, jpeg))
            case TextSample(name, text, source_s, received_s):
                return _insert("texts", (name, source_s, received_s, text))
            case Event(time_s, kind, text, data):
                return _insert("events", (time_s, str(kind), text, json.dumps(dict(data))))
            case Shown():
                return _insert("shown", _shown_row(record))

    def _jpeg(self, name: str, pixels: np.ndarray, received_s: float) -> bytes | None:
        """Pixels are kept twice a second and stream; the others leave their times and size."""
        if received_s - self._pixels_s.get(name, 0.0) < PIXELS_EVERY_S or pixels.ndim != 2:
            return None
        self._pixels_s[name] = received_s
        if pixels.dtype != np.uint8:
            top = max(float(pixels.max()), 1.0)
            pixels = (pixels.astype(np.float32) * (255.0 / top)).clip(0, 255).astype(np.uint8)
        done, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        return encoded.tobytes() if done else None


def _insert(table: str, values: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    marks = ", ".join("?" * len(values))
    return f"INSERT INTO {table} VALUES (NULL, {marks})", values


def _shown_row(shown: Shown) -> tuple[Any, ...]:
    tip = (None,) * 3 if shown.tip_ct_mm is None else tuple(map(float, shown.tip_ct_mm))
    shaft = (None,) * 3 if shown.shaft_ct is None else tuple(map(float, shown.shaft_ct))
    return (
        shown.now_s,
        shown.pose_source_s,
        shown.reason,
        *tip,
        *shaft,
        shown.to_target_mm,
        shown.off_path_mm,
        shown.angle_deg,
        shown.phase_mm,
        shown.error_95_mm,
    )
