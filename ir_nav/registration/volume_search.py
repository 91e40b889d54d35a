"""The search for the place where two images share most mutual information, coarse to fine."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk

from ir_nav.geometry import FloatArray
from ir_nav.imaging import ImagingError
from ir_nav.progress import Progress
from ir_nav.registration.thinned_images import middle

LEVELS = ((4, 4.0), (2, 2.0), (1, 0.0))
BINS = 50
SAMPLES = 40_000
MOST_ITERATIONS = 80
SEEDS = (11, 29)


class VolumeRegistrationError(ImagingError):
    """Two series cannot be laid over each other; says why and what to do."""


class VolumeSearch:
    """Mutual information of one pair of images."""

    def __init__(self, fixed: sitk.Image, moving: sitk.Image, mask: sitk.Image | None) -> None:
        self._fixed, self._moving, self._mask = fixed, moving, mask
        count = int(np.prod(fixed.GetSize()))
        if mask is not None:
            count = max(int(sitk.GetArrayViewFromImage(mask).sum()), 1)
        self._count = count

    def score(self, second_from_ct: FloatArray) -> float:
        """Mutual information at a place, in nats; 0 where the images do not meet."""
        shrunk = [sitk.Shrink(image, [3, 3, 3]) for image in (self._fixed, self._moving)]
        method = self._method(SEEDS[0], 1.0)
        method.SetInitialTransform(euler_of(second_from_ct, self._centre), inPlace=False)
        try:
            return -float(method.MetricEvaluate(*shrunk))
        except RuntimeError:  # ITK: too many samples map outside
            return 0.0

    def run(
        self,
        second_from_ct: FloatArray,
        seed: int,
        levels: tuple[tuple[int, float], ...],
        report: Progress,
    ) -> FloatArray:
        """(4, 4) second_from_ct where the search ends."""
        method = self._method(seed, min(SAMPLES / self._count, 1.0))
        method.SetShrinkFactorsPerLevel([factor for factor, _ in levels])
        method.SetSmoothingSigmasPerLevel([sigma for _, sigma in levels])
        method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
        method.SetMetricSamplingPercentagePerLevel(
            [min(SAMPLES * factor**3 / self._count, 1.0) for factor, _ in levels], seed
        )
        method.SetOptimizerAsRegularStepGradientDescent(
            learningRate=2.0,
            minStep=0.01,
            numberOfIterations=MOST_ITERATIONS,
            relaxationFactor=0.6,
            gradientMagnitudeTolerance=1e-8,
        )
        method.SetOptimizerScalesFromPhysicalShift()
        transform = euler_of(second_from_ct, self._centre)
        method.SetInitialTransform(transform, inPlace=True)
        stopped: list[Exception] = []

        def watch() -> None:
            if stopped:  # the next level begins all the same
                method.StopRegistration()
                return
            done = method.GetCurrentLevel() + method.GetOptimizerIteration() / MOST_ITERATIONS
            try:
                report(min(done / len(levels), 1.0))
            except Exception as error:  # noqa: BLE001 - raised again below: ITK knows no Python errors
                stopped.append(error)
                method.StopRegistration()

        method.AddCommand(sitk.sitkIterationEvent, watch)
        try:
            method.Execute(self._fixed, self._moving)
        except RuntimeError:
            if not stopped:
                raise VolumeRegistrationError(
                    "the search left the images: the two series have too little in common"
                ) from None
        if stopped:
            raise stopped[0]
        return matrix_of(transform)

    @property
    def _centre(self) -> FloatArray:
        return middle(self._fixed)

    def _method(self, seed: int, share: float) -> Any:
        method = sitk.ImageRegistrationMethod()
        method.SetMetricAsMattesMutualInformation(BINS)
        method.SetMetricSamplingStrategy(method.RANDOM)
        method.SetMetricSamplingPercentage(min(share, 1.0), seed)
        method.SetInterpolator(sitk.sitkLinear)
        if self._mask is not None:
            method.SetMetricFixedMask(self._mask)
        return method


def euler_of(second_from_ct: FloatArray, centre_ct_mm: FloatArray) -> Any:
    """The same motion as ITK's, turning about a point (3,)."""
    transform = sitk.Euler3DTransform()
    transform.SetCenter(centre_ct_mm.tolist())
    transform.SetMatrix(second_from_ct[:3, :3].ravel().tolist(), 1e-6)
    moved = second_from_ct[:3, :3] @ centre_ct_mm + second_from_ct[:3, 3] - centre_ct_mm
    transform.SetTranslation(moved.tolist())
    return transform


def matrix_of(transform: Any) -> FloatArray:
    """(4, 4) of a rigid transform of ITK's."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(transform.GetMatrix()).reshape(3, 3)
    origin = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    matrix[:3, 3] = origin
    return matrix
