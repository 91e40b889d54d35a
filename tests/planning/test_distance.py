"""Distance maps against brute force, and the promise that they never say more than the truth."""

from __future__ import annotations

import numpy as np
import pytest

from ir_nav.planning import PlannedPath
from ir_nav.planning.criteria import clearances_mm, least_clearances_mm
from ir_nav.planning.distance import distance_maps
from tests.planning.phantoms import NAMES, RADIUS_MM, Block, protocol
from tests.planning.sampler import BoxJudge

# The last has slices thinner than the sampling: nodes at every third.
SPACINGS = ((0.7, 0.9, 2.5), (0.7, 0.7, 0.7), (2.0, 2.0, 2.0), (1.6, 0.5, 1.0), (0.5, 0.6, 0.5))


def brute_mm(voxels: np.ndarray, spacing: np.ndarray, place: np.ndarray) -> float:
    centres = np.argwhere(voxels)[:, ::-1] * spacing
    gaps = np.maximum(np.abs(centres - place) - spacing / 2.0, 0.0)
    return float(np.linalg.norm(gaps, axis=1).min())


@pytest.mark.parametrize("spacing", SPACINGS)
def test_every_node_knows_its_distance_to_the_nearest_box(
    spacing: tuple[float, float, float],
) -> None:
    rng = np.random.default_rng(5)
    ids = np.where(rng.random((12, 17, 23)) < 0.004, rng.integers(1, 3, (12, 17, 23)), 0)
    ids = ids.astype(np.uint8)
    groups = np.full(256, -1, dtype=np.int8)
    groups[1:3] = 0, 1
    box = ((1, 22), (0, 16))
    maps = distance_maps(ids, groups, spacing, box, 1.5, 2)
    size = np.array(spacing)
    last = maps.first_mm + maps.step_mm * (np.array(maps.squares.shape[:0:-1]) - 1)
    assert (maps.first_mm <= np.array([1, 0, 0]) * size + 1e-9).all()
    assert (last >= np.array([22, 16, 11]) * size - 1e-9).all()
    assert (maps.step_mm <= np.maximum(size, 1.5) + 1e-9).all()
    for group in (0, 1):
        for index in rng.integers(0, maps.squares.shape[1:], (60, 3)):
            place = maps.first_mm + index[::-1] * maps.step_mm
            true = min(25.5, brute_mm(ids == group + 1, size, place))
            known = np.sqrt(maps.squares[group, *index]) / 10.0
            assert known <= true + 1e-5
            assert known >= true - 0.05


def test_nothing_near_is_far() -> None:
    ids = np.zeros((4, 5, 6), dtype=np.uint8)
    groups = np.full(256, -1, dtype=np.int8)
    maps = distance_maps(ids, groups, (1.0, 1.0, 1.0), ((0, 5), (0, 4)), 1.5, 1)
    assert (maps.squares == 65025).all()


def scattered(spacing: tuple[float, float, float], seed: int) -> tuple[Block, np.random.Generator]:
    """Beads of three structures strewn through a block."""
    rng = np.random.default_rng(seed)
    block = Block(spacing)
    for number in (1, 2, 3):
        for centre in rng.uniform(-45.0, 45.0, (12, 3)):
            near = np.linalg.norm(block.points - centre, axis=-1) < rng.uniform(0.5, 5.0)
            block.labels[near & block.body] = number
    return block, rng


@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (1.5, 1.5, 2.5)])
def test_a_path_is_as_clear_as_an_independent_sampler_says(
    spacing: tuple[float, float, float],
) -> None:
    """Exact to the sampler's own step, and the maps' bound lies below, by half a millimetre on
    average at most."""
    block, rng = scattered(spacing, 3)
    ground = block.ground()
    judges = {n: BoxJudge(block.label_map(), [n]) for n in NAMES}
    losses = []
    for _ in range(25):
        entry, target = rng.uniform(-40.0, 40.0, (2, 3))
        path = PlannedPath.between(entry, target)
        exact = clearances_mm(ground, path, RADIUS_MM)
        bound = least_clearances_mm(ground, target[None], entry[None], np.full(3, 24.0), RADIUS_MM)[
            0
        ]
        for index, known in enumerate(ground.structures.known):
            true = judges[known.label or 0].distance_mm(entry, target) - RADIUS_MM
            if true > 24.0:
                assert exact[index] > 24.0 - 0.05
                continue
            assert true - 0.05 <= exact[index] <= true + 1e-6
            assert bound[known.group] <= exact[index] + 1e-3
            if exact[index] > 1.0:
                losses.append(min(24.0, exact[index]) - bound[known.group])
    assert np.mean(losses) < 0.5


def test_a_path_that_stabs_a_structure_is_negative_by_the_radius() -> None:
    block = Block()
    block.wall(1, -30.0)
    ground = block.ground()
    through = PlannedPath.between((0.0, -50.0, 0.0), (0.0, 0.0, 0.0))
    assert clearances_mm(ground, through, RADIUS_MM)[0] == pytest.approx(-RADIUS_MM)
    point = PlannedPath(np.array([3.0, -20.0, 1.0]), np.array([3.0, -20.0, 1.0]))
    # The wall's near face is at -28 mm: voxels of 2 mm centred on -29 and -31.
    assert clearances_mm(ground, point, RADIUS_MM)[0] == pytest.approx(8.0 - RADIUS_MM)


def test_margins_and_limits_may_change_without_new_maps() -> None:
    ground = Block().ground()
    assert ground.serves(protocol(reachable_from=("P",), limits=protocol().limits))
    assert not ground.serves(protocol(structures=protocol().structures[:2]))
