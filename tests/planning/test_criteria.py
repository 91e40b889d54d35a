"""Each criterion alone, on shapes whose answer is known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ir_nav.planning import Ground, PlannedPath, Protocol, findings, limiting
from ir_nav.planning.criteria import (
    crossings,
    gantry_angles_deg,
    lengths_mm,
    perturbed,
    probe_view_percent,
    robust_percent,
    skin_angles_deg,
)
from ir_nav.planning.findings import broken
from ir_nav.planning.protocol import ProbeView
from ir_nav.planning.skin import find_skin
from tests.planning.phantoms import BONE, NAMES, RADIUS_MM, VESSEL, Block, kept, limit, protocol

LOBES = NAMES | {4: "lung_upper_lobe_right", 5: "lung_lower_lobe_right", 6: "liver"}
TARGET = np.zeros(3)


def organ_rules(**more: object) -> Protocol:
    return protocol(structures=(BONE, VESSEL), organ=("liver",), **more)


def test_length() -> None:
    entries = np.array([[3.0, -4.0, 0.0], [0.0, 0.0, 7.0]])
    np.testing.assert_allclose(lengths_mm(entries, TARGET), [5.0, 7.0])


def test_skin_angle() -> None:
    straight, slanted = np.array([0.0, 1.0, 0.0]), np.array([0.0, 3.0**0.5 / 2, 0.5])
    angles = skin_angles_deg(np.stack([straight, slanted]), np.array([0.0, -1.0, 0.0]))
    np.testing.assert_allclose(angles, [0.0, 30.0], atol=1e-6)


def test_gantry_angle_is_the_tilt_out_of_the_slice_either_way() -> None:
    tilt = np.radians(20.0)
    up = np.array([np.cos(tilt), 0.0, np.sin(tilt)])
    np.testing.assert_allclose(
        gantry_angles_deg(np.stack([up, up * (1, 1, -1), np.array([0.0, 1.0, 0.0])])),
        [20.0, 20.0, 0.0],
        atol=1e-9,
    )


def oblique() -> tuple[Block, np.ndarray]:
    """Thick slices and a skin tilted by 30 degrees: its normal is (0, -cos 30, sin 30)."""
    block = Block((2.0, 2.0, 5.0))
    normal = np.array([0.0, -np.cos(np.pi / 6), 0.5])
    block.body &= block.points @ normal <= 40.0
    return block, normal


def test_skin_normals_are_right_on_an_oblique_face_of_thick_slices() -> None:
    block, normal = oblique()
    skin = find_skin(block.volume(), block.body)
    middle = np.abs(skin.points_ct_mm @ normal - 40.0) < 3.0
    middle &= (np.abs(skin.points_ct_mm[:, [0, 2]]) < 25.0).all(axis=1)
    off_deg = np.degrees(np.arccos(np.clip(skin.normals_ct[middle] @ normal, -1, 1)))
    assert middle.sum() > 100
    assert np.median(off_deg) < 4.0
    assert off_deg.max() < 16.0


def test_the_cut_faces_of_the_image_are_no_skin() -> None:
    block = Block()
    cut = block.body[20:60]
    volume = block.volume()
    part = type(volume)(
        np.ascontiguousarray(volume.voxels[20:60]), volume.ct_from_voxel, "cut", volume.description
    )
    skin = find_skin(part, np.ascontiguousarray(cut))
    assert np.abs(skin.normals_ct[:, 2]).max() < 1e-6
    assert set(np.unique(skin.voxels_ijk[:, 2])) == set(range(40))


def capsule_block(tilt_deg: float) -> Block:
    """Liver behind a plane through (0, -30, 0), its normal tilted from the front to the head."""
    block = Block((1.5, 1.5, 1.5))
    tilt = np.radians(tilt_deg)
    normal = np.array([0.0, -np.cos(tilt), np.sin(tilt)])
    block.labels[((block.points - (0.0, -30.0, 0.0)) @ normal <= 0.0) & block.body] = 6
    return block


@pytest.mark.parametrize("tilt_deg", [0.0, 30.0, 55.0])
def test_capsule_angle_and_parenchyma(tilt_deg: float) -> None:
    """Straight in from the front the needle meets the capsule at 90 degrees less the tilt, and
    has 30 mm of liver before the target."""
    block = capsule_block(tilt_deg)
    ground = block.ground(organ_rules(), LOBES)
    crossed = crossings(ground, TARGET, np.array([[0.0, -50.0, 0.0]]))
    assert crossed.capsule_deg[0] == pytest.approx(90.0 - tilt_deg, abs=4.0)
    assert crossed.organ_mm[0] == pytest.approx(30.0, abs=1.6)


def test_without_the_organ_on_the_way_there_is_no_capsule_angle() -> None:
    block = Block()
    ground = block.ground(organ_rules(), LOBES)
    crossed = crossings(ground, TARGET, np.array([[0.0, -50.0, 0.0]]))
    assert np.isnan(crossed.capsule_deg[0])
    names = {
        f.name for f in findings(ground, organ_rules(), PlannedPath.between((0, -50, 0), TARGET))
    }
    assert "To capsule" not in names
    assert "Organ before target" not in names


def paint(block: Block, number: int, front_mm: float, back_mm: float) -> None:
    """A slab across the block between two distances in front of its middle."""
    depth = -block.points[..., 1]
    block.labels[(depth > back_mm) & (depth < front_mm) & block.body] = number


@pytest.mark.parametrize(
    ("slabs", "pleura", "fissures"),
    [
        ([(4, 45.0, 15.0)], 1, 0),
        ([(4, 45.0, 30.0), (5, 30.0, 15.0)], 1, 1),
        ([(4, 45.0, 30.0), (5, 28.0, 15.0)], 1, 1),  # a slit of one voxel between the lobes
        ([(4, 45.0, 35.0), (4, 25.0, 15.0)], 2, 0),  # out of the lung and in again
        ([(4, 45.0, 30.0), (5, 30.0, -5.0)], 1, 1),  # the target lies in the lung
        ([], 0, 0),
    ],
)
def test_crossings_of_pleura_and_fissure(
    slabs: list[tuple[int, float, float]], pleura: int, fissures: int
) -> None:
    block = Block()
    for number, front, back in slabs:
        paint(block, number, front, back)
    rules = protocol(structures=(BONE,), pleura=("lung_*",))
    ground = block.ground(rules, LOBES)
    entries = np.array([[0.0, -50.0, 0.0], [20.0, -50.0, -20.0]])
    crossed = crossings(ground, TARGET, entries)
    assert crossed.pleura.tolist() == [pleura, pleura]
    assert crossed.fissures.tolist() == [fissures, fissures]
    assert crossed.in_body.all()


def test_a_corner_of_the_lung_that_is_only_touched_counts() -> None:
    """0.3 mm of a voxel: a sampler with larger steps would miss it."""
    block = Block()
    block.labels[45, 30, 45] = 4
    ground = block.ground(protocol(structures=(BONE,)), LOBES)
    corner = block.points[45, 30, 45] + (1.0, 1.0, 0.0)
    entry = corner + np.array([30.0 - 0.1, -30.0, 0.0])
    target = corner + np.array([-30.0 - 0.1, 30.0, 0.0])
    crossed = crossings(ground, target, entry[None])
    assert crossed.pleura.tolist() == [1]


def test_robustness_is_the_share_of_wrong_paths_that_stay_clear() -> None:
    """The target is 50 mm deep: tilted by 3 degrees the tip is 2.6 mm off, moved 3 mm more."""
    path = PlannedPath.between((0.0, -50.0, 0.0), TARGET)
    rules = protocol(structures=(VESSEL,))
    assert robust_percent(Block().ground(rules), rules, path) == 100.0
    near = Block()
    near.labels[(np.abs(near.points[..., 0] - 9.0) < 1.0) & near.body] = 2
    share = robust_percent(near.ground(rules), rules, path)
    assert 20.0 < share < 80.0
    at = Block()
    at.labels[(np.abs(at.points[..., 0] - 5.0) < 1.0) & at.body] = 2
    assert robust_percent(at.ground(rules), rules, path) < 25.0


def test_perturbed_paths_are_3_mm_and_3_degrees_off() -> None:
    path = PlannedPath.between((5.0, -50.0, 10.0), TARGET)
    entries, tips = perturbed(path)
    assert len(entries) == 80
    shifts = np.linalg.norm(entries - path.entry_ct_mm, axis=1)
    assert set(np.round(shifts, 6)) == {0.0, 3.0}
    ways = tips - entries
    np.testing.assert_allclose(np.linalg.norm(ways, axis=1), path.length_mm)
    cosines = ways @ path.direction_ct / path.length_mm
    assert set(np.round(np.degrees(np.arccos(np.clip(cosines, -1, 1))), 3)) == {0.0, 3.0}
    assert len(np.unique(np.round(np.hstack([entries, tips]), 6), axis=0)) == 80


def test_the_probe_sees_what_is_near_wide_and_not_in_a_shadow() -> None:
    path = PlannedPath.between((0.0, -50.0, 0.0), TARGET)
    rules = protocol(structures=(BONE,))
    view = ProbeView(beside_mm=20.0, depth_mm=100.0, half_angle_deg=40.0)
    clear = Block().ground(rules)
    assert probe_view_percent(clear, view, path) == 100.0
    assert probe_view_percent(clear, view.model_copy(update={"depth_mm": 50.0}), path) == 0.0
    # From 20 mm beside, the target lies 22 degrees off the probe's axis.
    assert probe_view_percent(clear, view.model_copy(update={"half_angle_deg": 15.0}), path) == 0.0
    half = Block()
    half.wall(1, -30.0)
    half.labels[half.points[..., 0] > 0.0] = 0
    share = probe_view_percent(half.ground(rules), view, path)
    assert 30.0 <= share <= 60.0


@pytest.fixture(scope="module")
def walled() -> Ground:
    block = Block()
    block.wall(2, -30.0)
    block.hole(0.0, 0.0, 12.0)
    return block.ground(protocol(structures=(BONE, VESSEL)))


def test_findings_name_value_limit_and_verdict(walled: Ground) -> None:
    rules = protocol(structures=(BONE, VESSEL))
    found = findings(walled, rules, PlannedPath.between((0.0, -49.0, 0.0), TARGET))
    by_name = {finding.name: finding for finding in found}
    near = limiting(found)
    assert near is not None
    assert found[0] == near
    assert (near.structure, near.limit, near.unit, near.hard) == ("Portal vein", 5.0, "mm", True)
    assert near.value == pytest.approx(11.0 - RADIUS_MM, abs=1.1)
    assert by_name["Length"].value == pytest.approx(49.0)
    assert by_name["Length"].passes
    assert by_name["Tilt at the skin"].value < 1.0
    assert not broken(found)


def test_findings_of_a_bad_path_say_every_hard_limit_it_breaks(walled: Ground) -> None:
    rules = protocol(structures=(BONE, VESSEL))
    bad = PlannedPath.between((45.0, -49.0, 0.0), (20.0, -36.0, 0.0))
    names = {finding.name for finding in broken(findings(walled, rules, bad))}
    assert names == {"Length", "Clearance", "Tilt at the skin"}
    inside = PlannedPath.between((0.0, -40.0, 0.0), TARGET)
    away = {f.name: f for f in findings(walled, rules, inside)}["Entry to skin"]
    assert away.value == pytest.approx(9.0, abs=1.1)
    assert not away.passes
    from_behind = PlannedPath.between((0.0, 49.0, 0.0), TARGET)
    assert "Skin to reachable side" in {
        f.name for f in broken(findings(walled, rules, from_behind))
    }


def test_a_wish_beside_a_hard_limit_is_told_only_when_it_is_missed(walled: Ground) -> None:
    rules = protocol(
        structures=(BONE, VESSEL),
        limits=(*protocol().limits, limit("skin_angle_deg", max=20.0)),
    )
    straight = findings(walled, rules, PlannedPath.between((0.0, -49.0, 0.0), TARGET))
    slanted = findings(walled, rules, PlannedPath.between((30.0, -49.0, 0.0), TARGET))
    angle = "Tilt at the skin"
    assert [(f.hard, f.passes) for f in straight if f.name == angle] == [(True, True)]
    assert [(f.hard, f.passes) for f in slanted if f.name == angle] == [
        (True, True),
        (False, False),
    ]


def test_a_structure_beyond_reach_is_left_out(walled: Ground) -> None:
    rules = protocol(structures=(BONE, kept("Vessel", "*vein*", 5.0)))
    far = findings(walled, rules, PlannedPath.between((0.0, 45.0, 0.0), (0.0, 5.0, 0.0)))
    assert limiting(far) is None
    assert all(np.isfinite(f.value) for f in far)
