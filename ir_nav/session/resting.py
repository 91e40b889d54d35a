"""Where the stylus's tip was, and whether it rests there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ir_nav.geometry import FloatArray, FrameError, read_only, rigid_inverse
from ir_nav.session.state import Role
from ir_nav.session.streams import Streams
from ir_nav.tracking import scatter_mm

DWELL_S = 0.8
# A slow tracker needs longer for as many poses as show what its noise is.
DWELL_POSES = 16
LONGEST_DWELL_S = 1.6
# Fewest poses of a dwell: most of those that the tracker sends in it, within these limits.
POSES_SHARE = 0.85
FEWEST_POSES = 8
ENOUGH_POSES = 20
DWELL_SHARE = 0.8
# A tip rests when its scatter is the tracker's noise and it does not drift: the two halves of
# the dwell (24 poses each at 60 Hz) agree within twice what noise alone makes of them.
REST_SCATTER_OVER_NOISE = 1.6
REST_DRIFT_OVER_NOISE = 0.7
REST_FLOOR_MM = 0.05
MAX_SPREAD_MM = 2.0
# A pose older than this says nothing of where the tip rests now.
LATEST_POSE_S = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class Touch:
    """A touched point: tip (3,) in `reference`, mm, mean over a dwell; spread_mm rms.
    covariance_mm2: (3, 3) of the tip over the dwell, in `reference`; None where only its spread
    is known."""

    reference_mm: FloatArray
    spread_mm: float
    time_s: float
    covariance_mm2: FloatArray | None = None

    @property
    def scatter_mm2(self) -> FloatArray:
        """(3, 3) of the tip over the dwell, in `reference`; alike in all directions where only
        the spread is known."""
        if self.covariance_mm2 is not None:
            return self.covariance_mm2
        return read_only(self.spread_mm**2 / 3.0 * np.eye(3))


@dataclass(frozen=True, slots=True, eq=False)
class TipTrack:
    """Of the stylus: reference_from_tip (n, 4, 4), mm, and when each pose arrived, times_s (n,),
    rising."""

    reference_from_tip: FloatArray
    times_s: FloatArray

    def __len__(self) -> int:
        return len(self.times_s)

    @property
    def tips_reference_mm(self) -> FloatArray:
        """(n, 3)"""
        return self.reference_from_tip[:, :3, 3]

    def between(self, first_s: float, last_s: float) -> TipTrack:
        """What arrived in that time, both ends included."""
        inside = (self.times_s >= first_s) & (self.times_s <= last_s)
        return TipTrack(self.reference_from_tip[inside], self.times_s[inside])


NO_TRACK = TipTrack(read_only(np.zeros((0, 4, 4))), read_only(np.zeros(0)))

# The stylus since a time.
Track = Callable[[float], TipTrack]


def stylus_track(
    streams: Streams, stylus_from_tip: FloatArray, since_s: float, role: Role = Role.STYLUS
) -> TipTrack:
    """The stylus, or another tool with a tip, since a time.

    Each pose is taken with the reference's pose at the same instant; instants without either
    are left out.
    """
    poses, times = [], []
    for sample in streams.poses[role].since(since_s):
        if sample.matrix is None:
            continue
        try:
            tracker_from_reference = streams.poses[Role.REFERENCE].at(sample.source_s)
        except FrameError:
            continue
        poses.append(rigid_inverse(tracker_from_reference) @ sample.matrix @ stylus_from_tip)
        times.append(sample.received_s)
    return TipTrack(np.array(poses).reshape(-1, 4, 4), np.array(times))


def dwell_s(times_s: FloatArray) -> float:
    """How long a tip has to rest whose poses arrived at these times (n,)."""
    return float(np.clip(DWELL_POSES * _interval_s(times_s), DWELL_S, LONGEST_DWELL_S))


def resting_touch(tips_reference_mm: FloatArray, times_s: FloatArray) -> Touch | None:
    """The point a tip rests at, from its track over the last dwell, or None while it moves."""
    if not is_whole(times_s):
        return None
    touch = mean_touch(tips_reference_mm, times_s)
    noise = scatter_mm(tips_reference_mm)
    half = len(times_s) // 2
    drift = float(
        np.linalg.norm(
            tips_reference_mm[:half].mean(axis=0) - tips_reference_mm[half:].mean(axis=0)
        )
    )
    steady = touch.spread_mm <= REST_SCATTER_OVER_NOISE * noise + REST_FLOOR_MM
    if touch.spread_mm > MAX_SPREAD_MM or not steady:
        return None
    # Means of fewer poses differ more by noise alone.
    drift_over_noise = REST_DRIFT_OVER_NOISE * max(1.0, np.sqrt(ENOUGH_POSES / 2 / half))
    if drift > drift_over_noise * noise + REST_FLOOR_MM:
        return None
    return touch


def is_whole(times_s: FloatArray) -> bool:
    """Whether poses that arrived at these times (n,) are enough, over long enough, for a dwell."""
    enough = len(times_s) >= _fewest_poses(times_s)
    return enough and bool(np.ptp(times_s) >= DWELL_SHARE * dwell_s(times_s))


def mean_touch(tips_reference_mm: FloatArray, times_s: FloatArray) -> Touch:
    """The mean of tip positions (n, 3), taken when the last of them arrived."""
    mean = tips_reference_mm.mean(axis=0)
    off = tips_reference_mm - mean
    covariance = off.T @ off / len(off)
    spread = float(np.sqrt(np.trace(covariance)))
    return Touch(read_only(mean), spread, float(times_s[-1]), read_only(covariance))


def dwell_until(track: TipTrack, end_s: float) -> TipTrack:
    """The part of a track that is one dwell and ends at a time."""
    return track.between(end_s - dwell_s(track.times_s), end_s)


def rested_at(track: TipTrack, end_s: float) -> Touch | None:
    """Where the tip rested through the dwell that ends at a time, or None."""
    dwell = dwell_until(track, end_s)
    return resting_touch(dwell.tips_reference_mm, dwell.times_s)


def recent(track: Track, looked_s: float, from_s: float) -> TipTrack:
    """As much of the track as a dwell takes that ends at or after `looked_s`; from_s: what came
    before does not count."""
    found = track(max(from_s, looked_s - LONGEST_DWELL_S - LATEST_POSE_S))
    first_s = looked_s - dwell_s(found.times_s) - LATEST_POSE_S
    return found.between(first_s, np.inf)


def _interval_s(times_s: FloatArray) -> float:
    """Time between two poses; over two steps, as poses may arrive in pairs. 0 for fewer than
    three."""
    if len(times_s) < 3:
        return 0.0
    return float(np.median(times_s[2:] - times_s[:-2])) / 2.0


def _fewest_poses(times_s: FloatArray) -> int:
    interval_s = _interval_s(times_s)
    if interval_s <= 0.0:
        return ENOUGH_POSES
    expected = POSES_SHARE * dwell_s(times_s) / interval_s
    return int(np.clip(round(expected), FEWEST_POSES, ENOUGH_POSES))
