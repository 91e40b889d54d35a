"""`ir-nav register surface`: swiped points to the skin or the bone of a CT, or to a mesh."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import Progress

from ir_nav.commands.arguments import point_mm
from ir_nav.commands.outcome import Row
from ir_nav.commands.registration_outcome import finish_registration
from ir_nav.registration.point_files import read_points
from ir_nav.registration.registration_file import read_start

if TYPE_CHECKING:
    from ir_nav.registration.surface import SampledSurface, SurfaceRegistration

Commands = argparse._SubParsersAction


def add_surface(kinds: Commands[argparse.ArgumentParser]) -> None:
    command = kinds.add_parser("surface", help="points swiped over skin or bone")
    add = command.add_argument
    where = command.add_mutually_exclusive_group(required=True)
    where.add_argument("--ct", type=Path, metavar="CT", help="DICOM folder or zip, NIfTI, MHA")
    where.add_argument("--mesh", type=Path, metavar="FILE", help="STL, PLY, OBJ, VTK, VTP; LPS mm")
    add("--points", type=Path, required=True, metavar="FILE", help="in the reference: JSON, CSV")
    add("--what", choices=("skin", "bone"), default="skin", help="of the CT; %(default)s")
    add("--init", type=Path, metavar="INIT.json", help="where to begin; else everywhere")
    add("--target", type=point_mm, metavar="X,Y,Z", help="where the error is stated, LPS mm")
    add("--noise", type=_noise, metavar="MM", help="expected scatter of the points; 1.0")
    add("--out", type=Path, required=True, metavar="R.json")
    command.set_defaults(run=_surface)


def _surface(options: argparse.Namespace) -> int:
    from ir_nav.registration.surface import register_surface
    from ir_nav.registration.surface.surface_registration import NOISE_MM

    points = read_points(options.points)
    start = None if options.init is None else read_start(options.init)
    surface = _asked_for(options)
    with Progress(transient=True) as bar:
        task = bar.add_task("Search", total=1.0)
        found = register_surface(
            points.points,
            surface,
            time.time(),
            start=start,
            target_ct_mm=options.target,
            noise_mm=options.noise or NOISE_MM,
            progress=lambda part: bar.update(task, completed=part),
        )
    title = f"Surface registration: {surface.name}"
    return finish_registration(title, found.registration, _rows(found), options.out)


def _asked_for(options: argparse.Namespace) -> SampledSurface:
    from ir_nav.imaging import read_volume
    from ir_nav.registration.surface import Tissue, ct_surface, read_mesh, sample_surface

    if options.ct is not None:
        return ct_surface(read_volume(options.ct), Tissue(options.what))
    return sample_surface(read_mesh(options.mesh), "the mesh")


def _rows(found: SurfaceRegistration) -> list[Row]:
    count = int(found.kept.sum())
    rows = [
        ("Points that count", f"{count} of {len(found.kept)}"),
        ("Distance of those, rms", f"{found.registration.residual_rms_mm:.2f} mm"),
        ("Scatter, robust", f"{found.sigma_mm:.2f} mm"),
        ("Misfit here, 0 to 1", f"{found.cost:.3f}"),
        (
            "Misfit in the next best place",
            "none found" if found.next_cost is None else f"{found.next_cost:.3f}",
        ),
    ]
    if found.moved_mm is not None:
        rows.append(("Moved from the start, mean", f"{found.moved_mm:.1f} mm"))
    return rows


def _noise(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < 20.0:
        raise argparse.ArgumentTypeError("between 0 and 20 mm")
    return value
