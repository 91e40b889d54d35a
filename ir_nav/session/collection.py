"""Gathering poses while a tool is pivoted or spun, and the calibration that comes of it."""

from __future__ import annotations

from dataclasses import dataclass
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
    """What is known of one tool; `tool_from_tip` is None until the gates have passed."""

    pivot: PivotCalibration | None = None
    spin: SpinCalibration | None = None
    needs_spin: bool = False

    @property
    def tool_from_tip(self) -> FloatArray | None:
        if self.pivot is None or not self.pivot.accepted or self.missing() is not None:
            return None
        return tool_from_tip(self.pivot, self.spin)

    def missing(self) -> str | None:
        """What is left to do, in words, or None."""
        if self.pivot is None:
            return "pivot it"
        if not self.pivot.accepted:
            return f"pivot it again: {self.pivot.reason}"
        if self.needs_spin and self.spin is None:
            return "spin it about its shaft"
        if self.needs_spin and self.spin is not None and not self.spin.accepted:
            return f"spin it again: {self.spin.reason}"
        return None

    def taken(self, collection: Collection) -> ToolCalibration:
        """This calibration with a finished collection worked in."""
        poses = collection.matrices()
        if collection.kind is CollectionKind.PIVOT:
            return ToolCalibration(calibrate_pivot(poses), self.spin, self.needs_spin)
        return ToolCalibration(self.pivot, calibrate_spin(poses), self.needs_spin)
