"""`ir-nav calibrate`: a tool's tip, a phantom's place, a probe's image, a tracker's delay."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ir_nav.commands.outcome import error_rows, finish
from ir_nav.geometry import FloatArray
from ir_nav.tracking.calibration.calibration_file import CalibrationKind, stamped
from ir_nav.tracking.calibration.result import CalibrationError

if TYPE_CHECKING:
    from ir_nav.tracking.calibration.phantom import Phantom

Commands = argparse._SubParsersAction
_CORNERS = {
    "top-left": "TOP_LEFT",
    "top-right": "TOP_RIGHT",
    "bottom-left": "BOTTOM_LEFT",
    "bottom-right": "BOTTOM_RIGHT",
}


def add_calibrate(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "calibrate", help="calibrate a tool, a phantom, a probe or a delay"
    )
    kinds = parser.add_subparsers(required=True, metavar="WHAT")
    _add_pivot(kinds)
    _add_phantom(kinds)
    _add_probe(kinds)
    _add_delay(kinds)


def _add_pivot(kinds: Commands[argparse.ArgumentParser]) -> None:
    command = kinds.add_parser("pivot", help="where a tool's tip is, from pivoting about it")
    add = command.add_argument
    add("recording", type=Path, metavar="RECORDING", help="tracked sequence (.igs.mha)")
    add("--tool", required=True, metavar="NAME", help="such as Stylus, for StylusToTracker")
    add("--reference", default="Tracker", metavar="NAME", help="such as Reference, if it moved")
    add("--begin", type=float, default=0.0, metavar="S", help="seconds into the recording")
    add("--end", type=float, default=np.inf, metavar="S", help="seconds into the recording")
    add("--out", type=Path, required=True, metavar="FILE.json")
    command.set_defaults(run=_pivot)


def _add_phantom(kinds: Commands[argparse.ArgumentParser]) -> None:
    command = kinds.add_parser("phantom", help="where a phantom lies, its landmarks touched")
    add = command.add_argument
    add("recording", type=Path, metavar="RECORDING", help="poses of the stylus (.igs.mha)")
    add("--phantom", type=Path, required=True, metavar="FILE", help="JSON or Plus device set")
    add("--tool", default="Stylus", metavar="NAME")
    add("--reference", default="Reference", metavar="NAME", help="body fixed to the phantom")
    add("--tip", type=Path, required=True, metavar="FILE", help="pivot JSON or Plus device set")
    add("--out", type=Path, required=True, metavar="FILE.json")
    command.set_defaults(run=_phantom)


def _add_probe(kinds: Commands[argparse.ArgumentParser]) -> None:
    command = kinds.add_parser("probe", help="where the image is at the probe, from N-wires")
    add = command.add_argument
    add("calibration", type=Path, metavar="CALIBRATION", help="tracked images (.igs.mha)")
    add("validation", type=Path, metavar="VALIDATION", help="other tracked images of the phantom")
    add("--phantom", type=Path, required=True, metavar="FILE", help="JSON or Plus device set")
    add("--registration", type=Path, metavar="P.json", help="of `calibrate phantom`")
    add("--mm-per-px", type=float, help="nominal scale of the image, within 15 %%")
    add("--first-wire", choices=_CORNERS, help="its corner, if the phantom looks alike from behind")
    add("--square", action="store_true", help="keep the image's axes at right angles")
    add("--tool", default="Probe", metavar="NAME")
    add("--reference", default="Reference", metavar="NAME")
    add("--out", type=Path, required=True, metavar="FILE.json")
    command.set_defaults(run=_probe)


def _add_delay(kinds: Commands[argparse.ArgumentParser]) -> None:
    command = kinds.add_parser("delay", help="how far the tracker lags behind the images")
    add = command.add_argument
    add("video", type=Path, metavar="VIDEO", help="images of a water tank's bottom (.igs.mha)")
    add("tracker", type=Path, metavar="TRACKER", help="poses of the same time (.igs.mha)")
    add("--tool", default="Probe", metavar="NAME")
    add("--reference", default="Tracker", metavar="NAME")
    add("--out", type=Path, required=True, metavar="FILE.json")
    command.set_defaults(run=_delay)


def _pivot(options: argparse.Namespace) -> int:
    from devices.recordings import read_recording
    from ir_nav.tracking.calibration import calibrate_pivot
    from ir_nav.tracking.calibration.pivot_json import pivot_json
    from ir_nav.tracking.recorded_track import recorded_track

    track = recorded_track(read_recording(options.recording), options.tool, options.reference)
    since_s = track.times_s - track.times_s[0]
    wanted = (since_s >= options.begin) & (since_s <= options.end)
    used = np.flatnonzero(track.seen & wanted)
    pivot = calibrate_pivot(track.poses[used])
    found = pivot_json(pivot, used, tuple(one for one in track.unseen if wanted[one.index]))
    data = stamped(found, CalibrationKind.PIVOT, options.tool)
    rows = [
        ("Tip", _point(pivot.tip_mm) if pivot.accepted else "not known"),
        ("Tip, standard error", f"{pivot.tip_error_mm:.3f} mm" if pivot.accepted else "not known"),
        *error_rows("Residual", pivot.error_mm() if len(pivot.kept) else None, "mm"),
        ("Turned by", f"{pivot.span_deg:.0f}°"),
        ("Poses used", str(pivot.used)),
        ("Poses left out", str(len(data["rejected"]))),
    ]
    return finish(f"Pivot calibration: {options.tool}", rows, data, options.out)


def _phantom(options: argparse.Namespace) -> int:
    from devices.recordings import read_recording
    from ir_nav.tracking.calibration import find_dwells
    from ir_nav.tracking.calibration.landmark_recording import match_phantom
    from ir_nav.tracking.calibration.phantom import read_phantom
    from ir_nav.tracking.calibration.phantom_json import phantom_json
    from ir_nav.tracking.recorded_track import recorded_track

    phantom = read_phantom(options.phantom)
    names = phantom.landmark_names
    if not names:
        raise CalibrationError(f"{options.phantom}: names no landmarks, add them to the phantom")
    tip_mm = _tip_mm(options.tip, options.tool)
    track = recorded_track(read_recording(options.recording), options.tool, options.reference)
    dwells = find_dwells(track.times_s[track.seen], track.poses[track.seen], tip_mm)
    found = match_phantom(phantom.landmarks_mm, [dwell.point_mm for dwell in dwells])
    worst = int(np.argmax(found.residuals_mm))
    data = stamped(phantom_json(found, names), CalibrationKind.PHANTOM, options.reference)
    rows = [
        ("Phantom", phantom.name),
        ("Landmarks touched", f"{len(found.landmarks)} of {len(names)}"),
        *error_rows("Residual", found.error_mm, "mm"),
        (
            "Fits worst",
            f"{names[found.landmarks[worst]]}, {found.residuals_mm[worst]:.3f} mm",
        ),
        ("Origin in the reference", _point(found.reference_from_phantom[:3, 3])),
    ]
    return finish(f"Phantom registration: {options.reference}", rows, data, options.out)


def _tip_mm(path: Path, tool: str) -> FloatArray:
    """(3,) in the tool: out of a pivot's file, or a Plus device set."""
    from ir_nav.tracking.calibration.calibration_file import read_calibration
    from ir_nav.tracking.calibration.pivot import PivotCalibration
    from ir_nav.tracking.plus_device_set import read_device_set

    if path.suffix.lower() == ".xml":
        try:
            return read_device_set(path).transform(f"{tool}Tip", tool)[:3, 3]
        except CalibrationError as error:
            raise CalibrationError(f"{path}: {error}") from None
    file = read_calibration(path)
    if not isinstance(file.result, PivotCalibration):
        raise CalibrationError(f"{path}: a {file.kind} calibration; the tip's pivot is wanted")
    if file.tool is not None and file.tool.casefold() != tool.casefold():
        raise CalibrationError(f"{path}: made for {file.tool}, not for {tool}")
    return file.result.tip_mm


