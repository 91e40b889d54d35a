"""The command line: `ir-nav`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from devices.contract import DeviceError
from ir_nav import RESEARCH_LABEL, __version__
from ir_nav.archive import ArchiveError, DeidentifyError
from ir_nav.commands.arguments import point_mm, points_joined
from ir_nav.commands.calibrate import add_calibrate
from ir_nav.commands.carm import add_carm
from ir_nav.commands.deidentify import add_deidentify
from ir_nav.commands.images import add_images
from ir_nav.commands.outcome import show
from ir_nav.commands.pacs import add_pacs
from ir_nav.commands.plan import add_plan
from ir_nav.commands.plan_documents import add_plan_documents
from ir_nav.commands.reconstruct import add_reconstruct
from ir_nav.commands.register import add_register
from ir_nav.commands.room import add_room
from ir_nav.commands.segment import add_segment
from ir_nav.imaging import ImagingError
from ir_nav.planning import PlanError
from ir_nav.recording import LogError, read_log
from ir_nav.registration import RegistrationError
from ir_nav.review import Review, review, write_report
from ir_nav.session.errors import SessionError
from ir_nav.session.publish_address import PublishAddress, read_address
from ir_nav.session.room import RoomError
from ir_nav.tracking.calibration.result import CalibrationError

FULL_PROCEDURE_S = 95.0
FASTEST, SLOWEST = 1.6, 0.5


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code. Errors are one line on stderr."""
    options = _parser().parse_args(points_joined(sys.argv[1:] if arguments is None else arguments))
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    from ir_nav.demo.room_process import DemoError

    try:
        return int(options.run(options))
    except (
        ArchiveError,
        CalibrationError,
        DeidentifyError,
        DemoError,
        DeviceError,
        ImagingError,
        LogError,
        PlanError,
        RegistrationError,
        RoomError,
        SessionError,
    ) as error:
        sys.stderr.write(f"ir-nav: {' '.join(str(error).splitlines())}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ir-nav", description=f"{__doc__} {RESEARCH_LABEL}")
    parser.add_argument("--version", action="version", version=f"ir-nav {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_console(commands)
    _add_demo(commands)
    _add_review(commands)
    _add_replay(commands)
    add_calibrate(commands)
    add_carm(commands)
    add_images(commands)
    add_plan(commands)
    add_plan_documents(commands)
    add_reconstruct(commands)
    add_register(commands)
    add_room(commands)
    add_segment(commands)
    add_pacs(commands)
    add_deidentify(commands)
    return parser


def _add_console(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("console", help="open the console")
    command.add_argument("--room", type=Path, help="room file (TOML): devices, tools, geometry")
    command.add_argument(
        "--ct", type=Path, help="planning CT: DICOM folder or zip, NIfTI, NRRD, MHA"
    )
    command.add_argument("--labels", type=Path, help="label map of the CT")
    command.add_argument("--plan", type=Path, help="plan of this CT (JSON)")
    command.add_argument(
        "--publish",
        type=_publish_address,
        nargs="?",
        const=PublishAddress(),
        metavar="ADDRESS",
        help="[HOST:]PORT: serve tip and plan over OpenIGTLink, for 3D Slicer; by default "
        "%(const)s, for this computer alone; anywhere else anyone on that network can read along",
    )
    command.set_defaults(run=_console)


def _add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("demo", help="play a whole biopsy in a simulated room")
    add = command.add_argument
    add("--headless", action="store_true", help="without a window; pictures go to --out")
    add("--out", type=Path, default=Path("out"), help="folder for pictures, log and report")
    add("--seconds", type=_seconds, default=FULL_PROCEDURE_S, help="how long the operator takes")
    add("--seed", type=int, default=1, help="of the simulated room")
    add("--ct", type=Path, help="a CT in place of the digital torso; needs --labels")
    add("--labels", type=Path, help="label map of --ct")
    add("--label-names", type=Path, help="names of the labels (CSV); beside --labels by default")
    add("--target", type=point_mm, metavar="X,Y,Z", help="target in LPS mm")
    add("--tracker-noise-mm", type=_not_negative, help="rms position noise of the tracker")
    add("--breathing-mm", type=_not_negative, help="travel of the liver with each breath")
    add(
        "--skin-slip-mm",
        type=_not_negative,
        default=3.0,
        help="rms, how far the touched markers lie from where the CT shows them; 3",
    )
    add(
        "--landmarks-only",
        action="store_true",
        help="register by landmarks alone, not by an ultrasound sweep and fluoro views after them",
    )
    command.set_defaults(run=_demo)


def _add_review(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("review", help="planned against achieved, from a needle log")
    command.add_argument("log", type=Path, metavar="LOG")
    command.add_argument("--report", type=Path, metavar="FILE.pdf", help="write the report")
    command.set_defaults(run=_review)


def _add_replay(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "replay", help="play a tracked recording (.igs.mha) or a needle log (.irlog)"
    )
    command.add_argument("recording", type=Path, metavar="RECORDING")
    command.add_argument(
        "--calibration",
        type=Path,
        metavar="FILE.xml",
        help="Plus device set with the Image to Probe transform",
    )
    command.add_argument("--speed", type=float, default=1.0, help="1 is the original timing")
    command.add_argument("--headless", action="store_true", help="play once, leave pictures, end")
    command.add_argument("--out", type=Path, default=Path("out/replay"))
    command.set_defaults(run=_replay)


def _console(options: argparse.Namespace) -> int:
    from ir_nav.gui.app import run_console
    from ir_nav.gui.opening import Opening, open_at_start
    from ir_nav.session.session import Session

    _choose_platform(headless=False)
    opening = Opening(options.room, options.ct, options.labels, options.plan, options.publish)
    opening.require_files()
    session = Session()
    try:
        return run_console(
            session, acknowledged=False, on_ready=lambda window: open_at_start(window, opening)
        )
    finally:
        session.close()


def _demo(options: argparse.Namespace) -> int:
    from ir_nav.demo.room_process import DemoError, RoomOptions
    from ir_nav.demo.run import run_demo

    headless = _choose_platform(headless=options.headless)
    if options.ct is not None and (options.labels is None or options.target is None):
        raise DemoError("--ct needs --labels and --target: the room must know tissue and target")
    room = RoomOptions(
        seed=options.seed,
        pace=min(FASTEST, max(SLOWEST, FULL_PROCEDURE_S / options.seconds)),
        tracker_noise_mm=options.tracker_noise_mm,
        breathing_mm=options.breathing_mm,
        skin_slip_mm=options.skin_slip_mm,
        ct=options.ct,
        labels=options.labels,
        label_names=options.label_names,
        target_ct_mm=options.target,
    )
    summary = run_demo(options.out, room, headless=headless, by_images=not options.landmarks_only)
    if summary is not None:
        _show_summary(summary, options.out)
    return 0


def _review(options: argparse.Namespace) -> int:
    log = read_log(options.log)
    result = review(log)
    _show_review(result)
    if options.report is not None:
        write_report(log, result, options.report)
        Console().print(f"Report: {options.report}")
    return 0


def _replay(options: argparse.Namespace) -> int:
    from ir_nav.demo.replay import run_replay

    headless = _choose_platform(headless=options.headless)
    return int(
        run_replay(
            options.recording,
            options.calibration,
            options.out,
            speed=options.speed,
            headless=headless,
        )
    )


def _choose_platform(*, headless: bool) -> bool:
    """Draw into memory where nobody can look; whether that is so."""
    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    unseen = headless or (sys.platform.startswith("linux") and not display)
    if unseen:
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    return unseen


def _show_review(result: Review) -> None:
    rows = []
    achieved = result.achieved
    if achieved is None:
        rows.append(("Achieved", "no valid guidance round the mark"))
    else:
        place = achieved.placement
        rows += [
            ("Lateral", f"{place.lateral_mm:.2f} mm"),
            ("Depth (past the target is positive)", f"{place.depth_mm:+.2f} mm"),
            ("Angle", f"{place.angle_deg:.2f}°"),
            ("Entry", f"{result.entry_error_mm:.2f} mm"),
        ]
    rows.append(("Guidance valid since registration", f"{result.valid_share:.0%}"))
    if result.tre_predicted_mm is not None:
        rows.append(("Predicted at the target (rms)", f"{result.tre_predicted_mm:.2f} mm"))
    show(f"Planned against achieved: {result.plan.name}", rows)


def _show_summary(summary: dict[str, Any], folder: Path) -> None:
    rows = []
    for section, values in summary.items():
        if isinstance(values, list):
            rows += [
                (f"registered by {one['method']} · error at the target", _words(one["tre_true_mm"]))
                for one in values
            ]
        elif isinstance(values, dict):
            known = {name: value for name, value in values.items() if value is not None}
            rows += [(f"{section} · {name}", _words(value)) for name, value in known.items()]
        else:
            rows.append((section, _words(values)))
    show(f"Demonstration: {folder}", rows)


def _words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {item}" for name, item in value.items())
    return str(value)


def _not_negative(text: str) -> float:
    value = float(text)
    if not 0.0 <= value < 100.0:
        raise argparse.ArgumentTypeError("must be between 0 and 100")
    return value


def _publish_address(text: str) -> PublishAddress:
    try:
        return read_address(text)
    except SessionError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _seconds(text: str) -> float:
    value = float(text)
    if not 20.0 <= value <= 600.0:
        raise argparse.ArgumentTypeError("must be between 20 and 600")
    return value


if __name__ == "__main__":
    sys.exit(main())
