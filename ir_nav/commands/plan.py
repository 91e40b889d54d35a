"""`ir-nav plan`: straight paths to a target, each with everything that limits it."""

from __future__ import annotations

import argparse
import json
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ir_nav.commands.arguments import Point, point_mm
from ir_nav.commands.outcome import ACCEPTED, REFUSED, show
from ir_nav.planning import (
    Ground,
    NoPathError,
    Plan,
    PlanError,
    PlanFinding,
    Proposals,
    Protocol,
    compile_planning,
    prepare,
    propose,
    read_protocol,
    save_plan,
    shipped_protocol,
    shipped_protocols,
)
from ir_nav.whole_file import write_whole

if TYPE_CHECKING:
    from ir_nav.imaging import LabelMap, Volume

MOST = 9

# What the limit words are made of, and what only the window groups by.
UNWRITTEN = ("most", "group")


@dataclass(slots=True)
class _Clock:
    """Seconds each part took."""

    seconds: dict[str, float] = field(default_factory=dict)
    since: float = field(default_factory=time.perf_counter)

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = round(now - self.since, 4)
        self.since = now


def add_plan(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("plan", help="propose straight paths to a target")
    add = command.add_argument
    add("ct", type=Path, metavar="CT", help="DICOM folder or zip, NIfTI, NRRD, MHA")
    add("--labels", type=Path, help="label map of the CT; without it bone and gas by CT number")
    add("--names", type=Path, metavar="CSV", help="names of the labels; beside --labels by default")
    add("--target", type=point_mm, required=True, metavar="X,Y,Z", help="in LPS mm")
    add(
        "--protocol",
        default="liver_biopsy",
        metavar="TOML",
        help=f"file, or one that comes along: {', '.join(shipped_protocols())}",
    )
    add("--proposals", type=_count, default=5, metavar="N", help="paths at most (%(default)s)")
    add("--sampling", type=_sampling, default=1.5, metavar="MM", help="of the search (%(default)s)")
    add("--out", type=Path, required=True, metavar="DIR", help="plan-1.json ..., proposals.json")
    command.set_defaults(run=_plan)


def _plan(options: argparse.Namespace) -> int:
    from ir_nav.imaging import body_mask, read_labels, read_volume

    protocol = chosen_protocol(options.protocol)
    compiling = threading.Thread(target=compile_planning, name="compile planning")
    compiling.start()
    clock = _Clock()
    try:
        volume = read_volume(options.ct)
        labels = None
        if options.labels is not None:
            labels = read_labels(options.labels, options.names, like=volume)
        _require_inside(volume, options.target)
        clock.lap("read")
        body = body_mask(volume)
        clock.lap("body")
    finally:
        compiling.join()
    clock.lap("compile_wait")
    ground = prepare(volume, labels, protocol, body=body, sampling_mm=options.sampling)
    clock.lap("distances_and_skin")
    try:
        found = propose(ground, protocol, options.target, count=options.proposals)
    except NoPathError as refusal:
        clock.lap("search")
        _write(options.out, _document(ground, protocol, None, clock, str(refusal)))
        show("No proposal", [("Reason", str(refusal))], options.out / "proposals.json")
        return REFUSED
    clock.lap("search")
    _write_plans(options, volume, labels, protocol, found)
    _write(options.out, _document(ground, protocol, found, clock, None))
    rows = [(f"plan-{n}", proposal.words()) for n, proposal in enumerate(found.paths, start=1)]
    show(f"{protocol.name}: {len(rows)} paths", rows, options.out)
    return ACCEPTED


def chosen_protocol(name: str) -> Protocol:
    """A protocol by file, or by the name of one that comes along."""
    if name in shipped_protocols():
        return shipped_protocol(name)
    return read_protocol(Path(name))


def _document(
    ground: Ground, protocol: Protocol, found: Proposals | None, clock: _Clock, reason: str | None
) -> dict[str, Any]:
    return {
        "format": 1,
        "protocol": protocol.name,
        "ct_identity": ground.volume.identity,
        "structures": [
            {
                "name": known.name,
                "label": known.label,
                "role": str(known.role),
                "margin_mm": known.margin_mm,
            }
            for known in ground.structures.known
        ],
        "needle": protocol.needle.model_dump(),
        "proposals": []
        if found is None
        else [_proposal(n, found) for n in range(len(found.paths))],
        "seconds": clock.seconds,
        "reason": reason,
    }


def _proposal(number: int, found: Proposals) -> dict[str, Any]:
    proposal = found.paths[number]
    near = proposal.limiting
    return {
        "entry_ct_mm": proposal.path.entry_ct_mm.tolist(),
        "target_ct_mm": proposal.path.target_ct_mm.tolist(),
        "length_mm": proposal.path.length_mm,
        "limiting_structure": None if near is None else near.structure,
        "limiting_distance_mm": None if near is None else near.value,
        "quality": proposal.quality,
        "best_at": list(proposal.best_at),
        "findings": [_finding(finding) for finding in proposal.findings],
    }


def _finding(finding: PlanFinding) -> dict[str, Any]:
    """The keys of format 1, which do not say the direction of a limit."""
    return {key: value for key, value in asdict(finding).items() if key not in UNWRITTEN}


def _write_plans(
    options: argparse.Namespace,
    volume: Volume,
    labels: LabelMap | None,
    protocol: Protocol,
    found: Proposals,
) -> None:
    structure = _structure_at(labels, options.target)
    for number, proposal in enumerate(found.paths, start=1):
        plan = Plan(
            name=f"{protocol.name} {number}",
            ct_identity=volume.identity,
            entry_ct_mm=_point_of(proposal.path.entry_ct_mm.tolist()),
            target_ct_mm=_point_of(proposal.path.target_ct_mm.tolist()),
            structure=structure,
            protocol=protocol.name,
        )
        try:
            save_plan(plan, options.out / f"plan-{number}.json")
        except OSError as error:
            raise PlanError(f"{options.out}: cannot be written ({error.strerror})") from None


def _point_of(values: list[float]) -> Point:
    x, y, z = values
    return x, y, z


def _structure_at(labels: LabelMap | None, target: Point) -> str:
    if labels is None:
        return ""
    i, j, k = (round(float(v)) for v in (labels.voxel_from_ct @ (*target, 1.0))[:3])
    number = int(labels.voxels[k, j, i])
    return labels.display_name(number) if number else ""


def _require_inside(volume: Volume, target: Point) -> None:
    low, high = volume.bounds_mm
    if not all(a <= value <= b for a, value, b in zip(low, target, high, strict=True)):
        raise PlanError("the target lies outside the CT: give it in LPS mm (+x left, +y back)")


def _write(folder: Path, document: dict[str, Any]) -> None:
    text = json.dumps(document, indent=1, allow_nan=False) + "\n"
    try:
        write_whole(folder / "proposals.json", text.encode("utf-8"))
    except OSError as error:
        raise PlanError(f"{folder}: cannot be written ({error.strerror})") from None


def _count(text: str) -> int:
    value = int(text)
    if not 1 <= value <= MOST:
        raise argparse.ArgumentTypeError(f"must be between 1 and {MOST}")
    return value


def _sampling(text: str) -> float:
    value = float(text)
    if not 0.5 <= value <= 3.0:
        raise argparse.ArgumentTypeError("must be between 0.5 and 3 mm")
    return value
