"""A sweep of a liver with ribs and lung: registered from 15 mm off, refused where it must be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from ir_nav.cli import main
from ir_nav.geometry import FloatArray, rigid_inverse
from ir_nav.imaging import Volume, VolumeInfo
from ir_nav.registration import Method, RegistrationError
from ir_nav.registration.ultrasound.register_sweep import (
    UltrasoundRegistration,
    register_ultrasound,
)
from ir_nav.registration.ultrasound.similarity import SweepCt, prepare_ct
from ir_nav.registration.ultrasound.sweep import TrackedSweep
from tests.registration.ultrasound_scene import (
    CT_FROM_REFERENCE,
    FAN,
    NAMES,
    TARGET_CT_MM,
    Scene,
    make_scene,
    start_off,
)
from tests.tracking.writing import write_poses

NOW_S = 1_700_000_000.0
PROBE_FROM_IMAGE = CT_FROM_REFERENCE  # any rigid matrix serves


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene()


@pytest.fixture(scope="module")
def ct(scene: Scene) -> SweepCt:
    return prepare_ct(scene.ct)


@pytest.fixture(scope="module")
def found(scene: Scene, ct: SweepCt) -> UltrasoundRegistration:
    return register(scene.sweep, ct, start_off(15.0, 8.0, 1))


def register(sweep: TrackedSweep, ct: SweepCt, start: FloatArray) -> UltrasoundRegistration:
    return register_ultrasound(sweep, ct, FAN, start, NOW_S, target_ct_mm=TARGET_CT_MM)


def test_a_start_15_mm_off_ends_below_a_millimetre(
    scene: Scene, found: UltrasoundRegistration
) -> None:
    one = found.registration
    assert scene.error_mm(one.ct_from_reference.matrix) < 0.8
    assert one.accepted
    assert one.reason == ""
    assert one.method is Method.ULTRASOUND
    assert one.created_s == NOW_S
    assert one.confidence > 0.9
    assert one.about_ct_mm == pytest.approx(TARGET_CT_MM)
    assert 0.3 < one.tre_mm(TARGET_CT_MM) < 2.5
    assert len(one.residuals) == len(found.frames) == len(scene.sweep.images)
    assert all(0.0 < residual.value < 1.0 for residual in one.residuals)
    assert any("no breathing known" in line for line in one.inputs)


def test_another_patients_ct_is_refused(scene: Scene) -> None:
    """The same anatomy seen in a mirror: every number is plausible, nothing fits."""
    mirrored = Volume(
        np.ascontiguousarray(scene.ct.voxels[::-1, ::-1]),
        scene.ct.ct_from_voxel,
        "blake2b:other",
        VolumeInfo(),
    )
    one = register(scene.sweep, prepare_ct(mirrored), CT_FROM_REFERENCE).registration
    assert scene.error_mm(one.ct_from_reference.matrix) > 5.0 or not one.accepted
    assert not one.accepted
    assert "sweep again" in one.reason


def test_only_frames_at_the_cts_breath_are_used(scene: Scene, ct: SweepCt) -> None:
    """The others show another place; with them the result would be wrong."""
    poses = np.array(scene.sweep.reference_from_image)
    level = np.zeros(len(poses))
    level[::5] = 0.8
    poses[::5, :3, 3] += 25.0
    sweep = TrackedSweep(scene.sweep.images, poses, level)
    gated = register(sweep, ct, start_off(8.0, 4.0, 2))
    assert gated.frames == tuple(np.flatnonzero(level == 0.0))
    assert scene.error_mm(gated.registration.ct_from_reference.matrix) < 0.8
    assert gated.registration.tre_mm(TARGET_CT_MM) < 1.0
    with pytest.raises(RegistrationError, match="at the CT's breath"):
        register(
            TrackedSweep(scene.sweep.images, poses, np.ones(len(poses))), ct, CT_FROM_REFERENCE
        )


@pytest.mark.parametrize("away_mm", [400.0])
def test_a_start_outside_the_ct_says_so(scene: Scene, ct: SweepCt, away_mm: float) -> None:
    start = np.array(CT_FROM_REFERENCE)
    start[0, 3] += away_mm
    with pytest.raises(RegistrationError, match="register by landmarks first"):
        register(scene.sweep, ct, start)


def test_too_few_frames_and_bad_ones_say_so(scene: Scene, ct: SweepCt) -> None:
    few = scene.sweep.only(np.arange(3))
    with pytest.raises(RegistrationError, match="3 usable frames, at least 4"):
        register(few, ct, CT_FROM_REFERENCE)
    with pytest.raises(RegistrationError, match="as many 4x4 poses"):
        TrackedSweep(scene.sweep.images, scene.sweep.reference_from_image[:3])


def test_progress_may_cancel(scene: Scene, ct: SweepCt) -> None:
    class CancelledError(Exception):
        pass

    seen: list[float] = []

    def cancel(part: float) -> None:
        seen.append(part)
        if part > 0.0:
            raise CancelledError

    with pytest.raises(CancelledError):
        register_ultrasound(scene.sweep, ct, FAN, CT_FROM_REFERENCE, NOW_S, progress=cancel)
    assert seen[0] == 0.0
    assert len(seen) == 2


def write_inputs(folder: Path, scene: Scene, start: FloatArray) -> list[str]:
    """The command's files and arguments. Where the tracker stands is any place."""
    image = sitk.GetImageFromArray(np.array(scene.ct.voxels))
    image.SetSpacing(scene.ct.spacing_mm)
    image.SetOrigin(scene.ct.ct_from_voxel[:3, 3].tolist())
    sitk.WriteImage(image, str(folder / "ct.nrrd"))
    labels = sitk.GetImageFromArray(scene.labels)
    labels.CopyInformation(image)
    sitk.WriteImage(labels, str(folder / "labels.nrrd"))
    rows = [f"{number},{name}" for number, name in NAMES.items()]
    (folder / "names.csv").write_text("\n".join(["id,structure", *rows]) + "\n")
    tracker_from_reference = rigid_inverse(PROBE_FROM_IMAGE)
    scaled = PROBE_FROM_IMAGE @ np.diag([0.42, 0.42, 0.42, 1.0])
    image_from_probe = np.linalg.inv(scaled)
    frames = [
        {
            "ProbeToTracker": tracker_from_reference @ pose @ image_from_probe,
            "ReferenceToTracker": tracker_from_reference,
        }
        for pose in scene.sweep.reference_from_image
    ]
    write_poses(folder / "sweep.igs.mha", frames, np.array(scene.sweep.images))
    calibration = {"format": 1, "accepted": True, "probe_from_image": scaled.tolist()}
    (folder / "probe.json").write_text(json.dumps(calibration))
    (folder / "init.json").write_text(json.dumps({"ct_from_reference": start.tolist()}))
    names = {"ct": "ct.nrrd", "labels": "labels.nrrd", "names": "names.csv",
             "sweep": "sweep.igs.mha", "calibration": "probe.json", "init": "init.json",
             "out": "result.json"}  # fmt: skip
    return [
        "register",
        "ultrasound",
        *(part for key, name in names.items() for part in (f"--{key}", str(folder / name))),
    ]


