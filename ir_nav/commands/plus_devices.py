"""Devices of a Plus device set that the console can open itself."""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any, get_args

import numpy as np

from devices.contract import DeviceError
from ir_nav.session.device_entries import NdiBaud

NDI_TYPES = ("PolarisTracker", "NDITracker", "AuroraTracker")
VEGA_PORT = "8765"
SERIAL_PORT = "/dev/ttyUSB{}"
BAUDS = get_args(NdiBaud)
# What Plus's marker tracker is worth where its calibration does not say.
NOMINAL_RMS_PX = 0.5
_MANY = 100

Entry = dict[str, Any]


def direct_devices(
    root: ET.Element, folder: Path, out: Path, files: dict[str, str]
) -> tuple[list[Entry], list[str]]:
    """Entries of a room file at `out`, and what was left out, in words.

    folder: of the device set. files: gets the files to be written beside the room file. Keys of
    an entry that begin with "_" are not for the file: the poses and images it delivers.
    """
    entries: list[Entry] = []
    left_out: list[str] = []
    elements = list(root.iter("Device"))
    cameras = {item.get("Id"): item for item in elements}
    used: set[str | None] = set()
    for element in elements:
        entry: Entry | None = None
        if element.get("Type") in NDI_TYPES:
            entry = _ndi(element, folder, out, left_out)
        elif element.get("Type") == "OpticalMarkerTracker":
            camera = _camera_of(element, cameras)
            used |= {None if camera is None else camera.get("Id")}
            entry = _aruco(element, camera, folder, out, files, left_out)
        if entry is not None:
            entries.append(entry)
    for element in elements:
        if element.get("Type") in (*NDI_TYPES, "OpticalMarkerTracker"):
            continue
        if element.get("Id") in used:
            continue
        address = _video_address(element)
        if address is None:
            left_out.append(f"device {_title(element)}: the console has no such device")
            continue
        image = next((item.get("Name") for item in root.iter("Image")), None) or "Image"
        entry = {"name": _name(element), "kind": "video", "address": address, "image": image}
        entries.append(entry | {"_poses": set(), "_images": [image]})
    names: set[str] = set()
    for entry in entries:
        if entry["name"] in names:
            entry["name"] = f"{entry['name'][:16]} {len(names) + 1}"
        names.add(entry["name"])
    return entries, left_out


