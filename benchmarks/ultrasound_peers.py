"""What else lays a sweep on a CT: plain LC2, and mutual information of the compounded sweep."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import SimpleITK as sitk
from scipy import ndimage, optimize
from ultrasound_truth import TruthSweep

from ir_nav.geometry import FloatArray, apply, rigid_inverse
from ir_nav.imaging import Volume
from ir_nav.imaging.reconstruction import reconstruct
from ir_nav.registration.ultrasound.fan import Fan, fan_mask
from ir_nav.registration.ultrasound.sweep_search import motions


def _searched(value: Callable[[FloatArray], float]) -> FloatArray:
    """The smallest (6,) by Py-BOBYQA where it is installed, else by scipy's Powell."""
    try:
        import pybobyqa
    except ImportError:
        options = {"maxfev": 400, "xtol": 0.05, "ftol": 1e-5}
        return np.asarray(optimize.minimize(value, np.zeros(6), method="Powell", options=options).x)
    return np.asarray(pybobyqa.solve(value, np.zeros(6), rhobeg=5.0, rhoend=0.05, maxfun=400).x)


def lc2(volume: Volume, truth: TruthSweep, fan: Fan, start: FloatArray) -> FloatArray:
    """Plain LC2 (Wein 2008, 2013): in patches, least squares of the ultrasound on the CT, its
    gradient along the beam and one; weighted by the patch's variance."""
    every = 16
    inside = fan_mask(fan, truth.images.shape[:0:-1])[::every, ::every]
    images = [ndimage.gaussian_filter(one.astype(float), 4.0)[::every, ::every] for one in
              truth.images]  # fmt: skip
    rows, columns = images[0].shape
    v, u = np.mgrid[0:rows, 0:columns] * every
    pixels = np.stack([u, v, np.zeros_like(u), np.ones_like(u)], axis=-1)
    below = pixels + np.array([0.0, 8.0, 0.0, 0.0])
    smooth = ndimage.gaussian_filter(
        np.clip(volume.voxels, -300, 400).astype(np.float32),
        1.0 / np.array(volume.spacing_mm)[::-1],
    )

    def sampled(at: FloatArray) -> FloatArray:
        places = np.einsum("fij,rcj->frci", at, pixels)[..., 2::-1]
        return np.asarray(ndimage.map_coordinates(smooth, np.moveaxis(places, -1, 0), order=1))

    def value(parameters: FloatArray) -> float:
        moved = motions(parameters[None], truth.target_ct_mm)[0] @ start
        at = volume.voxel_from_ct @ moved @ truth.reference_from_image
        hu = sampled(at)
        ahead = np.einsum("fij,rcj->frci", at, below)[..., 2::-1]
        rise = ndimage.map_coordinates(smooth, np.moveaxis(ahead, -1, 0), order=1) - hu
        return -_patches(np.stack(images), hu, np.abs(rise), inside)

    return np.asarray(motions(_searched(value)[None], truth.target_ct_mm)[0] @ start)


def _patches(echo: FloatArray, hu: FloatArray, rise: FloatArray, inside: np.ndarray) -> float:
    total = weight = 0.0
    size = 8
    for r in range(0, echo.shape[1] - size + 1, size):
        for c in range(0, echo.shape[2] - size + 1, size):
            block = (slice(None), slice(r, r + size), slice(c, c + size))
            if inside[block[1:]].mean() < 0.9:
                continue
            u = echo[block].reshape(len(echo), -1)
            terms = np.stack([hu[block], rise[block], np.ones_like(hu[block])], axis=-1)
            terms = terms.reshape(len(echo), -1, 3)
            normal = np.einsum("fni,fnj->fij", terms, terms) + 1e-3 * np.eye(3)
            factors = np.linalg.solve(normal, np.einsum("fni,fn->fi", terms, u)[..., None])
            left = u - np.einsum("fni,fi->fn", terms, factors[..., 0])
            variance = u.var(axis=1)
            total += float(np.sum(variance - left.var(axis=1)))
            weight += float(np.sum(variance))
    return total / max(weight, 1e-9)


def mutual_information(volume: Volume, truth: TruthSweep, _: Fan, start: FloatArray) -> FloatArray:
    """Mattes mutual information of the compounded sweep with the CT, gradient descent."""
    compounded = reconstruct(list(truth.images), truth.reference_from_image, 1.5)
    fixed = sitk.GetImageFromArray(compounded.voxels.astype(np.float32))
    fixed.SetSpacing([compounded.spacing_mm] * 3)
    fixed.SetOrigin(compounded.origin_mm.tolist())
    mask = sitk.GetImageFromArray(compounded.filled.astype(np.uint8))
    mask.CopyInformation(fixed)
    moving = sitk.GetImageFromArray(np.clip(volume.voxels, -300, 400).astype(np.float32))
    moving.SetSpacing(volume.spacing_mm)
    axes = volume.ct_from_voxel[:3, :3] / volume.spacing_mm
    moving.SetDirection(axes.ravel().tolist())
    moving.SetOrigin(volume.ct_from_voxel[:3, 3].tolist())
    first = sitk.Euler3DTransform()
    centre = apply(rigid_inverse(start), truth.target_ct_mm)
    first.SetCenter(centre.tolist())
    first.SetMatrix(start[:3, :3].ravel().tolist(), 1e-6)
    first.SetTranslation((apply(start, centre) - centre).tolist())
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(40)
    method.SetMetricFixedMask(mask)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(0.2, 1)
    method.SetOptimizerAsRegularStepGradientDescent(2.0, 0.01, 150)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([3, 2, 1])
    method.SetSmoothingSigmasPerLevel([4.0, 2.0, 1.0])
    method.SetInitialTransform(first, True)
    method.SetInterpolator(sitk.sitkLinear)
    method.Execute(fixed, moving)
    corner = np.array(first.TransformPoint((0.0, 0.0, 0.0)))
    matrix = np.eye(4)
    for axis in range(3):
        matrix[:3, axis] = np.array(first.TransformPoint(np.eye(3)[axis].tolist())) - corner
    matrix[:3, 3] = corner
    return matrix
