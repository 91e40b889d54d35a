"""Sweeping a probe over an N-wire phantom: frames in, wires found, a calibration judged."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from ir_nav.geometry import FloatArray
from ir_nav.session.frame_tap import MAX_WAITING, FrameTap, PairedFrame, PosePairing, grey
from ir_nav.tracking.calibration.nwire import calibrate_probe, travel_mm, validate_probe
from ir_nav.tracking.calibration.nwire_segmentation import Corner, Refused, find_wires
from ir_nav.tracking.calibration.phantom import Phantom
from ir_nav.tracking.calibration.pivot import largest_turn_deg
from ir_nav.tracking.calibration.probe_result import (
    ProbeCalibration,
    ProbeValidation,
    validated,
)
from ir_nav.tracking.calibration.result import CalibrationError, Rejection

# Short enough that Cancel is not waited for.
BATCH_FRAMES = 8
COVERAGE_EVERY = 10


class SweepStage(StrEnum):
    """What the frames are for: the validation must not see what was calibrated with."""

    CALIBRATION = "calibration"
    VALIDATION = "validation"


@dataclass(frozen=True, slots=True, eq=False)
class WireSearch:
    """What is looked for in each frame. phantom: registered. mm_per_px: nominal."""

    phantom: Phantom
    mm_per_px: float
    first_wire: Corner | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SearchedFrame:
    """wires_px (3 k, 2) or None with a reason; pose (4, 4), NaN where there was none."""

    stage: SweepStage
    pose: FloatArray
    wires_px: FloatArray | None
    reason: str | None


@dataclass(frozen=True, slots=True, eq=False)
class SweptFrames:
    """All frames of one stage: poses (n, 4, 4), mm; wires_px (n, 3 k, 2), NaN where rejected."""

    poses: FloatArray
    wires_px: FloatArray
    rejected: tuple[Rejection, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Coverage:
    """Where the frames with wires lie. middle_px (m, 2): the diagonals' cuts in the image.
    travel_mm: along the wires. turned_deg: largest angle between two poses of the probe."""

    middle_px: FloatArray
    travel_mm: float
    turned_deg: float


@dataclass(frozen=True, slots=True, eq=False)
class ProbeOutcome:
    """A calibration with its validation worked in, and what each left."""

    calibration: ProbeCalibration
    validation: ProbeValidation | None


Batch = tuple[tuple[SweepStage, PairedFrame], ...]


def search_wires(batch: Batch, wanted: WireSearch) -> tuple[SearchedFrame, ...]:
    """Look for the wires in each frame; about 15 ms for each: for a worker's thread."""
    return tuple(_searched(stage, paired, wanted) for stage, paired in batch)


def solve_probe(
    calibration: SweptFrames, validation: SweptFrames, phantom: Phantom
) -> ProbeOutcome:
    """The calibration of one sweep, judged by the other."""
    found = calibrate_probe(
        calibration.wires_px, calibration.poses, phantom, not_found=calibration.rejected
    )
    if found.probe_from_image is None:
        return ProbeOutcome(found, None)
    judged = validate_probe(
        found.probe_from_image,
        validation.wires_px,
        validation.poses,
        phantom,
        not_found=validation.rejected,
    )
    return ProbeOutcome(validated(found, judged), judged)


