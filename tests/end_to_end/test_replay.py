"""A recorded sweep played through the network path."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from devices.contract import PoseSample, PoseStatus
from devices.recordings import read_recording
from ir_nav.recording import NeedleLog, Shown, read_poses
from tests.data import data_path
from tests.end_to_end.running import ir_nav

pytestmark = pytest.mark.end_to_end

CONFIG = ("config", "Testing", "PlusDeviceSet_VolumeReconstructionOnly_SpinePhantom_NN_MEAN.xml")
IMAGE_TO_PROBE = np.array(
    [
        [-0.00157821, 0.0785919, -0.00803285, 15.3978],
        [-0.0839128, 0.00372697, 0.0153803, 49.5705],
        [0.0159024, 0.00714276, 0.0803604, -8.63446],
        [0.0, 0.0, 0.0, 1.0],
    ]
)


def test_every_frame_of_the_spine_sweep_is_shown_at_its_pose(tmp_path: Path) -> None:
    path = data_path("plus", "SpinePhantomFreehand.igs.mha")
    done = ir_nav(
        "replay", path, "--headless", "--out", tmp_path, "--calibration", data_path("plus", *CONFIG)
    )
    assert done.returncode == 0, done.stderr
    shown = json.loads((tmp_path / "frames.json").read_text())["frames"]
    recorded = read_recording(path).frames
    assert len(shown) == len(recorded) == 21
    for found, frame in zip(shown, recorded, strict=True):
        probe = frame.poses["ProbeToTracker"].matrix
        reference = frame.poses["ReferenceToTracker"].matrix
        expected = np.linalg.inv(reference) @ probe @ IMAGE_TO_PROBE
        got = np.array(found["reference_from_image"])
        # The third column only says which way the image faces.
        np.testing.assert_allclose(got[:, [0, 1, 3]], expected[:, [0, 1, 3]], atol=2e-3)
        assert found["mean"] == pytest.approx(float(frame.pixels.mean()), abs=1e-6)
    assert (tmp_path / "screens" / "replay.png").stat().st_size > 20_000


def test_a_needle_log_plays_into_a_new_log_with_the_same_poses(tmp_path: Path) -> None:
    """Two seconds at 60 Hz, twice as fast: what arrives is what was logged."""
    path = tmp_path / "procedure.irlog"
    with NeedleLog(path) as log:
        for step in range(120):
            matrix = np.eye(4)
            matrix[0, 3] = step
            time_s = 1_700_000_000.0 + step / 60
            log.sample(PoseSample("NeedleToTracker", matrix, PoseStatus.OK, time_s, time_s))
            log.shown(Shown(time_s, "no plan", None, None, None, None, None, None, None, None))
    out = tmp_path / "out"
    done = ir_nav("replay", path, "--headless", "--speed", "2", "--out", out)
    assert done.returncode == 0, done.stderr
    assert (out / "screens" / "replay.png").stat().st_size > 20_000
    (again,) = out.glob("replay-*.irlog")
    played = read_poses(again, "NeedleToTracker")
    steps = played.matrices[:, 0, 3]
    np.testing.assert_array_equal(steps, np.arange(120.0))


def test_a_file_that_is_no_recording_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "notes.igs.mha"
    path.write_text("nothing")
    done = ir_nav("replay", path, "--headless", "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "not a MetaImage sequence" in done.stderr
