"""A gathered sweep worked out against the CT, by its image or by the bone in it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from ir_nav.geometry import FloatArray, rigid_inverse
from ir_nav.imaging import Volume
from ir_nav.progress import Progress
from ir_nav.registration import Registration
from ir_nav.registration.ultrasound.bone_alignment import BoneRegistration, register_bone
from ir_nav.registration.ultrasound.fan import Fan, mm_per_px_of
from ir_nav.registration.ultrasound.fan_finding import find_fan
from ir_nav.registration.ultrasound.register_sweep import (
    UltrasoundRegistration,
    register_ultrasound,
)
from ir_nav.registration.ultrasound.similarity import SweepCt, prepare_ct
from ir_nav.registration.ultrasound.sweep import TrackedSweep

PREPARED = 0.3


class SweepBy(StrEnum):
    """What of the sweep is laid on the CT: the whole image, or the surface of bone."""

    IMAGE = "image"
    BONE = "bone"


@dataclass(frozen=True, slots=True, eq=False)
class SweepTask:
    """What a worker needs. start: (4, 4) ct_from_reference that the search starts from.
    target_ct_mm: (3,), or None. prepared: the CT made ready before, or None. windows: that the
    sweep looked through."""

    by: SweepBy
    tracked: TrackedSweep
    windows: int
    volume: Volume
    prepared: SweepCt | None
    start: FloatArray
    target_ct_mm: FloatArray | None
    made_s: float


@dataclass(frozen=True, slots=True, eq=False)
class SweepOutcome:
    """found: may be refused. ct: made ready from volume; None where bone alone was used. fan: of
    the images. start: (4, 4) ct_from_reference that the search started from. frames, windows:
    that were gathered."""

    found: UltrasoundRegistration | BoneRegistration
    volume: Volume
    ct: SweepCt | None
    fan: Fan
    start: FloatArray
    frames: int
    windows: int

    @property
    def registration(self) -> Registration:
        return self.found.registration

    @property
    def moved_mm(self) -> float:
        """How far the target, or the middle of the sweep, lies from where the start put it."""
        about = self.registration.about_ct_mm
        after = self.registration.ct_from_reference.matrix
        before = self.start @ rigid_inverse(after) @ np.append(about, 1.0)
        return float(np.linalg.norm(before[:3] - about))


def worked_out(task: SweepTask, progress: Progress) -> SweepOutcome:
    """For a worker's thread: seconds. RegistrationError where no try is possible."""
    progress(0.0)
    ct = task.prepared
    if ct is None and task.by is SweepBy.IMAGE:
        ct = prepare_ct(task.volume)
    progress(PREPARED / 2.0)
    tracked, start = task.tracked, task.start
    fan = find_fan(list(tracked.images), mm_per_px_of(tracked.reference_from_image[0]))
    progress(PREPARED)

    def later(part: float) -> None:
        progress(PREPARED + (1.0 - PREPARED) * part)

    found: UltrasoundRegistration | BoneRegistration
    if task.by is SweepBy.BONE or ct is None:
        found = register_bone(
            tracked,
            task.volume,
            fan,
            start,
            task.made_s,
            target_ct_mm=task.target_ct_mm,
            progress=later,
        )
    else:
        found = register_ultrasound(
            tracked, ct, fan, start, task.made_s, target_ct_mm=task.target_ct_mm, progress=later
        )
    return SweepOutcome(found, task.volume, ct, fan, start, len(tracked.images), task.windows)
