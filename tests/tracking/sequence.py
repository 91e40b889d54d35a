"""Transforms out of a Plus sequence file (.igs.mha), and matrices out of its XML."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_FIELD = re.compile(rb"^Seq_Frame(\d+)_(\w+) = (.*?)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Sequence:
    """times_s (n,); matrices and statuses by transform name, such as "StylusToTracker"."""

    times_s: np.ndarray
    matrices: dict[str, np.ndarray]
    statuses: dict[str, tuple[str, ...]]


def read_sequence(path: Path) -> Sequence:
    frames: dict[int, dict[str, str]] = {}
    for number, key, value in _FIELD.findall(path.read_bytes()):
        frames.setdefault(int(number), {})[key.decode()] = value.decode()
    ordered = [frames[number] for number in sorted(frames)]
    names = [key.removesuffix("Transform") for key in ordered[0] if key.endswith("Transform")]
    return Sequence(
        np.array([float(frame["Timestamp"]) for frame in ordered]),
        {
            name: np.array([_matrix(frame[f"{name}Transform"]) for frame in ordered])
            for name in names
        },
        {name: tuple(frame[f"{name}TransformStatus"] for frame in ordered) for name in names},
    )


def xml_matrix(path: Path, source: str, target: str) -> np.ndarray:
    """The (4, 4) of <Transform From=source To=target>."""
    found = ET.parse(path).getroot().find(f".//Transform[@From='{source}'][@To='{target}']")
    assert found is not None
    return _matrix(found.attrib["Matrix"])


def xml_landmarks(path: Path) -> np.ndarray:
    """(n, 3) mm in the phantom."""
    found = ET.parse(path).getroot().findall(".//Landmarks/Landmark")
    return np.array([[float(v) for v in one.attrib["Position"].split()] for one in found])


def _matrix(text: str) -> np.ndarray:
    return np.array([float(value) for value in text.split()]).reshape(4, 4)
