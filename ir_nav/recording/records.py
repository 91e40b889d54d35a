"""What goes into the log beside the samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ir_nav.geometry import FloatArray


class LogError(Exception):
    """A log cannot be written or read."""


class EventKind(StrEnum):
    """What happened. The text says it in words, the data in numbers."""

    ACKNOWLEDGED = "acknowledged"
    CASE = "case"
    PLAN = "plan"
    DEVICE = "device"
    CALIBRATION = "calibration"
    BREATHING = "breathing"
    REGISTRATION = "registration"
    GUIDANCE = "guidance"
    MARK = "mark"
    QUALITY = "quality"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at time_s (Unix time). data holds JSON values only."""

    time_s: float
    kind: EventKind
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What the screen showed at one tick; numbers are None where they were blanked.

    pose_source_s: the sender's time of the needle pose it was computed from. error_95_mm: radius
    said to hold the tip in 95 % of cases.
    """

    now_s: float
    reason: str | None
    pose_source_s: float | None = None
    tip_ct_mm: FloatArray | None = None
    shaft_ct: FloatArray | None = None
    to_target_mm: float | None = None
    off_path_mm: float | None = None
    angle_deg: float | None = None
    phase_mm: float | None = None
    error_95_mm: float | None = None
