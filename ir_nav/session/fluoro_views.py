"""Fluoro frames with the C-arm's place against the patient reference, and which are fit for use."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from devices.contract import ImageSample
from ir_nav.geometry import (
    CArmGeometry,
    FloatArray,
    FrameError,
    angle_between_deg,
    apply,
    read_only,
    rigid,
    rigid_inverse,
    rotation_between_deg,
)
from ir_nav.guidance import BreathingModel
from ir_nav.registration.fluoro.view import CArmView, FluoroFrame, Pixels
from ir_nav.session.image_poses import carm_pose
from ir_nav.session.room import FluoroEntry
from ir_nav.session.state import Role
from ir_nav.session.streams import Streams
from ir_nav.tracking import scatter_mm

# The C-arm stands when it reported no more motion than this before the frame. A tracked one
# scatters by a few tenths of a millimetre.
STOOD_S, STOOD_MM, STOOD_DEG = 0.5, 1.0, 0.5
# Faster than this the patient smears, and the deep organs are elsewhere than the reference says.
REST_S, REST_MM_S = 0.3, 6.0
LEAST_AVERAGED = 4
# Two frames of a patient at rest differ by noise only, once averaged to this width.
COMPARED_PX, COMPARED_S, CHANGED = 96, 0.6, 0.06
# The patient's middle, as a part of the way from the focal spot to the detector.
MIDDLE = 0.7
# Narrower than this the second view adds little depth; its beam counts in either direction.
NARROW_DEG = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class TakenView:
    """sample: as it came. frame: the same, its view's world the patient reference. phase_mm: of
    the breath, from end-expiration; None where nothing breathes. breath_reference_mm: (3,) by how
    much and where to the breath had moved the reference. scatter_mm: of the reference's pose,
    rms, in the middle of the frame."""

    sample: ImageSample
    frame: FluoroFrame
    phase_mm: float | None
    breath_reference_mm: FloatArray
    scatter_mm: float = 0.0

    @property
    def time_s(self) -> float:
        """When it was exposed, Unix time."""
        return self.sample.source_s


def newest_view(entry: FluoroEntry, streams: Streams, breath: BreathingModel | None) -> TakenView:
    """The newest frame at whose time C-arm and reference were seen; FrameError when none was."""
    correction = streams.fluoro_correction
    refusal = None if correction is None else correction.refusal
    reason = refusal or "no fluoro frame has arrived yet"
    for sample in streams.fluoro.newest_first():
        try:
            return view_of(entry, streams, sample, breath)
        except FrameError as error:
            reason = str(error)
    raise FrameError(reason)


def view_of(
    entry: FluoroEntry, streams: Streams, sample: ImageSample, breath: BreathingModel | None
) -> TakenView:
    """A frame with its poses at its own time; FrameError where they are not known."""
    if Role.REFERENCE not in streams.poses:
        raise FrameError("this room has no patient reference")
    tracker_from_carm = carm_pose(entry, streams, sample.source_s).matrix
    tracker_from_reference = streams.poses[Role.REFERENCE].at(sample.source_s)
    carm_from_reference = read_only(rigid_inverse(tracker_from_carm) @ tracker_from_reference)
    geometry = geometry_at(entry.geometry, sample.pixels.shape[:2])
    view = CArmView(geometry, carm_from_reference, Pixels.INTENSITY)
    breathes = breath is not None and breath.breathes
    phase = breath.phase_mm(tracker_from_reference[:3, 3]) if breath and breathes else None
    moved = np.zeros(3)
    if breath is not None and phase is not None:
        moved = phase * tracker_from_reference[:3, :3].T @ breath.axis_tracker
    return TakenView(sample, FluoroFrame(view, grey(sample)), phase, read_only(moved))


def middle_scatter_mm(view: TakenView, streams: Streams) -> float:
    """How far the tracker's noise, its angles included, scatters the middle of a frame, rms."""
    carm = view.frame.view
    middle = np.array([0.0, 0.0, MIDDLE * carm.geometry.sid_mm])
    middle_reference_mm = apply(rigid_inverse(carm.carm_from_world), middle)
    seen = streams.poses[Role.REFERENCE].since(view.sample.received_s - 2.0 * REST_S)
    return scatter_mm(
        np.array(
            [apply(one.matrix, middle_reference_mm) for one in seen if one.matrix is not None]
        ).reshape(-1, 3)
    )


def steadied(view: TakenView, streams: Streams) -> TakenView:
    """The same with the mean of the reference's poses while it rested before the frame, and what
    the tracker's noise leaves of it.

    A reference's angles are uncertain by a tenth of a degree in one pose, which is half a
    millimetre at a target two hands away. Mean of rotations: chordal (Hartley et al. 2013).
    """
    scatter = middle_scatter_mm(view, streams)
    seen = [matrix for _, matrix in _reference_before(view, streams)]
    if len(seen) < LEAST_AVERAGED:
        return replace(view, scatter_mm=scatter)
    u, _, vt = np.linalg.svd(np.mean([one[:3, :3] for one in seen], axis=0))
    rested = rigid(u @ vt, np.mean([one[:3, 3] for one in seen], axis=0))
    carm = view.frame.view
    at_once = streams.poses[Role.REFERENCE].at(view.time_s)
    carm_from_reference = read_only(carm.carm_from_world @ rigid_inverse(at_once) @ rested)
    frame = replace(view.frame, view=replace(carm, carm_from_world=carm_from_reference))
    return replace(view, frame=frame, scatter_mm=scatter / float(np.sqrt(len(seen))))


