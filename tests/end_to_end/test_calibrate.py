"""Calibrations and reconstruction through the command line, on recordings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
import SimpleITK as sitk

from ir_nav import RESEARCH_LABEL
from ir_nav.cli import main
from ir_nav.commands.calibrate import registered
from ir_nav.geometry import rotation_between_deg
from ir_nav.tracking.calibration.phantom import read_phantom
from ir_nav.tracking.plus_device_set import read_device_set
from tests.data import data_path
from tests.end_to_end.running import folder_of
from tests.end_to_end.running import ir_nav as in_a_process
from tests.tracking.poses import pivoting
from tests.tracking.sequence import xml_matrix
from tests.tracking.writing import write_poses

TIP = np.array([210.0, 3.0, -5.0])
EIGHT = "EightLandmarkPointsTrackedForPhantomRegistration.igs.mha"
VIDEO = "WaterTankBottomTranslationVideoBuffer.igs.mha"
TRACKER = "WaterTankBottomTranslationTrackerBuffer-trimmed.igs.mha"
CONFIG = "PlusDeviceSet_VolumeReconstructionOnly_SpinePhantom_NN_MEAN.xml"


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


class Command(Protocol):
    def __call__(self, *arguments: object) -> Done: ...


@pytest.fixture
def ir_nav(capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line without the second that a process takes to start."""

    def run(*arguments: object) -> Done:
        code = main([str(argument) for argument in arguments])
        return Done(code, *capsys.readouterr())

    return run


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    assert found["format"] == 1
    return found


def assert_one_line(text: str, words: str) -> None:
    assert text.startswith("ir-nav: ")
    assert text.count("\n") == 1
    assert words in text


def pivot_recording(path: Path, scatter_mm: float = 0.2) -> Path:
    """100 poses of a stylus: five astray, frames 3 and 4 not seen."""
    rng = np.random.default_rng(1)
    poses = pivoting(TIP, np.array([30.0, -250.0, 1100.0]))
    poses[:, :3, 3] += rng.normal(0.0, scatter_mm, (100, 3))
    poses[10:60:10, :3, 3] += 40.0
    frames: list[dict[str, np.ndarray | None]] = [{"StylusToTracker": pose} for pose in poses]
    frames[3]["StylusToTracker"] = frames[4]["StylusToTracker"] = None
    return write_poses(path, frames)


def test_a_pivot_is_calibrated_and_its_outliers_named(tmp_path: Path) -> None:
    recording = pivot_recording(tmp_path / "pivot.igs.mha")
    out = tmp_path / "new" / "stylus.json"
    done = in_a_process("calibrate", "pivot", recording, "--tool", "Stylus", "--out", out)
    assert done.returncode == 0, done.stderr
    found = read(out)
    assert found["accepted"] is True
    assert found["reason"] is None
    assert np.linalg.norm(np.array(found["tip_mm"]) - TIP) < 0.2
    matrix = np.array(found["needle_from_tip"])
    np.testing.assert_allclose(matrix[:3, 3], found["tip_mm"])
    np.testing.assert_allclose(matrix[:3, 2], TIP / np.linalg.norm(TIP), atol=1e-3)
    assert [one["index"] for one in found["rejected"]] == [3, 4, 10, 20, 30, 40, 50]
    assert "Stylus" in found["rejected"][0]["reason"]
    assert "off the pivot" in found["rejected"][2]["reason"]
    assert found["used"] == 93
    assert 0.2 < found["error_mm"]["mean"] < found["error_mm"]["rms"] < 0.5
    assert "best 95 %, mean" in done.stdout
    assert RESEARCH_LABEL in done.stdout
    assert folder_of(out.parent) == {"stylus.json"}


