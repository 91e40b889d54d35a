"""The patient's images and the path being planned on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from ir_nav.geometry import FloatArray, angle_between_deg, read_only
from ir_nav.imaging import BoolArray, LabelMap, Volume, read_labels, read_volume
from ir_nav.imaging.skin import skin_facing
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
from ir_nav.planning.skin import Skin, find_skin
from ir_nav.progress import Progress
from ir_nav.session.errors import SessionError
from ir_nav.session.keep_out import Dabs, kept_out
from ir_nav.session.room import CaseEntry, Room
from ir_nav.session.touching import Fiducial

IN_KEPT_FREE = "Within skin kept free"
ABOVE_SKIN_MM = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One patient's planning CT, its structures, and the landmarks to touch."""

    volume: Volume | None = None
    labels: LabelMap | None = None
    fiducials: tuple[Fiducial, ...] = ()

    def require_volume(self) -> Volume:
        """The CT; SessionError while none is open."""
        if self.volume is None:
            raise SessionError("open a CT first")
        return self.volume

    def require_inside(self, point_ct_mm: ArrayLike, name: str) -> FloatArray:
        """A point (3,) in `ct`, mm, read-only; SessionError, with the point's name, where it is
        none or lies outside the CT."""
        volume = self.require_volume()
        point = read_only(point_ct_mm)
        low, high = volume.bounds_mm
        if point.shape != (3,) or not np.isfinite(point).all():
            raise SessionError(f"the {name} needs three numbers in mm (LPS)")
        if (point < low).any() or (point > high).any():
            raise SessionError(f"the {name} lies outside the CT")
        return point


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """The body (k, j, i) in a CT and its skin: worked out once, used by 3D view and search."""

    volume: Volume
    body: BoolArray
    skin: Skin

    def nearest_skin(self, point_ct_mm: FloatArray) -> FloatArray:
        """(3,) on the skin nearest to a point, both in `ct`, mm; below voxel size where the CT
        number falls through the skin's there."""
        nearest = self.skin.nearest(point_ct_mm)
        voxel = read_only(self.skin.points_ct_mm[nearest])
        normal = read_only(self.skin.normals_ct[nearest])
        if not normal.any():
            return voxel
        above = voxel + ABOVE_SKIN_MM * normal
        found = skin_facing(self.volume, self.body, above, -normal)
        near_mm = 2.0 * max(self.volume.spacing_mm)
        if found is None or float(np.linalg.norm(found - voxel)) > near_mm:
            return voxel
        return found


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


def judge(
    path: PlannedPath,
    ground: Ground | None,
    protocol: Protocol | None = None,
    keep_out: BoolArray | None = None,
) -> Findings:
    """Length, tilt and, once the patient's ground is known, every limit of a path.

    keep_out: (skin,) bool, skin that must not be entered.
    """
    outward = -path.direction_ct
    tilt = 90.0 - angle_between_deg(outward, (0.0, 0.0, 1.0))
    if ground is None:
        return Findings(path.length_mm, tilt)
    found = findings(ground, ground.protocol if protocol is None else protocol, path)
    if keep_out is not None and keep_out[ground.skin.nearest(path.entry_ct_mm)]:
        found = (_in_kept_free(ground, path, keep_out), *found)
    return Findings(path.length_mm, tilt, limiting(found), found)


def _in_kept_free(ground: Ground, path: PlannedPath, keep_out: BoolArray) -> PlanFinding:
    """How far the entry would have to move to be out of the skin that is kept free."""
    free = ground.skin.points_ct_mm[~keep_out]
    away = np.linalg.norm(free - path.entry_ct_mm, axis=1).min(initial=np.inf)
    return PlanFinding(IN_KEPT_FREE, "", float(away), "mm", 0.0, True, False, True)


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
    *,
    outline: Outline | None = None,
    keep_out: Dabs = (),
) -> tuple[Ground, Proposals]:
    """Distances (worked out once per case) and the paths they lead to. For the worker."""
    if ground is None or not ground.serves(protocol):
        ground = ground_of(case, protocol, outline)
    mask = kept_out(keep_out, ground.skin)
    return ground, propose(ground, protocol, target_ct_mm, keep_out=mask, progress=progress)


def ground_of(case: Case, protocol: Protocol, outline: Outline | None = None) -> Ground:
    """Distances for a case and protocol. outline: taken when it is this volume's."""
    assert case.volume is not None
    if outline is None or outline.volume is not case.volume:
        return prepare(case.volume, case.labels, protocol)
    return prepare(case.volume, case.labels, protocol, body=outline.body, skin=outline.skin)


def outline_of(volume: Volume, body: BoolArray) -> Outline:
    """The skin of a body mask (k, j, i), once for a CT. For the worker."""
    return Outline(volume, body, find_skin(volume, body))
