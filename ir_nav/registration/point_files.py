"""Points from files: JSON, CSV and 3D Slicer markups, LPS mm inside.

Markups follow Slicer's schema v1.0.3; their own RAS or LPS is converted here and nowhere else.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ir_nav.geometry import LPS_FROM_RAS, FloatArray, read_only
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.registration_file import FARTHEST_MM
from ir_nav.small_file import json_document, read_small

MAX_FILE_BYTES = 64 * 1024 * 1024
MOST_POINTS = 100_000
MOST_NAME = 80
# Points of a patient that lie nearer together than this are stated in metres.
LEAST_EXTENT_MM = 2.0
KINDS = ".json, .mrk.json or .csv"
_HEADINGS = ({"x", "y", "z"}, {"r", "a", "s"})
_SAYS_RAS = re.compile(r"#.*coordinate\s*system\W*(ras|0)\b", re.IGNORECASE)


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
    readers = {".csv": _csv_rows, ".json": _json_rows}
    if path.suffix.lower() not in readers:
        raise RegistrationError(f"{path}: not a points file: give {KINDS}")
    data = read_small(path, MAX_FILE_BYTES, RegistrationError, "a points file")
    rows = readers[path.suffix.lower()](path, data)
    _few(path, rows)
    if not rows:
        raise RegistrationError(f"{path}: holds no points")
    names = tuple(name or str(number + 1) for number, (name, _) in enumerate(rows))
    twice, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise RegistrationError(f"{path}: two points are named {twice!r}, rename one")
    return NamedPoints(names, _in_mm(path, names, np.array([point for _, point in rows])))


_Row = tuple[str, list[float]]


def _name(path: Path, name: Any) -> str:
    """As it stands, on one line; "" for none."""
    if name is None:
        return ""
    if not isinstance(name, str | int):
        raise RegistrationError(f"{path}: the name of a point is no text: rename the point")
    line = " ".join(str(name).split())
    if len(line) > MOST_NAME or not line.isprintable():
        raise RegistrationError(
            f"{path}: a name is longer than {MOST_NAME} characters, or holds some that cannot be "
            "shown: rename the point"
        )
    return line


def _in_mm(path: Path, names: tuple[str, ...], points: FloatArray) -> FloatArray:
    """Points (n, 3), read-only, where their unit can be mm."""
    far = np.abs(points).max(axis=1) > FARTHEST_MM
    if far.any():
        raise RegistrationError(
            f"{path}: {names[int(far.argmax())]} lies more than 100 m away: give mm"
        )
    extent_mm = float(np.ptp(points, axis=0).max())
    if len(points) > 2 and 0.0 < extent_mm < LEAST_EXTENT_MM:
        raise RegistrationError(
            f"{path}: all points lie within {extent_mm:.2g} mm: give mm, not metres"
        )
    return read_only(points)


def _csv_rows(path: Path, data: bytes) -> list[_Row]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RegistrationError(f"{path}: not a text file: save it as UTF-8") from None
    rows: list[_Row] = []
    reader = csv.reader(io.StringIO(text, newline=None))
    try:
        for cells in reader:
            row = _csv_row(path, reader.line_num, [cell.strip() for cell in cells], not rows)
            if row is not None:
                rows.append(row)
            _few(path, rows)
    except csv.Error as error:
        raise RegistrationError(f"{path}: line {reader.line_num}: not CSV ({error})") from None
    return rows


def _csv_row(path: Path, number: int, parts: list[str], first: bool) -> _Row | None:
    """None for a heading, a comment or an empty line."""
    if not any(parts):
        return None
    if parts[0].startswith("#"):
        if _SAYS_RAS.match(",".join(parts)):
            raise RegistrationError(f"{path}: line {number}: says RAS: give X,Y,Z in LPS")
        return None
    if first and {part.lower() for part in parts[-3:]} in _HEADINGS:
        heading = ",".join(parts[-3:])
        if heading.lower() != "x,y,z":
            raise RegistrationError(f"{path}: headed {heading}: give X,Y,Z in LPS, in this order")
        return None
    if len(parts) not in (3, 4):
        raise RegistrationError(f"{path}: line {number}: give name,x,y,z or x,y,z")
    name = _name(path, parts[0]) if len(parts) == 4 else ""
    return name, _numbers(path, number, parts[-3:])


def _few(path: Path, rows: list[Any]) -> None:
    if len(rows) > MOST_POINTS:
        raise RegistrationError(f"{path}: holds more than {MOST_POINTS:,} points: thin them out")


def _numbers(path: Path, line: int, cells: list[str]) -> list[float]:
    try:
        return _finite([float(cell) for cell in cells])
    except ValueError:
        raise RegistrationError(f"{path}: line {line}: needs three numbers in mm") from None


def _json_rows(path: Path, data: bytes) -> list[_Row]:
    document = json_document(path, data, RegistrationError)
    if isinstance(document, dict) and "markups" in document:
        return _markup_rows(path, document["markups"])
    if isinstance(document, dict) and "points" in document:
        document = document["points"]
    if isinstance(document, dict):
        named = [(_name(path, name), value) for name, value in document.items()]
        return [(name, _place(path, name, value)) for name, value in named]
    if not isinstance(document, list):
        raise RegistrationError(f"{path}: give a list of points, or names with points")
    rows = []
    for number, value in enumerate(document, start=1):
        name, place = "", value
        if isinstance(value, dict):
            name, place = _name(path, value.get("name")), value.get("position")
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
            rows.append((_name(path, point.get("label")), (turn @ position).tolist()))
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