def _ndi(element: ET.Element, folder: Path, out: Path, left_out: list[str]) -> Entry | None:
    frame = element.get("ToolReferenceFrame") or "Tracker"
    tools: dict[str, Any] = {}
    for source in _tool_sources(element):
        transform = f"{source.get('Id')}To{frame}"
        rom, plug = source.get("RomFile"), source.get("PortName")
        if len(transform) > 20:
            continue
        if rom:
            path = folder / rom.replace("\\", "/")
            tools[transform] = _relative(path, out)
            if not path.is_file():
                left_out.append(f"{rom} of {transform}: not found; put it at {path}")
        elif plug is not None and plug.isdigit():
            # Plus counts plugs from 0, and the channel of a splitter in hundreds.
            tools[transform] = {"port": int(plug) % _MANY + 1, "channel": int(plug) // _MANY}
        else:
            left_out.append(f"tool {source.get('Id')}: has neither RomFile nor a numbered PortName")
    if not tools:
        left_out.append(f"device {_title(element)}: has no tools")
        return None
    entry: Entry = {"name": _name(element), "kind": "ndi", "address": _address(element, left_out)}
    baud = element.get("BaudRate", "")
    if baud.isdigit() and int(baud) in BAUDS:
        entry["baud"] = int(baud)
    return entry | {"tools": tools, "_poses": set(tools), "_images": []}


def _address(element: ET.Element, left_out: list[str]) -> str:
    if host := element.get("NetworkHostname"):
        return f"{host}:{element.get('NetworkPort') or VEGA_PORT}"
    number = element.get("SerialPort", "")
    if number.isdigit() and int(number) > 0:
        address = f"COM{number}" if os.name == "nt" else SERIAL_PORT.format(int(number) - 1)
        left_out.append(f"SerialPort {number} of {_title(element)}: {address} is a guess; check it")
        return address
    address = SERIAL_PORT.format(0)
    left_out.append(f"{_title(element)} states no port: {address} is a guess; check it")
    return address


def _camera_of(element: ET.Element, devices: dict[str | None, ET.Element]) -> ET.Element | None:
    """The video device whose output channel the tracker takes in."""
    wanted = {item.get("Id") for item in element.findall("InputChannels/InputChannel")}
    for device in devices.values():
        if {item.get("Id") for item in device.findall("OutputChannels/OutputChannel")} & wanted:
            return device
    return None


def _aruco(
    element: ET.Element,
    camera: ET.Element | None,
    folder: Path,
    out: Path,
    files: dict[str, str],
    left_out: list[str],
) -> Entry | None:
    title = f"device {_title(element)}"
    address = None if camera is None else _video_address(camera)
    if address is None:
        left_out.append(f"{title}: its camera is not one that the console can open")
        return None
    stated = element.get("CameraCalibrationFile", "")
    try:
        intrinsics, known = _intrinsics(folder / stated.replace("\\", "/"))
        bodies, transforms = _bodies(element, left_out)
    except DeviceError as error:
        left_out.append(f"{title}: {error}")
        return None
    if not known:
        left_out.append(f"reprojection error of {stated}: {NOMINAL_RMS_PX} px is assumed")
    stem = f"{out.stem}-{_name(element)}".replace(" ", "-").replace("/", "-")
    files[f"{stem}-bodies.toml"], files[f"{stem}-camera.json"] = bodies, intrinsics
    return {
        "name": _name(element),
        "kind": "aruco",
        "address": address,
        "bodies": f"{stem}-bodies.toml",
        "intrinsics": f"{stem}-camera.json",
        "_poses": transforms,
        "_images": [],
    }


def _bodies(element: ET.Element, left_out: list[str]) -> tuple[str, set[str]]:
    """The body file, and the transforms in it. Raises DeviceError."""
    from devices.optical.bodies import parse_bodies

    frame = element.get("ToolReferenceFrame") or "Tracker"
    document: dict[str, Any] = {
        "format": 1,
        "dictionary": element.get("MarkerDictionary", ""),
        "bodies": [],
    }
    for source in _tool_sources(element):
        transform = f"{source.get('Id')}To{frame}"
        number, size = source.get("MarkerId"), source.get("MarkerSizeMm")
        if len(transform) > 20:
            continue
        try:
            half = float(size or "") / 2.0
            marker = int(number or "")
        except ValueError:
            left_out.append(f"tool {source.get('Id')}: not a single marker with its size")
            continue
        # Plus's marker frame: x to the right and y up on the print, z towards the reader.
        corners = [[-half, half, 0], [half, half, 0], [half, -half, 0], [-half, -half, 0]]
        document["bodies"].append(
            {"transform": transform, "markers": [{"id": marker, "corners_mm": corners}]}
        )
    parse_bodies(json.dumps(document).encode(), toml=False)
    lines = ["format = 1", f"dictionary = {json.dumps(document['dictionary'])}"]
    for body in document["bodies"]:
        (marker_entry,) = body["markers"]
        lines += ["", "[[bodies]]", f"transform = {json.dumps(body['transform'])}"]
        lines += ["[[bodies.markers]]", f"id = {marker_entry['id']}"]
        lines += [f"corners_mm = {json.dumps(marker_entry['corners_mm'])}"]
    return "\n".join(lines) + "\n", {body["transform"] for body in document["bodies"]}


def _intrinsics(path: Path) -> tuple[str, bool]:
    """The camera's file from OpenCV's, and whether it states its error. Raises DeviceError."""
    import cv2

    from devices.optical.intrinsics import parse_intrinsics

    if not path.is_file():
        raise DeviceError(f"its CameraCalibrationFile is not at {path}; put it there")
    try:
        store = cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ)
        camera = np.asarray(store.getNode("camera_matrix").mat(), dtype=np.float64)
        lens = np.asarray(store.getNode("distortion_coefficients").mat(), dtype=np.float64).ravel()
        size = [int(store.getNode(f"image_{side}").real()) for side in ("width", "height")]
        error = store.getNode("avg_reprojection_error")
        rms = float(error.real()) if not error.empty() else 0.0
        store.release()
    except (cv2.error, SystemError, TypeError, ValueError) as fault:
        raise DeviceError(f"{path} is no camera calibration of OpenCV ({fault})") from None
    if camera.shape != (3, 3) or lens.size not in (4, 5):
        raise DeviceError(f"{path}: needs a 3x3 camera_matrix and 4 or 5 distortion_coefficients")
    document = {
        "format": 1,
        "size_px": size,
        "focal_px": [camera[0, 0], camera[1, 1]],
        "principal_px": [camera[0, 2], camera[1, 2]],
        "distortion": [*lens, 0.0][:5],
        "rms_px": rms if rms > 0.0 else NOMINAL_RMS_PX,
    }
    text = json.dumps(document, indent=2, default=float) + "\n"
    parse_intrinsics(text.encode())
    return text, rms > 0.0


def _video_address(element: ET.Element) -> int | str | None:
    if url := element.get("VideoURL"):
        return url
    for key in ("DeviceIndex", "CaptureDeviceId"):
        number = element.get(key)
        if number is not None and number.isdigit():
            return int(number)
    return 0 if element.get("Type") in ("OpenCVVideo", "MmfVideo") else None


def _tool_sources(element: ET.Element) -> list[ET.Element]:
    sources = element.findall("DataSources/DataSource")
    return [item for item in sources if item.get("Type", "").lower() == "tool" and item.get("Id")]


def _name(element: ET.Element) -> str:
    words = "".join(one for one in element.get("Id", "") if one.isalnum() or one in " -_")
    return words[:20] or "Device"


def _title(element: ET.Element) -> str:
    return f"{element.get('Id') or 'without Id'} ({element.get('Type') or 'no type'})"


def _relative(path: Path, out: Path) -> str:
    try:
        return Path(os.path.relpath(path, out.absolute().parent)).as_posix()
    except ValueError:  # another drive on Windows
        return path.as_posix()
