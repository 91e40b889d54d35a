"""Points from files: JSON, CSV and 3D Slicer markups, LPS mm inside.

Markups follow Slicer's schema v1.0.3; their own RAS or LPS is converted here and nowhere else.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ir_nav.geometry import LPS_FROM_RAS, FloatArray, read_only
from ir_nav.registration.errors import RegistrationError
from ir_nav.small_file import read_small

MAX_FILE_BYTES = 64 * 1024 * 1024
KINDS = ".json, .mrk.json or .csv"
_HEADINGS = ({"x", "y", "z"}, {"r", "a", "s"})


@dataclass(frozen=True, slots=True, eq=False)
class NamedPoints:
    """Points (n, 3) of a file, LPS mm, and their names (n,), in its order."""

    names: tuple[str, ...]
    points: FloatArray

    def __len__(self) -> int:
        return len(self.names)


def read_points(path: Path) -> NamedPoints:
    """Points of a file; a point without a name is named by its number, from 1.

    JSON: {"name": [x, y, z], ...}, [[x, y, z], ...], [{"name": ..., "position": [x, y, z]}, ...],
    or one of these under the key "points". CSV: name,x,y,z or x,y,z, with or without a heading.
    Slicer markups: every defined point of every list. Raises RegistrationError that names the
    file and the place of the fault.
    """
    text = _text(path)
    if path.suffix.lower() == ".csv":
        rows = _csv_rows(path, text)
    elif path.suffix.lower() == ".json":
        rows = _json_rows(path, text)
    else:
        raise RegistrationError(f"{path}: not a points file: give {KINDS}")
    if not rows:
        raise RegistrationError(f"{path}: holds no points")
    names = tuple(name or str(number + 1) for number, (name, _) in enumerate(rows))
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise RegistrationError(f"{path}: two points are named {twice!r}, rename one")
    return NamedPoints(names, read_only([point for _, point in rows]))


_Row = tuple[str, list[float]]


def _text(path: Path) -> str:
    data = read_small(path, MAX_FILE_BYTES, RegistrationError, "a points file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RegistrationError(f"{path}: not a text file: give {KINDS}") from None


def _csv_rows(path: Path, text: str) -> list[_Row]:
    rows: list[_Row] = []
    for number, cells in enumerate(csv.reader(io.StringIO(text)), start=1):
        parts = [cell.strip() for cell in cells]
        if not any(parts) or parts[0].startswith("#"):
            continue
        if not rows and {part.lower() for part in parts[-3:]} in _HEADINGS:
            if parts[-3].lower() == "r":
                raise RegistrationError(f"{path}: headed R,A,S: give X,Y,Z in LPS")
            continue
        if len(parts) not in (3, 4):
            raise RegistrationError(f"{path}: line {number}: give name,x,y,z or x,y,z")
        rows.append((parts[0] if len(parts) == 4 else "", _numbers(path, number, parts[-3:])))
    return rows


def _numbers(path: Path, line: int, cells: list[str]) -> list[float]:
    try:
        return _finite([float(cell) for cell in cells])
    except ValueError:
        raise RegistrationError(f"{path}: line {line}: needs three numbers in mm") from None


def _json_rows(path: Path, text: str) -> list[_Row]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RegistrationError(f"{path}: not a JSON file ({error})") from None
    if isinstance(document, dict) and "markups" in document:
        return _markup_rows(path, document["markups"])
    if isinstance(document, dict) and "points" in document:
        document = document["points"]
    if isinstance(document, dict):
        return [(name, _place(path, name, value)) for name, value in document.items()]
    if not isinstance(document, list):
        raise RegistrationError(f"{path}: give a list of points, or names with points")
    rows = []
    for number, value in enumerate(document, start=1):
        name, place = "", value
        if isinstance(value, dict):
            name, place = str(value.get("name", "")), value.get("position")
        rows.append((name, _place(path, name or f"point {number}", place)))
    return rows


def _markup_rows(path: Path, markups: Any) -> list[_Row]:
    rows = []
    for number, markup in enumerate(_list(path, "markups", markups)):
        where = f"markups.{number}"
        if not isinstance(markup, dict):
            raise RegistrationError(f"{path}: {where}: not a list of points")
        units = markup.get("coordinateUnits", "mm")
        if units not in ("mm", ["mm"] * 3):
            raise RegistrationError(f"{path}: {where}.coordinateUnits: export the points in mm")
        system = markup.get("coordinateSystem", "LPS")
        if system not in ("LPS", "RAS"):
            raise RegistrationError(f"{path}: {where}.coordinateSystem: neither LPS nor RAS")
        turn = LPS_FROM_RAS if system == "RAS" else np.eye(3)
        points = _list(path, f"{where}.controlPoints", markup.get("controlPoints", []))
        for at, point in enumerate(points):
            place = f"{where}.controlPoints.{at}"
            if not isinstance(point, dict):
                raise RegistrationError(f"{path}: {place}: not a point")
            if point.get("positionStatus", "defined") != "defined":
                continue
            position = np.array(_place(path, f"{place}.position", point.get("position")))
            rows.append((str(point.get("label", "")), (turn @ position).tolist()))
    return rows


def _list(path: Path, where: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise RegistrationError(f"{path}: {where}: not a list")
    return value


def _place(path: Path, where: str, value: Any) -> list[float]:
    numbers = isinstance(value, list) and len(value) == 3
    if not numbers or any(isinstance(v, bool) or not isinstance(v, int | float) for v in value):
        raise RegistrationError(f"{path}: {where}: needs three numbers in mm")
    try:
        return _finite([float(v) for v in value])
    except (ValueError, OverflowError):
        raise RegistrationError(f"{path}: {where}: needs three finite numbers in mm") from None


def _finite(values: list[float]) -> list[float]:
    if not np.isfinite(values).all():
        raise ValueError("not finite")
    return values
