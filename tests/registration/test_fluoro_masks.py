"""What of a frame may vote: blades, saturation and instruments are found where they are."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy import ndimage

from ir_nav.registration.fluoro.masks import collimated, instruments, saturated


def tissue(size: int, seed: int = 0) -> np.ndarray:
    """Line integrals with soft structures, from a lung's 2 to a spine's 5, and a little noise."""
    rng = np.random.default_rng(seed)
    soft = ndimage.gaussian_filter(rng.normal(size=(size, size)), size / 12.0)
    soft = 3.5 + 1.5 * soft / np.abs(soft).max()
    return np.asarray(soft + rng.normal(scale=0.02, size=soft.shape), dtype=np.float32)


def blade(size: int, depth: float, turn_deg: float) -> np.ndarray:
    """True above a straight line from the top."""
    rows, columns = np.indices((size, size))
    slope = np.tan(np.radians(turn_deg))
    return np.asarray(rows < depth + slope * (columns - (size - 1) / 2.0))


@pytest.mark.parametrize("side", range(4))
@pytest.mark.parametrize(("depth", "turn_deg"), [(12.0, 0.0), (30.0, 6.0), (45.0, -9.0)])
def test_a_blade_is_found_to_a_few_pixels(side: int, depth: float, turn_deg: float) -> None:
    size = 128
    under = np.rot90(blade(size, depth, turn_deg), side)
    absorbed = (tissue(size) + 2.5 * under).astype(np.float32)
    found = collimated(absorbed)
    assert found[under].mean() > 0.97
    assert found[~ndimage.binary_dilation(under, iterations=5)].mean() < 0.01


def test_no_blade_is_found_in_tissue_alone() -> None:
    for seed in range(5):
        assert not collimated(tissue(128, seed)).any()


def test_a_dense_edge_across_part_of_the_frame_is_no_blade() -> None:
    absorbed = tissue(128)
    absorbed[:40, 40:85] += 3.0
    assert not collimated(absorbed).any()


def test_pixels_at_the_limit_and_beside_it_do_not_vote() -> None:
    bright = np.exp(-tissue(128)).astype(np.float32)
    limit = np.float32(np.quantile(bright, 0.95))
    found = saturated(np.minimum(bright, limit))
    assert found[bright >= limit].all()
    near = ndimage.binary_dilation(bright > 0.99 * limit, np.ones((3, 3)), iterations=3)
    assert not found[~near].any()
    assert not saturated(bright).any()


def test_thin_dark_lines_are_instruments_and_a_rib_is_not() -> None:
    absorbed = tissue(256)
    line = np.zeros((256, 256), np.uint8)
    cv2.line(line, (40, 50), (200, 140), 1, 2)
    rib = np.zeros((256, 256), np.uint8)
    cv2.line(rib, (20, 220), (240, 190), 1, 18)
    # No bone ends within a pixel.
    soft_rib = ndimage.gaussian_filter(0.6 * rib, 2.0)
    found = instruments((absorbed + 1.0 * line + soft_rib).astype(np.float32))
    assert found[line > 0].mean() > 0.95
    assert found[rib > 0].mean() < 0.02
    assert found[cv2.dilate(line, np.ones((9, 9), np.uint8)) == 0].mean() < 0.01
