"""What a room file says of each device: one kind of entry per driver.

Paths are relative to the room file; a validation context {"folder": Path} makes them absolute and
requires the files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    FiniteFloat,
    Tag,
    ValidationInfo,
)

URLS = ("http://", "https://", "rtsp://")

Name = Annotated[str, Field(min_length=1, max_length=20)]
Pixels = Annotated[int, Field(ge=1, le=10_000)]
PortNumber = Annotated[int, Field(ge=1, le=65535)]
# The rates that NDI's COMM command knows.
NdiBaud = Literal[9600, 14400, 19200, 38400, 57600, 115200, 230400, 921600, 1228739]
# F1 is help, F6 goes to the next section of Plan, and letters work the console.
PEDAL_KEYS = (
    *(f"F{number}" for number in range(2, 25) if number != 6),
    *("PageUp", "PageDown", "Home", "End", "Insert", "Pause", "ScrollLock"),
)
PedalBaud = Literal[1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200]


class Strict(BaseModel):
    """Part of a room file: no unknown key."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _required_file(path: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder")
    if folder is None:
        return path
    found = Path(folder) / path
    if not found.is_file():
        raise ValueError(f"there is no file {found}; paths are relative to the room file")
    return found


def _beside_room(address: int | str, info: ValidationInfo) -> int | str:
    """A video file; whether it is there shows when it is opened."""
    folder = (info.context or {}).get("folder")
    if folder is None or isinstance(address, int) or address.startswith(URLS):
        return address
    return str(Path(folder) / address)


RequiredFile = Annotated[Path, AfterValidator(_required_file)]
VideoAddress = Annotated[
    Annotated[int, Field(ge=0, le=99)] | Annotated[str, Field(min_length=1)],
    AfterValidator(_beside_room),
]


class _Device(Strict):
    delivers: ClassVar[frozenset[str]]

    name: Name


class OpenIGTLinkEntry(_Device):
    """A tracker, scanner or program that serves OpenIGTLink. protocol_version 2 lets it send tool
    status. tracking: for servers that send poses only when asked. silence_s: one that sends
    nothing for so long counts as dead. smooth_stamps: false where each stamp is exact though the
    source measures unsteadily."""

    delivers = frozenset({"poses", "images"})

    kind: Literal["openigtlink"]
    host: str = "127.0.0.1"
    port: PortNumber
    protocol_version: Literal[1, 2] = 1
    tracking: Literal["TDATA", "QTDATA"] | None = None
    smooth_stamps: bool = True
    silence_s: Annotated[float, Field(gt=0.0, le=60.0)] = 1.0


class PlugEntry(Strict):
    """A plug of the tracker, from 1. channel: 1 for the second sensor of an Aurora tool."""

    port: Annotated[int, Field(ge=1, le=99)]
    channel: Annotated[int, Field(ge=0, le=99)] = 0


def _source_tag(value: Any) -> str:
    return "plug" if isinstance(value, dict | PlugEntry) else "file"


NdiSource = Annotated[
    Annotated[RequiredFile, Tag("file")] | Annotated[PlugEntry, Tag("plug")],
    Discriminator(_source_tag),
]


class NdiEntry(_Device):
    """An NDI Polaris, Vega or Aurora. address: serial port, or host:port. tools: where each pose
    comes from, by its transform: a .rom file, or a plug. frame_rate_hz: None asks the tracker."""

    delivers = frozenset({"poses"})

    kind: Literal["ndi"]
    address: Annotated[str, Field(min_length=1)]
    baud: NdiBaud = 115200
    binary: bool = True
    frame_rate_hz: Annotated[float, Field(ge=1.0, le=1000.0)] | None = None
    tools: Annotated[dict[Name, NdiSource], Field(min_length=1)]


class _Camera(_Device):
    """address: index of a video device, file, or http, https or rtsp address. delay_s: from
    exposure to arrival. smooth_stamps: as above. silence_s: longest time a network camera may
    send nothing."""

    address: VideoAddress
    rate_hz: Annotated[float, Field(gt=0.0, le=1000.0)] | None = None
    delay_s: Annotated[float, Field(ge=0.0, le=5.0)] = 0.0
    loop: bool = False
    smooth_stamps: bool = True
    silence_s: Annotated[float, Field(gt=0.0, le=60.0)] = 1.0


