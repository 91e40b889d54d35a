"""Device driver: follows bodies of printed markers with one calibrated camera."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from devices.contract import (
    DeviceError,
    PoseSample,
    PoseStatus,
    Sink,
)
from devices.optical.bodies import Bodies, Body
from devices.optical.detection import MarkerFinder, Seen
from devices.optical.intrinsics import Intrinsics
from devices.optical.poses import BodyPose, PoseGates, PoseRefusedError, estimate_pose
from devices.reading import Connection, ReadDevice, Reading
from devices.video.capture import Frame, VideoSource, grey, open_capture
from devices.video.newest import NewestFrames


class OpticalTracker(ReadDevice):
    """One PoseSample per body and image, in the camera's frame (x right, y down, z away from it).

    A body is MISSING when none of its markers is seen, INVALID when its pose was refused; the
    reason is then counted. The camera must keep focus and zoom as they were calibrated. Images
    that come faster than they are searched are skipped and counted.
    corner_sd_px: expected noise of a corner; by default what the calibration found.
    """

    def __init__(
        self,
        name: str,
        source: VideoSource,
        bodies: Bodies,
        intrinsics: Intrinsics,
        sink: Sink,
        *,
        corner_sd_px: float | None = None,
        gates: PoseGates | None = None,
    ) -> None:
        if source.size_px not in (None, intrinsics.size_px):
            raise DeviceError(f"{name}: the camera was calibrated at another image size")
        super().__init__(f"{name} ({source})", sink)
        self._source = replace(source, size_px=intrinsics.size_px)
        self._search = _Search(bodies, intrinsics, corner_sd_px, gates)

    def newest(self) -> Mapping[str, BodyPose]:
        """The newest accepted poses with their uncertainty, by transform. One that is gone from
        the newest image is gone from here."""
        return self._search.newest

    def _connect(self) -> Connection:
        self._search.newest = MappingProxyType({})
        return _Images(NewestFrames(open_capture(self._source), self._title), self._search)


class _Search:
    def __init__(
        self,
        bodies: Bodies,
        intrinsics: Intrinsics,
        corner_sd_px: float | None,
        gates: PoseGates | None,
    ) -> None:
        self.newest: Mapping[str, BodyPose] = MappingProxyType({})
        self._bodies = bodies.bodies
        self._intrinsics = intrinsics
        self._corner_sd_px = corner_sd_px
        self._gates = gates
        self._finder = MarkerFinder(bodies, intrinsics)

    def handle(self, frame: Frame, reading: Reading) -> None:
        seen = self._finder.find(grey(frame.pixels))
        poses: dict[str, BodyPose] = {}
        samples = [self._sample(body, seen, frame, poses, reading) for body in self._bodies]
        self.newest = MappingProxyType(poses)
        for sample in samples:
            reading.deliver(sample)

    def _sample(
        self,
        body: Body,
        seen: Seen,
        frame: Frame,
        poses: dict[str, BodyPose],
        reading: Reading,
    ) -> PoseSample:
        matrix, status = None, PoseStatus.OK
        try:
            if pose := self._pose(body, seen):
                poses[body.transform] = pose
                matrix = pose.camera_from_body
            else:
                status = PoseStatus.MISSING
        except PoseRefusedError as error:
            status = PoseStatus.INVALID
            reading.refuse(str(error))
        return PoseSample(body.transform, matrix, status, frame.source_s, frame.received_s)

    def _pose(self, body: Body, seen: Seen) -> BodyPose | None:
        """None where nothing of the body is seen."""
        if body.corners_mm.keys() & seen.doubled:
            raise PoseRefusedError("a marker is seen twice")
        if not body.corners_mm.keys() & seen.corners_px.keys():
            return None
        return estimate_pose(
            body,
            seen.corners_px,
            self._intrinsics,
            corner_sd_px=self._corner_sd_px,
            gates=self._gates,
        )


class _Images:
    def __init__(self, frames: NewestFrames, search: _Search) -> None:
        self._frames = frames
        self._search = search

    def read_all(self, reading: Reading) -> None:
        while True:
            self._search.handle(self._frames.take(reading), reading)

    def close(self) -> None:
        self._frames.close()
