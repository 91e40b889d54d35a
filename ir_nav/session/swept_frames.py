"""Every ultrasound frame of a room where it lies in space, however slow the screen is."""

from __future__ import annotations

from dataclasses import dataclass

from devices.contract import ImageSample
from ir_nav.geometry import FloatArray
from ir_nav.session.frame_tap import PairedFrame, PosePairing
from ir_nav.session.image_poses import probe_from_image, reference_from_probe
from ir_nav.session.room import UltrasoundEntry
from ir_nav.session.scanner_use import AS_IN_ROOM, ScannerUse
from ir_nav.session.streams import Streams

# A page that was away is shown what it missed in portions that leave time to paint.
AT_ONCE = 12
MOST_PENDING = 64


@dataclass(frozen=True, slots=True, eq=False)
class SweptFrame:
    """reference_from_image: (4, 4), from (u px, v px, 0, 1) to mm at the patient reference, or at
    the tracker in a room without one; None with a reason where it is not known."""

    frame: ImageSample
    reference_from_image: FloatArray | None
    reason: str | None


class Sweep:
    """Collects the frames of a room; those that already wait are taken too. One thread."""

    def __init__(self, entry: UltrasoundEntry, streams: Streams) -> None:
        self._entry, self._queue = entry, streams.swept
        self._scanner = AS_IN_ROOM
        self._pairing = PosePairing(
            lambda source_s: reference_from_probe(streams, source_s + self._scanner.tracker_lag_s)
        )

    @property
    def lost(self) -> int:
        """Frames that were not fetched in time."""
        return self._queue.lost

    def gather(self, now_s: float, scanner: ScannerUse = AS_IN_ROOM) -> tuple[SweptFrame, ...]:
        """Frames whose place has become known, or never will be, oldest first; at most some at
        once. scanner: what was measured of it, as the tick uses it."""
        self._scanner = scanner
        fresh = self._queue.take(AT_ONCE) if self._pairing.pending < MOST_PENDING else ()
        probe = probe_from_image(self._entry, scanner)
        return tuple(_placed(one, probe) for one in self._pairing.paired(fresh, now_s))


def _placed(one: PairedFrame, probe: FloatArray) -> SweptFrame:
    return SweptFrame(one.frame, None if one.pose is None else one.pose @ probe, one.reason)
