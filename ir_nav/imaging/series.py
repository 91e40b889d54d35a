"""What a folder, zip or DICOMDIR holds: patients, studies, series, and whether they are usable."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePath

import numpy as np

from ir_nav.imaging.dicom_candidates import Candidate, candidates
from ir_nav.imaging.dicom_header import ObjectHeader, SeriesFacts, SliceHeader, read_headers
from ir_nav.imaging.dicom_read import each
from ir_nav.imaging.dicom_source import DicomSource, is_dicom_source, open_source
from ir_nav.imaging.dicom_stack import Stack, arrange, check_tilt
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.laterality import side_conflict, stated_side
from ir_nav.progress import unheard

Report = Callable[[float], None]

# Numbers in a slice's plane, from which a volume can be made.
VOLUME_MODALITIES = ("CT", "MR", "PT", "NM", "RTDOSE")


class Severity(StrEnum):
    """What a problem means for reading the series."""

    REFUSED = "refused"
    CORRECTED = "corrected"
    NOTED = "noted"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something found in a series, in words for the user."""

    severity: Severity
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class SeriesSummary:
    """One stack of images that may be opened. part: which of several in the series, from 1.

    size_ijk and spacing_mm: None when it cannot be a volume. side: 'L', 'R', 'B' or None.
    """

    facts: SeriesFacts
    part: int
    part_name: str
    slice_count: int
    size_ijk: tuple[int, int, int] | None
    spacing_mm: tuple[float, float, float] | None
    side: str | None
    problems: tuple[Problem, ...]
    images: tuple[SliceHeader, ...] = field(repr=False)
    stack: Stack | None = field(repr=False)

    @property
    def readable(self) -> bool:
        """Whether it can be opened as a volume."""
        return self.stack is not None

    @property
    def refusal(self) -> str:
        """Why it cannot be opened; '' when it can."""
        reasons = (found.text for found in self.problems if found.severity is Severity.REFUSED)
        return next(reasons, "")

    @property
    def modality(self) -> str:
        return self.facts.modality

    @property
    def title(self) -> str:
        """Its description and part in one line."""
        name = self.facts.description or "no description"
        return f"{name} · {self.part_name}" if self.part_name else name


@dataclass(frozen=True, slots=True, eq=False)
class SeriesIndex:
    """All that one place holds. series: what may be planned on first. unread: (file, reason)."""

    path: Path
    series: tuple[SeriesSummary, ...]
    objects: tuple[ObjectHeader, ...]
    unread: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]

    @property
    def readable(self) -> tuple[SeriesSummary, ...]:
        return tuple(found for found in self.series if found.readable)

    def spoiled(self, summary: SeriesSummary) -> tuple[str, ...]:
        """Reasons of unreadable files beside the series' own, which may belong to it."""
        folders = {PurePath(image.name).parent for image in summary.images}
        return tuple(why for name, why in self.unread if PurePath(name).parent in folders)


@dataclass(frozen=True, slots=True)
class Study:
    """One study's series and other objects."""

    facts: SeriesFacts
    series: tuple[SeriesSummary, ...]
    objects: tuple[ObjectHeader, ...]


@dataclass(frozen=True, slots=True)
class Patient:
    """One patient's studies, the latest first."""

    patient_id: str
    name: str
    studies: tuple[Study, ...]


def index_series(path: Path, report: Report | None = None) -> SeriesIndex:
    """List what a DICOM folder, zip, DICOMDIR or file's folder holds, from headers alone.

    report: called with 0..1, may raise to cancel. Raises ImagingError when the place itself
    cannot be read or holds no DICOM at all; damaged files are listed.
    """
    if not path.exists():
        raise ImagingError(f"{path} does not exist: check the path or connect the drive")
    if not is_dicom_source(path):
        raise ImagingError(f"{path.name} is no DICOM: choose a DICOM folder, zip, DICOMDIR or file")
    with open_source(path) as source:
        return index_source(path, source, report or unheard)


