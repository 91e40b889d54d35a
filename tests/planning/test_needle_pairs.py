"""Needles of one plan: how far apart, and which come too near to each other."""

from __future__ import annotations

import numpy as np
import pytest

from ir_nav.planning import Plan, PlanError, PlannedPath
from ir_nav.planning.instruments import Ablation, Needle, Zone
from ir_nav.planning.needle_pairs import needle_pairs, shafts_apart_mm, spacing_findings
from ir_nav.planning.needles import with_needle

ZONE = Zone(length_mm=30.0, width_mm=20.0, ahead_mm=5.0)


def ablation() -> Plan:
    straight = Plan(
        name="P", ct_identity="ct", entry_ct_mm=(0.0, -60.0, 0.0), target_ct_mm=(0.0, 10.0, 0.0)
    )
    return straight.for_instrument(Ablation(needle=Needle(gauge=17), zone=ZONE))


def to_aim(x_entry: float, x_aim: float, z_entry: float = 0.0) -> PlannedPath:
    return PlannedPath.between((x_entry, -60.0, z_entry), (x_aim, 10.0, 0.0))


def test_the_least_distance_of_shafts_is_that_of_dense_points() -> None:
    rng = np.random.default_rng(8)
    steps = np.linspace(0.0, 1.0, 401)[:, None]
    for _ in range(40):
        ends = rng.uniform(-60.0, 60.0, (4, 3))
        first, second = PlannedPath.between(*ends[:2]), PlannedPath.between(*ends[2:])
        dense = [end[0] + steps * (end[1] - end[0]) for end in (ends[:2], ends[2:])]
        least = np.linalg.norm(dense[0][:, None] - dense[1][None], axis=2).min()
        assert shafts_apart_mm(first, second) == pytest.approx(least, abs=0.4)
        assert shafts_apart_mm(first, second) <= least + 1e-9
        assert shafts_apart_mm(second, first) == pytest.approx(shafts_apart_mm(first, second))


def test_parallel_and_crossing_shafts() -> None:
    assert shafts_apart_mm(to_aim(0.0, 0.0), to_aim(7.0, 7.0)) == pytest.approx(7.0)
    assert shafts_apart_mm(to_aim(-10.0, 10.0), to_aim(10.0, -10.0)) == pytest.approx(0.0, abs=1e-9)


def test_a_second_needle_through_the_same_hole_is_refused() -> None:
    with pytest.raises(PlanError, match=r"needle 2 comes to 0\.0 mm of needle 1; at least 5 mm"):
        with_needle(ablation(), to_aim(0.0, 20.0), 5.0)
    with pytest.raises(PlanError, match=r"comes to 4\.\d mm of needle 1"):
        with_needle(ablation(), to_aim(4.5, 20.0), 5.0)
    widened = with_needle(ablation(), to_aim(6.0, 20.0), 5.0)
    (pair,) = needle_pairs(widened)
    assert (pair.first, pair.second) == (1, 2)
    assert pair.shafts_mm == pytest.approx(6.0)
    assert pair.entries_mm == pytest.approx(6.0)
    # The tips rest 10 mm beyond the aims, each along its own needle.
    slope = 14.0 / np.hypot(14.0, 70.0)
    assert pair.angle_deg == pytest.approx(np.degrees(np.arcsin(slope)), abs=0.01)
    assert pair.tips_mm == pytest.approx(20.0 + 10.0 * slope, abs=0.1)
    third = with_needle(widened, to_aim(-6.0, -20.0, 6.0), 5.0)
    assert [(one.first, one.second) for one in needle_pairs(third)] == [(1, 2), (1, 3), (2, 3)]


def test_the_spacing_is_a_hard_limit_of_the_plan() -> None:
    widened = with_needle(ablation(), to_aim(6.0, 20.0))
    (kept,), (near,) = spacing_findings(widened, 5.0), spacing_findings(widened, 7.0)
    assert (kept.passes, near.passes) == (True, False)
    assert near.hard
    assert near.name == "Needles 1 and 2 apart"
    assert spacing_findings(ablation(), 5.0) == ()
