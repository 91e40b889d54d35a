"""A Plus device set turned into a room file."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ir_nav.commands.plus_devices import direct_devices
from ir_nav.geometry import FloatArray
from ir_nav.session.room import RoomError, parse_room
from ir_nav.session.state import Role
from ir_nav.tracking.calibration.result import CalibrationError
from ir_nav.tracking.plus_device_set import PlusDeviceSet, read_device_set

DEFAULT_PORT = 18944
MAX_WIRE_NAME = 20
MAX_DEPTH_MM = 400.0
# Plus sends a sign of life every 10 s, and nothing else while no tool is seen.
PLUS_SILENCE_S = 15.0


@dataclass(slots=True)
class Imported:
    """text: the room file. files: others beside it, by name. left_out: what could not be
    imported, each in words."""

    text: str
    files: Mapping[str, str]
    left_out: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """roles: of tools that are not named like one, by name. direct: the console opens trackers and
    cameras itself, in place of Plus. probe: frame of the probe's sensor. depth_mm: of the images,
    None where the device set tells."""

    roles: Mapping[str, Role]
    direct: bool = False
    probe: str = "Probe"
    depth_mm: float | None = None


def import_plus(path: Path, out: Path, options: ImportOptions) -> Imported:
    """A room file for `out` from a Plus device set. CalibrationError says what is wrong with the
    device set, RoomError that nothing in it can serve a room."""
    plus = read_device_set(path)
    root = plus.root
    files: dict[str, str] = {}
    if options.direct:
        devices, left_out = direct_devices(root, path.absolute().parent, out, files)
    else:
        devices, left_out = _served(root)
    if not devices:
        raise RoomError("; ".join([f"{path}: holds no device for a room", *left_out]))
    lines = ["format = 1", f"name = {quoted(_room_name(root, path))}", 'source = "live"']
    for device in devices:
        lines += ["", "[[devices]]"]
        lines += [f"{key} = {value_text(value)}" for key, value in device.items() if key[0] != "_"]
    lines += _tools(root, devices, options, left_out)
    lines += _ultrasound(root, plus, devices, options, left_out)
    lines += _kept_calibrations(plus)
    text = "\n".join(lines) + "\n"
    parse_room(text, None)
    return Imported(text, files, left_out)


def quoted(text: str) -> str:
    """A TOML string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def value_text(value: Any) -> str:
    """A TOML value; tables inline."""
    if isinstance(value, dict):
        items = (f"{quoted(key)} = {value_text(item)}" for key, item in value.items())
        return f"{{ {', '.join(items)} }}"
    return quoted(value) if isinstance(value, str) else json.dumps(value)


def _room_name(root: ET.Element, path: Path) -> str:
    named = next((item.get("Name") for item in root.iter("DeviceSet") if item.get("Name")), None)
    return " ".join((named or path.stem).split())


def _served(root: ET.Element) -> tuple[list[dict[str, Any]], list[str]]:
    """PlusServer as the room's devices: one for each of its OpenIGTLink servers."""
    devices: list[dict[str, Any]] = []
    left_out: list[str] = []
    for server in root.iter("PlusOpenIGTLinkServer"):
        port = _whole(server.get("ListeningPort"), DEFAULT_PORT)
        types = {item.get("Type", "").upper() for item in server.iter("Message")}
        device: dict[str, Any] = {
            "name": "Plus" if not devices else f"Plus {port}",
            "kind": "openigtlink",
            "port": port,
            "silence_s": PLUS_SILENCE_S,
            "_poses": {
                item.get("Name", "")
                for names in server.iter("TransformNames")
                for item in names.iter("Transform")
            }
            if types & {"TRANSFORM", "TDATA", "QTDATA"}
            else set(),
            "_images": [item.get("Name", "") for item in server.iter("Image")]
            if "IMAGE" in types
            else [],
        }
        if "TDATA" in types and "TRANSFORM" not in types:
            device["tracking"] = "TDATA"
        if any(other["port"] == port for other in devices):
            left_out.append(f"a second PlusOpenIGTLinkServer on port {port}")
            continue
        devices.append(device)
    if not devices:
        left_out.append("no PlusOpenIGTLinkServer: add one, or import with --direct")
    return devices, left_out


def tracked(root: ET.Element) -> list[tuple[str, str]]:
    """(tool, frame) of every tool of a tracker, by Plus's names."""
    found: list[tuple[str, str]] = []
    for device in root.iter("Device"):
        frame = device.get("ToolReferenceFrame") or "Tracker"
        for sources in device.findall("DataSources"):
            for source in sources.findall("DataSource"):
                name = source.get("Id") or source.get("PortName")
                if source.get("Type", "").lower() == "tool" and name:
                    found.append((name, frame))
    return list(dict.fromkeys(found))