def index_source(path: Path, source: DicomSource, report: Report) -> SeriesIndex:
    """index_series of an open source."""

    def headers(name: str) -> tuple[tuple[SliceHeader | ObjectHeader, ...], str]:
        try:
            return read_headers(source, name), ""
        except ImagingError as error:
            return (), str(error)

    found = each(headers, source.names, report)
    unread = tuple((name, why) for name, (_, why) in zip(source.names, found, strict=True) if why)
    every = [header for several, _ in found for header in several]
    groups: dict[tuple[str, str], list[SliceHeader]] = {}
    for header in every:
        if isinstance(header, SliceHeader):
            groups.setdefault((header.facts.series_uid, header.sop_class_uid), []).append(header)
    objects = tuple(header for header in every if isinstance(header, ObjectHeader))
    if not (groups or objects or unread):
        raise ImagingError(
            f"{path.name} holds no DICOM images: choose the folder or zip with the CT series"
        )
    series = [summary for images in groups.values() for summary in summarise(images)]
    series.sort(key=_precedence)
    return SeriesIndex(path, tuple(series), objects, unread, source.missing)


def _precedence(one: SeriesSummary) -> tuple[bool, int, int, str]:
    """What one would plan on comes first."""
    known = one.modality in VOLUME_MODALITIES
    kind = VOLUME_MODALITIES.index(one.modality) if known else len(VOLUME_MODALITIES)
    return not one.readable, kind, -one.slice_count, one.title


def summarise(images: Iterable[SliceHeader]) -> tuple[SeriesSummary, ...]:
    """One summary for each stack of one series."""
    return tuple(
        _summary(part, candidate) for part, candidate in enumerate(candidates(tuple(images)), 1)
    )


def patients(index: SeriesIndex) -> tuple[Patient, ...]:
    """The index as a tree."""
    everything: list[SeriesSummary | ObjectHeader] = [*index.series, *index.objects]
    people = dict.fromkeys((one.facts.patient_id, one.facts.patient_name) for one in everything)
    return tuple(Patient(number, name, _studies(index, number, name)) for number, name in people)


def _studies(index: SeriesIndex, patient_id: str, name: str) -> tuple[Study, ...]:
    def theirs(facts: SeriesFacts) -> bool:
        return (facts.patient_id, facts.patient_name) == (patient_id, name)

    series = [one for one in index.series if theirs(one.facts)]
    objects = [one for one in index.objects if theirs(one.facts)]
    both: list[SeriesSummary | ObjectHeader] = [*series, *objects]
    uids = dict.fromkeys(one.facts.study_uid for one in both)
    studies = []
    for uid in uids:
        own = tuple(one for one in series if one.facts.study_uid == uid)
        others = tuple(one for one in objects if one.facts.study_uid == uid)
        facts = own[0].facts if own else others[0].facts
        studies.append(Study(facts, own, others))
    return tuple(sorted(studies, key=lambda study: study.facts.study_date, reverse=True))


def _summary(part: int, candidate: Candidate) -> SeriesSummary:
    images = candidate.headers
    problems = [Problem(Severity.CORRECTED, note) for note in candidate.notes]
    stack: Stack | None = None
    try:
        _check_kind(images[0])
        stack = arrange(images)
        check_tilt(stack)
    except ImagingError as error:
        stack = None
        problems.append(Problem(Severity.REFUSED, str(error)))
    if stack is not None:
        problems += _stack_problems(stack)
    conflict = side_conflict(images)
    if conflict is not None:
        problems.append(Problem(Severity.NOTED, conflict))
    return SeriesSummary(
        images[0].facts,
        part,
        candidate.name,
        len(images),
        None if stack is None else (images[0].columns, images[0].rows, len(images)),
        None if stack is None else _spacing(stack),
        None if conflict else stated_side(images),
        tuple(problems),
        images,
        stack,
    )


def _check_kind(first: SliceHeader) -> None:
    if first.samples != 1 or first.photometric.startswith(("PALETTE", "RGB", "YBR")):
        raise ImagingError(f"{first.plain_name} is a colour image, not a CT: choose the CT series")
    if first.modality not in VOLUME_MODALITIES:
        raise ImagingError(
            f"{first.modality or 'an unknown modality'} is no stack of slices: choose CT, MR, "
            "PET or NM"
        )


def _stack_problems(stack: Stack) -> list[Problem]:
    if not stack.tilt_deg:
        return []
    words = (
        f"the gantry was tilted by {stack.tilt_deg:.1f} deg: the slices are resampled onto a "
        "straight grid, linear within each slice"
    )
    return [Problem(Severity.CORRECTED, words)]


def _spacing(stack: Stack) -> tuple[float, float, float]:
    """Along i and j, and between the slices' planes."""
    axes = stack.ct_from_voxel[:3, :3]
    i, j = np.linalg.norm(axes[:, :2], axis=0)
    k = np.linalg.det(axes) / (i * j)
    return float(i), float(j), float(k)
