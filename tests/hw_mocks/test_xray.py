"""Fluoroscopy of a water cylinder, whose attenuation is known in closed form."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from hw_mocks.anatomy import Anatomy, NeedleShape, TissueMotion
from hw_mocks.intensifier import Intensifier
from hw_mocks.xray import XRayRenderer, XRaySettings
from ir_nav.geometry import CArmGeometry

GEOMETRY = CArmGeometry(1000.0, (0.8, 0.8), (384, 320), (190.0, 160.5))
RADIUS_MM = 70.0
SOURCE_MM = 620.0  # focal spot to the cylinder's axis
WATER_PER_MM = 0.0206  # NIST XCOM, 60 keV
IDEAL = XRaySettings(
    exposure=1.0, gamma=1.0, photons=1e12, scatter=0.0, vignette=0.0, edge=0.0
)  # fmt: skip
REST = TissueMotion.rest()


def phantom(*, bead: bool = False) -> Anatomy:
    """Water of 70 mm radius along z; with `bead` a dense 12 mm cube off its centre."""
    size = (101, 86, 86)
    ct_from_voxel = np.diag([2.0, 2.0, 2.0, 1.0])
    ct_from_voxel[:3, 3] = (-85.0, -85.0, -100.0)
    k, j, i = np.indices(size)
    x, y, z = i * 2.0 - 85.0, j * 2.0 - 85.0, k * 2.0 - 100.0
    share = np.clip((RADIUS_MM - np.hypot(x, y)) / 2.0 + 0.5, 0.0, 1.0)
    hu = -1000.0 + 1000.0 * share
    if bead:
        hu[(np.abs(x - 8) < 6) & (np.abs(y) < 6) & (np.abs(z - 4) < 6)] = 2500.0
    return Anatomy(hu.astype(np.int16), np.zeros(size, dtype=np.uint8), ct_from_voxel, {})


def carm_from_ct(
    angle_deg: float = 0.0, shift_mm: tuple[float, float, float] = (0, 0, 0)
) -> np.ndarray:
    """Beam from the back to the front, turned about the patient's axis; rows run to the feet."""
    angle = np.radians(angle_deg)
    beam = np.array([np.sin(angle), -np.cos(angle), 0.0])
    rows = np.array([0.0, 0.0, -1.0])
    matrix = np.eye(4)
    matrix[:3, :3] = (np.cross(rows, beam), rows, beam)
    matrix[:3, 3] = np.array([0.0, 0.0, SOURCE_MM]) + matrix[:3, :3] @ shift_mm
    return matrix


def water_path_mm(pose: np.ndarray) -> np.ndarray:
    """(rows, columns) chord of each pixel's ray through the ideal cylinder."""
    width, height = GEOMETRY.size_px
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    rays = np.stack([u, v, np.ones_like(u)], axis=-1) @ np.linalg.inv(GEOMETRY.camera_matrix).T
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    direction = rays @ pose[:3, :3]
    source = -pose[:3, :3].T @ pose[:3, 3]
    a = direction[..., 0] ** 2 + direction[..., 1] ** 2
    b = direction[..., 0] * source[0] + direction[..., 1] * source[1]
    c = source[0] ** 2 + source[1] ** 2 - RADIUS_MM**2
    return np.asarray(2.0 * np.sqrt(np.maximum(b * b - a * c, 0.0)) / a)


@pytest.fixture(scope="module")
def water() -> Anatomy:
    return phantom()


@pytest.mark.parametrize("angle_deg", [0.0, 37.0])
def test_water_attenuates_as_calculated(water: Anatomy, angle_deg: float) -> None:
    pose = carm_from_ct(angle_deg)
    image = XRayRenderer(water, GEOMETRY, 1, IDEAL).render(pose, REST, None)
    assert image.dtype == np.uint16
    assert image.shape == (320, 384)
    measured = -np.log(image / 65535.0)
    expected = WATER_PER_MM * water_path_mm(pose)
    # Where the whole ray stays inside the 200 mm of cylinder, and off its blurred edge:
    # there a shift of a tenth of a voxel is 3 %.
    central = np.zeros_like(expected, dtype=bool)
    central[60:260] = True
    thick = central & (expected > WATER_PER_MM * 60.0)
    assert thick.sum() > 20000
    assert np.abs(measured[thick] / expected[thick] - 1.0).max() < 0.03
    air = central & (expected == 0.0)
    assert np.median(measured[air]) < 0.01


