"""Where the wires of an N-wire phantom run, and its landmarks."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from ir_nav.geometry import FloatArray, read_only, rigidity_fault
from ir_nav.small_file import first_fault, read_small
from ir_nav.tracking.calibration.result import CalibrationError

MAX_FILE_BYTES = 4 * 1024 * 1024
MIN_PATTERNS = 2
# Wires of an N lie in one plane; real ones are drawn through drilled holes.
MAX_CROSSING_GAP_MM = 0.5
MIN_ACROSS_MM = 5.0
# Files carry six digits.
RIGID_TOLERANCE = 1e-3

Point = tuple[FiniteFloat, FiniteFloat, FiniteFloat]
Row = tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat]


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """N-wire phantom of k patterns, three wires each: side, diagonal, side.

    names: 3 k wires, pattern by pattern. wires_mm (3 k, 2, 3): front and back end of each, in
    phantom mm. crossings_mm (k, 2, 3): where the diagonal's line meets the lines of the first
    and of the third wire. reference_from_phantom (4, 4): None until the phantom is registered.
    landmark_names (m,), landmarks_mm (m, 3): points to touch with a stylus, in phantom mm.
    """

    name: str
    names: tuple[str, ...]
    wires_mm: FloatArray
    crossings_mm: FloatArray
    reference_from_phantom: FloatArray | None
    landmark_names: tuple[str, ...] = ()
    landmarks_mm: FloatArray = field(default_factory=lambda: read_only(np.zeros((0, 3))))

    @property
    def patterns(self) -> int:
        return len(self.crossings_mm)

    def registered(self, reference_from_phantom: ArrayLike) -> Phantom:
        """The same phantom at a pose (4, 4) in the reference; CalibrationError when not rigid."""
        pose = np.asarray(reference_from_phantom, dtype=np.float64)
        fault = rigidity_fault(pose, RIGID_TOLERANCE)
        if fault is not None:
            raise CalibrationError(f"reference_from_phantom {fault}: register the phantom again")
        return replace(self, reference_from_phantom=read_only(pose))


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class _WireFile(_Strict):
    name: Annotated[str, Field(min_length=1, max_length=80)]
    front_mm: Point
    back_mm: Point


class _PatternFile(_Strict):
    wires: tuple[_WireFile, _WireFile, _WireFile]


class _LandmarkFile(_Strict):
    name: Annotated[str, Field(min_length=1, max_length=80)]
    phantom_mm: Point


class _PhantomFile(_Strict):
    format: Literal[1]
    name: Annotated[str, Field(min_length=1, max_length=120)]
    patterns: Annotated[tuple[_PatternFile, ...], Field(min_length=1, max_length=20)]
    reference_from_phantom: tuple[Row, Row, Row, Row] | None = None
    landmarks: Annotated[tuple[_LandmarkFile, ...], Field(max_length=60)] = ()


def read_phantom(path: Path) -> Phantom:
    """Read our JSON (format 1) or a Plus device set (.xml); CalibrationError says what is wrong.

    JSON: {"format": 1, "name", "patterns": [{"wires": [{"name", "front_mm", "back_mm"} x 3]}],
    "reference_from_phantom": 4x4 or absent, "landmarks": [{"name", "phantom_mm"}] or absent}, all
    mm in the phantom's frame.
    """
    what = "a phantom, choose its JSON or XML file"
    data = read_small(path, MAX_FILE_BYTES, CalibrationError, what)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CalibrationError(f"{path}: not text in UTF-8, save it again as UTF-8") from None
    try:
        if text.lstrip().startswith("<"):
            return _checked(_from_plus(text))
        return _checked(_PhantomFile.model_validate_json(text))
    except ValidationError as error:
        raise CalibrationError(f"{path}: {first_fault(error)}") from None
    except CalibrationError as error:
        raise CalibrationError(f"{path}: {error}") from None


def _from_plus(text: str) -> _PhantomFile:
    """PhantomDefinition and the Phantom to Reference transform of a Plus configuration."""
    # Entities are declared only there: without it nothing can be expanded or fetched.
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise CalibrationError("holds a DTD, which no phantom needs: remove it")
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        raise CalibrationError(f"not well-formed XML ({error})") from None
    definition = next(root.iter("PhantomDefinition"), None)
    if definition is None:
        raise CalibrationError("has no PhantomDefinition: choose the set used for calibration")
    patterns = []
    for pattern in definition.iter("Pattern"):
        if pattern.get("Type") != "NWire":
            raise CalibrationError(
                f"pattern of type {pattern.get('Type')}: only NWire patterns are understood"
            )
        wires = [
            {
                "name": wire.get("Name", ""),
                "front_mm": _numbers(wire, "EndPointFront", 3),
                "back_mm": _numbers(wire, "EndPointBack", 3),
            }
            for wire in pattern.iter("Wire")
        ]
        patterns.append({"wires": tuple(wires)})
    described = definition.find("Description")
    pose = None
    for transform in root.iter("Transform"):
        if transform.get("From") == "Phantom" and transform.get("To") == "Reference":
            values = _numbers(transform, "Matrix", 16)
            pose = tuple(values[4 * row : 4 * row + 4] for row in range(4))
    return _PhantomFile.model_validate(
        {
            "format": 1,
            "name": "phantom" if described is None else described.get("Name", "phantom"),
            "patterns": tuple(patterns),
            "reference_from_phantom": pose,
            "landmarks": tuple(
                {"name": one.get("Name", ""), "phantom_mm": _numbers(one, "Position", 3)}
                for one in definition.iter("Landmark")
            ),
        }
    )


def _numbers(element: ET.Element, attribute: str, count: int) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in element.get(attribute, "").split())
    except ValueError:
        values = ()
    if len(values) != count:
        name = element.get("Name") or element.tag
        raise CalibrationError(f"{attribute} of {name} is not {count} numbers")
    return values


def _checked(file: _PhantomFile) -> Phantom:
    """Geometry that an N-wire calibration can use; CalibrationError names the wires at fault."""
    if len(file.patterns) < MIN_PATTERNS:
        raise CalibrationError(f"one N pattern only: at least {MIN_PATTERNS} are needed")
    wires = [wire for pattern in file.patterns for wire in pattern.wires]
    names = tuple(wire.name for wire in wires)
    if len(set(names)) != len(names):
        raise CalibrationError("two wires have the same name: give each its own")
    ends = np.array([(wire.front_mm, wire.back_mm) for wire in wires])
    crossings = []
    for index in range(0, len(wires), 3):
        side, diagonal, other = ends[index : index + 3]
        label = ", ".join(names[index : index + 3])
        pair = [_crossing(side, diagonal, label), _crossing(other, diagonal, label)]
        if np.linalg.norm(pair[1] - pair[0]) < MIN_ACROSS_MM:
            raise CalibrationError(f"wires {label} cross in one point: they form no N")
        crossings.append(pair)
    named = tuple(landmark.name for landmark in file.landmarks)
    if len(set(named)) != len(named):
        raise CalibrationError("two landmarks have the same name: give each its own")
    places = np.array([landmark.phantom_mm for landmark in file.landmarks]).reshape(-1, 3)
    phantom = Phantom(
        file.name, names, read_only(ends), read_only(crossings), None, named, read_only(places)
    )
    if file.reference_from_phantom is None:
        return phantom
    return phantom.registered(file.reference_from_phantom)


def _crossing(side: FloatArray, diagonal: FloatArray, label: str) -> FloatArray:
    """(3,): point half way between two lines (2, 3) where they come closest."""
    along, across = side[1] - side[0], diagonal[1] - diagonal[0]
    if min(np.linalg.norm(along), np.linalg.norm(across)) < MIN_ACROSS_MM:
        raise CalibrationError(f"wires {label}: one is shorter than {MIN_ACROSS_MM:.0f} mm")
    normal = np.cross(along, across)
    if np.linalg.norm(normal) < 0.02 * np.linalg.norm(along) * np.linalg.norm(across):
        raise CalibrationError(f"wires {label}: the second runs along a side wire, it is no N")
    steps = np.linalg.solve(
        np.column_stack((along, -across, normal)), np.asarray(diagonal[0] - side[0])
    )
    ends = side[0] + steps[0] * along, diagonal[0] + steps[1] * across
    if np.linalg.norm(ends[1] - ends[0]) > MAX_CROSSING_GAP_MM:
        raise CalibrationError(f"wires {label} do not lie in one plane: check their end points")
    return np.asarray((ends[0] + ends[1]) / 2.0)
