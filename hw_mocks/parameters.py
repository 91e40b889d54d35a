"""What can be set in the simulated room."""

from __future__ import annotations

from dataclasses import dataclass

# Radius over which a tool's markers are spread: turns position noise into orientation noise.
MARKER_ARM_MM = 80.0


@dataclass(frozen=True, slots=True)
class RoomParameters:
    """Settings of the room.

    tracker_noise_mm: rms of the position error of a tool over three axes; the orientation's
    follows from markers spread over 80 mm. tracker_delay_s: from measurement to sending.
    dropouts_per_min: of the needle, each 0.1 to 0.4 s. tremor_mm: of the operator's hand.
    skin_slip_mm: rms, by how far the skin and each marker on it lie elsewhere than in the CT, half
    of it alike for all: patients are laid down anew. pincushion, s_turn: of the C-arm's image
    intensifier, as in Intensifier; 0 for a flat detector. pace: above 1 the operator works faster.
    """

    seed: int = 1
    tracker_noise_mm: float = 0.25
    tracker_delay_s: float = 0.004
    dropouts_per_min: float = 0.5
    breathing_mm: float = 8.0
    tremor_mm: float = 0.15
    skin_slip_mm: float = 0.0
    pincushion: float = 0.0
    s_turn: float = 0.0
    tracker_hz: float = 60.0
    ultrasound_hz: float = 20.0
    fluoro_hz: float = 7.5
    pace: float = 1.0
