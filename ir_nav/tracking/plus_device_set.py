"""Transforms and clip rectangles out of a Plus device set (.xml)."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ir_nav.geometry import FloatArray, read_only
from ir_nav.tracking.calibration.result import CalibrationError

MAX_FILE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class PlusDeviceSet:
    """transforms: (from, to) frames by Plus's names to (4, 4), to_from_from, as stored.

    clip_px: (u, v, columns, rows) of the volume reconstruction, None when not given.
    mm_per_px: approximate scale of the images, None when not given. root: the whole document.
    """

    transforms: dict[tuple[str, str], FloatArray]
    clip_px: tuple[int, int, int, int] | None
    mm_per_px: float | None
    root: ET.Element

    def transform(self, source: str, target: str) -> FloatArray:
        """target_from_source (4, 4), along the fewest links; CalibrationError when none lead."""
        reached: dict[str, FloatArray] = {source: np.eye(4)}
        waiting = deque([source])
        while waiting:
            here = waiting.popleft()
            if here == target:
                return read_only(reached[here])
            for (one, other), matrix in self.transforms.items():
                if one == here and other not in reached:
                    reached[other] = matrix @ reached[here]
                    waiting.append(other)
                elif other == here and one not in reached:
                    reached[one] = np.linalg.inv(matrix) @ reached[here]
                    waiting.append(one)
        raise CalibrationError(f"holds no {source} to {target} transform")


def read_device_set(path: Path) -> PlusDeviceSet:
    """CalibrationError says what is wrong with the file."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CalibrationError(f"{path}: cannot be read ({error.strerror})") from None
    # Entities are declared only in a DTD: without one nothing can be expanded or fetched.
    if len(data) > MAX_FILE_BYTES or b"<!" in data.replace(b"<!--", b"") or b"\0" in data:
        raise CalibrationError(f"{path}: too large for a Plus device set, in UTF-16, or has a DTD")
    try:
        root = ET.fromstring(data)
        return PlusDeviceSet(_transforms(root), _clip_px(root), _mm_per_px(root), root)
    except (ET.ParseError, ValueError) as error:
        raise CalibrationError(f"{path}: not a Plus device set ({error})") from None


def _transforms(root: ET.Element) -> dict[tuple[str, str], FloatArray]:
    found = {}
    for element in root.iter("Transform"):
        source, target = element.get("From"), element.get("To")
        if not source or not target or element.get("Matrix") is None:
            continue
        matrix = np.array(_numbers(element, "Matrix", 16)).reshape(4, 4)
        if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-12:
            raise ValueError(f"{source} to {target} cannot be inverted")
        found[source, target] = read_only(matrix)
    return found


def _clip_px(root: ET.Element) -> tuple[int, int, int, int] | None:
    element = next(root.iter("VolumeReconstruction"), None)
    if element is None or element.get("ClipRectangleSize") is None:
        return None
    u, v = _numbers(element, "ClipRectangleOrigin", 2)
    columns, rows = _numbers(element, "ClipRectangleSize", 2)
    return int(u), int(v), int(columns), int(rows)


def _mm_per_px(root: ET.Element) -> float | None:
    element = next(root.iter("Segmentation"), None)
    if element is None or element.get("ApproximateSpacingMmPerPixel") is None:
        return None
    return _numbers(element, "ApproximateSpacingMmPerPixel", 1)[0]


def _numbers(element: ET.Element, attribute: str, count: int) -> tuple[float, ...]:
    values = tuple(float(part) for part in element.get(attribute, "").split())
    if len(values) != count:
        raise ValueError(f"{attribute} is not {count} numbers")
    return values
