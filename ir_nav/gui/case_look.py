"""How the patient at hand is drawn: outlines on slices, surfaces in 3D."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Final

import numpy as np

from ir_nav.geometry import FloatArray, angle_between_deg, apply, read_only
from ir_nav.gui import theme
from ir_nav.gui.scene_records import CaseImages
from ir_nav.gui.scene_request import Surface
from ir_nav.gui.worker import Worker
from ir_nav.imaging import (
    ImagingError,
    LabelMap,
    Mesh,
    Volume,
    body_mask,
    bone_surface,
    label_surface,
    skin_surface,
)
from ir_nav.planning import PlannedPath
from ir_nav.progress import Progress
from ir_nav.session.case import Case, Outline, outline_of

# What one aims at has the plan's colour and a wider outline.
AIMED_AT = {
    "lesion*": theme.PLAN,
    "tumo*r*": theme.PLAN,
    "metastas*": theme.PLAN,
    "abscess*": "#3d86b8",
}
# What is outlined where the labels name it: the organs one aims at and those one avoids.
OUTLINED = (
    *AIMED_AT.items(),
    ("liver", theme.STRUCTURE),
    ("*kidney*", theme.STRUCTURE),
    ("spleen", theme.STRUCTURE),
    ("pancreas", theme.STRUCTURE),
    ("gallbladder", theme.STRUCTURE),
    ("portal*", theme.STRUCTURE),
    ("hepatic*", theme.STRUCTURE),
    ("inferior_vena_cava", theme.STRUCTURE),
    ("aorta", theme.STRUCTURE),
    ("colon", theme.STRUCTURE),
    ("*bowel*", theme.STRUCTURE),
)
# Gas has no wall of its own: its outline would hide the bowel's.
NOT_OUTLINED = "*gas*"
GAS = re.compile(r"[ _-]*gas[ _-]*", re.IGNORECASE)
SOLID = (
    *((pattern, tone, 1.0) for pattern, tone in AIMED_AT.items()),
    ("liver", "#9a6a55", 0.5),
    ("*kidney*", "#8b76ad", 0.9),
    ("gallbladder", "#7f9a6a", 0.8),
    ("portal*", "#6f86b5", 0.9),
    ("aorta", "#b56f6f", 0.9),
)

BONE: Final = "#cfc7b4"
BONES = (
    "rib*",
    "*vertebra*",
    "sternum",
    "*scapula*",
    "*clavic*",
    "sacrum",
    "*hip*",
    "spine",
    "bone*",
)

# A processor without a GPU renders these in well under a tenth of a second.
ORGAN_TRIANGLES = 3_000
BONE_TRIANGLES = 24_000
SKIN_TRIANGLES = 14_000

# The body in a CT: denser than lung or air, and where a slice holds a fair part of the most.
BODY_HU = -250
BODY_STEP = 4
BODY_SHARE = 0.06

# The skin's normal is taken over this radius about the entry.
NORMAL_MM = 10.0


def outlined(labels: LabelMap | None) -> tuple[tuple[int, str], ...]:
    """(id, colour) of the structures to outline."""
    if labels is None:
        return ()
    left_out = set(labels.ids_named(NOT_OUTLINED))
    found = {
        number: tone
        for pattern, tone in reversed(OUTLINED)
        for number in labels.ids_named(pattern)
        if number not in left_out
    }
    return tuple(found.items())


def filled(labels: LabelMap | None) -> tuple[tuple[int, int], ...]:
    """(id of a gas, id of what holds it): an outline goes round both."""
    if labels is None:
        return ()
    return tuple(
        (number, holder)
        for number in labels.ids_named(NOT_OUTLINED)
        for holder in labels.ids_named(GAS.sub("", labels.names[number]))
        if holder != number
    )


def aimed_at(labels: LabelMap | None) -> frozenset[int]:
    """Ids of the structures that a needle is meant for."""
    if labels is None:
        return frozenset()
    return frozenset(number for pattern in AIMED_AT for number in labels.ids_named(pattern))


def structure_tone(labels: LabelMap, number: int) -> str:
    """The colour by which a structure is known, in 3D or as an outline."""
    tones = [(pattern, tone) for pattern, tone, _ in SOLID]
    tones += [(pattern, BONE) for pattern in BONES] + [("skin", theme.SKIN), *OUTLINED]
    for pattern, tone in tones:
        if number in labels.ids_named(pattern):
            return tone
    return theme.TEXT_3


def body_box(volume: Volume) -> tuple[FloatArray, FloatArray]:
    """Lower and upper corner (3,) in `ct`, mm, of the box round the body; a table or a wire,
    thin against it, is left out."""
    voxels = volume.voxels[::BODY_STEP, ::BODY_STEP, ::BODY_STEP] > BODY_HU
    corners = []
    for axis in range(3):
        filled = voxels.sum(axis=tuple(other for other in range(3) if other != axis))
        inside = np.flatnonzero(filled > BODY_SHARE * filled.max()) * BODY_STEP
        corners.append((0, len(voxels) * BODY_STEP) if not len(inside) else inside[[0, -1]])
    k, j, i = (np.array(ends, dtype=float) for ends in corners)
    step = np.array((-BODY_STEP, BODY_STEP)) / 2.0
    both = [
        apply(volume.ct_from_voxel, np.array((i[end], j[end], k[end])) + step[end])
        for end in (0, 1)
    ]
    return read_only(np.minimum(*both)), read_only(np.maximum(*both))


def build_surfaces(
    case: Case, progress: Progress, outline: Outline | None = None
) -> tuple[Surface, ...]:
    """Meshes for the 3D view; for the worker. Structures come before the skin around them."""
    if case.volume is None:
        return ()
    found: list[Surface] = []
    if case.labels is not None:
        for pattern, tone, opacity in SOLID:
            ids = case.labels.ids_named(pattern)
            try:
                if ids:
                    mesh = label_surface(case.labels, ids, ORGAN_TRIANGLES)
                    found.append(Surface(mesh, tone, opacity))
            except ImagingError:
                continue
    progress(0.4)
    with suppress(ImagingError):
        found.append(Surface(_bones(case), BONE, 1.0))
    if outline is not None:
        found.append(Surface(_skin(outline), theme.SKIN, 0.28))
    return tuple(found)


def build_look(
    case: Case, progress: Progress, known: Outline | None
) -> tuple[Case, Outline | None, tuple[Surface, ...]]:
    """The case's outline, made once for its CT, and its surfaces. For the worker."""
    volume = case.volume
    outline = known if known is not None and known.volume is volume else None
    if outline is None and volume is not None:
        try:
            outline = outline_of(volume, body_mask(volume))
        except ImagingError:
            outline = None
    return case, outline, build_surfaces(case, progress, outline)


