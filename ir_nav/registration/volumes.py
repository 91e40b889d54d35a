"""A second series to the planning CT: rigid, by mutual information.

Mattes et al. 2003 (PET-CT image registration in the chest using free-form deformations), as ITK
implements it (ITKv4), coarse to fine, on both images thinned to about 2 mm. Mutual information
asks for no common scale of numbers: CT to CT, MR or PET.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import SimpleITK as sitk

from ir_nav.geometry import FloatArray, apply, read_only, rotation_between_deg
from ir_nav.imaging import Volume
from ir_nav.progress import Progress, unheard
from ir_nav.registration.thinned_images import (
    body_middle,
    body_of,
    corners_of_body,
    overlap_of,
    thinned,
)
from ir_nav.registration.volume_search import (
    LEVELS,
    SEEDS,
    VolumeRegistrationError,
    VolumeSearch,
    matrix_of,
)

# Less of the second series than this within the CT says nothing certain.
LEAST_OVERLAP = 0.15
# Two runs that start apart and look at other voxels agree within this, or the result is doubted.
GOOD_REPEAT_MM = 1.0
MAX_REPEAT_MM = 3.0
NUDGE_MM, NUDGE_DEG = 4.0, 3.0
# MI of images that know nothing of each other, in nats, with this many samples and bins.
LEAST_INFORMATION = 0.05
# A search that ends with less than it began with, by more than this, went astray.
LOST_INFORMATION = 0.02


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
    fixed_image, moving_image = thinned(fixed), thinned(moving)
    mask = body_of(fixed_image)
    search = VolumeSearch(fixed_image, moving_image, mask)
    usable = [
        (start, second_from_ct)
        for start, second_from_ct in _starts(fixed, moving, fixed_image, moving_image)
        if overlap_of(fixed_image, mask, moving_image, second_from_ct) >= LEAST_OVERLAP
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
    overlap = overlap_of(fixed_image, mask, moving_image, first)
    corners = corners_of_body(fixed_image, mask)
    change = np.linalg.inv(first) @ begin
    moved = apply(first, fixed.centre_ct_mm) - apply(begin, fixed.centre_ct_mm)
    found = VolumeRegistration(
        read_only(np.linalg.inv(first)),
        start,
        search.score(first),
        max(scores),
        float(np.linalg.norm(apply(first, corners) - apply(second, corners), axis=1).max()),
        overlap,
        float(np.linalg.norm(moved)),
        rotation_between_deg(np.eye(3), change[:3, :3]),
    )
    _require_agreement(found)
    report(1.0)
    return found


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


def _require_agreement(found: VolumeRegistration) -> None:
    """VolumeRegistrationError, with what to do, where the two have too little in common."""
    if found.overlap < LEAST_OVERLAP:
        raise VolumeRegistrationError(
            f"only {100 * found.overlap:.0f} % of the body in the CT would be covered by the "
            "second series: choose a series of the same region"
        )
    least = max(LEAST_INFORMATION, found.information_before - LOST_INFORMATION)
    if found.information < least:
        raise VolumeRegistrationError(
            "the two series agree nowhere: check that they are of one patient and one region"
        )
    if found.repeat_mm > 10.0 * MAX_REPEAT_MM:
        raise VolumeRegistrationError(
            f"two searches ended {found.repeat_mm:.0f} mm apart: the series have too little in "
            "common for a rigid registration"
        )


def _starts(
    fixed: Volume, moving: Volume, fixed_image: sitk.Image, moving_image: sitk.Image
) -> list[tuple[Start, FloatArray]]:
    """(start, (4, 4) second_from_ct) to try."""
    found = [(Start.GEOMETRY, np.eye(4))]
    uids = fixed.description.frame_of_reference_uid, moving.description.frame_of_reference_uid
    if uids[0] is not None and uids[0] == uids[1]:
        return found
    found.append((Start.CENTRES, _shift(moving.centre_ct_mm - fixed.centre_ct_mm)))
    middles = [body_middle(image) for image in (fixed_image, moving_image)]
    found.append((Start.BODIES, _shift(middles[1] - middles[0])))
    return found


def _nudged(second_from_ct: FloatArray, centre_ct_mm: FloatArray) -> FloatArray:
    """The same place, off by 4 mm and 3 degrees about the CT's middle."""
    turn = sitk.Euler3DTransform(
        centre_ct_mm.tolist(), *np.radians(NUDGE_DEG * np.array([0.6, -0.5, 0.62])).tolist()
    )
    off = matrix_of(turn)
    off[:3, 3] += NUDGE_MM * np.array([0.58, 0.58, -0.58])
    return np.asarray(second_from_ct @ off)


def _shift(by_mm: FloatArray) -> FloatArray:
    matrix = np.eye(4)
    matrix[:3, 3] = by_mm
    return matrix
