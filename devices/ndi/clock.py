"""Frame numbers as Unix time.

Source: Polaris Application Program Interface Guide, "Frame numbers": the counter goes up at a
constant rate, and times are to be taken from it, because a reply takes now more, now less time.
"""

from __future__ import annotations

POLARIS_HZ = 60.0
AURORA_HZ = 40.0

# A frame this much older than the newest was overtaken on the way; more, and the counter was
# restarted, or runs at a rate other than thought.
MAX_LAG_S = 0.25

_DRIFT = 2e-4  # two clocks of 100 ppm each
_GAIN = 0.25


class FrameClock:
    """Fits Unix time to the frame counter, to the replies that came quickest.

    The time of a frame is when it would have arrived over a line without delay: the tracker's own
    constant latency stays in it and is for the temporal calibration to find.
    anchored: how often the fit was begun; more than once or twice means that rate_hz is wrong.
    """

    def __init__(self, rate_hz: float) -> None:
        self.rate_hz = rate_hz
        self.anchored = 0
        self._newest: int | None = None
        self._zero_s = 0.0  # Unix time of frame 0

    def unix_s(self, frame: int, received_s: float) -> float:
        """Time of a frame that arrived at `received_s`, and never later than that."""
        zero_s = received_s - frame / self.rate_hz
        if self._newest is None or abs(zero_s - self._zero_s) > MAX_LAG_S:
            self._zero_s, self._newest = zero_s, frame
            self.anchored += 1
        elif frame > self._newest:
            self._fit(zero_s, (frame - self._newest) / self.rate_hz)
            self._newest = frame
        return min(self._zero_s + frame / self.rate_hz, received_s)

    def _fit(self, zero_s: float, passed_s: float) -> None:
        if zero_s < self._zero_s:
            self._zero_s += _GAIN * (zero_s - self._zero_s)
        else:
            self._zero_s = min(self._zero_s + _DRIFT * passed_s, zero_s)


class Timeline:
    """Times of one tool's frames: each frame once, and never back in time."""

    def __init__(self, clock: FrameClock) -> None:
        self._clock = clock
        self._frame = 0
        self._at_s = 0.0

    def is_new(self, frame: int) -> bool:
        """False for a frame seen before, one that was overtaken, and 0: none measured yet."""
        behind = self._frame - frame
        return frame != 0 and behind != 0 and not 0 < behind < MAX_LAG_S * self._clock.rate_hz

    def unix_s(self, frame: int, received_s: float) -> float:
        """Time of a new frame."""
        at_s = self._clock.unix_s(frame, received_s)
        # Where the computer's clock was set back, its present counts for more than our past.
        self._at_s = min(max(at_s, self._at_s), received_s)
        self._frame = frame
        return self._at_s
