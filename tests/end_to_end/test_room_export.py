"""Calibrations into Plus device sets, and back as a room file."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from ir_nav.session.room import read_room
from ir_nav.tracking.plus_device_set import read_device_set
from tests.end_to_end.plus_rooms import plus, run

pytestmark = pytest.mark.end_to_end

PIVOT = {
    "format": 1,
    "needle_from_tip": [
        [1.0, 0.0, 0.1, 0.1 + 0.2],
        [0.0, -1.0, 0.0, 1 / 3],
        [0.1, 0.0, -1.0, -88.5321],
        [0.0, 0.0, 0.0, 1.0],
    ],
    "error_mm": {"mean": 0.42},
    "accepted": True,
    "reason": None,
}


def written(folder: Path, document: object) -> Path:
    path = folder / "calibration.json"
    path.write_text(json.dumps(document))
    return path


def test_a_pivot_goes_there_and_back_and_nothing_else_changes(tmp_path: Path) -> None:
    source, new = plus("PlusDeviceSet_Server_NDIPolaris.xml"), tmp_path / "new.xml"
    calibration = written(tmp_path, PIVOT)
    done = run(
        "room", "export-plus", calibration, "--tool", "Stylus", "--into", source, "--out", new
    )
    assert done.code == 0, done.err
    found = read_device_set(new).transform("StylusTip", "Stylus")
    np.testing.assert_array_equal(found, np.array(PIVOT["needle_from_tip"]))
    before, after = source.read_bytes(), new.read_bytes()
    start = before.index(b'<Transform From="StylusTip"')
    rest = before[before.index(b"/>", start) + 2 :]
    assert after[:start] == before[:start]
    assert after.endswith(rest)
    element = next(ET.fromstring(after).iter("Transform"))
    assert element.get("Error") == "0.42"
    again = tmp_path / "room.toml"
    run("room", "import-plus", new, "--out", again)
    assert f'# "StylusTip to Stylus" = {json.dumps(found.tolist())}' in again.read_text()


def test_a_probe_goes_there_and_back(tmp_path: Path) -> None:
    source = plus("Testing", "PlusDeviceSet_OpenIGTLinkTestServer.xml")
    new, out = tmp_path / "new.xml", tmp_path / "room.toml"
    matrix = [[0.0, 0.1, 0.0, 1.5], [-0.1, 0.0, 0.0, 2.5], [0.0, 0.0, 0.1, 3.5], [0, 0, 0, 1.0]]
    error = {"calibration": {"mean": 0.7}, "validation": {"mean": 0.6}}
    document = {"format": 1, "probe_from_image": matrix, "error_mm": error, "accepted": True}
    calibration = written(tmp_path, document)
    run("room", "export-plus", calibration, "--tool", "Probe", "--into", source, "--out", new)
    assert b'Error="0.6"' in new.read_bytes()
    run("room", "import-plus", new, "--out", out, "--depth-mm", "60")
    room = read_room(out)
    assert room.ultrasound is not None
    np.testing.assert_array_equal(room.ultrasound.matrix, np.array(matrix))


@pytest.mark.parametrize(
    "text",
    [
        "<P>\n  <CoordinateDefinitions>\n  </CoordinateDefinitions>\n</P>",
        "<P>\r\n  <CoordinateDefinitions/>\r\n</P>",
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<P a=">">\n<!-- é -->\n</P>\n',
    ],
)
def test_a_new_transform_is_put_among_the_definitions(tmp_path: Path, text: str) -> None:
    source, new = tmp_path / "set.xml", tmp_path / "new.xml"
    source.write_bytes(text.encode("latin-1"))
    calibration = written(tmp_path, PIVOT)
    done = run("room", "export-plus", calibration, "--tool", 'N"1', "--into", source, "--out", new)
    assert done.code == 0, done.err
    assert ('N"1Tip', 'N"1') in read_device_set(new).transforms
    (definitions,) = ET.fromstring(new.read_bytes()).iter("CoordinateDefinitions")
    assert len(definitions) == 1
    assert text.encode("latin-1").rsplit(b"</P>")[1] == new.read_bytes().rsplit(b"</P>")[1]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (PIVOT | {"accepted": False, "reason": "turned by 3°"}, "was refused (turned by 3°)"),
        ({"format": 2}, "not a calibration of format 1"),
        ({"format": 1, "accepted": True}, "neither a pivot's nor a probe's"),
        (PIVOT | {"needle_from_tip": [[1, 2], [3]]}, "not 4x4 numbers"),
        ([1], "not a calibration"),
    ],
)
def test_what_is_no_accepted_calibration_is_not_exported(
    tmp_path: Path, document: object, words: str
) -> None:
    new = tmp_path / "new.xml"
    source = plus("PlusDeviceSet_Server_NDIPolaris.xml")
    calibration = written(tmp_path, document)
    done = run("room", "export-plus", calibration, "--tool", "S", "--into", source, "--out", new)
    assert done.code == 1
    assert words in done.err
    assert not new.exists()


def test_a_second_way_between_two_frames_is_refused(tmp_path: Path) -> None:
    source = plus("Testing", "PlusDeviceSet_OpenIGTLinkCommandsTest.xml")
    calibration = written(
        tmp_path, {"format": 1, "probe_from_image": np.eye(4).tolist(), "accepted": True}
    )
    new = tmp_path / "new.xml"
    done = run(
        "room", "export-plus", calibration, "--tool", "Probe", "--into", source, "--out", new
    )
    assert done.code == 1
    assert "through other transforms" in done.err
