"""Poses of a tool out of a recording, and transforms out of a Plus device set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from devices.recordings import RecordingError, read_recording
from ir_nav.tracking.calibration import CalibrationError
from ir_nav.tracking.plus_device_set import read_device_set
from ir_nav.tracking.recorded_track import recorded_track
from tests.data import data_path
from tests.tracking.poses import pose
from tests.tracking.writing import write_poses

STYLUS = pose((10, 20, 30), (1.0, 2.0, 3.0))
REFERENCE = pose((-40, 5, 0), (50.0, 0.0, 7.0))


def test_a_tool_is_given_in_the_tracker_or_beside_the_reference(tmp_path: Path) -> None:
    frames = [{"StylusToTracker": STYLUS, "ReferenceToTracker": REFERENCE}] * 3
    recording = read_recording(write_poses(tmp_path / "a.igs.mha", frames))
    np.testing.assert_allclose(recorded_track(recording, "Stylus").poses[1], STYLUS, atol=1e-6)
    beside = recorded_track(recording, "Stylus", "Reference")
    np.testing.assert_allclose(beside.poses[2], np.linalg.inv(REFERENCE) @ STYLUS, atol=1e-6)
    assert beside.seen.all()
    np.testing.assert_allclose(np.diff(beside.times_s), 0.05, atol=1e-6)


def test_a_pose_recorded_in_the_reference_is_taken_as_it_is(tmp_path: Path) -> None:
    recording = read_recording(
        write_poses(tmp_path / "a.igs.mha", [{"StylusToReference": STYLUS}] * 2)
    )
    found = recorded_track(recording, "Stylus", "Reference")
    np.testing.assert_allclose(found.poses[0], STYLUS, atol=1e-6)


def test_frames_without_a_pose_are_named_with_the_reason(tmp_path: Path) -> None:
    frames = [{"StylusToTracker": STYLUS, "ReferenceToTracker": REFERENCE} for _ in range(4)]
    frames[1]["StylusToTracker"] = None
    frames[2]["ReferenceToTracker"] = None
    frames[3]["StylusToTracker"] = np.diag([2.0, 2.0, 2.0, 1.0])
    recording = read_recording(write_poses(tmp_path / "a.igs.mha", frames))
    found = recorded_track(recording, "Stylus", "Reference")
    assert found.seen.tolist() == [True, False, False, False]
    assert np.isnan(found.poses[1:]).all()
    reasons = {one.index: one.reason for one in found.unseen}
    assert reasons[1].startswith("Stylus: ")
    assert reasons[2].startswith("Reference: ")
    assert "not orthonormal" in reasons[3]
    with pytest.raises(RecordingError, match="has no NeedleToTracker, only ReferenceToTracker"):
        recorded_track(recording, "Needle")


def device_set(path: Path, body: str) -> Path:
    path.write_text(f"<PlusConfiguration>{body}</PlusConfiguration>", encoding="utf-8")
    return path


def transform(source: str, target: str, matrix: np.ndarray) -> str:
    numbers = " ".join(str(value) for value in matrix.ravel())
    return f'<Transform From="{source}" To="{target}" Matrix="{numbers}" />'


def test_transforms_are_chained_and_turned_round(tmp_path: Path) -> None:
    scale = np.diag([0.1, 0.1, 0.1, 1.0])
    found = read_device_set(
        device_set(
            tmp_path / "a.xml",
            "<!-- a comment -->"
            + transform("Image", "Middle", scale)
            + transform("Probe", "Middle", STYLUS),
        )
    )
    expected = np.linalg.inv(STYLUS) @ scale
    np.testing.assert_allclose(found.transform("Image", "Probe"), expected, atol=1e-9)
    with pytest.raises(CalibrationError, match="no Image to Tracker transform"):
        found.transform("Image", "Tracker")


def test_a_real_device_set_is_read() -> None:
    name = "PlusDeviceSet_fCal_Sim_SpatialCalibration_2.0.xml"
    found = read_device_set(data_path("plus", "config", name))
    assert found.mm_per_px == 0.078
    assert ("Phantom", "Reference") in found.transforms


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('<Transform From="A" To="B" Matrix="1 2 3"/>', "Matrix is not 16 numbers"),
        (transform("A", "B", np.zeros((4, 4))), "A to B cannot be inverted"),
        (transform("A", "B", np.full((4, 4), np.nan)), "cannot be inverted"),
        ("<Transform", "not a Plus device set"),
        ('<!DOCTYPE x [<!ENTITY a "b">]>', "DTD"),
    ],
)
def test_each_fault_of_a_device_set_is_told(tmp_path: Path, body: str, words: str) -> None:
    with pytest.raises(CalibrationError, match=words):
        read_device_set(device_set(tmp_path / "a.xml", body))


def test_a_device_set_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="cannot be read"):
        read_device_set(tmp_path / "none.xml")
