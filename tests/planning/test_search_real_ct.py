"""Proposals in the liver of the LIDC CT, checked voxel by voxel along the path."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from ir_nav.geometry import apply
from ir_nav.imaging import LabelMap, Volume, body_mask, read_labels, read_volume
from ir_nav.planning import NoPathError, Proposal, RoomMap, propose_path, room_map, shipped_protocol
from tests.data import data_path

TARGETS = 14


@pytest.fixture(scope="module")
def ct() -> Volume:
    return read_volume(data_path("ct", "chest_LIDC-IDRI-0001_2mm.nii.gz"))


@pytest.fixture(scope="module")
def labels(ct: Volume) -> LabelMap:
    path = data_path("ct", "chest_LIDC-IDRI-0001_2mm_labels.nii.gz")
    return read_labels(path, data_path("ct", "chest_LIDC-IDRI-0001_labels.csv"), like=ct)


@pytest.fixture(scope="module")
def rooms(ct: Volume, labels: LabelMap) -> RoomMap:
    return room_map(ct, labels, shipped_protocol())


@pytest.fixture(scope="module")
def answers(
    ct: Volume, labels: LabelMap, rooms: RoomMap
) -> list[tuple[np.ndarray, Proposal | NoPathError]]:
    liver = np.argwhere(labels.mask("liver"))
    chosen = liver[np.random.default_rng(12).choice(len(liver), TARGETS, replace=False)]
    found: list[tuple[np.ndarray, Proposal | NoPathError]] = []
    for target in apply(ct.ct_from_voxel, chosen[:, ::-1]):
        try:
            found.append((target, propose_path(rooms, shipped_protocol(), target)))
        except NoPathError as error:
            found.append((target, error))
    return found


def proposals(answers: list[tuple[np.ndarray, Proposal | NoPathError]]) -> list[Proposal]:
    return [answer for _, answer in answers if isinstance(answer, Proposal)]


def walk(proposal: Proposal) -> np.ndarray:
    """Points (n, 3) every 0.1 mm."""
    path = proposal.path
    steps = np.arange(0.0, path.length_mm, 0.1)[:, None]
    return path.entry_ct_mm + steps * path.direction_ct


def near(mask: np.ndarray, ct: Volume, points: np.ndarray) -> cKDTree | None:
    """Centres in mm of the mask's voxels within 40 mm of the path's box."""
    centres = apply(ct.ct_from_voxel, np.argwhere(mask)[:, ::-1])
    low, high = points.min(axis=0) - 40.0, points.max(axis=0) + 40.0
    centres = centres[((centres > low) & (centres < high)).all(axis=1)]
    return cKDTree(centres) if len(centres) else None


def test_every_margin_is_kept_to_half_a_voxel(
    ct: Volume, labels: LabelMap, answers: list[tuple[np.ndarray, Proposal | NoPathError]]
) -> None:
    half_diagonal = float(np.linalg.norm(ct.spacing_mm)) / 2.0
    assert len(proposals(answers)) >= TARGETS // 3
    for group in shipped_protocol().avoid:
        ids = [n for pattern in group.structures for n in labels.ids_named(pattern)]
        mask = labels.mask(ids)
        for proposal in proposals(answers):
            points = walk(proposal)
            tree = near(mask, ct, points)
            least = float(tree.query(points)[0].min()) if tree is not None else np.inf
            assert least >= group.margin_mm - half_diagonal, group.name
            if group.name == proposal.clearance.structure:
                stated = proposal.clearance.distance_mm
                assert stated == pytest.approx(least, abs=half_diagonal)


def test_every_path_is_within_the_protocol(
    ct: Volume, answers: list[tuple[np.ndarray, Proposal | NoPathError]]
) -> None:
    rules = shipped_protocol()
    body = body_mask(ct)
    for proposal in proposals(answers):
        assert rules.min_length_mm <= proposal.path.length_mm <= rules.max_length_mm
        assert proposal.skin_angle_deg <= rules.max_skin_angle_deg
        walked = np.rint(apply(ct.voxel_from_ct, walk(proposal))).astype(int)
        assert body[walked[:, 2], walked[:, 1], walked[:, 0]].all()  # from the skin inwards
        outward = walked[0] - np.rint(
            np.linalg.inv(ct.ct_from_voxel[:3, :3]) @ proposal.path.direction_ct * 8.0
        ).astype(int)
        assert not body[outward[2], outward[1], outward[0]]  # 8 mm back it is air
        entry, target = proposal.path.entry_ct_mm, proposal.path.target_ct_mm
        assert entry[1] < target[1] + 60.0  # never from the couch's side


def test_a_refusal_names_what_blocks(
    answers: list[tuple[np.ndarray, Proposal | NoPathError]],
) -> None:
    for _, answer in answers:
        if isinstance(answer, NoPathError):
            assert "no safe straight path: " in str(answer)


def test_a_path_is_proposed_without_labels(ct: Volume, labels: LabelMap) -> None:
    """Bone and gas by density; then checked against the labels' bones and lungs."""
    rules = shipped_protocol()
    rooms = room_map(ct, None, rules)
    assert {group.name for group in rooms.groups} == {"Bone", "Lung"}
    target = labels.centroid_ct_mm("liver")
    found = propose_path(rooms, rules, target)
    points = walk(found)
    lungs = near(labels.mask("lung_*"), ct, points)
    assert lungs is None or lungs.query(points)[0].min() > 2.0
    dense = near((ct.voxels > 250) & labels.mask("rib_*"), ct, points)
    assert dense is None or dense.query(points)[0].min() > 2.0 - 1.74
