"""Stored numbers made into int16 voxels of a known quantity: HU, SUV, Gy, counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ir_nav.imaging.dicom_header import SliceHeader
from ir_nav.imaging.dicom_pixels import StoredArray
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.volume import AIR_HU, BoolArray, Int16Array

_INT16 = np.iinfo(np.int16)
# Intercepts nearer to zero leave room for air in 16 bits.
_FAR = 30_000


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a voxel means: voxel x scale, in `unit` ('' for arbitrary numbers)."""

    unit: str
    scale: float = 1.0


def to_hu(stored: StoredArray, header: SliceHeader) -> Int16Array:
    """HU of one CT slice; padding becomes air. Raises ImagingError without a rescale."""
    slope, intercept = header.place.slope, header.place.intercept
    if slope is None or intercept is None:
        raise ImagingError(
            f"{header.plain_name} does not say how its numbers become HU (rescale slope and "
            "intercept): export the CT again"
        )
    limited = _in_16_bits(stored, header, slope, intercept)
    if limited is None:
        values = np.rint(stored * slope + intercept)
        limited = np.clip(values, AIR_HU, _INT16.max).astype(np.int16)
    padding = padded(stored, header)
    if padding is not None:
        limited[padding] = AIR_HU
    return limited


def _in_16_bits(
    stored: StoredArray, header: SliceHeader, slope: float, intercept: float
) -> Int16Array | None:
    """HU by 16-bit arithmetic, several times as fast, where no number can leave its range."""
    fits = stored.dtype == np.int16 or header.bits_stored < _INT16.bits
    if not fits or slope != 1.0 or not intercept.is_integer() or not -_FAR <= intercept <= 0.0:
        return None
    lowest = np.int16(AIR_HU - int(intercept))
    return np.maximum(stored.astype(np.int16, copy=False), lowest) + np.int16(intercept)


def padded(stored: StoredArray, header: SliceHeader) -> BoolArray | None:
    """Where the stored number stands for no pixel; None when the header names no such number."""
    if header.padding is None:
        return None
    bits = header.bits_stored
    wanted = header.padding & ((1 << bits) - 1)
    if header.signed and wanted >= 1 << (bits - 1):
        # Pixel Padding Value is often written unsigned beside signed pixels.
        wanted -= 1 << bits
    return np.asarray(stored == wanted)


def scaled(
    slices: Sequence[StoredArray], headers: Sequence[SliceHeader], factor: float = 1.0
) -> tuple[Int16Array, float]:
    """(k, j, i) int16 voxels and what one of them is worth, of slices rescaled each by its own.

    Stored numbers are kept as they are when one slope serves all; else the largest value
    takes the whole range of int16, which rounds by at most 1/65534 of it. factor: multiplies.
    """
    slopes = [1.0 if h.place.slope is None else h.place.slope for h in headers]
    intercepts = [h.place.intercept or 0.0 for h in headers]
    if not np.isfinite([*slopes, *intercepts, factor]).all():
        raise ImagingError(
            f"{headers[0].plain_name} scales its numbers by something that is no number: "
            "export the series again"
        )
    low = min(int(part.min()) for part in slices)
    high = max(int(part.max()) for part in slices)
    simple = len(set(slopes)) == 1 and not any(intercepts) and slopes[0] > 0.0
    if simple and low >= _INT16.min and high <= _INT16.max:
        voxels = np.stack([part.astype(np.int16) for part in slices])
        _clear(voxels, slices, headers)
        return voxels, slopes[0] * factor
    ends = [
        (slope * value + intercept)
        for part, slope, intercept in zip(slices, slopes, intercepts, strict=True)
        for value in (int(part.min()), int(part.max()))
    ]
    largest = max(abs(end) for end in ends) or 1.0
    step = largest / _INT16.max
    voxels = np.stack(
        [
            np.rint((part * slope + intercept) / step).astype(np.int16)
            for part, slope, intercept in zip(slices, slopes, intercepts, strict=True)
        ]
    )
    _clear(voxels, slices, headers)
    return voxels, step * factor


def _clear(
    voxels: Int16Array, slices: Sequence[StoredArray], headers: Sequence[SliceHeader]
) -> None:
    for voxel_slice, part, header in zip(voxels, slices, headers, strict=True):
        mask = padded(part, header)
        if mask is not None:
            voxel_slice[mask] = 0