def test_a_dense_spot_lies_where_the_pinhole_puts_it() -> None:
    for angle_deg in (0.0, 50.0):
        pose = carm_from_ct(angle_deg)
        total = XRayRenderer(phantom(bead=True), GEOMETRY, 1).line_integral(pose, REST)
        extra = total - XRayRenderer(phantom(), GEOMETRY, 1).line_integral(pose, REST)
        v, u = np.indices(extra.shape)
        found = np.array([np.sum(extra * u), np.sum(extra * v)]) / extra.sum()
        # Voxels within 6 mm of (8, 0, 4): centres 3..13, -5..5, 0..8.
        centre = np.array([8.0, 0.0, 4.0])
        expected = GEOMETRY.project(pose[:3, :3] @ centre + pose[:3, 3])
        assert found == pytest.approx(expected, abs=1.0)


def test_needle_shadow_lies_on_its_projection(water: Anatomy) -> None:
    pose = carm_from_ct(20.0)
    tip, hub = np.array([5.0, 3.0, 8.0]), np.array([-80.0, -20.0, 30.0])
    dark = XRayRenderer(water, GEOMETRY, 1).render(pose, REST, NeedleShape(tip, hub, 1.2))
    plain = XRayRenderer(water, GEOMETRY, 1).render(pose, REST, None)
    shadow = np.maximum(plain.astype(float) - dark, 0.0)
    ends = GEOMETRY.project(np.stack([tip, hub]) @ pose[:3, :3].T + pose[:3, 3])
    along = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
    v, u = np.indices(shadow.shape)
    offset = np.stack([u, v], axis=-1) - ends[0]
    s = offset @ along
    t = offset @ np.array([-along[1], along[0]])
    near = np.abs(t) < 5
    for start in (5, 30, 60):
        here = near & (s > start) & (s < start + 15)
        assert shadow[here].max() > 0.15 * plain[here].mean()
        assert abs(np.sum(shadow[here] * t[here]) / shadow[here].sum()) < 0.5
    core = np.abs(t) < 1
    assert (
        shadow[core & (s < -3) & (s > -15)].mean() < 0.1 * shadow[core & (s > 3) & (s < 15)].mean()
    )


def test_needle_absorbs_like_its_steel(water: Anatomy) -> None:
    """Across its middle a 1.2 mm shaft square to the beam takes 1 - exp(-0.95 * 1.2) away."""
    pose = carm_from_ct()
    thin = CArmGeometry(1000.0, (0.2, 0.2), (401, 401), (200.0, 200.0))
    needle = NeedleShape(np.array([-30.0, 0.0, 0.0]), np.array([30.0, 0.0, 0.0]), 1.2)
    with_needle, plain = (
        XRayRenderer(water, thin, 1, IDEAL).render(pose, REST, shape) for shape in (needle, None)
    )
    seen = with_needle[200, 200] / plain[200, 200]
    assert seen == pytest.approx(np.exp(-0.95 * 1.2), rel=0.05)


def test_a_moved_c_arm_is_projected_anew(water: Anatomy) -> None:
    renderer = XRayRenderer(water, GEOMETRY, 1)
    before = renderer.line_integral(carm_from_ct(), REST)
    after = renderer.line_integral(carm_from_ct(0.0, (15.0, 0.0, 0.0)), REST)
    fresh = XRayRenderer(water, GEOMETRY, 1).line_integral(
        carm_from_ct(0.0, (15.0, 0.0, 0.0)), REST
    )
    assert np.array_equal(after, fresh)
    assert np.abs(after - before).max() > 0.5


@pytest.mark.parametrize("shift", [(6.0, 0.0, 0.0), (0.0, 14.0, 0.0), (0.0, -3.0, 9.0)])
def test_breathing_as_a_whole_moves_the_patient(shift: tuple[float, float, float]) -> None:
    """Displacing all tissue equals moving the C-arm the other way."""
    anatomy = phantom(bead=True)
    motion = TissueMotion(np.array(shift), np.array(shift))
    moved = XRayRenderer(anatomy, GEOMETRY, 1).line_integral(carm_from_ct(), motion)
    truth = XRayRenderer(anatomy, GEOMETRY, 1).line_integral(carm_from_ct(0.0, shift), REST)
    inner = (slice(40, 280), slice(30, 350))
    assert np.abs(moved - truth)[inner].mean() < 0.02
    rest = XRayRenderer(anatomy, GEOMETRY, 1).line_integral(carm_from_ct(), REST)
    assert np.abs(moved - truth)[inner].mean() < 0.25 * np.abs(rest - truth)[inner].mean()