class ArucoEntry(_Camera):
    """A calibrated camera that follows printed markers. corner_sd_px: noise of a corner; None
    takes what the calibration of the camera found."""

    delivers = frozenset({"poses"})

    kind: Literal["aruco"]
    bodies: RequiredFile
    intrinsics: RequiredFile
    corner_sd_px: Annotated[float, Field(gt=0.0, le=10.0)] | None = None


class CropEntry(Strict):
    """The rectangle handed over; column and row of its first pixel, from 0."""

    column: Annotated[int, Field(ge=0, le=10_000)]
    row: Annotated[int, Field(ge=0, le=10_000)]
    width: Pixels
    height: Pixels


class VideoEntry(_Camera):
    """A frame grabber, camera or video file as a source of images named `image`."""

    delivers = frozenset({"images"})

    kind: Literal["video"]
    image: Name = "Image"
    grey: bool = True
    crop: CropEntry | None = None
    size_px: tuple[Pixels, Pixels] | None = None


class PedalEntry(_Device):
    """A foot pedal on a serial line. inverted: the contact opens when it goes down. silence_s:
    for boxes that repeat their character; None where silence is normal."""

    delivers: ClassVar[frozenset[str]] = frozenset()

    kind: Literal["pedal"]
    port: Annotated[str, Field(min_length=1)]
    wiring: Literal["characters", "cts", "dsr"] = "characters"
    baud: PedalBaud = 9600
    inverted: bool = False
    settle_s: Annotated[FiniteFloat, Field(ge=0.0, le=0.5)] = 0.03
    silence_s: Annotated[float, Field(gt=0.0, le=60.0)] | None = None


def _pedal_key(key: str) -> str:
    if key not in PEDAL_KEYS:
        raise ValueError(
            f"'{key}' cannot be a pedal: take F2 to F24 but F6, {', '.join(PEDAL_KEYS[-7:-1])} or "
            f"{PEDAL_KEYS[-1]}, which the console does not need"
        )
    return key


PedalKey = Annotated[str, AfterValidator(_pedal_key)]


class KeyboardPedalEntry(_Device):
    """A foot pedal that types. keys: each of them is the pedal; other keys stay keys."""

    delivers: ClassVar[frozenset[str]] = frozenset()

    kind: Literal["keyboard-pedal"]
    keys: Annotated[tuple[PedalKey, ...], Field(min_length=1)] = ("F9", "F13", "PageDown")
    settle_s: Annotated[FiniteFloat, Field(ge=0.0, le=0.5)] = 0.03


DeviceEntry = Annotated[
    OpenIGTLinkEntry | NdiEntry | ArucoEntry | VideoEntry | PedalEntry | KeyboardPedalEntry,
    Field(discriminator="kind"),
]
KINDS: dict[str, type[_Device]] = {
    "openigtlink": OpenIGTLinkEntry,
    "ndi": NdiEntry,
    "aruco": ArucoEntry,
    "video": VideoEntry,
    "pedal": PedalEntry,
    "keyboard-pedal": KeyboardPedalEntry,
}


def may_smooth(device: DeviceEntry) -> bool:
    """Whether a device's time stamps may be smoothed. NDI's need none: frames are counted."""
    return isinstance(device, OpenIGTLinkEntry | _Camera) and device.smooth_stamps


def pose_fault(device: DeviceEntry, transform: str) -> str | None:
    """Why `device` cannot deliver poses named `transform`, or None."""
    if "poses" not in device.delivers:
        return f"'{device.name}' is of kind {device.kind}, which delivers no poses"
    if isinstance(device, NdiEntry) and transform not in device.tools:
        return f"'{device.name}' tracks no '{transform}'; it tracks {', '.join(device.tools)}"
    return None


def image_fault(device: DeviceEntry, image: str) -> str | None:
    """Why `device` cannot deliver images named `image`, or None."""
    if "images" not in device.delivers:
        return f"'{device.name}' is of kind {device.kind}, which delivers no images"
    if isinstance(device, VideoEntry) and image != device.image:
        return f"'{device.name}' delivers '{device.image}', not '{image}'"
    return None
