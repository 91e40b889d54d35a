"""Stored numbers become HU the same way, however they are stored and however fast."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ir_nav.imaging import read_volume
from tests.imaging import phantom


@pytest.mark.parametrize("slope", [1.0, 0.5])
@pytest.mark.parametrize("intercept", [0.0, -1024.0, -31000.0, 5.0, -1000.5])
@pytest.mark.parametrize(
    ("dtype", "bits"), [("<i2", 16), ("<u2", 12), ("<u2", 16), ("<u1", 8), ("<i4", 32)]
)
def test_the_whole_range_of_stored_numbers(
    tmp_path: Path, dtype: str, bits: int, intercept: float, slope: float
) -> None:
    signed = dtype[1] == "i"
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    random = np.random.default_rng(3)
    stored = random.integers(low, high, (2, 12, 14), endpoint=True).astype(dtype)
    stored[:, 0, :2] = low, high
    made = phantom.dicom_slices(phantom.voxels()[:2], phantom.affine())
    for data, values in zip(made, stored, strict=True):
        data.BitsAllocated, data.BitsStored, data.HighBit = stored.itemsize * 8, bits, bits - 1
        data.PixelRepresentation = int(signed)
        data.RescaleSlope, data.RescaleIntercept = f"{slope}", f"{intercept}"
        data.PixelData = values.tobytes()
    expected = np.clip(np.rint(stored.astype(float) * slope + intercept), -1024, 32767)
    found = read_volume(phantom.write_dicom(tmp_path, made)).voxels
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("signed", [False, True])
def test_bits_above_the_stored_ones_are_no_part_of_the_number(tmp_path: Path, signed: bool) -> None:
    """Old overlays lie there; a sign ends below them."""
    random = np.random.default_rng(5)
    low, high = (-1000, 2000) if signed else (0, 4000)
    numbers = random.integers(low, high, (2, 12, 14))
    stored = ((numbers & 0x0FFF) | (random.integers(0, 16, numbers.shape) << 12)).astype("<u2")
    made = phantom.dicom_slices(phantom.voxels()[:2], phantom.affine())
    for data, values in zip(made, stored, strict=True):
        data.PixelRepresentation, data.RescaleIntercept = int(signed), "0"
        data.PixelData = values.tobytes()
    assert np.array_equal(read_volume(phantom.write_dicom(tmp_path, made)).voxels, numbers)
