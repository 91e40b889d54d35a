"""The search on phantoms whose answer is known, and against brute force."""

from __future__ import annotations

import numpy as np
import pytest

from ir_nav.planning import NoPathError, Protocol, propose, search
from tests.planning.phantoms import (
    BONE,
    NAMES,
    ORGAN,
    RADIUS_MM,
    VESSEL,
    Block,
    kept,
    limit,
    protocol,
)
from tests.planning.sampler import BoxJudge

TARGET = (0.0, 0.0, 0.0)
SAFE_FIRST = {"safe": 1.0, "short": 0.02, "easy": 0.02}


@pytest.mark.parametrize(("x_mm", "z_mm"), [(12.0, -18.0), (-16.0, 4.0), (2.0, 14.0)])
def test_the_path_goes_through_the_middle_of_the_only_window(x_mm: float, z_mm: float) -> None:
    """A wall 30 mm in front of the target with a window of 10 mm about (x, z): the straight line
    through the window's middle meets the skin, 50 mm in front, at (5 x, 5 z) / 3."""
    block = Block()
    block.wall(1, -30.0)
    block.hole(x_mm, z_mm, 10.0)
    rules = protocol(weights=SAFE_FIRST)
    best = propose(block.ground(rules), rules, TARGET).paths[0]
    np.testing.assert_allclose(best.path.entry_ct_mm, (x_mm * 5 / 3, -50.0, z_mm * 5 / 3), atol=3.5)
    np.testing.assert_array_equal(best.path.target_ct_mm, TARGET)
    assert best.limiting is not None
    assert best.limiting.structure == "Left rib 7"
    judge = BoxJudge(block.label_map(), [1])
    true = judge.distance_mm(best.path.entry_ct_mm, np.zeros(3)) - RADIUS_MM
    assert best.limiting.value == pytest.approx(true, abs=0.02)
    # Nowhere on the skin round about is there more to be had.
    for dx in np.arange(-6.0, 6.1, 2.0):
        for dz in np.arange(-6.0, 6.1, 2.0):
            entry = best.path.entry_ct_mm + np.array([dx, 0.0, dz])
            assert judge.distance_mm(entry, np.zeros(3)) - RADIUS_MM <= true + 0.6


def brute(block: Block, rules: Protocol, entries: np.ndarray) -> np.ndarray:
    """(n,) least room beyond the margins, by the independent sampler."""
    rooms = np.full(len(entries), np.inf)
    for rule in rules.kept:
        ids = [n for p in rule.patterns for n in block.label_map().ids_named(p)]
        judge = BoxJudge(block.label_map(), ids)
        for n, entry in enumerate(entries):
            room = judge.distance_mm(entry, np.zeros(3)) - RADIUS_MM - rule.margin_mm
            rooms[n] = min(rooms[n], room)
    return rooms


@pytest.mark.parametrize("spacing", [(3.0, 3.0, 3.0), (2.0, 2.0, 5.0)])
def test_brute_force_agrees_on_every_way(spacing: tuple[float, float, float]) -> None:
    """No way is called open that is not; of those that are, only ones within 0.6 mm of a limit
    are lost; and the best of the search is the best of brute force to 0.6 mm."""
    rng = np.random.default_rng(11)
    block = Block(spacing)
    for number in NAMES:
        for centre in rng.uniform(-45.0, 45.0, (8, 3)):
            away = np.linalg.norm(centre)
            near = np.linalg.norm(block.points - centre, axis=-1) < min(7.0, away - 12.0)
            block.labels[near & block.body] = number
    rules = protocol(weights=SAFE_FIRST, reachable_from=("A", "L"))
    ground = block.ground(rules)
    found = search(ground, rules, TARGET)
    tried = np.flatnonzero(found.tried)
    assert len(tried) > 1000
    chosen = rng.choice(tried, 250, replace=False)
    rooms = brute(block, rules, ground.skin.points_ct_mm[chosen])
    open_here = found.quality[chosen] > 0.0
    assert (rooms[open_here] >= 0.0).all()
    assert open_here.sum() > 20
    lost = ~open_here & (rooms >= 0.0)
    assert (rooms[lost] < 0.6).all()
    assert lost.sum() <= 0.05 * len(chosen)
    assert found.unsure[chosen[lost]].all()
    ways = dict(zip(found.ways.at.tolist(), found.ways.room_mm.tolist(), strict=True))
    known = np.array([ways[n] for n in chosen[open_here].tolist()])
    assert (known <= rooms[open_here] + 1e-3).all()
    assert known.max() >= min(10.0, rooms.max()) - 0.6


