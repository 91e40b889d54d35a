"""Proposals on a real CT and on the digital torso, held against an independent sampler."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from hw_mocks.torso import generate_torso
from ir_nav.geometry import apply
from ir_nav.imaging import LabelMap, Volume, VolumeInfo, read_labels, read_volume
from ir_nav.planning import (
    Ground,
    NoPathError,
    Proposal,
    Protocol,
    findings,
    prepare,
    propose,
    shipped_protocol,
)
from ir_nav.planning.proposals import APART_MM
from tests.data import data_path
from tests.planning.sampler import BoxJudge

TARGETS = 60
# Room beyond a margin that is not told apart: structures are looked for within 25 mm.
FAR_MM = 14.0


@dataclass(frozen=True)
class Patient:
    labels: LabelMap
    ground: Ground
    targets: np.ndarray
    answers: tuple[tuple[Proposal, ...] | NoPathError, ...]

    def paths(self) -> list[Proposal]:
        return [p for answer in self.answers if isinstance(answer, tuple) for p in answer]


def planned(volume: Volume, labels: LabelMap, seed: int) -> Patient:
    """Proposals for random targets in the liver."""
    rules = shipped_protocol()
    ground = prepare(volume, labels, rules)
    liver = np.argwhere(labels.mask("liver"))
    chosen = liver[np.random.default_rng(seed).choice(len(liver), TARGETS, replace=False)]
    targets = apply(volume.ct_from_voxel, chosen[:, ::-1])
    answers: list[tuple[Proposal, ...] | NoPathError] = []
    for target in targets:
        try:
            answers.append(propose(ground, rules, target).paths)
        except NoPathError as error:
            answers.append(error)
    return Patient(labels, ground, targets, tuple(answers))


def real() -> Patient:
    volume = read_volume(data_path("ct", "chest_LIDC-IDRI-0001_dicom.zip"))
    path = data_path("ct", "chest_LIDC-IDRI-0001_labels.nii.gz")
    names = data_path("ct", "chest_LIDC-IDRI-0001_labels.csv")
    return planned(volume, read_labels(path, names, like=volume), 12)


def torso() -> Patient:
    anatomy = generate_torso(3).anatomy
    volume = Volume(anatomy.hu, anatomy.ct_from_voxel, "torso", VolumeInfo())
    labels = LabelMap(anatomy.labels, anatomy.ct_from_voxel, anatomy.names)
    return planned(volume, labels, 13)


@pytest.fixture(scope="module", params=[real, torso], ids=["real CT", "torso"])
def patient(request: pytest.FixtureRequest) -> Patient:
    made: Patient = request.param()
    return made


def rule_of(labels: LabelMap, rules: Protocol) -> dict[int, str]:
    """Which rule each label falls under: the first whose pattern matches."""
    found: dict[int, str] = {}
    for rule in rules.structures:
        for pattern in rule.patterns:
            for number in labels.ids_named(pattern):
                found.setdefault(number, rule.name)
    return found


def test_no_path_breaks_a_margin(patient: Patient) -> None:
    """0.1 mm steps against the label voxels themselves; the shaft has its radius."""
    rules = shipped_protocol()
    paths = patient.paths()
    assert len(paths) >= TARGETS
    under = rule_of(patient.labels, rules)
    nearest = [np.inf] * len(paths)
    for rule in rules.kept:
        judge = BoxJudge(patient.labels, [n for n, name in under.items() if name == rule.name])
        for n, proposal in enumerate(paths):
            path = proposal.path
            least = rule.margin_mm + rules.needle.radius_mm
            clear = judge.distance_mm(path.entry_ct_mm, path.target_ct_mm, least + FAR_MM)
            clear -= rules.needle.radius_mm
            assert clear >= rule.margin_mm, rule.name
            nearest[n] = min(nearest[n], clear - rule.margin_mm)
    for proposal, room in zip(paths, nearest, strict=True):
        near = proposal.limiting
        stated = np.inf if near is None else near.value - (near.limit or 0.0)
        assert stated == pytest.approx(room, abs=0.02) or min(stated, room) >= FAR_MM - 0.01


def test_no_path_breaks_another_hard_limit(patient: Patient) -> None:
    rules = shipped_protocol()
    body = patient.ground.body
    lungs = patient.labels.ids_named("lung*")
    grid = patient.ground.volume.voxel_from_ct
    for proposal in patient.paths():
        path = proposal.path
        assert rules.min_length_mm <= path.length_mm <= rules.max_length_mm
        steps = np.arange(0.0, path.length_mm, 0.1)[:, None]
        walked = np.rint(apply(grid, path.target_ct_mm - steps * path.direction_ct)).astype(int)
        i, j, k = walked[:-40].T
        assert body[k, j, i].all()
        assert not np.isin(patient.labels.voxels[k, j, i], lungs).any()
        out = np.rint(apply(grid, path.entry_ct_mm - 8.0 * path.direction_ct)).astype(int)
        i, j, k = np.clip(out, 0, np.array(body.shape[::-1]) - 1)
        assert not body[k, j, i]
        angle = next(f for f in proposal.findings if f.name == "Tilt at the skin" and f.hard)
        assert angle.value <= 60.0


def test_paths_are_clearly_different_and_say_what_limits_them(patient: Patient) -> None:
    sizes = []
    for answer in patient.answers:
        if isinstance(answer, NoPathError):
            assert str(answer).startswith("no safe straight path: ")
            continue
        sizes.append(len(answer))
        entries = np.array([p.path.entry_ct_mm for p in answer])
        apart = np.linalg.norm(entries[:, None] - entries, axis=-1)
        assert apart[np.triu_indices(len(entries), 1)].min(initial=np.inf) >= APART_MM
        qualities = [p.quality for p in answer]
        assert qualities == sorted(qualities, reverse=True)
        for proposal in answer:
            assert all(f.passes for f in proposal.findings if f.hard)
    assert np.median(sizes) >= 3


def test_where_a_margin_would_have_to_give_that_margin_is_enough(patient: Patient) -> None:
    refusals = [
        (target, answer)
        for target, answer in zip(patient.targets, patient.answers, strict=True)
        if isinstance(answer, NoPathError) and answer.relief is not None
    ]
    for target, refusal in refusals[:6]:
        relief = refusal.relief
        assert relief is not None
        known = next(s for s in patient.ground.structures.known if s.name == relief.structure)
        group = patient.ground.protocol.kept[known.group]
        eased = shipped_protocol().model_copy(
            update={
                "structures": tuple(
                    rule.model_copy(update={"margin_mm": relief.margin_mm, "preferred_mm": None})
                    if rule.name == group.name
                    else rule
                    for rule in shipped_protocol().structures
                )
            }
        )
        best = propose(patient.ground, eased, target, count=1).paths[0]
        assert all(f.passes for f in findings(patient.ground, eased, best.path) if f.hard)


def test_a_path_is_proposed_without_labels(patient: Patient) -> None:
    """Bone and gas by density; then checked against the labels' bones and lungs."""
    rules = shipped_protocol()
    volume = patient.ground.volume
    ground = prepare(volume, None, rules, body=patient.ground.body, skin=patient.ground.skin)
    assert {s.name for s in ground.structures.known} == {"Bone", "Lung"}
    best = propose(ground, rules, patient.labels.centroid_ct_mm("liver")).paths[0]
    for pattern, values in (("lung_*", volume.voxels < -400), ("rib_*", volume.voxels > 250)):
        ids = patient.labels.ids_named(pattern)
        if not ids:
            continue
        masked = np.where(values, patient.labels.voxels, 0).astype(np.uint8)
        seen = LabelMap(masked, volume.ct_from_voxel, patient.labels.names)
        judge = BoxJudge(seen, list(ids))
        assert judge.distance_mm(best.path.entry_ct_mm, best.path.target_ct_mm) >= 2.0
