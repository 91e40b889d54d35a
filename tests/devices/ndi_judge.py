"""Runs programs of others against a tracker: `ndicapi` in C, and `scikit-surgerynditracker`.

A process of its own, because ndicapi holds Python's lock while it waits for the tracker.
Prints what they saw as JSON.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import ndicapy as ndi

FRAMES = 5


def main(request: dict[str, Any]) -> dict[str, Any]:
    if request["judge"] == "scikit-surgery":
        return _scikit_surgery(request["configuration"])
    return _ndicapi(request)


def _scikit_surgery(configuration: dict[str, Any]) -> dict[str, Any]:
    from sksurgerynditracker.nditracker import NDITracker

    tracker = NDITracker(configuration)
    tracker.start_tracking()
    frames = [tracker.get_frame() for _ in range(FRAMES)]
    tracker.stop_tracking()
    _, names = tracker.get_tool_descriptions()
    return {
        "tools": [str(name) for name in names],
        "frames": [
            {"numbers": numbers, "poses": [pose.tolist() for pose in poses], "errors": errors}
            for _, _, numbers, poses, errors in frames
        ],
    }


def _ndicapi(request: dict[str, Any]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    if "path" in request:
        seen["probe"] = ndi.ndiProbe(request["path"])
        device = ndi.ndiOpen(request["path"])
        seen["reset"] = ndi.ndiRESET(device)
    else:
        device = ndi.ndiOpenNetwork(request["host"], request["port"])
    seen["too early"] = _ask(device, "TSTART:")
    seen["init"] = _ask(device, "INIT:")
    if "path" in request:
        seen["comm"] = _ask(device, "COMM:50000")
    seen["unknown"] = _ask(device, "NONSENSE:")
    seen["handles"] = [_load(device, rom) for rom in request["roms"]]
    seen["start"] = _ask(device, "TSTART:")
    ndi.ndiCommand(device, "TX:0801")
    seen["TX"] = [_read(device, handle, "TX") for handle in seen["handles"]]
    seen["system"] = ndi.ndiGetTXSystemStatus(device)
    ndi.ndiCommand(device, "TX:0001")
    seen["TX without 0800"] = [_read(device, handle, "TX") for handle in seen["handles"]]
    ndi.ndiCommand(device, "BX:0801")
    seen["BX"] = [_read(device, handle, "BX") for handle in seen["handles"]]
    seen["stop"] = _ask(device, "TSTOP:")
    return seen


def _ask(device: Any, command: str) -> str:
    try:
        return str(ndi.ndiCommand(device, command))
    except OSError as error:
        return str(error)


def _load(device: Any, rom: str) -> int:
    _ask(device, "PHRQ:*********1****")
    handle = ndi.ndiGetPHRQHandle(device)
    ndi.ndiPVWRFromFile(device, handle, rom)
    for command in (f"PINIT:{handle:02X}", f"PENA:{handle:02X}D"):
        assert _ask(device, command) == "OKAY"
    return int(handle)


def _read(device: Any, handle: int, kind: str) -> dict[str, Any]:
    port = bytes([handle])
    pose = getattr(ndi, f"ndiGet{kind}Transform")(device, port)
    return {
        "pose": pose if isinstance(pose, str) else list(pose),
        "frame": getattr(ndi, f"ndiGet{kind}Frame")(device, port),
        "status": getattr(ndi, f"ndiGet{kind}PortStatus")(device, port),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(json.loads(sys.argv[1]))) + "\n")
    sys.stdout.flush()
