from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from ir_nav.geometry import GeometryError
from ir_nav.imaging import (
    ImagingError,
    LabelMap,
    Plane,
    StandardView,
    Volume,
    VolumeInfo,
    compile_kernels,
    contours,
    plane_through,
    reslice_labels,
    reslice_window,
)
from tests.imaging import phantom

SIZE_PX = (61, 47)
NOISE = np.random.default_rng(5).integers(-1024, 3000, (9, 12, 14)).astype(np.int16)


def noisy(turn: tuple[float, float, float] = (12.0, -7.0, 31.0)) -> Volume:
    return Volume(NOISE, phantom.affine(turn), "", VolumeInfo())


def pixel_positions_kji(volume: Volume, plane: Plane, size_px: tuple[int, int]) -> np.ndarray:
    rows, columns = np.mgrid[: size_px[1], : size_px[0]]
    view = np.stack([columns, rows, np.zeros_like(rows), np.ones_like(rows)])
    ijk = np.tensordot(volume.voxel_from_ct @ plane.ct_from_view, view, 1)[:3]
    return ijk[::-1]


def exact(volume: Volume, plane: Plane, window: float, level: float) -> tuple[np.ndarray, ...]:
    kji = pixel_positions_kji(volume, plane, SIZE_PX)
    last = np.array(volume.voxels.shape)[:, None, None] - 1
    hu = map_coordinates(volume.voxels.astype(float), kji, order=1, mode="nearest")
    grey = np.clip((hu - level + window / 2) * 255 / window, 0, 255)
    inside = ((kji > 1e-3) & (kji < last - 1e-3)).all(axis=0)
    outside = ((kji < -1e-3) | (kji > last + 1e-3)).any(axis=0)
    return grey, inside, outside


direction = st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1))


@settings(deadline=None, max_examples=60)
@given(right=direction, down=direction, shift=direction, mm_per_px=st.floats(0.05, 1.0))
def test_against_scipy_on_any_plane(
    right: tuple[float, ...], down: tuple[float, ...], shift: tuple[float, ...], mm_per_px: float
) -> None:
    if np.linalg.norm(np.cross(right, down)) < 0.05:
        return
    volume = noisy()
    point = volume.centre_ct_mm + 3.0 * np.array(shift)
    plane = plane_through(point, right, down, mm_per_px, SIZE_PX)
    image = reslice_window(volume, plane.ct_from_view, SIZE_PX, 4000.0, 1000.0)
    grey, inside, outside = exact(volume, plane, 4000.0, 1000.0)
    assert np.abs(image - grey)[inside].max(initial=0.0) <= 1.0
    assert (image[outside] == 0).all()


@pytest.mark.parametrize("k", [0, 4, 8])
def test_a_plane_through_voxel_centres_shows_those_voxels(k: int) -> None:
    """Also in the first and the last slice, where one neighbour is missing."""
    volume = noisy()
    matrix = np.array(volume.ct_from_voxel)
    matrix[:3, 3] += k * matrix[:3, 2]
    image = reslice_window(volume, matrix, (14, 12), 255.0, 127.5)
    expected = np.clip(NOISE[k], 0, 255)
    assert np.abs(image.astype(int) - expected).max() <= 1


def test_extreme_numbers_do_not_overflow() -> None:
    extremes = np.where(NOISE > 0, np.int16(32767), np.int16(-32768))
    volume = Volume(extremes, phantom.affine(), "", VolumeInfo())
    plane = plane_through(volume.centre_ct_mm, (1, 0.2, 0.1), (0, 1, 0.3), 0.1, SIZE_PX)
    image = reslice_window(volume, plane.ct_from_view, SIZE_PX, 65535.0, -0.5)
    grey, inside, _ = exact(volume, plane, 65535.0, -0.5)
    assert np.abs(image - grey)[inside].max() <= 1.0


def test_window_and_level() -> None:
    ramp = np.broadcast_to(np.arange(14, dtype=np.int16) * 100 - 500, (9, 12, 14))
    volume = Volume(ramp, np.eye(4), "", VolumeInfo())
    image = reslice_window(volume, np.eye(4), (14, 12), 400.0, 100.0)
    exactly = [0, 0, 0, 0, 0, 63.75, 127.5, 191.25, 255, 255, 255, 255, 255, 255]
    assert image[3].astype(float) == pytest.approx(exactly, abs=1.0)