def test_a_dwell_of_a_real_recording_is_a_pivot(ir_nav: Command, tmp_path: Path) -> None:
    out = tmp_path / "stylus.json"
    options = ("--tool", "Stylus", "--reference", "Reference", "--begin", 41.8, "--end", 47.5)
    done = ir_nav("calibrate", "pivot", data_path("plus", EIGHT), *options, "--out", out)
    assert done.returncode == 0, done.stderr + done.stdout
    found = read(out)
    assert found["error_mm"]["rms"] < 0.62
    assert np.linalg.norm(np.array(found["tip_mm"]) - (108.565, 7.77385, 2.5389)) < 3.0


def test_a_refused_pivot_is_written_and_exits_with_three(tmp_path: Path) -> None:
    out = tmp_path / "stylus.json"
    done = in_a_process(
        "calibrate", "pivot", data_path("plus", EIGHT), "--tool", "Stylus", "--out", out
    )
    assert done.returncode == 3
    found = read(out)
    assert found["accepted"] is False
    assert found["tip_mm"] is None
    assert found["needle_from_tip"] is None
    assert "above 0.8 mm" in found["reason"] or "outliers" in found["reason"]
    assert f"Refused: {found['reason']}" in done.stdout


def test_bad_input_is_one_line_and_leaves_no_file(ir_nav: Command, tmp_path: Path) -> None:
    recording = pivot_recording(tmp_path / "pivot.igs.mha")
    out = tmp_path / "o" / "x.json"
    done = ir_nav("calibrate", "pivot", recording, "--tool", "Needle", "--out", out)
    assert done.returncode == 1
    assert_one_line(done.stderr, "has no NeedleToTracker, only StylusToTracker")
    done = ir_nav("calibrate", "delay", recording, recording, "--tool", "Stylus", "--out", out)
    assert done.returncode == 1
    assert_one_line(done.stderr, "has no images")
    missing = tmp_path / "none.igs.mha"
    done = ir_nav("calibrate", "pivot", missing, "--tool", "Stylus", "--out", out)
    assert done.returncode == 1
    assert_one_line(done.stderr, "cannot be read")
    assert not out.exists()


def test_a_phantom_is_registered_as_plus_did(ir_nav: Command, tmp_path: Path) -> None:
    setup = data_path("plus", "config", "PlusDeviceSet_fCal_Sim_RecordPhantomLandmarks.xml")
    tip = read_device_set(setup).transform("StylusTip", "Stylus")
    pivot = {
        "format": 1,
        "tool": "Stylus",
        "tip_mm": tip[:3, 3].tolist(),
        "needle_from_tip": tip.tolist(),
        "error_mm": {"mean": 0.4, "rms": 0.5, "max": 1.0, "mean_best_95": 0.3},
        "tip_error_mm": 0.1,
        "span_deg": 40.0,
        "used": 100,
        "rejected": [],
        "accepted": True,
        "reason": None,
    }
    tip_file, out = tmp_path / "pivot.json", tmp_path / "phantom.json"
    tip_file.write_text(json.dumps(pivot))
    recording = data_path("plus", EIGHT)
    command = ("calibrate", "phantom", recording, "--phantom", setup, "--out", out)
    options = ("--tool", "Stylus", "--reference", "Reference")
    done = ir_nav(*command, *options, "--tip", tip_file)
    assert done.returncode == 0, done.stderr
    found = read(out)
    stored = xml_matrix(
        data_path("plus", "PhantomRegistrationLandmarkDetection.results.xml"),
        "Phantom",
        "Reference",
    )
    matrix = np.array(found["reference_from_phantom"])
    assert np.linalg.norm(matrix[:3, 3] - stored[:3, 3]) < 0.1
    assert rotation_between_deg(matrix, stored) < 0.2
    assert found["error_mm"]["mean"] == pytest.approx(0.198, abs=0.01)
    assert found["error_mm"]["max"] == max(one["error_mm"] for one in found["landmarks"])
    assert [one["name"] for one in found["landmarks"]] == [f"#{i}" for i in range(1, 9)]
    assert found["missed"] == []
    assert "Fits worst" in done.stdout
    assert "#4" in done.stdout
    done = ir_nav(*command, *options, "--tip", setup)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(read(out)["reference_from_phantom"], matrix)
    done = ir_nav(*command, *options, "--tip", out)
    assert done.returncode == 1
    assert_one_line(done.stderr, "a phantom calibration; the tip's pivot is wanted")
    tip_file.write_text(json.dumps(pivot | {"tool": "Needle"}))
    done = ir_nav(*command, *options, "--tip", tip_file)
    assert done.returncode == 1
    assert_one_line(done.stderr, "made for Needle, not for Stylus")
    tip_file.write_text(json.dumps(pivot | {"tip_mm": [90.0, 7.8, 2.5]}))
    done = ir_nav(*command, *options, "--tip", tip_file)
    assert done.returncode in (1, 3)
    assert "landmarks" in done.stdout + done.stderr


