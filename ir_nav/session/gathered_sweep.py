"""Ultrasound frames gathered to register by: where they lie, from how many windows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ir_nav.geometry import FloatArray, FrameError, apply
from ir_nav.guidance import BreathingModel
from ir_nav.registration.ultrasound.sweep import TrackedSweep
from ir_nav.registration.ultrasound.usable_frames import GATE
from ir_nav.session.frame_tap import FrameTap, PairedFrame, PosePairing, grey
from ir_nav.session.state import Role
from ir_nav.session.streams import Streams

MOST_FRAMES = 60
# Frames that lie nearer to one another show the same; more, once there are too many.
APART_MM, WIDEN = 2.0, 1.4
# The probe's face this far from every other window; tilted in one place it looks through one.
WINDOW_MM = 40.0
OFF_BREATH = "not at the CT's breath"
BREATH_UNSEEN = "the reference was not seen"

LevelAt = Callable[[float], float | None]


@dataclass(frozen=True, slots=True, eq=False)
class GatheredFrame:
    """pixels (rows, columns) uint8. reference_from_image (4, 4): px to mm. corners_mm (4, 3): in
    `reference`, the upper two first: the probe's face lies along them. level: breath, 0 that of
    the CT and 1 the other end; None where nothing breathes."""

    pixels: NDArray[np.uint8]
    reference_from_image: FloatArray
    corners_mm: FloatArray
    level: float | None

    @property
    def face_mm(self) -> FloatArray:
        """(3,), the middle of the upper edge."""
        return np.asarray(self.corners_mm[:2].mean(axis=0))


def breath_level(streams: Streams, model: BreathingModel, lag_s: float) -> LevelAt:
    """Level of the breath at the time (source_s) of an image; None where nothing breathes.
    FrameError where the reference was not seen then. lag_s: of the tracker behind the image."""

    def level(source_s: float) -> float | None:
        if not model.breathes:
            return None
        place = streams.poses[Role.REFERENCE].at(source_s + lag_s)[:3, 3]
        return model.phase_mm(place) / model.amplitude_mm

    return level


class GatheredSweep:
    """One sweep under way. Use it from one thread."""

    def __init__(
        self, tap: FrameTap, pairing: PosePairing, probe_from_image: FloatArray, level_at: LevelAt
    ) -> None:
        self.stopped = False
        self.frames: tuple[GatheredFrame, ...] = ()
        self._tap, self._pairing = tap, pairing
        self._probe_from_image, self._level_at = probe_from_image, level_at
        self._apart_mm = APART_MM
        self._left_out: Counter[str] = Counter()

    @property
    def left_out(self) -> tuple[tuple[str, int], ...]:
        """Why frames were not taken, and how many, most often first."""
        return tuple(self._left_out.most_common())

    @property
    def windows(self) -> int:
        """Places from which the probe looked."""
        found: list[GatheredFrame] = []
        for frame in self.frames:
            if not any(_same_window(one, frame) for one in found):
                found.append(frame)
        return len(found)

    def gather(self, now_s: float) -> None:
        """Take the frames that arrived and whose pose is known; at each tick."""
        for paired in self._pairing.paired(self._tap.arrived(), now_s):
            self._take(paired)

    def stop(self) -> None:
        """Take no more frames."""
        self.stopped = True
        self._tap.close()

    def tracked(self) -> TrackedSweep:
        """What was gathered; there must be frames."""
        levels = [one.level for one in self.frames]
        known = [level for level in levels if level is not None]
        return TrackedSweep(
            np.stack([one.pixels for one in self.frames]),
            np.stack([one.reference_from_image for one in self.frames]),
            np.array(known) if len(known) == len(levels) else None,
        )

    def _take(self, paired: PairedFrame) -> None:
        if paired.pose is None:
            self._left_out[paired.reason or ""] += 1
            return
        try:
            level = self._level_at(paired.frame.source_s)
        except FrameError:
            self._left_out[BREATH_UNSEEN] += 1
            return
        if level is not None and abs(level) > GATE:
            self._left_out[OFF_BREATH] += 1
            return
        pixels = np.asarray(grey(paired.frame)).astype(np.uint8)
        if self.frames and pixels.shape != self.frames[0].pixels.shape:
            self._left_out["of another size"] += 1
            return
        pose = paired.pose @ self._probe_from_image
        self._keep(GatheredFrame(pixels, pose, _corners_mm(pixels.shape, pose), level))

    def _keep(self, frame: GatheredFrame) -> None:
        if not _is_apart(frame, self.frames, self._apart_mm):
            return
        self.frames = (*self.frames, frame)
        while len(self.frames) > MOST_FRAMES:
            self._apart_mm *= WIDEN
            self.frames = _thinned(self.frames, self._apart_mm)


def _thinned(frames: tuple[GatheredFrame, ...], apart_mm: float) -> tuple[GatheredFrame, ...]:
    kept: list[GatheredFrame] = []
    for frame in frames:
        if _is_apart(frame, kept, apart_mm):
            kept.append(frame)
    return tuple(kept)


def _corners_mm(shape: tuple[int, ...], pose: FloatArray) -> FloatArray:
    right, bottom = shape[1] - 1.0, shape[0] - 1.0
    corners = np.array([(0, 0, 0), (right, 0, 0), (right, bottom, 0), (0, bottom, 0)], dtype=float)
    return apply(pose, corners)


def _is_apart(frame: GatheredFrame, others: Sequence[GatheredFrame], apart_mm: float) -> bool:
    """Whether the corner that moved most has moved far enough from every other frame."""
    if not others:
        return True
    moved = np.array([one.corners_mm for one in others]) - frame.corners_mm
    farthest = np.sqrt((moved**2).sum(axis=2).max(axis=1))
    return bool(farthest.min() >= apart_mm)


def _same_window(first: GatheredFrame, second: GatheredFrame) -> bool:
    return float(np.linalg.norm(first.face_mm - second.face_mm)) < WINDOW_MM
