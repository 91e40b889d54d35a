"""The patient's images and the path being planned on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ir_nav.geometry import FloatArray, angle_between_deg
from ir_nav.imaging import LabelMap, Volume, read_labels, read_volume
from ir_nav.planning import (
    Ground,
    PlanFinding,
    PlannedPath,
    Proposals,
    Protocol,
    findings,
    limiting,
    prepare,
    propose,
)
from ir_nav.session.room import CaseEntry, Room
from ir_nav.session.touching import Fiducial

Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One patient's planning CT, its structures, and the landmarks to touch."""

    volume: Volume | None = None
    labels: LabelMap | None = None
    fiducials: tuple[Fiducial, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class PlanDraft:
    """A path under way: each point (3,) in `ct`, mm, or None until it is placed."""

    target_ct_mm: FloatArray | None = None
    entry_ct_mm: FloatArray | None = None
    structure: str = ""

    @property
    def path(self) -> PlannedPath | None:
        """The path, once both points are placed and differ."""
        if self.target_ct_mm is None or self.entry_ct_mm is None:
            return None
        if np.linalg.norm(self.target_ct_mm - self.entry_ct_mm) < 1.0:
            return None
        return PlannedPath.between(self.entry_ct_mm, self.target_ct_mm)


@dataclass(frozen=True, slots=True)
class Findings:
    """A path judged. axial_angle_deg: out of the axial plane, positive towards the head.
    clearance: the one with the least to spare, None when nothing is near. limits: every
    criterion of the protocol, None while the distances are not worked out."""

    length_mm: float
    axial_angle_deg: float
    clearance: PlanFinding | None = None
    limits: tuple[PlanFinding, ...] | None = None


def judge(path: PlannedPath, ground: Ground | None, protocol: Protocol | None = None) -> Findings:
    """Length, tilt and, once the patient's ground is known, every limit of a path."""
    outward = -path.direction_ct
    tilt = 90.0 - angle_between_deg(outward, (0.0, 0.0, 1.0))
    if ground is None:
        return Findings(path.length_mm, tilt)
    found = findings(ground, ground.protocol if protocol is None else protocol, path)
    return Findings(path.length_mm, tilt, limiting(found), found)


def read_case(
    ct: Path,
    labels: Path | None = None,
    label_names: Path | None = None,
    fiducials: tuple[Fiducial, ...] = (),
    progress: Progress | None = None,
) -> Case:
    """Read a case from files; ImagingError says what is wrong with one."""
    volume = read_volume(ct, progress)
    label_map = read_labels(labels, label_names, like=volume) if labels is not None else None
    return Case(volume, label_map, fiducials)


def read_room_case(room: Room, room_path: Path, progress: Progress | None = None) -> Case:
    """Read the case a room file names; paths are relative to the file."""
    entry = room.case
    if entry is None:
        return Case()
    here = room_path.parent

    def full(name: str | None) -> Path | None:
        return None if name is None else here / name

    return read_case(
        here / entry.ct, full(entry.labels), full(entry.label_names), fiducials(entry), progress
    )


def fiducials(entry: CaseEntry) -> tuple[Fiducial, ...]:
    return tuple(Fiducial(item.name, item.ct_mm) for item in entry.fiducials)


def plan_path(
    case: Case,
    protocol: Protocol,
    target_ct_mm: FloatArray,
    ground: Ground | None,
    progress: Progress | None = None,
) -> tuple[Ground, Proposals]:
    """Distances (worked out once per case) and the paths they lead to. For the worker."""
    assert case.volume is not None
    if ground is None or not ground.serves(protocol):
        ground = prepare(case.volume, case.labels, protocol)
    return ground, propose(ground, protocol, target_ct_mm, progress=progress)
