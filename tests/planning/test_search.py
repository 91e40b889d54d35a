"""Proposed paths through phantoms whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from ir_nav.planning import NoPathError, PlannedPath, clearance, propose_path, room_map
from tests.planning.phantoms import BONE, ORGAN, VESSEL, Block, protocol


def test_the_path_goes_through_the_middle_of_the_only_window() -> None:
    """A wall 30 mm in front of the target with a window of 10 mm about (12, -18): the straight
    line through the window's middle meets the skin, 50 mm in front, at (20, -30)."""
    block = Block()
    block.wall(1, -30.0)
    block.hole(12.0, -18.0, 10.0)
    found = propose_path(
        room_map(block.volume(), block.label_map(), protocol()), protocol(), (0, 0, 0)
    )
    np.testing.assert_allclose(found.path.entry_ct_mm, (20.0, -50.0, -30.0), atol=4.0)
    np.testing.assert_array_equal(found.path.target_ct_mm, (0.0, 0.0, 0.0))
    assert found.clearance.structure == "Bone"
    assert found.clearance.margin_mm == 2.0
    # Ten, less the slant of the path; the wall's edge is known to half a voxel's diagonal.
    assert found.clearance.distance_mm == pytest.approx(9.0, abs=1.8)
    entry = found.path.entry_ct_mm
    expected_deg = np.degrees(np.arccos(50.0 / np.linalg.norm(entry)))
    assert found.skin_angle_deg == pytest.approx(expected_deg, abs=4.0)
    assert found.tried > 500


def test_a_window_narrower_than_the_margin_is_no_way() -> None:
    block = Block()
    block.wall(2, -30.0)
    block.hole(12.0, -18.0, 4.0)
    rooms = room_map(block.volume(), block.label_map(), protocol())
    with pytest.raises(
        NoPathError, match="no safe straight path: vessel is nearer than 5 mm on 100%"
    ):
        propose_path(rooms, protocol(), (0.0, 0.0, 0.0))


def test_what_blocks_most_ways_is_named() -> None:
    block = Block()
    block.wall(1, -30.0)
    block.labels[block.points[..., 0] > 10.0] = 0
    right = (np.abs(block.points[..., 1] + 30.0) < 2.0) & (block.points[..., 0] > 10.0) & block.body
    block.labels[right] = 3
    rooms = room_map(block.volume(), block.label_map(), protocol())
    with pytest.raises(NoPathError, match="bone is nearer than 2 mm") as refusal:
        propose_path(rooms, protocol(), (0.0, 0.0, 0.0))
    assert "100%" not in str(refusal.value)


def test_with_nothing_in_the_way_the_shortest_path_is_taken() -> None:
    block = Block()
    rooms = room_map(block.volume(), block.label_map(), protocol())
    found = propose_path(rooms, protocol(), (6.0, 0.0, -10.0))
    np.testing.assert_allclose(found.path.entry_ct_mm, (6.0, -50.0, -10.0), atol=3.0)
    assert found.skin_angle_deg < 5.0
    assert found.clearance.structure == "nothing to avoid is known"


@pytest.mark.parametrize(
    ("side", "axis", "sign"),
    [("A", 1, -1), ("P", 1, 1), ("L", 0, 1), ("R", 0, -1), ("H", 2, 1), ("F", 2, -1)],
)
def test_only_the_sides_that_can_be_reached_are_entered(side: str, axis: int, sign: int) -> None:
    limits = protocol(reachable_from=(side,))
    found = propose_path(room_map(Block().volume(), None, limits), limits, (0.0, 0.0, 0.0))
    half = (60.0, 50.0, 60.0)[axis]
    assert found.path.entry_ct_mm[axis] == pytest.approx(sign * half, abs=3.0)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"min_length_mm": 120.0}, "no skin within the needle's length"),
        ({"max_length_mm": 40.0, "min_length_mm": 5.0}, "no skin within the needle's length"),
        ({"max_skin_angle_deg": 1e-6}, "steeper to the skin than the limit"),
    ],
)
def test_limits_that_leave_no_entry_are_named(limits: dict[str, float], words: str) -> None:
    rules = protocol(**limits)
    rooms = room_map(Block().volume(), None, rules)
    with pytest.raises(NoPathError, match=words):
        propose_path(rooms, rules, (0.3, 0.4, 0.1))


def test_lengths_stay_within_the_protocol() -> None:
    rules = protocol(min_length_mm=70.0, max_length_mm=74.0)
    found = propose_path(room_map(Block().volume(), None, rules), rules, (0.0, 0.0, 0.0))
    assert 70.0 <= found.path.length_mm <= 74.0


def test_bone_and_lung_are_found_by_density_without_labels() -> None:
    block = Block()
    block.wall(1, -30.0)
    block.hole(12.0, -18.0, 10.0)
    rooms = room_map(block.volume(), None, protocol())
    assert [group.name for group in rooms.groups] == ["Bone"]
    found = propose_path(rooms, protocol(), (0.0, 0.0, 0.0))
    np.testing.assert_allclose(found.path.entry_ct_mm, (20.0, -50.0, -30.0), atol=4.0)


