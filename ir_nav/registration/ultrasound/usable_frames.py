"""Which frames of a sweep count: those at the CT's breath, not too many."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.ultrasound.sweep import TrackedSweep

LEAST_FRAMES = 4
MOST_FRAMES = 32
# Breathing level, of the way from one end to the other, up to which a frame shows the CT's state.
GATE = 0.15

Indices = NDArray[np.intp]


def usable_frames(sweep: TrackedSweep) -> Indices:
    """Those within the breathing gate, evenly thinned to MOST_FRAMES."""
    inside = np.arange(len(sweep.images))
    if sweep.level is not None:
        inside = np.flatnonzero(np.abs(sweep.level) <= GATE)
    if len(inside) < LEAST_FRAMES:
        words = "" if sweep.level is None else " at the CT's breath"
        raise RegistrationError(
            f"the sweep has {len(inside)} usable frames{words}, at least {LEAST_FRAMES} are "
            "needed: sweep slowly over the organ, at the breath-hold of the CT"
        )
    kept = np.linspace(0, len(inside) - 1, min(len(inside), MOST_FRAMES)).round().astype(np.intp)
    return np.asarray(inside[kept])


def breath_words(sweep: TrackedSweep) -> str:
    """What the breathing made of the frames, for the registration's inputs."""
    if sweep.level is None:
        return "no breathing known: all frames used, and what a breath may leave added to the error"
    return f"frames within {100 * GATE:.0f} % of the CT's breath only"
