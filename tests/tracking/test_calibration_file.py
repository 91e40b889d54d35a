"""Calibrations written to files come back as they were, and bad files are refused in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ir_nav.tracking.calibration import DelayCalibration, PivotCalibration, calibrate_pivot
from ir_nav.tracking.calibration.calibration_file import (
    CalibrationKind,
    read_calibration,
    stamped,
    write_calibration,
)
from ir_nav.tracking.calibration.delay import delay_json
from ir_nav.tracking.calibration.landmark_recording import PhantomRegistration, match_phantom
from ir_nav.tracking.calibration.nwire import calibrate_probe
from ir_nav.tracking.calibration.phantom import read_phantom
from ir_nav.tracking.calibration.phantom_json import phantom_json
from ir_nav.tracking.calibration.pivot_json import pivot_json
from ir_nav.tracking.calibration.probe_result import ProbeCalibration, probe_calibration_json
from ir_nav.tracking.calibration.result import CalibrationError, ErrorStatistics, Rejection
from tests.tracking.nwire_scene import PHANTOM, scene
from tests.tracking.poses import pivoting

LANDMARKS = np.array([[104.3, 5, 20], [104.3, 45, 20], [104.3, 45, 0], [-34.3, -5, 20.0]])


def pivot_document() -> dict[str, Any]:
    poses = pivoting(np.array([0.0, 4.0, 150.0]), np.array([30.0, -250.0, 1100.0]))
    poses[:, :3, 3] += np.random.default_rng(2).normal(0.0, 0.2, (len(poses), 3))
    found = pivot_json(calibrate_pivot(poses), np.arange(len(poses)))
    return stamped(found, CalibrationKind.PIVOT, "Stylus", 1_700_000_000.25)


def probe_document(tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "phantom.json"
    path.write_text(json.dumps(PHANTOM))
    phantom = read_phantom(path)
    made = scene(phantom, 30, 3, noise_px=0.5, pose_noise_mm=0.1)
    found = calibrate_probe(made.wires_px, made.reference_from_probe, phantom)
    assert found.accepted
    return stamped(probe_calibration_json(found), CalibrationKind.PROBE, "Probe")


def delay_document() -> dict[str, Any]:
    error = ErrorStatistics(0.004, 0.005, 0.009, 0.004)
    left_out = (Rejection(3, "no line in the image"),)
    found = DelayCalibration(-0.0648, error, 0.002, 0.99, 20.0, 150.0, 7.5, 180, left_out, None)
    return stamped(delay_json(found), CalibrationKind.DELAY, "Probe")


def phantom_document() -> dict[str, Any]:
    found = match_phantom(LANDMARKS, LANDMARKS + np.array((5.0, 6.0, 7.0)))
    return stamped(phantom_json(found, ("#1", "#2", "#3", "#4")), CalibrationKind.PHANTOM, "R")


def test_each_kind_comes_back_as_it_was(tmp_path: Path) -> None:
    documents = [pivot_document(), probe_document(tmp_path), delay_document(), phantom_document()]
    files = []
    for number, document in enumerate(documents):
        path = tmp_path / "new" / f"{number}.json"
        write_calibration(path, document)
        files.append(read_calibration(path))
    pivot, probe, delay, phantom = (one.result for one in files)
    assert [str(one.kind) for one in files] == ["pivot", "probe", "delay", "phantom"]
    assert [one.tool for one in files] == ["Stylus", "Probe", "Probe", "R"]
    assert [one.made_s for one in files] == [1_700_000_000.25, None, None, None]
    assert isinstance(pivot, PivotCalibration)
    np.testing.assert_array_equal(pivot.tip_mm, documents[0]["tip_mm"])
    assert pivot.rms_mm == documents[0]["error_mm"]["rms"]
    assert pivot.accepted
    assert isinstance(probe, ProbeCalibration)
    assert probe_calibration_json(probe) == {
        key: value for key, value in documents[1].items() if key not in ("kind", "tool")
    }
    assert isinstance(delay, DelayCalibration)
    assert delay_json(delay) == {
        key: value for key, value in documents[2].items() if key not in ("kind", "tool")
    }
    assert isinstance(phantom, PhantomRegistration)
    np.testing.assert_allclose(phantom.reference_from_phantom[:3, 3], (5.0, 6.0, 7.0))
    assert not phantom.reference_from_phantom.flags.writeable


def test_a_file_of_before_without_its_kind_is_still_read(tmp_path: Path) -> None:
    document = delay_document()
    del document["kind"], document["tool"]
    write_calibration(tmp_path / "delay.json", document)
    found = read_calibration(tmp_path / "delay.json")
    assert (found.kind, found.tool) == (CalibrationKind.DELAY, None)


def changed(**changes: object) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda document: document | changes


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (changed(accepted=False, reason="too few"), r"was refused \(too few\)"),
        (changed(format=2), "format 2 is not known here"),
        (changed(tracker_lag_s=3.0), "3 s is no delay"),
        (changed(tracker_lag_s="early"), "tracker_lag_s"),
        (changed(probe_from_image=[]), "not a calibration of a pivot, probe, delay or phantom"),
        (lambda document: {"accepted": True, "format": 1}, "not a calibration of a pivot"),
        (lambda document: [1, 2], "not a calibration: choose a JSON file"),
    ],
)
def test_a_file_that_is_of_no_use_says_why(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    path = tmp_path / "delay.json"
    path.write_text(json.dumps(change(delay_document())))
    with pytest.raises(CalibrationError, match=words) as error:
        read_calibration(path)
    assert str(error.value).startswith(str(path))


def test_numbers_that_cannot_be_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    far = pivot_document() | {"tip_mm": [0.0, 0.0, 9000.0]}
    flat = probe_document(tmp_path)
    flat["probe_from_image"] = np.eye(4).tolist()
    turned = phantom_document()
    turned["reference_from_phantom"][0][0] = 3.0
    endless = json.dumps(delay_document()).replace("-0.0648", "NaN")
    for text, words in (
        (json.dumps(far), "9000 mm from the sensor"),
        (json.dumps(flat | {"probe_from_image": (5 * np.eye(4)).tolist()}), "no ultrasound image"),
        (json.dumps(turned), "reference_from_phantom"),
        (endless, "tracker_lag_s|not a calibration"),
        ("\0\1", "not a calibration"),
    ):
        path.write_text(text)
        with pytest.raises(CalibrationError, match=words):
            read_calibration(path)
    with pytest.raises(CalibrationError, match="cannot be read"):
        read_calibration(tmp_path / "none.json")


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(CalibrationError, match="cannot be written"):
        write_calibration(blocked / "delay.json", delay_document())
