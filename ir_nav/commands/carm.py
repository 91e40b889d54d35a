"""`ir-nav carm`: a C-arm's geometry and distortion, and the needle its frames show."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ir_nav.commands.arguments import point_mm, spare_inputs
from ir_nav.commands.carm_header import add_header, geometry_rows
from ir_nav.commands.outcome import ACCEPTED, REFUSED, Row, show
from ir_nav.geometry import CArmGeometry, apply
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.fluoro.view import CArmView, FluoroFrame, Pixels, read_view

if TYPE_CHECKING:
    from ir_nav.registration.fluoro_needle import FoundNeedle, NeedleGuide, NeedleInSpace

Commands = argparse._SubParsersAction
UNKNOWN_SID_MM = 1050.0
TYPICAL_DEPTH = 0.7  # of the source-detector distance


def add_carm(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "carm", help="a C-arm's geometry and distortion; the needle in its frames"
    )
    kinds = parser.add_subparsers(required=True, metavar="WHAT")
    add_header(kinds)
    _add_plate(kinds)
    _add_distortion(kinds)
    _add_needle(kinds)
    for command in kinds.choices.values():
        spare_inputs(command)


def _add_plate(kinds: Commands[argparse.ArgumentParser]) -> None:
    parser = kinds.add_parser(
        "plate",
        help="geometry from a frame of a bead phantom",
        description="The written geometry's world is the plate's own frame. A flat plate needs "
        "--sid-mm.",
    )
    parser.add_argument("frame", type=Path, metavar="FRAME", help="2D image, e.g. MetaImage")
    parser.add_argument("--plate", type=Path, required=True, help="the beads (JSON)")
    _add_picture(parser)
    parser.add_argument("--sid-mm", type=float, help="source-detector distance, if it is known")
    parser.add_argument("--out", type=Path, required=True, help="geometry to write (JSON)")
    parser.set_defaults(run=_plate)


def _add_distortion(kinds: Commands[argparse.ArgumentParser]) -> None:
    parser = kinds.add_parser("distortion", help="of an image intensifier, from a grid of beads")
    parser.add_argument("frame", type=Path, metavar="FRAME")
    parser.add_argument("--grid", type=Path, required=True, help="the beads (JSON), in one plane")
    _add_picture(parser, correct=False)
    parser.add_argument("--out", type=Path, required=True, help="distortion to write (JSON)")
    parser.set_defaults(run=_distortion)


def _add_needle(kinds: Commands[argparse.ArgumentParser]) -> None:
    parser = kinds.add_parser(
        "needle",
        help="the needle in one frame, or in space from two",
        description="Give --frame and --geometry once or twice. --tip and --back say where the "
        "needle is expected, in the geometries' world.",
    )
    add = parser.add_argument
    add("--frame", type=Path, action="append", required=True, metavar="F.mha")
    add("--geometry", type=Path, action="append", required=True, metavar="G.json")
    add("--distortion", type=Path, help="of the detector (JSON): the frames are corrected first")
    add("--diameter-mm", type=float, default=1.27, help="of the needle (%(default)g: 18 G)")
    add("--depth-mm", type=float, help="needle from the focal spot; by default the world's origin")
    add("--tip", type=point_mm, metavar="X,Y,Z", help="where the tip is expected")
    add("--back", type=point_mm, metavar="X,Y,Z", help="a point further back on the needle")
    add("--tolerance-px", type=float, default=25.0, help="off the expected line (%(default)g)")
    add("--out", type=Path, required=True, help="needle to write (JSON)")
    parser.set_defaults(run=_needle)


def _add_picture(parser: argparse.ArgumentParser, *, correct: bool = True) -> None:
    parser.add_argument("--pixel-mm", type=float, required=True, help="pixel size at the detector")
    parser.add_argument(
        "--pixels",
        type=Pixels,
        choices=list(Pixels),
        default=Pixels.INTENSITY,
        help="intensity: bright where little is absorbed (default); attenuation: the reverse",
    )
    if correct:
        parser.add_argument("--distortion", type=Path, help="of the detector (JSON)")


def _plate(options: argparse.Namespace) -> int:
    from ir_nav.registration.carm_calibration import calibrate_from_plate, read_plate, write_view

    plate = read_plate(options.plate)
    frame = _picture(options, options.sid_mm or UNKNOWN_SID_MM)
    found = calibrate_from_plate(frame, plate, sid_known=options.sid_mm is not None)
    errors = np.sqrt(np.diag(found.covariance))
    worst = int(np.argmax(found.residuals_px))
    rows = [
        *geometry_rows(found.view),
        ("Beads", f"{len(found.matched)} of {len(plate.beads)}"),
        ("Residual, rms", f"{found.rms_px:.3f} px"),
        ("Worst bead", f"{found.matched[worst]}, {found.residuals_px[worst]:.2f} px"),
        ("Distance, standard error", f"{found.sid_error_mm:.2f} mm"),
        ("Principal point, standard error", f"{found.principal_error_px:.2f} px"),
        ("Place, standard errors", " ".join(f"{one:.2f}" for one in errors[:3]) + " mm"),
        ("Turn, standard errors", " ".join(f"{one:.2f}" for one in errors[3:]) + "°"),
    ]
    if found.accepted:
        write_view(options.out, found.view)
        show("C-arm geometry from the plate", rows, options.out)
        return ACCEPTED
    show("C-arm geometry from the plate: refused", [*rows, ("Refused", found.reason)])
    return REFUSED


def _distortion(options: argparse.Namespace) -> int:
    from ir_nav.registration.carm_calibration import (
        distortion_from_grid,
        read_plate,
        write_distortion,
    )

    options.distortion = None
    found = distortion_from_grid(_picture(options, UNKNOWN_SID_MM), read_plate(options.grid))
    write_distortion(options.out, found)
    rows = [
        ("Beads", str(found.beads)),
        ("Largest correction", f"{found.largest_px:.2f} px"),
        ("Left of beads not fitted, rms", f"{found.rms_px:.3f} px"),
    ]
    show("Distortion of the detector", rows, options.out)
    return ACCEPTED


def _needle(options: argparse.Namespace) -> int:
    from ir_nav.registration.fluoro_needle import (
        find_needle,
        needle_from_two_views,
        needle_width_px,
    )

    if len(options.frame) != len(options.geometry) or len(options.frame) > 2:
        raise RegistrationError("give one or two frames, each with its --geometry")
    if (options.tip is None) != (options.back is None):
        raise RegistrationError("--tip and --back go together: they say where the needle points")
    views, found = [], []
    for path, geometry in zip(options.frame, options.geometry, strict=True):
        view = read_view(geometry)
        frame = FluoroFrame(view, _pixels(path, options.distortion))
        _same_size(path, frame)
        width_px = needle_width_px(view, options.diameter_mm, options.depth_mm or _depth_mm(view))
        try:
            found.append(find_needle(frame, width_px, _guide(options, view)))
        except RegistrationError as error:
            raise RegistrationError(f"{path}: {error}") from None
        views.append(view)
    space = None
    if len(found) == 2:
        space = needle_from_two_views((views[0], views[1]), (found[0], found[1]))
    return _finish_needle(options, found, space)


def _finish_needle(
    options: argparse.Namespace, found: list[FoundNeedle], space: NeedleInSpace | None
) -> int:
    from ir_nav.registration.carm_calibration.files import write_json
    from ir_nav.registration.fluoro_needle.needle_file import needle_json

    rows: list[Row] = []
    for path, one in zip(options.frame, found, strict=True):
        rows += [
            (f"{path.name}: tip", f"{one.tip_px[0]:.1f}, {one.tip_px[1]:.1f} px"),
            (f"{path.name}: along, across", f"±{one.tip_error_px:.2f}, ±{one.across_px:.2f} px"),
            (f"{path.name}: confidence", f"{100 * one.confidence:.0f} %"),
        ]
    if space is not None:
        rows += [
            ("Tip", ", ".join(f"{value:.2f}" for value in space.tip_mm) + " mm"),
            ("Tip, standard error", f"{space.tip_error_mm:.2f} mm"),
            ("Direction", ", ".join(f"{value:.4f}" for value in space.along)),
            ("Direction, standard error", f"{space.angle_error_deg:.2f}°"),
            ("Between the tips' rays", f"{space.tip_gap_mm:.2f} mm"),
        ]
    write_json(options.out, needle_json(found, space))
    accepted = space is None or space.accepted
    if space is not None and not accepted:
        rows.append(("Refused", space.reason))
    show("Needle in fluoro", rows, options.out)
    return ACCEPTED if accepted else REFUSED


def _picture(options: argparse.Namespace, sid_mm: float) -> FluoroFrame:
    """A frame whose geometry is still to be found."""
    if not 0.01 <= options.pixel_mm <= 50.0 or not 300.0 <= sid_mm <= 2500.0:
        raise RegistrationError("--pixel-mm is 0.01 to 50, --sid-mm 300 to 2500: give mm")
    pixels = _pixels(options.frame, options.distortion)
    height, width = pixels.shape
    geometry = CArmGeometry(
        sid_mm,
        (options.pixel_mm, options.pixel_mm),
        (width, height),
        ((width - 1) / 2.0, (height - 1) / 2.0),
    )
    return FluoroFrame(CArmView(geometry, np.eye(4), options.pixels), pixels)


def _pixels(path: Path, distortion: Path | None) -> np.ndarray:
    from ir_nav.registration.carm_calibration import read_distortion, read_picture, undistorted

    pixels = read_picture(path)
    return pixels if distortion is None else undistorted(pixels, read_distortion(distortion))


def _same_size(path: Path, frame: FluoroFrame) -> None:
    width, height = frame.view.geometry.size_px
    if frame.image.shape != (height, width):
        raise RegistrationError(
            f"{path}: is {frame.image.shape[1]} x {frame.image.shape[0]} px, its geometry says "
            f"{width} x {height}"
        )


def _depth_mm(view: CArmView) -> float:
    """Of the world's origin along the beam, where that is plausible."""
    origin = float(view.carm_from_world[2, 3])
    sid = view.geometry.sid_mm
    return origin if 0.3 * sid < origin < sid else TYPICAL_DEPTH * sid


def _guide(options: argparse.Namespace, view: CArmView) -> NeedleGuide | None:
    from ir_nav.registration.fluoro_needle import guided

    if options.tip is None:
        return None
    expected = apply(view.carm_from_world, np.array([options.tip, options.back]))
    if expected[:, 2].min() <= 0.0:
        raise RegistrationError(
            "--tip and --back lie behind the focal spot: give them in the world"
        )
    tip, back = view.geometry.project(expected)
    return guided(tip, back, options.tolerance_px)
