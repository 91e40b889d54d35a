"""Views of a real chest taken in the room, registered, accepted, followed, dropped."""

from __future__ import annotations

import re

import numpy as np
import pytest

from ir_nav.geometry import apply, rigid, rigid_inverse, rotation_from_vector
from ir_nav.registration import Method
from ir_nav.session.errors import SessionError
from ir_nav.session.fluoro_views import apart_deg, geometry_at, middle_scatter_mm
from ir_nav.session.state import Role
from tests.session.fluoro_room import (
    FOCUS_CT_MM,
    GEOMETRY,
    SIZE,
    FluoroBench,
    mtre_mm,
    picture,
)
from tests.session.rig import CT_FROM_REFERENCE, TRACKER_FROM_REFERENCE


@pytest.fixture
def bench() -> FluoroBench:
    return FluoroBench()


def registered(bench: FluoroBench) -> None:
    parts: list[float] = []
    outcome = bench.session.fluoro.solution()(parts.append)
    assert parts[0] == 0.0
    assert parts[-1] == 1.0
    assert bench.session.fluoro.conclude(outcome)


def test_two_views_find_the_patient_that_landmarks_had_8_mm_off(bench: FluoroBench) -> None:
    fluoro, registering = bench.session.fluoro, bench.session.registering
    assert registering.registration is not None
    assert mtre_mm(registering.registration) > 7.0
    bench.take(0.0, -60.0)
    assert apart_deg(*fluoro.views) == pytest.approx(60.0, abs=0.01)
    assert fluoro.advice == "2 views, 60° apart"
    registered(bench)
    assert fluoro.found is not None
    assert not fluoro.found.second_view_wanted
    assert registering.registration.method is Method.LANDMARKS  # until it is accepted
    taken = fluoro.accept()
    assert mtre_mm(taken) < 0.5
    assert registering.registration is taken
    assert taken.method is Method.FLUORO
    assert taken.inputs[-1] == "breathing: end of expiration, within 0.0 mm"
    assert registering.accepted_tre_mm is not None
    assert registering.accepted_tre_mm < 1.0
    assert fluoro.found is None


def test_one_view_asks_for_a_second_and_says_how_uncertain_depth_is(bench: FluoroBench) -> None:
    fluoro = bench.session.fluoro
    assert fluoro.advice == "Take a view after breathing out"
    bench.take(0.0)
    assert "second view 40 to 90 degrees away" in fluoro.advice
    registered(bench)
    said = re.search(r"uncertain by ±([\d.]+) mm: take a second view", fluoro.advice)
    assert said is not None, fluoro.advice
    assert fluoro.found is not None
    assert float(said[1]) == pytest.approx(fluoro.found.depth_95_mm, abs=0.05)
    assert mtre_mm(fluoro.found.registration) < 2.0
    bench.shine(0.0)
    fluoro.take_view()
    assert "only 0° apart" in fluoro.advice


def test_no_view_without_the_c_arms_place(bench: FluoroBench) -> None:
    bench.shine(0.0, says_place=False)
    with pytest.raises(SessionError, match="C-arm has no pose around the image's time"):
        bench.session.fluoro.take_view()
    assert bench.session.fluoro.hindrance() is not None
    with pytest.raises(SessionError, match="take a fluoro view first"):
        bench.session.fluoro.solution()


def test_only_in_the_gate_and_with_all_at_rest(bench: FluoroBench) -> None:
    fluoro = bench.session.fluoro
    breathed = TRACKER_FROM_REFERENCE.copy()
    breathed[2, 3] += 5.0
    bench.shine(0.0, reference=breathed, frames=4)
    with pytest.raises(SessionError, match=r"5.0 mm from end-expiration"):
        fluoro.take_view()
    bench.pause()
    bench.shine(0.0, frames=1)
    bench.shine(10.0, frames=1)
    with pytest.raises(SessionError, match="C-arm moves"):
        fluoro.take_view()
    bench.pause()
    bench.shine(0.0, frames=1)
    bench.shine(0.0, frames=1, pixels=np.roll(picture(0.0), 6, axis=0))
    with pytest.raises(SessionError, match="not sharp"):
        fluoro.take_view()
    bench.pause()
    bench.shine(0.0)
    assert fluoro.hindrance() is None
    fluoro.take_view()
    with pytest.raises(SessionError, match="taken already"):
        fluoro.take_view()
    bench.take(-20.0, -40.0, -60.0)
    bench.shine(-60.0)
    with pytest.raises(SessionError, match="remove one first"):
        fluoro.take_view()


def test_a_moving_patient_is_waited_for(bench: FluoroBench) -> None:
    moving = TRACKER_FROM_REFERENCE.copy()
    bench.pause()
    for _ in range(4):
        moving = moving.copy()
        moving[0, 3] += 1.5
        bench.shine(0.0, frames=1, reference=moving)
    with pytest.raises(SessionError, match="patient moves"):
        bench.session.fluoro.take_view()


def test_a_result_goes_with_its_views_and_both_with_a_moved_reference(bench: FluoroBench) -> None:
    fluoro = bench.session.fluoro
    bench.take(0.0, -60.0)
    outcome = fluoro.solution()(lambda _: None)
    fluoro.remove(0)
    assert not fluoro.conclude(outcome)
    assert fluoro.found is None
    registered(bench)
    bench.now_s += 1.0
    bench.session.registering.reference_moved()
    bench.session.tick(bench.now_s)
    assert (fluoro.views, fluoro.found) == ((), None)
    with pytest.raises(SessionError, match="register by a fluoro view first"):
        fluoro.accept()
    with pytest.raises(SessionError, match="no such view"):
        fluoro.remove(0)


