"""The poses of one tool out of a recording."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from devices.recordings import Recording, RecordingError
from ir_nav.geometry import FloatArray, rigid_inverse, rigidity_fault
from ir_nav.tracking.calibration.result import Rejection

TRACKER = "Tracker"


@dataclass(frozen=True, slots=True, eq=False)
class RecordedTrack:
    """times_s (n,) as stored, one per frame. poses (n, 4, 4): base_from_tool, mm, NaN where the
    tool or the base was not seen. seen (n,). unseen: those frames, and why."""

    times_s: FloatArray
    poses: FloatArray
    seen: NDArray[np.bool_]
    unseen: tuple[Rejection, ...]


def recorded_track(recording: Recording, tool: str, base: str = TRACKER) -> RecordedTrack:
    """Poses of `tool`, such as "Stylus", in `base`: the tracker or another tool beside it.

    Taken as recorded ("StylusToReference"), else by way of the tracker. RecordingError when
    the recording has neither.
    """
    direct = f"{tool}To{base}"
    names = (direct,) if direct in recording.pose_names else _by_tracker(recording, tool, base)
    poses = np.full((len(recording.frames), 4, 4), np.nan)
    unseen = []
    for index, frame in enumerate(recording.frames):
        matrices = []
        for name in names:
            found = frame.poses.get(name)
            if found is None or found.matrix is None:
                words = "not recorded" if found is None else str(found.status)
                unseen.append(Rejection(index, f"{name.split('To')[0]}: {words}"))
                break
            fault = rigidity_fault(found.matrix)
            if fault is not None:
                unseen.append(Rejection(index, f"{name}: {fault}"))
                break
            matrices.append(found.matrix)
        else:
            poses[index] = (
                matrices[0] if len(matrices) == 1 else rigid_inverse(matrices[1]) @ matrices[0]
            )
    times_s = np.array([frame.time_s for frame in recording.frames])
    return RecordedTrack(times_s, poses, np.isfinite(poses[:, 0, 0]), tuple(unseen))


def _by_tracker(recording: Recording, tool: str, base: str) -> tuple[str, ...]:
    bodies = (tool,) if base == TRACKER else (tool, base)
    names = tuple(f"{body}To{TRACKER}" for body in bodies)
    for name in names:
        if name not in recording.pose_names:
            known = ", ".join(recording.pose_names) or "no poses"
            raise RecordingError(f"{recording.path.name}: has no {name}, only {known}")
    return names
