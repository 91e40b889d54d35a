"""How the simulated patient breathes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hw_mocks.anatomy import TissueMotion

# Direction of the deep tissue on breathing in: towards the feet, and to the front; the skin
# goes mostly to the front. Fractions of the amplitude.
DEEP_PER_MM = np.array([0.0, -0.25, -0.97])
SKIN_PER_MM = np.array([0.0, -0.35, -0.08])
FLATNESS = 3
HELD_LEVEL = 0.02


@dataclass(slots=True)
class Breath:
    """A breathing cycle that dwells at expiration (Lujan 1999) and can be held there.

    amplitude_mm: travel of the deep tissue. period_s: of one cycle. step() moves it on.
    """

    amplitude_mm: float
    period_s: float = 4.5
    phase: float = 0.0
    hold_until_s: float = 0.0

    @property
    def level(self) -> float:
        """0 at end-expiration, 1 at full inspiration."""
        return float(np.sin(np.pi * self.phase) ** (2 * FLATNESS))

    @property
    def motion(self) -> TissueMotion:
        """Displacement of skin and deep tissue, mm in CT axes."""
        travel_mm = self.amplitude_mm * self.level
        return TissueMotion(SKIN_PER_MM * travel_mm, DEEP_PER_MM * travel_mm)

    @property
    def held(self) -> bool:
        return self.hold_until_s > 0.0 and self.level < HELD_LEVEL

    def hold(self, until_s: float) -> None:
        """Ask for a breath-hold after breathing out, until a time."""
        self.hold_until_s = until_s

    def release(self) -> None:
        self.hold_until_s = 0.0

    def step(self, now_s: float, elapsed_s: float) -> None:
        """Breathe on for `elapsed_s`, or rest where a hold is asked for."""
        if now_s >= self.hold_until_s:
            self.hold_until_s = 0.0
        if self.amplitude_mm <= 0.0 or (self.held and now_s < self.hold_until_s):
            return
        self.phase = (self.phase + elapsed_s / self.period_s) % 1.0
