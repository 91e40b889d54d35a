"""The CT laid on the bone that a sweep shows; refused in words where there is none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ir_nav.cli import main
from ir_nav.geometry import apply
from ir_nav.imaging import Volume, VolumeInfo
from ir_nav.registration import Method, RegistrationError
from ir_nav.registration.ultrasound.bone_alignment import BoneRegistration, register_bone
from ir_nav.registration.ultrasound.bone_echoes import STEP_MM, best_line, bone_score, find_bone
from ir_nav.registration.ultrasound.sweep import TrackedSweep
from tests.registration.bone_scene import make_bone_scene
from tests.registration.test_ultrasound_registration import write_inputs
from tests.registration.ultrasound_scene import (
    CT_FROM_REFERENCE,
    FAN,
    TARGET_CT_MM,
    Scene,
    make_scene,
    start_off,
)

NOW_S = 1_700_000_000.0


@pytest.fixture(scope="module")
def back() -> Scene:
    return make_bone_scene()


@pytest.fixture(scope="module")
def found(back: Scene) -> BoneRegistration:
    return register_bone(
        back.sweep, back.ct, FAN, start_off(18.0, 8.0, 2), NOW_S, target_ct_mm=TARGET_CT_MM
    )


def test_the_bone_of_a_back_is_found_from_18_mm_off(back: Scene, found: BoneRegistration) -> None:
    one = found.registration
    assert one.accepted, one.reason
    assert back.error_mm(one.ct_from_reference.matrix) < 0.8
    assert one.method is Method.ULTRASOUND
    assert one.about_ct_mm == pytest.approx(TARGET_CT_MM)
    assert 0.5 < one.tre_mm(TARGET_CT_MM) < 2.5
    assert found.near > 0.95
    assert len(one.residuals) == len(found.frames) > 15
    assert all(residual.unit == "mm" and residual.value < 1.5 for residual in one.residuals)
    assert any("moves with the bone" in line for line in one.inputs)


def test_echoes_lie_on_the_bone_that_faces_the_probe(back: Scene) -> None:
    """Against the labels, which neither the echoes nor the CT's surface are taken from."""
    echoes = find_bone(back.sweep, FAN)
    in_ct = apply(CT_FROM_REFERENCE, echoes.points_mm)
    ahead = in_ct + 2.5 * echoes.along @ CT_FROM_REFERENCE[:3, :3].T
    before = in_ct - 2.5 * echoes.along @ CT_FROM_REFERENCE[:3, :3].T
    bone = back.labels >= 2
    is_bone = [_at(bone, back.ct, points).mean() for points in (before, ahead)]
    assert is_bone[0] < 0.1
    assert is_bone[1] > 0.9
    assert np.linalg.norm(echoes.along, axis=1) == pytest.approx(1.0, abs=1e-6)


def _at(mask: np.ndarray, ct: Volume, points_ct_mm: np.ndarray) -> np.ndarray:
    i, j, k = np.rint(apply(ct.voxel_from_ct, points_ct_mm)).astype(int).T
    return mask[k, j, i]


def test_a_bright_line_is_bone_only_with_a_clean_shadow_behind() -> None:
    grey = np.full((64, 200), 100.0, dtype=np.float32)
    grey += np.random.default_rng(1).normal(0.0, 8.0, grey.shape).astype(np.float32)
    grey[:, 60:63] = 230.0
    assert np.all(best_line(bone_score(grey, 0.8)[1]) == -1)
    grey[16:40, 63:] = 4.0
    line = best_line(bone_score(grey, 0.8)[1])
    assert np.all(np.abs(line[18:38] - 61) <= 1)
    assert np.all(line[:14] == -1)
    assert np.all(line[42:] == -1)
    # Behind gas it rings.
    grey[16:40, 63:120] = 80.0
    assert np.all(best_line(bone_score(grey, 0.8)[1]) == -1)
    assert STEP_MM * 61 > 30.0


def test_another_back_is_refused(back: Scene) -> None:
    """The same seen in a mirror, and upside down: bone is there, but not this one."""
    other = Volume(
        np.ascontiguousarray(back.ct.voxels[::-1, :, :]),
        back.ct.ct_from_voxel,
        "blake2b:other",
        VolumeInfo(),
    )
    one = register_bone(
        back.sweep, other, FAN, CT_FROM_REFERENCE, NOW_S, target_ct_mm=TARGET_CT_MM
    ).registration
    assert not one.accepted
    assert any(words in one.reason for words in ("does not agree with the CT", "another place"))


def test_a_sweep_without_bone_says_what_to_do() -> None:
    liver = make_scene(frames=2)
    with pytest.raises(RegistrationError, match=r"bone in 0 frames only.*register by the image"):
        register_bone(liver.sweep, liver.ct, FAN, CT_FROM_REFERENCE, NOW_S)


def test_a_ct_without_bone_there_says_so(back: Scene) -> None:
    soft = Volume(
        np.minimum(back.ct.voxels, 60).astype(np.int16),
        back.ct.ct_from_voxel,
        "blake2b:soft",
        VolumeInfo(),
    )
    with pytest.raises(RegistrationError, match="the CT shows no bone where the search"):
        register_bone(back.sweep, soft, FAN, CT_FROM_REFERENCE, NOW_S)


def test_a_breath_nobody_measured_adds_to_the_error(back: Scene, found: BoneRegistration) -> None:
    level = np.zeros(len(back.sweep.images))
    sweep = TrackedSweep(back.sweep.images, back.sweep.reference_from_image, level)
    held = register_bone(
        sweep, back.ct, FAN, start_off(18.0, 8.0, 2), NOW_S, target_ct_mm=TARGET_CT_MM
    )
    unknown = found.registration.covariance - held.registration.covariance
    assert np.diag(unknown)[:3] == pytest.approx([0.16, 0.36, 1.44], abs=1e-6)


def test_the_command_registers_by_bone(tmp_path: Path, back: Scene) -> None:
    arguments = write_inputs(tmp_path, back, start_off(12.0, 6.0, 5))
    target = ",".join(f"{value:g}" for value in TARGET_CT_MM)
    assert main([*arguments, "--by", "bone", f"--target={target}", "--breathing", "held"]) == 0
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["accepted"] is True
    assert result["method"] == "ultrasound"
    assert back.error_mm(np.array(result["ct_from_reference"])) < 0.8
    assert any("points of bone" in line for line in result["inputs"])
    assert any("of the CT's breath only" in line for line in result["inputs"])
