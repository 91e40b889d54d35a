"""Whether the ultrasound still fits the CT by the registration in use, judged as frames come."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ir_nav.geometry import FloatArray, read_only
from ir_nav.recording import EventKind
from ir_nav.registration import Registration, RegistrationError
from ir_nav.registration.ultrasound.acoustics import prepare_acoustics
from ir_nav.registration.ultrasound.fan import Fan, check_same_scale, mm_per_px_of
from ir_nav.registration.ultrasound.fan_finding import find_fan
from ir_nav.registration.ultrasound.live_check import FrameCheck, FrameQuality
from ir_nav.registration.ultrasound.quality_trace import Fit, QualityTrace, Verdict
from ir_nav.session.case import Case
from ir_nav.session.frame_tap import grey
from ir_nav.session.journal import Journal
from ir_nav.session.state import NavigationState, UltrasoundState

# Frames are judged this far apart at least; so many in a row must speak against the registration.
EVERY_S = 0.25
WARN_AFTER = 4
# Without a judged frame for so long nothing is said any more.
STALE_S = 20.0
FAN_FRAMES = 12
WAITING = QualityTrace().verdict(0.0)


@dataclass(frozen=True, slots=True, eq=False)
class JudgedFrame:
    """What came back from the worker. check: what judged it, or None where the fan is not found
    yet, for the reason given."""

    registration: Registration
    taken_s: float
    case: Case
    check: FrameCheck | None
    quality: FrameQuality | None
    reason: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    registration: Registration
    case: Case
    pixels: NDArray[np.uint8]
    ct_from_image: FloatArray
    taken_s: float


class LiveQuality:
    """Use it from the session's thread; what `next_check` gives runs elsewhere, and its result
    comes back to `add`.

    trace: of the registration in use. Its time counts judged frames, `EVERY_S` each, for only
    those in the breathing gate are judged: three seconds of it are the last twelve frames.
    verdict: on the last of them. warning: what a person is to be told, or None.
    """

    def __init__(
        self,
        journal: Journal,
        case: Callable[[], Case],
        registration: Callable[[], Registration | None],
        known_fan: Callable[[], Fan | None],
    ) -> None:
        self._journal, self._case = journal, case
        self._registration, self._known_fan = registration, known_fan
        self.reason = ""
        self._fan_frames: deque[NDArray[np.uint8]] = deque(maxlen=FAN_FRAMES)
        self._check: tuple[Case, FrameCheck] | None = None
        self._waiting: _Waiting | None = None
        self._busy = False
        self._frame_s = self._judged_s = float("-inf")
        self._on: Registration | None = None
        self._seen = False
        self.trace = QualityTrace()
        self.verdict: Verdict = WAITING
        self.warning: str | None = None
        self._count = self._against = 0

    @property
    def watched(self) -> bool:
        """Whether a registration is in use that ultrasound can be held against."""
        return self._on is not None and self._seen

    @property
    def similarities(self) -> tuple[float, ...]:
        """Of the judged frames, oldest first."""
        return tuple(one.quality.similarity for one in self.trace.samples)

    def advance(self, state: NavigationState) -> None:
        """Choose a frame to judge; at each tick."""
        used = self._registration()
        if used is not self._on:
            self._begin(used)
        self._seen = state.ultrasound is not None
        if used is None or state.ultrasound is None:
            return
        if state.now_s - self._judged_s > STALE_S:
            self.verdict, self._against = WAITING, 0
        breath = state.breathing
        if breath is not None and breath.inside:
            self._choose(used, state.ultrasound)

    def next_check(self) -> Callable[[], JudgedFrame] | None:
        """Slow work that waits: 10 ms, a second at first."""
        if self._busy or self._waiting is None:
            return None
        waiting, self._waiting, self._busy = self._waiting, None, True
        check = self._check
        known = check[1] if check is not None and check[0] is waiting.case else None
        frames, fan = tuple(self._fan_frames), self._known_fan()
        return lambda: _judge(waiting, known, fan, frames)

    def add(self, judged: JudgedFrame) -> None:
        """Take a judged frame back."""
        self._busy = False
        self.reason = judged.reason
        self._check = None if judged.check is None else (judged.case, judged.check)
        if judged.registration is not self._on or judged.quality is None:
            return
        self._count += 1
        self._judged_s = judged.taken_s
        time_s = EVERY_S * self._count
        self.trace = self.trace.with_frame(time_s, judged.quality)
        self.verdict = self.trace.verdict(time_s)
        self._against = self._against + 1 if self.verdict.warns else 0
        self._tell()

    def failed(self, reason: str) -> None:
        """A check could not be done."""
        self._busy, self.reason = False, reason

    def _begin(self, registration: Registration | None) -> None:
        """A new trace for another registration."""
        self._on = registration
        self.trace, self.verdict, self.warning = QualityTrace(), WAITING, None
        self._count, self._against, self._judged_s = 0, 0, float("-inf")
        self._waiting = None

    def _choose(self, used: Registration, image: UltrasoundState) -> None:
        taken_s = image.frame.source_s
        if image.image_from_ct is None or 0.0 <= taken_s - self._frame_s < EVERY_S:
            return
        self._frame_s = taken_s
        pixels = np.asarray(grey(image.frame)).astype(np.uint8)
        if self._fan_frames and self._fan_frames[0].shape != pixels.shape:
            self._fan_frames.clear()
            self._check = None
        self._fan_frames.append(pixels)
        ct_from_image = read_only(np.linalg.inv(image.image_from_ct))
        self._waiting = _Waiting(used, self._case(), pixels, ct_from_image, taken_s)

    def _tell(self) -> None:
        """Warn once, and say once that it fits again."""
        if self._against >= WARN_AFTER and self.warning is None:
            self.warning = self.verdict.words
            self._note(f"ultrasound check warns: {self.warning}")
        elif self.warning is not None and self.verdict.fit is Fit.HOLDS:
            self.warning = None
            self._note("ultrasound check: the frames fit the CT again")

    def _note(self, words: str) -> None:
        self._journal.note(
            EventKind.REGISTRATION,
            words,
            similarity=self.verdict.similarity,
            lead=self.verdict.lead,
            baseline=self.trace.baseline,
        )


def _judge(
    waiting: _Waiting,
    check: FrameCheck | None,
    fan: Fan | None,
    frames: tuple[NDArray[np.uint8], ...],
) -> JudgedFrame:
    """One frame; makes the CT ready, and finds the fan, the first time."""
    volume = waiting.case.volume
    assert volume is not None
    mm_per_px = mm_per_px_of(waiting.ct_from_image)

    def judged(made: FrameCheck | None, quality: FrameQuality | None, reason: str) -> JudgedFrame:
        return JudgedFrame(
            waiting.registration, waiting.taken_s, waiting.case, made, quality, reason
        )

    try:
        if check is None:
            found = fan if fan is not None and _fits(fan, waiting) else find_fan(frames, mm_per_px)
            check = FrameCheck(prepare_acoustics(volume, waiting.case.labels), found)
        quality = check.judge(waiting.pixels, waiting.ct_from_image)
    except RegistrationError as error:
        return judged(None, None, str(error))
    return judged(check, quality, "")


def _fits(fan: Fan, waiting: _Waiting) -> bool:
    """Whether a fan found earlier is that of these images."""
    try:
        check_same_scale(fan, waiting.ct_from_image)
    except RegistrationError:
        return False
    return True
