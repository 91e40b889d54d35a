"""What going back, undoing and checking must still refuse, and what they leave alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ir_nav.geometry import Transform
from ir_nav.registration import Registration
from ir_nav.session.errors import SessionError
from ir_nav.session.registering import Registering
from tests.session.rig import landmark_fit
from tests.session.test_registering import Bench


def made(bench: Bench, tre_mm: float, age_s: float = 60.0) -> Registration:
    """A registration with a matrix of its own."""
    one = landmark_fit(tre_mm).registration
    place = one.ct_from_reference
    own = Transform(place.target, place.source, place.matrix)
    return replace(one, ct_from_reference=own, created_s=bench.now_s - age_s)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def registering(bench: Bench) -> Registering:
    return bench.registering


def test_going_back_to_a_fair_one_asks_again(bench: Bench, registering: Registering) -> None:
    registering.take(made(bench, 7.0), confirmed=True)
    good = registering.take(made(bench, 2.0))
    with pytest.raises(SessionError, match=r"7\.0 mm predicted at the target: confirm"):
        registering.go_back(0)
    assert registering.registration is good
    registering.go_back(0, confirmed=True)
    assert registering.in_use_index == 0


def test_going_back_needs_a_plan(bench: Bench, registering: Registering) -> None:
    registering.take(made(bench, 2.0))
    registering._plan = lambda: None
    with pytest.raises(SessionError, match="approve a plan first"):
        registering.go_back(0)
    with pytest.raises(SessionError, match="approve a plan first"):
        registering.take(made(bench, 1.0))
    assert len(registering.history) == 1


def test_undo_passes_over_what_has_expired(bench: Bench, registering: Registering) -> None:
    first = registering.take(made(bench, 2.0))
    most_s = 60.0 * registering.rules.max_age_min
    registering.take(made(bench, 2.0, age_s=most_s - 5.0))
    registering.advance(bench.now_s + 10.0)
    assert registering.registration is None
    assert "older than" in (registering.expired or "")
    assert [bool(one.expired) for one in registering.history] == [False, True]
    registering.take(made(bench, 2.0))
    assert registering.expired is None
    assert registering.undo_registration() is first
    assert registering.in_use_index == 0


def test_the_first_reason_of_an_end_stays(bench: Bench, registering: Registering) -> None:
    registering.take(made(bench, 2.0, age_s=60.0 * registering.rules.max_age_min - 5.0))
    registering.advance(bench.now_s + 10.0)
    registering.take(made(bench, 2.0))
    registering.reference_moved()
    aged, moved = (one.expired for one in registering.history)
    assert "older than" in aged
    assert "the reference was moved" in moved
    assert registering.disturbed_s == bench.now_s


def test_a_failed_check_ends_those_before_too(bench: Bench, registering: Registering) -> None:
    registering.take(made(bench, 2.0))
    registering.take(made(bench, 2.0))
    bench.hold((0.0, 0.0, 0.0), moved_mm=40.0)
    assert registering.check("F1") > registering.rules.max_check_mm
    assert registering.registration is None
    assert all("F1 touched again" in one.expired for one in registering.history)
    with pytest.raises(SessionError, match="there is no earlier registration"):
        registering.undo_registration()


def test_the_error_is_restated_at_the_target(bench: Bench, registering: Registering) -> None:
    """Guidance asks for the covariance about the plan's target, whatever the method gave."""
    found = made(bench, 2.0)
    plan = bench.session.planning.plan
    assert plan is not None
    registering._plan = lambda: plan.model_copy(update={"target_ct_mm": (0.0, 0.0, 60.0)})
    taken = registering.take(found)
    assert tuple(taken.about_ct_mm) == (0.0, 0.0, 60.0)
    assert taken.tre_mm((0.0, 0.0, 60.0)) == pytest.approx(found.tre_mm((0.0, 0.0, 60.0)))
    assert registering.accepted_tre_mm == pytest.approx(found.tre_mm((0.0, 0.0, 60.0)))
    assert registering.history[0].tre_mm == pytest.approx(found.tre_mm((0.0, 0.0, 60.0)))


def test_one_too_old_is_not_gone_back_to(bench: Bench, registering: Registering) -> None:
    most_s = 60.0 * registering.rules.max_age_min
    registering.take(made(bench, 2.0, age_s=most_s - 5.0))
    used = registering.take(made(bench, 2.0))
    bench.now_s += 10.0
    registering.advance(bench.now_s)
    assert [one.expired for one in registering.history] == ["", ""]
    with pytest.raises(SessionError, match="has expired: the registration is older than"):
        registering.go_back(0)
    assert registering.registration is used


def test_undo_passes_over_one_that_grew_too_old(bench: Bench, registering: Registering) -> None:
    first = registering.take(made(bench, 2.0))
    registering.take(made(bench, 2.0, age_s=60.0 * registering.rules.max_age_min - 5.0))
    registering.take(made(bench, 2.0))
    bench.now_s += 10.0
    assert registering.undo_registration() is first


def test_a_moved_reference_ends_those_before_too(bench: Bench, registering: Registering) -> None:
    registering.take(made(bench, 2.0))
    registering.take(made(bench, 2.0))
    registering.reference_moved()
    assert all("the reference was moved" in one.expired for one in registering.history)


def test_a_change_of_the_points_drops_what_was_accepted_with_them(bench: Bench) -> None:
    bench.hold((300.0, 300.0, 300.0))
    registering = bench.registering
    registering.start()
    bench.touch([0, 1, 2, 3, 4])
    registering.accept()
    registering.touch_again("F2")
    assert registering.registration is None
    bench.touch([1])
    registering.accept()
    registering.undo()
    assert registering.registration is None
