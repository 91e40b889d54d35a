"""Paths named by how they go: side, tilt, and the ribs they pass between."""

from __future__ import annotations

import numpy as np
import pytest

from ir_nav.imaging import LabelMap, Volume, VolumeInfo
from ir_nav.planning import (
    PlanFinding,
    PlannedPath,
    Proposal,
    findings,
    prepare,
    propose,
    shipped_protocol,
)
from ir_nav.planning.ground import Ground
from ir_nav.planning.proposals import APART_DEG, _alike
from ir_nav.planning.way_words import _opposite, ribs_passed, way_words

NAMES = {7: "rib_right_7", 8: "rib_right_8"}


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ((-80.0, 0.0, 0.0), "From the right, in the slice"),
        ((80.0, 10.0, 0.0), "From the left, in the slice"),
        ((0.0, -80.0, 20.0), "From the front, 14° to the feet"),
        ((-60.0, -60.0, -15.0), "From the right and front, 10° to the head"),
        ((20.0, 80.0, 0.0), "From the back, in the slice"),
        ((0.0, 1.0, 90.0), "Along the body, 89° to the feet"),
    ],
)
def test_the_side_and_the_tilt_are_named(entry: tuple[float, float, float], words: str) -> None:
    assert way_words(PlannedPath.between(entry, (0.0, 0.0, 0.0))) == words


@pytest.fixture(scope="module")
def ground() -> Ground:
    """A block of water with two bars in front, at z = 16 and z = -16 mm."""
    axis = np.arange(-79.0, 80.0, 2.0)
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    body = np.maximum(np.maximum(np.abs(x), np.abs(y)), np.abs(z)) < 60.0
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = -79.0
    bars = np.zeros(body.shape, np.uint8)
    bars[body & (np.abs(y + 48.0) < 4.0) & (np.abs(z - 16.0) < 4.0)] = 7
    bars[body & (np.abs(y + 48.0) < 4.0) & (np.abs(z + 16.0) < 4.0)] = 8
    hu = np.where(bars > 0, 700, np.where(body, 40, -1000)).astype(np.int16)
    volume = Volume(hu, affine, "ct", VolumeInfo())
    return prepare(volume, LabelMap(bars, affine, NAMES), shipped_protocol())


def test_ribs_are_named_where_they_lie_on_both_sides(ground: Ground) -> None:
    def named(z_mm: float) -> str:
        path = PlannedPath.between((0.0, -60.0, z_mm), (0.0, 0.0, z_mm))
        return ribs_passed(ground, path, findings(ground, shipped_protocol(), path))

    assert named(0.0) == "Between right ribs 7 and 8"
    assert named(5.0) == "Between right ribs 7 and 8"
    assert named(-27.0) == ""  # both lie above it


def test_ribs_passed_at_their_ends_are_not_passed_between() -> None:
    first, second = np.array([-12.0, 0.0, 10.0]), np.array([-12.0, 0.0, -10.0])
    assert not _opposite(first, second), "past their ends both lie to one side"
    assert _opposite(np.array([-2.0, 0.0, 10.0]), np.array([-2.0, 0.0, -10.0]))


def test_proposals_are_clearly_different_and_named(ground: Ground) -> None:
    paths = propose(ground, shipped_protocol(), (0.0, 0.0, 0.0)).paths
    assert len(paths) >= 2
    for number, one in enumerate(paths):
        assert one.way == way_words(one.path)
        for other in paths[:number]:
            names = [None if it.limiting is None else it.limiting.structure for it in (one, other)]
            cosine = float(one.path.direction_ct @ other.path.direction_ct)
            apart_deg = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
            assert names[0] != names[1] or apart_deg >= APART_DEG


def test_a_way_beside_another_that_the_same_structure_limits_is_no_other_way() -> None:
    def path(turn_deg: float) -> PlannedPath:
        turn = np.radians(turn_deg)
        return PlannedPath.between((80.0 * np.sin(turn), -80.0 * np.cos(turn), 0.0), (0.0,) * 3)

    def limit(structure: str) -> PlanFinding:
        return PlanFinding("Clearance", structure, 5.0, "mm", 2.0, True, True)

    other = Proposal(path(0.0), (), limit("Right rib 7"), 1.0)
    assert _alike(path(8.0), limit("Right rib 7"), other)
    assert not _alike(path(12.0), limit("Right rib 7"), other)
    assert not _alike(path(8.0), limit("Right rib 8"), other)
    assert not _alike(path(8.0), None, other)
