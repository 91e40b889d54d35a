"""Watching the patient reference until the breath is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ir_nav.geometry import GeometryError
from ir_nav.guidance import BreathingModel, learn_breathing
from ir_nav.session.journal import Journal
from ir_nav.session.state import Role
from ir_nav.session.streams import Streams

WATCHED_S = 12.0


class BreathingWatch:
    """model: what was learned of the breath, None until the reference was watched for WATCHED_S.
    clock: Unix time, s."""

    def __init__(self, clock: Callable[[], float], journal: Journal) -> None:
        self.model: BreathingModel | None = None
        self._clock = clock
        self._journal = journal
        self._from_s = 0.0

    def begin(self) -> None:
        """Forget what was learned and watch anew."""
        self.model, self._from_s = None, self._clock()

    def watch(self, streams: Streams | None, now_s: float) -> None:
        """Learn it once enough was seen; at each tick."""
        if self.model is not None or streams is None:
            return
        buffer = streams.poses.get(Role.REFERENCE)
        if buffer is None or now_s - self._from_s < WATCHED_S:
            return
        seen = [
            (sample.source_s, sample.matrix[:3, 3])
            for sample in buffer.since(self._from_s)
            if sample.matrix is not None
        ]
        try:
            self.model = learn_breathing(
                [time_s for time_s, _ in seen],
                np.array([place for _, place in seen]).reshape(-1, 3),
            )
        except GeometryError:
            self._from_s = now_s
            return
        self._journal.breathing(self.model)
