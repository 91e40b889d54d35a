"""The tracker's delay: on PLUS's water tank, and on motions whose lag is known."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import cv2
import numpy as np
import pytest

from devices.recordings import read_recording
from ir_nav.tracking.calibration import CalibrationError, DelayCalibration, calibrate_delay
from ir_nav.tracking.calibration.delay import delay_json
from ir_nav.tracking.calibration.water_tank import find_bottom_line
from ir_nav.tracking.recorded_track import recorded_track
from tests.data import data_path

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def tank() -> Arrays:
    """Image times and line heights, tracker times and places."""
    video = read_recording(data_path("plus", "WaterTankBottomTranslationVideoBuffer.igs.mha"))
    lines = [find_bottom_line(f.pixels) for f in video.frames if f.pixels is not None]
    heights = np.array([np.nan if line is None else line.height_px for line in lines])
    name = "WaterTankBottomTranslationTrackerBuffer-trimmed.igs.mha"
    track = recorded_track(read_recording(data_path("plus", name)), "Probe")
    assert track.unseen == ()
    times = np.array([frame.time_s for frame in video.frames])
    return times, heights, track.times_s, track.poses[:, :3, 3]


def test_the_bottom_is_found_where_plus_found_it(tank: Arrays) -> None:
    """Its height in the middle column of every frame."""
    root = ET.parse(data_path("plus", "LineSegmentationResultsBaseline.xml")).getroot()
    expected = []
    for frame in root.iter("Frame"):
        u, v = (float(x) for x in frame.attrib["LineOriginPointPx"].split())
        du, dv = (float(x) for x in frame.attrib["LineDirectionVectorPx"].split())
        expected.append(v + (410.0 - u) / du * dv)
    off = np.abs(tank[1] - expected)
    assert len(off) == 201
    assert np.median(off) < 1.0
    assert off.max() < 5.0


def test_the_tracker_leads_as_plus_says(tank: Arrays) -> None:
    root = ET.parse(data_path("plus", "TemporalCalibrationResultsBaseline.xml")).getroot()
    expected_s = float(root.attrib["TrackerLagSec"])
    assert expected_s == pytest.approx(-0.0648, abs=1e-4)
    found = calibrate_delay(*tank)
    assert found.reason is None
    assert found.tracker_lag_s == pytest.approx(expected_s, abs=0.002)
    assert found.correlation > 0.97
    assert found.periods > 10
    assert found.error_s is not None
    assert found.lag_error_s is not None
    assert abs(found.tracker_lag_s - expected_s) < 2.0 * found.lag_error_s < 0.02
    assert found.error_s.max < 0.06
    written = delay_json(found)
    assert json.loads(json.dumps(written, allow_nan=False)) == written


@pytest.mark.parametrize("half", [slice(0, 100), slice(100, 201)])
def test_each_half_of_the_recording_agrees_within_five_ms(tank: Arrays, half: slice) -> None:
    found = calibrate_delay(tank[0][half], tank[1][half], *tank[2:])
    assert found.tracker_lag_s == pytest.approx(-0.0648, abs=0.005)


def moving(
    lag_s: float,
    *,
    amplitude_mm: float = 12.0,
    period_s: float = 2.0,
    length_s: float = 20.0,
    noise: float = 0.05,
    seed: int = 1,
    uneven: float = 1.0,
) -> Arrays:
    """The same uneven up and down seen by both; a tracker's timestamp is later by lag_s."""
    rng = np.random.default_rng(seed)
    rates = 2.0 * np.pi / period_s * np.array([1.0, 0.53, 0.21])
    phases = rng.uniform(0.0, 2.0 * np.pi, 3)

    def height(times_s: np.ndarray) -> np.ndarray:
        return np.cos(rates * times_s[:, None] + phases) @ (1.0, 0.35 * uneven, 0.2 * uneven)

    images = 100.0 + np.arange(1.0, length_s - 1.0, 0.08) + rng.normal(0, 0.003, 1)
    poses = 100.0 + np.arange(0.0, length_s, 0.02)
    pixels = 200.0 - 10.0 * amplitude_mm * height(images) + rng.normal(0, 10 * noise, len(images))
    along = amplitude_mm * height(poses - lag_s)
    places = along[:, None] * (0.36, 0.48, -0.8) + rng.normal(0, noise, (len(poses), 3))
    return images, pixels, poses, places


