"""The probe: swept over the phantom, calibrated, validated, put into use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ir_nav.geometry import FloatArray, rigid_inverse
from ir_nav.session.delay_step import DelayStep
from ir_nav.session.errors import SessionError
from ir_nav.session.frame_tap import FrameTap, PosePairing
from ir_nav.session.measured import AtHand, MeasuredHere
from ir_nav.session.phantom_step import PhantomStep
from ir_nav.session.probe_sweep import (
    ProbeOutcome,
    ProbeSweep,
    SearchedFrame,
    SweepStage,
    WireSearch,
    search_wires,
    solve_probe,
)
from ir_nav.session.state import Role
from ir_nav.tracking.calibration.calibration_file import CalibrationKind
from ir_nav.tracking.calibration.nwire import MIN_FRAMES
from ir_nav.tracking.calibration.probe_result import (
    SCALES_MM_PER_PX,
    ProbeCalibration,
    probe_calibration_json,
)

Search = Callable[[], tuple[SearchedFrame, ...]]


class ProbeStep(MeasuredHere[ProbeCalibration, ProbeOutcome]):
    """sweep: under way, or None. typed_mm_per_px: scale that the user stated."""

    kind = CalibrationKind.PROBE
    role = Role.PROBE

    def __init__(self, at_hand: AtHand, phantom: PhantomStep, delay: DelayStep) -> None:
        super().__init__(at_hand)
        self.sweep: ProbeSweep | None = None
        self.typed_mm_per_px: float | None = None
        self._phantom = phantom
        self._delay = delay

    @property
    def running(self) -> bool:
        return self.sweep is not None

    @property
    def mm_per_px(self) -> float | None:
        """Nominal scale of the images: as typed, as the phantom's file says, as the room says."""
        room = self.at_hand.room()
        if self.typed_mm_per_px is not None:
            return self.typed_mm_per_px
        if self._phantom.mm_per_px is not None:
            return self._phantom.mm_per_px
        if room is None or room.ultrasound is None:
            return None
        return float(np.linalg.norm(room.ultrasound.matrix[:3, 0]))

    def state_scale(self, text: str) -> None:
        """Take a scale in mm per pixel as typed; nothing typed: as the files say. SessionError
        when it is none."""
        typed = text.strip().replace(",", ".")
        try:
            scale = float(typed) if typed else None
        except ValueError:
            scale = float("nan")
        if scale is not None and not SCALES_MM_PER_PX[0] <= scale <= SCALES_MM_PER_PX[1]:
            raise SessionError(f"'{text}' mm per pixel is no scale of an ultrasound image")
        self.typed_mm_per_px = scale

    def start(self) -> None:
        """Begin the calibration sweep."""
        streams = self.at_hand.require_tools(Role.PROBE, Role.REFERENCE)
        self.at_hand.require_ultrasound()
        phantom, scale = self._phantom.placed, self.mm_per_px
        if phantom is None:
            raise SessionError(self._phantom.missing() or "choose the phantom's file")
        if scale is None:
            raise SessionError("state the scale of the images, in mm per pixel")
        if self._delay.in_use.expired:
            raise SessionError("the delay calibration has expired: measure it again, or undo it")
        self.cancel()
        probe, reference = streams.poses[Role.PROBE], streams.poses[Role.REFERENCE]

        def reference_from_probe(image_s: float) -> FloatArray:
            time_s = image_s + self._delay.lag_s()
            return np.asarray(rigid_inverse(reference.at(time_s)) @ probe.at(time_s))

        self.sweep = ProbeSweep(
            WireSearch(phantom, scale),
            FrameTap(streams.ultrasound),
            PosePairing(reference_from_probe),
        )

    def validate(self) -> None:
        """What comes from now on is for the validation."""
        sweep = self._under_way()
        found, _ = sweep.counts(SweepStage.CALIBRATION)
        if found + sweep.left < MIN_FRAMES:
            raise SessionError(f"wires were found in {found} frames, {MIN_FRAMES} are needed")
        sweep.validate(self.at_hand.clock())

    def finish(self) -> None:
        """Take no more frames. Once `sweep.ready` the calibration can be worked out."""
        sweep = self._under_way()
        if sweep.stage is SweepStage.CALIBRATION:
            raise SessionError("sweep once more for the validation first")
        sweep.gather(self.at_hand.clock())
        sweep.finish()

    def next_search(self) -> Search | None:
        """Slow work that waits, for a worker's thread; its result goes to `sweep.add`."""
        if self.sweep is None:
            return None
        batch, wanted = self.sweep.next_batch(), self.sweep.wanted
        return (lambda: search_wires(batch, wanted)) if batch else None

    def solution(self) -> Callable[[], ProbeOutcome]:
        """Working out what the sweep holds, for a worker's thread; see `conclude`."""
        sweep = self._under_way()
        calibration, validation = (sweep.frames(stage) for stage in SweepStage)
        phantom = sweep.wanted.phantom
        return lambda: solve_probe(calibration, validation, phantom)

    def conclude(self, outcome: ProbeOutcome) -> bool:
        """Put what was worked out into use, unless it was refused; whether it is."""
        self.sweep, self.outcome = None, outcome
        return self.take(outcome.calibration, self.at_hand.clock())

    def cancel(self) -> None:
        if self.sweep is not None:
            self.sweep.finish()
        self.sweep = None

    def advance(self, now_s: float) -> None:
        if self.sweep is not None:
            self.sweep.gather(now_s)

    def words(self, result: ProbeCalibration) -> str:
        parts = []
        for name, error in (
            ("validation", result.validation_error),
            ("calibration", result.calibration_error),
        ):
            if error is not None:
                parts.append(f"{name} {error.mean_best_95:.2f} mm (mean of the best 95 %)")
        return ", ".join(parts) or "no error known"

    def document(self, result: ProbeCalibration) -> dict[str, Any]:
        return probe_calibration_json(result)

    def _under_way(self) -> ProbeSweep:
        if self.sweep is None:
            raise SessionError("start the calibration sweep first")
        return self.sweep
