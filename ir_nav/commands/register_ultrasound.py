"""`ir-nav register ultrasound`: the CT to a tracked ultrasound sweep."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict
from rich.progress import Progress

from ir_nav.commands.arguments import point_mm, target_within
from ir_nav.commands.outcome import Row
from ir_nav.commands.registration_outcome import finish_registration
from ir_nav.commands.sweep_breathing import Breath, breath_levels
from ir_nav.geometry import FloatArray
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.registration_file import (
    Matrix,
    image_matrix,
    parsed,
    read_start,
)

if TYPE_CHECKING:
    from ir_nav.imaging import Volume
    from ir_nav.registration import Registration
    from ir_nav.registration.ultrasound.fan import Fan
    from ir_nav.registration.ultrasound.sweep import TrackedSweep

Commands = argparse._SubParsersAction
Heard = Callable[[float], None]
Outcome = tuple["Registration", list[Row]]
ORGAN = "liver"


class _ProbeFile(BaseModel):
    """What is needed of a file that `ir-nav calibrate probe` wrote; other keys are let be."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    format: Literal[1]
    accepted: bool = True
    reason: str | None = None
    probe_from_image: Matrix | None


def add_ultrasound(kinds: Commands[argparse.ArgumentParser]) -> None:
    command = kinds.add_parser("ultrasound", help="the CT to a tracked ultrasound sweep")
    add = command.add_argument
    add("--ct", type=Path, required=True, metavar="CT")
    add("--labels", type=Path, metavar="L", help="label map; its liver's middle is the target")
    add("--names", type=Path, metavar="CSV", help="names of the labels")
    add("--sweep", type=Path, required=True, metavar="S.igs.mha", help="tracked images")
    add("--probe", default="Probe", metavar="NAME")
    add("--reference", default="Reference", metavar="NAME")
    add("--calibration", type=Path, required=True, metavar="C.json", help="probe_from_image")
    add("--init", type=Path, required=True, metavar="INIT.json", help="within 20 mm")
    add("--target", type=point_mm, metavar="X,Y,Z", help="where it must fit best, LPS mm")
    add("--by", choices=tuple(BY), default="image", help="the whole image, or bone; %(default)s")
    breaths = tuple(str(one) for one in Breath)
    add("--breathing", choices=breaths, default="unknown", help="the CT's breath; %(default)s")
    add("--out", type=Path, required=True, metavar="R.json")
    command.set_defaults(run=_ultrasound)


def _ultrasound(options: argparse.Namespace) -> int:
    from ir_nav.imaging import read_volume
    from ir_nav.registration.ultrasound.fan import mm_per_px_of
    from ir_nav.registration.ultrasound.fan_finding import find_fan

    start = read_start(options.init)
    sweep = _sweep(options)
    fan = find_fan(list(sweep.images), mm_per_px_of(sweep.reference_from_image[0]))
    ct = read_volume(options.ct)
    target = _target(options, ct)
    with Progress(transient=True) as bar:
        task = bar.add_task("Search", total=1.0)
        found, rows = BY[options.by](
            sweep, ct, fan, start, target, lambda part: bar.update(task, completed=part)
        )
    title = f"CT to ultrasound, by {options.by}: {options.sweep.name}"
    return finish_registration(title, found, rows, options.out)


def _by_image(
    sweep: TrackedSweep,
    ct: Volume,
    fan: Fan,
    start: FloatArray,
    target: FloatArray | None,
    progress: Heard,
) -> Outcome:
    from ir_nav.registration.ultrasound.register_sweep import register_ultrasound
    from ir_nav.registration.ultrasound.similarity import prepare_ct

    found = register_ultrasound(
        sweep, prepare_ct(ct), fan, start, time.time(), target_ct_mm=target, progress=progress
    )
    return found.registration, [
        ("Frames used", f"{len(found.frames)} of {len(sweep.images)}"),
        ("Similarity", f"{found.similarity:.3f}"),
        ("Best other place", f"{found.rival:.3f}" if found.rival else "none found"),
        ("Fit round the target from whole sweep", f"{found.local_shift_mm:.1f} mm"),
    ]


def _by_bone(
    sweep: TrackedSweep,
    ct: Volume,
    fan: Fan,
    start: FloatArray,
    target: FloatArray | None,
    progress: Heard,
) -> Outcome:
    from ir_nav.registration.ultrasound.bone_alignment import register_bone

    found = register_bone(
        sweep, ct, fan, start, time.time(), target_ct_mm=target, progress=progress
    )
    other = found.next_cost
    return found.registration, [
        ("Frames with bone", f"{len(found.frames)} of {len(sweep.images)}"),
        ("Points of bone that count", f"{found.kept} of {found.points}"),
        ("Within 4 mm of the CT's bone", f"{found.near:.0%}"),
        ("Scatter, robust", f"{found.sigma_mm:.2f} mm"),
        ("Misfit here, 0 to 1", f"{found.cost:.3f}"),
        ("Misfit in the next best place", "none found" if other is None else f"{other:.3f}"),
    ]


BY: dict[str, Callable[..., Outcome]] = {"image": _by_image, "bone": _by_bone}


def _sweep(options: argparse.Namespace) -> TrackedSweep:
    from devices.recordings import read_recording
    from ir_nav.registration.ultrasound.sweep import TrackedSweep
    from ir_nav.tracking.recorded_track import recorded_track

    probe_from_image = _probe_from_image(options.calibration)
    recording = read_recording(options.sweep)
    track = recorded_track(recording, options.probe, options.reference)
    level = breath_levels(Breath(options.breathing), recording, options.reference)
    known = track.seen if level is None else track.seen & np.isfinite(level)
    used = [n for n in np.flatnonzero(known) if recording.frames[n].pixels is not None]
    if not used:
        raise RegistrationError(
            f"{options.sweep.name}: no image has both {options.probe} and {options.reference} in "
            "view: check the names, or sweep again"
        )
    images = [np.asarray(recording.frames[n].pixels) for n in used]
    if images[0].ndim != 2 or images[0].dtype != np.uint8:
        raise RegistrationError(f"{options.sweep.name}: its images are not grey, 8 bit")
    return TrackedSweep(
        np.stack(images).astype(np.uint8),
        track.poses[used] @ probe_from_image,
        None if level is None else level[used],
    )


def _probe_from_image(path: Path) -> FloatArray:
    """(4, 4) of a calibration that was accepted; RegistrationError otherwise."""
    file = parsed(path, _ProbeFile)
    if not file.accepted or file.probe_from_image is None:
        why = " ".join((file.reason or "it does not say why").split())
        raise RegistrationError(f"{path}: this calibration was refused ({why}): calibrate again")
    return image_matrix(path, "probe_from_image", file.probe_from_image)


def _target(options: argparse.Namespace, ct: Volume) -> FloatArray | None:
    """What was asked for, else the middle of the liver where there are labels."""
    if options.target is not None:
        return target_within(ct, options.target)
    if options.labels is None:
        return None
    from ir_nav.geometry import apply
    from ir_nav.imaging import read_labels

    labels = read_labels(options.labels, options.names, like=ct)
    where = np.argwhere(labels.mask(ORGAN))
    if not len(where):
        raise RegistrationError(f"{options.labels}: its {ORGAN} is empty: give --target")
    return apply(labels.ct_from_voxel, where.mean(axis=0)[::-1])
