"""`ir-nav register fluoro`: the CT to C-arm frames of known geometry."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import Progress

from ir_nav.commands.arguments import point_mm, seed, target_within
from ir_nav.commands.outcome import Row
from ir_nav.commands.registration_outcome import finish_registration
from ir_nav.geometry import rigid_inverse
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.registration_file import read_start

if TYPE_CHECKING:
    from ir_nav.registration.fluoro.outcome import FluoroRegistration
    from ir_nav.registration.fluoro.view import FluoroFrame

Commands = argparse._SubParsersAction


def add_fluoro(kinds: Commands[argparse.ArgumentParser]) -> None:
    command = kinds.add_parser("fluoro", help="one or several C-arm frames")
    add = command.add_argument
    add("--ct", type=Path, required=True, metavar="CT", help="DICOM folder or zip, NIfTI, MHA")
    add("--frame", type=Path, action="append", required=True, metavar="F.mha", help="2D, any type")
    add("--geometry", type=Path, action="append", required=True, metavar="G.json")
    add("--init", type=Path, required=True, metavar="INIT.json", help="where to begin")
    add("--target", type=point_mm, metavar="X,Y,Z", help="where the error is stated, LPS mm")
    add("--start-error", type=_start_error, metavar="MM,DEG", help="how far off it may be; 80,40")
    add("--breathing", default="", metavar="WORDS", help="the frames' phase, for the record")
    add("--seed", type=seed, default=0, help="of the search; %(default)s")
    add("--out", type=Path, required=True, metavar="R.json")
    command.set_defaults(run=_fluoro)


def _fluoro(options: argparse.Namespace) -> int:
    from ir_nav.imaging import read_volume
    from ir_nav.registration.fluoro.registration import (
        Spread,
        fluoro_attenuations,
        register_fluoro,
    )

    frames = _frames(options.frame, options.geometry)
    start = rigid_inverse(read_start(options.init))
    ct = read_volume(options.ct)
    if options.target is not None:
        target_within(ct, options.target)
    attenuations = fluoro_attenuations(ct)
    spread = Spread() if options.start_error is None else Spread.within(*options.start_error)
    with Progress(transient=True) as bar:
        task = bar.add_task("Search", total=1.0)
        found = register_fluoro(
            frames,
            attenuations,
            start,
            options.target,
            created_s=time.time(),
            breathing=options.breathing,
            spread=spread,
            progress=lambda part: bar.update(task, completed=part),
            seed=options.seed,
        )
    title = f"Fluoro registration: {len(frames)} view{'s' if len(frames) > 1 else ''}"
    return finish_registration(
        title, found.registration, _rows(found), options.out, depth_keys(found)
    )


def depth_keys(found: FluoroRegistration) -> dict[str, object]:
    """Half the 95 % interval of the target's place along the first frame's ray, mm, and whether a
    second view is asked for because of it."""
    return {
        "depth_95_mm": found.depth_95_mm,
        "second_view_wanted": bool(found.second_view_wanted),
    }


def _frames(images: list[Path], geometries: list[Path]) -> list[FluoroFrame]:
    from ir_nav.registration.carm_calibration.files import read_picture
    from ir_nav.registration.fluoro.view import FluoroFrame, read_view

    if len(images) != len(geometries):
        raise RegistrationError(
            f"{len(images)} frames but {len(geometries)} geometries: give one --geometry after "
            "each --frame"
        )
    return [
        FluoroFrame(read_view(geometry), read_picture(image))
        for image, geometry in zip(images, geometries, strict=True)
    ]


def _rows(found: FluoroRegistration) -> list[Row]:
    rows = [
        (f"Frame {number} agrees with the CT, 0 to 1", f"{value:.3f}")
        for number, value in enumerate(found.similarities, start=1)
    ]
    if found.runner_up is not None:
        rows.append(("The next best place", f"{found.runner_up:.3f}"))
    depth = f"± {found.depth_95_mm:.1f} mm (95 %)"
    if found.second_view_wanted:
        depth += ": take a second view"
    rows.append(("Target along the first frame's ray", depth))
    return rows


def _start_error(text: str) -> tuple[float, float]:
    try:
        mm, deg = (float(part) for part in text.split(","))
    except ValueError:
        mm = deg = 0.0
    if not (0.0 < mm <= 200.0 and 0.0 < deg <= 60.0):
        raise argparse.ArgumentTypeError("needs MM,DEG up to 200,60, such as 40,20")
    return mm, deg
