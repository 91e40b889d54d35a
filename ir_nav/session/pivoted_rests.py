"""Where the stylus is pivoted in a landmark's divot: its tip rests while its body turns."""

from __future__ import annotations

from collections import deque

import numpy as np

from ir_nav.geometry import FloatArray
from ir_nav.session.resting import LATEST_POSE_S, TipTrack, Touch
from ir_nav.tracking.calibration.landmark_recording import (
    MIN_TURN_DEG,
    REST_MM,
    REST_S,
    find_dwells,
)
from ir_nav.tracking.calibration.pivot import largest_turn_deg

KEPT_S = 15.0
# A hand turns the stylus slowly: more poses than these only take time to judge.
KEPT_HZ = 20.0
JITTER_S = 0.005
LOOK_S = 0.2


class PivotedRests:
    """The stylus's last KEPT_S, and where it is pivoted in them. Rests are found as in a
    recording, see `find_dwells`: the point is where the tip was set down, before it leans."""

    def __init__(self) -> None:
        self._poses: deque[FloatArray] = deque()
        self._times: deque[float] = deque()
        self._looked_s = float("-inf")

    @property
    def first_s(self) -> float:
        """When the oldest pose arrived that is kept; inf without any."""
        return self._times[0] if self._times else float("inf")

    @property
    def newest_s(self) -> float:
        """When the newest pose arrived that was kept; -inf without any."""
        return self._times[-1] if self._times else float("-inf")

    def add(self, track: TipTrack) -> None:
        """Take the poses that arrived since the last call."""
        for pose, time_s in zip(track.reference_from_tip, track.times_s, strict=True):
            if time_s >= self.newest_s + 1.0 / KEPT_HZ - JITTER_S:
                self._poses.append(pose)
                self._times.append(float(time_s))
        while self._times and self._times[0] < self.newest_s - KEPT_S:
            self._poses.popleft()
            self._times.popleft()

    def forget(self) -> None:
        """What follows counts anew."""
        self._poses.clear()
        self._times.clear()

    def look(self) -> Touch | None:
        """As `found`, a few times a second: None in between."""
        if self.newest_s < self._looked_s + LOOK_S:
            return None
        self._looked_s = self.newest_s
        return self.found()

    def found(self) -> Touch | None:
        """Where the tip rests that is being pivoted now, or None."""
        if self.newest_s - self.first_s < REST_S:
            return None
        times_s, poses = np.array(self._times), np.array(self._poses)
        last = poses[times_s >= times_s[-1] - REST_S, :3, 3]
        if np.linalg.norm(last - np.median(last, axis=0), axis=1).max() >= REST_MM:
            return None
        if largest_turn_deg(poses) < MIN_TURN_DEG:
            return None
        dwells = find_dwells(times_s, poses, np.zeros(3))
        if not dwells or times_s[dwells[-1].stop - 1] < times_s[-1] - LATEST_POSE_S:
            return None
        return Touch(dwells[-1].point_mm, dwells[-1].scatter_mm, float(times_s[-1]))
