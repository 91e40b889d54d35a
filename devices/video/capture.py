"""One opened video source and the time of each of its frames."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from devices.contract import ConnectionLostError, DeviceError
from devices.reading import StoppedError

_URLS = ("http://", "https://", "rtsp://")
_OPEN_TIMEOUT_MS = 3000
_MAX_STAMP_AGE_S = 1.0
_FALLBACK_RATE_HZ = 25.0


@dataclass(frozen=True, slots=True)
class VideoSource:
    """Where images come from.

    address: device index, path of a video file, or the http, https or rtsp address of a network
    camera. size_px: (width, height) the device must deliver; None takes what comes. rate_hz: asked
    of a device. delay_s: known time from exposure to arrival, taken off the stamps of live images.
    loop: a file starts again at its end. silence_s: longest time a network camera may send nothing.
    """

    address: int | str
    size_px: tuple[int, int] | None = None
    rate_hz: float | None = None
    delay_s: float = 0.0
    loop: bool = False
    silence_s: float = 1.0

    def __str__(self) -> str:
        if isinstance(self.address, int):
            return f"video device {self.address}"
        return self.address

    @property
    def is_url(self) -> bool:
        return isinstance(self.address, str) and self.address.startswith(_URLS)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """pixels: (rows, columns) or (rows, columns, 3) in the order blue, green, red. source_s: Unix
    time of the exposure as well as it is known. received_s: Unix time of arrival."""

    pixels: NDArray[np.uint8]
    source_s: float
    received_s: float

    @property
    def size_px(self) -> tuple[int, int]:
        return self.pixels.shape[1], self.pixels.shape[0]


class Capture:
    """An opened source; used by one thread.

    Raises ConnectionLostError when nothing comes any more or the image size changes: geometry
    measured for one size is wrong for another. A network camera that changes its size while it is
    connected goes unnoticed: FFmpeg scales its images to the first size.
    """

    def __init__(self, source: VideoSource) -> None:
        """Open; DeviceError in words."""
        self.source = source
        self._video = _opened(source)
        self.size_px = source.size_px

    def read(self, stopping: threading.Event) -> Frame:
        """The next frame. Raises ConnectionLostError, or StoppedError when `stopping` is set."""
        raise NotImplementedError

    def close(self) -> None:
        self._video.release()

    def _checked(self, frame: Frame) -> Frame:
        if self.size_px is None:
            self.size_px = frame.size_px
        if frame.size_px != self.size_px:
            was, now = (f"{size[0]} x {size[1]}" for size in (self.size_px, frame.size_px))
            raise ConnectionLostError(
                f"sends {now} pixels in place of {was}; set the device to {was}, or set up and "
                f"calibrate for {now}"
            )
        return frame


class LiveCapture(Capture):
    """A device or a network camera. It is open once it has delivered an image; that first one,
    which may be old, is thrown away."""

    def __init__(self, source: VideoSource) -> None:
        super().__init__(source)
        try:
            self.read(threading.Event())
        except ConnectionLostError as error:
            self.close()
            raise DeviceError(str(error)) from error

    def read(self, stopping: threading.Event) -> Frame:
        """Blocks until the next frame, for a network camera `silence_s` at most."""
        grabbed = self._video.grab()
        now_s = time.time()
        if stopping.is_set():
            raise StoppedError
        grabbed, pixels = self._video.retrieve() if grabbed else (False, None)
        if not grabbed or pixels is None:
            raise ConnectionLostError(
                "delivers no more images; check its cable and that it is switched on, then "
                "connect again"
            )
        taken_s = now_s
        if not self.source.is_url:
            stamp_s = self._video.get(cv2.CAP_PROP_POS_MSEC) / 1000.0
            taken_s = exposure_time(stamp_s, time.monotonic(), now_s)
        return self._checked(Frame(pixels, taken_s - self.source.delay_s, now_s))


class FileCapture(Capture):
    """A video file at its own pace: a frame's source_s is when it is due."""

    def __init__(self, source: VideoSource) -> None:
        super().__init__(source)
        self._start_s: float | None = None
        self._begin_s = 0.0  # of this round of the loop
        self._last_s = 0.0
        rate_hz = self._video.get(cv2.CAP_PROP_FPS)
        self._period_s = 1.0 / rate_hz if 0.1 < rate_hz < 1000.0 else 1.0 / _FALLBACK_RATE_HZ

    def read(self, stopping: threading.Event) -> Frame:
        pixels, media_s = self._next()
        if self._start_s is None:
            self._start_s = time.time() - media_s
        due_s = self._start_s + media_s
        if stopping.wait(max(0.0, due_s - time.time())):
            raise StoppedError
        return self._checked(Frame(pixels, due_s, time.time()))

    def _next(self) -> tuple[NDArray[np.uint8], float]:
        """Pixels, and seconds since the beginning of the first round."""
        grabbed, pixels = self._video.read()
        if not grabbed and self.source.loop and self._last_s > self._begin_s:
            self._video.release()
            self._video = _opened(self.source)
            self._begin_s = self._last_s + self._period_s
            grabbed, pixels = self._video.read()
        if not grabbed or pixels is None:
            raise ConnectionLostError("the recording ended; connect again to play it once more")
        media_s = self._begin_s + self._video.get(cv2.CAP_PROP_POS_MSEC) / 1000.0
        # Some containers hold no times.
        if media_s <= self._last_s and self._start_s is not None:
            media_s = max(self._last_s + self._period_s, self._begin_s)
        self._last_s = media_s
        return pixels, media_s