def test_out_is_filled_and_checked() -> None:
    volume = noisy()
    out = np.full((47, 61), 7, np.uint8)
    plane = plane_through((900.0, 0.0, 0.0), (1, 0, 0), (0, 1, 0), 1.0, SIZE_PX)
    assert reslice_window(volume, plane.ct_from_view, SIZE_PX, 400.0, 40.0, out) is out
    assert not out.any()
    with pytest.raises(ImagingError, match="out"):
        reslice_window(volume, plane.ct_from_view, (10, 10), 400.0, 40.0, out)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_labels_are_the_nearest_ones(dtype: type[np.uint8 | np.uint16]) -> None:
    labels = LabelMap(np.abs(NOISE).astype(dtype), phantom.affine((12.0, -7.0, 31.0)), {})
    volume = noisy()
    plane = plane_through(volume.centre_ct_mm, (1, 0.3, 0), (0, 0.2, -1), 0.3, SIZE_PX)
    image = reslice_labels(labels, plane.ct_from_view, SIZE_PX)
    k, j, i = np.rint(pixel_positions_kji(volume, plane, SIZE_PX)).astype(int)
    kji = pixel_positions_kji(volume, plane, SIZE_PX)
    last = np.array(NOISE.shape)[:, None, None] - 1
    inside = ((kji > 1e-3) & (kji < last - 1e-3)).all(axis=0)
    assert image.dtype == dtype
    assert inside.sum() > 500
    np.testing.assert_array_equal(image[inside], labels.voxels[k[inside], j[inside], i[inside]])
    assert not image[~inside & ((kji < -1e-3) | (kji > last + 1e-3)).any(axis=0)].any()


def test_contours_go_round_the_union_and_its_holes() -> None:
    picture = np.zeros((20, 30), np.uint8)
    picture[4:15, 6:12] = 3
    picture[4:15, 12:21] = 5
    picture[8:11, 9:12] = 0
    picture[1, 1] = 9
    lines = contours(picture, (3, 5))
    assert len(lines) == 2
    outer = max(lines, key=lambda line: np.ptp(line[:, 0]))
    assert outer.min(axis=0).tolist() == [6.0, 4.0]
    assert outer.max(axis=0).tolist() == [20.0, 14.0]
    assert contours(picture, (7,)) == []


def test_plane_has_its_point_in_the_middle_and_measures_depth() -> None:
    plane = plane_through((1.0, 2.0, 3.0), (2, 0, 0), (1, 3, 0), 0.5, (101, 51))
    np.testing.assert_allclose(plane.ct_from_view @ (50, 25, 0, 1), (1, 2, 3, 1))
    np.testing.assert_allclose(plane.ct_from_view @ (52, 29, 0, 1), (2, 4, 3, 1))
    np.testing.assert_allclose(plane.view_from_ct @ (1, 2, 7, 1), (50, 25, 4, 1))
    with pytest.raises(GeometryError):
        plane_through((0, 0, 0), (1, 0, 0), (2, 0, 0), 1.0, (5, 5))
    with pytest.raises(ImagingError):
        Plane(np.zeros((4, 4)))


def test_standard_views_are_radiological() -> None:
    """A bright patch at the patient's left, front and head: right in axial, top in the others."""
    hu = np.full((20, 20, 20), -1000, np.int16)
    hu[17, 3, 17] = 1000
    volume = Volume(hu, np.eye(4), "", VolumeInfo())
    expected = {"axial": (17, 3), "coronal": (17, 2), "sagittal": (3, 2)}
    for view in StandardView:
        plane = plane_through((17, 3, 17), view.right_ct, view.down_ct, 1.0, (41, 41))
        image = reslice_window(volume, plane.ct_from_view, (41, 41), 400.0, 40.0)
        assert image[20, 20] == 255
        centre_px = (plane.view_from_ct @ (*volume.centre_ct_mm, 1.0))[:2]
        patch_from_corner_px = 20 - centre_px + 9.5
        assert tuple(patch_from_corner_px) == pytest.approx(expected[view])


def test_compile_kernels_leaves_nothing_to_compile() -> None:
    from ir_nav.imaging.kernels import nearest_plane, window_plane

    compile_kernels()
    before = len(window_plane.signatures), len(nearest_plane.signatures)
    volume = noisy()
    labels = LabelMap(np.zeros((9, 12, 14), np.uint8), phantom.affine(), {})
    reslice_window(volume, np.eye(4), SIZE_PX, 400.0, 40.0)
    reslice_labels(labels, np.eye(4), SIZE_PX)
    assert (len(window_plane.signatures), len(nearest_plane.signatures)) == before
