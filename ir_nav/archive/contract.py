"""What every kind of archive can do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ir_nav.archive.records import (
    Cancelled,
    FetchedSeries,
    Progress,
    SeriesRecord,
    StoreResult,
    StudyQuery,
    StudyRecord,
)


class ArchiveClient(Protocol):
    """Talks to one archive. Every call may block up to the archive's time limit, raises
    ArchiveError with words for the user, and TransferCancelledError within a second of
    `cancelled()` becoming true."""

    def echo(self, *, cancelled: Cancelled = ...) -> None:
        """Return when the archive answers and knows us."""

    def find_studies(
        self, query: StudyQuery, *, cancelled: Cancelled = ...
    ) -> tuple[StudyRecord, ...]:
        """Matching studies, newest first."""

    def find_series(
        self, study_uid: str, *, cancelled: Cancelled = ...
    ) -> tuple[SeriesRecord, ...]:
        """The series of a study in the order of their numbers."""

    def fetch(
        self,
        series: SeriesRecord,
        into: Path,
        *,
        progress: Progress = ...,
        cancelled: Cancelled = ...,
    ) -> FetchedSeries:
        """Bring a series into `into`/<series UID>: whole and readable, or not at all."""

    def store(
        self, files: Sequence[Path], *, progress: Progress = ..., cancelled: Cancelled = ...
    ) -> StoreResult:
        """Send DICOM files. Each is stored whole or not at all; an error says how many were."""
