"""Calibrations out of files into the running room, and into files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ir_nav.session.collection import ToolCalibration
from ir_nav.session.errors import SessionError
from ir_nav.session.measured import Measured
from ir_nav.session.room import Room
from ir_nav.session.state import Role
from ir_nav.tracking.calibration.calibration_file import (
    CalibrationFile,
    CalibrationKind,
    read_calibration,
    stamped,
    write_calibration,
)
from ir_nav.tracking.calibration.pivot import PivotCalibration
from ir_nav.tracking.calibration.pivot_json import pivot_json


def load_tool(
    path: Path, role: Role, before: ToolCalibration, room: Room | None, now_s: float
) -> ToolCalibration:
    """A tool's pivot out of a file, in the place of `before`.

    CalibrationError when the file is none or was refused; SessionError when it is another
    kind's or another tool's.
    """
    found = _read(path, CalibrationKind.PIVOT, role, room)
    assert isinstance(found.result, PivotCalibration)
    made_s = now_s if found.made_s is None else found.made_s
    return before.loaded(found.result, path.name, made_s, now_s)


def load_step(path: Path, step: Measured[Any], room: Room | None, now_s: float) -> None:
    """A calibration of the scanner out of a file; errors as `load_tool`."""
    found = _read(path, step.kind, step.role, room)
    step.take(found.result, now_s if found.made_s is None else found.made_s, path.name)


def save_tool(path: Path, role: Role, tool: ToolCalibration) -> None:
    """Write a tool's pivot as `ir-nav calibrate pivot` does. SessionError without one that was
    measured here and accepted; CalibrationError where it cannot be written."""
    pivot = tool.pivot
    if pivot is None or not pivot.accepted:
        raise SessionError(f"the {role} has no accepted pivot to save")
    if tool.file is not None:
        raise SessionError(f"it was loaded from {tool.file}: there is nothing to save")
    document = pivot_json(pivot, np.arange(len(pivot.kept)))
    write_calibration(path, stamped(document, CalibrationKind.PIVOT, str(role), tool.pivot_s))


def save_step(path: Path, step: Measured[Any]) -> None:
    """Write a calibration of the scanner as `ir-nav calibrate` does; errors as `save_tool`."""
    write_calibration(path, step.to_save())


def _read(path: Path, kind: CalibrationKind, role: Role, room: Room | None) -> CalibrationFile:
    if room is None:
        raise SessionError("open a room file first")
    found = read_calibration(path)
    if found.kind is not kind:
        raise SessionError(
            f"{path.name} is a {found.kind} calibration; a {kind} calibration is wanted here"
        )
    names = _names(role, room)
    if found.tool is not None and found.tool.casefold() not in names:
        raise SessionError(
            f"{path.name} was made for {found.tool}, not for this room's {role}: choose another"
        )
    return found


def _names(role: Role, room: Room) -> set[str]:
    """What a file may call this room's tool."""
    found = {str(role)}
    for tool in room.tools:
        if tool.role is role:
            found |= {tool.name.casefold(), tool.transform.split("To")[0].casefold()}
    return found
