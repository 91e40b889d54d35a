"""The live check against the room's simulated frames, which share no code with it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from hw_mocks.anatomy import load_anatomy
from hw_mocks.bmode import BModeRenderer, ConvexGeometry, TissueMotion
from ir_nav.imaging import read_labels, read_volume
from ir_nav.registration import RegistrationError
from ir_nav.registration.ultrasound.acoustics import prepare_acoustics
from ir_nav.registration.ultrasound.fan import ConvexFan
from ir_nav.registration.ultrasound.live_check import (
    FrameCheck,
    FrameQuality,
    displacements_ct_mm,
)
from ir_nav.registration.ultrasound.quality_trace import (
    KEEP_S,
    LEAST_FRAMES,
    Fit,
    QualityTrace,
    Verdict,
)
from tests.data import data_path

OUTWARD = ((-0.9, -0.35, 0.0), (-0.6, -0.75, -0.2), (0.0, -1.0, -0.2))
ROLL = ((0.2, 0.1, 1.0), (1.0, 0.0, 0.3), (1.0, 0.2, 0.0))
FRAMES = 12


@dataclass(frozen=True, slots=True, eq=False)
class Sweep:
    check: FrameCheck
    frames: tuple[tuple[np.ndarray, ...], ...]
    poses: tuple[tuple[np.ndarray, ...], ...]


@cache
def sweeps() -> Sweep:
    """Three tilts over the liver of the real CT, with 0.1 mm of pose noise."""
    names = data_path("ct", "chest_LIDC-IDRI-0001_labels.csv")
    ct = data_path("ct", "chest_LIDC-IDRI-0001_2mm.nii.gz")
    ids = data_path("ct", "chest_LIDC-IDRI-0001_2mm_labels.nii.gz")
    anatomy, volume = load_anatomy(ct, ids, names), read_volume(ct)
    geometry = ConvexGeometry()
    fan = ConvexFan(
        (float(geometry.apex_px[0]), float(geometry.apex_px[1])),
        (geometry.mm_per_px, geometry.mm_per_px),
        geometry.radius_mm,
        geometry.radius_mm + geometry.depth_mm,
        geometry.fov_deg / 2.0,
    )
    renderer, rng = BModeRenderer(anatomy, geometry, 5), np.random.default_rng(1)
    frames, poses = [], []
    for outward, roll in zip(OUTWARD, ROLL, strict=True):
        true = [
            place @ geometry.image_mm_from_px
            for place in _tilts(anatomy, np.array(outward), np.array(roll))
        ]
        frames.append(tuple(renderer.render(one, TissueMotion.rest(), None) for one in true))
        poses.append(tuple(_moved(one, rng.normal(0.0, 0.1, 3)) for one in true))
    acoustics = prepare_acoustics(volume, read_labels(ids, names, like=volume))
    return Sweep(FrameCheck(acoustics, fan), tuple(frames), tuple(poses))


def _tilts(anatomy: object, outward: np.ndarray, roll: np.ndarray) -> list[np.ndarray]:
    """ct from mm in the image plane, origin at the face: the probe tilts about its face."""
    target = anatomy.centroid_ct_mm("liver")  # type: ignore[attr-defined]
    out = outward / np.linalg.norm(outward)
    along_mm = np.arange(0.0, 250.0, 0.5)
    hu = anatomy.sample_hu(target + along_mm[:, None] * out)  # type: ignore[attr-defined]
    face = target + (along_mm[hu > -300].max() - 3.0) * out
    across = roll - (roll @ out) * out
    across /= np.linalg.norm(across)
    places = []
    for angle in np.radians(np.linspace(-8.0, 8.0, FRAMES)):
        normal = np.cross(across, -out)
        down = np.cos(angle) * -out + np.sin(angle) * normal
        place = np.eye(4)
        place[:3, 0], place[:3, 1], place[:3, 2] = across, down, np.cross(across, down)
        place[:3, 3] = face
        places.append(place)
    return places


def _moved(pose: np.ndarray, by_mm: object) -> np.ndarray:
    moved = np.array(pose)
    moved[:3, 3] += by_mm
    return moved


def after(sweep: int, drift_mm: tuple[float, float, float]) -> Verdict:
    """The verdict when the first half fitted, and then the patient slipped off."""
    found = sweeps()
    trace = QualityTrace()
    for n, (frame, pose) in enumerate(zip(found.frames[sweep], found.poses[sweep], strict=True)):
        trace = trace.with_frame(0.2 * n, found.check.judge(frame, pose))
    for n, (frame, pose) in enumerate(zip(found.frames[sweep], found.poses[sweep], strict=True)):
        quality = found.check.judge(frame, _moved(pose, drift_mm))
        trace = trace.with_frame(10.0 + 0.2 * n, quality)
    return trace.verdict(10.0 + 0.2 * (FRAMES - 1))


@pytest.mark.parametrize("sweep", range(3))
def test_frames_at_their_pose_fit(sweep: int) -> None:
    verdict = after(sweep, (0.0, 0.0, 0.0))
    assert verdict.fit is Fit.HOLDS
    assert not verdict.warns
    assert verdict.similarity > 0.35
    assert verdict.displacement_ct_mm is None


@pytest.mark.parametrize("drift_mm", [(0.0, 0.0, 8.0), (3.5, -3.5, 0.0), (0.0, 5.0, 0.0)])
@pytest.mark.parametrize("sweep", range(3))
def test_a_patient_that_slipped_is_told(sweep: int, drift_mm: tuple[float, float, float]) -> None:
    verdict = after(sweep, drift_mm)
    assert verdict.warns
    assert "register again" in verdict.words
    if verdict.fit is Fit.DRIFTED:
        # Back along the slip, never further along it.
        assert float(verdict.displacement_ct_mm @ np.array(drift_mm)) <= 0.0


def test_gain_does_not_matter() -> None:
    found = sweeps()
    frame, pose = found.frames[0][5], found.poses[0][5]
    first = found.check.judge(frame, pose)
    depth = np.linspace(0.0, 40.0, frame.shape[0])[:, None]
    louder = np.where(frame > 0, np.clip(frame * 0.7 + depth, 0, 255), 0).astype(np.uint8)
    assert found.check.judge(louder, pose).similarity == pytest.approx(first.similarity, abs=0.06)


def test_nothing_to_compare_is_no_number() -> None:
    found = sweeps()
    frame, pose = found.frames[0][5], found.poses[0][5]
    assert found.check.judge(np.zeros_like(frame), pose) is None
    away = _moved(pose, -120.0 * pose[:3, 1] / np.linalg.norm(pose[:3, 1]))
    assert found.check.judge(frame, away) is None
    with pytest.raises(RegistrationError, match="find the fan again"):
        found.check.judge(frame, pose @ np.diag([2.0, 2.0, 2.0, 1.0]))


def quality(similarity: float, beside: float = 0.1, best: int = 0) -> FrameQuality:
    others = [0.0] * len(displacements_ct_mm())
    others[best] = beside
    return FrameQuality(similarity, tuple(others), 0.5)


def filled(trace: QualityTrace, begin_s: float, one: FrameQuality, count: int = 20) -> QualityTrace:
    for n in range(count):
        trace = trace.with_frame(begin_s + 0.1 * n, one)
    return trace


def test_the_trace_waits_holds_and_forgets() -> None:
    trace = filled(QualityTrace(), 0.0, quality(0.5), LEAST_FRAMES - 1)
    assert trace.verdict(1.0).fit is Fit.WAITING
    assert trace.verdict(1.0).similarity is None
    trace = filled(trace, 1.0, quality(0.5))
    assert trace.verdict(3.0).fit is Fit.HOLDS
    assert trace.verdict(3.0).lead == pytest.approx(0.4)
    assert trace.verdict(30.0).fit is Fit.WAITING
    assert trace.with_frame(31.0, None) is trace
    late = trace.with_frame(KEEP_S + 1.5, quality(0.4))
    assert late.samples[0].time_s >= 1.5
    assert late.baseline == pytest.approx(0.5)
    with pytest.raises(RegistrationError, match="older"):
        late.with_frame(5.0, quality(0.5))


def test_the_trace_warns_of_a_step_aside_that_fits_better_and_of_a_fall() -> None:
    begun = filled(QualityTrace(), 0.0, quality(0.5))
    head = next(n for n, step in enumerate(displacements_ct_mm()) if step[2] == 4.0)
    aside = filled(begun, 10.0, quality(0.4, beside=0.45, best=head)).verdict(12.0)
    assert aside.fit is Fit.DRIFTED
    assert "4 mm towards the head" in aside.words
    assert aside.displacement_ct_mm == pytest.approx((0.0, 0.0, 4.0))
    fallen = filled(begun, 10.0, quality(0.25, beside=0.1)).verdict(12.0)
    assert fallen.fit is Fit.LOST
    assert filled(begun, 10.0, quality(0.35, beside=0.1)).verdict(12.0).fit is Fit.HOLDS
