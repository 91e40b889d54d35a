"""From an entry of the room file to its driver, imported only when that kind is used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from devices.contract import Device, Sink
from devices.keyboard_pedal import KeyboardPedal, KeyLine
from devices.openigtlink import OpenIGTLinkClient
from ir_nav.session.device_entries import (
    ArucoEntry,
    DeviceEntry,
    KeyboardPedalEntry,
    NdiEntry,
    OpenIGTLinkEntry,
    PedalEntry,
    VideoEntry,
)


def opener(entry: DeviceEntry, keys: KeyLine | None = None) -> Callable[[Sink], Device]:
    """Builds the driver round a sink; it raises DeviceError where a file or setting is wrong.
    Entering the driver connects. keys: of the window; a pedal that types hears nothing without."""

    def open_device(sink: Sink) -> Device:
        match entry:
            case OpenIGTLinkEntry():
                return _openigtlink(entry, sink)
            case NdiEntry():
                return _ndi(entry, sink)
            case ArucoEntry():
                return _aruco(entry, sink)
            case VideoEntry():
                return _video(entry, sink)
            case PedalEntry():
                return _pedal(entry, sink)
            case KeyboardPedalEntry():
                line = KeyLine() if keys is None else keys
                return KeyboardPedal(entry.name, line, sink, settle_s=entry.settle_s)

    return open_device


def _openigtlink(entry: OpenIGTLinkEntry, sink: Sink) -> Device:
    return OpenIGTLinkClient(
        entry.name,
        entry.host,
        entry.port,
        sink,
        silence_s=entry.silence_s,
        protocol_version=entry.protocol_version,
        tracking=entry.tracking,
    )


def _ndi(entry: NdiEntry, sink: Sink) -> Device:
    from devices.ndi import NdiTracker, WiredPort

    tools = {
        transform: source if isinstance(source, Path) else WiredPort(source.port, source.channel)
        for transform, source in entry.tools.items()
    }
    return NdiTracker(
        entry.name,
        entry.address,
        tools,
        sink,
        baud=entry.baud,
        binary=entry.binary,
        frame_rate_hz=entry.frame_rate_hz,
    )


def _aruco(entry: ArucoEntry, sink: Sink) -> Device:
    from devices.optical import OpticalTracker, read_bodies, read_intrinsics
    from devices.video import VideoSource

    source = VideoSource(
        entry.address,
        rate_hz=entry.rate_hz,
        delay_s=entry.delay_s,
        loop=entry.loop,
        silence_s=entry.silence_s,
    )
    bodies, intrinsics = read_bodies(entry.bodies), read_intrinsics(entry.intrinsics)
    return OpticalTracker(
        entry.name, source, bodies, intrinsics, sink, corner_sd_px=entry.corner_sd_px
    )


def _video(entry: VideoEntry, sink: Sink) -> Device:
    from devices.video import FrameGrabber, VideoSource
    from devices.video.grabber import Crop

    source = VideoSource(
        entry.address,
        size_px=entry.size_px,
        rate_hz=entry.rate_hz,
        delay_s=entry.delay_s,
        loop=entry.loop,
        silence_s=entry.silence_s,
    )
    crop = None if entry.crop is None else Crop(**entry.crop.model_dump())
    return FrameGrabber(entry.name, source, sink, image=entry.image, grey=entry.grey, crop=crop)


def _pedal(entry: PedalEntry, sink: Sink) -> Device:
    from devices.pedal import FootPedal, Wiring

    return FootPedal(
        entry.name,
        entry.port,
        sink,
        wiring=Wiring(entry.wiring),
        baud=entry.baud,
        inverted=entry.inverted,
        settle_s=entry.settle_s,
        silence_s=entry.silence_s,
    )