def test_a_window_narrower_than_the_margin_is_no_way() -> None:
    """A hole of 4 mm in a wall of vessel: 5 mm are wanted, 3.4 less the raster can be had."""
    block = Block((1.0, 1.0, 1.0))
    block.wall(2, -30.0)
    block.hole(12.0, -18.0, 4.0)
    ground = block.ground()
    with pytest.raises(
        NoPathError, match="no safe straight path: vessel is nearer than 5 mm on 100%"
    ) as refusal:
        propose(ground, protocol(), TARGET)
    relief = refusal.value.relief
    assert relief is not None
    assert (relief.structure, relief.wanted_mm) == ("Portal vein", 5.0)
    assert 0.5 <= relief.margin_mm <= 3.4
    assert refusal.value.blocked_by[0] == ("Vessel", 1.0)
    # What was promised holds: with that margin a path is found through the hole.
    eased = protocol(structures=(BONE, kept("Vessel", "*vein*", relief.margin_mm), ORGAN))
    best = propose(ground, eased, TARGET).paths[0]
    np.testing.assert_allclose(best.path.entry_ct_mm, (20.0, -50.0, -30.0), atol=3.0)


def test_a_corridor_the_maps_cannot_prove_is_measured_exactly() -> None:
    """A slit that leaves 0.15 mm beyond the margin: less than interpolation may take."""
    block = Block((1.0, 1.0, 1.0))
    # Between walls of bone whose faces lie 6 mm apart about x = 0.
    near = (np.abs(block.points[..., 0]) > 3.0) & (np.abs(block.points[..., 1] + 30.0) < 2.0)
    block.labels[near & block.body] = 1
    # The way in stays in the plane of voxel centres at x = 0.5: 2.5 mm to the nearer wall.
    free_mm = 2.5
    margin = free_mm - RADIUS_MM - 0.15
    rules = protocol(structures=(kept("Bone", "rib*", margin),))
    ground = block.ground(rules)
    target = (0.5, -20.0, 0.5)
    assert len(search(ground, rules, target).ways) == 0
    best = propose(ground, rules, target).paths[0]
    judge = BoxJudge(block.label_map(), [1])
    true = judge.distance_mm(best.path.entry_ct_mm, best.path.target_ct_mm) - RADIUS_MM
    assert margin <= true <= 3.0 - RADIUS_MM


def test_no_single_margin_helps_where_a_wall_is_closed() -> None:
    block = Block()
    block.wall(1, -30.0)
    with pytest.raises(NoPathError, match="lowering one margin alone opens no way") as refusal:
        propose(block.ground(), protocol(), TARGET)
    assert refusal.value.relief is None


def test_what_blocks_most_ways_is_named() -> None:
    block = Block()
    block.wall(1, -30.0)
    block.labels[block.points[..., 0] > 10.0] = 0
    right = (np.abs(block.points[..., 1] + 30.0) < 2.0) & (block.points[..., 0] > 10.0) & block.body
    block.labels[right] = 3
    with pytest.raises(NoPathError, match="bone is nearer than 2 mm") as refusal:
        propose(block.ground(), protocol(), TARGET)
    assert "100%" not in str(refusal.value)
    assert [name for name, _ in refusal.value.blocked_by] == ["Bone", "Organ"]


def test_a_target_inside_what_is_avoided_says_so() -> None:
    block = Block()
    block.labels[np.linalg.norm(block.points, axis=-1) < 9.0] = 3
    with pytest.raises(NoPathError, match="the target lies in or at Right Kidney"):
        propose(block.ground(), protocol(), TARGET)
    near = Block()
    near.labels[np.linalg.norm(near.points - (0.0, 8.0, 0.0), axis=-1) < 5.0] = 2
    with pytest.raises(NoPathError, match=r"the target itself is \d\.\d mm from Portal vein"):
        propose(near.ground(), protocol(), TARGET)


def test_with_nothing_in_the_way_the_shortest_path_is_taken() -> None:
    rules = protocol()
    best = propose(Block().ground(rules), rules, (6.0, 0.0, -10.0)).paths[0]
    np.testing.assert_allclose(best.path.entry_ct_mm, (6.0, -50.0, -10.0), atol=2.5)
    assert best.limiting is None
    assert "nothing to avoid within 25 mm" in best.words()


