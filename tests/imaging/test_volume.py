from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from ir_nav.imaging import ImagingError, Volume, VolumeInfo, sample
from tests.imaging import phantom


def volume(turn: tuple[float, float, float] = (12.0, -7.0, 31.0)) -> Volume:
    return Volume(phantom.voxels(), phantom.affine(turn), "test", VolumeInfo())


def test_properties() -> None:
    straight = volume((0.0, 0.0, 0.0))
    assert straight.spacing_mm == pytest.approx((0.8, 1.1, 2.5))
    assert straight.size_ijk == (14, 12, 9)
    low = (-31.0, 47.0, -212.5)
    high = (-31.0 + 13 * 0.8, 47.0 + 11 * 1.1, -212.5 + 8 * 2.5)
    np.testing.assert_allclose(straight.bounds_mm, [low, high])
    np.testing.assert_allclose(straight.centre_ct_mm, np.add(low, high) / 2)


angle = st.floats(-180.0, 180.0)
index = st.tuples(st.floats(0, 13), st.floats(0, 11), st.floats(0, 8))


@settings(deadline=None, max_examples=40)
@given(turn=st.tuples(angle, angle, angle), ijk=index)
def test_voxel_and_patient_positions_go_round(
    turn: tuple[float, float, float], ijk: tuple[float, float, float]
) -> None:
    oblique = volume(turn)
    there = oblique.ct_from_voxel @ (*ijk, 1.0)
    np.testing.assert_allclose(oblique.voxel_from_ct @ there, (*ijk, 1.0), atol=1e-9)
    expected = map_coordinates(oblique.voxels.astype(float), np.array(ijk[::-1])[:, None], order=1)
    inside = np.clip(ijk, 1e-6, np.subtract((13, 11, 8), 1e-6))
    point = (oblique.ct_from_voxel @ (*inside, 1.0))[:3]
    assert sample(oblique, point) == pytest.approx(expected[0], abs=0.01)


def test_outside_is_not_a_number() -> None:
    straight = volume((0.0, 0.0, 0.0))
    low, high = straight.bounds_mm
    values = sample(
        straight, [low - np.eye(3)[0] / 10, high + np.eye(3)[2] / 10, straight.centre_ct_mm]
    )
    assert np.isnan(values).tolist() == [True, True, False]
    assert values.dtype == np.float32


def test_nothing_can_be_written() -> None:
    frozen = volume()
    with pytest.raises(ValueError, match="read-only"):
        frozen.voxels[0, 0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        frozen.ct_from_voxel[0, 0] = 1.0


def bent(row: int, column: int, value: float) -> np.ndarray:
    matrix = phantom.affine()
    matrix[row, column] = value
    return matrix


@pytest.mark.parametrize(
    ("voxels", "matrix", "words"),
    [
        (phantom.voxels()[0], phantom.affine(), "three axes"),
        (phantom.voxels()[:1], phantom.affine(), "whole series"),
        (phantom.voxels().astype(np.float32), phantom.affine(), "int16"),
        (phantom.voxels(), bent(0, 3, np.nan), "finite"),
        (phantom.voxels(), bent(0, 0, 0.0), "spacing of zero"),
        (phantom.voxels(), bent(0, 2, 0.1), "right angles"),
        (phantom.voxels(), bent(2, 2, -2.5), "left-handed"),
    ],
)
def test_what_is_no_volume(voxels: np.ndarray, matrix: np.ndarray, words: str) -> None:
    with pytest.raises(ImagingError, match=words):
        Volume(voxels, matrix, "", VolumeInfo())
