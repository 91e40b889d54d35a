"""A tracked sweep, and its echoes along the beams, ready to be compared with a CT."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ir_nav.geometry import FloatArray, read_only
from ir_nav.imaging.volume import frozen_view
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.registration_file import FARTHEST_MM
from ir_nav.registration.ultrasound.fan import Fan

Float32 = NDArray[np.float32]
FINE_BEAMS, FINE_SAMPLES = 128, 216
# The probe's own ring-down and the gel.
NEAR_MM = 4.0
# The outermost beams lie on the fan's edge.
EDGE_SHARE = 0.015


@dataclass(frozen=True, slots=True, eq=False)
class TrackedSweep:
    """images: (n, rows, columns) uint8, log compressed as a screen shows them.
    reference_from_image: (n, 4, 4), px at pixel centres to reference mm, scale included.
    level: (n,), how far each frame's breath is from that of the CT, 0 the same and 1 the other
    end; None where no breathing is known. Raises RegistrationError when these do not fit.
    """

    images: NDArray[np.uint8]
    reference_from_image: FloatArray
    level: FloatArray | None = None

    def __post_init__(self) -> None:
        images, poses = self.images, read_only(self.reference_from_image)
        if images.ndim != 3 or images.dtype != np.uint8 or not len(images):
            raise RegistrationError("a sweep's images must be grey, 8 bit and all of one size")
        if poses.shape != (len(images), 4, 4) or not (np.abs(poses) < FARTHEST_MM).all():
            raise RegistrationError(f"{len(images)} images need as many 4x4 poses, within 100 m")
        object.__setattr__(self, "images", frozen_view(images))
        object.__setattr__(self, "reference_from_image", poses)
        if self.level is not None:
            level = read_only(self.level)
            if level.shape != (len(images),) or not np.isfinite(level).all():
                raise RegistrationError(f"{len(images)} images need as many breathing levels")
            object.__setattr__(self, "level", level)

    def only(self, chosen: NDArray[np.intp]) -> TrackedSweep:
        """The frames at these indices."""
        level = None if self.level is None else self.level[chosen]
        return TrackedSweep(self.images[chosen], self.reference_from_image[chosen], level)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How finely a frame is looked at: beams, samples along each, smoothing against speckle, and
    how wide the surroundings are whose mean is taken off (both standard deviations)."""

    beams: int
    samples: int
    smooth_mm: float
    local_mm: float


@dataclass(frozen=True, slots=True, eq=False)
class BeamSamples:
    """Echoes on a grid along the beams of every frame.

    starts, steps: (frames, beams, 3) reference mm, the first sample and the way to the next;
    step_mm its length. echoes: (frames, beams, samples), freed of gain and of speckle.
    """

    starts: FloatArray
    steps: FloatArray
    step_mm: float
    echoes: Float32

    @property
    def points_mm(self) -> FloatArray:
        """(frames, beams, samples, 3), reference."""
        along = np.arange(self.echoes.shape[2])[:, None]
        return np.asarray(self.starts[:, :, None] + along * self.steps[:, :, None])


def beam_samples(
    sweep: TrackedSweep, fan: Fan, samplings: tuple[Sampling, ...]
) -> tuple[BeamSamples, ...]:
    """Every frame along its beams, once for each sampling.

    Grey values are already logarithms of the echo. The mean of their surroundings is subtracted,
    which takes out gain, depth compensation and attenuation; what is left is smoothed.
    """
    depth_mm = np.linspace(NEAR_MM, fan.depth_mm - 0.5, FINE_SAMPLES)
    starts_px, steps_px = fan.beams_px(FINE_BEAMS)
    places = starts_px[:, None] + depth_mm[:, None] * steps_px[:, None]  # (beams, depths, 2)
    pitch_mm = float(fan.pitch_mm(0.5 * fan.depth_mm, FINE_BEAMS))
    grid_mm = (pitch_mm, float(depth_mm[1] - depth_mm[0]))
    chosen = [_chosen(one) for one in samplings]
    echoes = [
        np.empty((len(sweep.images), one.beams, one.samples), dtype=np.float32) for one in samplings
    ]
    for number, image in enumerate(sweep.images):
        polar = _bilinear(image, places)
        for sampling, (across, down), out in zip(samplings, chosen, echoes, strict=True):
            smooth = _blurred(polar, sampling.smooth_mm, grid_mm)
            local = _blurred(polar, sampling.local_mm, grid_mm)
            out[number] = (smooth - local)[across][:, down]
    return tuple(
        _placed(sweep.reference_from_image, places[across][:, down[[0, -1]]], depth_mm[down], out)
        for (across, down), out in zip(chosen, echoes, strict=True)
    )


def _chosen(sampling: Sampling) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Which of the fine beams and depths a sampling looks at, evenly spaced."""
    inset = EDGE_SHARE * FINE_BEAMS
    across = np.linspace(inset, FINE_BEAMS - 1 - inset, sampling.beams).round().astype(np.intp)
    every = FINE_SAMPLES // sampling.samples
    return across, every // 2 + np.arange(sampling.samples) * every


def _placed(
    reference_from_image: FloatArray, ends_px: FloatArray, depth_mm: FloatArray, echoes: Float32
) -> BeamSamples:
    """ends_px (beams, 2, 2): first and last sample of each beam, at depths (samples,)."""
    starts, ends = (_in_reference(reference_from_image, ends_px[:, end]) for end in (0, 1))
    step_mm = float(depth_mm[1] - depth_mm[0])
    return BeamSamples(starts, (ends - starts) / (len(depth_mm) - 1), step_mm, echoes)


def _bilinear(image: NDArray[np.uint8], places: FloatArray) -> Float32:
    u, v = np.moveaxis(places.astype(np.float32), -1, 0)
    found = cv2.remap(
        image.astype(np.float32), u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(found, dtype=np.float32)


def _blurred(polar: Float32, sigma_mm: float, grid_mm: tuple[float, float]) -> Float32:
    across, down = (sigma_mm / mm for mm in grid_mm)
    found = cv2.GaussianBlur(polar, (0, 0), down, sigmaY=across, borderType=cv2.BORDER_REFLECT)
    return np.asarray(found, dtype=np.float32)


def _in_reference(reference_from_image: FloatArray, points_px: FloatArray) -> FloatArray:
    """(frames, n, 3) mm of pixels (n, 2) in every frame."""
    flat = np.column_stack([points_px, np.zeros(len(points_px)), np.ones(len(points_px))])
    return np.ascontiguousarray(np.einsum("fij,nj->fni", reference_from_image, flat)[..., :3])
