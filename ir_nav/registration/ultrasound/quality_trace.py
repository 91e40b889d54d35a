"""How well the frames of the last minutes fitted the CT, and what to say about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from ir_nav.geometry import FloatArray, read_only
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.ultrasound.live_check import FrameQuality, displacements_ct_mm

KEEP_S = 180.0
WINDOW_S = 3.0
LEAST_FRAMES = 10
# The frames' own pose must be better than every step aside by this much similarity.
LEAST_LEAD = 0.03
# Below this share of the similarity right after the registration the frames fit no more.
LEAST_SHARE = 0.6
LEAST_SIMILARITY = 0.15

_TOWARDS = (("the right", "the left"), ("the front", "the back"), ("the feet", "the head"))


class Fit(StrEnum):
    """What the last seconds say of the registration."""

    WAITING = "too few frames to judge"
    HOLDS = "the frames fit the CT"
    DRIFTED = "the frames fit better beside their pose"
    LOST = "the frames no longer fit the CT"


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """fit: what the last `WINDOW_S` say. words: for the user. similarity, lead: means over the
    frames, lead being what the pose is better by than the best step aside; None while waiting.
    displacement_ct_mm (3,): the step aside that fits best, where that is a reason to warn."""

    fit: Fit
    words: str
    similarity: float | None = None
    lead: float | None = None
    displacement_ct_mm: FloatArray | None = None

    @property
    def warns(self) -> bool:
        return self.fit in (Fit.DRIFTED, Fit.LOST)


@dataclass(frozen=True, slots=True)
class Sample:
    """A frame's quality at the time the frame was taken."""

    time_s: float
    quality: FrameQuality


@dataclass(frozen=True, slots=True)
class QualityTrace:
    """Frames judged since a registration was accepted; a new registration begins a new trace.

    samples: those of the last `KEEP_S`, oldest first. baseline: mean similarity of the first
    `LEAST_FRAMES` frames, None before.
    """

    samples: tuple[Sample, ...] = ()
    baseline: float | None = None

    def with_frame(self, time_s: float, quality: FrameQuality | None) -> QualityTrace:
        """The trace with one more frame; unchanged where the frame could not be judged.

        Raises RegistrationError when the frame is older than the last one.
        """
        if quality is None:
            return self
        if self.samples and time_s < self.samples[-1].time_s:
            raise RegistrationError("a frame of the quality trace is older than the one before it")
        first = next(
            (n for n, one in enumerate(self.samples) if one.time_s >= time_s - KEEP_S),
            len(self.samples),
        )
        samples = (*self.samples[first:], Sample(time_s, quality))
        if self.baseline is None and len(samples) >= LEAST_FRAMES:
            begun = np.mean([one.quality.similarity for one in samples[:LEAST_FRAMES]])
            return QualityTrace(samples, float(begun))
        return replace(self, samples=samples)

    def verdict(self, now_s: float) -> Verdict:
        """What the frames of the `WINDOW_S` before `now_s` say."""
        recent = [one.quality for one in self.samples if now_s - WINDOW_S <= one.time_s <= now_s]
        if len(recent) < LEAST_FRAMES or self.baseline is None:
            return Verdict(Fit.WAITING, "Too few ultrasound frames to check the registration.")
        similarity = float(np.mean([one.similarity for one in recent]))
        beside = np.mean([one.beside for one in recent], axis=0)
        best = int(np.argmax(beside))
        lead = similarity - float(beside[best])
        if similarity < max(LEAST_SIMILARITY, LEAST_SHARE * self.baseline):
            return Verdict(Fit.LOST, _LOST_WORDS, similarity, lead)
        if lead < LEAST_LEAD:
            displacement = displacements_ct_mm()[best]
            words = (
                "The ultrasound fits the CT about as well or better "
                f"{_in_words(displacement)}: check the reference body, then register again."
            )
            return Verdict(Fit.DRIFTED, words, similarity, lead, read_only(displacement))
        return Verdict(Fit.HOLDS, "The ultrasound fits the CT.", similarity, lead)


_LOST_WORDS = (
    "The ultrasound no longer fits the CT: check the breath-hold, the probe's contact and the "
    "reference body, then register again."
)


def _in_words(displacement_ct_mm: FloatArray) -> str:
    axis = int(np.argmax(np.abs(displacement_ct_mm)))
    length_mm = float(displacement_ct_mm[axis])
    return f"{abs(length_mm):.0f} mm towards {_TOWARDS[axis][int(length_mm > 0.0)]}"
