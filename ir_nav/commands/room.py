"""`ir-nav room`: room files checked, made from Plus device sets, and calibrations given back."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ir_nav.commands.plus_export import calibration_transform, export_plus
from ir_nav.commands.plus_import import ImportOptions, import_plus
from ir_nav.session.device_entries import DeviceEntry
from ir_nav.session.room import Room, RoomError, read_room
from ir_nav.session.state import Role
from ir_nav.whole_file import write_whole

Commands = argparse._SubParsersAction


def add_room(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("room", help="check a room file, or make one from Plus")
    kinds = parser.add_subparsers(required=True, metavar="WHAT")
    check = kinds.add_parser("check", help="what a room file holds, or what is wrong with it")
    check.add_argument("room", type=Path, metavar="FILE")
    check.set_defaults(run=_check)
    schema = kinds.add_parser("schema", help="the JSON schema of room files")
    schema.set_defaults(run=_schema)
    _add_import(kinds)
    _add_export(kinds)


def _add_import(kinds: Commands[argparse.ArgumentParser]) -> None:
    command = kinds.add_parser("import-plus", help="a room file from a Plus device set")
    add = command.add_argument
    add("device_set", type=Path, metavar="DEVICESET.xml")
    add("--out", type=Path, required=True, metavar="room.toml")
    add("--direct", action="store_true", help="open trackers and cameras without Plus")
    add("--role", type=_role, action="append", default=[], metavar="TOOL=ROLE")
    add("--probe", default="Probe", metavar="NAME", help="frame of the probe's sensor")
    add("--depth-mm", type=float, metavar="MM", help="depth of the images")
    command.set_defaults(run=_import)


def _add_export(kinds: Commands[argparse.ArgumentParser]) -> None:
    command = kinds.add_parser("export-plus", help="a calibration into a Plus device set")
    add = command.add_argument
    add("calibration", type=Path, metavar="CALIBRATION.json")
    add("--tool", required=True, metavar="NAME", help="such as Stylus, or Probe")
    add("--into", type=Path, required=True, metavar="DEVICESET.xml")
    add("--out", type=Path, required=True, metavar="NEW.xml")
    command.set_defaults(run=_export)


def _check(options: argparse.Namespace) -> int:
    room = read_room(options.room)
    table = Table(title=escape(f"{room.name} ({room.source})"))
    for heading in ("Part", "Name", "What"):
        table.add_column(heading)
    for row in _rows(room):
        table.add_row(*(escape(cell) for cell in row))
    Console().print(table)
    return 0


def _rows(room: Room) -> list[tuple[str, str, str]]:
    rows = [("device", one.name, f"{one.kind} at {_address(one)}") for one in room.devices]
    rows += [
        ("tool", tool.name, f"{tool.role}: {tool.transform} of {tool.device}")
        for tool in room.tools
    ]
    if room.ultrasound is not None:
        ultrasound = room.ultrasound
        known = "" if ultrasound.calibrated else ", not calibrated"
        text = f"from {ultrasound.device}, {ultrasound.depth_mm:g} mm deep{known}"
        rows.append(("ultrasound", ultrasound.image, text))
    if room.fluoro is not None:
        corrected = "" if room.fluoro.distortion is None else ", distortion corrected"
        text = f"from {room.fluoro.device}, SID {room.fluoro.sid_mm:g} mm{corrected}"
        rows.append(("fluoro", room.fluoro.image, text))
    if room.case is not None:
        rows.append(("case", room.case.ct, f"{len(room.case.fiducials)} fiducials"))
    if room.operator is not None:
        rows.append(("operator", "simulated", f"{room.operator.host}:{room.operator.port}"))
    return rows


def _address(device: DeviceEntry) -> str:
    if device.kind == "openigtlink":
        return f"{device.host}:{device.port}"
    if device.kind == "keyboard-pedal":
        return f"key {' or '.join(device.keys)}"
    return device.port if device.kind == "pedal" else str(device.address)


def _schema(_: argparse.Namespace) -> int:
    sys.stdout.write(json.dumps(Room.model_json_schema(), indent=2) + "\n")
    return 0


def _import(options: argparse.Namespace) -> int:
    wanted = ImportOptions(dict(options.role), options.direct, options.probe, options.depth_mm)
    imported = import_plus(options.device_set, options.out, wanted)
    for name, text in imported.files.items():
        _write(options.out.with_name(name), text.encode("utf-8"))
    _write(options.out, imported.text.encode("utf-8"))
    for words in imported.left_out:
        sys.stderr.write(f"import-plus: {words}\n")
    Console(soft_wrap=True).print(f"Room file: {escape(str(options.out))}")
    return 0


def _export(options: argparse.Namespace) -> int:
    transform = calibration_transform(options.calibration, options.tool)
    _write(options.out, export_plus(transform, options.into, datetime.now()))
    pair = escape(f"{transform.source} to {transform.target}")
    Console(soft_wrap=True).print(f"{pair} written to {escape(str(options.out))}")
    return 0


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    try:
        write_whole(path, data)
    except OSError as error:
        raise RoomError(f"{path}: cannot be written ({error.strerror})") from None


def _role(text: str) -> tuple[str, Role]:
    tool, _, role = text.partition("=")
    try:
        return tool, Role(role.lower())
    except ValueError:
        raise argparse.ArgumentTypeError(f"TOOL=ROLE, one of {', '.join(Role)}") from None