def test_following_tells_the_drift_and_leaves_guidance_alone(bench: FluoroBench) -> None:
    fluoro, registering = bench.session.fluoro, bench.session.registering
    with pytest.raises(SessionError, match="accept a fluoro registration first"):
        fluoro.following.turn(True)
    bench.take(0.0, -60.0)
    registered(bench)
    taken = fluoro.accept()
    fluoro.following.turn(True)
    bench.pause()
    moved = rigid(np.eye(3), np.array([0.0, 0.0, 4.0]))
    bench.shine(-60.0, patient_moved=moved)
    follow = fluoro.next_follow()
    assert follow is not None
    assert fluoro.next_follow() is None  # one frame, one look
    fluoro.following.take(follow())
    drift = fluoro.following.drift
    assert drift is not None
    assert drift.reason == ""
    assert drift.across_mm == pytest.approx(4.0, abs=0.5)
    assert abs(drift.along_mm) < 3.0
    assert registering.registration is taken
    bench.pause()
    bench.shine(-60.0, pixels=np.full_like(picture(-60.0), 900))
    follow = fluoro.next_follow()
    assert follow is not None
    assert "one grey all over" in follow().reason
    registering.undo_registration()
    bench.session.tick(bench.now_s)
    assert not fluoro.following.on
    assert fluoro.following.drift is None


def test_a_frame_sent_smaller_keeps_its_magnification() -> None:
    half = geometry_at(GEOMETRY, (SIZE // 2, SIZE // 2))
    points = np.array([[10.0, -40.0, 700.0], [-80.0, 30.0, 640.0]])
    full_px = GEOMETRY.project(points)
    np.testing.assert_allclose(half.project(points), (full_px + 0.5) / 2.0 - 0.5, atol=1e-9)


def test_the_overlay_goes_by_the_result_at_hand(bench: FluoroBench) -> None:
    fluoro = bench.session.fluoro
    bench.take(0.0, -60.0)
    view = fluoro.views[0]
    before = fluoro.carm_from_ct(view)
    registered(bench)
    after = fluoro.carm_from_ct(view)
    assert before is not None
    assert after is not None
    true_px = GEOMETRY.project(np.array([0.0, 0.0, 700.0]))
    off_px = [
        float(np.linalg.norm(GEOMETRY.project(apply(pose.matrix, FOCUS_CT_MM)) - true_px))
        for pose in (before, after)
    ]
    assert off_px[0] > 2.0
    assert off_px[1] < 0.5
    assert rigid_inverse(after.matrix).shape == (4, 4)


def test_what_the_breath_and_the_tracker_add_is_in_the_predicted_error(bench: FluoroBench) -> None:
    fluoro = bench.session.fluoro
    bench.take(0.0)
    registered(bench)
    assert fluoro.found is not None
    calm_mm = fluoro.found.registration.tre_mm(FOCUS_CT_MM)
    calm_depth_mm = fluoro.found.depth_95_mm
    fluoro.remove(0)
    breathed = TRACKER_FROM_REFERENCE.copy()
    breathed[2, 3] += 1.5
    bench.pause()
    bench.shine(0.0, frames=8, reference=breathed)
    fluoro.take_view()
    registered(bench)
    found = fluoro.found
    # Three times the reference's 1.5 mm, less what the reference itself went with it.
    assert found.registration.tre_mm(FOCUS_CT_MM) == pytest.approx(
        np.hypot(calm_mm, 2.0 * 1.5), rel=0.05
    )
    assert found.depth_95_mm > calm_depth_mm
    assert found.second_view_wanted == (found.depth_95_mm > 2.0)
    assert found.registration.inputs[-1] == "breathing: end of expiration, within 1.5 mm"


def test_the_trackers_scatter_counts_by_its_angles_too(bench: FluoroBench) -> None:
    rng = np.random.default_rng(2)
    for _ in range(60):
        bench.now_s += 1 / 60
        turn = rotation_from_vector(rng.normal(0.0, 0.003, 3))
        bench.rig.send(
            Role.REFERENCE, TRACKER_FROM_REFERENCE @ rigid(turn, np.zeros(3)), bench.now_s
        )
    bench.shine(0.0, frames=1)
    kept = bench.session.fluoro.take_view()
    assert bench.session.fluoro.views == (kept,)
    lever_mm = np.linalg.norm(apply(rigid_inverse(CT_FROM_REFERENCE), FOCUS_CT_MM))
    # Two components of the turn move the point; the last eight poses are at rest.
    streams = bench.session.connection.streams
    assert streams is not None
    once = bench.session.fluoro.live_view()
    single_mm = middle_scatter_mm(once, streams)
    assert single_mm / (0.003 * np.sqrt(2.0) * lever_mm) == pytest.approx(0.87, abs=0.25)
    # The view goes by the mean of the poses, which is nearer to the truth and says so.
    assert kept.scatter_mm < single_mm / 3.0
    focus_reference_mm = apply(rigid_inverse(CT_FROM_REFERENCE), FOCUS_CT_MM)
    true = once.frame.view.carm_from_world  # the last pose came without noise
    off_mm = np.linalg.norm(
        apply(kept.frame.view.carm_from_world, focus_reference_mm) - apply(true, focus_reference_mm)
    )
    assert 0.0 < off_mm < 3.0 * kept.scatter_mm
