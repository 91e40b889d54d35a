"""The scanner's calibrations: phantom, probe and delay, and what guidance takes of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ir_nav.session.delay_step import DelayStep
from ir_nav.session.measured import AtHand, Measured
from ir_nav.session.phantom_step import PhantomStep
from ir_nav.session.probe_step import ProbeStep
from ir_nav.session.scanner_use import ScannerUse


class Scanner:
    """Use it from the session's thread."""

    def __init__(self, at_hand: AtHand) -> None:
        self.phantom = PhantomStep(at_hand)
        self.delay = DelayStep(at_hand)
        self.probe = ProbeStep(at_hand, self.phantom, self.delay)

    def __iter__(self) -> Iterator[Measured[Any]]:
        return iter((self.phantom, self.probe, self.delay))

    @property
    def use(self) -> ScannerUse:
        """What is in use now. What has expired is used no more, nor what stood before it."""
        expired = [step.kind for step in (self.probe, self.delay) if step.in_use.expired]
        reason = f"the {expired[0]} calibration has expired" if expired else None
        probe = self.probe.in_use.result
        matrix = None if probe is None else probe.probe_from_image
        return ScannerUse(matrix, self.delay.lag_s(), reason)

    def advance(self, now_s: float) -> None:
        """Take what arrived, and let expire what is due; at each tick."""
        for step in self:
            step.advance(now_s)
            step.age(now_s)

    def forget(self) -> None:
        """Drop what was measured: the devices are let go of."""
        for step in self:
            step.forget()
