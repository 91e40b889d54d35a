"""A second series to the CT: the known motion is found, and what cannot be is refused."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from ir_nav.geometry import apply
from ir_nav.imaging import Volume, VolumeInfo, body_mask, read_volume
from ir_nav.registration.volume_search import VolumeRegistrationError
from ir_nav.registration.volumes import (
    Start,
    VolumeRegistration,
    placed,
    register_volumes,
    verdict,
)
from tests.data import data_path


def itk(volume: Volume) -> sitk.Image:
    image = sitk.GetImageFromArray(volume.voxels)
    spacing = np.array(volume.spacing_mm)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(volume.ct_from_voxel[:3, 3].tolist())
    image.SetDirection((volume.ct_from_voxel[:3, :3] / spacing).ravel().tolist())
    return image


def of(image: sitk.Image, voxels: np.ndarray, modality: str) -> Volume:
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return Volume(
        voxels.astype(np.int16), affine, f"blake2b:{modality}", VolumeInfo("", "", "", "", modality)
    )


def like_mr(hu: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Numbers that neither rise nor fall with HU: bone and air dark, fat and water turned."""
    signal = np.where(hu < -700, 20.0, 400.0 + 300.0 * np.sin(np.clip(hu, -1000, 1500) / 60.0))
    signal = np.where(hu > 250, 120.0, signal)
    return np.clip(np.rint(signal + rng.normal(0.0, 25.0, hu.shape)), 0, 3000)


def moved_by_itk(
    ct: Volume, turn_deg: tuple[float, ...], shift_mm: tuple[float, ...]
) -> tuple[sitk.Image, np.ndarray]:
    """The CT as a scanner would see the patient moved, by SimpleITK's own resampling, and the
    true (4, 4) ct_from_second."""
    motion = sitk.Euler3DTransform(
        ct.centre_ct_mm.tolist(), *np.radians(turn_deg).tolist(), shift_mm
    )
    seen = sitk.Resample(itk(ct), itk(ct), motion, sitk.sitkBSpline, -1024, sitk.sitkInt16)
    truth = np.eye(4)
    truth[:3, :3] = np.array(motion.GetMatrix()).reshape(3, 3)
    truth[:3, 3] = motion.TransformPoint((0.0, 0.0, 0.0))
    return seen, truth


def blobs(seed: int = 0, modality: str = "CT") -> Volume:
    """A made-up body of 130 mm with things in it, 3 mm voxels."""
    k, j, i = np.mgrid[:52, :60, :64] * 3.0
    places = np.stack([i - 95.0, j - 89.0, k - 77.0], axis=-1)
    hu = np.full(i.shape, -1000.0)
    hu[((places / (80.0, 65.0, 70.0)) ** 2).sum(axis=-1) < 1.0] = 0.0
    rng = np.random.default_rng(seed)
    for _ in range(40):
        centre, radius = rng.uniform(-50.0, 50.0, 3), rng.uniform(6.0, 18.0)
        inside = ((places - centre) ** 2).sum(axis=-1) < radius**2
        hu[inside & (hu > -500.0)] = rng.uniform(-120.0, 600.0)
    hu += rng.normal(0.0, 8.0, hu.shape)
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = (-95.0, -89.0, -77.0)
    info = VolumeInfo(modality=modality, frame_of_reference_uid="1.2.3")
    return Volume(np.rint(hu).astype(np.int16), affine, f"blake2b:blobs{seed}", info)


def body_corners(ct: Volume) -> np.ndarray:
    """(8, 3) corners of the box round the body, mm."""
    places = np.argwhere(body_mask(ct))[:, ::-1]
    ends = np.stack([places.min(axis=0), places.max(axis=0)])
    corners = np.take_along_axis(ends, np.indices((2, 2, 2)).reshape(3, 8).T, axis=0)
    return apply(ct.ct_from_voxel, corners.astype(float))


def error_mm(found: VolumeRegistration, truth: np.ndarray, ct: Volume) -> float:
    """The largest distance between found and true place at the body's corners."""
    corners = body_corners(ct)
    there = apply(np.linalg.inv(truth), corners)
    return float(np.linalg.norm(apply(found.ct_from_second, there) - corners, axis=1).max())


def test_a_real_ct_against_itself_moved_noised_and_remapped_like_mr() -> None:
    whole = itk(read_volume(data_path("ct", "chest_LIDC-IDRI-0001_2mm.nii.gz")))
    coarse = sitk.BinShrink(whole, [2, 2, 2])
    ct = of(coarse, sitk.GetArrayFromImage(coarse), "CT")
    seen, truth = moved_by_itk(ct, (4.0, -3.0, 6.0), (12.0, -9.0, 15.0))
    second = of(
        seen, like_mr(sitk.GetArrayFromImage(seen).astype(float), np.random.default_rng(1)), "MR"
    )
    parts: list[float] = []
    found = register_volumes(ct, second, parts.append)
    assert error_mm(found, truth, ct) <= 0.5
    assert found.repeat_mm <= 1.0
    assert found.information > found.information_before + 0.1
    assert 0.85 < found.overlap <= 1.0
    assert parts == sorted(parts)
    assert (parts[0], parts[-1]) == (0.0, 1.0)
    assert "repeatable" in verdict(found)
    there = placed(second, found.ct_from_second)
    assert there.voxels is second.voxels or np.shares_memory(there.voxels, second.voxels)
    assert there.ct_from_voxel == pytest.approx(found.ct_from_second @ second.ct_from_voxel)


def test_one_frame_of_reference_starts_where_the_files_say() -> None:
    ct = blobs()
    seen, truth = moved_by_itk(ct, (2.0, 1.0, -2.0), (3.0, -4.0, 2.0))
    older = Volume(sitk.GetArrayFromImage(seen), ct.ct_from_voxel, "blake2b:older", ct.description)
    found = register_volumes(ct, older)
    assert found.start is Start.GEOMETRY
    assert error_mm(found, truth, ct) <= 0.5
    assert found.moved_mm == pytest.approx(np.linalg.norm((3.0, -4.0, 2.0)), abs=0.6)
    assert found.turned_deg == pytest.approx(3.0, abs=0.3)


def test_another_region_is_refused() -> None:
    ct = blobs()
    away = np.array(ct.ct_from_voxel)
    away[:3, 3] += (0.0, 0.0, 900.0)
    other = Volume(ct.voxels, away, "blake2b:legs", ct.description)
    with pytest.raises(VolumeRegistrationError, match="do not overlap"):
        register_volumes(ct, other)


def test_images_that_have_nothing_in_common_are_refused() -> None:
    ct = blobs()
    noise = np.random.default_rng(4).integers(0, 900, ct.voxels.shape).astype(np.int16)
    other = Volume(noise, ct.ct_from_voxel, "blake2b:noise", VolumeInfo(modality="MR"))
    with pytest.raises(VolumeRegistrationError, match=r"agree nowhere|in common"):
        register_volumes(ct, other)


def test_it_can_be_cancelled_while_it_searches() -> None:
    class CancelledError(Exception):
        pass

    calls: list[float] = []

    def cancel(part: float) -> None:
        calls.append(part)
        if part > 0.1:
            raise CancelledError

    with pytest.raises(CancelledError):
        register_volumes(blobs(), blobs(1), cancel)
    assert max(calls) < 0.4