def test_a_probe_takes_the_phantoms_place_out_of_a_file(ir_nav: Command, tmp_path: Path) -> None:
    setup = data_path("plus", "config", "PlusDeviceSet_fCal_Sim_SpatialCalibration_2.0.xml")
    phantom = read_phantom(setup)
    moved = read_device_set(setup).transform("Phantom", "Reference").copy()
    moved[:3, 3] += (0.0, 0.0, 30.0)
    place = {
        "format": 1,
        "reference_from_phantom": moved.tolist(),
        "error_mm": {"mean": 0.2, "rms": 0.2, "max": 0.3, "mean_best_95": 0.2},
        "landmarks": [],
        "accepted": True,
    }
    file = tmp_path / "phantom.json"
    file.write_text(json.dumps(place))
    np.testing.assert_allclose(registered(phantom, file).reference_from_phantom, moved)
    file.write_text(json.dumps(place | {"accepted": False, "reason": "1.4 mm"}))
    recording = data_path("plus", "fCal_Test_Validation_3NWires_fCal2.0.igs.mha")
    options = ("--phantom", setup, "--registration", file, "--out", tmp_path / "probe.json")
    done = ir_nav("calibrate", "probe", recording, recording, *options)
    assert done.returncode == 1
    assert_one_line(done.stderr, "this calibration was refused (1.4 mm)")


def test_the_delay_of_the_water_tank_is_plus_s(ir_nav: Command, tmp_path: Path) -> None:
    out = tmp_path / "delay.json"
    done = ir_nav(
        "calibrate", "delay", data_path("plus", VIDEO), data_path("plus", TRACKER), "--out", out
    )
    assert done.returncode == 0, done.stderr
    found = read(out)
    assert found["accepted"] is True
    assert found["tracker_lag_s"] == pytest.approx(-0.0648, abs=0.005)
    assert set(found["error_s"]) == {"mean", "rms", "max", "mean_best_95"}
    assert found["lag_error_s"] < 0.01
    assert "the tracker leads" in done.stdout
    assert RESEARCH_LABEL in done.stdout


def test_a_delay_without_motion_is_refused(ir_nav: Command, tmp_path: Path) -> None:
    still: list[dict[str, np.ndarray | None]] = [{"ProbeToTracker": np.eye(4)}] * 900
    tracker = write_poses(tmp_path / "still.igs.mha", still)
    done = ir_nav(
        "calibrate", "delay", data_path("plus", VIDEO), tracker, "--out", tmp_path / "delay.json"
    )
    assert done.returncode == 3, done.stderr
    found = read(tmp_path / "delay.json")
    assert found["accepted"] is False
    assert found["tracker_lag_s"] is None
    assert "can be used" in found["reason"]


