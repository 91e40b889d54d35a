"""The projector beside exact line integrals, and where it puts what it sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from ir_nav.geometry import CArmGeometry, apply, rotation_from_vector
from ir_nav.imaging import Volume, VolumeInfo, body_mask, read_volume
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.fluoro.attenuation import (
    Attenuation,
    prepare_attenuation,
    pyramid,
)
from ir_nav.registration.fluoro.carm_angles import CArmAngles, carm_from_ct
from ir_nav.registration.fluoro.projector import (
    coarsened,
    cropped,
    project,
    project_at,
    project_poses,
)
from tests.data import data_path
from tests.registration.siddon import exact_integrals

Floats = NDArray[np.float64]
WATER_PER_MM = 0.0195


def detector(size: int = 96, field_mm: float = 300.0) -> CArmGeometry:
    pitch = field_mm / size
    return CArmGeometry(1000.0, (pitch, pitch), (size, size), ((size - 1) / 2, (size - 1) / 2))


def made(voxels: NDArray[np.int16], spacing: tuple[float, float, float], tilt: float) -> Volume:
    """A volume whose axes stand aslant to the patient's, its middle at (5, -7, 30)."""
    affine = np.eye(4)
    affine[:3, :3] = rotation_from_vector(np.array([0.2, -0.4, 0.3]) * tilt) * spacing
    middle = (np.array(voxels.shape[::-1]) - 1.0) / 2.0
    affine[:3, 3] = np.array([5.0, -7.0, 30.0]) - affine[:3, :3] @ middle
    return Volume(voxels, affine, "made", VolumeInfo())


def whole(volume: Volume) -> NDArray[np.bool_]:
    return np.ones(volume.voxels.shape, np.bool_)


def box(hu: int = 0, tilt: float = 0.0) -> Volume:
    """A cuboid of 80 x 60 x 100 mm in air, voxels of 2 x 1.5 x 2.5 mm."""
    voxels = np.full((60, 60, 60), -1000, np.int16)
    voxels[10:50, 10:50, 10:50] = hu
    return made(voxels, (2.0, 1.5, 2.5), tilt)


@dataclass(frozen=True, slots=True, eq=False)
class Chest:
    """A real CT, and what each of its voxels absorbs by the formula of the page."""

    volume: Volume
    body: NDArray[np.bool_]
    per_mm: NDArray[np.float32]


@pytest.fixture(scope="module")
def chest() -> Chest:
    volume = read_volume(data_path("ct", "chest_LIDC-IDRI-0001_dicom.zip"))
    body = body_mask(volume)
    hu = volume.voxels.astype(np.float32)
    seen = body & (hu >= -900)
    return Chest(volume, body, np.where(seen, WATER_PER_MM * (1.0 + hu / 1000.0), 0.0))


ANGLES = ((0.0, 0.0), (45.0, 0.0), (90.0, 0.0), (30.0, 30.0), (-44.0, -40.0))


@pytest.mark.parametrize(("primary", "secondary"), ANGLES)
def test_within_half_a_percent_of_exact_integrals_on_a_real_ct(
    chest: Chest, primary: float, secondary: float
) -> None:
    geometry = CArmGeometry(1020.0, (1.6, 1.6), (256, 256), (127.5, 127.5))
    attenuation = prepare_attenuation(chest.volume, 2.0, chest.body)
    pose = carm_from_ct(CArmAngles(primary, secondary), attenuation.centre_ct_mm, 700.0)
    frame = project(attenuation, geometry, pose)
    pixels = np.random.default_rng(3).integers(0, 256, (1500, 2))
    exact = exact_integrals(
        chest.per_mm, chest.volume.ct_from_voxel, geometry, pose, pixels.astype(np.float64)
    )
    found = frame[pixels[:, 1], pixels[:, 0]]
    assert exact.max() > 2.0  # otherwise there was nothing to see
    assert np.abs(found - exact).mean() / exact.max() < 0.005
    # No bias: what the body absorbs in all is the same within 0.3 %.
    assert found.sum() == pytest.approx(exact.sum(), rel=0.003)


