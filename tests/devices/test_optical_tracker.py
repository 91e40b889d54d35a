"""The optical tracker as a device: against a network camera and a recording."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from devices.contract import Device, DeviceError, PoseSample, PoseStatus
from devices.optical.tracker import OpticalTracker
from devices.video import VideoSource
from hw_mocks.marker_scene import pose
from hw_mocks.network_camera import NetworkCamera
from tests.devices.contract import Bench, DeviceContract
from tests.devices.optical_scenes import (
    CAMERA,
    bodies,
    deviation,
    intrinsics_of,
    photograph,
    single,
    wedge,
)
from tests.devices.support import Collected, wait_for

NEEDLE, PROBE = single(40.0), wedge()
NEEDLE_POSE = pose([0.5, -0.35, 0.2], [-60.0, 0.0, 320.0])
PROBE_POSE = pose([-0.3, 0.2, 0.1], [50.0, 10.0, 330.0])
RNG = np.random.default_rng(1)
EMPTY = photograph(CAMERA, [], RNG)
BOTH = photograph(CAMERA, [(NEEDLE, NEEDLE_POSE), (PROBE, PROBE_POSE)], RNG)


def poses(sink: Collected) -> list[PoseSample]:
    return [sample for sample in sink.samples if isinstance(sample, PoseSample)]


class CameraBench(Bench):
    def __init__(self) -> None:
        self.sink = Collected()
        self.camera = NetworkCamera(EMPTY).__enter__()

    def device(self) -> Device:
        source = VideoSource(self.camera.url, silence_s=0.3)
        return OpticalTracker("camera", source, bodies(NEEDLE), intrinsics_of(CAMERA), self.sink)

    def emit(self) -> None:
        self.camera.show(BOTH)

    def connected(self) -> bool:
        return self.camera.viewers() > 0

    def end_peer(self) -> None:
        self.camera.__exit__(None, None, None)


class TestOpticalTrackerContract(DeviceContract):
    @pytest.fixture
    def bench(self) -> Iterator[CameraBench]:
        bench = CameraBench()
        yield bench
        bench.end_peer()


@pytest.fixture
def camera() -> Iterator[NetworkCamera]:
    with NetworkCamera(EMPTY) as camera:
        yield camera


def test_every_body_has_a_pose_or_its_reason(camera: NetworkCamera, sink: Collected) -> None:
    small = single(10.0)
    frontal = photograph(CAMERA, [(small, pose([0.15, 0.1, 0], [0, 0, 320]))], RNG)
    source = VideoSource(camera.url)
    geometry = intrinsics_of(CAMERA, 0.1)
    with OpticalTracker("camera", source, bodies(NEEDLE, PROBE), geometry, sink) as device:
        wait_for(lambda: camera.viewers() == 1)
        camera.show(BOTH)
        needle, probe = poses_of(sink, 2)
        for sample, truth in ((needle, NEEDLE_POSE), (probe, PROBE_POSE)):
            assert sample.status is PoseStatus.OK
            assert sample.matrix is not None
            assert not sample.matrix.flags.writeable
            assert np.linalg.norm(deviation(sample.matrix, truth)[3:]) < 1.5
        assert (needle.name, probe.name) == ("NeedleToTracker", "ProbeToTracker")
        assert needle.source_s == probe.source_s <= needle.received_s
        assert set(device.newest()) == {"NeedleToTracker", "ProbeToTracker"}
        assert device.newest()["ProbeToTracker"].markers == (1, 2, 3)
        camera.show(EMPTY)
        assert {sample.status for sample in poses_of(sink, 4)[2:]} == {PoseStatus.MISSING}
        assert device.newest() == {}
        assert dict(device.counts().refused) == {}
    with OpticalTracker("camera", source, bodies(small), geometry, sink) as device:
        wait_for(lambda: camera.viewers() > 0)
        camera.show(frontal)
        last = poses_of(sink, 5)[4]
        assert (last.status, last.matrix) == (PoseStatus.INVALID, None)
        assert sum(device.counts().refused.values()) == 1


def poses_of(sink: Collected, count: int) -> list[PoseSample]:
    sink.wait(count)
    return poses(sink)


def test_marker_seen_twice_is_invalid(camera: NetworkCamera, sink: Collected) -> None:
    places = [pose([0.3, 0.0, 0.0], [x, 0.0, 320.0]) for x in (-60.0, 60.0)]
    twice = photograph(CAMERA, [(NEEDLE, place) for place in places], RNG)
    with OpticalTracker(
        "camera", VideoSource(camera.url), bodies(NEEDLE), intrinsics_of(CAMERA), sink
    ) as device:
        wait_for(lambda: camera.viewers() == 1)
        camera.show(twice)
        assert poses_of(sink, 1)[0].status is PoseStatus.INVALID
        assert dict(device.counts().refused) == {"a marker is seen twice": 1}


def test_recording_is_tracked_to_its_end(tmp_path: Path, sink: Collected) -> None:
    """The marker moves 4 mm from image to image; each pose belongs to the time of its image."""
    path = tmp_path / "needle.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, CAMERA.size_px)
    for index in range(6):
        place = pose([0.5, -0.35, 0.2], [-60.0 + 4.0 * index, 0.0, 320.0])
        image = photograph(CAMERA, [(NEEDLE, place)], RNG)
        writer.write(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
    writer.release()
    geometry = intrinsics_of(CAMERA, 0.1)
    source = VideoSource(str(path))
    with OpticalTracker("camera", source, bodies(NEEDLE), geometry, sink) as device:
        wait_for(lambda: device.fault() is not None)
        assert "the recording ended" in (device.fault() or "")
    seen = poses(sink)
    assert len(seen) + device.counts().refused.get("newer frame came", 0) == 6
    columns = np.array([sample.matrix[0, 3] for sample in seen if sample.matrix is not None])
    times = np.array([sample.source_s for sample in seen])
    assert columns == pytest.approx(columns[0] + 40.0 * (times - times[0]), abs=0.5)


def test_other_image_size_than_calibrated_is_refused(
    camera: NetworkCamera, sink: Collected
) -> None:
    camera.show(np.zeros((240, 320), dtype=np.uint8))
    geometry = intrinsics_of(CAMERA)
    with pytest.raises(DeviceError, match="320 x 240 pixels in place of 480 x 360"):
        OpticalTracker(
            "camera", VideoSource(camera.url), bodies(NEEDLE), geometry, sink
        ).__enter__()
    with pytest.raises(DeviceError, match="calibrated at another image size"):
        OpticalTracker("camera", VideoSource(0, size_px=(640, 480)), bodies(NEEDLE), geometry, sink)
