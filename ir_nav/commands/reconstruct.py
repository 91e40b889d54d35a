"""`ir-nav reconstruct`: a volume from a recorded freehand sweep."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, Field, FiniteFloat, ValidationError

from ir_nav.commands.outcome import show
from ir_nav.geometry import FloatArray
from ir_nav.small_file import first_fault
from ir_nav.tracking.calibration.result import CalibrationError

Row = tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat]
Clip = tuple[int, int, int, int]


class _ProbeFile(BaseModel):
    """What is needed of a file that `ir-nav calibrate probe` wrote."""

    format: Literal[1]
    accepted: bool
    reason: str | None = None
    probe_from_image: Annotated[list[Row], Field(min_length=4, max_length=4)] | None


def add_reconstruct(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("reconstruct", help="a volume from a freehand ultrasound sweep")
    add = command.add_argument
    add("sweep", type=Path, metavar="SWEEP", help="tracked images (.igs.mha)")
    source = command.add_mutually_exclusive_group(required=True)
    source.add_argument("--config", type=Path, metavar="PLUS.xml", help="Plus device set")
    source.add_argument("--calibration", type=Path, metavar="C.json", help="probe calibration")
    add("--spacing", type=float, default=0.5, metavar="MM", help="edge of a voxel")
    add("--clip", type=_clip, metavar="U,V,W,H", help="part of the image to use, px")
    add("--keep-holes", action="store_true", help="leave voxels empty that no pixel fell into")
    add("--probe", default="Probe", metavar="NAME")
    add("--reference", default="Reference", metavar="NAME", help="frame of the volume")
    add("--mask", type=Path, metavar="FILE", help="also write where the volume is filled")
    add("--out", type=Path, required=True, metavar="VOLUME", help=".nrrd, .mha or .nii.gz")
    command.set_defaults(run=_reconstruct)


def _reconstruct(options: argparse.Namespace) -> int:
    from devices.recordings import read_recording
    from ir_nav.imaging.reconstruction import ClipRectangle, reconstruct, write_reconstruction
    from ir_nav.tracking.recorded_track import recorded_track

    probe_from_image, clip = _calibration(options)
    recording = read_recording(options.sweep)
    track = recorded_track(recording, options.probe, options.reference)
    used = [i for i, frame in enumerate(recording.frames) if frame.pixels is not None]
    used = [i for i in used if track.seen[i]]
    volume = reconstruct(
        [pixels for i in used if (pixels := recording.frames[i].pixels) is not None],
        track.poses[used] @ probe_from_image,
        options.spacing,
        clip=None if clip is None else ClipRectangle(*clip),
        fill_holes=not options.keep_holes,
    )
    write_reconstruction(volume, options.out, mask=options.mask)
    size = " x ".join(map(str, volume.voxels.shape[::-1]))
    rows = [
        ("Images used", f"{len(used)} of {len(recording.frames)}"),
        ("Volume", f"{size} voxels of {volume.spacing_mm:g} mm"),
        ("Seen by a pixel", f"{volume.seen_share:.1%} of the voxels"),
        ("Filled", f"{volume.filled.mean():.1%} of the voxels"),
    ]
    show(f"Reconstruction: {options.sweep.name}", rows, options.out)
    return 0


def _calibration(options: argparse.Namespace) -> tuple[FloatArray, Clip | None]:
    """probe_from_image (4, 4) and the clip rectangle."""
    if options.calibration is not None:
        return _from_json(options.calibration), options.clip
    from ir_nav.tracking.plus_device_set import read_device_set

    device_set = read_device_set(options.config)
    try:
        matrix = device_set.transform("Image", options.probe)
    except CalibrationError as error:
        raise CalibrationError(f"{options.config}: {error}") from None
    return matrix, options.clip or device_set.clip_px


def _from_json(path: Path) -> FloatArray:
    try:
        file = _ProbeFile.model_validate_json(path.read_bytes())
    except OSError as error:
        raise CalibrationError(f"{path}: cannot be read ({error.strerror})") from None
    except ValidationError as error:
        raise CalibrationError(f"{path}: {first_fault(error)}") from None
    if not file.accepted or file.probe_from_image is None:
        raise CalibrationError(f"{path}: this calibration was refused ({file.reason})")
    return np.array(file.probe_from_image)


def _clip(text: str) -> Clip:
    try:
        u, v, columns, rows = (int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError("needs four whole numbers in px: U,V,W,H") from None
    return u, v, columns, rows