@pytest.mark.parametrize("lag_s", [-0.31, -0.0648, 0.0, 0.0123, 0.27])
@pytest.mark.parametrize("seed", range(3))
def test_a_known_lag_is_found_to_the_ms_with_its_sign(lag_s: float, seed: int) -> None:
    found = calibrate_delay(*moving(lag_s, seed=seed))
    assert found.reason is None
    assert found.tracker_lag_s == pytest.approx(lag_s, abs=0.001)
    assert found.error_s is not None
    assert found.error_s.max < 0.01


def test_images_without_a_line_and_gaps_are_left_out_with_the_reason() -> None:
    images, pixels, poses, places = moving(0.05)
    pixels[[10, 40]] = np.nan
    kept = (poses < 108.0) | (poses > 109.0)
    found = calibrate_delay(images, pixels, poses[kept], places[kept])
    assert found.tracker_lag_s == pytest.approx(0.05, abs=0.003)
    reasons = {one.index: one.reason for one in found.rejected}
    assert reasons[10] == reasons[40] == "no line in the image"
    assert sum("gap of 1.0 s" in reason for reason in reasons.values()) in (12, 13)
    assert found.used == len(images) - len(found.rejected)


def unrelated() -> Arrays:
    images, pixels, _, _ = moving(0.0, seed=1)
    _, _, poses, places = moving(0.0, period_s=3.1, seed=9)
    return images, pixels, poses, places


def shortened(count: int) -> Arrays:
    images, pixels, poses, places = moving(0.0)
    return images[:count], pixels[:count], poses, places


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        (moving(0.0, amplitude_mm=2.0, noise=0.01), r"moved only \d\.\d mm: move it by 8 mm"),
        (moving(0.0, length_s=6.0), r"only \d(\.5)? up-and-down motions: make 3 or more"),
        (unrelated(), r"agree with 0\.\d\d only, below 0\.9"),
        (moving(0.62), r"edge of the search|agree with|fits as well"),
        (moving(-0.52), r"edge of the search|agree with|fits as well"),
        (moving(0.02, period_s=0.5, uneven=0.0), r"fits as well as .*: move more slowly"),
        (shortened(29), "only 29 images can be used, 30 are needed"),
    ],
)
def test_each_refusal_says_what_to_do(arrays: Arrays, words: str) -> None:
    found = calibrate_delay(*arrays)
    assert not found.accepted
    assert found.tracker_lag_s is None
    assert re.search(words, str(found.reason)), found.reason
    assert json.dumps(delay_json(found), allow_nan=False)


def test_recordings_of_different_times_are_refused() -> None:
    images, pixels, poses, places = moving(0.0)
    found = calibrate_delay(images + 500.0, pixels, poses, places)
    assert "no poses within 0.5 s around the image" in str(found.reason)
    with pytest.raises(CalibrationError, match="times do not rise"):
        calibrate_delay(images[::-1], pixels, poses, places)
    with pytest.raises(CalibrationError, match="images at"):
        calibrate_delay(images[:-1], pixels, poses, places)
    assert isinstance(found, DelayCalibration)


def tank_picture(height: float, slope: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    picture = np.zeros((480, 640), np.float32)
    ends = [(u, height + slope * (u - 320)) for u in (80, 560)]
    (u0, v0), (u1, v1) = [(round(16 * u), round(16 * v)) for u, v in ends]
    cv2.line(picture, (u0, v0), (u1, v1), 150.0, 7, cv2.LINE_AA, 4)
    picture = cv2.GaussianBlur(picture, (0, 0), 2.0) * rng.uniform(0.4, 1.0, picture.shape)
    picture += rng.rayleigh(4.0, picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("height", "slope"), [(60.0, 0.0), (240.4, 0.25), (400.7, -0.4)])
def test_a_drawn_line_is_found_to_half_a_pixel(height: float, slope: float) -> None:
    picture = tank_picture(height, slope)
    cv2.circle(picture, (500, 100), 12, 255, -1)
    found = find_bottom_line(picture)
    assert found is not None
    assert found.height_px == pytest.approx(height, abs=0.5)
    assert found.slope == pytest.approx(slope, abs=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_no_line(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert find_bottom_line(np.zeros((480, 640), np.uint8)) is None
    assert find_bottom_line(rng.integers(0, 255, (480, 640), dtype=np.uint8)) is None
