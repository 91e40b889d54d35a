"""What a foot did: a short press or a long one, whichever pedal it was on."""

from __future__ import annotations

from collections import deque
from enum import StrEnum

from devices.contract import TextSample

LONG_S = 0.8
# What a busy screen did not take in time is no longer what the foot meant.
TOO_LATE_S = 1.0


class Press(StrEnum):
    """SHORT: told when the pedal comes up. LONG: told while it is still held."""

    SHORT = "short"
    LONG = "long"


class PedalPresses:
    """`turn` runs on the reader thread, `poll` on the one that acts. Times are Unix, s."""

    def __init__(self) -> None:
        self._turns: deque[TextSample] = deque(maxlen=64)
        self._down_s: float | None = None

    def turn(self, sample: TextSample) -> None:
        """The pedal has gone "down" or "up", debounced."""
        self._turns.append(sample)

    def poll(self, now_s: float) -> tuple[Press, ...]:
        """Presses since the last call, each told once; those from too long ago are left out."""
        found: list[Press] = []
        while self._turns:
            turn = self._turns.popleft()
            if turn.text == "down":
                self._down_s = turn.source_s
            elif self._down_s is not None:
                held_s, self._down_s = turn.source_s - self._down_s, None
                if now_s - turn.received_s <= TOO_LATE_S:
                    found.append(Press.LONG if held_s >= LONG_S else Press.SHORT)
        if self._down_s is not None and now_s - self._down_s >= LONG_S:
            if now_s - self._down_s <= LONG_S + TOO_LATE_S:
                found.append(Press.LONG)
            self._down_s = None
        return tuple(found)
