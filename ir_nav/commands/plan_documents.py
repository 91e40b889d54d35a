"""`ir-nav plan-sheet | plan-export | plan-import | plan-schema | devices`: plans in and out."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ir_nav.commands.outcome import show
from ir_nav.commands.plan import chosen_protocol
from ir_nav.geometry import FloatArray
from ir_nav.imaging import (
    LabelMap,
    Volume,
    read_labels,
    read_volume,
)
from ir_nav.planning.aim import aim_of
from ir_nav.planning.catalogue import (
    AblationDevice,
    Device,
    all_devices,
    device_named,
    instrument_of,
    user_devices_folder,
)
from ir_nav.planning.ground import prepare
from ir_nav.planning.instrument_findings import instrument_findings
from ir_nav.planning.instrument_words import instrument_title
from ir_nav.planning.instruments import Instrument, Straight
from ir_nav.planning.markups import read_markup_path, write_markups
from ir_nav.planning.path import PlannedPath
from ir_nav.planning.plan import Plan, load_plan, plan_schema, require_same_ct, save_plan
from ir_nav.planning.plan_errors import PlanError
from ir_nav.planning.plan_findings import plan_findings
from ir_nav.planning.protocol import Protocol, shipped_protocol, shipped_protocols
from ir_nav.planning.target_mask import TargetMask, write_target

Commands = argparse._SubParsersAction


def add_plan_documents(commands: Commands[argparse.ArgumentParser]) -> None:
    _add_sheet(commands)
    _add_export(commands)
    _add_import(commands)
    schema = commands.add_parser("plan-schema", help="the JSON schema of plans")
    schema.set_defaults(run=_schema)
    devices = commands.add_parser("devices", help="the catalogue of needles, catheters and probes")
    devices.set_defaults(run=_devices)


def _add_sheet(commands: Commands[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("plan-sheet", help="a plan on paper: pictures, findings, checks")
    add = command.add_argument
    add("ct", type=Path, metavar="CT", help="the CT that the plan was made on")
    add("plan", type=Path, metavar="PLAN", help="plan (JSON)")
    add("--out", type=Path, required=True, metavar="FILE.pdf")
    _add_target(command)
    add("--protocol", metavar="TOML", help="file or name; the one the plan names by default")
    add("--paper", choices=("A4", "Letter"), default="A4")
    command.set_defaults(run=_sheet)


def _add_export(commands: Commands[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("plan-export", help="a plan for other programs")
    add = command.add_argument
    add("plan", type=Path, metavar="PLAN", help="plan (JSON)")
    add("--slicer", type=Path, metavar="FILE.mrk.json", help="its paths as 3D Slicer markups")
    add(
        "--seg", type=Path, metavar="FILE.dcm", help="its target as DICOM SEG; needs --ct, --labels"
    )
    add("--ct", type=Path, metavar="CT", help="the DICOM series that the plan was made on")
    _add_target(command)
    command.set_defaults(run=_export)


def _add_target(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--labels", type=Path, help="label map of the CT")
    add("--names", type=Path, metavar="FILE.csv", help="names of the labels; beside it by default")
    add("--target", metavar="NAME", help="structure that is aimed at; the plan's own by default")


def _add_import(commands: Commands[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("plan-import", help="a plan from a 3D Slicer line or curve")
    add = command.add_argument
    add("markup", type=Path, metavar="MARKUP", help="line or curve (.mrk.json)")
    add("--ct", type=Path, required=True, metavar="CT", help="the CT that it was drawn on")
    add("--out", type=Path, required=True, metavar="plan.json")
    add("--protocol", metavar="TOML", help="file or name; its limits of length must be kept")
    add("--device", metavar="ID", help="from `ir-nav devices`; an 18 G needle by default")
    add("--setting", type=int, default=0, metavar="N", help="zone of an ablation device")
    add(
        "--margin-mm", type=float, default=5.0, metavar="MM", help="wanted beyond an ablated target"
    )
    add("--name", default="Imported path")
    add("--structure", default="", help="what the target lies in")
    add("--author", default="")
    add("--target-first", action="store_true", help="the first point is the target, not the entry")
    command.set_defaults(run=_import)


def _sheet(options: argparse.Namespace) -> int:
    from ir_nav.review.plan_sheet import Paper, SheetContent, write_plan_sheet

    plan = load_plan(options.plan)
    protocol = _protocol(options.protocol) or _protocol_named(plan.protocol)
    volume = read_volume(options.ct)
    require_same_ct(plan, volume.identity)
    labels = _labels(options, volume)
    target = _target(options, plan, labels)
    if protocol is None:
        content = SheetContent(plan, volume, instrument_findings(plan, target), (), target)
    else:
        aim = aim_of(plan, labels, protocol)
        if not options.target:
            target = aim.target
        findings = plan_findings(prepare(volume, labels, protocol), protocol, plan, target)
        content = SheetContent(
            plan,
            volume,
            findings,
            protocol.checklist,
            target,
            aimed_at=options.target or aim.words,
        )
    write_plan_sheet(content, options.out, Paper(options.paper))
    _done(plan, options.out)
    return 0


def _export(options: argparse.Namespace) -> int:
    plan = load_plan(options.plan)
    if options.slicer is None and options.seg is None:
        raise PlanError("nothing to export: give --slicer FILE.mrk.json, --seg FILE.dcm, or both")
    if options.slicer is not None:
        write_markups(plan, options.slicer)
        _done(plan, options.slicer)
    if options.seg is not None:
        if options.ct is None or options.labels is None:
            raise PlanError("--seg needs --ct and --labels: the target is one of its structures")
        volume = read_volume(options.ct)
        require_same_ct(plan, volume.identity)
        target = _target(options, plan, _labels(options, volume))
        if target is None:
            raise PlanError(
                f"the labels hold no '{options.target or plan.structure}': choose a structure with "
                "--target"
            )
        name = options.target or plan.structure
        write_target(options.seg, target, name, volume, description=f"Target: {plan.name}")
        _done(plan, options.seg)
    return 0


def _import(options: argparse.Namespace) -> int:
    path = read_markup_path(options.markup, target_first=options.target_first)
    protocol = _protocol(options.protocol)
    volume = read_volume(options.ct)
    _require_inside(volume, path, options.markup)
    _require_length(protocol, path)
    plan = Plan(
        name=options.name,
        ct_identity=volume.identity,
        entry_ct_mm=_triple(path.entry_ct_mm),
        target_ct_mm=_triple(path.target_ct_mm),
        structure=options.structure,
        protocol="" if protocol is None else protocol.name,
        author=options.author,
    )
    plan = plan.for_instrument(_instrument(options, path))
    save_plan(plan, options.out)
    _done(plan, options.out)
    return 0


def _schema(_: argparse.Namespace) -> int:
    sys.stdout.write(schema_text())
    return 0


def schema_text() -> str:
    """The published schema, as plans/plan.schema.json holds it."""
    return json.dumps(plan_schema(), indent=2, ensure_ascii=False) + "\n"


def _devices(_: argparse.Namespace) -> int:
    table = Table(title="Devices")
    table.add_column("Id", no_wrap=True)
    for heading in ("Name", "Lengths, mm", "Settings"):
        table.add_column(heading)
    for device in all_devices():
        lengths = ", ".join(f"{length:g}" for length in device.lengths_mm)
        table.add_row(device.id, escape(device.name), lengths, _settings(device))
    Console().print(table)
    Console(soft_wrap=True).print(f"Your own: TOML files in {escape(str(user_devices_folder()))}")
    return 0


def _settings(device: Device) -> str:
    if not isinstance(device, AblationDevice):
        return ""
    zones = enumerate(device.zones)
    return "\n".join(f"{n}: {zone.length_mm:g} x {zone.width_mm:g} mm" for n, zone in zones)


def _protocol(name: str | None) -> Protocol | None:
    return None if name is None else chosen_protocol(name)


def _protocol_named(name: str) -> Protocol | None:
    """The protocol that comes along and bears this name, as Plan.protocol."""
    shipped = (shipped_protocol(one) for one in shipped_protocols())
    return next((one for one in shipped if one.name == name), None)


def _labels(options: argparse.Namespace, volume: Volume) -> LabelMap | None:
    if options.labels is None:
        return None
    return read_labels(options.labels, options.names, like=volume)


def _target(options: argparse.Namespace, plan: Plan, labels: LabelMap | None) -> TargetMask | None:
    """The mask of --target, or of the plan's structure where the labels have it."""
    if labels is None:
        return None
    if options.target is not None:
        return TargetMask.of(labels, options.target)
    return TargetMask.shown_as(labels, plan.structure)