@pytest.mark.parametrize(
    ("side", "axis", "sign"),
    [("A", 1, -1), ("P", 1, 1), ("L", 0, 1), ("R", 0, -1), ("H", 2, 1), ("F", 2, -1)],
)
def test_only_the_sides_that_can_be_reached_are_entered(side: str, axis: int, sign: int) -> None:
    rules = protocol(reachable_from=(side,))
    for proposal in propose(Block().ground(labelled=False), rules, TARGET).paths:
        half = (60.0, 50.0, 60.0)[axis]
        assert proposal.path.entry_ct_mm[axis] == pytest.approx(sign * half, abs=3.0)


def with_limits(**ends: float) -> Protocol:
    length = {"min": 30.0, "max": 150.0} | {k: v for k, v in ends.items() if k != "skin"}
    return protocol(
        limits=(
            limit("length_mm", hard=True, **length),
            limit("skin_angle_deg", hard=True, max=ends.get("skin", 60.0)),
        )
    )


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ({"min": 120.0}, "no skin within the needle's length"),
        ({"max": 40.0, "min": 5.0}, "no skin within the needle's length"),
        ({"skin": 1e-6}, "steeper to the skin than the limit"),
    ],
)
def test_limits_that_leave_no_entry_are_named(ends: dict[str, float], words: str) -> None:
    rules = with_limits(**ends)
    with pytest.raises(NoPathError, match=words):
        propose(Block().ground(rules, labelled=False), rules, (0.3, 0.4, 0.1))


def test_lengths_stay_within_protocol_and_needle() -> None:
    rules = with_limits(min=70.0, max=74.0)
    for proposal in propose(Block().ground(rules), rules, TARGET).paths:
        assert 70.0 <= proposal.path.length_mm <= 74.0
    with pytest.raises(ValueError, match="longer than the needle"):
        protocol(needles=({"name": "Short", "radius_mm": 0.6, "length_mm": 55.0},))


def test_skin_painted_as_kept_free_is_not_entered() -> None:
    ground = Block().ground()
    near = np.linalg.norm(ground.skin.points_ct_mm - (0.0, -50.0, 0.0), axis=1) < 15.0
    best = propose(ground, protocol(), TARGET, keep_out=near).paths[0]
    assert np.linalg.norm(best.path.entry_ct_mm - (0.0, -50.0, 0.0)) >= 14.0
    found = search(ground, protocol(), TARGET, near)
    assert {found.reasons[n] for n in found.reason[near]} == {"Painted as kept free"}
    everywhere = np.ones(len(ground.skin), dtype=np.bool_)
    with pytest.raises(NoPathError, match="painted as kept free"):
        propose(ground, protocol(), TARGET, keep_out=everywhere)


def test_the_skin_says_why_a_place_is_no_entry() -> None:
    block = Block()
    block.wall(1, -30.0)
    block.labels[block.points[..., 0] > 0.0] = 0
    ground = block.ground()
    found = search(ground, protocol(), TARGET)
    skin = ground.skin.points_ct_mm

    def reason(place: tuple[float, float, float]) -> str:
        return found.reasons[found.reason[np.argmin(np.linalg.norm(skin - place, axis=1))]]

    assert reason((-20.0, -50.0, 0.0)) == "Bone"
    assert reason((20.0, -50.0, 0.0)) == ""
    assert reason((20.0, 50.0, 0.0)) == "Cannot be reached on this side"
    assert ((found.quality > 0.0) == (found.reason == 0)).all()
    assert found.quality.max() <= 1.0


def test_bone_and_gas_are_found_by_density_without_labels() -> None:
    block = Block()
    block.wall(1, -30.0)
    block.hole(12.0, -18.0, 10.0)
    rules = protocol(weights=SAFE_FIRST)
    ground = block.ground(rules, labelled=False)
    assert [(known.name, known.label) for known in ground.structures.known] == [("Bone", None)]
    best = propose(ground, rules, TARGET).paths[0]
    np.testing.assert_allclose(best.path.entry_ct_mm, (20.0, -50.0, -30.0), atol=3.5)


def test_labels_that_name_no_bone_do_not_hide_the_bone_in_the_ct() -> None:
    block = Block()
    block.wall(1, -30.0)
    with pytest.raises(NoPathError, match="bone"):
        propose(block.ground(names={}), protocol(), TARGET)


def test_structures_are_avoided_however_the_table_writes_their_names() -> None:
    block = Block()
    block.wall(3, -30.0)
    for name in ("Kidney right", "kidney_right", "KIDNEY-left"):
        with pytest.raises(NoPathError, match="organ"):
            propose(block.ground(names={3: name}), protocol(), TARGET)


