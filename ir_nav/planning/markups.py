"""Paths as 3D Slicer markups: one line for each needle, and a path from a line or a curve.

Files follow Slicer's markups schema v1.0.3 (Modules/Loadable/Markups/Resources/Schema): a file
states its coordinate system, LPS or RAS, and LPS mm is written.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from ir_nav.geometry import LPS_FROM_RAS, FloatArray, split_offset, unit
from ir_nav.planning.path import PlannedPath
from ir_nav.planning.plan import Plan
from ir_nav.planning.plan_errors import PlanError, describe_faults
from ir_nav.whole_file import write_whole

SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/"
    "Resources/Schema/markups-schema-v1.0.3.json#"
)
# A curve that leaves the straight line by more is no needle's path.
STRAIGHT_MM = 2.0
PLAN_RGB = [0.337, 0.706, 0.914]
_MM_PER_UNIT = {"mm": 1.0, "um": 1e-3}
_ENTRY, _TARGET = ("entry", "skin"), ("target", "tip")


class _Point(BaseModel):
    model_config = ConfigDict(frozen=True)

    label: str = ""
    position: tuple[FiniteFloat, FiniteFloat, FiniteFloat] | None = None
    positionStatus: str = "defined"  # noqa: N815 - Slicer's key


class _Markup(BaseModel):
    """One markup. Keys that Slicer adds for its display are left aside."""

    model_config = ConfigDict(frozen=True)

    type: str
    name: str = ""
    coordinateSystem: Literal["LPS", "RAS"] = "LPS"  # noqa: N815 - Slicer's key
    coordinateUnits: str | tuple[str, str, str] = "mm"  # noqa: N815 - Slicer's key
    controlPoints: tuple[_Point, ...] = ()  # noqa: N815 - Slicer's key


class _MarkupsFile(BaseModel):
    model_config = ConfigDict(frozen=True)

    markups: Annotated[tuple[_Markup, ...], Field(min_length=1)]


def write_markups(plan: Plan, path: Path) -> None:
    """Write one line per needle, from entry to target, whole or not at all."""
    paths = plan.paths
    names = [plan.name] if len(paths) == 1 else [f"{plan.name} {n + 1}" for n in range(len(paths))]
    document = {
        "@schema": SCHEMA,
        "markups": [_line(name, one) for name, one in zip(names, paths, strict=True)],
    }
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    write_whole(path, text.encode("utf-8"))


def read_markup_path(path: Path, *, target_first: bool = False) -> PlannedPath:
    """The path that a line, a straight curve, or two labelled points of a markups file give.

    Labels that begin with "entry" or "skin" and "target" or "tip" say which end is which; without
    them the first point is the entry, or the target when target_first. PlanError names the file,
    the key and what is wrong: no straight path, an unknown unit, several markups.
    """
    markup = _only_markup(path)
    points = _points_ct_mm(markup, path)
    if markup.type in ("Line", "Curve"):
        entry, target = _ends(markup, points, path, target_first)
    elif markup.type == "Fiducial":
        entry, target = _labelled(markup, points, path)
    else:
        raise PlanError(
            f"{path}: markups.0.type: a {markup.type} is no path: import a line, a curve, or two "
            "points labelled Entry and Target"
        )
    if np.linalg.norm(target - entry) < 1.0:
        raise PlanError(f"{path}: markups.0.controlPoints: both ends lie in one place")
    return PlannedPath.between(entry, target)


def _line(name: str, path: PlannedPath) -> dict[str, Any]:
    points = (("Entry", path.entry_ct_mm), ("Target", path.target_ct_mm))
    return {
        "type": "Line",
        "name": name,
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": True,
        "fixedNumberOfControlPoints": True,
        "labelFormat": "%N-%d",
        "lastUsedControlPointNumber": 2,
        "controlPoints": [
            {
                "id": str(number),
                "label": label,
                "description": "",
                "associatedNodeID": "",
                "position": [float(value) for value in point],
                "orientation": [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0],
                "selected": True,
                "locked": True,
                "visibility": True,
                "positionStatus": "defined",
            }
            for number, (label, point) in enumerate(points, start=1)
        ],
        "measurements": [
            {"name": "length", "enabled": True, "value": path.length_mm, "units": "mm"}
        ],
        "display": {"visibility": True, "color": PLAN_RGB, "selectedColor": PLAN_RGB},
    }


def _only_markup(path: Path) -> _Markup:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        read = _MarkupsFile.model_validate(document)
    except FileNotFoundError:
        raise PlanError(f"{path}: there is no such markups file") from None
    except ValidationError as error:
        raise PlanError(f"{path}: {describe_faults(error)}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise PlanError(f"{path}: not a markups file ({error})") from None
    if len(read.markups) > 1:
        raise PlanError(
            f"{path}: markups: {len(read.markups)} markups in one file: save the one line alone"
        )
    return read.markups[0]


def _points_ct_mm(markup: _Markup, path: Path) -> FloatArray:
    """(n, 3) control points in `ct`, mm."""
    code = markup.coordinateUnits
    scale = _MM_PER_UNIT.get(code if isinstance(code, str) else code[0])
    if scale is None:
        raise PlanError(
            f"{path}: markups.0.coordinateUnits: unit {code!r} is not known: save it in mm"
        )
    positions = []
    for number, point in enumerate(markup.controlPoints):
        if point.position is None or point.positionStatus not in ("defined", "preview"):
            raise PlanError(
                f"{path}: markups.0.controlPoints.{number}: this point was never placed: place it "
                "in Slicer or delete it"
            )
        positions.append(point.position)
    if len(positions) < 2:
        raise PlanError(f"{path}: markups.0.controlPoints: a path needs two points")
    points = np.array(positions) * scale
    return points @ LPS_FROM_RAS.T if markup.coordinateSystem == "RAS" else points


def _ends(
    markup: _Markup, points: FloatArray, path: Path, target_first: bool
) -> tuple[FloatArray, FloatArray]:
    first, last = points[0], points[-1]
    length_mm = float(np.linalg.norm(last - first))
    if length_mm < 1.0:
        raise PlanError(f"{path}: markups.0.controlPoints: both ends lie in one place")
    off_mm = 0.0
    for point in points[1:-1]:
        _, beside = split_offset(point, first, unit(last - first))
        off_mm = max(off_mm, float(np.linalg.norm(beside)))
    if off_mm > STRAIGHT_MM:
        raise PlanError(
            f"{path}: markups.0: the curve leaves the straight line by {off_mm:.1f} mm "
            f"(at most {STRAIGHT_MM:g}): a needle's path is straight"
        )
    labels = [markup.controlPoints[index].label for index in (0, -1)]
    turned = target_first
    if _means(labels[0], _TARGET) or _means(labels[1], _ENTRY):
        turned = True
    elif _means(labels[0], _ENTRY) or _means(labels[1], _TARGET):
        turned = False
    return (last, first) if turned else (first, last)


def _labelled(markup: _Markup, points: FloatArray, path: Path) -> tuple[FloatArray, FloatArray]:
    entries = [i for i, one in enumerate(markup.controlPoints) if _means(one.label, _ENTRY)]
    targets = [i for i, one in enumerate(markup.controlPoints) if _means(one.label, _TARGET)]
    if len(entries) != 1 or len(targets) != 1:
        raise PlanError(
            f"{path}: markups.0.controlPoints: label one point Entry and one Target, "
            f"found {len(entries)} and {len(targets)}"
        )
    return points[entries[0]], points[targets[0]]


def _means(label: str, words: tuple[str, ...]) -> bool:
    return label.strip().lower().startswith(words)
