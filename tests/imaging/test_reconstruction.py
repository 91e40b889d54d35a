"""Volumes from freehand sweeps: against PLUS's, and against a body whose grey values are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from devices.recordings import read_recording
from ir_nav.imaging import ClipRectangle, ImagingError, reconstruct, write_reconstruction
from ir_nav.tracking.plus_device_set import read_device_set
from ir_nav.tracking.recorded_track import recorded_track
from tests.data import data_path

CONFIG = "PlusDeviceSet_VolumeReconstructionOnly_SpinePhantom_NN_MEAN.xml"


@pytest.fixture(scope="module")
def sweep() -> tuple[list[np.ndarray], np.ndarray]:
    recording = read_recording(data_path("plus", "SpinePhantomFreehand.igs.mha"))
    device_set = read_device_set(data_path("plus", "config", "Testing", CONFIG))
    assert device_set.clip_px == (0, 0, 820, 616)
    poses = recorded_track(recording, "Probe", "Reference").poses
    images = [frame.pixels for frame in recording.frames if frame.pixels is not None]
    return images, poses @ device_set.transform("Image", "Probe")


def test_the_spine_phantom_comes_out_as_plus_made_it(
    sweep: tuple[list[np.ndarray], np.ndarray],
) -> None:
    """Nearest neighbour, mean, sticks of nine voxels."""
    stored = sitk.ReadImage(str(data_path("plus", "vtkVolumeReconstructorTestNNMEANvolumeRef.mha")))
    expected = sitk.GetArrayFromImage(stored)
    found = reconstruct(*sweep, 0.5)
    np.testing.assert_allclose(found.origin_mm, stored.GetOrigin(), atol=0.01)
    assert all(0 <= a - b <= 1 for a, b in zip(found.voxels.shape, expected.shape, strict=True))
    k, j, i = expected.shape
    values, filled = found.voxels[:k, :j, :i], found.filled[:k, :j, :i]
    assert np.corrcoef(values[filled], expected[filled])[0, 1] > 0.995
    # The holes alone, which only the sticks reach.
    seen = reconstruct(*sweep, 0.5, fill_holes=False).filled[:k, :j, :i]
    holes = filled & ~seen
    assert holes.mean() > 0.2
    assert np.corrcoef(values[holes], expected[holes])[0, 1] > 0.99
    assert (expected[~filled] > 0).sum() < 100


def grey_at(points_mm: np.ndarray) -> np.ndarray:
    x, y, z = np.moveaxis(points_mm, -1, 0)
    return 120.0 + 40.0 * np.sin(x / 6.0) + 30.0 * np.cos(y / 8.0) + 20.0 * np.sin(z / 5.0)


def tilted_sweep(step_mm: float = 0.5, count: int = 60) -> tuple[list[np.ndarray], np.ndarray]:
    """Planes 0.2 mm a pixel, tilted and turned a little, moving along y."""
    poses = np.tile(np.diag([0.2, 0.2, 0.2, 1.0]), (count, 1, 1))
    for index in range(count):
        angle = np.radians(3.0 * np.sin(index / 9.0))
        rotation = np.array(
            [[1, 0, 0], [0, np.sin(angle), np.cos(angle)], [0, np.cos(angle), -np.sin(angle)]]
        )
        poses[index, :3, :3] = 0.2 * rotation
        poses[index, :3, 3] = (-10.0, step_mm * index, 5.0)
    v, u = np.mgrid[0:80, 0:100]
    pixels = np.stack([u, v, np.zeros_like(u), np.ones_like(u)], axis=-1)
    images = [
        np.clip(np.round(grey_at((pixels @ pose.T)[..., :3])), 0, 255).astype(np.uint8)
        for pose in poses
    ]
    return images, poses


@pytest.mark.parametrize("spacing_mm", [0.4, 0.7])
def test_a_known_body_is_rebuilt_where_it_lay(spacing_mm: float) -> None:
    found = reconstruct(*tilted_sweep(), spacing_mm)
    kji = np.argwhere(found.filled)
    places = kji[:, ::-1] * found.spacing_mm + found.origin_mm
    off = np.abs(found.voxels[found.filled] - grey_at(places))
    assert off.mean() < 2.0 + 4.0 * spacing_mm
    assert found.filled.mean() > 0.6
    assert found.seen_share <= found.filled.mean()
    assert not found.voxels[~found.filled].any()


def test_holes_between_planes_are_filled_only_when_asked_and_only_when_short() -> None:
    images, poses = tilted_sweep(step_mm=2.0, count=12)
    bare = reconstruct(images, poses, 0.4, fill_holes=False)
    full = reconstruct(images, poses, 0.4)
    assert bare.filled.mean() < 0.5 < full.filled.mean()
    np.testing.assert_array_equal(full.voxels[bare.filled], bare.voxels[bare.filled])
    apart = reconstruct(*tilted_sweep(step_mm=6.0, count=5), 0.4)
    assert apart.filled.mean() < 0.55


def test_pixels_in_one_voxel_are_averaged() -> None:
    images = [np.full((4, 4), value, np.uint8) for value in (10, 20, 61)]
    poses = np.tile(np.eye(4), (3, 1, 1))
    found = reconstruct(images, poses, 1.0, fill_holes=False)
    assert set(found.voxels[found.filled]) == {30}


def test_only_the_clip_rectangle_is_used() -> None:
    image = np.zeros((20, 30), np.uint8)
    image[5:9, 10:16] = 200
    clip = ClipRectangle(10, 5, 6, 4)
    found = reconstruct([image], np.eye(4)[None], 1.0, clip=clip)
    np.testing.assert_allclose(found.origin_mm, (10.0, 5.0, 0.0))
    assert found.voxels.shape == (1, 4, 6)
    assert (found.voxels == 200).all()


@pytest.mark.parametrize("name", ["v.nrrd", "v.mha", "v.nii.gz"])
def test_the_file_holds_what_was_rebuilt(tmp_path: Path, name: str) -> None:
    found = reconstruct(*tilted_sweep(count=20), 0.8)
    write_reconstruction(found, tmp_path / "new" / name, mask=tmp_path / f"mask-{name}")
    image = sitk.ReadImage(str(tmp_path / "new" / name))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), found.voxels)
    np.testing.assert_allclose(image.GetOrigin(), found.origin_mm, atol=1e-4)
    np.testing.assert_allclose(image.GetSpacing(), 0.8, atol=1e-6)
    mask = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / f"mask-{name}")))
    np.testing.assert_array_equal(mask > 0, found.filled)


IMAGE = np.zeros((8, 8), np.uint8)


@pytest.mark.parametrize(
    ("images", "poses", "options", "words"),
    [
        ([], np.zeros((0, 4, 4)), {}, "no image with a pose"),
        ([IMAGE], np.eye(4)[None] * np.nan, {}, "finite 4x4 poses"),
        ([IMAGE, IMAGE[:4]], np.tile(np.eye(4), (2, 1, 1)), {}, "all of one size"),
        ([IMAGE.astype(np.uint16)], np.eye(4)[None], {}, "8 bit"),
        ([IMAGE], np.eye(4)[None], {"spacing_mm": 0.0}, "of no use"),
        ([IMAGE], np.eye(4)[None], {"spacing_mm": np.nan}, "of no use"),
        ([IMAGE], np.eye(4)[None], {"clip": ClipRectangle(9, 0, 4, 4)}, "outside the 8 x 8"),
        ([IMAGE], np.diag([1e3, 1e3, 1e3, 1.0])[None], {"spacing_mm": 0.02}, "larger spacing"),
    ],
)
def test_each_refusal_says_what_to_do(
    images: list[np.ndarray], poses: np.ndarray, options: dict[str, object], words: str
) -> None:
    with pytest.raises(ImagingError, match=words):
        reconstruct(images, poses, **options)  # type: ignore[arg-type]


def test_unknown_endings_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    found = reconstruct([IMAGE], np.eye(4)[None], 1.0)
    with pytest.raises(ImagingError, match=r"v.png: write the volume as .mha"):
        write_reconstruction(found, tmp_path / "v.png")
    with pytest.raises(ImagingError, match=r"m.txt"):
        write_reconstruction(found, tmp_path / "v.nrrd", mask=tmp_path / "m.txt")
    assert not list(tmp_path.iterdir())
