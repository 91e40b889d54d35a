"""A synthetic patient on a table: an elliptic cylinder with gas inside, known analytically."""

from __future__ import annotations

import numpy as np
import pytest

from ir_nav.imaging import (
    ImagingError,
    Mesh,
    Volume,
    VolumeInfo,
    body_mask,
    bone_surface,
    label_surface,
    skin_crossing,
    skin_crossings,
    skin_points,
    skin_surface,
    surface,
)
from ir_nav.imaging.labels import LabelMap
from ir_nav.imaging.skin import skin_facing
from tests.imaging.phantom import rotation

SPACING_MM = np.array([1.0, 1.0, 2.5])
HALF_AXES_MM = np.array([58.0, 42.0])
CENTRE_MM = np.array([70.0, 60.0])
TURN = (0.0, 0.0, 25.0)


def patient(turn: tuple[float, float, float] = TURN) -> Volume:
    """Body of 40 HU, edge blurred over 2 mm, a lung of -850, a spine of 600, a table below."""
    k, j, i = 40, 130, 140
    y, x = np.mgrid[:j, :i].astype(float)
    radius = np.hypot(
        *((np.stack([x, y]) - CENTRE_MM[:, None, None]) / HALF_AXES_MM[:, None, None])
    )
    outside_mm = (radius - 1.0) * np.sqrt(np.prod(HALF_AXES_MM))
    slab = np.clip(-300.0 - 340.0 * outside_mm, -1000.0, 40.0)
    slab[np.hypot(x - 50, y - 55) < 14] = -850.0
    slab[np.hypot(x - 70, y - 85) < 9] = 600.0
    slab[110:114, 10:130] = 100.0
    voxels = np.broadcast_to(np.rint(slab).astype(np.int16), (k, j, i))
    affine = np.eye(4)
    affine[:3, :3] = rotation(turn) * SPACING_MM
    affine[:3, 3] = (11.0, -80.0, 300.0)
    return Volume(voxels, affine, "", VolumeInfo())


def to_ct(volume: Volume, ijk: object) -> np.ndarray:
    return np.asarray(ijk) @ volume.ct_from_voxel[:3, :3].T + volume.ct_from_voxel[:3, 3]


def off_skin_mm(volume: Volume, points: np.ndarray) -> np.ndarray:
    """Distance from the elliptic skin, to first order."""
    ijk = points @ volume.voxel_from_ct[:3, :3].T + volume.voxel_from_ct[:3, 3]
    unit = (ijk[:, :2] - CENTRE_MM) / HALF_AXES_MM
    level = np.linalg.norm(unit, axis=1)
    return (level - 1.0) / np.linalg.norm(unit / HALF_AXES_MM / level[:, None], axis=1)


def enclosed_ml(mesh: Mesh) -> float:
    corners = mesh.points_ct_mm.astype(float)[mesh.triangles]
    a, b, c = np.moveaxis(corners - mesh.points_ct_mm.mean(axis=0), 1, 0)
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6000.0)


def test_body_has_its_gas_but_not_the_table() -> None:
    volume = patient()
    body = body_mask(volume)
    y, x = np.mgrid[:130, :140]
    radius = np.hypot((x - 70) / 58.0, (y - 60) / 42.0)
    assert body[:, radius < 0.97].all()
    assert not body[:, radius > 1.03].any()
    assert body[:, 55, 50].all()
    assert not body[:, 110:114].any()


def test_holes_are_filled_in_axial_slices_of_a_turned_grid() -> None:
    """Stored sagittally, a tunnel open at both ends of the array is still inside the patient."""
    axial = patient((0.0, 0.0, 0.0))
    affine = axial.ct_from_voxel[:, [1, 2, 0, 3]]
    turned = Volume(np.transpose(axial.voxels, (2, 0, 1)), affine, "", VolumeInfo())
    again = np.transpose(body_mask(turned), (1, 2, 0))
    assert np.mean(again != body_mask(axial)) < 0.002
    assert again[:, 55, 50].all()


def test_no_body() -> None:
    air = Volume(np.full((20, 20, 20), -1000, np.int16), np.eye(4), "", VolumeInfo())
    with pytest.raises(ImagingError, match="no body"):
        body_mask(air)


def test_skin_points_lie_on_the_skin() -> None:
    volume = patient()
    points = skin_points(volume, max_points=3000)
    assert len(points) == 3000
    assert np.abs(off_skin_mm(volume, points)).max() < 0.4


def test_rays_end_on_the_skin_below_voxel_size() -> None:
    volume = patient()
    body = body_mask(volume)
    start = to_ct(volume, (70.0, 60.0, 20.0))
    angles = np.radians(np.arange(0, 360, 7))
    across = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1) @ rotation(TURN).T
    found = skin_crossings(volume, body, start, 3.0 * across)
    assert np.abs(off_skin_mm(volume, found)).max() < 0.3
    one = skin_crossing(volume, start, across[4])
    np.testing.assert_allclose(one, found[4], atol=1e-6)