@pytest.mark.parametrize("shift", [0, 1])
def test_a_vessel_of_one_voxel_is_not_lost(shift: int) -> None:
    """0.8 mm thin; the nodes of the maps lie 0.8 and 2 mm apart."""
    block = Block((0.8, 0.8, 4.0))
    rules = protocol(structures=(VESSEL,))
    rows = block.points[0, :, 0, 1]
    row = int(np.argmin(np.abs(rows + 30.0))) + shift
    block.labels[:, row][block.body[:, row]] = 2
    with pytest.raises(NoPathError, match="vessel"):
        propose(block.ground(rules), rules, TARGET)


def test_a_way_through_air_is_refused() -> None:
    """A block apart in front of the body, as an arm: whoever enters it leaves it again."""
    block = Block()
    away = np.abs(block.points[..., 1] + 70.0) <= 8.0
    block.body |= (
        away & (np.abs(block.points[..., 0]) <= 20.0) & (np.abs(block.points[..., 2]) <= 60.0)
    )
    ground = block.ground(labelled=False)
    found = search(ground, protocol(), TARGET)
    front = ground.skin.points_ct_mm[:, 1] < -60.0
    assert not (found.quality[front] > 0.0).any()
    assert "Leaves the body on the way" in {found.reasons[n] for n in found.reason[front]}
    for proposal in propose(ground, protocol(), TARGET).paths:
        assert proposal.path.entry_ct_mm[1] > -52.0


def test_hard_limits_on_the_way_are_never_outvoted() -> None:
    """The way through one lobe is shorter, but the protocol allows no pleura."""
    block = Block()
    block.labels[(np.abs(block.points[..., 0]) < 12.0) & (block.points[..., 1] < -20.0)] = 4
    block.labels[~block.body] = 0
    names = NAMES | {4: "lung_left"}
    free = protocol(structures=(BONE,))
    never = protocol(
        structures=(BONE,),
        limits=(*free.limits, limit("pleura_crossings", hard=True, max=0)),
    )
    ground = block.ground(free, names)
    through = propose(ground, free, TARGET).paths[0]
    assert abs(through.path.entry_ct_mm[0]) < 29.9
    for proposal in propose(ground, never, TARGET).paths:
        assert abs(proposal.path.entry_ct_mm[0]) > 29.9
    ways = search(ground, never, TARGET).ways
    assert len(ways) > 100
    assert (np.abs(ground.skin.points_ct_mm[ways.at, 0]) > 29.9).all()
    lungs = protocol(structures=(BONE, kept("Lung", "lung*", 1.0)))
    kept_off = propose(block.ground(lungs, names), lungs, TARGET).paths[0]
    assert abs(kept_off.path.entry_ct_mm[0]) > 29.9


def test_a_wish_is_only_a_wish() -> None:
    """10 mm preferred where 7.4 can be had: the path is proposed, and the wish said to fail."""
    block = Block()
    block.wall(2, -30.0)
    block.hole(0.0, 0.0, 9.0)
    rules = protocol(structures=(kept("Vessel", "*vein*", 5.0, preferred_mm=10.0),))
    best = propose(block.ground(rules), rules, TARGET).paths[0]
    wishes = [f for f in best.findings if f.name == "Clearance" and not f.hard]
    assert [(w.structure, w.limit, w.passes) for w in wishes] == [("Portal vein", 10.0, False)]


def test_progress_ends_at_one() -> None:
    told: list[float] = []
    propose(Block().ground(), protocol(), TARGET, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_other_voxel_axes_make_no_difference() -> None:
    """The same block with its grid turned by 90 degrees about z gives the same answer."""
    block = Block()
    block.wall(1, -30.0)
    block.hole(12.0, -18.0, 10.0)
    rules = protocol(weights=SAFE_FIRST)
    straight = propose(block.ground(rules), rules, TARGET).paths[0]
    turned = Block()
    turned.labels = np.ascontiguousarray(np.swapaxes(block.labels, 1, 2)[:, :, ::-1])
    turned.body = np.ascontiguousarray(np.swapaxes(block.body, 1, 2)[:, :, ::-1])
    count = turned.body.shape[2]
    matrix = block.ct_from_voxel.copy()
    matrix[:3, :3] = 0.0
    # i runs against y, j along x.
    matrix[1, 0], matrix[0, 1], matrix[2, 2] = -2.0, 2.0, 2.0
    matrix[1, 3] = block.ct_from_voxel[1, 3] + 2.0 * (count - 1)
    turned.ct_from_voxel = matrix
    other = propose(turned.ground(rules), rules, TARGET).paths[0]
    np.testing.assert_allclose(other.path.entry_ct_mm, straight.path.entry_ct_mm, atol=2.1)
