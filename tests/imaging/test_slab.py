"""Slabs against SciPy's samples, on any plane; both halves of a picture agree."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from ir_nav.imaging import ImagingError, Plane, Volume, VolumeInfo, plane_through, reslice_window
from ir_nav.imaging.slab import Projection, Slab, reslice_slab, sample_depths_mm
from tests.imaging import phantom

SIZE_PX = (61, 97)
NOISE = np.random.default_rng(5).integers(-1024, 3000, (9, 12, 14)).astype(np.int16)
TOOK = {Projection.MIP: np.nanmax, Projection.MINIP: np.nanmin, Projection.MEAN: np.nanmean}
PLANES = (
    ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
    ((1.0, 0.3, 0.2), (-0.2, 1.0, 0.5)),
    ((0.0, 1.0, 0.1), (0.2, 0.0, -1.0)),
)


def noisy() -> Volume:
    return Volume(NOISE, phantom.affine((12.0, -7.0, 31.0)), "", VolumeInfo())


def by_scipy(volume: Volume, plane: Plane, slab: Slab) -> tuple[np.ndarray, np.ndarray]:
    """Projected HU, and which pixels' samples all lie well inside or outside."""
    rows, columns = np.mgrid[: SIZE_PX[1], : SIZE_PX[0]]
    layers, clear = [], np.ones(rows.shape, bool)
    for depth in sample_depths_mm(volume, plane.ct_from_view[:3, 2], slab):
        view = np.stack([columns, rows, np.full(rows.shape, depth), np.ones_like(rows)])
        kji = np.tensordot(volume.voxel_from_ct @ plane.ct_from_view, view, 1)[2::-1]
        last = np.array(volume.voxels.shape)[:, None, None] - 1
        hu = map_coordinates(volume.voxels.astype(float), kji, order=1, mode="nearest")
        inside = ((kji > 1e-3) & (kji < last - 1e-3)).all(axis=0)
        outside = ((kji < -1e-3) | (kji > last + 1e-3)).any(axis=0)
        clear &= inside | outside
        layers.append(np.where(inside, hu, np.nan))
    stack = np.stack(layers)
    seen = np.isfinite(stack).any(axis=0)
    value = np.full(rows.shape, np.nan)
    value[seen] = TOOK[slab.projection](stack[:, seen], axis=0)
    return value, clear


@pytest.mark.parametrize("projection", list(Projection))
@pytest.mark.parametrize(("right", "down"), PLANES)
def test_against_scipy(
    projection: Projection, right: tuple[float, ...], down: tuple[float, ...]
) -> None:
    volume = noisy()
    plane = plane_through(
        volume.centre_ct_mm + np.array([0.4, -0.3, 0.7]), right, down, 0.2, SIZE_PX
    )
    slab = Slab(7.0, projection)
    image = reslice_slab(volume, plane.ct_from_view, SIZE_PX, slab, 4000.0, 1000.0)
    hu, clear = by_scipy(volume, plane, slab)
    seen = clear & np.isfinite(hu)
    grey = np.clip((hu - 1000.0 + 2000.0) * 255.0 / 4000.0, 0.0, 255.0)
    assert seen.sum() > 300
    assert np.abs(image - grey)[seen].max() <= 1.0
    assert (image[clear & ~np.isfinite(hu)] == 0).all()


def test_a_ramp_gives_its_ends_and_its_middle() -> None:
    """HU grow by 10 a mm along z, voxels 2 mm thick: a 6 mm slab spans 60 HU."""
    ramp = np.broadcast_to((np.arange(20, dtype=np.int16) * 20)[:, None, None], (20, 30, 30))
    volume = Volume(np.ascontiguousarray(ramp), np.diag([0.7, 0.9, 2.0, 1.0]), "", VolumeInfo())
    plane = plane_through((10.0, 13.0, 19.0), (1, 0, 0), (0, 1, 0), 0.5, (8, 8))
    for projection, expected in (
        (Projection.MIP, 220.0),
        (Projection.MINIP, 160.0),
        (Projection.MEAN, 190.0),
    ):
        image = reslice_slab(
            volume, plane.ct_from_view, (8, 8), Slab(6.0, projection), 255.0, 190.0
        )
        assert image.astype(float) == pytest.approx(expected - 190.0 + 127.5, abs=1.0)


def test_extremes_do_not_overflow_and_thin_is_the_plane() -> None:
    extremes = np.where(NOISE > 0, np.int16(32767), np.int16(-32768))
    volume = Volume(extremes, phantom.affine(), "", VolumeInfo())
    plane = plane_through(volume.centre_ct_mm, (1, 0, 0), (0, 1, 0), 0.2, SIZE_PX)
    image = reslice_slab(volume, plane.ct_from_view, SIZE_PX, Slab(8.0), 65535.0, -0.5)
    mean = reslice_slab(
        volume, plane.ct_from_view, SIZE_PX, Slab(8.0, Projection.MEAN), 65535.0, -0.5
    )
    assert image.max() == 255
    assert 20 < mean[40:60, 20:40].mean() < 235
    thin = reslice_slab(volume, plane.ct_from_view, SIZE_PX, Slab(0.0), 400.0, 40.0)
    np.testing.assert_array_equal(
        thin, reslice_window(volume, plane.ct_from_view, SIZE_PX, 400.0, 40.0)
    )


def test_a_slab_across_the_edge_takes_what_is_inside() -> None:
    volume = Volume(np.full((10, 10, 10), 100, np.int16), np.eye(4), "", VolumeInfo())
    plane = plane_through((4.5, 4.5, 9.0), (1, 0, 0), (0, 1, 0), 1.0, (6, 6))
    mean = reslice_slab(
        volume, plane.ct_from_view, (6, 6), Slab(8.0, Projection.MEAN), 255.0, 100.0
    )
    assert mean.astype(float) == pytest.approx(127.5, abs=1.0)


def test_bad_slabs_and_buffers_are_refused() -> None:
    with pytest.raises(ImagingError, match="0 to 200 mm"):
        Slab(-1.0)
    out = np.zeros((5, 5), np.uint8)
    with pytest.raises(ImagingError, match="out"):
        reslice_slab(noisy(), np.eye(4), SIZE_PX, Slab(5.0), 400.0, 40.0, out)