def test_the_command_registers_a_recorded_sweep(tmp_path: Path, scene: Scene) -> None:
    arguments = write_inputs(tmp_path, scene, start_off(12.0, 6.0, 5))
    assert main(arguments) == 0
    result = json.loads((tmp_path / "result.json").read_text())
    assert scene.error_mm(np.array(result["ct_from_reference"])) < 1.0
    assert result["accepted"] is True
    assert result["method"] == "ultrasound"
    assert np.array(result["covariance"]).shape == (6, 6)
    # Without --target it is the middle of the liver that has to fit.
    liver = np.argwhere(scene.labels == 2).mean(axis=0)[::-1]
    middle = scene.ct.ct_from_voxel[:3, :3] @ liver + scene.ct.ct_from_voxel[:3, 3]
    assert result["about_ct_mm"] == pytest.approx(middle.tolist(), abs=0.1)


def test_the_command_refuses_a_refused_calibration(
    tmp_path: Path, scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = write_inputs(tmp_path, scene, CT_FROM_REFERENCE)
    refused = {"format": 1, "accepted": False, "reason": "too few images", "probe_from_image": None}
    (tmp_path / "probe.json").write_text(json.dumps(refused))
    assert main(arguments) != 0
    assert "this calibration was refused (too few images)" in capsys.readouterr().err
    assert not (tmp_path / "result.json").exists()