def test_deep_tissue_moves_while_the_skin_stays() -> None:
    anatomy = phantom(bead=True)
    motion = TissueMotion(np.zeros(3), np.array([0.0, 0.0, 10.0]))
    renderer = XRayRenderer(anatomy, GEOMETRY, 1)
    rest = renderer.line_integral(carm_from_ct(), REST)
    moved = renderer.line_integral(carm_from_ct(), motion)
    water = XRayRenderer(phantom(), GEOMETRY, 1).line_integral(carm_from_ct(), REST)
    rows = np.arange(60, 260)
    profiles = [np.maximum((image - water)[60:260, 100:280], 0.1) - 0.1 for image in (rest, moved)]
    centres = [np.sum(p.sum(axis=1) * rows) / p.sum() for p in profiles]
    expected_px = -10.0 * GEOMETRY.sid_mm / SOURCE_MM / GEOMETRY.pixel_mm[1]
    assert centres[1] - centres[0] == pytest.approx(expected_px, abs=1.0)


def test_noise_is_that_of_the_quanta(water: Anatomy) -> None:
    """Relative deviation 1 / sqrt(photons * transmission), Poisson."""
    settings = XRaySettings(
        exposure=1.0, gamma=1.0, photons=4000.0, scatter=0.0, vignette=0.0, edge=0.0
    )
    renderer = XRayRenderer(water, GEOMETRY, 1, settings)
    first, second = (renderer.render(carm_from_ct(), REST, None).astype(float) for _ in range(2))
    patch = (slice(140, 180), slice(170, 210))
    measured = (first - second)[patch].std() / np.sqrt(2.0) / first[patch].mean()
    transmission = first[patch].mean() / 65535.0
    assert measured == pytest.approx(1.0 / np.sqrt(4000.0 * transmission), rel=0.1)


def test_default_frames_are_exposed_for_the_body(water: Anatomy) -> None:
    image = XRayRenderer(water, GEOMETRY, 1).render(carm_from_ct(), REST, None) / 65535.0
    assert image[160, 10] > 0.8
    assert 0.2 < image[150:170, 180:200].mean() < 0.8


def test_a_frame_is_quick(water: Anatomy) -> None:
    """7.5 frames a second beside everything else; measured 7 ms at 512 x 512."""
    square = CArmGeometry(1000.0, (0.6, 0.6), (512, 512), (255.5, 255.5))
    renderer = XRayRenderer(water, square, 1)
    renderer.render(carm_from_ct(), REST, None)
    spans = []
    for n in range(10):
        motion = TissueMotion(np.array([0.0, 0.0, 0.1 * n]), np.array([0.0, -0.2 * n, 0.8 * n]))
        started = time.perf_counter()
        renderer.render(carm_from_ct(), motion, None)
        spans.append(time.perf_counter() - started)
    assert np.median(spans) < 0.040


def test_an_intensifier_moves_what_is_seen_and_flat_detectors_do_not() -> None:
    """The dense cube far from the middle, where the closed form says."""
    pose, bend = carm_from_ct(0.0, (60.0, 0.0, 45.0)), Intensifier(0.08, 0.04)
    bent = replace(IDEAL, intensifier=bend)
    shadows = []
    for settings in (IDEAL, bent):
        with_bead, without = (
            XRayRenderer(phantom(bead=bead), GEOMETRY, 1, settings)
            .render(pose, REST, None)
            .astype(float)
            for bead in (True, False)
        )
        darker = np.clip(without - with_bead, 0.0, None)
        darker[darker < 0.2 * darker.max()] = 0.0
        v, u = np.indices(darker.shape)
        shadows.append(np.array([(darker * u).sum(), (darker * v).sum()]) / darker.sum())
    true_px = GEOMETRY.project(pose[:3, :3] @ [8.0, 0.0, 4.0] + pose[:3, 3])
    np.testing.assert_allclose(shadows[0], true_px, atol=0.7)
    moved = bend.seen_px(shadows[0][None], GEOMETRY.size_px)[0]
    np.testing.assert_allclose(shadows[1], moved, atol=0.3)
    assert np.linalg.norm(shadows[1] - shadows[0]) > 5.0


def test_the_maps_undo_what_the_intensifier_does() -> None:
    bend, size = Intensifier(0.06, 0.03), (96, 80)
    columns, rows = bend.maps(size)
    seen = bend.seen_px(np.stack([columns.ravel(), rows.ravel()], axis=1).astype(float), size)
    v, u = np.mgrid[0:80, 0:96]
    np.testing.assert_allclose(seen, np.stack([u.ravel(), v.ravel()], axis=1), atol=1e-3)