def test_full_resolution_is_closer_and_four_millimetres_still_near(chest: Chest) -> None:
    geometry = CArmGeometry(1020.0, (1.6, 1.6), (256, 256), (127.5, 127.5))
    pixels = np.random.default_rng(5).integers(0, 256, (1000, 2))
    errors = []
    for spacing in (None, 2.0, 4.0):
        attenuation = prepare_attenuation(chest.volume, spacing, chest.body)
        pose = carm_from_ct(CArmAngles(20.0, 10.0), chest.volume.centre_ct_mm, 700.0)
        exact = exact_integrals(
            chest.per_mm, chest.volume.ct_from_voxel, geometry, pose, pixels.astype(np.float64)
        )
        found = project(attenuation, geometry, pose)[pixels[:, 1], pixels[:, 0]]
        errors.append(np.abs(found - exact).mean() / exact.max())
    assert errors[0] < errors[1] < errors[2]
    assert errors[0] < 0.004
    assert errors[2] < 0.01


@pytest.mark.parametrize(
    ("primary", "length_mm"), [(0.0, 60.0), (180.0, 60.0), (90.0, 80.0), (-90.0, 80.0)]
)
def test_the_middle_ray_through_water_is_as_long_as_the_box(
    primary: float, length_mm: float
) -> None:
    volume = box()
    attenuation = prepare_attenuation(volume, None, whole(volume))
    pose = carm_from_ct(CArmAngles(primary, 0.0), volume.centre_ct_mm, 600.0)
    geometry = detector(97)
    expected = length_mm * WATER_PER_MM
    assert project(attenuation, geometry, pose)[48, 48] == pytest.approx(expected, rel=1e-4)
    assert project_at(attenuation, geometry, pose, [[48, 48]])[0] == pytest.approx(
        expected, rel=1e-4
    )


def test_along_the_body_and_through_bone() -> None:
    volume = box(hu=1000)
    pose = carm_from_ct(CArmAngles(0.0, 90.0), volume.centre_ct_mm, 600.0)
    geometry = detector(97)
    for bone, factor in ((1.0, 2.0), (1.2, 2.0 + 0.2 * 0.9)):
        attenuation = prepare_attenuation(volume, None, whole(volume), bone)
        found = project(attenuation, geometry, pose)[48, 48]
        assert found == pytest.approx(100.0 * WATER_PER_MM * factor, rel=1e-4)


@pytest.mark.parametrize("tilt", [0.0, 1.0])
@pytest.mark.parametrize(
    ("primary", "secondary"),
    [(0, 0), (90, 0), (-90, 0), (180, 0), (0, 90), (0, -90), (45, 0), (-46, 30), (120, -44)],
)
def test_a_bead_falls_where_the_pinhole_says(primary: float, secondary: float, tilt: float) -> None:
    voxels = np.full((40, 44, 48), -1000, np.int16)
    at = np.array([35, 9, 30])  # i, j, k, far from the middle
    voxels[28:33, 7:12, 33:38] = 2000
    volume = made(voxels, (1.5, 2.0, 1.0), tilt)
    attenuation = prepare_attenuation(volume, None, whole(volume))
    pose = carm_from_ct(CArmAngles(primary, secondary), volume.centre_ct_mm, 650.0)
    geometry = CArmGeometry(1000.0, (0.5, 0.6), (300, 280), (140.0, 150.0))
    frame = project(attenuation, geometry, pose)
    place = geometry.project(apply(pose, apply(volume.ct_from_voxel, at)))
    rows, columns = np.indices(frame.shape)
    centre = np.array([(columns * frame).sum(), (rows * frame).sum()]) / frame.sum()
    assert centre == pytest.approx(place, abs=0.15)
    rays = project_at(attenuation, geometry, pose, np.stack([columns.ravel(), rows.ravel()], 1))
    assert rays.sum() == pytest.approx(frame.sum(), rel=0.01)


