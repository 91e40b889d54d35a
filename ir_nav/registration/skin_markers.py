"""Markers stuck on the skin, found in a CT: small bright blobs between skin and air.

Bone lies under the skin and is large; a wire or catheter is long; the table and what hangs on it
is large or lies away from the body. What remains is small, compact, brighter than tissue, near
the skin, and has air on one side. Positions are means weighted by the CT number, finer than a
voxel (as in Wang et al. 1996, IEEE TMI 15, for implanted markers).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ir_nav.geometry import FloatArray, apply, read_only
from ir_nav.imaging.skin import body_mask
from ir_nav.imaging.volume import BoolArray, Volume
from ir_nav.registration.errors import RegistrationError

# Brighter than contrast-filled vessels beneath the skin; plastic markers are at 300 HU and more.
BRIGHT_HU = 250.0
# A wire is dimmer than its snap: what holds together at this number is one thing.
JOINED_HU = 120.0
TISSUE_HU = 60.0
AIR_HU = -400.0
SMALLEST_MM = 1.0
LARGEST_MM = 16.0
MOST_ELONGATED = 3.0
# From the skin, either way; a marker on a thick plaster lies clear of it.
NEAR_SKIN_MM = 9.0
SHELL_MM = 2.5
LEAST_AIR = 0.2
LEAST_CONFIDENCE = 0.3
MOST_BLOBS = 4000


@dataclass(frozen=True, slots=True, eq=False)
class SkinMarker:
    """centre_ct_mm: (3,). diameter_mm: of the ball of the same volume. confidence: 0 to 1, from
    contrast, roundness and the air beside it."""

    centre_ct_mm: FloatArray
    diameter_mm: float
    confidence: float


def find_skin_markers(volume: Volume, body: BoolArray | None = None) -> tuple[SkinMarker, ...]:
    """The markers on the skin of a CT, surest first.

    body: (k, j, i) bool of body_mask, where it is at hand. RegistrationError for an image that is
    not CT; ImagingError when there is no body. None is found where markers are smaller than about
    two voxels or darker than 250 HU.
    """
    if volume.description.unit != "HU":
        raise RegistrationError("skin markers are found by CT number: open a CT")
    mask = body_mask(volume) if body is None else body
    near = _near_skin(volume, mask)
    found = [
        marker for spans in _blobs(volume, near) if (marker := _marker(volume, spans)) is not None
    ]
    kept = [one for one in found if one.confidence >= LEAST_CONFIDENCE]
    return tuple(sorted(kept, key=lambda one: -one.confidence))


Spans = tuple[slice, slice, slice]


def _near_skin(volume: Volume, body: BoolArray) -> BoolArray:
    """(k, j, i) what lies within NEAR_SKIN_MM of the body's surface, inside or out: on a grid of
    about NEAR_SKIN_MM / 3."""
    steps = [max(1, round(NEAR_SKIN_MM / 3.0 / mm)) for mm in volume.spacing_mm[::-1]]
    coarse = body[:: steps[0], :: steps[1], :: steps[2]]
    size_mm = [mm * step for mm, step in zip(volume.spacing_mm[::-1], steps, strict=True)]
    inside = ndimage.distance_transform_edt(coarse, sampling=size_mm)
    outside = ndimage.distance_transform_edt(~coarse, sampling=size_mm)
    near: BoolArray = np.maximum(inside, outside) <= NEAR_SKIN_MM + max(size_mm) / 2.0
    for axis, step in enumerate(steps):
        near = np.repeat(near, step, axis=axis)
    k, j, i = body.shape
    return near[:k, :j, :i]


def _blobs(volume: Volume, near: BoolArray) -> list[Spans]:
    """The boxes round bright things near the skin that are small enough."""
    labels, _ = ndimage.label((volume.voxels > BRIGHT_HU) & near, np.ones((3, 3, 3)))
    boxes = [spans for spans in ndimage.find_objects(labels) if spans is not None]
    if len(boxes) > MOST_BLOBS:
        raise RegistrationError("too many bright specks near the skin: this CT is too noisy")
    return [spans for spans in boxes if max(_extent_mm(volume, spans)) <= LARGEST_MM]


def _extent_mm(volume: Volume, spans: Spans) -> list[float]:
    return [
        (span.stop - span.start) * mm
        for span, mm in zip(spans, volume.spacing_mm[::-1], strict=True)
    ]


def _marker(volume: Volume, spans: Spans) -> SkinMarker | None:
    """The marker in a box, or None for what is none: long, large, or without air beside it."""
    size_mm = np.array(volume.spacing_mm[::-1])
    wide = _widened(spans, size_mm)
    values = volume.voxels[wide].astype(np.float32)
    thing = _thing(values, _within(spans, wide))
    if _goes_on(thing):
        return None
    at = np.argwhere(thing)
    diameter_mm = float((6.0 / np.pi * len(at) * np.prod(size_mm)) ** (1.0 / 3.0))
    extents_mm = (at.max(axis=0) - at.min(axis=0) + 1) * size_mm
    if diameter_mm < SMALLEST_MM or extents_mm.max() > LARGEST_MM:
        return None
    weights = np.maximum(values[thing] - TISSUE_HU, 1.0).astype(np.float64)
    elongation = _elongation(at * size_mm, weights, size_mm)
    air = _air_share(values, thing, size_mm)
    if elongation > MOST_ELONGATED or air < LEAST_AIR:
        return None
    kji = weights @ at / weights.sum() + [span.start for span in wide]
    contrast = min(1.0, (float(values[thing].max()) - BRIGHT_HU) / 500.0 + 0.5)
    confidence = contrast * min(1.0, 1.5 / elongation) * min(1.0, air / 0.35)
    return SkinMarker(read_only(apply(volume.ct_from_voxel, kji[::-1])), diameter_mm, confidence)


def _widened(spans: Spans, size_mm: FloatArray) -> Spans:
    """With as much round it as shows whether the thing in it goes on."""
    k, j, i = (
        slice(max(0, span.start - cells), span.stop + cells)
        for span, cells in zip(spans, np.ceil(LARGEST_MM / 2.0 / size_mm).astype(int), strict=True)
    )
    return k, j, i


def _within(spans: Spans, wide: Spans) -> Spans:
    """A box as a box of the wider one."""
    k, j, i = (
        slice(span.start - big.start, span.stop - big.start)
        for span, big in zip(spans, wide, strict=True)
    )
    return k, j, i


def _thing(values: np.ndarray, inner: Spans) -> BoolArray:
    """(k, j, i) what holds together with the brightest voxel of a box."""
    labels, _ = ndimage.label(values > JOINED_HU, np.ones((3, 3, 3)))
    brightest = int(values[inner].argmax())
    return np.asarray(labels == labels[inner].flat[brightest])


def _goes_on(thing: BoolArray) -> bool:
    """Whether it touches a face of its box, as a wire, a bone or the table does."""
    return any(np.take(thing, side, axis=axis).any() for axis in range(3) for side in (0, -1))


def _elongation(places_mm: FloatArray, weights: FloatArray, size_mm: FloatArray) -> float:
    """The longest over the middle axis of a blob, each widened by the voxel it is made of; a disc
    has 1, a wire much more."""
    off = places_mm - weights @ places_mm / weights.sum()
    spread = (off * weights[:, None]).T @ off / weights.sum() + np.diag(size_mm**2 / 12.0)
    axes = np.sqrt(np.linalg.eigvalsh(spread))
    return float(axes[2] / axes[1])


def _air_share(values: np.ndarray, thing: BoolArray, size_mm: FloatArray) -> float:
    """How much of a shell round a blob is air."""
    apart_mm = ndimage.distance_transform_edt(~thing, sampling=size_mm)
    # The blob's own blur lies between.
    inner_mm = float(size_mm.max()) * 0.5
    shell = (apart_mm > inner_mm) & (apart_mm <= inner_mm + SHELL_MM)
    return float((values[shell] < AIR_HU).mean()) if shell.any() else 0.0
