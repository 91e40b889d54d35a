"""Structures found, read and written on the worker."""

from __future__ import annotations

from pathlib import Path

from ir_nav.gui.desk import Desk
from ir_nav.gui.notice import Mood
from ir_nav.gui.structure_desk import StructureDesk
from ir_nav.gui.structure_look import toned
from ir_nav.imaging import Volume, read_structures
from ir_nav.imaging.segmentation import (
    Segment,
    Segmentation,
    automatic_structures,
    has_segments,
    read_segments,
    run_total_segmentator,
    segmentation_of,
    total_segmentator_path,
    write_segments,
)
from ir_nav.imaging.segmentation.segments import SKIN
from ir_nav.progress import Progress


class StructureJobs:
    """What is found or read goes to the list of structures; the banner says how it went."""

    def __init__(self, desk: Desk, structures: StructureDesk) -> None:
        self._desk, self._structures = desk, structures

    def find_automatically(self) -> None:
        """Skin, bone, lungs, trachea and bowel gas, on the worker."""
        volume = self._ready()
        if volume is None:
            return

        def work(progress: Progress) -> tuple[Volume, tuple[Segment, ...]]:
            return volume, automatic_structures(volume, progress)

        self._desk.worker.submit("Finding skin, bone, lung and gas", work, self._take_automatic)

    def run_total(self) -> None:
        """An installed TotalSegmentator, on the worker."""
        volume = self._ready()
        if volume is None:
            return
        if total_segmentator_path() is None:
            self._desk.banner.say(
                "TotalSegmentator is not installed on this computer: the other tools do without it",
                Mood.REFUSED,
            )
            return

        def work(progress: Progress) -> tuple[Volume, Segmentation]:
            return volume, run_total_segmentator(volume, progress)

        self._desk.worker.submit("TotalSegmentator", work, self._take_import)

    def open_file(self, path: Path) -> None:
        """Import a label map, a DICOM SEG or an RT structure set, or open saved structures."""
        volume = self._ready()
        if volume is None:
            return

        def work(_: Progress) -> tuple[Volume, Segmentation]:
            if has_segments(path):
                return volume, read_segments(path, volume)
            return volume, toned(segmentation_of(read_structures(path, volume)))

        self._desk.worker.submit(f"Reading {path.name}", work, self._take_import)

    def save_file(self, path: Path) -> None:
        """Write every structure as label map and names table, on the worker."""
        history = self._structures.history
        if history is None or not history.now.segments:
            self._desk.banner.say("There is no structure to save", Mood.REFUSED)
            return
        now = history.now

        def said(files: tuple[Path, ...]) -> None:
            self._desk.banner.say(f"Saved {path.name} and {files[-1].name}", Mood.DONE)

        self._desk.worker.submit(f"Saving {path.name}", lambda _: write_segments(path, now), said)

    def _take_automatic(self, found: tuple[Volume, tuple[Segment, ...]]) -> None:
        volume, segments = found
        if volume is not self._structures.volume:
            return
        self._structures.put_new("Find automatically", segments, instead=True)
        history = self._structures.history
        skin = None if history is None else history.now.named(SKIN)
        if skin is not None:
            self._structures.show_segment(skin.number, False)
        names = ", ".join(item.display_name.lower() for item in segments)
        self._desk.banner.say(f"Found {names}. Check them: they are estimates", Mood.DONE)

    def _take_import(self, found: tuple[Volume, Segmentation]) -> None:
        volume, segmentation = found
        if volume is not self._structures.volume:
            return
        self._structures.put_new("Import", segmentation.segments, instead=True)
        count = len(segmentation.segments)
        self._desk.banner.say(f"Imported {count} structures", Mood.DONE)

    def _ready(self) -> Volume | None:
        volume = self._structures.volume
        if volume is None:
            self._desk.banner.say("Open a CT first", Mood.REFUSED)
        return volume
