"""Markers on the skin: found where they are, and nothing else taken for one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ir_nav.geometry import apply
from ir_nav.imaging import Volume, VolumeInfo, body_mask, read_volume
from ir_nav.imaging.skin import skin_points
from ir_nav.registration import RegistrationError
from ir_nav.registration.skin_markers import SkinMarker, find_skin_markers
from tests.data import data_path


def with_ball(volume: Volume, centre_ct_mm: np.ndarray, radius_mm: float, hu: float) -> Volume:
    """A ball by 5 x 5 x 5 samples in each voxel."""
    voxels = volume.voxels.astype(np.float64)
    size = np.array(volume.spacing_mm)
    middle = apply(volume.voxel_from_ct, centre_ct_mm)
    reach = np.ceil(radius_mm / size).astype(int) + 2
    low = np.floor(middle).astype(int) - reach
    fine = (np.arange(5) + 0.5) / 5.0 - 0.5
    axes = [
        ((np.arange(low[a], low[a] + 2 * reach[a] + 1)[:, None] + fine).ravel() - middle[a])
        * size[a]
        for a in range(3)
    ]
    x, y, z = axes
    inside = z[:, None, None] ** 2 + y[None, :, None] ** 2 + x[None, None, :] ** 2 < radius_mm**2
    k, j, i = (len(one) // 5 for one in (z, y, x))
    share = inside.reshape(k, 5, j, 5, i, 5).mean(axis=(1, 3, 5))
    spans = tuple(slice(low[a], low[a] + n) for a, n in ((2, k), (1, j), (0, i)))
    voxels[spans] += share * (hu - voxels[spans])
    return replace(volume, voxels=np.rint(voxels).astype(np.int16))


def distances(found: tuple[SkinMarker, ...], centres: np.ndarray) -> np.ndarray:
    """(n,) from each marker that was found to the nearest that is there, mm."""
    at = np.array([one.centre_ct_mm for one in found]).reshape(-1, 3)
    return np.linalg.norm(at[:, None] - centres[None], axis=2).min(axis=1)


def block() -> Volume:
    """165 mm of soft tissue in air, 1.5 mm voxels, with a bone just beneath the skin in front."""
    voxels = np.full((150, 150, 150), -1000, np.int16)
    voxels[20:130, 20:130, 20:130] = 40
    voxels[60:70, 22:28, 30:120] = 700
    affine = np.diag([1.5, 1.5, 1.5, 1.0])
    affine[:3, 3] = -119.25
    return Volume(voxels, affine, "block", VolumeInfo())


FRONT_MM = -90.0


def test_balls_on_the_skin_are_found_and_bone_beneath_it_is_not() -> None:
    volume = block()
    assert find_skin_markers(volume) == ()
    centres = np.array([(-50.0, FRONT_MM - 2.0, 40.0), (30.0, FRONT_MM - 1.0, -50.0)])
    for centre in centres:
        volume = with_ball(volume, centre, 3.0, 1500.0)
    found = find_skin_markers(volume, body_mask(volume))
    assert len(found) == 2
    assert distances(found, centres).max() < 0.3
    assert all(one.diameter_mm == pytest.approx(6.0, abs=1.5) for one in found)
    assert all(one.confidence > 0.6 for one in found)


def test_a_wire_a_table_a_buried_ball_and_a_distant_one_are_no_markers() -> None:
    volume = block()
    voxels = volume.voxels.copy()
    voxels[90:92, 18:20, 30:110] = 1200  # a wire across the chest
    voxels[100:103, 17:20, 60:63] = 2500  # an electrode's snap, its wire leading off
    voxels[101, 18, 62:100] = 200
    voxels[20:120, 134:137, 20:120] = 400  # the table
    volume = replace(volume, voxels=voxels)
    volume = with_ball(volume, np.array((0.0, FRONT_MM + 25.0, 0.0)), 3.0, 1500.0)
    volume = with_ball(volume, np.array((-40.0, FRONT_MM + 6.0, 40.0)), 2.0, 900.0)
    volume = with_ball(volume, np.array((40.0, FRONT_MM - 16.0, -40.0)), 2.0, 1500.0)
    assert find_skin_markers(volume) == ()


def test_on_a_real_patient_planted_markers_are_found_and_no_others() -> None:
    volume = read_volume(data_path("ct", "chest_LIDC-IDRI-0001_2mm.nii.gz"))
    body = body_mask(volume)
    assert find_skin_markers(volume, body) == ()
    low, high = volume.bounds_mm
    skin = skin_points(volume, body, 20_000)
    skin = skin[((skin > low + 20) & (skin < high - 20)).all(axis=1)]
    # In front and at the sides: the back lies on the table.
    skin = skin[skin[:, 1] < np.median(skin[:, 1])]
    rng = np.random.default_rng(1)
    centres: list[np.ndarray] = []
    for point in skin[rng.permutation(len(skin))]:
        if all(np.linalg.norm(point - one) > 60.0 for one in centres) and len(centres) < 6:
            outward = (point - volume.centre_ct_mm) * (1.0, 1.0, 0.0)
            centres.append(point + outward / np.linalg.norm(outward) * 2.5)
            volume = with_ball(volume, centres[-1], 3.0, 1500.0)
    assert len(centres) == 6
    found = find_skin_markers(volume)
    assert len(found) == 6
    assert distances(found, np.array(centres)).max() < 0.6


def test_only_ct_is_looked_at() -> None:
    volume = block()
    other = replace(volume, description=replace(volume.description, unit="", modality="MR"))
    with pytest.raises(RegistrationError, match="open a CT"):
        find_skin_markers(other)
