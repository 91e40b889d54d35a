"""Where the probe, its images and the C-arm were at a time."""

from __future__ import annotations

import numpy as np

from ir_nav.geometry import FloatArray, Frame, FrameError, Transform, rigid_inverse, unit
from ir_nav.session.room import FluoroEntry, UltrasoundEntry
from ir_nav.session.scanner_use import AS_IN_ROOM, ScannerUse
from ir_nav.session.state import Role
from ir_nav.session.streams import Streams


def probe_from_image(entry: UltrasoundEntry, scanner: ScannerUse = AS_IN_ROOM) -> FloatArray:
    """(4, 4): from (u px, v px, w, 1) to mm at the probe's sensor, w in mm square to the image,
    whatever scale the file gives its third column. What was measured goes before the room's."""
    measured = scanner.probe_from_image
    matrix = np.array(entry.matrix if measured is None else measured)
    matrix[:3, 2] = unit(np.cross(matrix[:3, 0], matrix[:3, 1]))
    return matrix


def reference_from_probe(streams: Streams, time_s: float) -> FloatArray:
    """(4, 4) at a time of the tracker's; the tracker stands in where the room has no reference.
    FrameError where the pose is not known."""
    if Role.PROBE not in streams.poses:
        raise FrameError("no probe in this room")
    tracker_from_probe = streams.poses[Role.PROBE].at(time_s)
    if Role.REFERENCE not in streams.poses:
        return tracker_from_probe
    tracker_from_reference = streams.poses[Role.REFERENCE].at(time_s)
    return np.asarray(rigid_inverse(tracker_from_reference) @ tracker_from_probe)


def carm_pose(entry: FluoroEntry, streams: Streams, time_s: float) -> Transform:
    """tracker_from_carm at a time: as the C-arm reports it, else as the room file states it.

    FrameError while a C-arm that reports its pose has not.
    """
    if Role.CARM in streams.poses:
        matrix = streams.poses[Role.CARM].at(time_s)
    else:
        matrix = np.array(entry.tracker_from_carm, dtype=np.float64)
    return Transform(Frame.TRACKER, Frame.CARM, matrix)
