"""`ir-nav images`: what a folder, zip or disc holds, and what is wrong with it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ir_nav import RESEARCH_LABEL
from ir_nav.commands.outcome import show
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.files import is_grid_file
from ir_nav.imaging.readers import read_volume
from ir_nav.imaging.series import (
    Patient,
    SeriesIndex,
    SeriesSummary,
    Severity,
    Study,
    index_series,
    patients,
)
from ir_nav.imaging.series_words import (
    file_words,
    modality_words,
    object_words,
    side_words,
    size_words,
    spacing_words,
)

NOTHING_READABLE = 2
_SIGNS = {Severity.REFUSED: "✕", Severity.CORRECTED: "!", Severity.NOTED: "!"}


def add_images(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "images", help="list the series of a DICOM folder, zip or disc, with what is wrong"
    )
    command.add_argument("path", type=Path, metavar="PATH", help="folder, zip, DICOMDIR or file")
    command.set_defaults(run=_images)


def _images(options: argparse.Namespace) -> int:
    try:
        if is_grid_file(options.path):
            _show_file(options.path)
            return 0
        index = index_series(options.path)
    except ImagingError as error:
        sys.stderr.write(f"ir-nav: {error}\n")
        return NOTHING_READABLE
    for patient in patients(index):
        _show(patient)
    lines = Console(soft_wrap=True)
    others = object_words(index)
    if others:
        lines.print(f"Also there: {escape(others)}")
    for words in file_words(index):
        lines.print(f"✕ {escape(words)}")
    lines.print(RESEARCH_LABEL)
    if index.readable:
        return 0
    sys.stderr.write(f"ir-nav: {_why_nothing(index)}\n")
    return NOTHING_READABLE


def _why_nothing(index: SeriesIndex) -> str:
    if index.series:
        return f"nothing here can be opened: {index.series[0].refusal}"
    return next(iter(file_words(index)), "") or f"only {object_words(index)}, no images"


def _show_file(path: Path) -> None:
    """A NIfTI, NRRD or MetaImage file: one volume, read whole to know that it can be."""
    volume = read_volume(path)
    size = " × ".join(map(str, volume.size_ijk))
    spacing = " × ".join(f"{step:.2f}" for step in volume.spacing_mm)
    show(f"Image: {path.name}", [("Size", f"{size} voxels"), ("Spacing", f"{spacing} mm")])


def _show(patient: Patient) -> None:
    for study in patient.studies:
        if study.series:
            _show_study(patient, study)


def _show_study(patient: Patient, study: Study) -> None:
    facts = study.facts
    who = f"Patient {patient.patient_id or 'without ID'}"
    title = " · ".join(part for part in (who, facts.study_date, facts.study_description) if part)
    table = Table(title=escape(title))
    table.add_column("No.", justify="right")
    table.add_column("Modality")
    table.add_column("Series")
    table.add_column("Size")
    table.add_column("Spacing")
    table.add_column("")
    for summary in study.series:
        table.add_row(*(escape(cell) for cell in _row(summary)))
    Console().print(table)
    # On lines of their own: a table would break them to its width.
    lines = Console(soft_wrap=True)
    for summary in study.series:
        for problem in summary.problems:
            words = f"{_SIGNS[problem.severity]} {summary.title}: {problem.text}"
            lines.print(escape(words), highlight=False)


def _row(summary: SeriesSummary) -> tuple[str, ...]:
    number = summary.facts.series_number
    side = side_words(summary)
    signs = dict.fromkeys(_SIGNS[problem.severity] for problem in summary.problems)
    return (
        "" if number is None else str(number),
        modality_words(summary),
        f"{summary.title} ({side})" if side else summary.title,
        size_words(summary),
        spacing_words(summary),
        " ".join(signs) or "✓",
    )