def geometry_at(geometry: CArmGeometry, shape: tuple[int, ...]) -> CArmGeometry:
    """The same detector read as (rows, columns): frames may be sent smaller than it reads."""
    rows, columns = shape
    ratio = np.array([columns, rows]) / np.array(geometry.size_px)
    pitch = np.array(geometry.pixel_mm) / ratio
    principal = (np.array(geometry.principal_px) + 0.5) * ratio - 0.5
    return CArmGeometry(
        geometry.sid_mm,
        (float(pitch[0]), float(pitch[1])),
        (columns, rows),
        (float(principal[0]), float(principal[1])),
    )


def grey(sample: ImageSample) -> NDArray[np.float32]:
    """(rows, columns) float32 of a frame; colours are averaged."""
    pixels = np.asarray(sample.pixels, dtype=np.float32)
    flat = pixels.mean(axis=2) if pixels.ndim == 3 else pixels
    flat.flags.writeable = False
    return np.asarray(flat, dtype=np.float32)


def unfit(view: TakenView, streams: Streams, breath: BreathingModel | None) -> str | None:
    """Why a frame is not to be registered by: outside the gate, or anything moved; else None."""
    if breath is None:
        return "the breathing is not known yet: wait while the reference is watched"
    if view.phase_mm is not None and not breath.inside(view.phase_mm):
        return (
            f"taken {abs(view.phase_mm):.1f} mm from end-expiration: let the patient hold his "
            "breath after breathing out"
        )
    if _carm_moves(view, streams):
        return "the C-arm moves: wait until it stands"
    if _reference_speed_mm_s(view, streams) > REST_MM_S:
        return "the patient moves: wait until he lies still"
    if _image_changes(view, streams):
        return "the image is not sharp, something in it moves: hold still and take it again"
    return None


def apart_deg(first: TakenView, second: TakenView) -> float:
    """Angle between the lines of two beams, 0 to 90."""
    beams = [one.frame.view.carm_from_world[2, :3] for one in (first, second)]
    angle = angle_between_deg(*beams)
    return min(angle, 180.0 - angle)


def widest_deg(views: tuple[TakenView, ...]) -> float:
    """The largest angle between any two of them; 0 for fewer than two."""
    pairs = [apart_deg(first, second) for n, first in enumerate(views) for second in views[n + 1 :]]
    return max(pairs, default=0.0)


def _carm_moves(view: TakenView, streams: Streams) -> bool:
    if Role.CARM not in streams.poses:
        return False
    at_s = view.time_s
    seen: list[FloatArray] = [
        sample.matrix
        for sample in streams.poses[Role.CARM].since(view.sample.received_s - STOOD_S)
        if sample.matrix is not None and sample.source_s <= at_s
    ]
    if not seen:
        return False
    last = seen[-1]
    return any(
        np.linalg.norm(one[:3, 3] - last[:3, 3]) > STOOD_MM
        or rotation_between_deg(one, last) > STOOD_DEG
        for one in seen
    )


def _reference_before(view: TakenView, streams: Streams) -> list[tuple[float, FloatArray]]:
    """When and where (4, 4) the reference was seen shortly before a frame, oldest first."""
    return [
        (sample.source_s, sample.matrix)
        for sample in streams.poses[Role.REFERENCE].since(view.sample.received_s - 2.0 * REST_S)
        if sample.matrix is not None and view.time_s - REST_S <= sample.source_s <= view.time_s
    ]


def _reference_speed_mm_s(view: TakenView, streams: Streams) -> float:
    """Between the means of the older and the newer half of what was seen before the frame."""
    seen = [(at_s, matrix[:3, 3]) for at_s, matrix in _reference_before(view, streams)]
    half = len(seen) // 2
    if half < 2:
        return 0.0
    (older_s, older), (newer_s, newer) = (
        (np.mean([time_s for time_s, _ in part]), np.mean([place for _, place in part], axis=0))
        for part in (seen[:half], seen[half:])
    )
    return float(np.linalg.norm(newer - older) / max(float(newer_s - older_s), 1e-3))


def _image_changes(view: TakenView, streams: Streams) -> bool:
    """Against the frame before, where one came shortly before: single exposures have none."""
    before = next(
        (
            one
            for one in streams.fluoro.newest_first()
            if 0.0 < view.time_s - one.source_s <= COMPARED_S
            and one.pixels.shape == view.sample.pixels.shape
        ),
        None,
    )
    if before is None:
        return False
    now, then = _averaged(view.frame.image), _averaged(grey(before))
    contrast = float(now.std())
    # One grey all over is told by the registration, in its own words.
    return contrast > 0.0 and float(np.abs(now - then).mean()) > CHANGED * contrast


def _averaged(image: NDArray[np.float32]) -> NDArray[np.float32]:
    rows, columns = image.shape
    scale = min(COMPARED_PX / columns, 1.0)
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)
