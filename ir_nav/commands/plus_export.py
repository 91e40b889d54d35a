"""A calibration written into a Plus device set; every other byte of it stays as it is."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

import numpy as np

from ir_nav.geometry import FloatArray
from ir_nav.tracking.calibration.result import CalibrationError
from ir_nav.tracking.plus_device_set import read_device_set

MAX_JSON_BYTES = 64 * 1024 * 1024
DEFINITIONS = "CoordinateDefinitions"


@dataclass(frozen=True, slots=True, eq=False)
class PlusTransform:
    """to_from_from (4, 4), by Plus's names. error_mm: mean, None where the file states none."""

    source: str
    target: str
    matrix: FloatArray
    error_mm: float | None


def calibration_transform(path: Path, tool: str) -> PlusTransform:
    """What a pivot's or a probe's calibration file says of `tool`. CalibrationError when it is
    none, or was refused."""
    try:
        data = path.read_bytes()[: MAX_JSON_BYTES + 1]
        document = json.loads(data)
    except OSError as fault:
        raise CalibrationError(f"{path}: cannot be read ({fault.strerror})") from None
    except (ValueError, RecursionError) as fault:
        raise CalibrationError(f"{path}: not a calibration ({fault})") from None
    if not isinstance(document, dict) or document.get("format") != 1:
        raise CalibrationError(f"{path}: not a calibration of format 1")
    if document.get("accepted") is not True:
        raise CalibrationError(f"{path}: was refused ({document.get('reason')}); not exported")
    error: Any = document.get("error_mm") or {}
    if "needle_from_tip" in document:
        source, target, matrix = f"{tool}Tip", tool, document["needle_from_tip"]
    elif "probe_from_image" in document:
        source, target, matrix = "Image", tool, document["probe_from_image"]
        if isinstance(error, dict):
            error = error.get("validation") or error.get("calibration")
    else:
        raise CalibrationError(f"{path}: neither a pivot's nor a probe's calibration")
    try:
        numbers = np.array(matrix, dtype=np.float64)
    except (TypeError, ValueError):
        numbers = np.zeros(0)
    if numbers.shape != (4, 4) or not np.isfinite(numbers).all():
        raise CalibrationError(f"{path}: its matrix is not 4x4 numbers")
    mean = error.get("mean") if isinstance(error, dict) else None
    return PlusTransform(source, target, numbers, mean if isinstance(mean, float) else None)


def export_plus(transform: PlusTransform, device_set: Path, when: datetime) -> bytes:
    """The device set with `transform` among its coordinate definitions. CalibrationError when it
    cannot be read, or leads from one frame to the other in another way."""
    plus = read_device_set(device_set)
    data = device_set.read_bytes()
    pair = (transform.source, transform.target)
    if pair not in plus.transforms:
        try:
            plus.transform(*pair)
        except CalibrationError:
            pass
        else:
            raise CalibrationError(
                f"{device_set}: leads from {pair[0]} to {pair[1]} through other transforms; "
                "Plus allows one way only: remove one of them first"
            )
    places = _Places(pair)
    _parse(data, places)
    stated = {"Matrix": _matrix_text(transform.matrix)}
    if transform.error_mm is not None:
        stated["Error"] = f"{transform.error_mm:.6g}"
    stated["Date"] = when.strftime("%m%d%y_%H%M%S")
    if len(places.found) > 1:
        raise CalibrationError(
            f"{device_set}: has {pair[0]} to {pair[1]} {len(places.found)} times"
        )
    if places.found:
        start, attributes = places.found[0]
        end = _tag_end(data, start)
        # The error of the calibration before says nothing of this one.
        attributes.pop("Error", None)
        tag = _tag(attributes | stated, closed=data[end - 2 : end - 1] == b"/")
        return data[:start] + tag + data[end:]
    new = _tag({"From": pair[0], "To": pair[1]} | stated, closed=True)
    return _inserted(data, places, new)


@dataclass(slots=True)
class _Places:
    """Where things lie in the file, in bytes. found: start of each tag of the wanted transform,
    with its attributes. definitions: (start, end) tags of the first coordinate definitions."""

    wanted: tuple[str, str]
    found: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    open_tag: int | None = None
    close_tag: int | None = None
    root_end: int = 0
    depth: int = 0


def _parse(data: bytes, places: _Places) -> None:
    parser = expat.ParserCreate()

    def start(name: str, attributes: dict[str, str]) -> None:
        places.depth += 1
        if name == DEFINITIONS and places.open_tag is None:
            places.open_tag = parser.CurrentByteIndex
        ends = (attributes.get("From"), attributes.get("To"))
        if name == "Transform" and ends == places.wanted and "Matrix" in attributes:
            places.found.append((parser.CurrentByteIndex, dict(attributes)))

    def end(name: str) -> None:
        places.depth -= 1
        if name == DEFINITIONS and places.close_tag is None:
            places.close_tag = parser.CurrentByteIndex
        if places.depth == 0:
            places.root_end = parser.CurrentByteIndex

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.Parse(data, True)


def _inserted(data: bytes, places: _Places, tag: bytes) -> bytes:
    newline = b"\r\n" if b"\r\n" in data else b"\n"
    block = b"  " + f"<{DEFINITIONS}>".encode() + newline + b"    " + tag + newline
    block += b"  " + f"</{DEFINITIONS}>".encode()
    if places.open_tag is None:
        at = places.root_end
        if data[at : at + 2] != b"</":
            raise CalibrationError("the device set is empty")
        return data[:at] + block + newline + data[at:]
    end = _tag_end(data, places.open_tag)
    if data[end - 2 : end - 1] == b"/":
        return data[: places.open_tag] + block.lstrip() + data[end:]
    assert places.close_tag is not None
    # Before the indentation of the closing tag, so that it keeps its place.
    at = len(data[: places.close_tag].rstrip(b" \t"))
    at = at if data[at - 1 : at] == b"\n" else places.close_tag
    return data[:at] + b"    " + tag + newline + data[at:]


def _tag_end(data: bytes, start: int) -> int:
    """Behind the ">" of the tag; one within quotes does not end it."""
    quote = b""
    for at in range(start, len(data)):
        one = data[at : at + 1]
        if quote:
            quote = b"" if one == quote else quote
        elif one in (b'"', b"'"):
            quote = one
        elif one == b">":
            return at + 1
    raise CalibrationError("the device set is cut off")


def _tag(attributes: dict[str, str], *, closed: bool) -> bytes:
    words = " ".join(f"{key}={quoteattr(value)}" for key, value in attributes.items())
    text = f"<Transform {words}{' /' if closed else ''}>"
    return text.encode("ascii", "xmlcharrefreplace")


def _matrix_text(matrix: FloatArray) -> str:
    """Digits enough to come back the same."""
    return "  ".join(" ".join(repr(float(value)) for value in row) for row in matrix)
