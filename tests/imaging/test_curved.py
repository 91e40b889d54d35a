"""Straightened slices: lengths in mm, values on known shapes, no twist."""

from __future__ import annotations

import numpy as np
import pytest

from ir_nav.imaging import ImagingError, Volume, VolumeInfo
from ir_nav.imaging.curved import curved_line, curved_slice


def tube(radius_mm: float = 30.0, wall_mm: float = 4.0) -> tuple[Volume, np.ndarray]:
    """A bright tube along a quarter circle in an oblique plane, voxels 0.9 x 1.1 x 1.6 mm, and
    points (n, 3) on its middle."""
    affine = np.diag([0.9, 1.1, 1.6, 1.0])
    k, j, i = np.mgrid[:60, :80, :90]
    points = np.stack([i * 0.9, j * 1.1, k * 1.6], axis=-1)
    turn = np.linspace(0.0, np.pi / 2.0, 400)
    axes = np.array([[1.0, 0.0, 0.0], [0.0, 0.8, 0.6]])
    line = np.array([20.0, 15.0, 20.0]) + radius_mm * (
        np.cos(turn)[:, None] * axes[0] + np.sin(turn)[:, None] * axes[1]
    )
    from scipy.spatial import cKDTree

    distance, _ = cKDTree(line).query(points.reshape(-1, 3))
    hu = np.where(distance.reshape(k.shape) < wall_mm, 300, 0).astype(np.int16)
    return Volume(hu, affine, "", VolumeInfo()), line


def test_a_bent_tube_becomes_straight_and_keeps_its_length() -> None:
    volume, middle = tube()
    line = curved_line(middle[::50], 0.5)
    assert line.length_mm == pytest.approx(30.0 * np.pi / 2.0 * 350 / 399, rel=0.01)
    steps = np.linalg.norm(np.diff(line.points_ct_mm, axis=0), axis=1)
    assert steps == pytest.approx(0.5, abs=2e-3)
    for angle in (0.0, 40.0, 90.0):
        slice_ = curved_slice(volume, line, 30.0, angle)
        bright = slice_.hu > 150.0
        middle_px = (slice_.hu.shape[1] - 1) / 2.0
        rows = slice(6, -6)
        widths = bright[rows].sum(axis=1) * slice_.mm_per_px
        centres = np.array([np.flatnonzero(row).mean() for row in bright[rows]])
        assert widths == pytest.approx(8.0, abs=1.6)
        assert centres == pytest.approx(middle_px, abs=2.0)


def test_a_pixel_is_where_it_says() -> None:
    volume, middle = tube()
    line = curved_line(middle[::60], 0.5)
    slice_ = curved_slice(volume, line, 21.0)
    middle_px = (slice_.hu.shape[1] - 1) / 2.0
    assert slice_.point_ct_mm(middle_px, 10.0) == pytest.approx(line.points_ct_mm[10])
    off = slice_.point_ct_mm(middle_px + 6.0, 10.5) - slice_.point_ct_mm(middle_px, 10.5)
    assert np.linalg.norm(off) == pytest.approx(3.0, abs=0.01)


def test_directions_across_do_not_turn_round_the_line() -> None:
    """Along a helix a frame by curvature turns with it; this one's change is square to itself."""
    turn = np.linspace(0.0, 4.0 * np.pi, 60)
    helix = np.stack([20.0 * np.cos(turn), 20.0 * np.sin(turn), 6.0 * turn], axis=1)
    line = curved_line(helix, 0.5)
    assert np.einsum("ij,ij->i", line.across_ct, line.tangents_ct) == pytest.approx(0.0, abs=1e-9)
    change = np.diff(line.across_ct, axis=0)
    about = np.cross(line.tangents_ct[:-1], line.across_ct[:-1])
    twist_deg = np.degrees(np.einsum("ij,ij->i", change, about))
    assert np.abs(twist_deg).max() < 0.02


def test_along_a_helix_directions_fall_behind_its_normal_by_the_torsion() -> None:
    """The angle to the helix's own normal grows by torsion x length (Bishop 1975), also at
    coarse steps. Radius 20 mm, 6 mm a radian: torsion 6 / (400 + 36) per mm."""
    turn = np.linspace(0.0, 4.0 * np.pi, 240)
    helix = np.stack([20.0 * np.cos(turn), 20.0 * np.sin(turn), 6.0 * turn], axis=1)
    line = curved_line(helix, 12.0)
    inner = slice(3, -3)
    points, tangents = line.points_ct_mm[inner], line.tangents_ct[inner]
    normal = -points * (1.0, 1.0, 0.0) / 20.0
    second = np.cross(tangents, normal)
    across = line.across_ct[inner]
    angle = np.unwrap(
        np.arctan2(np.einsum("ij,ij->i", across, second), np.einsum("ij,ij->i", across, normal))
    )
    grown_deg = np.degrees(angle - angle[0])
    length_mm = 12.0 * np.arange(len(points))
    assert grown_deg == pytest.approx(-np.degrees(6.0 / 436.0 * length_mm), abs=0.006)


def test_a_linear_field_is_exact_on_an_oblique_line() -> None:
    k, j, i = np.mgrid[:30, :40, :50]
    affine = np.diag([0.8, 1.2, 2.0, 1.0])
    hu = (8 * i + 12 * j + 20 * k).astype(np.int16)  # 10 HU a mm along every axis
    volume = Volume(hu, affine, "", VolumeInfo())
    line = curved_line([[8.0, 8.0, 8.0], [30.0, 35.0, 50.0]], 1.0)
    slice_ = curved_slice(volume, line, 9.0, 33.0)
    for row in (0, 20, 40):
        for column in (0, 4, 8):
            expected = 10.0 * slice_.point_ct_mm(column, row).sum()
            assert slice_.hu[row, column] == pytest.approx(expected, abs=0.01)
    outside = curved_slice(volume, line, 200.0)
    assert np.isnan(outside.hu).any()


def test_lines_that_are_none_are_refused() -> None:
    with pytest.raises(ImagingError, match="two points apart"):
        curved_line([[1.0, 2.0, 3.0], [1.0, 2.0, 3.1]], 1.0)
    with pytest.raises(ImagingError, match="points in mm"):
        curved_line([[1.0, 2.0]], 1.0)
    with pytest.raises(ImagingError, match="longer than 3 m"):
        curved_line([[0.0, 0.0, 0.0], [4000.0, 0.0, 0.0]], 1.0)
