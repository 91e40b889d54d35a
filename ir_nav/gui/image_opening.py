"""Opening what a radiologist brings: a file at once, a disc by way of its series."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PyQt6.QtWidgets import QWidget

from ir_nav.gui.desk import Desk
from ir_nav.gui.series_chooser import ask_series
from ir_nav.imaging import (
    ImagingError,
    LabelMap,
    SeriesIndex,
    SeriesSummary,
    Volume,
    index_series,
    read_indexed,
    read_structures,
)
from ir_nav.imaging.dicom_source import is_dicom_source
from ir_nav.imaging.labels import readable
from ir_nav.session.case import Case, read_case

Take = Callable[[Case], None]


def open_images(parent: QWidget, desk: Desk, path: Path, take: Take) -> None:
    """Read an image on the worker and give it to `take`; asks where there are several series."""
    if not path.exists() or not is_dicom_source(path):
        desk.worker.submit(
            f"Reading {path.name}", lambda progress: read_case(path, progress=progress), take
        )
        return

    def listed(index: SeriesIndex) -> None:
        _choose(parent, desk, index, take)

    desk.worker.submit(
        f"Listing {path.name}", lambda progress: index_series(path, progress), listed
    )


def candidates(index: SeriesIndex) -> tuple[SeriesSummary, ...]:
    """What the user may mean; a DICOM file means its own series."""
    name = index.path.name
    if index.path.is_file():
        own = {
            one.facts.series_uid
            for one in index.series
            if any(image.name == name for image in one.images)
        }
        if own:
            return tuple(one for one in index.series if one.facts.series_uid in own)
    return index.readable or index.series


def _choose(parent: QWidget, desk: Desk, index: SeriesIndex, take: Take) -> None:
    found = candidates(index)
    if not found:
        raise ImagingError(_nothing(index))
    if len(found) == 1:
        _read(desk, index, found[0], take)
        return
    ask_series(parent, index, lambda summary: _read(desk, index, summary, take))


def _nothing(index: SeriesIndex) -> str:
    if index.unread:
        return index.unread[0][1]
    return f"{index.path.name} holds no images, only other DICOM objects: choose the CT series"


def _read(desk: Desk, index: SeriesIndex, summary: SeriesSummary, take: Take) -> None:
    desk.worker.submit(
        f"Reading {summary.title}",
        lambda progress: Case(read_indexed(index, summary, progress)),
        take,
    )


def notes_of(volume: Volume) -> str:
    """What reading changed or left out, one line each; '' when nothing."""
    return "\n".join(f"{note[:1].upper()}{note[1:]}" for note in volume.description.notes)


@dataclass(frozen=True, slots=True, eq=False)
class ShownLabels:
    """Structures as one label per voxel, and what that or the reading changed, in words."""

    labels: LabelMap
    notes: tuple[str, ...]


def read_shown_labels(path: Path, volume: Volume) -> ShownLabels:
    """Read structures of any kind for a volume; overlaps are named. For the worker."""
    structures = read_structures(path, volume)
    pairs = structures.overlaps()
    notes = list(structures.notes)
    if pairs:
        first, second, _ = pairs[0]
        more = f", and {len(pairs) - 1} more pair(s)" if len(pairs) > 1 else ""
        notes.append(
            f"{readable(first)} and {readable(second).lower()} overlap{more}: "
            "where they do, the smaller one is used"
        )
    return ShownLabels(structures.label_map(), tuple(notes))
