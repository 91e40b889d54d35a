"""What the instrument does at the target, as findings with verdicts."""

from __future__ import annotations

import numpy as np
import pytest

from ir_nav.planning import Plan
from ir_nav.planning.finding import PlanFinding
from ir_nav.planning.instrument_findings import deepest_paths, instrument_findings
from ir_nav.planning.instruments import Biopsy, Drainage
from tests.planning.masks import ball
from tests.planning.test_plan_kinds import TARGET, plan_of, with_two_needles

SHIFT = (-30.0, -30.0, 22.0)


def found(plan: Plan, radius_mm: float) -> dict[str, PlanFinding]:
    target = ball(radius_mm, SHIFT, half_mm=75.0, spacing_mm=(1.5, 1.5, 1.5))
    return {one.name: one for one in instrument_findings(plan, target)}


def test_a_needle_that_is_too_short_is_a_broken_hard_limit() -> None:
    plan = plan_of("needle")
    (reaches,) = instrument_findings(plan, None)
    assert reaches.passes
    assert reaches.value == pytest.approx(plan.needle.length_mm - plan.path.length_mm)
    far = plan.model_copy(update={"target_ct_mm": (-30.0, 300.0, 22.0)})
    (short,) = instrument_findings(far, None)
    assert short.hard
    assert not short.passes
    assert "NOT KEPT" in short.words()


def test_a_biopsy_says_where_the_sample_lies_and_how_deep_it_goes() -> None:
    plan = plan_of("biopsy")
    assert isinstance(plan.instrument, Biopsy)
    findings = found(plan, 20.0)
    assert findings["Middle of the sample past aim"].value == pytest.approx(0.0)
    past_mm = plan.instrument.notch.throw_mm - plan.instrument.stand_off_mm
    assert findings["Deepest point past aim"].value == pytest.approx(past_mm)
    assert findings["Sample inside the target"].value == 100.0
    (deepest,) = deepest_paths(plan)
    # The plan's path ends where the tip rests: the whole throw comes on top.
    throw_mm = plan.instrument.notch.throw_mm
    assert deepest.length_mm == pytest.approx(plan.path.length_mm + throw_mm)
    np.testing.assert_allclose(deepest.direction_ct, plan.path.direction_ct, atol=1e-9)


def test_a_drain_keeps_its_holes_and_loop_in_the_collection() -> None:
    plan = plan_of("drainage")
    assert isinstance(plan.instrument, Drainage)
    wide, narrow = found(plan, 30.0), found(plan, 6.0)
    assert wide["Side holes inside the collection"].passes
    assert wide["Loop inside the collection"].passes
    assert not narrow["Side holes inside the collection"].passes
    assert narrow["Side holes inside the collection"].hard
    assert narrow["Loop inside the collection"].value < 100.0
    (deepest,) = deepest_paths(plan)
    past_mm = plan.instrument.catheter.loop_mm / 2.0
    assert deepest.length_mm == pytest.approx(plan.path.length_mm + past_mm)


def test_ablation_counts_every_needle() -> None:
    one, two = found(plan_of("ablation"), 9.0), found(with_two_needles(), 9.0)
    assert two["Target covered"].value > one["Target covered"].value
    assert two["Ablated volume"].value > one["Ablated volume"].value
    assert {"Needle 1 left outside", "Needle 2 left outside"} <= set(two)
    lesion = plan_of("needle", target_ct_mm=SHIFT)
    centred = lesion.for_instrument(plan_of("ablation").instrument)
    small = found(centred, 3.0)
    assert small["Target covered"].value == 100.0
    assert not found(plan_of("ablation"), 20.0)["Target covered"].passes
    assert len(deepest_paths(with_two_needles())) == 2


def test_without_a_mask_only_what_needs_none_is_said() -> None:
    names = {one.name for one in instrument_findings(plan_of("ablation"), None)}
    assert names == {"Needle left outside"}
    assert plan_of("coaxial").target_ct_mm == TARGET