class ProbeSweep:
    """One run: a calibration sweep, then a validation sweep. Use it from one thread; the search
    itself (`search_wires`) runs elsewhere on what `next_batch` gives and comes back to `add`."""

    def __init__(self, wanted: WireSearch, tap: FrameTap, pairing: PosePairing) -> None:
        self.wanted = wanted
        self.stage = SweepStage.CALIBRATION
        self.finished = False
        self._tap = tap
        self._pairing = pairing
        self._switched_s = float("inf")
        self._waiting: deque[tuple[SweepStage, PairedFrame]] = deque()
        self._searching = 0
        self._frames: dict[SweepStage, list[SearchedFrame]] = {one: [] for one in SweepStage}
        self._coverage = (SweepStage.CALIBRATION, 0, Coverage(np.zeros((0, 2)), 0.0, 0.0))

    @property
    def left(self) -> int:
        """Frames that arrived and are not searched yet."""
        return self._pairing.pending + len(self._waiting) + self._searching

    @property
    def ready(self) -> bool:
        """Finished, and every frame searched."""
        return self.finished and self.left == 0

    @property
    def overrun(self) -> int:
        """Frames that were dropped because the computer could not keep up."""
        return self._tap.overrun

    def gather(self, now_s: float) -> None:
        """Take the frames that arrived and give each its pose; at each tick."""
        for paired in self._pairing.paired(self._tap.arrived(), now_s):
            late = paired.frame.received_s > self._switched_s
            stage = SweepStage.VALIDATION if late else SweepStage.CALIBRATION
            if len(self._waiting) < MAX_WAITING:
                self._waiting.append((stage, paired))
            else:
                self._tap.overrun += 1

    def validate(self, now_s: float) -> None:
        """What arrives from `now_s` (Unix time) on is for the validation."""
        self.stage, self._switched_s = SweepStage.VALIDATION, now_s

    def finish(self) -> None:
        """Take no more frames; those that have arrived are still searched."""
        self.finished = True
        self._tap.close()

    def next_batch(self) -> Batch:
        """Frames to search now; empty while others are being searched, or none waits."""
        if self._searching:
            return ()
        count = min(BATCH_FRAMES, len(self._waiting))
        self._searching = count
        return tuple(self._waiting.popleft() for _ in range(count))

    def add(self, searched: tuple[SearchedFrame, ...]) -> None:
        """Take a batch back from the search."""
        self._searching = 0
        for one in searched:
            self._frames[one.stage].append(one)

    def counts(self, stage: SweepStage) -> tuple[int, int]:
        """Frames with wires and pose, and frames refused."""
        found = sum(one.reason is None for one in self._frames[stage])
        return found, len(self._frames[stage]) - found

    def refusals(self, stage: SweepStage) -> tuple[tuple[str, int], ...]:
        """Why frames were refused, and how often, most often first."""
        reasons = (one.reason for one in self._frames[stage] if one.reason is not None)
        return tuple(Counter(reasons).most_common())

    def coverage(self) -> Coverage:
        """Of the present stage; worked out anew for each ten frames."""
        found = [one for one in self._frames[self.stage] if one.wires_px is not None]
        stage, count, known = self._coverage
        if found and (stage is not self.stage or abs(len(found) - count) >= COVERAGE_EVERY):
            wires = np.array([one.wires_px for one in found])
            known = Coverage(
                wires[:, 1::3].reshape(-1, 2),
                travel_mm(wires, self.wanted.phantom),
                largest_turn_deg(np.array([one.pose for one in found])),
            )
            self._coverage = (self.stage, len(found), known)
        return known

    def frames(self, stage: SweepStage) -> SweptFrames:
        """All searched frames of a stage, in order of arrival."""
        found = self._frames[stage]
        nothing = np.full((3 * self.wanted.phantom.patterns, 2), np.nan)
        wires = [nothing if one.wires_px is None else one.wires_px for one in found]
        return SweptFrames(
            np.array([one.pose for one in found]).reshape(-1, 4, 4),
            np.array(wires).reshape(-1, *nothing.shape),
            tuple(
                Rejection(index, one.reason)
                for index, one in enumerate(found)
                if one.reason is not None
            ),
        )


def _searched(stage: SweepStage, paired: PairedFrame, wanted: WireSearch) -> SearchedFrame:
    if paired.pose is None:
        return SearchedFrame(stage, np.full((4, 4), np.nan), None, paired.reason)
    try:
        found = find_wires(
            grey(paired.frame), wanted.phantom, wanted.mm_per_px, first_wire=wanted.first_wire
        )
    except CalibrationError as error:
        return SearchedFrame(stage, paired.pose, None, str(error))
    if isinstance(found, Refused):
        return SearchedFrame(stage, paired.pose, None, found.reason)
    return SearchedFrame(stage, paired.pose, found.wires_px, None)
