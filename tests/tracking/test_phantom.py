"""Phantom geometry: our JSON, Plus device sets, and files that must be refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ir_nav.tracking.calibration.phantom import MAX_FILE_BYTES, read_phantom
from ir_nav.tracking.calibration.result import CalibrationError
from tests.data import data_path
from tests.tracking.nwire_scene import PHANTOM

SETUP = ("plus", "config", "PlusDeviceSet_fCal_Sim_SpatialCalibration_2.0.xml")


def written(folder: Path, content: Any, name: str = "phantom.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def changed(**changes: Any) -> dict[str, Any]:
    return json.loads(json.dumps(PHANTOM)) | changes


def with_wire(pattern: int, wire: int, **changes: Any) -> dict[str, Any]:
    content = changed()
    content["patterns"][pattern]["wires"][wire] |= changes
    return content


def test_our_json_and_the_plus_device_set_are_the_same_phantom(tmp_path: Path) -> None:
    plus = read_phantom(data_path(*SETUP))
    ours = read_phantom(written(tmp_path, PHANTOM))
    assert plus.names == ours.names
    assert plus.patterns == ours.patterns == 3
    np.testing.assert_array_equal(plus.wires_mm, ours.wires_mm)
    np.testing.assert_array_equal(plus.crossings_mm, ours.crossings_mm)
    np.testing.assert_array_equal(plus.reference_from_phantom, ours.reference_from_phantom)


def test_diagonals_cross_the_lines_of_their_side_wires(tmp_path: Path) -> None:
    phantom = read_phantom(written(tmp_path, PHANTOM))
    np.testing.assert_allclose(phantom.crossings_mm[0], [(30, 50, 20), (60, -10, 20)], atol=1e-9)
    np.testing.assert_allclose(phantom.crossings_mm[1], [(30, -10, 10), (60, 50, 10)], atol=1e-9)
    assert not phantom.wires_mm.flags.writeable


def test_a_phantom_not_registered_has_no_pose_until_it_is(tmp_path: Path) -> None:
    content = changed()
    del content["reference_from_phantom"]
    phantom = read_phantom(written(tmp_path, content))
    assert phantom.reference_from_phantom is None
    np.testing.assert_array_equal(phantom.registered(np.eye(4)).reference_from_phantom, np.eye(4))
    with pytest.raises(CalibrationError, match=r"scaled or sheared.*register"):
        phantom.registered(np.diag((2.0, 1.0, 1.0, 1.0)))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match=r"absent\.json: cannot be read"):
        read_phantom(tmp_path / "absent.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "Invalid JSON"),
        (changed(format=2), "format: Input should be 1"),
        (changed(colour="red"), "colour: is not known here"),
        (changed(patterns=PHANTOM["patterns"][:1]), "at least 2 are needed"),
        (changed(patterns=[]), "patterns"),
        (with_wire(0, 1, name="7:G1_g1"), "two wires have the same name"),
        (with_wire(0, 1, front_mm=[55.0, 0.0]), "front_mm"),
        (with_wire(0, 1, front_mm=["55", 0.0, 20.0]), "front_mm"),
        (with_wire(0, 1, front_mm=[float("nan"), 0.0, 20.0]), "front_mm"),
        (with_wire(0, 1, front_mm=[55.0, 0.0, 14.0]), "8:L1_h1.*do not lie in one plane"),
        (with_wire(0, 1, front_mm=[35.0, 0.0, 20.0]), "runs along a side wire"),
        (with_wire(0, 0, back_mm=[30.0, 1.0, 20.0]), "shorter than 5 mm"),
        (with_wire(1, 2, back_mm=[30.0, -10.0, 10.0]), "cross in one point"),
        (changed(reference_from_phantom=[[2, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
         "not orthonormal.*register the phantom"),
    ],
)  # fmt: skip
def test_a_bad_json_is_refused_with_what_is_wrong(
    tmp_path: Path, content: Any, message: str
) -> None:
    with pytest.raises(CalibrationError, match=message):
        read_phantom(written(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<PlusConfiguration>", "not well-formed"),
        ("<PlusConfiguration/>", "no PhantomDefinition"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><PlusConfiguration/>', "holds a DTD.*remove"),
        ('<a><PhantomDefinition><Pattern Type="CIRS"/></PhantomDefinition></a>', "only NWire"),
        ('<a><PhantomDefinition><Pattern Type="NWire"><Wire Name="w" EndPointFront="1 2"/>'
         "</Pattern></PhantomDefinition></a>", "EndPointFront of w is not 3 numbers"),
        ('<a><PhantomDefinition><Pattern Type="NWire"/></PhantomDefinition></a>', "patterns.0"),
    ],
)  # fmt: skip
def test_a_bad_device_set_is_refused_with_what_is_wrong(
    tmp_path: Path, content: str, message: str
) -> None:
    with pytest.raises(CalibrationError, match=message):
        read_phantom(written(tmp_path, content, "set.xml"))


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    picture = tmp_path / "phantom.png"
    picture.write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(CalibrationError, match="UTF-8"):
        read_phantom(picture)
    picture.write_bytes(b" " * (MAX_FILE_BYTES + 1))
    with pytest.raises(CalibrationError, match="too large"):
        read_phantom(picture)


def test_landmarks_come_from_json_and_from_the_plus_device_set(tmp_path: Path) -> None:
    plus = read_phantom(data_path(*SETUP))
    assert plus.landmark_names == tuple(f"#{number}" for number in range(1, 9))
    np.testing.assert_array_equal(plus.landmarks_mm[3], (104.3, -5.0, 0.0))
    named = [
        {"name": name, "phantom_mm": list(map(float, place))}
        for name, place in zip(plus.landmark_names, plus.landmarks_mm, strict=True)
    ]
    ours = read_phantom(written(tmp_path, changed(landmarks=named)))
    assert ours.landmark_names == plus.landmark_names
    np.testing.assert_array_equal(ours.landmarks_mm, plus.landmarks_mm)
    assert read_phantom(written(tmp_path, PHANTOM)).landmarks_mm.shape == (0, 3)
    with pytest.raises(CalibrationError, match="two landmarks have the same name"):
        read_phantom(written(tmp_path, changed(landmarks=[named[0], named[0]])))
    with pytest.raises(CalibrationError, match=r"landmarks\.0\.phantom_mm"):
        read_phantom(written(tmp_path, changed(landmarks=[{"name": "#1", "phantom_mm": [1.0]}])))
