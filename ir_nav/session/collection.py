"""Gathering poses while a tool is pivoted or spun, and the calibration that comes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from ir_nav.geometry import FloatArray
from ir_nav.session.state import Role
from ir_nav.tracking import PoseBuffer
from ir_nav.tracking.calibration import (
    PivotCalibration,
    SpinCalibration,
    calibrate_pivot,
    calibrate_spin,
    tool_from_tip,
)
from ir_nav.tracking.calibration.pivot import largest_turn_deg

# Sensors slip and shafts bend: what was measured a working day ago is measured anew.
CALIBRATION_LIFE_S = 8.0 * 3600.0


class CollectionKind(StrEnum):
    PIVOT = "pivot"
    SPIN = "spin"


class Collection:
    """Poses of one tool since the user started; grows at each tick."""

    def __init__(self, kind: CollectionKind, role: Role, started_s: float) -> None:
        self.kind = kind
        self.role = role
        self.started_s = started_s
        self._poses: list[FloatArray] = []
        self._seen_s = started_s
        self._span = (0, 0.0)

    @property
    def count(self) -> int:
        return len(self._poses)

    @property
    def span_deg(self) -> float:
        """Largest angle between two poses so far; worked out anew for each 15 poses."""
        if self.count - self._span[0] >= 15:
            self._span = (self.count, largest_turn_deg(self.matrices()))
        return self._span[1]

    def matrices(self) -> FloatArray:
        """Poses so far, (n, 4, 4) mm."""
        return np.array(self._poses).reshape(-1, 4, 4)

    def gather(self, buffer: PoseBuffer) -> None:
        """Take the valid poses that arrived since the last call."""
        for sample in buffer.since(self._seen_s):
            self._seen_s = sample.received_s
            if sample.matrix is not None:
                self._poses.append(sample.matrix)


@dataclass(frozen=True, slots=True, eq=False)
class ToolCalibration:
    """What is known of one tool; `tool_from_tip` is None until the gates have passed.

    pivot_s, spin_s: when each was made (Unix time), None where that is not known: then it does
    not expire. expired: a part is older than CALIBRATION_LIFE_S, see `aged`. before: the
    calibration that this one took the place of. file: name of the file that the pivot was loaded
    from, None where it was measured here.
    """

    pivot: PivotCalibration | None = None
    spin: SpinCalibration | None = None
    needs_spin: bool = False
    pivot_s: float | None = None
    spin_s: float | None = None
    expired: CollectionKind | None = None
    before: ToolCalibration | None = None
    file: str | None = None

    @property
    def tool_from_tip(self) -> FloatArray | None:
        if self.pivot is None or not self.pivot.accepted or self.missing() is not None:
            return None
        return tool_from_tip(self.pivot, self.spin)

    @property
    def made_s(self) -> float | None:
        """When its oldest part was made (Unix time), or None."""
        times = [time_s for time_s in (self.pivot_s, self.spin_s) if time_s is not None]
        return min(times, default=None)

    def missing(self) -> str | None:
        """What is left to do, in words, or None."""
        if self.pivot is None:
            return "pivot it"
        if not self.pivot.accepted:
            return f"pivot it again: {self.pivot.reason}"
        if self.expired is not None:
            return f"calibration expired: {self.expired} it again"
        if self.needs_spin and self.spin is None:
            return "spin it about its shaft"
        if self.needs_spin and self.spin is not None and not self.spin.accepted:
            return f"spin it again: {self.spin.reason}"
        return None

    def expires_in_s(self, now_s: float) -> float | None:
        """Time left, s, 0 or less once it has expired; None where it does not expire."""
        return None if self.made_s is None else self.made_s + CALIBRATION_LIFE_S - now_s

    def aged(self, now_s: float) -> ToolCalibration:
        """This calibration as it stands at `now_s` (Unix time): expired, or not."""
        expired = None
        if _too_old(self.pivot_s, now_s):
            expired = CollectionKind.PIVOT
        elif _too_old(self.spin_s, now_s):
            expired = CollectionKind.SPIN
        return self if expired is self.expired else replace(self, expired=expired)

    def taken(self, collection: Collection, now_s: float) -> ToolCalibration:
        """This calibration with a collection worked in that was finished at `now_s`."""
        poses = collection.matrices()
        if collection.kind is CollectionKind.PIVOT:
            pivot = calibrate_pivot(poses)
            new = replace(self, pivot=pivot, pivot_s=now_s, before=self, file=None)
        else:
            new = replace(self, spin=calibrate_spin(poses), spin_s=now_s, before=self)
        return new.aged(now_s)

    def loaded(
        self, pivot: PivotCalibration, file: str, made_s: float, now_s: float
    ) -> ToolCalibration:
        """This calibration with a pivot in it that was loaded from a file."""
        new = replace(self, pivot=pivot, pivot_s=made_s, before=self, file=file)
        return new.aged(now_s)


def _too_old(made_s: float | None, now_s: float) -> bool:
    return made_s is not None and now_s - made_s >= CALIBRATION_LIFE_S