def test_rays_that_never_cross_skin() -> None:
    volume = patient()
    inside, outside = to_ct(volume, (70.0, 60.0, 20.0)), to_ct(volume, (70.0, 5.0, 20.0))
    assert skin_crossing(volume, inside, (0, 0, 1), body_mask(volume)) is None
    assert skin_crossing(volume, outside, (0, 1, 0), body_mask(volume)) is None


def test_skin_surface_of_an_oblique_image() -> None:
    volume = patient()
    mesh = skin_surface(volume, triangles=3000)
    assert 1000 < len(mesh.triangles) <= 3000
    assert mesh.points_ct_mm.dtype == np.float32
    assert mesh.triangles.dtype == np.int32
    ijk = mesh.points_ct_mm @ volume.voxel_from_ct[:3, :3].T + volume.voxel_from_ct[:3, 3]
    wall = mesh.points_ct_mm[(ijk[:, 2] > 3) & (ijk[:, 2] < 36)]
    assert np.abs(off_skin_mm(volume, wall)).max() < 1.5
    # Positive only when the triangles are counter-clockwise from outside.
    assert enclosed_ml(mesh) == pytest.approx(np.pi * 58 * 42 * 100 / 1000, rel=0.03)


def test_bone_surface_is_the_spine_and_not_the_small_or_soft() -> None:
    volume = patient()
    mesh = bone_surface(volume, triangles=2000)
    assert enclosed_ml(mesh) == pytest.approx(np.pi * 9**2 * 100 / 1000, rel=0.15)
    np.testing.assert_allclose(
        mesh.points_ct_mm.mean(axis=0), to_ct(volume, (70.0, 85.0, 19.5)), atol=1.5
    )


@pytest.mark.parametrize("turn", [(0.0, 0.0, 0.0), (20.0, 40.0, -70.0)])
def test_label_surface_of_a_ball(turn: tuple[float, float, float]) -> None:
    k, j, i = np.mgrid[:30, :60, :60]
    ball = np.linalg.norm(np.stack([i - 33, j - 25, (k - 14) * 2.5]), axis=0) < 18
    affine = np.eye(4)
    affine[:3, :3] = rotation(turn) * SPACING_MM
    affine[:3, 3] = (5.0, 6.0, 7.0)
    labels = LabelMap(ball.astype(np.uint8) * 4, affine, {4: "tumour"})
    mesh = label_surface(labels, "tumour", triangles=1500)
    centre = affine[:3, :3] @ (33, 25, 14) + affine[:3, 3]
    distance = np.linalg.norm(mesh.points_ct_mm - centre, axis=1)
    assert len(mesh.triangles) <= 1500
    assert np.abs(distance - 18).max() < 1.3
    assert enclosed_ml(mesh) == pytest.approx(4 / 3 * np.pi * 18**3 / 1000, rel=0.04)
    with pytest.raises(ImagingError, match="no voxel"):
        label_surface(labels, 9)


def test_structures_smaller_than_a_cell_still_have_a_surface() -> None:
    voxels = np.zeros((10, 10, 10), np.uint8)
    voxels[5, 5, 4:6] = 1
    fine = np.diag([0.4, 0.4, 0.4, 1.0])
    mesh = label_surface(LabelMap(voxels, fine, {}), 1)
    assert np.linalg.norm(mesh.points_ct_mm.mean(axis=0) - 0.4 * np.array([4.5, 5, 5])) < 0.2


def test_no_surface_at_that_level() -> None:
    with pytest.raises(ImagingError, match="no surface"):
        surface(np.zeros((5, 5, 5), np.float32), np.eye(4), 10.0)


def test_a_ray_from_outside_meets_the_skin_below_voxel_size() -> None:
    volume = patient()
    body = body_mask(volume)
    middle = to_ct(volume, (*CENTRE_MM, 20.0))
    for angle in np.radians([-170.0, -95.0, -40.0, 5.0, 160.0]):
        eye = to_ct(volume, (*(CENTRE_MM + 400.0 * np.array([np.cos(angle), np.sin(angle)])), 22.0))
        met = skin_facing(volume, body, eye, middle - eye)
        assert met is not None
        assert abs(off_skin_mm(volume, met[None])[0]) < 0.3
        assert np.linalg.norm(met - eye) < np.linalg.norm(middle - eye), "the near side"


def test_a_ray_that_passes_the_body_or_comes_through_a_cut_meets_no_skin() -> None:
    volume = patient()
    body = body_mask(volume)
    beside = to_ct(volume, (-200.0, 3.0, 20.0))
    assert skin_facing(volume, body, beside, to_ct(volume, (300.0, 3.0, 20.0)) - beside) is None
    above = to_ct(volume, (*CENTRE_MM, 200.0))
    assert skin_facing(volume, body, above, to_ct(volume, (*CENTRE_MM, 0.0)) - above) is None
    assert skin_facing(volume, body, above, above - to_ct(volume, (*CENTRE_MM, 0.0))) is None
