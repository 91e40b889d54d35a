"""The CT registered to a live sweep, from landmarks or one locked plane; refused where it must be;
and the live check that says when it no longer fits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ir_nav.geometry import rigid_inverse
from ir_nav.imaging import Volume, VolumeInfo
from ir_nav.recording import EventKind, read_log
from ir_nav.registration import Method, RegistrationError
from ir_nav.registration.ultrasound.bone_alignment import BoneRegistration
from ir_nav.registration.ultrasound.quality_trace import Fit
from ir_nav.session.errors import SessionError
from ir_nav.session.gathered_sweep import MOST_FRAMES
from ir_nav.session.live_quality import WARN_AFTER
from ir_nav.session.state import UltrasoundState
from ir_nav.session.sweep_outcome import SweepBy, SweepOutcome
from tests.registration.bone_scene import make_bone_scene
from tests.registration.ultrasound_scene import CT_FROM_REFERENCE, TARGET_CT_MM, start_off
from tests.session import swept_bench
from tests.session.swept_bench import FRAMES, SweptBench, scene


def _ignore(_: float) -> None:
    pass


def worked_out(bench: SweptBench) -> SweepOutcome:
    step = bench.session.sweeping
    step.conclude(step.solution()(_ignore))
    assert step.outcome is not None
    return step.outcome


@pytest.fixture
def bench() -> SweptBench:
    return SweptBench()


def test_a_sweep_mends_landmarks_that_are_6_mm_off(bench: SweptBench, tmp_path: Path) -> None:
    bench.session.start_log(tmp_path / "log.irlog")
    bench.use(start_off(6.0, 3.0, 4))
    step = bench.session.sweeping
    before = bench.session.registering.registration
    step.start()
    bench.sweep()
    step.stop()
    assert step.sweep is not None
    assert (len(step.sweep.frames), step.sweep.windows) == (2 * FRAMES, 2)
    parts: list[float] = []
    step.conclude(step.solution()(parts.append))
    assert parts == sorted(parts)
    assert parts[-1] == 1.0
    outcome = step.outcome
    assert outcome is not None
    assert outcome.registration.accepted
    assert outcome.moved_mm == pytest.approx(6.0, abs=1.5)
    # Nothing changes before it is accepted.
    assert bench.session.registering.registration is before
    assert bench.error_mm() == pytest.approx(6.0, abs=0.01)
    taken = step.accept()
    assert bench.error_mm() < 1.0
    assert taken.method is Method.ULTRASOUND
    assert bench.session.registering.registration is taken
    assert len(bench.session.registering.history) == 2
    assert step.sweep is None
    assert step.outcome is None
    bench.session.close()
    events = read_log(tmp_path / "log.irlog").events
    assert any(one.data.get("method") == "ultrasound" for one in events)


def test_frames_off_the_breath_and_frames_that_stand_still_are_left_out(bench: SweptBench) -> None:
    bench.use(CT_FROM_REFERENCE)
    step = bench.session.sweeping
    step.start()
    bench.sweep(breath_mm=4.0)
    assert step.sweep is not None
    assert step.sweep.frames == ()
    assert step.sweep.left_out == (("not at the CT's breath", 2 * FRAMES),)
    for _ in range(4):
        bench.send(3)
    assert len(step.sweep.frames) == 1
    assert step.sweep.frames[0].level == pytest.approx(0.0, abs=1e-6)
    with pytest.raises(SessionError, match=r"has 1 frames, at least 8 .* not at the CT's breath"):
        step.solution()
    assert step.sweeping


def test_a_long_sweep_is_thinned(bench: SweptBench) -> None:
    bench.use(CT_FROM_REFERENCE)
    step = bench.session.sweeping
    step.start()
    for number in range(90):
        bench.send(0, slipped_mm=(0.0, 0.0, 2.5 * number))
    assert step.sweep is not None
    assert MOST_FRAMES // 2 < len(step.sweep.frames) <= MOST_FRAMES
    along = np.array([one.face_mm for one in step.sweep.frames])
    assert np.ptp(np.linalg.norm(along - along[0], axis=1)) > 200.0
    assert step.sweep.windows == 6


def test_a_start_is_asked_for_in_words(bench: SweptBench) -> None:
    step = bench.session.sweeping
    bench.send(0)
    with pytest.raises(SessionError, match="touch the landmarks and accept, or scroll the CT"):
        step.start()
    with pytest.raises(SessionError, match="start the sweep first"):
        step.solution()
    with pytest.raises(SessionError, match="register a sweep first"):
        step.accept()
    bench.use(CT_FROM_REFERENCE)
    bench.session.breath.model = None
    with pytest.raises(SessionError, match="wait while the reference is watched"):
        step.start()


def test_one_locked_plane_is_start_enough(bench: SweptBench) -> None:
    """The slice that the live image shows, found by hand 8 mm and 5 degrees off."""
    state = bench.send(2)
    step = bench.session.sweeping
    image = state.ultrasound
    assert isinstance(image, UltrasoundState)
    assert image.reference_from_image is not None
    by_hand = start_off(8.0, 5.0, 6) @ image.reference_from_image
    rows, columns = image.frame.pixels.shape
    middle = (by_hand @ np.array([(columns - 1) / 2, (rows - 1) / 2, 0.0, 1.0]))[:3]
    right, down = (by_hand[:3, axis] / np.linalg.norm(by_hand[:3, axis]) for axis in (0, 1))
    with pytest.raises(SessionError, match="no ultrasound image has come"):
        step.lock_plane(None, middle, right, down)
    step.lock_plane(image, middle, right, down)
    assert step.locked is not None
    np.testing.assert_allclose(step.locked, start_off(8.0, 5.0, 6), atol=1e-6)
    assert bench.session.registering.registration is None
    step.start()
    bench.sweep()
    worked_out(bench)
    step.accept()
    assert bench.error_mm() < 1.0
    assert step.locked is None


def test_a_ct_that_does_not_fit_is_refused_and_nothing_changes(bench: SweptBench) -> None:
    ct = scene().ct
    mirrored = np.ascontiguousarray(ct.voxels[::-1, ::-1])
    bench.session.load_case(Volume(mirrored, ct.ct_from_voxel, "blake2b:other", VolumeInfo()))
    bench.session.planning.set_target(TARGET_CT_MM, "liver")
    bench.session.planning.set_entry(TARGET_CT_MM + np.array([0.0, -70.0, 0.0]))
    bench.session.approving.approve("P", confirmed=True)
    bench.use(CT_FROM_REFERENCE)
    used = bench.session.registering.registration
    bench.session.sweeping.start()
    bench.sweep()
    outcome = worked_out(bench)
    assert not outcome.registration.accepted
    with pytest.raises(SessionError, match=r"this registration was refused: .*sweep again"):
        bench.session.sweeping.accept(confirmed=True)
    assert bench.session.registering.registration is used
    bench.session.load_case(ct)
    bench.send(0)
    assert bench.session.sweeping.outcome is None
    with pytest.raises(SessionError, match="another CT was opened"):
        bench.session.sweeping.conclude(outcome)
    assert bench.session.sweeping.outcome is None


def test_what_was_swept_before_the_reference_moved_is_dropped(bench: SweptBench) -> None:
    bench.use(CT_FROM_REFERENCE)
    step = bench.session.sweeping
    step.start()
    bench.sweep()
    bench.session.registering.reference_moved()
    bench.send(0)
    assert step.sweep is None


def test_the_live_check_holds_then_warns_once_of_a_slip(bench: SweptBench, tmp_path: Path) -> None:
    bench.session.start_log(tmp_path / "log.irlog")
    quality = bench.session.quality
    bench.judge(1)
    assert not quality.watched
    assert quality.similarities == ()
    bench.use(CT_FROM_REFERENCE)
    bench.judge()
    assert quality.watched
    assert quality.verdict.fit is Fit.HOLDS
    assert quality.warning is None
    assert min(quality.similarities) > 0.3
    judged = len(quality.similarities)
    bench.judge(1, breath_mm=4.0)
    assert len(quality.similarities) == judged
    bench.judge(2, slipped_mm=(0.0, 0.0, 8.0))
    assert quality.verdict.warns
    assert quality.warning is not None
    assert "register again" in quality.warning
    bench.judge(2)
    assert quality.warning is None
    # Guidance was never taken away: the registration is in use throughout.
    assert bench.session.registering.registration is not None
    bench.session.close()
    notes = [
        one.text
        for one in read_log(tmp_path / "log.irlog").events
        if one.kind is EventKind.REGISTRATION and one.text.startswith("ultrasound check")
    ]
    assert len(notes) == 2
    assert "warns" in notes[0]
    assert "fit the CT again" in notes[1]


def test_a_passing_doubt_and_a_rare_frame_do_not_warn(bench: SweptBench) -> None:
    quality = bench.session.quality
    bench.use(CT_FROM_REFERENCE)
    bench.judge()
    slipped = WARN_AFTER - 1
    while quality.verdict.fit is Fit.HOLDS:
        bench.send(3, slipped_mm=(0.0, 0.0, 8.0))
        check = quality.next_check()
        assert check is not None
        quality.add(check())
    assert quality._against == 1
    assert quality.warning is None
    for _ in range(slipped):
        bench.send(3, slipped_mm=(0.0, 0.0, 8.0))
        check = quality.next_check()
        assert check is not None
        quality.add(check())
    assert quality.warning is not None
    # Another registration begins another trace.
    bench.use(rigid_inverse(rigid_inverse(CT_FROM_REFERENCE)))
    bench.send(0)
    assert quality.similarities == ()
    assert quality.warning is None


def test_the_same_sweep_is_registered_by_its_bone(
    bench: SweptBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over the back; the liver's CT, which has no such bone, is refused in words before."""
    bench.use(start_off(6.0, 3.0, 4))
    step = bench.session.sweeping
    step.start()
    bench.sweep()
    with pytest.raises(RegistrationError, match="sweep over ribs, spine"):
        step.solution(SweepBy.BONE)(_ignore)
    assert step.sweep is not None
    back = make_bone_scene()
    monkeypatch.setattr(swept_bench, "scene", lambda: back)
    bench = SweptBench()
    bench.use(start_off(6.0, 3.0, 4))
    step = bench.session.sweeping
    step.start()
    bench.sweep()
    step.conclude(step.solution(SweepBy.BONE)(_ignore))
    assert step.outcome is not None
    assert isinstance(step.outcome.found, BoneRegistration)
    step.reconsider()
    assert step.outcome is None
    assert step.sweep is not None
    step.conclude(step.solution(SweepBy.BONE)(_ignore))
    taken = step.accept(confirmed=True)
    assert taken.accepted
    used = bench.session.registering.registration
    assert used is not None
    assert back.error_mm(used.ct_from_reference.matrix) < 1.0
