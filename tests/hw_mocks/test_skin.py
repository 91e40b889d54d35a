"""Skin of phantoms whose surface is known, and of the real CT with its table."""

from __future__ import annotations

import numpy as np
import pytest

from hw_mocks.anatomy import Anatomy, AnatomyError, load_anatomy
from hw_mocks.skin import place_fiducials, skin_entry, skin_mask, skin_normal
from tests.data import data_path

RADIUS_MM = 90.0
SPACING_MM = 2.0


def cylinder(*, table: bool = False, lung: bool = False) -> Anatomy:
    """Soft tissue of 90 mm radius along z, centred on x = y = 0, z from -100 to 100."""
    size = (101, 141, 121)
    ct_from_voxel = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
    ct_from_voxel[:3, 3] = (-120.0, -120.0, -100.0)
    _, j, i = np.indices(size)
    x, y = i * SPACING_MM - 120.0, j * SPACING_MM - 120.0
    rho = np.hypot(x, y)
    # The voxel the surface runs through holds both, as in a CT.
    share = np.clip((RADIUS_MM - rho) / SPACING_MM + 0.5, 0.0, 1.0)
    hu = -1000.0 + 1040.0 * share
    if lung:
        hu[np.hypot(x + 40.0, y) < 25.0] = -850.0
    if table:
        hu[(np.abs(y - 96.0) < 3.0) & (np.abs(x) < 110.0)] = 100.0
    labels = np.zeros(size, dtype=np.uint8)
    return Anatomy(hu.astype(np.int16), labels, ct_from_voxel, {0: "background"})


@pytest.mark.parametrize("azimuth_deg", [0.0, 33.0, 90.0, 215.0, 300.0])
def test_entry_is_on_the_cylinder(azimuth_deg: float) -> None:
    azimuth = np.radians(azimuth_deg)
    start = np.array([10.0, -5.0, 3.0])
    direction = np.array([np.cos(azimuth), np.sin(azimuth), 0.2])
    entry = skin_entry(cylinder(), start, direction)
    assert np.hypot(entry[0], entry[1]) == pytest.approx(RADIUS_MM, abs=0.75)
    across = np.cross(entry - start, direction / np.linalg.norm(direction))
    assert np.linalg.norm(across) < 1e-6


def test_air_inside_the_body_is_no_skin() -> None:
    anatomy = cylinder(lung=True)
    entry = skin_entry(anatomy, (0.0, 0.0, 0.0), (-1.0, 0.0, 0.0))
    assert entry == pytest.approx((-RADIUS_MM, 0.0, 0.0), abs=0.75)
    i, j, k = np.rint((np.array([-40.0, 0.0, 0.0]) - (-120.0, -120.0, -100.0)) / 2.0).astype(int)
    assert skin_mask(anatomy)[k, j, i]


def test_a_table_touching_the_back_is_not_skin() -> None:
    mask = skin_mask(cylinder(table=True))
    y = np.arange(mask.shape[1]) * SPACING_MM - 120.0
    x = np.arange(mask.shape[2]) * SPACING_MM - 120.0
    away = mask[:, y > 92.0][:, :, np.abs(x) > 50.0]
    assert not away.any()
    assert mask.sum() * SPACING_MM**3 == pytest.approx(np.pi * RADIUS_MM**2 * 202.0, rel=0.02)


def test_normals_point_out() -> None:
    anatomy = cylinder()
    for azimuth in np.radians([0.0, 40.0, 130.0, 250.0]):
        out = np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
        assert skin_normal(anatomy, RADIUS_MM * out) @ out > np.cos(np.radians(5.0))


def test_a_line_that_leaves_through_the_end_of_the_ct_is_refused() -> None:
    with pytest.raises(AnatomyError, match="leaves the CT"):
        skin_entry(cylinder(), (0.0, 0.0, 0.0), (0.1, 0.0, 1.0))


def test_a_start_in_the_air_is_refused() -> None:
    with pytest.raises(AnatomyError, match="not inside"):
        skin_entry(cylinder(), (110.0, 0.0, 0.0), (1.0, 0.0, 0.0))


def test_an_empty_ct_is_refused() -> None:
    with pytest.raises(AnatomyError, match="no body"):
        Anatomy(
            np.full((30, 30, 30), -1000, dtype=np.int16),
            np.zeros((30, 30, 30), dtype=np.uint8),
            np.diag([2.0, 2.0, 2.0, 1.0]),
            {},
        )


def check_fiducials(anatomy: Anatomy, points: np.ndarray) -> None:
    gaps = np.linalg.norm(points[:, None] - points[None], axis=2)
    assert gaps.max() >= 100.0
    assert gaps[np.triu_indices(len(points), 1)].min() >= 30.0
    assert np.linalg.svd(points - points.mean(axis=0))[1][2] > 10.0
    mask = skin_mask(anatomy)
    for point in points:
        normal = skin_normal(anatomy, point, mask)
        assert anatomy.sample_hu(point + 4.0 * normal) < -500.0
        assert anatomy.sample_hu(point - 4.0 * normal) > -300.0
        assert normal[1] < 0.4  # never on the back, where the patient lies


def test_fiducials_on_the_cylinder() -> None:
    anatomy = cylinder(table=True)
    points = place_fiducials(anatomy, (-40.0, 0.0, 0.0))
    assert points.shape == (6, 3)
    assert np.hypot(points[:, 0], points[:, 1]) == pytest.approx(RADIUS_MM, abs=0.75)
    assert np.abs(points[:, 2]).max() < 90.0
    check_fiducials(anatomy, points)


def test_fiducials_on_the_real_patient() -> None:
    data = data_path("ct")
    anatomy = load_anatomy(
        data / "chest_LIDC-IDRI-0001_2mm.nii.gz",
        data / "chest_LIDC-IDRI-0001_2mm_labels.nii.gz",
        data / "chest_LIDC-IDRI-0001_labels.csv",
    )
    target = anatomy.centroid_ct_mm("liver")
    points = place_fiducials(anatomy, target)
    assert len(points) == 6
    check_fiducials(anatomy, points)
