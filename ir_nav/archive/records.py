"""What is asked of an archive and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ir_nav.archive.errors import ArchiveError

# Called with how many images are done and how many there are; 0 while that is not known.
Progress = Callable[[int, int], None]
Cancelled = Callable[[], bool]


def never() -> bool:
    """For work that nobody cancels."""
    return False


def silent(_done: int, _total: int) -> None:
    """For work whose progress nobody watches."""


@dataclass(frozen=True, slots=True)
class StudyQuery:
    """Which studies to look for; empty is any. `*` and `?` stand for any text (PS3.4 C.2.2.2.4).

    Raises ArchiveError for a value that DICOM cannot carry or dates the wrong way round.
    """

    patient_id: str = ""
    patient_name: str = ""
    first_day: date | None = None
    last_day: date | None = None
    modality: str = ""

    def __post_init__(self) -> None:
        for text in (self.patient_id, self.patient_name, self.modality):
            if "\\" in text or not text.isprintable():
                raise ArchiveError("a search text holds a backslash or a control character")
        if self.first_day and self.last_day and self.last_day < self.first_day:
            raise ArchiveError("the last day lies before the first: exchange the two dates")

    @property
    def days(self) -> str:
        """The range as DICOM writes it: 20200101-20200131, open at either end, or empty."""
        ends = [day.strftime("%Y%m%d") if day else "" for day in (self.first_day, self.last_day)]
        return "-".join(ends) if any(ends) else ""


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """A study as an archive lists it. study_date: ISO. Counts are None where it does not say."""

    study_uid: str
    patient_name: str
    patient_id: str
    study_date: str
    description: str
    modalities: tuple[str, ...]
    series_count: int | None
    instance_count: int | None


@dataclass(frozen=True, slots=True)
class SeriesRecord:
    """A series as an archive lists it. instance_count is None where it does not say."""

    study_uid: str
    series_uid: str
    modality: str
    number: int | None
    description: str
    instance_count: int | None


@dataclass(frozen=True, slots=True)
class FetchedSeries:
    """A whole series on this computer: `folder` holds one file per image."""

    folder: Path
    series_uid: str
    instance_count: int


@dataclass(frozen=True, slots=True)
class StoreResult:
    """What an archive took. refused: files that it did not take, each with its reason."""

    stored: int
    refused: tuple[tuple[Path, str], ...]