def _probe(options: argparse.Namespace) -> int:
    from devices.recordings import read_recording
    from ir_nav.tracking.calibration.nwire import calibrate_probe, validate_probe
    from ir_nav.tracking.calibration.nwire_segmentation import Corner, find_all_wires
    from ir_nav.tracking.calibration.phantom import read_phantom
    from ir_nav.tracking.calibration.probe_result import probe_calibration_json, validated
    from ir_nav.tracking.recorded_track import recorded_track

    phantom = read_phantom(options.phantom)
    if options.registration is not None:
        phantom = registered(phantom, options.registration)
    mm_per_px = options.mm_per_px or _nominal_scale(options.phantom)
    corner = None if options.first_wire is None else Corner[_CORNERS[options.first_wire]]
    seen = []
    for path in (options.calibration, options.validation):
        recording = read_recording(path)
        poses = recorded_track(recording, options.tool, options.reference).poses
        images = [None if f.pixels is None else _grey(f.pixels) for f in recording.frames]
        seen.append((poses, *find_all_wires(images, phantom, mm_per_px, first_wire=corner)))
    poses, wires_px, not_found = seen[0]
    result = calibrate_probe(
        wires_px, poses, phantom, not_found=not_found, orthogonal=options.square
    )
    if result.probe_from_image is not None:
        poses, wires_px, not_found = seen[1]
        judged = validate_probe(
            result.probe_from_image, wires_px, poses, phantom, not_found=not_found
        )
        result = validated(result, judged)
    scale = result.mm_per_px
    rows = [
        ("Method", str(result.method)),
        ("Scale", "not known" if scale is None else f"{scale[0]:.5f} x {scale[1]:.5f} mm/px"),
        *error_rows("3D error, calibration", result.calibration_error, "mm"),
        *error_rows("3D error, validation", result.validation_error, "mm"),
        ("Frames used", str(result.used)),
        ("Left out, calibration", str(len(result.rejected))),
        ("Left out, validation", str(len(result.rejected_validation))),
    ]
    title = f"Probe calibration: {options.tool}"
    data = stamped(probe_calibration_json(result), CalibrationKind.PROBE, options.tool)
    return finish(title, rows, data, options.out)


