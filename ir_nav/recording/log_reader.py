"""Reading a needle log, finished or cut off."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ir_nav.geometry import FloatArray, read_only
from ir_nav.recording.records import Event, EventKind, LogError
from ir_nav.recording.schema import READ_FORMATS


@dataclass(frozen=True, slots=True, eq=False)
class ShownTrack:
    """What the screen showed, n ticks in order; NaN where a number was blanked.

    now_s, pose_source_s, to_target_mm, off_path_mm, angle_deg, phase_mm, error_95_mm: (n,).
    tip_ct_mm, shaft_ct: (n, 3). reasons: why a tick was blank, or None.
    """

    now_s: FloatArray
    pose_source_s: FloatArray
    tip_ct_mm: FloatArray
    shaft_ct: FloatArray
    to_target_mm: FloatArray
    off_path_mm: FloatArray
    angle_deg: FloatArray
    phase_mm: FloatArray
    error_95_mm: FloatArray
    reasons: tuple[str | None, ...]

    @property
    def valid(self) -> np.ndarray:
        """(n,) bool: guidance was shown."""
        return np.asarray(np.isfinite(self.to_target_mm))


@dataclass(frozen=True, slots=True, eq=False)
class PoseTrack:
    """Poses of one stream in order of arrival: source_s, received_s (n,), matrices (n, 4, 4),
    NaN where the tool was not seen, statuses n words."""

    source_s: FloatArray
    received_s: FloatArray
    matrices: FloatArray
    statuses: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class LogContents:
    """A log in memory, without its images."""

    path: Path
    started_s: float
    software: str
    events: tuple[Event, ...]
    shown: ShownTrack
    sample_counts: dict[str, int]

    def last(self, kind: EventKind) -> Event | None:
        return next((event for event in reversed(self.events) if event.kind is kind), None)


def read_log(path: Path) -> LogContents:
    """Read a log; LogError when it is none, or of a newer format."""
    with _opened(path) as connection:
        meta = dict(connection.execute("SELECT key, value FROM meta"))
        if meta.get("format") not in READ_FORMATS:
            raise LogError(f"{path}: log format {meta.get('format')} is not known here: update")
        return LogContents(
            path,
            float(meta["started_s"]),
            meta["software"],
            tuple(_events(connection)),
            _shown(connection),
            _sample_counts(connection),
        )


def read_poses(path: Path, name: str) -> PoseTrack:
    """Every logged pose of one stream, such as "NeedleToTracker"."""
    with _opened(path) as connection:
        rows = connection.execute(
            "SELECT source_s, received_s, matrix, status FROM poses WHERE name = ? ORDER BY id",
            (name,),
        ).fetchall()
    matrices = np.full((len(rows), 4, 4), np.nan)
    for matrix, row in zip(matrices, rows, strict=True):
        if row[2] is not None:
            matrix[:3] = np.frombuffer(row[2]).reshape(3, 4)
            matrix[3] = (0.0, 0.0, 0.0, 1.0)
    return PoseTrack(
        read_only([row[0] for row in rows]),
        read_only([row[1] for row in rows]),
        read_only(matrices),
        tuple(row[3] for row in rows),
    )


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.is_file():
        raise LogError(f"{path}: there is no such log")
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA query_only=ON")
            yield connection
    except (sqlite3.Error, KeyError, ValueError) as error:
        raise LogError(f"{path}: not a readable needle log ({error})") from error


def _events(connection: sqlite3.Connection) -> Iterator[Event]:
    query = "SELECT time_s, kind, text, data FROM events ORDER BY id"
    for time_s, kind, text, data in connection.execute(query):
        yield Event(time_s, EventKind(kind), text, json.loads(data))


def _shown(connection: sqlite3.Connection) -> ShownTrack:
    rows = connection.execute("SELECT * FROM shown ORDER BY id").fetchall()
    reasons = tuple(row[3] for row in rows)
    numbers = np.array([row[1:3] + row[4:] for row in rows], dtype=np.float64).reshape(
        len(rows), 13
    )
    return ShownTrack(
        now_s=read_only(numbers[:, 0]),
        pose_source_s=read_only(numbers[:, 1]),
        tip_ct_mm=read_only(numbers[:, 2:5]),
        shaft_ct=read_only(numbers[:, 5:8]),
        to_target_mm=read_only(numbers[:, 8]),
        off_path_mm=read_only(numbers[:, 9]),
        angle_deg=read_only(numbers[:, 10]),
        phase_mm=read_only(numbers[:, 11]),
        error_95_mm=read_only(numbers[:, 12]),
        reasons=reasons,
    )


def _sample_counts(connection: sqlite3.Connection) -> dict[str, int]:
    query = " UNION ALL ".join(
        f"SELECT name, COUNT(*) FROM {table} GROUP BY name"
        for table in ("poses", "images", "texts")
    )
    return dict(connection.execute(query).fetchall())