def test_a_probe_is_calibrated_and_its_calibration_rebuilds_a_volume(
    ir_nav: Command, tmp_path: Path
) -> None:
    recordings = [
        data_path("plus", f"fCal_Test_{part}_3NWires_fCal2.0.igs.mha")
        for part in ("Calibration", "Validation")
    ]
    phantom = data_path("plus", "config", "PlusDeviceSet_fCal_Sim_SpatialCalibration_2.0.xml")
    out = tmp_path / "probe.json"
    done = ir_nav("calibrate", "probe", *recordings, "--phantom", phantom, "--out", out)
    assert done.returncode == 0, done.stderr + done.stdout
    found = read(out)
    assert found["accepted"] is True
    assert found["error_mm"]["validation"]["mean_best_95"] < 0.62
    assert RESEARCH_LABEL in done.stdout
    sweep = data_path("plus", "SpinePhantomFreehand.igs.mha")
    volume = tmp_path / "volume.nii.gz"
    options = ("--calibration", out, "--spacing", 1.0, "--clip", "187,12,445,590")
    done = ir_nav("reconstruct", sweep, *options, "--out", volume)
    assert done.returncode == 0, done.stderr
    assert sitk.ReadImage(str(volume)).GetSpacing() == pytest.approx((1.0, 1.0, 1.0))
    found["accepted"], found["reason"] = False, "too few frames"
    out.write_text(json.dumps(found), encoding="utf-8")
    done = ir_nav("reconstruct", sweep, *options, "--out", volume)
    assert done.returncode == 1
    assert_one_line(done.stderr, "this calibration was refused (too few frames)")


def test_a_sweep_is_rebuilt_as_plus_did(ir_nav: Command, tmp_path: Path) -> None:
    out, mask = tmp_path / "volume.nrrd", tmp_path / "mask.mha"
    sweep = data_path("plus", "SpinePhantomFreehand.igs.mha")
    config = data_path("plus", "config", "Testing", CONFIG)
    done = ir_nav("reconstruct", sweep, "--config", config, "--out", out, "--mask", mask)
    assert done.returncode == 0, done.stderr
    assert RESEARCH_LABEL in done.stdout
    assert "21 of 21" in done.stdout
    stored = sitk.ReadImage(str(data_path("plus", "vtkVolumeReconstructorTestNNMEANvolumeRef.mha")))
    found, filled = sitk.ReadImage(str(out)), sitk.ReadImage(str(mask))
    on_its_grid = sitk.GetArrayFromImage(sitk.Resample(found, stored))
    where = sitk.GetArrayFromImage(
        sitk.Resample(filled, stored, sitk.Transform(), sitk.sitkNearestNeighbor)
    )
    expected = sitk.GetArrayFromImage(stored)
    inside = where > 0
    assert np.corrcoef(on_its_grid[inside], expected[inside])[0, 1] > 0.99


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--config", "{none}.xml", "--out", "{out}.nrrd"), "cannot be read"),
        (("--config", "{phantom}", "--out", "{out}.nrrd"), "no Image to Probe transform"),
        (("--config", "{config}", "--out", "{out}.png"), "write the volume as"),
        (("--config", "{config}", "--spacing", "0", "--out", "{out}.nrrd"), "of no use"),
        (("--config", "{config}", "--probe", "Foot", "--out", "{out}.nrrd"), "Image to Foot"),
        (("--config", "{config}", "--reference", "Bed", "--out", "{out}.nrrd"), "no BedToTracker"),
        (("--calibration", "{broken}", "--out", "{out}.nrrd"), "probe_from_image"),
        (("--calibration", "{config}", "--out", "{out}.nrrd"), "Invalid JSON"),
    ],
)
def test_a_sweep_that_cannot_be_rebuilt_is_one_line(
    ir_nav: Command, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text('{"format": 1, "accepted": true, "probe_from_image": [[1, 2]]}')
    phantom = "PlusDeviceSet_fCal_Sim_RecordPhantomLandmarks.xml"
    places = {
        "none": tmp_path / "none",
        "out": tmp_path / "out",
        "broken": broken,
        "config": data_path("plus", "config", "Testing", CONFIG),
        "phantom": data_path("plus", "config", phantom),
    }
    sweep = data_path("plus", "SpinePhantomFreehand.igs.mha")
    done = ir_nav("reconstruct", sweep, *(option.format(**places) for option in options))
    assert done.returncode == 1
    assert_one_line(done.stderr, words)
    assert folder_of(tmp_path) == {"broken.json"}