def _delay(options: argparse.Namespace) -> int:
    from devices.recordings import read_recording
    from ir_nav.tracking.calibration.delay import calibrate_delay, delay_json
    from ir_nav.tracking.calibration.water_tank import find_bottom_line
    from ir_nav.tracking.recorded_track import recorded_track

    video = read_recording(options.video)
    track = recorded_track(read_recording(options.tracker), options.tool, options.reference)
    if not video.has_images:
        raise CalibrationError(f"{options.video}: has no images, choose the video's recording")
    heights_px = np.full(len(video.frames), np.nan)
    for index, frame in enumerate(video.frames):
        line = None if frame.pixels is None else find_bottom_line(_grey(frame.pixels))
        if line is not None:
            heights_px[index] = line.height_px
    delay = calibrate_delay(
        [frame.time_s for frame in video.frames],
        heights_px,
        track.times_s[track.seen],
        track.poses[track.seen, :3, 3],
    )
    lag_s = delay.tracker_lag_s
    rows = [
        ("Tracker lag (negative: the tracker leads)", "not known" if lag_s is None else _ms(lag_s)),
        ("Lag, standard error", _ms(delay.lag_error_s).lstrip("+")),
        *error_rows("Lag of single stretches", delay.error_s, "s"),
        ("Correlation of the two motions", f"{delay.correlation:.3f}"),
        ("Probe moved", f"{delay.motion_mm:.1f} mm, {delay.periods:g} times up and down"),
        ("Images used", str(delay.used)),
        ("Images left out", str(len(delay.rejected))),
    ]
    data = stamped(delay_json(delay), CalibrationKind.DELAY, options.tool)
    return finish("Delay of the tracker", rows, data, options.out)


def registered(phantom: Phantom, path: Path) -> Phantom:
    """The phantom where `calibrate phantom` found it; CalibrationError for another file."""
    from ir_nav.tracking.calibration.calibration_file import read_calibration
    from ir_nav.tracking.calibration.landmark_recording import PhantomRegistration

    file = read_calibration(path)
    if not isinstance(file.result, PhantomRegistration):
        raise CalibrationError(f"{path}: a {file.kind} calibration; a phantom's is wanted")
    return phantom.registered(file.result.reference_from_phantom)


def _nominal_scale(phantom: Path) -> float:
    from ir_nav.tracking.plus_device_set import read_device_set

    if phantom.suffix.lower() == ".xml":
        stated = read_device_set(phantom).mm_per_px
        if stated is not None:
            return stated
    raise CalibrationError(f"{phantom.name} does not state the image's scale: give --mm-per-px")


def _grey(pixels: np.ndarray) -> np.ndarray:
    """Scanners that send colour draw the image itself in grey."""
    return pixels if pixels.ndim == 2 else pixels.mean(axis=2)


def _point(point_mm: FloatArray) -> str:
    return f"({', '.join(f'{value:.2f}' for value in point_mm)}) mm"


def _ms(seconds: float | None) -> str:
    return "not known" if seconds is None else f"{1e3 * seconds:+.1f} ms"
