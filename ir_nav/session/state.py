"""What the console knows at one tick. Immutable; views draw it and keep nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from devices.contract import ImageSample
from ir_nav.geometry import CArmGeometry, FloatArray, Transform
from ir_nav.guidance import ErrorBudget, Guidance


class Source(StrEnum):
    """Where the live data come from; always in sight."""

    LIVE = "live"
    SIMULATED = "simulated"
    REPLAY = "replay"


class ToolState(StrEnum):
    """Whether a tool's pose may be used. Only OK and UNKNOWN carry a usable pose."""

    OK = "OK"
    UNKNOWN = "status unknown"
    MISSING = "out of view"
    OUT_OF_VOLUME = "out of volume"
    INVALID = "invalid"
    STALE = "stale"
    NEVER = "not seen yet"


class Role(StrEnum):
    """What a tracked tool is for."""

    NEEDLE = "needle"
    STYLUS = "stylus"
    REFERENCE = "reference"
    PROBE = "probe"
    CARM = "carm"


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """One device of the room. rate_hz: over the last second. age_s: since its newest sample.

    reason: why it does not deliver, in words, or None.
    """

    name: str
    connected: bool
    rate_hz: float
    age_s: float | None
    refused: int
    reason: str | None


@dataclass(frozen=True, slots=True)
class ToolStatus:
    """One tool. age_s: since its newest valid pose, None before the first."""

    role: Role
    name: str
    state: ToolState
    age_s: float | None

    @property
    def usable(self) -> bool:
        return self.state in (ToolState.OK, ToolState.UNKNOWN)

    @property
    def absence(self) -> str:
        """Its state in words: "needle out of view 0.4 s"."""
        words = f"{self.name.lower()} {self.state.value}"
        if self.age_s is not None and self.state is not ToolState.NEVER:
            words += f" {self.age_s:.1f} s"
        return words


@dataclass(frozen=True, slots=True, eq=False)
class TipState:
    """Needle tip (3,) in `ct`, mm, and shaft direction (3,), hub to tip, when measured_s."""

    tip_ct_mm: FloatArray
    shaft_ct: FloatArray
    measured_s: float
    received_s: float


@dataclass(frozen=True, slots=True)
class BreathingState:
    """phase_mm: reference from end-expiration along the breathing axis. breathes: False for a
    patient (or phantom) whose reference does not move."""

    phase_mm: float
    amplitude_mm: float
    gate_mm: float
    breathes: bool
    inside: bool


@dataclass(frozen=True, slots=True, eq=False)
class UltrasoundState:
    """Newest ultrasound frame, and where it lies.

    image_from_ct: (4, 4) affine from CT mm to (u px, v px, w, 1) at the time the image was
    acquired; `mm_per_px` is the pixel pitch and w is in mm square to the image. None with a
    reason while the pose is not known: then nothing of the CT may be drawn on the frame.
    reference_from_image: (4, 4), from (u px, v px, 0, 1) to mm at the patient reference, or at
    the tracker in a room without a reference; None while the probe's pose is not known.
    """

    frame: ImageSample
    image_from_ct: FloatArray | None
    reference_from_image: FloatArray | None
    mm_per_px: float
    reason: str | None
    age_s: float
    rate_hz: float


@dataclass(frozen=True, slots=True, eq=False)
class FluoroState:
    """Newest fluoro frame and its geometry; carm_from_ct None with a reason when unknown."""

    frame: ImageSample
    geometry: CArmGeometry
    carm_from_ct: Transform | None
    reason: str | None
    age_s: float
    rate_hz: float


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something may not be used, and what the user can do about it."""

    reason: str
    cure: str


@dataclass(frozen=True, slots=True, eq=False)
class NavigationState:
    """Everything the screen shows, at `now_s` (Unix time).

    guidance and tip are None whenever `refusal` is not. newest_pose_s: arrival time of the
    newest pose that went into this state, None without one.
    """

    now_s: float
    source: Source | None
    devices: tuple[DeviceStatus, ...]
    tools: tuple[ToolStatus, ...]
    tip: TipState | None
    guidance: Guidance | None
    refusal: Refusal | None
    budget: ErrorBudget | None
    breathing: BreathingState | None
    ultrasound: UltrasoundState | None
    fluoro: FluoroState | None
    stylus_tip_ct_mm: FloatArray | None

    def tool(self, role: Role) -> ToolStatus | None:
        return next((tool for tool in self.tools if tool.role is role), None)
