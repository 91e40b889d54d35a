"""`ir-nav segment`: structures of a CT, found automatically or grown from a point."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rich.progress import Progress, TaskID

from ir_nav.commands.arguments import Point, point_mm
from ir_nav.commands.outcome import show
from ir_nav.imaging import ImagingError, Volume, read_volume
from ir_nav.imaging.segmentation import (
    Ending,
    Origin,
    Segment,
    Segmentation,
    automatic_structures,
    grow_lesion,
    run_total_segmentator,
    vessels,
    write_segments,
)
from ir_nav.imaging.structures import Structure

LESION_COLOUR, VESSEL_COLOUR = "#56b4e9", "#b56f6f"


def add_segment(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("segment", help="structures of a CT, as a label map with names")
    add = command.add_argument
    add("ct", type=Path, metavar="CT", help="DICOM folder or zip, NIfTI, NRRD, MHA")
    add("--out", type=Path, required=True, metavar="LABELS.nii.gz")
    add("--no-automatic", action="store_true", help="without skin, bone, lung, trachea, bowel gas")
    add("--lesion", type=point_mm, metavar="X,Y,Z", help="a point in the lesion, LPS mm")
    add("--radius", type=float, default=15.0, metavar="MM", help="of the lesion; %(default)s")
    add("--vessels", type=point_mm, metavar="X,Y,Z", help="a point in a vessel, LPS mm")
    add("--threshold", type=float, metavar="HU", help="of the vessels; by default from the image")
    add("--total", action="store_true", help="also run an installed TotalSegmentator")
    command.set_defaults(run=_segment)


def _segment(options: argparse.Namespace) -> int:
    volume = read_volume(options.ct)
    k, j, i = volume.voxels.shape
    found = Segmentation((k, j, i), volume.ct_from_voxel)
    with Progress(transient=True) as bar:
        if not options.no_automatic:
            task = bar.add_task("Skin, bone, lung, gas", total=1.0)
            found = _with(found, automatic_structures(volume, _report(bar, task)))
        if options.total:
            task = bar.add_task("TotalSegmentator", total=1.0)
            found = _with(found, run_total_segmentator(volume, _report(bar, task)).segments)
    notes: list[tuple[str, str]] = []
    if options.lesion is not None:
        found = _with(found, (_lesion(volume, options.lesion, options.radius),))
    if options.vessels is not None:
        segment, note = _vessels(volume, options.vessels, options.threshold)
        found = _with(found, (segment,))
        notes.append(("Vessels", note))
    if not found.segments:
        raise ImagingError("nothing was asked for: leave out --no-automatic, or name a point")
    write_segments(options.out, found)
    rows = [(item.display_name, f"{found.volume_ml(item):.1f} ml") for item in found.segments]
    show(f"Structures of {options.ct.name}", [*rows, *notes], options.out)
    return 0


def _with(found: Segmentation, new: tuple[Segment, ...]) -> Segmentation:
    """Added under free numbers and names."""
    for segment in new:
        structure = replace(
            segment.structure, number=found.free_number(), name=found.free_name(segment.name)
        )
        added = replace(segment, structure=structure)
        found = replace(found, segments=(*found.segments, added))
    return found


def _lesion(volume: Volume, point_ct_mm: Point, radius_mm: float) -> Segment:
    grown = grow_lesion(volume, point_ct_mm, radius_mm)
    structure = Structure(1, "lesion", grown.part, grown.corner_kji)
    return Segment(structure, LESION_COLOUR, Origin.DRAWN)


def _vessels(volume: Volume, point_ct_mm: Point, threshold_hu: float | None) -> tuple[Segment, str]:
    grown = vessels(volume, point_ct_mm, threshold_hu)
    structure = Structure(1, "vessel", grown.part, grown.corner_kji)
    note = f"{grown.low_hu:.0f} to {grown.high_hu:.0f} HU"
    if grown.ending is Ending.TOO_LARGE:
        note += ", stopped at the size limit: it has run into what touches; raise --threshold"
    return Segment(structure, VESSEL_COLOUR, Origin.DRAWN), note


def _report(bar: Progress, task: TaskID) -> Callable[[float], None]:
    return lambda fraction: bar.update(task, completed=fraction)
