"""The tracker's delay: measured over a flat bottom, put into use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ir_nav.session.delay_run import (
    DelayOutcome,
    DelayRun,
    Heights,
    find_heights,
    solve_delay,
)
from ir_nav.session.errors import SessionError
from ir_nav.session.frame_tap import FrameTap
from ir_nav.session.measured import AtHand, MeasuredHere
from ir_nav.session.state import Role
from ir_nav.tracking.calibration.calibration_file import CalibrationKind
from ir_nav.tracking.calibration.delay import MIN_IMAGES, DelayCalibration, delay_json


class DelayStep(MeasuredHere[DelayCalibration, DelayOutcome]):
    """run: under way, or None."""

    kind = CalibrationKind.DELAY
    role = Role.PROBE

    def __init__(self, at_hand: AtHand) -> None:
        super().__init__(at_hand)
        self.run: DelayRun | None = None

    @property
    def running(self) -> bool:
        return self.run is not None

    def lag_s(self) -> float:
        """Timestamp of the tracker minus that of the image for the same instant; 0 as long as it
        was not measured."""
        result = self.in_use.valid
        return 0.0 if result is None or result.tracker_lag_s is None else result.tracker_lag_s

    def start(self) -> None:
        """Begin watching image and probe."""
        streams = self.at_hand.require_tools(Role.PROBE)
        self.at_hand.require_ultrasound()
        self.cancel()
        tap = FrameTap(streams.ultrasound)
        self.run = DelayRun(tap, streams.poses[Role.PROBE], self.at_hand.clock())

    def finish(self) -> None:
        """Take no more. Once `run.ready` the delay can be worked out."""
        self._under_way().finish()

    def next_search(self) -> Callable[[], Heights] | None:
        """Slow work that waits, for a worker's thread; its result goes to `run.add`."""
        batch = () if self.run is None else self.run.next_batch()
        return (lambda: find_heights(batch)) if batch else None

    def solution(self) -> Callable[[], DelayOutcome]:
        """Working out what was seen, for a worker's thread; see `conclude`. SessionError where
        there is nothing to compare."""
        signals = self._under_way().signals()
        images, poses = len(signals.image_times_s), len(signals.tracker_times_s)
        if images < MIN_IMAGES or poses < MIN_IMAGES:
            self.cancel()
            raise SessionError(
                f"{images} images and {poses} poses of the probe came, {MIN_IMAGES} of each are "
                "needed: move the probe for about 10 s"
            )
        return lambda: solve_delay(signals)

    def conclude(self, outcome: DelayOutcome) -> bool:
        """Put what was worked out into use, unless it was refused; whether it is."""
        self.run, self.outcome = None, outcome
        return self.take(outcome.result, self.at_hand.clock())

    def cancel(self) -> None:
        if self.run is not None and not self.run.finished:
            self.run.finish()
        self.run = None

    def advance(self, now_s: float) -> None:
        if self.run is not None:
            self.run.gather()

    def words(self, result: DelayCalibration) -> str:
        return lag_words(result.tracker_lag_s, result.lag_error_s)

    def document(self, result: DelayCalibration) -> dict[str, Any]:
        return delay_json(result)

    def _under_way(self) -> DelayRun:
        if self.run is None:
            raise SessionError("start measuring the delay first")
        return self.run


def lag_words(lag_s: float | None, error_s: float | None) -> str:
    """The delay with its sign in words, and its standard error where it is known."""
    if lag_s is None:
        return "no delay found"
    way = "leads" if lag_s < 0.0 else "lags behind"
    error = "" if error_s is None else f", standard error {1e3 * error_s:.1f} ms"
    return f"the tracker {way} the images by {1e3 * abs(lag_s):.1f} ms{error}"
