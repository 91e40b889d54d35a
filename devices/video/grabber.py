"""Device driver: a frame grabber, camera or video file as a source of images."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from devices.contract import ConnectionLostError, DeviceError, ImageSample, Sink
from devices.reading import Connection, ReadDevice, Reading
from devices.video.capture import Frame, VideoSource, grey, open_capture
from devices.video.newest import NewestFrames


@dataclass(frozen=True, slots=True)
class Crop:
    """Rectangle of the image to hand over, in pixels; column and row of its first pixel."""

    column: int
    row: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if min(self.column, self.row) < 0 or min(self.width, self.height) < 1:
            raise DeviceError(f"{self} is no rectangle of an image")

    def __str__(self) -> str:
        return f"crop {self.width} x {self.height} at ({self.column}, {self.row})"

    def of(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Raises ConnectionLostError where the image is too small for it."""
        rows, columns = pixels.shape[:2]
        if self.column + self.width > columns or self.row + self.height > rows:
            raise ConnectionLostError(
                f"{self} reaches beyond the image of {columns} x {rows} pixels; correct the crop"
            )
        return pixels[self.row : self.row + self.height, self.column : self.column + self.width]


class FrameGrabber(ReadDevice):
    """Hands over images under `image`, cropped, never scaled.

    Grey images are (rows, columns), colour ones (rows, columns, 3) in the order red, green, blue;
    grey turns colour into grey. parent_from_pixel is the identity: a video signal knows no mm.
    Frames that come faster than the sink takes them are skipped and counted.
    """

    def __init__(
        self,
        name: str,
        source: VideoSource,
        sink: Sink,
        *,
        image: str = "Image",
        grey: bool = True,
        crop: Crop | None = None,
    ) -> None:
        super().__init__(f"{name} ({source})", sink)
        self._source = source
        self._image = image
        self._grey = grey
        self._crop = crop

    def _connect(self) -> Connection:
        frames = NewestFrames(open_capture(self._source), self._title)
        return _Images(frames, self._image, self._grey, self._crop)


class _Images:
    def __init__(self, frames: NewestFrames, image: str, grey: bool, crop: Crop | None) -> None:
        self._frames = frames
        self._image = image
        self._grey = grey
        self._crop = crop

    def read_all(self, reading: Reading) -> None:
        while True:
            reading.deliver(self._sample(self._frames.take(reading)))

    def close(self) -> None:
        self._frames.close()

    def _sample(self, frame: Frame) -> ImageSample:
        pixels = frame.pixels if self._crop is None else self._crop.of(frame.pixels)
        if self._grey:
            pixels = grey(pixels)
        elif pixels.ndim == 3:
            pixels = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), dtype=np.uint8)
        pixels = np.ascontiguousarray(pixels)
        parent_from_pixel = np.eye(4)
        pixels.flags.writeable = parent_from_pixel.flags.writeable = False
        return ImageSample(self._image, pixels, parent_from_pixel, frame.source_s, frame.received_s)
