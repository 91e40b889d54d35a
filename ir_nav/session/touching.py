"""Touching landmarks with the stylus: a point is taken when the tip rests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ir_nav.geometry import FloatArray, FrameError, apply, read_only, rigid_inverse
from ir_nav.session.state import Role
from ir_nav.session.streams import Streams
from ir_nav.tracking import scatter_mm

DWELL_S = 0.8
MIN_DWELL_POSES = 20
# A tip rests when its scatter is the tracker's noise and it does not drift: the two halves of
# the dwell (24 poses each at 60 Hz) agree within twice what noise alone makes of them.
REST_SCATTER_OVER_NOISE = 1.6
REST_DRIFT_OVER_NOISE = 0.7
REST_FLOOR_MM = 0.05
MAX_SPREAD_MM = 2.0
APART_MM = 12.0


@dataclass(frozen=True, slots=True)
class Fiducial:
    """A landmark in the CT: name and position (3,) in `ct`, mm."""

    name: str
    ct_mm: tuple[float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Touch:
    """A touched point: tip (3,) in `reference`, mm, mean over a dwell; spread_mm rms."""

    reference_mm: FloatArray
    spread_mm: float
    time_s: float


def stylus_track(
    streams: Streams, stylus_from_tip: FloatArray, since_s: float
) -> tuple[FloatArray, FloatArray]:
    """Stylus tip positions (n, 3) in `reference`, mm, and arrival times (n,), since a time.

    Each pose is taken with the reference's pose at the same instant; instants without either
    are left out.
    """
    tips, times = [], []
    for sample in streams.poses[Role.STYLUS].since(since_s):
        if sample.matrix is None:
            continue
        try:
            tracker_from_reference = streams.poses[Role.REFERENCE].at(sample.source_s)
        except FrameError:
            continue
        tip = apply(sample.matrix, stylus_from_tip[:3, 3])
        tips.append(apply(rigid_inverse(tracker_from_reference), tip))
        times.append(sample.received_s)
    return np.array(tips).reshape(-1, 3), np.array(times)


def resting_touch(tips_reference_mm: FloatArray, times_s: FloatArray) -> Touch | None:
    """The point a tip rests at, from its track over the last dwell, or None while it moves."""
    if len(times_s) < MIN_DWELL_POSES or np.ptp(times_s) < 0.8 * DWELL_S:
        return None
    mean = tips_reference_mm.mean(axis=0)
    spread = float(np.sqrt(np.mean(np.sum((tips_reference_mm - mean) ** 2, axis=1))))
    noise = scatter_mm(tips_reference_mm)
    half = len(times_s) // 2
    drift = float(
        np.linalg.norm(
            tips_reference_mm[:half].mean(axis=0) - tips_reference_mm[half:].mean(axis=0)
        )
    )
    steady = spread <= REST_SCATTER_OVER_NOISE * noise + REST_FLOOR_MM
    if spread > MAX_SPREAD_MM or not steady:
        return None
    if drift > REST_DRIFT_OVER_NOISE * noise + REST_FLOOR_MM:
        return None
    return Touch(read_only(mean), spread, float(times_s[-1]))
