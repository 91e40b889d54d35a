"""`python -m hw_mocks`: one simulated room in a process of its own."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from threading import Event as Flag

import numpy as np
from platformdirs import user_cache_path

from hw_mocks.anatomy import AnatomyError
from hw_mocks.parameters import RoomParameters
from hw_mocks.patient import Patient, real_patient, torso_patient
from hw_mocks.room import PROBE_FROM_FACE, SimulatedRoom
from hw_mocks.tracker_wire import NdiTracker
from hw_mocks.truth import TruthFile
from hw_mocks.world import World
from ir_nav.geometry import FloatArray


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    stopping = Flag()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stopping.set())
    try:
        patient = _patient(options)
        world = _world(patient, options)
    except (AnatomyError, ValueError, OSError) as error:
        sys.stderr.write(f"hw_mocks: {error}\n")
        return 2
    options.room.parent.mkdir(parents=True, exist_ok=True)
    truth_path = options.truth or options.room.with_name("truth.jsonl")
    tracker = NdiTracker() if options.tracker == "ndi" else None
    room = SimulatedRoom(patient, world, TruthFile(truth_path, world), options.port, tracker)
    world.operator.announce = room.announce
    with room:
        room.write_room_file(options.room)
        sys.stdout.write(f"room file: {options.room}\n")
        sys.stdout.flush()
        while not stopping.wait(0.5):
            if options.while_parent and not _parent_lives(options.while_parent):
                break
    return 0


def _parent_lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists() or not Path("/proc").exists()


def _patient(options: argparse.Namespace) -> Patient:
    if options.ct is None:
        return torso_patient(options.cache, options.seed)
    if options.labels is None:
        raise ValueError("--ct needs --labels: the room must know which tissue is where")
    return real_patient(options.ct, options.labels, options.label_names, options.focus)


def _world(patient: Patient, options: argparse.Namespace) -> World:
    parameters = RoomParameters(
        seed=options.seed,
        tracker_noise_mm=options.tracker_noise_mm,
        tracker_delay_s=options.tracker_delay_ms / 1000.0,
        dropouts_per_min=options.dropouts_per_min,
        breathing_mm=options.breathing_mm,
        tremor_mm=options.tremor_mm,
        skin_slip_mm=options.skin_slip_mm,
        pincushion=options.pincushion,
        s_turn=options.s_turn,
        pace=options.pace,
    )
    return World(
        patient.anatomy,
        parameters,
        patient.focus_mm,
        patient.fiducials_mm,
        PROBE_FROM_FACE,
        lambda text: None,
    )


def _options(arguments: list[str] | None) -> argparse.Namespace:
    defaults = RoomParameters()
    parser = argparse.ArgumentParser(prog="python -m hw_mocks", description=__doc__)
    add = parser.add_argument
    add("--room", type=Path, default=Path("out/room.toml"), help="room file to write")
    add("--truth", type=Path, help="truth file to write (beside the room file)")
    add("--port", type=int, default=0, help="first of four ports; 0 takes free ones")
    add("--tracker", choices=("openigtlink", "ndi"), default="openigtlink", help="how it speaks")
    add("--seed", type=int, default=defaults.seed)
    add("--ct", type=Path, help="CT in place of the digital torso")
    add("--labels", type=Path, help="label map of --ct")
    add("--label-names", type=Path, help="names of the labels, CSV with id and structure")
    add("--focus", type=_point, help="region of interest X,Y,Z in LPS mm (default: the lesion)")
    add("--tracker-noise-mm", type=_not_negative, default=defaults.tracker_noise_mm)
    add("--tracker-delay-ms", type=_not_negative, default=defaults.tracker_delay_s * 1000.0)
    add("--dropouts-per-min", type=_not_negative, default=defaults.dropouts_per_min)
    add("--breathing-mm", type=_not_negative, default=defaults.breathing_mm)
    add("--tremor-mm", type=_not_negative, default=defaults.tremor_mm)
    add("--skin-slip-mm", type=_not_negative, default=defaults.skin_slip_mm)
    add("--pincushion", type=_share, default=defaults.pincushion, help="of the intensifier; 0.04")
    add("--s-turn", type=_share, default=defaults.s_turn, help="of the intensifier, rad; 0.02")
    add("--pace", type=float, default=1.0, help="above 1 the operator works faster")
    add("--cache", type=Path, default=user_cache_path("ir-nav"), help="where the torso is kept")
    add("--while-parent", type=int, help="stop when this process has ended")
    return parser.parse_args(arguments)


def _not_negative(text: str) -> float:
    value = float(text)
    if not 0.0 <= value < 1000.0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not abs(value) <= 0.1:
        raise argparse.ArgumentTypeError("must be within 0.1")
    return value


def _point(text: str) -> FloatArray:
    parts = [float(part) for part in text.split(",")]
    if len(parts) != 3:
        raise argparse.ArgumentTypeError("needs three numbers: X,Y,Z")
    return np.array(parts)


if __name__ == "__main__":
    sys.exit(main())