def _instrument(options: argparse.Namespace, path: PlannedPath) -> Instrument:
    if options.device is None:
        return Straight()
    if not 0.0 <= options.margin_mm <= 30.0:
        raise PlanError("--margin-mm must be between 0 and 30")
    device = device_named(all_devices(), options.device)
    return instrument_of(
        device, path.length_mm, setting=options.setting, margin_mm=options.margin_mm
    )


def _require_inside(volume: Volume, path: PlannedPath, markup: Path) -> None:
    low, high = volume.bounds_mm
    for name, point in (("entry", path.entry_ct_mm), ("target", path.target_ct_mm)):
        if np.any(point < low) or np.any(point > high):
            raise PlanError(
                f"{markup}: the {name} lies outside this CT: it was drawn on another image, or its "
                "coordinateSystem is wrong"
            )


def _require_length(protocol: Protocol | None, path: PlannedPath) -> None:
    if protocol is None:
        return
    low, high = protocol.min_length_mm, protocol.max_length_mm
    if not low <= path.length_mm <= high:
        raise PlanError(
            f"the path is {path.length_mm:.0f} mm long, '{protocol.name}' allows {low:g} to "
            f"{high:g} mm: move an end, or use another protocol"
        )


def _triple(point: FloatArray) -> tuple[float, float, float]:
    x, y, z = point.tolist()
    return x, y, z


def _done(plan: Plan, out: Path) -> None:
    rows = [
        ("Instrument", instrument_title(plan.instrument)),
        ("Length", f"{plan.path.length_mm:.1f} mm"),
    ]
    show(f"Plan: {plan.name}", rows, out)