def test_exact_on_a_slanting_anisotropic_box() -> None:
    volume = box(hu=200, tilt=1.0)
    attenuation = prepare_attenuation(volume, None, whole(volume))
    geometry = detector()
    per_mm = np.where(volume.voxels > -900, WATER_PER_MM * 1.2, 0.0).astype(np.float32)
    rows, columns = np.indices((96, 96))
    pixels = np.stack([columns.ravel(), rows.ravel()], 1).astype(np.float64)
    for angles in ((10.0, -20.0), (80.0, 10.0), (20.0, 75.0)):
        pose = carm_from_ct(CArmAngles(*angles), volume.centre_ct_mm, 600.0)
        exact = exact_integrals(per_mm, volume.ct_from_voxel, geometry, pose, pixels)
        found = project(attenuation, geometry, pose).ravel()
        assert np.abs(found - exact).mean() / exact.max() < 0.005


def test_ray_by_ray_is_the_same_picture(chest: Chest) -> None:
    attenuation = prepare_attenuation(chest.volume, 4.0, chest.body)
    geometry = CArmGeometry(1020.0, (3.2, 3.2), (128, 128), (63.5, 63.5))
    pose = carm_from_ct(CArmAngles(-25.0, 15.0), attenuation.centre_ct_mm, 700.0)
    frame = project(attenuation, geometry, pose)
    rows, columns = np.indices(frame.shape)
    rays = project_at(attenuation, geometry, pose, np.stack([columns.ravel(), rows.ravel()], 1))
    assert np.abs(frame.ravel() - rays).mean() / rays.max() < 0.003


def test_a_population_is_what_each_pose_gives_alone(chest: Chest) -> None:
    attenuation = prepare_attenuation(chest.volume, 4.0, chest.body)
    geometry = CArmGeometry(1020.0, (6.4, 6.4), (64, 60), (31.5, 29.0))
    poses = np.array([
        carm_from_ct(CArmAngles(primary, secondary), attenuation.centre_ct_mm, 700.0)
        for primary in (0.0, 40.0, 50.0, 120.0) for secondary in (-60.0, 5.0, 70.0)
    ])  # fmt: skip
    frames = np.empty((12, 60, 64), np.float32)
    assert project_poses(attenuation, geometry, poses, frames) is frames
    for frame, pose in zip(frames, poses, strict=True):
        alone = project(attenuation, geometry, pose)
        assert alone.max() > 1.0
        assert frame == pytest.approx(alone, abs=1e-5)


def test_a_window_is_a_part_of_the_whole() -> None:
    attenuation = prepare_attenuation(box(tilt=1.0), None, whole(box()))
    pose = carm_from_ct(CArmAngles(15.0, 5.0), attenuation.centre_ct_mm, 600.0)
    frame = project(attenuation, detector(), pose)
    part = project(attenuation, cropped(detector(), (30, 41), (20, 25)), pose)
    assert part.shape == (25, 20)
    # The base plane starts elsewhere: bicubic and linear weights differ a little at edges.
    assert np.abs(part - frame[41:66, 30:50]).mean() / frame.max() < 0.005


def test_coarser_pixels_cover_the_same_detector() -> None:
    fine = CArmGeometry(1000.0, (0.4, 0.5), (512, 400), (250.0, 210.0))
    coarse = coarsened(fine, 4)
    assert coarse.size_px == (128, 100)
    assert coarse.pixel_mm == pytest.approx((1.6, 2.0))
    point = np.array([20.0, -30.0, 700.0])
    assert (coarse.project(point) + 0.5) * 4 - 0.5 == pytest.approx(fine.project(point))
    # Four by four pixels' middle is the coarse pixel's centre.
    assert coarsened(fine, 1.0) == fine


def test_what_lies_outside_the_beam_shows_nothing() -> None:
    volume = box()
    attenuation = prepare_attenuation(volume, None, whole(volume))
    beside = carm_from_ct(CArmAngles(0.0, 0.0), (905.0, -7.0, 30.0), 600.0)
    behind = carm_from_ct(CArmAngles(0.0, 0.0), (5.0, 1393.0, 30.0), 600.0)
    behind[2, 3] -= 2800.0
    for pose in (beside, behind):
        assert project(attenuation, detector(), pose).max() == 0.0
        assert project_poses(attenuation, detector(), pose[None]).max() == 0.0
        assert project_at(attenuation, detector(), pose, [[10, 10], [48, 48]]).max() == 0.0