def test_labels_that_name_no_bone_do_not_hide_the_bone_in_the_ct() -> None:
    block = Block()
    block.wall(1, -30.0)
    rooms = room_map(block.volume(), block.label_map({}), protocol())
    assert [group.name for group in rooms.groups] == ["Bone"]
    with pytest.raises(NoPathError, match="bone"):
        propose_path(rooms, protocol(), (0.0, 0.0, 0.0))


def test_structures_are_avoided_however_the_table_writes_their_names() -> None:
    block = Block()
    block.wall(3, -30.0)
    for name in ("Kidney right", "kidney_right", "KIDNEY-left"):
        rooms = room_map(block.volume(), block.label_map({3: name}), protocol())
        with pytest.raises(NoPathError, match="organ"):
            propose_path(rooms, protocol(), (0.0, 0.0, 0.0))


@pytest.mark.parametrize("shift", [0, 1, 2, 3])
def test_a_vessel_thinner_than_the_search_grid_is_not_lost(shift: int) -> None:
    """One voxel of 0.8 mm; the search works on cells of three."""
    block = Block((0.8, 0.8, 4.0))
    rules = protocol(avoid=(VESSEL,))
    rows = block.points[0, :, 0, 1]
    row = int(np.argmin(np.abs(rows + 30.0))) + shift
    block.labels[:, row][block.body[:, row]] = 2
    rooms = room_map(block.volume(), block.label_map(), rules)
    with pytest.raises(NoPathError, match="vessel"):
        propose_path(rooms, rules, (0.0, 0.0, 0.0))
    beside = PlannedPath.between((-30.0, rows[row] + 20.0, 0.0), (30.0, rows[row] + 20.0, 0.0))
    assert clearance(rooms, beside).distance_mm == pytest.approx(20.0, abs=1.7)


def test_the_skin_angle_is_right_on_an_oblique_face_of_thick_slices() -> None:
    """Slices of 5 mm and a skin tilted by 30 degrees: the normal is (0, -cos 30, sin 30)."""
    block = Block((2.0, 2.0, 5.0))
    normal = np.array([0.0, -np.cos(np.pi / 6), 0.5])
    block.body &= block.points @ normal <= 40.0
    rules = protocol(avoid=(), reachable_from=("A",), min_length_mm=20.0)
    found = propose_path(room_map(block.volume(), None, rules), rules, (0.0, 0.0, 0.0))
    outward = found.path.entry_ct_mm / np.linalg.norm(found.path.entry_ct_mm)
    true_deg = np.degrees(np.arccos(np.clip(outward @ normal, -1, 1)))
    assert found.skin_angle_deg == pytest.approx(true_deg, abs=8.0)
    assert found.path.entry_ct_mm @ normal == pytest.approx(40.0, abs=4.0)
    assert true_deg < 20.0


def test_clearance_by_hand_names_the_group_with_the_least_to_spare() -> None:
    """12 mm from a wall of bone (10 to spare), 11 mm from one of vessel (6 to spare)."""
    block = Block()
    block.wall(1, -30.0)
    block.wall(2, 30.0)
    rooms = room_map(block.volume(), block.label_map(), protocol(avoid=(BONE, VESSEL, ORGAN)))
    bone_mm, vessel_mm = 12.0, 40.0
    middle = PlannedPath.between((-30.0, -30.0 + bone_mm, 0.0), (30.0, -30.0 + bone_mm, 0.0))
    found = clearance(rooms, middle)
    assert (found.structure, found.margin_mm) == ("Bone", 2.0)
    # The wall's near voxels lie 1 mm before its middle.
    assert found.distance_mm == pytest.approx(bone_mm - 1.0, abs=0.3)
    assert vessel_mm > bone_mm
    near = PlannedPath.between((-30.0, 18.0, 0.0), (30.0, 18.0, 0.0))
    assert clearance(rooms, near).structure == "Vessel"
    inside = PlannedPath.between((-30.0, -30.0, 0.0), (30.0, -31.0, 0.0))
    assert clearance(rooms, inside).distance_mm <= 0.0


def test_progress_ends_at_one() -> None:
    told: list[float] = []
    limits = protocol()
    propose_path(room_map(Block().volume(), None, limits), limits, (0, 0, 0), told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_the_search_grid_lies_where_its_voxels_are() -> None:
    """A cell of three voxels stands for its middle: over the three places that a thin vessel can
    take in it, the distances on both sides are right on average."""
    rules = protocol(avoid=(VESSEL,))
    before, behind = [], []
    for shift in range(3):
        block = Block((0.8, 0.8, 4.0))
        rows = block.points[0, :, 0, 1]
        row = int(np.argmin(np.abs(rows))) + shift
        block.labels[:, row][block.body[:, row]] = 2
        rooms = room_map(block.volume(), block.label_map(), rules)
        for side, found in ((-20.0, before), (20.0, behind)):
            y = rows[row] + side
            path = PlannedPath.between((-20.0, y, 0.0), (20.0, y, 0.0))
            found.append(clearance(rooms, path).distance_mm)
    assert np.mean(before) == pytest.approx(20.0, abs=0.2)
    assert np.mean(behind) == pytest.approx(20.0, abs=0.2)
