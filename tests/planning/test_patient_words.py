"""What the operator at the scanner is told: sides, places and the gantry's tilt."""

from __future__ import annotations

import re

import numpy as np
import pytest

from ir_nav.geometry import unit
from ir_nav.imaging import Volume, VolumeInfo
from ir_nav.planning.patient_words import along_axes, gantry_words, place_words, side_words


@pytest.mark.parametrize(
    ("direction", "words"),
    [
        ((0.0, 1.0, 0.0), "No tilt: the path lies in one axial slice"),
        ((0.6, 0.8, 0.0), "No tilt: the path lies in one axial slice"),
        ((0.0, 0.96, 0.28), "Tilt 16°, the slice's front edge toward the feet"),
        ((0.0, -0.96, -0.28), "Tilt 16°, the slice's front edge toward the feet"),
        ((0.3, 0.9, -0.3), "Tilt 18°, the slice's front edge toward the head"),
        ((0.0, 0.6, 0.8), "The path leaves the axial slice: a tilt of 53° is beyond any gantry"),
    ],
)
def test_the_gantry_is_told_how_to_lean(direction: tuple[float, float, float], words: str) -> None:
    assert gantry_words(np.array(direction)) == words


def test_a_slice_tilted_as_told_holds_the_path() -> None:
    rng = np.random.default_rng(3)
    for direction in rng.normal(size=(200, 3)) * (1.0, 1.0, 0.3):
        way = unit(direction)
        found = re.match(r"Tilt (\d+)°, the slice's front edge toward the (\w+)", gantry_words(way))
        if found is None:
            continue
        tilt = np.radians(float(found.group(1)))
        # The front edge goes to -y, and with the tilt to -z (feet) or +z (head).
        down = -1.0 if found.group(2) == "feet" else 1.0
        front = np.array([0.0, -np.cos(tilt), down * np.sin(tilt)])
        normal = np.cross((1.0, 0.0, 0.0), front)
        assert abs(float(normal @ way)) < np.sin(np.radians(0.6))


def test_the_side_comes_from_the_header_or_from_the_target() -> None:
    def volume(laterality: str | None) -> Volume:
        info = VolumeInfo(laterality=laterality)
        affine = np.diag([2.0, 2.0, 2.0, 1.0])
        return Volume(np.zeros((3, 101, 101), np.int16), affine, "ct", info)

    right, left, middle = (np.array([x, 0.0, 0.0]) for x in (40.0, 160.0, 104.0))
    assert side_words(volume("L"), right) == "LEFT"
    assert side_words(volume("B"), None) == "BOTH SIDES"
    assert side_words(volume(None), right) == "RIGHT"
    assert side_words(volume(None), left) == "LEFT"
    assert side_words(volume(None), middle) == "MIDLINE"
    assert side_words(volume(None), None) == ""


def test_places_have_letters() -> None:
    assert place_words((-83.4, 6.0, -7.6)) == "R 83 · P 6 · F 8 mm"


def test_the_view_along_a_path_holds_it() -> None:
    for direction in np.random.default_rng(1).normal(size=(50, 3)):
        way = unit(direction)
        right, down = along_axes(way)
        assert abs(float(np.cross(right, down) @ way)) < 1e-9
        assert abs(float(right @ down)) < 1e-9
