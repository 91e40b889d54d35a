"""`ir-nav register ultrasound`: the CT to a tracked ultrasound sweep."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict
from rich.progress import Progress

from ir_nav.commands.arguments import point_mm
from ir_nav.commands.outcome import Row
from ir_nav.commands.registration_outcome import finish_registration
from ir_nav.geometry import FloatArray
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.registration_file import Matrix, parsed, read_start

if TYPE_CHECKING:
    from ir_nav.imaging import Volume
    from ir_nav.registration.ultrasound.sweep import TrackedSweep

Commands = argparse._SubParsersAction
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
    add("--out", type=Path, required=True, metavar="R.json")
    command.set_defaults(run=_ultrasound)


def _ultrasound(options: argparse.Namespace) -> int:
    from ir_nav.imaging import read_volume
    from ir_nav.registration.ultrasound.fan import mm_per_px_of
    from ir_nav.registration.ultrasound.fan_finding import find_fan
    from ir_nav.registration.ultrasound.register_sweep import register_ultrasound
    from ir_nav.registration.ultrasound.similarity import prepare_ct

    start = read_start(options.init)
    sweep = _sweep(options)
    fan = find_fan(list(sweep.images), mm_per_px_of(sweep.reference_from_image[0]))
    ct = read_volume(options.ct)
    target = _target(options, ct)
    with Progress(transient=True) as bar:
        task = bar.add_task("Search", total=1.0)
        found = register_ultrasound(
            sweep,
            prepare_ct(ct),
            fan,
            start,
            time.time(),
            target_ct_mm=target,
            progress=lambda part: bar.update(task, completed=part),
        )
    rows: list[Row] = [
        ("Frames used", f"{len(found.frames)} of {len(sweep.images)}"),
        ("Similarity", f"{found.similarity:.3f}"),
        ("Best other place", f"{found.rival:.3f}" if found.rival else "none found"),
        ("Fit round the target from whole sweep", f"{found.local_shift_mm:.1f} mm"),
    ]
    title = f"CT to ultrasound: {options.sweep.name}"
    return finish_registration(title, found.registration, rows, options.out)


def _sweep(options: argparse.Namespace) -> TrackedSweep:
    from devices.recordings import read_recording
    from ir_nav.registration.ultrasound.sweep import TrackedSweep
    from ir_nav.tracking.recorded_track import recorded_track

    probe_from_image = _probe_from_image(options.calibration)
    recording = read_recording(options.sweep)
    track = recorded_track(recording, options.probe, options.reference)
    seen = [
        (frame.pixels, pose)
        for frame, pose, known in zip(recording.frames, track.poses, track.seen, strict=True)
        if known and frame.pixels is not None
    ]
    if not seen:
        raise RegistrationError(
            f"{options.sweep.name}: no image has both {options.probe} and {options.reference} in "
            "view: check the names, or sweep again"
        )
    images = [pixels for pixels, _ in seen]
    if images[0].ndim != 2 or images[0].dtype != np.uint8:
        raise RegistrationError(f"{options.sweep.name}: its images are not grey, 8 bit")
    poses = np.stack([pose for _, pose in seen]) @ probe_from_image
    return TrackedSweep(np.stack(images).astype(np.uint8), poses)


def _probe_from_image(path: Path) -> FloatArray:
    """(4, 4) of a calibration that was accepted; RegistrationError otherwise."""
    file = parsed(path, _ProbeFile)
    if not file.accepted or file.probe_from_image is None:
        raise RegistrationError(f"{path}: this calibration was refused ({file.reason})")
    return np.array(file.probe_from_image)


def _target(options: argparse.Namespace, ct: Volume) -> FloatArray | None:
    """What was asked for, else the middle of the liver where there are labels."""
    if options.target is not None:
        return np.array(options.target)
    if options.labels is None:
        return None
    from ir_nav.geometry import apply
    from ir_nav.imaging import read_labels

    labels = read_labels(options.labels, options.names, like=ct)
    where = np.argwhere(labels.mask(ORGAN))
    return apply(labels.ct_from_voxel, where.mean(axis=0)[::-1])
