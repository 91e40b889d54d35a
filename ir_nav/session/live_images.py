"""The newest live images and where they lie in the CT. No side effects; time is an argument."""

from __future__ import annotations

import numpy as np

from devices.contract import ImageSample
from ir_nav.geometry import FloatArray, Frame, FrameError, FrameTree, Transform, read_only
from ir_nav.session.image_poses import carm_pose, probe_from_image, reference_from_probe
from ir_nav.session.room import FluoroEntry, Room
from ir_nav.session.scanner_use import ScannerUse
from ir_nav.session.state import FluoroState, Role, UltrasoundState
from ir_nav.session.streams import Streams


def ultrasound_state(
    room: Room, scanner: ScannerUse, streams: Streams, tree: FrameTree, now_s: float
) -> UltrasoundState | None:
    """The newest frame whose pose is known; the newest of all, without one, when none is."""
    entry = room.ultrasound
    frames = streams.ultrasound.newest_first()
    if entry is None or not frames:
        return None
    probe = probe_from_image(entry, scanner)
    mm_per_px = float(np.linalg.norm(probe[:3, 0]))
    rate_hz = streams.ultrasound.rate_hz(now_s)
    ct_from_reference, unregistered = _registered(tree, now_s)
    if scanner.reason is not None:
        ct_from_reference, unregistered = None, scanner.reason
    elif scanner.probe_from_image is None and not entry.calibrated:
        ct_from_reference, unregistered = None, "the probe is not calibrated"
    unseen: str | None = None
    for frame in frames:
        try:
            time_s = frame.source_s + scanner.tracker_lag_s
            reference_from_image = reference_from_probe(streams, time_s) @ probe
        except FrameError as error:
            unseen = unseen or str(error)
            continue
        image_from_ct = None
        if ct_from_reference is not None:
            image_from_ct = read_only(np.linalg.inv(ct_from_reference @ reference_from_image))
        return UltrasoundState(
            frame,
            image_from_ct,
            read_only(reference_from_image),
            mm_per_px,
            unregistered,
            now_s - frame.source_s,
            rate_hz,
        )
    newest = frames[0]
    age_s = now_s - newest.source_s
    return UltrasoundState(newest, None, None, mm_per_px, unseen, age_s, rate_hz)


def _registered(tree: FrameTree, now_s: float) -> tuple[FloatArray | None, str | None]:
    """ct_from_reference (4, 4), or why there is none."""
    try:
        return tree.transform(Frame.CT, Frame.REFERENCE, now_s).matrix, None
    except FrameError as error:
        return None, str(error)


def fluoro_state(room: Room, streams: Streams, tree: FrameTree, now_s: float) -> FluoroState | None:
    """The newest frame whose pose is known; the newest of all, without one, when none is."""
    entry = room.fluoro
    frames = streams.fluoro.newest_first()
    if entry is None or not frames:
        return None
    reason: str | None = None
    rate_hz = streams.fluoro.rate_hz(now_s)
    for frame in frames:
        try:
            carm_from_ct = _carm_from_ct(entry, streams, tree, frame, now_s)
        except FrameError as error:
            reason = reason or str(error)
            continue
        age_s = now_s - frame.source_s
        return FluoroState(frame, entry.geometry, carm_from_ct, None, age_s, rate_hz)
    newest = frames[0]
    return FluoroState(newest, entry.geometry, None, reason, now_s - newest.source_s, rate_hz)


def _carm_from_ct(
    entry: FluoroEntry, streams: Streams, tree: FrameTree, frame: ImageSample, now_s: float
) -> Transform:
    ct_from_reference = tree.transform(Frame.CT, Frame.REFERENCE, now_s)
    tracker_from_reference = Transform(
        Frame.TRACKER, Frame.REFERENCE, streams.poses[Role.REFERENCE].at(frame.source_s)
    )
    carm_from_tracker = carm_pose(entry, streams, frame.source_s).inverse()
    return carm_from_tracker @ tracker_from_reference @ ct_from_reference.inverse()
