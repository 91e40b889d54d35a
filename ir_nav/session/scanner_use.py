"""What guidance takes of the scanner's calibrations."""

from __future__ import annotations

from dataclasses import dataclass

from ir_nav.geometry import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class ScannerUse:
    """As measured or loaded in this session.

    probe_from_image (4, 4): None for the room file's own. tracker_lag_s: timestamp of the tracker
    minus that of the image for the same instant. reason: why nothing of the CT may be drawn on
    the image, or None.
    """

    probe_from_image: FloatArray | None = None
    tracker_lag_s: float = 0.0
    reason: str | None = None


AS_IN_ROOM = ScannerUse()
