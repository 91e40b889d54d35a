"""Wires found in simulated images; images without them refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ir_nav.tracking.calibration.nwire_segmentation import (
    Corner,
    Refused,
    WirePattern,
    find_all_wires,
    find_wires,
)
from ir_nav.tracking.calibration.phantom import Phantom, read_phantom
from ir_nav.tracking.calibration.result import CalibrationError
from tests.tracking.nwire_scene import MM_PER_PX, PHANTOM, SIZE_PX, picture, scene, upper_patterns

NOMINAL = 0.078


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Phantom:
    path: Path = tmp_path_factory.mktemp("phantom") / "phantom.json"
    path.write_text(json.dumps(PHANTOM))
    return read_phantom(path)


def reason(found: WirePattern | Refused) -> str:
    assert isinstance(found, Refused)
    return found.reason


@pytest.mark.parametrize(("speckle", "within_px"), [(0.0, 0.3), (20.0, 2.0)])
def test_wires_are_found_where_they_are(phantom: Phantom, speckle: float, within_px: float) -> None:
    rng = np.random.default_rng(5)
    for truth in scene(phantom, 12, 5).wires_px:
        found = find_wires(picture(truth, rng, speckle=speckle), phantom, NOMINAL)
        assert isinstance(found, WirePattern)
        assert np.linalg.norm(found.wires_px - truth, axis=1).max() < within_px
        assert found.rms_mm < 0.2
        np.testing.assert_allclose(found.mm_per_px, MM_PER_PX, rtol=0.04)


def test_other_bright_spots_do_not_lead_astray(phantom: Phantom) -> None:
    rng = np.random.default_rng(6)
    truths = scene(phantom, 20, 6).wires_px
    right = 0
    for truth in truths:
        found = find_wires(picture(truth, rng, speckle=10.0, clutter=6), phantom, NOMINAL)
        if isinstance(found, WirePattern):
            right += bool(np.linalg.norm(found.wires_px - truth, axis=1).max() < 6.0)
    assert right >= 17


def test_a_probe_held_the_other_way_round_keeps_each_wire_its_name(phantom: Phantom) -> None:
    rng = np.random.default_rng(7)
    truth = scene(phantom, 1, 7).wires_px[0]
    image = picture(truth, rng)
    last = np.array(SIZE_PX) - 1.0
    for flips in ((True, False), (False, True), (True, True)):
        turned = image[:: -1 if flips[1] else 1, :: -1 if flips[0] else 1]
        expected = np.where(flips, last - truth, truth)
        found = find_wires(turned, phantom, NOMINAL)
        assert isinstance(found, WirePattern)
        np.testing.assert_allclose(found.wires_px, expected, atol=0.5)


def test_a_phantom_alike_from_both_sides_needs_the_corner_of_its_first_wire(
    phantom: Phantom,
) -> None:
    double = upper_patterns(phantom, 2)
    truth = scene(phantom, 1, 8).wires_px[0][:6]
    image = picture(truth, np.random.default_rng(8))
    assert "another way round" in reason(find_wires(image, double, NOMINAL))
    found = find_wires(image, double, NOMINAL, first_wire=Corner.TOP_RIGHT)
    assert isinstance(found, WirePattern)
    np.testing.assert_allclose(found.wires_px, truth, atol=0.5)
    other = find_wires(image, double, NOMINAL, first_wire=Corner.TOP_LEFT)
    assert isinstance(other, WirePattern)
    np.testing.assert_allclose(other.wires_px[[2, 1, 0]], truth[:3], atol=0.5)


def test_images_without_the_phantom_are_refused(phantom: Phantom) -> None:
    rng = np.random.default_rng(9)
    nothing = np.zeros((0, 2))
    assert "0 bright spots" in reason(find_wires(picture(nothing, rng), phantom, NOMINAL))
    for _ in range(15):
        image = picture(nothing, rng, speckle=30.0, clutter=12)
        assert isinstance(find_wires(image, phantom, NOMINAL), Refused)


def test_an_image_that_lacks_one_wire_is_refused(phantom: Phantom) -> None:
    rng = np.random.default_rng(10)
    for index, truth in enumerate(scene(phantom, 18, 10).wires_px):
        image = picture(np.delete(truth, index % 9, axis=0), rng, speckle=10.0)
        assert isinstance(find_wires(image, phantom, NOMINAL), Refused)


def test_a_wrong_scale_is_refused(phantom: Phantom) -> None:
    image = picture(scene(phantom, 1, 11).wires_px[0], np.random.default_rng(11))
    for scale in (0.06, 0.11):
        assert isinstance(find_wires(image, phantom, scale), Refused)
    for scale in (0.0, float("nan"), -0.1):
        with pytest.raises(CalibrationError, match="is no scale"):
            find_wires(image, phantom, scale)


def test_a_colour_image_is_refused(phantom: Phantom) -> None:
    with pytest.raises(CalibrationError, match="not grey"):
        find_wires(np.zeros((616, 820, 3), np.uint8), phantom, NOMINAL)


def test_a_whole_recording_says_which_frames_gave_nothing(phantom: Phantom) -> None:
    truth = scene(phantom, 1, 12).wires_px[0]
    image = picture(truth, np.random.default_rng(12))
    wires_px, refused = find_all_wires([image, None, np.zeros_like(image)], phantom, NOMINAL)
    np.testing.assert_allclose(wires_px[0], truth, atol=0.5)
    assert np.isnan(wires_px[1:]).all()
    assert [one.index for one in refused] == [1, 2]
    assert refused[0].reason == "has no image"
