"""The live C-arm's distortion: taken out of each frame before anything looks at it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from devices.contract import ImageSample
from ir_nav.registration.carm_calibration import Distortion, read_distortion, straightening_maps
from ir_nav.registration.errors import RegistrationError

# What OpenCV resamples as it is; other numbers become float32.
_AS_THEY_ARE = (np.uint8, np.uint16, np.int16, np.float32, np.float64)


def distortion_of(path: Path, size_px: tuple[int, int]) -> Distortion:
    """The distortion of a detector that reads size_px (width, height).

    Raises RegistrationError for a file that is none, or that was measured at another size: another
    size is another field, which an intensifier distorts otherwise.
    """
    found = read_distortion(path)
    if found.size_px != size_px:
        raise RegistrationError(
            f"{path}: was measured at {_words(found.size_px)}, but the detector reads "
            f"{_words(size_px)} (size_px): measure it at the size and field that are used"
        )
    return found


class FluoroCorrection:
    """Corrects frames of one detector, also when they are sent smaller than it reads; to be used
    by one thread. refusal: why the newest frame was not corrected, or None."""

    def __init__(self, distortion: Distortion) -> None:
        self._distortion = distortion
        # Worked out here: the reader thread has no time for it.
        self._maps = {distortion.size_px: straightening_maps(distortion)}
        self.refusal: str | None = None

    def corrected(self, sample: ImageSample) -> ImageSample | None:
        """The frame with its distortion taken out, its pixels of the same type; None, with
        `refusal` set, for a frame of another shape than the detector's."""
        rows, columns = sample.pixels.shape[:2]
        size = (columns, rows)
        if not self._distortion.scales_to(size):
            self.refusal = (
                f"the fluoro frame is {_words(size)}, but the detector's distortion was measured "
                f"at {_words(self._distortion.size_px)}: send whole frames, or measure it anew"
            )
            return None
        if size not in self._maps:
            self._maps[size] = straightening_maps(self._distortion.at_size(size))
        self.refusal = None
        pixels = sample.pixels
        if pixels.dtype not in _AS_THEY_ARE:
            pixels = pixels.astype(np.float32)
        straight = cv2.remap(
            pixels, *self._maps[size], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        straight.flags.writeable = False
        return replace(sample, pixels=np.asarray(straight))


def _words(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]} px"
