"""Respiratory gate from the motion of the patient reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ir_nav.geometry import FloatArray, GeometryError, read_only

MIN_OBSERVED_S = 6.0
# Below this the reference does not breathe: noise of the tracker or a phantom.
MIN_AMPLITUDE_MM = 0.8
GATE_FRACTION = 0.25
MIN_GATE_MM = 0.6


@dataclass(frozen=True, slots=True, eq=False)
class BreathingModel:
    """How the reference moves with the breath, learnt over several cycles.

    axis_tracker (3,): unit vector from expiration to inspiration. expiration_tracker_mm (3,):
    where the reference rests at end-expiration, the phase of the planning CT. amplitude_mm:
    5th to 95th percentile of the motion along the axis. gate_mm: largest distance from
    end-expiration at which guidance holds.
    """

    axis_tracker: FloatArray
    expiration_tracker_mm: FloatArray
    amplitude_mm: float
    gate_mm: float
    observed_s: float

    @property
    def breathes(self) -> bool:
        return self.amplitude_mm >= MIN_AMPLITUDE_MM

    def phase_mm(self, reference_tracker_mm: ArrayLike) -> float:
        """Distance along the axis from end-expiration; 0 is the CT's phase."""
        position = np.asarray(reference_tracker_mm, dtype=np.float64)
        return float(np.dot(position - self.expiration_tracker_mm, self.axis_tracker))

    def inside(self, phase_mm: float) -> bool:
        """Whether a phase lies in the gate; always, where nothing breathes."""
        return not self.breathes or abs(phase_mm) <= self.gate_mm


def learn_breathing(times_s: ArrayLike, positions_tracker_mm: ArrayLike) -> BreathingModel:
    """Model from reference positions (n, 3) in `tracker`, mm, at times (n,).

    The axis is the first principal component; end-expiration is the end of it at which the
    body dwells (Lujan 1999: breathing is sin^2n, flat at expiration), taken as the median of
    the calmest fifth at that end. Raises GeometryError when less than 6 s were seen.
    """
    times = np.asarray(times_s, dtype=np.float64)
    positions = np.asarray(positions_tracker_mm, dtype=np.float64)
    if positions.ndim != 2 or positions.shape[1] != 3 or len(times) != len(positions):
        raise GeometryError(f"need (n, 3) positions with n times, got {positions.shape}")
    observed_s = float(np.ptp(times)) if len(times) else 0.0
    if observed_s < MIN_OBSERVED_S or len(times) < 60:
        raise GeometryError(
            f"breathing was watched for {observed_s:.0f} s; watch it for {MIN_OBSERVED_S:.0f} s"
        )
    centre = np.median(positions, axis=0)
    _, _, axes = np.linalg.svd(positions - centre, full_matrices=False)
    motion = (positions - centre) @ axes[0]
    low, high = (float(value) for value in np.percentile(motion, (5.0, 95.0)))
    middle = (low + high) / 2.0
    # The body rests at expiration: more than half of the samples lie on that side.
    sign = 1.0 if np.mean(motion < middle) >= 0.5 else -1.0
    axis = axes[0] * sign
    motion = motion * sign
    calm = motion <= np.percentile(motion, 30.0)
    expiration = centre + axis * float(np.median(motion[calm]))
    amplitude = high - low
    return BreathingModel(
        read_only(axis),
        read_only(expiration),
        amplitude,
        max(MIN_GATE_MM, GATE_FRACTION * amplitude),
        observed_s,
    )
