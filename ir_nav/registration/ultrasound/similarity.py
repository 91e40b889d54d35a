"""How well a CT at a pose explains the echoes of a whole sweep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ir_nav.geometry import FloatArray, read_only
from ir_nav.imaging import Volume
from ir_nav.imaging.volume import frozen_view
from ir_nav.registration.ultrasound.sweep import BeamSamples, Float32
from ir_nav.registration.ultrasound.sweep_kernels import explained
from ir_nav.threads import in_ranges

FINE_MM = 1.5
COARSE_MM, COARSE_BLUR_MM = 4.0, 2.4
MOST_HU = 1500
LOW_HU, HIGH_HU = -140.0, 260.0
BINS = 40
# Over two steps of 2.5 mm along the beam.
EDGE_HU = 80.0


@dataclass(frozen=True, slots=True, eq=False)
class SmoothCt:
    """voxels: (k, j, i) int16 HU, smoothed and thinned. voxel_from_ct: (4, 4)."""

    voxels: NDArray[np.int16]
    voxel_from_ct: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class SweepCt:
    """A CT made ready once for all its sweeps: fine to place by, coarse to search by."""

    fine: SmoothCt
    coarse: SmoothCt


def prepare_ct(ct: Volume) -> SweepCt:
    """For the worker: a second for a large CT."""
    image = sitk.GetImageFromArray(np.clip(ct.voxels, -1024, MOST_HU).astype(np.float32))
    image.SetSpacing(ct.spacing_mm)
    # Means over whole voxels: thinning alone would let noise through.
    image = sitk.BinShrink(image, [max(int(FINE_MM // mm), 1) for mm in ct.spacing_mm])
    fine = _on_cubes(image, ct, FINE_MM)
    blurred = sitk.DiscreteGaussian(fine, COARSE_BLUR_MM**2, 16, 0.01, True)
    return SweepCt(_smooth(fine, ct), _smooth(_on_cubes(blurred, ct, COARSE_MM), ct))


def _on_cubes(image: sitk.Image, ct: Volume, grid_mm: float) -> sitk.Image:
    """From the CT's first voxel on, its axes kept."""
    size = [
        int((n - 1) * mm // grid_mm) + 1 for n, mm in zip(ct.size_ijk, ct.spacing_mm, strict=True)
    ]
    spacing = [grid_mm] * 3
    return sitk.Resample(image, size, sitk.Transform(), sitk.sitkLinear, [0.0] * 3, spacing)


def _smooth(image: sitk.Image, ct: Volume) -> SmoothCt:
    voxels = np.rint(sitk.GetArrayViewFromImage(image)).astype(np.int16)
    scale = np.diag([*(np.array(ct.spacing_mm) / image.GetSpacing()), 1.0])
    return SmoothCt(frozen_view(voxels), read_only(scale @ ct.voxel_from_ct))


class SweepSimilarity:
    """The correlation ratio of a sweep's echoes on what the CT shows along the beams.

    Roche et al. 1998 (The correlation ratio as a new similarity measure for multimodal image
    registration), with three things added that sound does: echoes come from where the CT number
    changes along the beam, so edges up and edges down have bins of their own; what lies behind
    bone or gas is one bin, for the CT says nothing there; what lies outside the CT is unexplained.
    """

    def __init__(self, ct: SmoothCt, beams: BeamSamples, weights: Float32 | None = None) -> None:
        """weights: (frames, beams, samples), how much each sample counts; all the same if None.

        samples: how many there are, by weight. evaluations: poses asked for so far.
        """
        counted = np.ones_like(beams.echoes) if weights is None else weights
        self.samples = total = float(counted.sum())
        mean = float((beams.echoes * counted).sum()) / total
        self._values = (beams.echoes - np.float32(mean)) * counted
        self._weights = counted
        self._variance = float((self._values * (beams.echoes - mean)).sum())
        self._values_on = _sums_on(self._values)
        self._weights_on = _sums_on(counted)
        self._ct, self._beams = ct, beams
        self.evaluations = 0

    def __call__(self, ct_from_reference: FloatArray) -> FloatArray:
        """(m,) similarities, 0 to 1, at poses (m, 4, 4)."""
        poses = np.ascontiguousarray((self._ct.voxel_from_ct @ ct_from_reference)[:, :3])
        found = np.empty(len(poses))
        self.evaluations += len(poses)

        def work(ends: tuple[int, int]) -> None:
            part = slice(*ends)
            explained(
                self._ct.voxels,
                poses[part],
                self._beams.starts,
                self._beams.steps,
                self._beams.step_mm,
                self._values,
                self._weights,
                self._values_on,
                self._weights_on,
                LOW_HU,
                (BINS - 1) / (HIGH_HU - LOW_HU),
                BINS,
                EDGE_HU * min(self._beams.step_mm / 2.5, 1.5),
                found[part],
            )

        in_ranges(len(poses), work)
        return found / self._variance


def _sums_on(values: Float32) -> Float32:
    """From each sample to the end of its beam."""
    return np.ascontiguousarray(values[..., ::-1].cumsum(axis=2)[..., ::-1], dtype=np.float32)
