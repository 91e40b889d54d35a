"""A second series to the planning CT: rigid, by mutual information.

Mattes et al. 2003 (PET-CT image registration in the chest using free-form deformations), as ITK
implements it (ITKv4), coarse to fine, on both images thinned to about 2 mm. Mutual information
asks for no common scale of numbers: CT to CT, MR or PET.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import SimpleITK as sitk

from ir_nav.geometry import FloatArray, apply, read_only, rotation_between_deg
from ir_nav.imaging import ImagingError, Volume, VolumeInfo, body_mask
from ir_nav.progress import Progress, unheard

GRID_MM = 2.0
LEVELS = ((4, 4.0), (2, 2.0), (1, 0.0))
BINS = 50
SAMPLES = 40_000
MOST_ITERATIONS = 80
# Less of the second series than this within the CT says nothing certain.
LEAST_OVERLAP = 0.15
LEAST_OVERLAP_MM3 = 100.0**3
# Two runs that start apart and look at other voxels agree within this, or the result is doubted.
GOOD_REPEAT_MM = 1.0
MAX_REPEAT_MM = 3.0
NUDGE_MM, NUDGE_DEG = 4.0, 3.0
# MI of images that know nothing of each other, in nats, with this many samples and bins.
LEAST_INFORMATION = 0.05
AIR_SEEN_HU = -200
SEEDS = (11, 29)


class VolumeRegistrationError(ImagingError):
    """Two series cannot be laid over each other; says why and what to do."""


class Start(StrEnum):
    """Where the search began."""

    GEOMETRY = "the places the files state"
    CENTRES = "the middles of both images"
    BODIES = "the middles of both bodies"


@dataclass(frozen=True, slots=True, eq=False)
class VolumeRegistration:
    """ct_from_second: (4, 4), mm of the second series' own frame -> `ct` mm.

    information, information_before: Mattes mutual information in nats, after and at the start.
    repeat_mm: by how much a second run, begun 4 mm and 3 degrees off and looking at other voxels,
    ended elsewhere: the largest distance at the corners of the overlap. overlap: the part of the
    CT's body that the second series covers. moved_mm, turned_deg: from the start.
    """

    ct_from_second: FloatArray
    start: Start
    information: float
    information_before: float
    repeat_mm: float
    overlap: float
    moved_mm: float
    turned_deg: float

    @property
    def doubtful(self) -> bool:
        """Whether the two runs disagree by more than a registration may."""
        return self.repeat_mm > GOOD_REPEAT_MM


def register_volumes(
    fixed: Volume, moving: Volume, progress: Progress | None = None
) -> VolumeRegistration:
    """Lay `moving` over `fixed`. For the worker: seconds. `progress` may raise to cancel.

    Starts from the stated places when both series have one frame of reference, else from
    whichever of places, image middles and body middles agrees best. Raises
    VolumeRegistrationError when the two have too little in common or agree nowhere.
    """
    report = progress if progress is not None else unheard
    report(0.0)
    fixed_image, moving_image = _thinned(fixed), _thinned(moving)
    mask = _mask(fixed, fixed_image)
    candidates = _starts(fixed, moving, fixed_image, moving_image)
    search = _Search(fixed_image, moving_image, mask)
    usable = [
        (start, second_from_ct)
        for start, second_from_ct in candidates
        if _overlap(fixed_image, mask, moving_image, second_from_ct) >= LEAST_OVERLAP
    ]
    if not usable:
        raise VolumeRegistrationError(
            "the second series shows another part of the body than the CT: the two do not "
            "overlap. Choose a series of the same region"
        )
    report(0.05)
    scores = [search.score(second_from_ct) for _, second_from_ct in usable]
    start, begin = usable[int(np.argmax(scores))]
    first = search.run(begin, SEEDS[0], LEVELS, lambda part: report(0.05 + 0.6 * part))
    second = search.run(
        _nudged(first, fixed.centre_ct_mm), SEEDS[1], LEVELS[1:], lambda p: report(0.65 + 0.3 * p)
    )
    overlap = _overlap(fixed_image, mask, moving_image, first)
    information, before = search.score(first), max(scores)
    if overlap < LEAST_OVERLAP:
        raise VolumeRegistrationError(
            f"only {100 * overlap:.0f} % of the body in the CT would be covered by the second "
            "series: choose a series of the same region"
        )
    if information < LEAST_INFORMATION or information < before - 0.02:
        raise VolumeRegistrationError(
            "the two series agree nowhere: check that they are of one patient and one region"
        )
    report(1.0)
    corners = _corners(fixed_image, mask)
    repeat = float(np.linalg.norm(apply(first, corners) - apply(second, corners), axis=1).max())
    if repeat > 10.0 * MAX_REPEAT_MM:
        raise VolumeRegistrationError(
            f"two searches ended {repeat:.0f} mm apart: the series have too little in common "
            "for a rigid registration"
        )
    change = np.linalg.inv(first) @ begin
    moved = apply(first, fixed.centre_ct_mm) - apply(begin, fixed.centre_ct_mm)
    return VolumeRegistration(
        read_only(np.linalg.inv(first)),
        start,
        information,
        before,
        repeat,
        overlap,
        float(np.linalg.norm(moved)),
        rotation_between_deg(np.eye(3), change[:3, :3]),
    )


def placed(moving: Volume, ct_from_second: FloatArray) -> Volume:
    """The second series where a registration puts it; its voxels are not copied."""
    return Volume(
        moving.voxels,
        ct_from_second @ moving.ct_from_voxel,
        moving.identity,
        moving.description,
    )


def verdict(found: VolumeRegistration) -> str:
    """The result and what its numbers mean, in words."""
    if found.repeat_mm <= GOOD_REPEAT_MM:
        trust = "repeatable"
    elif found.repeat_mm <= MAX_REPEAT_MM:
        trust = "doubtful: check it with Swipe before you accept"
    else:
        trust = "not repeatable: do not rely on it"
    return (
        f"Two independent searches agree within {found.repeat_mm:.1f} mm ({trust}). "
        f"It moved {found.moved_mm:.1f} mm and turned {found.turned_deg:.1f}° from "
        f"{found.start}; mutual information {found.information_before:.2f} before, "
        f"{found.information:.2f} after; {100 * found.overlap:.0f} % of the body is covered. "
        "Repeatability is no proof of accuracy: look at organ edges."
    )


class _Search:
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
        method.SetInitialTransform(_transform(second_from_ct, self._centre), inPlace=False)
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
        transform = _transform(second_from_ct, self._centre)
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
        return _matrix(transform)

    @property
    def _centre(self) -> FloatArray:
        return _middle(self._fixed)

    def _method(self, seed: int, share: float) -> Any:
        method = sitk.ImageRegistrationMethod()
        method.SetMetricAsMattesMutualInformation(BINS)
        method.SetMetricSamplingStrategy(method.RANDOM)
        method.SetMetricSamplingPercentage(min(share, 1.0), seed)
        method.SetInterpolator(sitk.sitkLinear)
        if self._mask is not None:
            method.SetMetricFixedMask(self._mask)
        return method


def _thinned(volume: Volume) -> sitk.Image:
    """The voxels at about 2 mm as an ITK image, means of what they replace."""
    image = sitk.GetImageFromArray(volume.voxels)
    spacing = np.array(volume.spacing_mm)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((volume.ct_from_voxel[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(volume.ct_from_voxel[:3, 3].tolist())
    factors = [max(int(GRID_MM / step + 0.3), 1) for step in spacing]
    return sitk.Cast(sitk.BinShrink(image, factors), sitk.sitkFloat32)


def _mask(fixed: Volume, image: sitk.Image) -> sitk.Image | None:
    """The body with a margin, so that a table or a blanket does not count; None without air."""
    voxels = sitk.GetArrayFromImage(image)
    if voxels.min() > AIR_SEEN_HU:
        return None
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    thin = Volume(np.rint(voxels).astype(np.int16), affine, "", VolumeInfo())
    try:
        body = body_mask(thin)
    except ImagingError:
        return None
    mask = sitk.GetImageFromArray(body.astype(np.uint8))
    mask.CopyInformation(image)
    return sitk.BinaryDilate(mask, [2, 2, 2])


def _starts(
    fixed: Volume, moving: Volume, fixed_image: sitk.Image, moving_image: sitk.Image
) -> list[tuple[Start, FloatArray]]:
    """(start, (4, 4) second_from_ct) to try."""
    found = [(Start.GEOMETRY, np.eye(4))]
    uids = fixed.description.frame_of_reference_uid, moving.description.frame_of_reference_uid
    if uids[0] is not None and uids[0] == uids[1]:
        return found
    found.append((Start.CENTRES, _shift(moving.centre_ct_mm - fixed.centre_ct_mm)))
    middles = [_body_middle(image) for image in (fixed_image, moving_image)]
    found.append((Start.BODIES, _shift(middles[1] - middles[0])))
    return found


def _body_middle(image: sitk.Image) -> FloatArray:
    """(3,) centroid in mm of what is not background (Otsu)."""
    voxels = sitk.GetArrayFromImage(sitk.OtsuThreshold(sitk.Shrink(image, [2, 2, 2]), 0, 1))
    places = np.argwhere(voxels > 0)[:, ::-1].mean(axis=0) * 2.0
    return np.array(image.TransformContinuousIndexToPhysicalPoint(places.tolist()))


def _overlap(
    fixed: sitk.Image, mask: sitk.Image | None, moving: sitk.Image, second_from_ct: FloatArray
) -> float:
    """The part of the fixed body that lies within the moving image; 0 for less than a litre."""
    points = _inside_points(fixed, mask)
    size = np.array(moving.GetSize()) - 1.0
    axes = np.array(moving.GetDirection()).reshape(3, 3) * np.array(moving.GetSpacing())
    there = apply(second_from_ct, points) - np.array(moving.GetOrigin())
    index = there @ np.linalg.inv(axes).T
    within = ((index >= 0.0) & (index <= size)).all(axis=1)
    volume_mm3 = within.mean() * len(points) * np.prod(fixed.GetSpacing()) * _STEP**3
    return float(within.mean()) if volume_mm3 >= LEAST_OVERLAP_MM3 else 0.0


_STEP = 4


def _inside_points(fixed: sitk.Image, mask: sitk.Image | None) -> FloatArray:
    """(n, 3) `ct` mm of every fourth voxel in the body, or of the image."""
    shape = fixed.GetSize()[::-1]
    chosen = np.ones(shape, np.bool_) if mask is None else sitk.GetArrayFromImage(mask) > 0
    places = np.argwhere(chosen[::_STEP, ::_STEP, ::_STEP])[:, ::-1] * float(_STEP)
    axes = np.array(fixed.GetDirection()).reshape(3, 3) * np.array(fixed.GetSpacing())
    return np.asarray(places @ axes.T + np.array(fixed.GetOrigin()))


def _corners(fixed: sitk.Image, mask: sitk.Image | None) -> FloatArray:
    """(8, 3) `ct` mm of the corners of the box round the body."""
    points = _inside_points(fixed, mask)
    ends = np.stack([points.min(axis=0), points.max(axis=0)])
    choice = np.indices((2, 2, 2)).reshape(3, 8).T
    return np.take_along_axis(ends, choice, axis=0)


def _nudged(second_from_ct: FloatArray, centre_ct_mm: FloatArray) -> FloatArray:
    """The same place, off by 4 mm and 3 degrees about the CT's middle."""
    turn = sitk.Euler3DTransform(
        centre_ct_mm.tolist(), *np.radians(NUDGE_DEG * np.array([0.6, -0.5, 0.62])).tolist()
    )
    off = _matrix(turn)
    off[:3, 3] += NUDGE_MM * np.array([0.58, 0.58, -0.58])
    return np.asarray(second_from_ct @ off)


def _middle(image: sitk.Image) -> FloatArray:
    half = [(size - 1) / 2.0 for size in image.GetSize()]
    return np.array(image.TransformContinuousIndexToPhysicalPoint(half))


def _shift(by_mm: FloatArray) -> FloatArray:
    matrix = np.eye(4)
    matrix[:3, 3] = by_mm
    return matrix


def _transform(second_from_ct: FloatArray, centre_ct_mm: FloatArray) -> Any:
    transform = sitk.Euler3DTransform()
    transform.SetCenter(centre_ct_mm.tolist())
    transform.SetMatrix(second_from_ct[:3, :3].ravel().tolist(), 1e-6)
    moved = second_from_ct[:3, :3] @ centre_ct_mm + second_from_ct[:3, 3] - centre_ct_mm
    transform.SetTranslation(moved.tolist())
    return transform


def _matrix(transform: Any) -> FloatArray:
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(transform.GetMatrix()).reshape(3, 3)
    origin = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    matrix[:3, 3] = origin
    return matrix
