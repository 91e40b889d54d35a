"""Which frames of a recording show the CT's breath, as the command is told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from devices.recordings import read_recording
from ir_nav.cli import main
from ir_nav.commands.sweep_breathing import Breath, breath_levels
from ir_nav.geometry import rigid_inverse
from ir_nav.registration import RegistrationError
from tests.registration.test_ultrasound_registration import PROBE_FROM_IMAGE, write_inputs
from tests.registration.ultrasound_scene import make_scene, start_off
from tests.tracking.writing import write_poses

FRAMES, RATE_HZ, CYCLE_S, RISE_MM = 80, 10.0, 4.0, 6.0


def breath_mm() -> np.ndarray:
    """(FRAMES,): flat after breathing out, 6 mm up when drawn in."""
    times_s = np.arange(FRAMES) / RATE_HZ
    return RISE_MM * np.sin(np.pi * times_s / CYCLE_S) ** 4


def write_breathing(path: Path, rise_mm: np.ndarray) -> Path:
    poses = []
    for rise in rise_mm:
        reference = np.array(rigid_inverse(PROBE_FROM_IMAGE))
        reference[1, 3] -= rise
        poses.append({"ProbeToTracker": np.eye(4), "ReferenceToTracker": reference})
    return write_poses(path, poses, rate_hz=RATE_HZ)


def test_levels_follow_the_reference(tmp_path: Path) -> None:
    recording = read_recording(write_breathing(tmp_path / "r.igs.mha", breath_mm()))
    out = breath_levels(Breath.EXPIRATION, recording, "Reference")
    assert out is not None
    np.testing.assert_allclose(out, breath_mm() / RISE_MM, atol=0.06)
    drawn_in = breath_levels(Breath.INSPIRATION, recording, "Reference")
    np.testing.assert_allclose(drawn_in, 1.0 - out)
    held = breath_levels(Breath.HELD, recording, "Reference")
    np.testing.assert_array_equal(held, np.zeros(FRAMES))
    assert breath_levels(Breath.UNKNOWN, recording, "Reference") is None


def test_a_reference_that_rests_says_nothing(tmp_path: Path) -> None:
    recording = read_recording(write_breathing(tmp_path / "r.igs.mha", 0.05 * breath_mm()))
    assert breath_levels(Breath.EXPIRATION, recording, "Reference") is None


def test_a_short_recording_says_what_to_do(tmp_path: Path) -> None:
    recording = read_recording(write_breathing(tmp_path / "r.igs.mha", breath_mm()[:30]))
    with pytest.raises(RegistrationError, match=r"r\.igs\.mha: .*say --breathing held"):
        breath_levels(Breath.EXPIRATION, recording, "Reference")


def test_the_command_leaves_out_frames_off_the_cts_breath(tmp_path: Path) -> None:
    """Those frames show the patient 25 mm off."""
    scene = make_scene()
    arguments = write_inputs(tmp_path, scene, start_off(8.0, 4.0, 2))
    scaled = PROBE_FROM_IMAGE @ np.diag([0.42, 0.42, 0.42, 1.0])
    frames, images = [], []
    for number, rise in enumerate(breath_mm()):
        reference = np.array(rigid_inverse(PROBE_FROM_IMAGE))
        reference[1, 3] -= rise
        pose = np.array(scene.sweep.reference_from_image[number % len(scene.sweep.images)])
        pose[:3, 3] += 25.0 if rise > 0.15 * RISE_MM else 0.0
        frames.append({
            "ProbeToTracker": reference @ pose @ np.linalg.inv(scaled),
            "ReferenceToTracker": reference,
        })  # fmt: skip
        images.append(scene.sweep.images[number % len(scene.sweep.images)])
    write_poses(tmp_path / "sweep.igs.mha", frames, np.stack(images), RATE_HZ)
    assert main([*arguments, "--breathing", "expiration"]) == 0
    result = json.loads((tmp_path / "result.json").read_text())
    assert scene.error_mm(np.array(result["ct_from_reference"])) < 1.0
    assert "frames within 15 % of the CT's breath only" in result["inputs"]
    # All of them, as without a word about breathing, lead elsewhere or are refused.
    assert main(arguments) != 0
