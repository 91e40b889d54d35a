"""The frame grabber against a network camera and video files."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from devices.contract import Device, DeviceError, ImageSample, Sample
from devices.video import FrameGrabber, VideoSource
from devices.video.capture import exposure_time
from devices.video.grabber import Crop
from hw_mocks.network_camera import NetworkCamera
from tests.devices.contract import Bench, DeviceContract
from tests.devices.support import Collected, wait_for

RATE_HZ = 25.0


def plain(level: int, size_px: tuple[int, int] = (64, 48)) -> NDArray[np.uint8]:
    return np.full((size_px[1], size_px[0]), level, dtype=np.uint8)


def images(sink: Collected) -> list[ImageSample]:
    return [sample for sample in sink.samples if isinstance(sample, ImageSample)]


class CameraBench(Bench):
    def __init__(self) -> None:
        self.sink = Collected()
        self.camera = NetworkCamera(plain(0)).__enter__()

    def device(self) -> Device:
        return FrameGrabber("ultrasound", VideoSource(self.camera.url, silence_s=0.3), self.sink)

    def emit(self) -> None:
        self.camera.show(plain(200))

    def connected(self) -> bool:
        return self.camera.viewers() > 0

    def end_peer(self) -> None:
        self.camera.__exit__(None, None, None)


class TestFrameGrabberContract(DeviceContract):
    @pytest.fixture
    def bench(self) -> Iterator[CameraBench]:
        bench = CameraBench()
        yield bench
        bench.end_peer()


@pytest.fixture
def camera() -> Iterator[NetworkCamera]:
    with NetworkCamera(plain(0)) as camera:
        yield camera


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Twelve images whose grey level is ten times their number, in colour."""
    path = tmp_path / "scan.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), RATE_HZ, (64, 48))
    for index in range(12):
        picture = np.full((48, 64, 3), 10 * index, dtype=np.uint8)
        picture[:, 32:, 2] = 255  # red
        writer.write(picture)
    writer.release()
    return path


def test_recording_keeps_its_timing_and_says_when_it_ended(
    recording: Path, sink: Collected
) -> None:
    with FrameGrabber("ultrasound", VideoSource(str(recording)), sink) as device:
        wait_for(lambda: device.fault() is not None)
        assert "the recording ended" in (device.fault() or "")
    seen = images(sink)
    skipped = device.counts().refused.get("newer frame came", 0)
    assert len(seen) + skipped == 12
    frames = np.array([round(sample.pixels[0, 0] / 10) for sample in seen])
    times = np.array([sample.source_s for sample in seen])
    assert times - times[0] == pytest.approx((frames - frames[0]) / RATE_HZ, abs=1e-3)
    assert all(sample.received_s >= sample.source_s for sample in seen)


def test_looped_recording_goes_on_with_time(recording: Path, sink: Collected) -> None:
    with FrameGrabber("ultrasound", VideoSource(str(recording), loop=True), sink) as device:
        wait_for(lambda: device.counts().received > 14)
        assert device.fault() is None
    times = [sample.source_s for sample in images(sink)]
    assert np.diff(times).min() > 0.9 / RATE_HZ


def test_colour_is_red_green_blue_and_cropped(recording: Path, sink: Collected) -> None:
    grabber = FrameGrabber(
        "scope",
        VideoSource(str(recording)),
        sink,
        image="Scope",
        grey=False,
        crop=Crop(40, 8, 16, 24),
    )
    with grabber:
        sample = sink.wait(1)[0]
    assert isinstance(sample, ImageSample)
    assert sample.name == "Scope"
    assert sample.pixels.shape == (24, 16, 3)
    assert sample.pixels[..., 0].min() > 230
    assert sample.pixels[..., 2].max() < 30
    assert not sample.pixels.flags.writeable
    assert np.array_equal(sample.parent_from_pixel, np.eye(4))


def test_slow_sink_gets_the_newest_image(camera: NetworkCamera) -> None:
    levels: list[float] = []
    first, go_on = threading.Event(), threading.Event()

    def slow(sample: Sample) -> None:
        assert isinstance(sample, ImageSample)
        levels.append(float(sample.pixels.mean()))
        first.set()
        go_on.wait(5.0)

    with FrameGrabber("ultrasound", VideoSource(camera.url), slow) as device:
        wait_for(lambda: camera.viewers() == 1)
        camera.show(plain(10))
        assert first.wait(5.0)
        for level in (50, 100, 150, 250):
            camera.show(plain(level))
        time.sleep(0.2)  # all of them have to arrive while the sink is busy
        go_on.set()
        wait_for(lambda: device.counts().received == 2)
        assert dict(device.counts().refused) == {"newer frame came": 3}
    assert levels == pytest.approx([10.0, 250.0], abs=2.0)


def test_delay_of_a_grabber_is_taken_off(camera: NetworkCamera, sink: Collected) -> None:
    with FrameGrabber("ultrasound", VideoSource(camera.url, delay_s=0.08), sink):
        wait_for(lambda: camera.viewers() == 1)
        camera.show(plain(10))
        sample = sink.wait(1)[0]
    assert sample.received_s - sample.source_s == pytest.approx(0.08, abs=1e-6)


def test_wrong_size_and_crop_are_told(camera: NetworkCamera, sink: Collected) -> None:
    source = VideoSource(camera.url, size_px=(640, 480))
    with pytest.raises(DeviceError, match="64 x 48 pixels in place of 640 x 480"):
        FrameGrabber("ultrasound", source, sink).__enter__()
    with pytest.raises(DeviceError, match="no rectangle"):
        Crop(-1, 0, 5, 5)
    with FrameGrabber("us", VideoSource(camera.url), sink, crop=Crop(60, 0, 10, 10)) as device:
        wait_for(lambda: camera.viewers() > 0)
        camera.show(plain(10))
        wait_for(lambda: "beyond the image of 64 x 48" in (device.fault() or ""))


def test_what_cannot_be_opened_is_told(tmp_path: Path, sink: Collected) -> None:
    text = tmp_path / "notes.avi"
    text.write_text("no video")
    for address, message in (
        (str(tmp_path / "none.avi"), "no such video file"),
        (str(text), "not a video file"),
        (99, "plugged in"),
        ("concat:/etc/passwd", "no such video file"),
    ):
        with pytest.raises(DeviceError, match=message):
            FrameGrabber("ultrasound", VideoSource(address), sink).__enter__()


def test_only_recent_monotonic_stamps_are_believed() -> None:
    assert exposure_time(99.9, 100.0, 1000.0) == pytest.approx(999.9)
    assert exposure_time(0.04, 100.0, 1000.0) == 1000.0
    assert exposure_time(100.5, 100.0, 1000.0) == 1000.0
    assert exposure_time(-0.001, 0.5, 1000.0) == pytest.approx(999.499)
