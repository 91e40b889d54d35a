"""Small pieces of a mask."""

from __future__ import annotations

import numpy as np

from ir_nav.imaging.specks import without_specks

SPACING_MM = (1.0, 1.0, 2.0)


def test_pieces_below_the_volume_go_and_the_others_stay_as_they_are() -> None:
    mask = np.zeros((12, 20, 20), np.bool_)
    mask[2:5, 2:5, 2:6] = True  # 36 voxels, 72 mm3
    mask[8, 8:11, 8:13] = True  # 15 voxels, 30 mm3
    mask[10, 15:17, 12:19] = True  # 14 voxels, 28 mm3
    kept = mask.copy()
    kept[10] = False
    np.testing.assert_array_equal(without_specks(mask, SPACING_MM, 30.0), kept)


def test_pieces_that_touch_by_an_edge_only_are_two() -> None:
    mask = np.zeros((4, 8, 8), np.bool_)
    mask[1, 1:3, 1:3] = mask[2, 3:5, 3:5] = True
    assert not without_specks(mask, SPACING_MM, 10.0).any()
    assert without_specks(mask, SPACING_MM, 8.0).sum() == 8


def test_voxels_larger_than_the_volume_all_stay() -> None:
    mask = np.random.default_rng(4).random((6, 7, 8)) > 0.9
    np.testing.assert_array_equal(without_specks(mask, (3.0, 3.0, 5.0), 30.0), mask)
    assert not without_specks(np.zeros((3, 3, 3), np.bool_), SPACING_MM, 30.0).any()
