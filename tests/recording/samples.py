"""Records to hand over to a log."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from scipy.spatial.transform import Rotation

from devices.contract import ImageSample, PoseSample, PoseStatus, TextSample


def pose_sample(number: int, name: str = "NeedleToTracker", start_s: float = 1.7e9) -> PoseSample:
    """A pose with digits in every bit; every seventh was not seen."""
    time_s = start_s + number / 60.0
    if number % 7 == 6:
        return PoseSample(name, None, PoseStatus.MISSING, time_s, time_s + 0.004)
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.random(random_state=number).as_matrix()
    matrix[:3, 3] = np.random.default_rng(number).uniform(-900, 900, 3)
    return PoseSample(name, matrix, PoseStatus.OK, time_s, time_s + 0.004)


def image_sample(number: int, received_s: float) -> ImageSample:
    pixels = np.full((30, 40), number % 250, dtype=np.uint8)
    return ImageSample("Ultrasound", pixels, np.eye(4), received_s - 0.08, received_s)


def text_sample(text: str) -> TextSample:
    return TextSample("Says", text, 5.0, 6.0)


def wait_for(condition: Callable[[], object], what: str, seconds: float = 10.0) -> None:
    """Poll until true; the deadline only matters when the test fails."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.005)
