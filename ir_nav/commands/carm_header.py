"""`ir-nav carm header`: a C-arm's geometry from the headers of one frame, or of a whole run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ir_nav.commands.outcome import ACCEPTED, Row, show
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.fluoro.view import CArmView

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from ir_nav.registration.carm_calibration import HeaderView

Commands = argparse._SubParsersAction


def add_header(kinds: Commands[argparse.ArgumentParser]) -> None:
    parser = kinds.add_parser(
        "header",
        help="geometry from a DICOM header (XA, RF, Enhanced XA, X-Ray 3D Angiographic)",
        description="One frame, or with --each every frame of a run: frame-0001.json and "
        "frame-0001.mha and so on.",
    )
    add = parser.add_argument
    add("image", type=Path, metavar="F.dcm")
    add("--number", type=int, default=1, help="which frame, or the first, from 1 (%(default)s)")
    add("--picture", type=Path, metavar="F.mha", help="write the frame to match")
    add("--step", type=int, default=1, help="with --each: every n-th frame (%(default)s)")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--out", type=Path, metavar="G.json", help="geometry to write")
    where.add_argument("--each", type=Path, metavar="FOLDER", help="write all frames of the run")
    parser.set_defaults(run=_header)


def _header(options: argparse.Namespace) -> int:
    from ir_nav.registration.carm_calibration import read_header

    dataset = read_header(options.image)
    return _one(options, dataset) if options.each is None else _each(options, dataset)


def _one(options: argparse.Namespace, dataset: Dataset) -> int:
    from ir_nav.registration.carm_calibration import (
        frame_pixels,
        header_view,
        write_picture,
        write_view,
    )

    found = header_view(dataset, options.number - 1)
    if options.picture is not None:
        write_picture(options.picture, frame_pixels(dataset, found, options.number - 1))
    write_view(options.out, found.view)
    notes = _notes(found)
    if found.mirrored and options.picture is None:
        notes.append(("To do", "mirror the frame left to right, or write it with --picture"))
    rows = [
        *geometry_rows(found.view),
        ("Primary angle (LAO +)", f"{found.primary_deg:+.1f}°"),
        ("Secondary angle (CRAN +)", f"{found.secondary_deg:+.1f}°"),
        *notes,
    ]
    show("C-arm geometry from the header", rows, options.out)
    return ACCEPTED


def _each(options: argparse.Namespace, dataset: Dataset) -> int:
    from ir_nav.registration.carm_calibration import (
        frame_count,
        frame_pixels,
        header_view,
        is_volume,
        write_picture,
        write_view,
    )

    if options.picture is not None:
        raise RegistrationError("--picture is for one frame: --each writes the pictures too")
    count = frame_count(dataset)
    if options.step < 1 or not 1 <= options.number <= count:
        raise RegistrationError(f"--step from 1, --number from 1 to {count}: the file's frames")
    # All are read before any is written: a run is whole or not there.
    found: dict[int, HeaderView] = {}
    for frame in range(options.number - 1, count, options.step):
        try:
            found[frame] = header_view(dataset, frame)
        except RegistrationError as error:
            raise RegistrationError(f"frame {frame + 1}: {error}") from None
    for frame, one in found.items():
        name = options.each / f"frame-{frame + 1:04d}"
        if not is_volume(dataset):
            write_picture(name.with_suffix(".mha"), frame_pixels(dataset, one, frame))
        write_view(name.with_suffix(".json"), one.view)
    first, last = (found[n] for n in (min(found), max(found)))
    rows = [
        ("Frames", f"{len(found)} of {count}"),
        *geometry_rows(first.view),
        ("Primary angle (LAO +)", f"{first.primary_deg:+.1f}° to {last.primary_deg:+.1f}°"),
        ("Secondary angle (CRAN +)", f"{first.secondary_deg:+.1f}° to {last.secondary_deg:+.1f}°"),
        *_notes(first),
    ]
    if is_volume(dataset):
        rows.append(("Pictures", "none: the file holds the volume that was made from them"))
    show("C-arm geometry of a run", rows, options.each)
    return ACCEPTED


def _notes(found: HeaderView) -> list[Row]:
    return [("Assumed", note) for note in found.notes]


def geometry_rows(view: CArmView) -> list[Row]:
    """How it projects, for a table."""
    u, v = view.geometry.principal_px
    return [
        ("Source to detector", f"{view.geometry.sid_mm:.1f} mm"),
        ("Principal point", f"{u:.1f}, {v:.1f} px"),
        ("Source to world's origin, along the beam", f"{view.carm_from_world[2, 3]:.1f} mm"),
    ]
