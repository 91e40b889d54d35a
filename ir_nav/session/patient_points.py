"""What is known of the patient without an image: points touched, skin swiped, where tips were."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ir_nav.geometry import FloatArray, read_only
from ir_nav.session.resting import NO_TRACK, TipTrack, stylus_track
from ir_nav.session.session import Session
from ir_nav.session.state import Role
from ir_nav.session.streams import STALE_AFTER_S

TRAIL_S = 6.0
NONE_MM = read_only(np.zeros((0, 3)))


@dataclass(frozen=True, slots=True, eq=False)
class PatientPoints:
    """All in `reference`, mm. touched: fiducials by name. swiped (n, 3). trail (n, 3): where the
    tips were in the last seconds; tips: where each is now, by the name of its tool."""

    touched: tuple[tuple[str, FloatArray], ...]
    swiped_mm: FloatArray
    trail_mm: FloatArray
    tips: tuple[tuple[str, FloatArray], ...]

    @property
    def empty(self) -> bool:
        return not (self.touched or self.tips or len(self.swiped_mm) or len(self.trail_mm))


NO_POINTS = PatientPoints((), NONE_MM, NONE_MM, ())


def patient_points(session: Session, now_s: float) -> PatientPoints:
    """Those of now, Unix time. Tools that are not calibrated, or not seen, leave none."""
    touching, swipes = session.registering.landmarks, session.swiping.swipes
    touched = []
    for fiducial, number in touching.matched.items():
        touch = touching.touches[number]
        if touch is not None:
            touched.append((touching.fiducials[fiducial].name, touch.reference_mm))
    trails, tips = [], []
    for role in (Role.STYLUS, Role.NEEDLE):
        track = _track(session, role, now_s)
        if len(track):
            trails.append(track.tips_reference_mm)
            if now_s - track.times_s[-1] < STALE_AFTER_S:
                tips.append((str(role).capitalize(), track.tips_reference_mm[-1]))
    return PatientPoints(
        tuple(touched),
        swipes.points_reference_mm if len(swipes) else NONE_MM,
        read_only(np.concatenate(trails)) if trails else NONE_MM,
        tuple(tips),
    )


def _track(session: Session, role: Role, now_s: float) -> TipTrack:
    streams, tool_from_tip = session.connection.streams, session.tools.of(role).tool_from_tip
    known = streams is not None and {role, Role.REFERENCE} <= set(streams.poses)
    if streams is None or tool_from_tip is None or not known:
        return NO_TRACK
    return stylus_track(streams, tool_from_tip, now_s - TRAIL_S, role)
