"""The simulated ultrasound: what is known of the block is seen where it lies."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import ndimage

from ir_nav.imaging import ImagingError, LabelMap
from ir_nav.registration import RegistrationError
from ir_nav.registration.ultrasound.acoustics import (
    HU_LOW,
    HU_STEP,
    LIVER,
    LOG_Z_STEP,
    SCATTER_LOW_DB,
    SCATTER_STEP_DB,
    Acoustics,
    prepare_acoustics,
)
from ir_nav.registration.ultrasound.fan import LinearFan
from ir_nav.registration.ultrasound.marching import expected, march_beams
from ir_nav.registration.ultrasound.simulator import Settings, simulate
from tests.registration.acoustic_block import (
    FAN,
    MM,
    SIZE_PX,
    SURFACE_MM,
    block,
    grey_at,
    pose,
    volumes,
)


@pytest.fixture(scope="module")
def liver() -> Acoustics:
    return block()


def at(depth_mm: float, x_mm: float = 0.0) -> np.ndarray:
    return np.array([x_mm, SURFACE_MM + depth_mm, 0.0])


def code_at(acoustics: Acoustics, point_ct_mm: np.ndarray) -> np.ndarray:
    i, j, k = np.rint(acoustics.voxel_from_ct @ (*point_ct_mm, 1.0))[:3].astype(int)
    return acoustics.codes[k, j, i].astype(float)


def test_the_walk_agrees_with_scipy_and_with_the_law_of_attenuation() -> None:
    acoustics = block((3, (0.0, 0.0, 0.0), (9.0, 9.0, 60.0)), (5, (40.0, 0.0, 0.0), (9, 9, 60)))
    place = pose()
    beams, samples, mhz = 41, 120, 3.0
    found = march_beams(acoustics, FAN, place, beams, samples, mhz)
    start, step = FAN.beams_px(beams)
    depth_mm = np.linspace(0.0, FAN.depth_mm, samples)
    px = start[:, None] + step[:, None] * depth_mm[None, :, None]
    ct = px @ place[:3, :2].T + place[:3, 3]
    voxel = ct @ acoustics.voxel_from_ct[:3, :3].T + acoustics.voxel_from_ct[:3, 3]
    scatter, loss, number = (
        ndimage.map_coordinates(
            acoustics.codes[..., n].astype(float), voxel[..., ::-1].reshape(-1, 3).T, order=1
        ).reshape(beams, samples)
        for n in (1, 2, 3)
    )
    middle = slice(12, -12), slice(8, -8)
    assert np.abs(found.level - scatter)[middle].max() < 1.5
    assert np.abs(found.hu_code - number)[middle].max() < 1.5
    # Along the middle beam nothing reflects much: only loss, there and back.
    line = beams // 2
    lost_db = 0.04 * mhz * 2.0 * np.cumsum(loss[line] * depth_mm[1] / 10.0)
    got_db = -20.0 * np.log10(found.through[line])
    assert got_db[40] == pytest.approx(lost_db[39], rel=0.08)
    assert got_db[-10] == pytest.approx(lost_db[-11], rel=0.08)


def test_expected_channels_lie_where_the_tissue_is() -> None:
    acoustics = block((3, (20.0, 0.0, 0.0), (10.0, 10.0, 60.0)))
    place = pose()
    channels = expected(acoustics, FAN, place, SIZE_PX)
    assert grey_at(channels.ct_hu, place, (20.0, 0.0, 0.0)) == pytest.approx(170.0, abs=3.0)
    assert grey_at(channels.ct_hu, place, (-30.0, 0.0, 0.0)) == pytest.approx(70.0, abs=3.0)
    assert np.diff([grey_at(channels.transmission, place, at(d, -30.0), 2) for d in (20, 60)]) < 0
    # The wall square to the beam reflects, the wall along it does not.
    front = grey_at(channels.reflection, place, (15.0, -10.0, 0.0), 3)
    side = grey_at(channels.reflection, place, (30.0, 2.0, 0.0), 2)
    assert front > 10.0 * max(side, 1e-6)
    assert channels.ct_hu[~channels.inside].max() == 0.0
    assert 0.3 < channels.inside.mean() < 0.9
    with pytest.raises(ValueError, match="read-only"):
        channels.reflection[0, 0] = 1.0


def test_speckle_is_rayleigh(liver: Acoustics) -> None:
    """Mean over deviation of the envelope is 1.91 (Burckhardt 1978)."""
    image = simulate(liver, FAN, pose(), SIZE_PX)
    grey = image[170:330, 200:310].astype(float)
    envelope = 10.0 ** (grey * Settings().range_db / 255.0 / 20.0)
    flat = envelope / ndimage.gaussian_filter(envelope, 25.0)
    assert flat.mean() / flat.std() == pytest.approx(1.9, abs=0.2)
    assert 70.0 < grey.mean() < 140.0


def test_speckle_belongs_to_the_tissue(liver: Acoustics) -> None:
    def part(image: np.ndarray) -> np.ndarray:
        return image[170:330, 190:320].astype(float).ravel()

    first = simulate(liver, FAN, pose(), SIZE_PX)
    assert np.array_equal(first, simulate(liver, FAN, pose(), SIZE_PX))
    # 3.6 mm to the side, in the plane: the same tissue, ten pixels along.
    aside = simulate(liver, FAN, pose((3.6, 0.0, 0.0)), SIZE_PX)
    assert np.corrcoef(part(first), part(np.roll(aside, 10, axis=1)))[0, 1] > 0.5
    assert abs(np.corrcoef(part(first), part(aside))[0, 1]) < 0.25
    beside = simulate(liver, FAN, pose((0.0, 0.0, 15.0)), SIZE_PX)
    assert abs(np.corrcoef(part(first), part(beside))[0, 1]) < 0.25
    near = simulate(liver, FAN, pose((0.0, 0.0, 0.1)), SIZE_PX)
    assert np.corrcoef(part(first), part(near))[0, 1] > 0.7


@pytest.mark.parametrize("label", [2, 4])
def test_bone_and_gas_are_bright_and_cast_a_shadow(label: int) -> None:
    acoustics = block((label, (0.0, SURFACE_MM + 24.0, 0.0), (8.0, 5.0, 60.0)))
    place = pose()
    image = simulate(acoustics, FAN, place, SIZE_PX)
    beside = grey_at(image, place, at(80.0, 45.0))
    assert grey_at(image, place, at(80.0)) < 0.4 * beside
    assert grey_at(image, place, at(19.0), 3) > 1.4 * beside


def test_blood_is_dark_and_clear_behind() -> None:
    acoustics = block((3, (0.0, 0.0, 0.0), (9.0, 9.0, 60.0)))
    place = pose()
    image = simulate(acoustics, FAN, place, SIZE_PX)
    beside = grey_at(image, place, (40.0, 0.0, 0.0))
    assert grey_at(image, place, (0.0, 0.0, 0.0)) < 0.3 * beside
    assert grey_at(image, place, (0.0, 30.0, 0.0)) > 0.9 * beside


def test_a_probe_off_the_skin_sees_nothing(liver: Acoustics) -> None:
    image = simulate(liver, FAN, pose(press_mm=-30.0), SIZE_PX)
    assert image[200:350, 200:310].mean() < 6.0
    gel = simulate(liver, FAN, pose(press_mm=-3.0), SIZE_PX)
    assert gel[200:350, 200:310].mean() > 60.0


def test_black_outside_the_fan_and_darker_with_less_gain(liver: Acoustics) -> None:
    image = simulate(liver, FAN, pose(), SIZE_PX)
    v, u = np.mgrid[0:512, 0:512]
    across, depth_mm = FAN.beam_coordinates(np.stack([u, v], axis=-1))
    outside = (across < 0) | (across > 1) | (depth_mm < 0) | (depth_mm > FAN.depth_mm)
    assert image[outside].max() == 0
    less = simulate(liver, FAN, pose(), SIZE_PX, Settings(gain_db=-6.0))
    lost = (image.astype(float) - less)[170:330, 200:310].mean()
    assert lost == pytest.approx(6.0 * 255.0 / Settings().range_db, abs=3.0)


def test_higher_frequency_reaches_less_deep(liver: Acoustics) -> None:
    def deep(mhz: float) -> float:
        settings = Settings(frequency_mhz=mhz, tgc_loss=0.0)
        place = pose()
        return grey_at(simulate(liver, FAN, place, SIZE_PX, settings), place, at(60.0))

    # 0.45 dB / cm / MHz there and back, 6 cm, 1 MHz more; the noise floor is far below.
    fall_db = (deep(2.0) - deep(3.0)) * Settings().range_db / 255.0
    assert fall_db == pytest.approx(2.0 * LIVER.loss * 6.3, abs=1.5)


def test_a_linear_probe_sees_a_rib_where_it_is() -> None:
    fan = LinearFan((100.0, 10.0), (MM, MM), 110.0, 90.0)
    acoustics = block((2, (15.0, SURFACE_MM + 30.0, 0.0), (6.0, 4.0, 60.0)))
    place = pose(fan=fan)
    image = simulate(acoustics, fan, place, SIZE_PX).astype(float)
    columns = image[200:240, 100:400].mean(axis=0)
    dark = np.flatnonzero(ndimage.uniform_filter1d(columns, 9) < 0.5 * np.median(columns)) + 100
    middle_px = np.linalg.solve(place, (15.0, 0.0, 0.0, 1.0))[0]
    assert dark.mean() == pytest.approx(middle_px, abs=4.0)
    assert len(dark) * MM == pytest.approx(12.0, abs=4.0)


def test_labels_decide_and_gas_and_bone_win() -> None:
    volume, labels = volumes((3, (0.0, 0.0, 0.0), (9.0, 9.0, 60.0)))
    blood = code_at(prepare_acoustics(volume, labels), np.zeros(3))
    assert SCATTER_LOW_DB + SCATTER_STEP_DB * blood[1] < -40.0
    assert HU_LOW + HU_STEP * blood[3] == pytest.approx(170.0, abs=2.0)
    hu = np.array(volume.voxels)
    hu[58, 50, 20:24], hu[58, 50, 90:94] = -900, 900
    changed = type(volume)(hu, volume.ct_from_voxel, "changed", volume.description)
    codes = prepare_acoustics(changed, labels, grid_mm=2.0).codes.astype(float)
    plain = prepare_acoustics(volume, labels, grid_mm=2.0).codes.astype(float)
    # The liver is smoothed to find its vessels, so single bright voxels are softened.
    assert codes[58, 50, 22, 2] > plain[58, 50, 22, 2] + 20.0
    assert (codes[58, 50, 92, 0] - plain[58, 50, 92, 0]) * LOG_Z_STEP > 0.03


def test_an_enhanced_vessel_the_labels_call_liver_is_found_by_its_number() -> None:
    volume, labels = volumes((3, (0.0, 0.0, 0.0), (7.0, 7.0, 60.0)))
    merged = np.where(labels.voxels == 3, 1, labels.voxels).astype(np.uint8)
    acoustics = prepare_acoustics(volume, LabelMap(merged, labels.ct_from_voxel, {1: "liver"}))
    assert SCATTER_LOW_DB + SCATTER_STEP_DB * code_at(acoustics, np.zeros(3))[1] < -35.0
    beside = code_at(acoustics, np.array([40.0, 0.0, 0.0]))
    assert SCATTER_LOW_DB + SCATTER_STEP_DB * beside[1] == pytest.approx(0.0, abs=1.0)


def test_refusals(liver: Acoustics) -> None:
    volume, labels = volumes()
    far = np.array(labels.ct_from_voxel)
    far[:3, 3] += 5000.0
    with pytest.raises(ImagingError, match="outside the CT"):
        prepare_acoustics(volume, LabelMap(labels.voxels, far, {1: "liver"}))
    with pytest.raises(RegistrationError, match="find the fan again"):
        simulate(liver, FAN, pose() @ np.diag([1.1, 1.1, 1.1, 1.0]), SIZE_PX)


def test_a_frame_is_quick(liver: Acoustics) -> None:
    """Measured 4 ms of processor time; 20 allow for a busy machine."""
    simulate(liver, FAN, pose(), SIZE_PX)
    spans = []
    for _ in range(15):
        begun = time.process_time()
        simulate(liver, FAN, pose(), SIZE_PX)
        spans.append(time.process_time() - begun)
    assert np.median(spans) < 0.020
