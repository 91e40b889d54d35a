"""What is chosen among the open ways."""

from __future__ import annotations

import numpy as np
import pytest

from ir_nav.planning import propose, search
from ir_nav.planning.pareto_kernels import unbeaten
from ir_nav.planning.proposals import APART_MM, pareto
from tests.planning.phantoms import BONE, VESSEL, Block, limit, protocol

TARGET = (0.0, 0.0, 0.0)


def test_unbeaten_agrees_with_the_definition() -> None:
    rng = np.random.default_rng(4)
    values = rng.integers(0, 8, (300, 3)).astype(float)
    kept = unbeaten(values, np.argsort(-values.sum(axis=1), kind="stable"))
    for n, row in enumerate(values):
        beaten = ((values >= row).all(axis=1) & (values > row).any(axis=1)).any()
        assert kept[n] == (not beaten)


def test_the_best_is_beaten_by_none() -> None:
    block = Block()
    block.wall(1, -30.0)
    block.hole(12.0, -18.0, 14.0)
    rules = protocol()
    ground = block.ground(rules)
    found = propose(ground, rules, TARGET)
    ways = search(ground, rules, TARGET).ways
    front = pareto(ways, np.ones(len(ways), dtype=np.bool_))
    assert found.unbeaten == int(front.sum())
    assert found.open == len(ways)
    assert 0 < found.unbeaten < found.open
    assert found.paths[0].quality == pytest.approx(ways.quality[front].max())
    assert found.paths[0].quality == pytest.approx(ways.quality.max())


@pytest.mark.parametrize("count", [1, 3, 5])
def test_no_more_paths_than_asked_and_all_apart(count: int) -> None:
    rules = protocol(reachable_from=("A", "L"))
    paths = propose(Block().ground(rules), rules, TARGET, count=count).paths
    assert len(paths) == count
    entries = np.array([p.path.entry_ct_mm for p in paths])
    apart = np.linalg.norm(entries[:, None] - entries, axis=-1)[np.triu_indices(count, 1)]
    assert apart.min(initial=np.inf) >= APART_MM
    told = [merit for p in paths for merit in p.best_at]
    assert {"safest", "shortest", "easiest"} == set(told)


def test_weights_decide_between_a_short_and_a_safe_way() -> None:
    """Straight in front a gap that leaves 1 mm; from the side, farther, nothing at all."""
    block = Block()
    # From the front 50 mm to the skin, from the left 60.
    block.wall(2, -30.0)
    block.hole(0.0, 0.0, 9.0)
    block.labels[(block.points[..., 0] > 20.0)] = 0
    sides = {"reachable_from": ("A", "L")}
    short = protocol(weights={"safe": 0.0, "short": 1.0, "easy": 0.0}, **sides)
    safe = protocol(weights={"safe": 1.0, "short": 0.0, "easy": 0.0}, **sides)
    ground = block.ground(short)
    assert propose(ground, short, TARGET).paths[0].path.entry_ct_mm[1] < -45.0
    best = propose(ground, safe, TARGET).paths[0]
    assert best.limiting is None or best.limiting.value > 12.0


def test_a_changed_margin_needs_no_new_ground() -> None:
    block = Block()
    block.wall(2, -30.0)
    block.hole(0.0, 0.0, 12.0)
    loose = protocol(structures=(BONE, VESSEL))
    tight = protocol(structures=(BONE, VESSEL.model_copy(update={"margin_mm": 8.0})))
    ground = block.ground(loose)
    assert ground.serves(tight)
    wide, narrow = search(ground, loose, TARGET), search(ground, tight, TARGET)
    assert len(narrow.ways) < len(wide.ways)
    np.testing.assert_array_equal(
        search(block.ground(tight), tight, TARGET).quality, narrow.quality
    )


def test_limits_on_tilt_are_kept() -> None:
    rules = protocol(
        limits=(*protocol().limits, limit("gantry_angle_deg", hard=True, max=5.0)),
    )
    for proposal in propose(Block().ground(rules), rules, TARGET).paths:
        way = proposal.path.direction_ct
        assert abs(np.degrees(np.arcsin(way[2]))) <= 5.0
