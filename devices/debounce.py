"""What every pedal has in common: contacts that bounce, and steps handed over once each."""

from __future__ import annotations

import time
from dataclasses import dataclass

from devices.contract import DeviceError, TextSample
from devices.reading import Reading

SAMPLE_NAME = "pedal"
SETTLE_S = 0.03
TICK_S = 0.005


@dataclass(frozen=True, slots=True)
class Turn:
    """The contact has changed for good. since_s: of the first edge of this change."""

    down: bool
    since_s: float


class Debounce:
    """A contact that must hold its level for `settle_s` before it counts.

    A pulse shorter than that, in either direction, is no step. Times are any one clock that runs
    evenly; feed edges as they come, and ask `settled` at least every few ms.
    """

    def __init__(self, settle_s: float = SETTLE_S, down: bool = False) -> None:
        self._settle_s = settle_s
        self._down = down
        self._level = down
        self._edge_s = 0.0
        self._since_s: float | None = None

    @property
    def down(self) -> bool:
        """As settled."""
        return self._down

    @property
    def settling(self) -> bool:
        """Whether a change may become certain soon."""
        return self._since_s is not None

    def feed(self, down: bool, now_s: float) -> None:
        """The level as read; the same level again changes nothing."""
        if down == self._level:
            return
        self._level, self._edge_s = down, now_s
        if self._since_s is None:
            self._since_s = now_s

    def settled(self, now_s: float) -> Turn | None:
        """The change that became certain by now, told once."""
        if self._since_s is None or now_s - self._edge_s < self._settle_s:
            return None
        since_s, self._since_s = self._since_s, None
        if self._level == self._down:
            return None
        self._down = self._level
        return Turn(self._down, since_s)


def require_settling(name: str, settle_s: float) -> None:
    """Raise DeviceError for a time that no contact takes."""
    if not 0.0 <= settle_s <= 0.5:
        raise DeviceError(f"{name}: debouncing takes 0 to 0.5 s, not {settle_s:.3g} s")


def tell_turn(debounce: Debounce, reading: Reading, by_s: float) -> None:
    """Hand over the step that became certain by `by_s` on the monotonic clock, if one has."""
    turn = debounce.settled(by_s)
    if turn is not None:
        now_s, received_s = time.monotonic(), time.time()
        word = "down" if turn.down else "up"
        touched_s = received_s - (now_s - turn.since_s)
        reading.deliver(TextSample(SAMPLE_NAME, word, touched_s, received_s))