def _bones(case: Case) -> Mesh:
    """From the labels where they name bones: by density, contrast would look like bone."""
    if case.volume is None:
        raise ImagingError("no CT is open")
    labels = case.labels
    if labels is not None:
        ids = [number for pattern in BONES for number in labels.ids_named(pattern)]
        if ids:
            return label_surface(labels, ids, BONE_TRIANGLES)
    return bone_surface(case.volume, BONE_TRIANGLES)


def _skin(outline: Outline) -> Mesh:
    return skin_surface(outline.volume, SKIN_TRIANGLES, outline.body)


class CaseLook:
    """Images and surfaces of the session's case, made anew when it changes."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._case: Case | None = None
        self.images = CaseImages()
        self.surfaces: tuple[Surface, ...] = ()
        self.outline: Outline | None = None

    def follow(self, case: Case) -> None:
        """Take up another case; the surfaces come later, from the worker."""
        known = self._case
        if case is known:
            return
        self._case = case
        if known is not None and (case.volume, case.labels) == (known.volume, known.labels):
            return
        body = None if case.volume is None else body_box(case.volume)
        self.images = CaseImages(
            case.volume,
            case.labels,
            outlined(case.labels),
            aimed_at(case.labels),
            filled(case.labels),
            body,
        )
        self.surfaces = ()
        if case.volume is not None:
            outline = self.outline
            self._worker.submit(
                "Preparing the 3D view",
                lambda progress: build_look(case, progress, outline),
                self._take,
                quiet=True,
            )

    def skin_angle_deg(self, path: PlannedPath) -> float | None:
        """Angle between the path and the skin's outward normal at its entry, when known."""
        skin = next((found.mesh for found in self.surfaces if found.colour == theme.SKIN), None)
        if skin is None:
            return None
        corners = skin.points_ct_mm[skin.triangles]
        near = np.linalg.norm(corners.mean(axis=1) - path.entry_ct_mm, axis=1) < NORMAL_MM
        first, second, third = corners[near].transpose(1, 0, 2)
        # Cross products are as long as their triangles are large: the sum is weighted by area.
        normal = np.cross(second - first, third - first).sum(axis=0)
        if np.linalg.norm(normal) < 1e-6:
            return None
        return angle_between_deg(normal, -path.direction_ct)

    def _take(self, built: tuple[Case, Outline | None, tuple[Surface, ...]]) -> None:
        case, outline, surfaces = built
        if self._case is not None and case.volume is self._case.volume:
            self.outline, self.surfaces = outline, surfaces