def test_refusals() -> None:
    volume = box()
    attenuation = prepare_attenuation(volume, None, whole(volume))
    pose = carm_from_ct(CArmAngles(0.0, 0.0), volume.centre_ct_mm, 600.0)
    inside = carm_from_ct(CArmAngles(0.0, 0.0), volume.centre_ct_mm, 0.5)
    with pytest.raises(RegistrationError, match="focal spot would lie within the CT"):
        project(attenuation, detector(), inside)
    frames = project_poses(attenuation, detector(), np.stack([inside, pose]))
    assert np.isnan(frames[0]).all()
    assert np.isfinite(frames[1]).all()
    assert frames[1].max() > 1.0
    scaled = pose.copy()
    scaled[:3, :3] *= 1.1
    with pytest.raises(RegistrationError, match="carm_from_ct: rotation part"):
        project(attenuation, detector(), scaled)
    with pytest.raises(RegistrationError, match="the view needs"):
        project(attenuation, detector(), pose, np.empty((96, 97), np.float32))
    with pytest.raises(RegistrationError, match="the view needs"):
        project(attenuation, detector(), pose, np.empty((96, 96)))  # type: ignore[arg-type]
    with pytest.raises(RegistrationError, match=r"\(n, 4, 4\)"):
        project_poses(attenuation, detector(), pose)
    with pytest.raises(RegistrationError, match=r"\(n, 2\)"):
        project_at(attenuation, detector(), pose, [1.0, 2.0])
    with pytest.raises(RegistrationError, match="coarser"):
        coarsened(detector(), 500.0)


def absorbed(attenuation: Attenuation) -> float:
    volume_mm3 = float(np.prod(attenuation.spacing_mm))
    return float(attenuation.levels.sum(dtype=np.float64)) * attenuation.per_mm * volume_mm3


def test_joining_voxels_loses_nothing(chest: Chest) -> None:
    own = float(chest.per_mm.sum(dtype=np.float64)) * np.prod(chest.volume.spacing_mm)
    coarse, fine = pyramid(chest.volume, chest.body)
    assert coarse.spacing_mm == pytest.approx((4.21875, 4.21875, 5.0))
    assert fine.spacing_mm == pytest.approx((2.109375, 2.109375, 2.5))
    for attenuation in (coarse, fine):
        assert absorbed(attenuation) == pytest.approx(own, rel=1e-4)
        for array in (attenuation.levels, attenuation.swapped, attenuation.ct_from_voxel):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0


def test_table_and_air_are_left_out() -> None:
    voxels = np.full((30, 90, 80), -1000, np.int16)
    voxels[:, 20:60, 20:60] = 40
    voxels[:, 30:40, 30:40] = -950  # gas in the body
    voxels[:, 75:78, 5:75] = 300  # the table
    volume = made(voxels, (2.5, 2.5, 2.5), 0.0)
    attenuation = prepare_attenuation(volume)
    own = 1500 * 30 * WATER_PER_MM * 1.04 * 2.5**3
    assert absorbed(attenuation) == pytest.approx(own, rel=1e-3)
    assert attenuation.levels.shape == (34, 44, 44)


def test_a_ct_without_a_patient_is_refused() -> None:
    voxels = np.full((20, 20, 20), -1000, np.int16)
    empty = made(voxels, (2.0, 2.0, 2.0), 0.0)
    with pytest.raises(RegistrationError, match="no body found"):
        prepare_attenuation(empty)
    with pytest.raises(RegistrationError, match="nothing that absorbs"):
        prepare_attenuation(empty, None, whole(empty))
    with pytest.raises(RegistrationError, match="mask is empty"):
        prepare_attenuation(box(), None, np.zeros((60, 60, 60), np.bool_))
    for spacing in (0.0, -2.0, float("nan"), 1000.0):
        with pytest.raises(RegistrationError, match=r"0\.1 to 50 mm"):
            prepare_attenuation(box(), spacing, whole(box()))
