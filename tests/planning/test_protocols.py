"""Protocols: the files that come along, and what is refused in a file of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from ir_nav.planning import PlanError, Role, read_protocol, shipped_protocol, shipped_protocols
from ir_nav.planning.protocol import Criterion
from tests.planning.phantoms import protocol

KINDS = {
    "abscess_drainage",
    "biliary_drainage",
    "bone_biopsy",
    "liver_ablation",
    "liver_biopsy",
    "lung_biopsy",
    "nephrostomy",
    "renal_biopsy",
}
GOOD = """
format = 2
name = "Mine"
reachable_from = ["A"]

[[needles]]
name = "18 G"
radius_mm = 0.6
length_mm = 150.0

[[structures]]
name = "Bone"
role = "avoid"
patterns = ["rib*"]
margin_mm = 2.0
source = "me"

[[limits]]
criterion = "length_mm"
min = 30.0
max = 150.0
hard = true
source = "me"
"""


def test_every_kind_of_procedure_has_a_protocol() -> None:
    assert set(shipped_protocols()) >= KINDS


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_shipped_protocol_is_complete(name: str) -> None:
    rules = shipped_protocol(name)
    assert len(rules.needles) >= 1
    assert len(rules.checklist) >= 3
    assert all(rule.source for rule in rules.structures)
    assert all(limit.source for limit in rules.limits)
    roles = {rule.role for rule in rules.structures}
    assert {Role.TARGET, Role.TRAVERSABLE, Role.AVOID} <= roles
    assert rules.of(Criterion.SKIN_ANGLE)[0].hard
    assert 30.0 <= rules.max_skin_angle_deg <= 60.0
    assert (rules.insertions > 1) == ("ablation" in name)
    away = {rule.name for rule in rules.kept}
    if "bone" not in name:
        assert "Bone" in away
    # Vertebrae and their canal are never taken for something to go through.
    assert any("spinal_cord" in rule.patterns for rule in rules.kept)


def test_defaults_of_the_liver_biopsy() -> None:
    rules = shipped_protocol()
    margins = {rule.name: rule.margin_mm for rule in rules.kept}
    assert (margins["Bone"], margins["Vessel"], margins["Bowel"], margins["Lung"]) == (2, 5, 5, 5)
    assert (rules.min_length_mm, rules.max_length_mm, rules.max_skin_angle_deg) == (30, 150, 60)
    assert rules.of(Criterion.CAPSULE_ANGLE)[0].min == 20.0
    # The patient lies on the back.
    assert "P" not in rules.reachable_from


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_protocol_of_ones_own_is_read(tmp_path: Path) -> None:
    rules = read_protocol(written(tmp_path, GOOD))
    assert (rules.name, rules.kept[0].margin_mm) == ("Mine", 2.0)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("format = 2", "format = 1", "format"),
        ("margin_mm = 2.0", "margin_cm = 2.0", "structures.0.margin_cm"),
        ("margin_mm = 2.0", "margin_mm = 40.0", "structures.0.margin_mm"),
        ("margin_mm = 2.0", "margin_mm = -1.0", "structures.0.margin_mm"),
        ('role = "avoid"', 'role = "beware"', "structures.0.role"),
        ('role = "avoid"', 'role = "traversable"', "keeps no margin: use role 'avoid'"),
        ('patterns = ["rib*"]', "patterns = []", "structures.0.patterns"),
        ("hard = true", "hard = false", "one hard limit of length_mm"),
        ("max = 150.0\nhard", "max = 20.0\nhard", "min must be smaller than max"),
        ("max = 150.0\nhard", "max = 180.0\nhard", "longer than the needle"),
        ('criterion = "length_mm"', 'criterion = "length_cm"', "limits.0.criterion"),
        ('reachable_from = ["A"]', 'reachable_from = ["up"]', "reachable_from.0"),
        ('source = "me"\n\n[[limits]]', "\n[[limits]]", "structures.0.source"),
        ("[[needles]]", "[[needle]]", "needle"),
        ("[[needles]]", "[[needles", "not a protocol file"),
        (
            "margin_mm = 2.0",
            "margin_mm = 2.0\npreferred_mm = 1.0",
            "preferred_mm must be larger than margin_mm",
        ),
        (
            "margin_mm = 2.0",
            "margin_mm = 2.0\nwithout_label = { above_hu = 1, below_hu = 2 }",
            "give either above_hu or below_hu",
        ),
    ],
)
def test_faults_are_named_with_their_place(
    tmp_path: Path, before: str, after: str, words: str
) -> None:
    assert GOOD.count(before) == 1
    with pytest.raises(PlanError, match=words.replace("(", r"\(")) as refusal:
        read_protocol(written(tmp_path, GOOD.replace(before, after)))
    assert "mine.toml" in str(refusal.value)


def test_only_shown_criteria_cannot_be_hard() -> None:
    with pytest.raises(ValueError, match="robust_percent cannot be a hard limit"):
        protocol(
            limits=(
                *protocol().model_dump()["limits"],
                {"criterion": "robust_percent", "min": 80.0, "hard": True, "source": "me"},
            )
        )


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"none\.toml"):
        read_protocol(tmp_path / "none.toml")