def open_capture(source: VideoSource) -> Capture:
    """Open and check a source; DeviceError in words."""
    if isinstance(source.address, int) or source.is_url:
        return LiveCapture(source)
    if not Path(source.address).is_file():
        raise DeviceError("there is no such video file; check the path")
    return FileCapture(source)


def exposure_time(stamp_s: float, monotonic_s: float, now_s: float) -> float:
    """Unix time of a frame that Video4Linux stamped with the monotonic clock as it came in.

    Anything but a stamp of the last second (other systems count from the first frame, or not at
    all) is no stamp: then it is `now_s`.
    """
    age_s = monotonic_s - stamp_s
    return now_s - age_s if 0.0 <= age_s < _MAX_STAMP_AGE_S else now_s


def grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(rows, columns) of a frame's pixels."""
    if pixels.ndim == 2:
        return pixels
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), dtype=np.uint8)


def _opened(source: VideoSource) -> cv2.VideoCapture:
    try:
        video = _open(source)
    except cv2.error as error:
        raise DeviceError(f"cannot be opened ({error.err})") from error
    if video.isOpened():
        return video
    video.release()
    if isinstance(source.address, int):
        raise DeviceError(
            "does not open; check that it is plugged in and that no other program uses it"
        )
    if source.is_url:
        raise DeviceError("does not answer as a camera; check the address and the network")
    raise DeviceError("is not a video file that can be read")


def _open(source: VideoSource) -> cv2.VideoCapture:
    if isinstance(source.address, int):
        video = cv2.VideoCapture(source.address)
        video.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        if source.size_px is not None:
            video.set(cv2.CAP_PROP_FRAME_WIDTH, source.size_px[0])
            video.set(cv2.CAP_PROP_FRAME_HEIGHT, source.size_px[1])
        if source.rate_hz is not None:
            video.set(cv2.CAP_PROP_FPS, source.rate_hz)
        return video
    if not source.is_url:
        return cv2.VideoCapture(str(Path(source.address).resolve()), cv2.CAP_FFMPEG)
    timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _OPEN_TIMEOUT_MS]
    timeouts += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(1000.0 * source.silence_s)]
    return cv2.VideoCapture(source.address, cv2.CAP_FFMPEG, timeouts)
