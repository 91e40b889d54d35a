"""Where a side-notch needle takes its sample, and how deep it goes.

The needle rests with its tip short of what is aimed at; fired, the stylet runs ahead by the throw
and the cannula follows over the notch (Strnad et al., Percutaneous Core Biopsy Devices, 2023).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ir_nav.geometry import FloatArray
from ir_nav.planning.instruments import Biopsy, Coaxial, SideNotch
from ir_nav.planning.path import PlannedPath
from ir_nav.planning.target_mask import TargetMask

SAMPLES = 101


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One shot.

    resting: from the entry to the tip before firing. deepest: from the entry to the tip after it;
    its clearance is the one to check. near_ct_mm, far_ct_mm: (3,) ends of the notch.
    offset_mm: middle of the notch past what is aimed at, negative when short of it.
    overshoot_mm: tip past what is aimed at after firing, negative when short of it.
    """

    resting: PlannedPath
    deepest: PlannedPath
    near_ct_mm: FloatArray
    far_ct_mm: FloatArray
    offset_mm: float
    overshoot_mm: float


def take_sample(path: PlannedPath, notch: SideNotch, rest_mm: float) -> Sample:
    """Fire a needle whose tip rests rest_mm short of the path's end, which is aimed at."""
    direction, target = path.direction_ct, path.target_ct_mm
    overshoot_mm = notch.throw_mm - rest_mm
    far_mm = overshoot_mm - notch.tip_mm
    return Sample(
        PlannedPath.between(path.entry_ct_mm, target - direction * rest_mm),
        PlannedPath.between(path.entry_ct_mm, target + direction * overshoot_mm),
        target + direction * (far_mm - notch.notch_mm),
        target + direction * far_mm,
        far_mm - notch.notch_mm / 2.0,
        overshoot_mm,
    )


def centred_stand_off_mm(notch: SideNotch) -> float:
    """How far short of the aim the tip rests so that the notch's middle comes to lie on it."""
    return notch.throw_mm - notch.tip_mm - notch.notch_mm / 2.0


def sample_of(path: PlannedPath, instrument: Biopsy | Coaxial) -> Sample | None:
    """The sample of a plan whose path ends where the guided tip rests; None for a coaxial system
    without a side notch."""
    if instrument.notch is None:
        return None
    aim = path.target_ct_mm + path.direction_ct * instrument.aim_ahead_mm
    ahead_mm = instrument.ahead_mm if isinstance(instrument, Coaxial) else 0.0
    aimed = PlannedPath.between(path.entry_ct_mm, aim)
    return take_sample(aimed, instrument.notch, instrument.stand_off_mm - ahead_mm)


def share_inside(sample: Sample, target: TargetMask) -> float:
    """Share, 0 to 1, of the notch's length that lies in the target."""
    steps = np.linspace(0.0, 1.0, SAMPLES)[:, None]
    points = sample.near_ct_mm + steps * (sample.far_ct_mm - sample.near_ct_mm)
    return float(np.mean(target.holds(points)))