def _tools(
    root: ET.Element, devices: list[dict[str, Any]], options: ImportOptions, left_out: list[str]
) -> list[str]:
    lines: list[str] = []
    taken: set[Role] = set()
    pairs = tracked(root)
    # A recording that Plus plays brings its tools along: only the server's list names them.
    known = {f"{tool}To{frame}" for tool, frame in pairs}
    for server in devices:
        for sent in sorted(server["_poses"] - known):
            if sent.endswith("ToTracker"):
                pairs.append((sent.removesuffix("ToTracker"), "Tracker"))
    for tool, frame in pairs:
        transform = f"{tool}To{frame}"
        role = options.roles.get(tool) or next((r for r in Role if r == tool.lower()), None)
        device = next((item for item in devices if transform in item["_poses"]), None)
        if len(transform) > MAX_WIRE_NAME:
            left_out.append(f"tool {tool}: '{transform}' is longer than {MAX_WIRE_NAME} characters")
        elif role is None:
            left_out.append(f"tool {tool}: has no role here; give one with --role {tool}=needle")
        elif role in taken:
            left_out.append(f"tool {tool}: another tool is the {role} already")
        elif device is None:
            what = "no device here tracks it" if options.direct else "add it to TransformNames"
            left_out.append(f"tool {tool}: '{transform}' is not sent; {what}")
        else:
            taken.add(role)
            lines += ["", "[[tools]]", f"role = {quoted(role)}", f"name = {quoted(tool)}"]
            lines += [f"device = {quoted(device['name'])}", f"transform = {quoted(transform)}"]
    for tool in options.roles.keys() - {tool for tool, _ in pairs}:
        left_out.append(f"--role {tool}: there is no such tool")
    return lines


def _ultrasound(
    root: ET.Element,
    plus: PlusDeviceSet,
    devices: list[dict[str, Any]],
    options: ImportOptions,
    left_out: list[str],
) -> list[str]:
    device = next((item for item in devices if item["_images"]), None)
    calibration = f"Image to {options.probe}"
    try:
        matrix = plus.transform("Image", options.probe)
    except CalibrationError:
        if device is not None:
            left_out.append(f"images of {device['name']}: no {calibration} transform")
        return []
    if device is None:
        left_out.append(f"{calibration}: no device here sends images")
        return []
    depth_mm = options.depth_mm or _depth_mm(root, plus, matrix)
    if depth_mm is None:
        left_out.append(f"{calibration}: the images' depth is not known; give it with --depth-mm")
        return []
    lines = ["", "[ultrasound]", f"device = {quoted(device['name'])}"]
    lines += [f"image = {quoted(device['_images'][0])}", f"depth_mm = {round(depth_mm, 1)}"]
    lines += [f"probe_from_image = {json.dumps(matrix.tolist())}"]
    try:
        parse_room("\n".join([*_stand_in(device), *lines]), None)
    except RoomError as error:
        left_out.append(f"{calibration}: {error}")
        return []
    return lines


def _stand_in(device: dict[str, Any]) -> list[str]:
    lines = ["format = 1", 'name = "R"', 'source = "live"', "[[devices]]"]
    return lines + [f"{key} = {value_text(item)}" for key, item in device.items() if key[0] != "_"]


def _depth_mm(root: ET.Element, plus: PlusDeviceSet, matrix: FloatArray) -> float | None:
    """As a device states it, or rows of the image times their height."""
    for device in root.iter("Device"):
        for key in ("DepthMm", "Depth"):
            stated = device.get(key)
            if stated is not None and stated.replace(".", "", 1).isdigit():
                return float(stated) if 0.0 < float(stated) <= MAX_DEPTH_MM else None
    if plus.clip_px is None:
        return None
    depth = (plus.clip_px[1] + plus.clip_px[3]) * float(np.linalg.norm(matrix[:3, 1]))
    return depth if 0.0 < depth <= MAX_DEPTH_MM else None


def _kept_calibrations(plus: PlusDeviceSet) -> list[str]:
    """A room file has no place for them; they stay to be read by people."""
    lines = []
    for (source, target), matrix in plus.transforms.items():
        name = quoted(f"{source} to {target}")
        lines.append(f"# {name} = {json.dumps(matrix.tolist())}")
    return ["", "# Transforms of the device set (mm):", *lines] if lines else []


def _whole(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.strip().isdigit() else default
