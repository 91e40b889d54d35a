"""Does each incoming ultrasound frame still show what the CT says is there?

A frame is compared with the mean echo that the CT would give at its pose, both in beam space, in
dB and less their local means, so that gain and time-gain compensation cancel. The same frame is
also compared with the CT a few millimetres beside its pose: where the registration holds, every
step aside makes it worse, whatever part of the patient is in view. That is what the warning
rests on; a fall below the trace's own beginning is the second sign.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ir_nav.geometry import FloatArray, read_only
from ir_nav.registration.ultrasound.acoustics import Acoustics, scatter_amplitudes
from ir_nav.registration.ultrasound.fan import Fan, check_same_scale
from ir_nav.registration.ultrasound.marching import march_beams
from ir_nav.registration.ultrasound.marching_kernels import echo_db

BEAMS, SAMPLES = 80, 112
STEPS_MM = (-8.0, -4.0, 4.0, 8.0)
SURFACE_GAIN = 60.0
TGC_LOSS = 0.47  # dB / cm / MHz; only what varies within the local mean is left of it
ECHO_RANGE_DB = (-30.0, 20.0)
# Of the sound that reached healthy tissue at this depth, less than this is shadow.
SHADOW_DB = -18.0
FACE_MM = 8.0  # ringing of the transducer
LOCAL_BEAMS, LOCAL_SAMPLES = 17, 27
SPECKLE_MM = 1.6
# Less of the fan than this, or fewer grey levels of difference, tells nothing.
LEAST_COVERED = 0.15
LEAST_DEVIATION = 2.0

Singles = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FrameQuality:
    """One frame against the CT.

    similarity: normalised cross-correlation at the frame's pose, -1 to 1. beside: the same with
    the CT `STEPS_MM` off along its x, y and z, in the order of `displacements_ct_mm`. covered:
    share of the fan that could be judged, neither in shadow nor off the skin.
    """

    similarity: float
    beside: tuple[float, ...]
    covered: float


def displacements_ct_mm() -> FloatArray:
    """(12, 3): x, y, z in turn, each by every step."""
    return np.concatenate([np.outer(STEPS_MM, axis) for axis in np.eye(3)])


@dataclass(frozen=True, slots=True, eq=False)
class FrameCheck:
    """Compares frames of one probe with one CT."""

    acoustics: Acoustics
    fan: Fan
    frequency_mhz: float = 3.5
    _places_px: Singles = field(init=False, repr=False)
    _tgc_db: Singles = field(init=False, repr=False)
    _depth_mm: FloatArray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        start, step = self.fan.beams_px(BEAMS)
        depth_mm = np.linspace(0.0, self.fan.depth_mm, SAMPLES)
        places = start[:, None, :] + step[:, None, :] * depth_mm[None, :, None]
        tgc_db = TGC_LOSS * self.frequency_mhz * 2.0 * depth_mm / 10.0
        object.__setattr__(self, "_places_px", places.astype(np.float32))
        object.__setattr__(self, "_tgc_db", tgc_db.astype(np.float32))
        object.__setattr__(self, "_depth_mm", read_only(depth_mm))

    def judge(self, frame: NDArray[np.uint8], ct_from_image: ArrayLike) -> FrameQuality | None:
        """How well a frame (rows, columns) fits; None where too little of it can be judged.

        ct_from_image (4, 4): px to `ct` mm by the registration in use. Raises RegistrationError
        when the image's scale is not the fan's.
        """
        pose = np.asarray(ct_from_image, dtype=np.float64)
        check_same_scale(self.fan, pose)
        echo, reach = self._expected(pose)
        weight = ((reach > SHADOW_DB) & (self._depth_mm > FACE_MM)).astype(np.float32)
        covered = float(weight.mean())
        if covered < LEAST_COVERED:
            return None
        seen = _contrast(self._in_beams(frame), weight)
        if float(np.sqrt((seen**2).sum() / weight.sum())) < LEAST_DEVIATION:
            return None
        similarity = _correlation(seen, _contrast(echo, weight))
        beside = []
        for displacement in displacements_ct_mm():
            moved = np.array(pose)
            moved[:3, 3] += displacement
            beside.append(_correlation(seen, _contrast(self._expected(moved)[0], weight)))
        return FrameQuality(similarity, tuple(beside), covered)

    def _in_beams(self, frame: NDArray[np.uint8]) -> Singles:
        """(BEAMS, SAMPLES): the frame's greys with the speckle averaged."""
        width = [max(1, round(SPECKLE_MM / mm)) for mm in self.fan.mm_per_px]
        smooth = cv2.blur(frame, width).astype(np.float32)
        columns, rows = self._places_px[..., 0], self._places_px[..., 1]
        return np.asarray(cv2.remap(smooth, columns, rows, cv2.INTER_LINEAR), np.float32)

    def _expected(self, ct_from_image: FloatArray) -> tuple[Singles, Singles]:
        """Mean echo, and what gets there and back, (BEAMS, SAMPLES) in dB after time gain."""
        found = march_beams(
            self.acoustics, self.fan, ct_from_image, BEAMS, SAMPLES, self.frequency_mhz
        )
        echo, reach = np.empty_like(found.level), np.empty_like(found.level)
        echo_db(
            found.level, found.through, found.surface, scatter_amplitudes(), SURFACE_GAIN,
            self._tgc_db, echo, reach,
        )  # fmt: skip
        return np.asarray(cv2.GaussianBlur(np.clip(echo, *ECHO_RANGE_DB), (3, 3), 0)), reach


def _contrast(image: Singles, weight: Singles) -> Singles:
    """The image less its local mean where `weight` is one, mean zero; zero elsewhere."""
    size = (LOCAL_SAMPLES, LOCAL_BEAMS)
    local = cv2.blur(image * weight, size) / (cv2.blur(weight, size) + np.float32(1e-6))
    rest = (image - local) * weight
    return np.asarray(rest - weight * (rest.sum() / weight.sum()))


def _correlation(first: Singles, second: Singles) -> float:
    """Of two images of mean zero; 0 where either shows nothing."""
    norm = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / norm if norm > 0.0 else 0.0
