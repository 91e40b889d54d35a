"""What a tick depends on besides the time."""

from __future__ import annotations

from dataclasses import dataclass

from ir_nav.guidance import BreathingModel
from ir_nav.planning import Plan
from ir_nav.registration import Registration
from ir_nav.session.collection import ToolCalibration
from ir_nav.session.room import Room
from ir_nav.session.scanner_use import AS_IN_ROOM, ScannerUse
from ir_nav.session.state import DeviceStatus
from ir_nav.session.streams import Streams


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """Everything but the live data that a tick depends on."""

    room: Room | None
    streams: Streams | None
    devices: tuple[DeviceStatus, ...]
    plan: Plan | None
    plan_withdrawn: str | None
    needle: ToolCalibration
    stylus: ToolCalibration
    registration: Registration | None
    breathing: BreathingModel | None
    scanner: ScannerUse = AS_IN_ROOM
    # Why guidance goes by no registration any more.
    expired: str | None = None
