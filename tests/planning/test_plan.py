"""Plans and protocols: read back as written, refused with the key and the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ir_nav import RESEARCH_LABEL
from ir_nav.planning import (
    Needle,
    Plan,
    PlanError,
    load_plan,
    read_protocol,
    require_same_ct,
    save_plan,
    shipped_protocol,
)

ENTRY, TARGET = (-40.5, -120.25, 10.0), (-30.0, -30.0, 22.125)


def plan(**changes: Any) -> Plan:
    values: dict[str, Any] = {
        "name": "Segment VI",
        "ct_identity": "blake2b:1234",
        "entry_ct_mm": ENTRY,
        "target_ct_mm": TARGET,
        "structure": "liver",
        "needle": Needle(gauge=20, length_mm=120.0),
        "author": "Grüße",
    }
    return Plan.model_validate(values | changes)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "new folder" / "plan.json"
    save_plan(plan(), path)
    return path


def test_a_plan_is_read_back_as_it_was_written(written: Path) -> None:
    again = load_plan(written)
    assert again == plan(created=again.created)
    assert again.label == RESEARCH_LABEL
    assert again.created.utcoffset() is not None
    np.testing.assert_array_equal(again.path.entry_ct_mm, ENTRY)
    assert again.path.length_mm == pytest.approx(np.linalg.norm(np.subtract(TARGET, ENTRY)))
    np.testing.assert_allclose(
        again.path.direction_ct * again.path.length_mm, np.subtract(TARGET, ENTRY)
    )


@given(st.tuples(*[st.floats(-1e4, 1e4)] * 3))
def test_coordinates_survive_the_file_to_the_last_bit(point: tuple[float, float, float]) -> None:
    if np.linalg.norm(np.subtract(point, TARGET)) < 6.0:
        return
    first = plan(entry_ct_mm=point)
    assert Plan.model_validate(json.loads(first.model_dump_json())) == first


def test_saving_leaves_no_half_file_and_replaces_the_old_one(written: Path) -> None:
    save_plan(plan(name="Second"), written)
    assert load_plan(written).name == "Second"
    assert [file.name for file in written.parent.iterdir()] == ["plan.json"]


def test_a_failed_save_keeps_the_old_plan(written: Path) -> None:
    written.with_name("plan.json.part").mkdir()
    with pytest.raises(OSError, match=r"plan\.json\.part"):
        save_plan(plan(name="Second"), written)
    assert load_plan(written).name == "Segment VI"


def edited(path: Path, **changes: Any) -> Path:
    document = json.loads(path.read_text(encoding="utf-8"))
    for place, value in changes.items():
        *parents, key = place.split("__")
        inside = document
        for parent in parents:
            inside = inside[parent]
        inside[key] = value
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"colour": "red"}, r"colour: Extra inputs are not permitted"),
        ({"needle__bevel": 3}, r"needle\.bevel: Extra inputs"),
        ({"entry_ct_mm": [1.0, float("nan"), 2.0]}, r"entry_ct_mm\.1: .*finite"),
        ({"target_ct_mm": [1.0, 2.0, float("inf")]}, r"target_ct_mm\.2: .*finite"),
        ({"target_ct_mm": [1.0, 2.0]}, r"target_ct_mm\.2: Field required"),
        ({"target_ct_mm": list(ENTRY)}, r"entry and target are only 0\.0 mm apart"),
        ({"target_ct_mm": [-40.5, -116.25, 10.0]}, r"only 4\.0 mm apart"),
        ({"name": ""}, r"name: "),
        ({"format": 2}, r"format: Input should be 1"),
        ({"needle__gauge": 99}, r"needle\.gauge: "),
        ({"needle__length_mm": -1.0}, r"needle\.length_mm: "),
        ({"created": "2026-01-01T00:00:00"}, r"created: .*timezone"),
    ],
)
def test_each_fault_is_told_with_its_file_and_key(
    written: Path, changes: dict[str, Any], words: str
) -> None:
    edited(written, **changes)
    with pytest.raises(PlanError, match=words) as refusal:
        load_plan(written)
    assert str(refusal.value).startswith(f"{written}: ")


def test_the_input_is_not_echoed(written: Path) -> None:
    edited(written, name=["SECRET^PATIENT"])
    with pytest.raises(PlanError) as refusal:
        load_plan(written)
    assert "SECRET" not in str(refusal.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b"[" * 200_000,
        b'{"format": ' + b"1" * 5000 + b"}",
        b"no json",
    ],
)
def test_what_is_no_json_is_no_plan(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    with pytest.raises(PlanError, match="not a plan file"):
        load_plan(path)


@pytest.mark.parametrize("content", ["[]", "3", "null", '"plan"'])
def test_json_of_another_kind_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(content)
    with pytest.raises(PlanError, match="file: "):
        load_plan(path)


def test_a_truncated_plan_is_refused_wherever_it_was_cut(written: Path) -> None:
    whole = written.read_bytes().rstrip()
    for length in range(0, len(whole), 7):
        written.write_bytes(whole[:length])
        with pytest.raises(PlanError):
            load_plan(written)


def test_a_missing_file_or_a_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="there is no such plan file"):
        load_plan(tmp_path / "none.json")
    with pytest.raises(PlanError, match="not a plan file"):
        load_plan(tmp_path)


def test_a_plan_of_another_ct_is_refused() -> None:
    require_same_ct(plan(), "blake2b:1234")
    with pytest.raises(PlanError, match="plan 'Segment VI' belongs to another CT: open the CT"):
        require_same_ct(plan(), "blake2b:9999")


def test_a_plan_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        plan().name = "other"  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        plan().path.entry_ct_mm[0] = 1.0


def test_the_shipped_protocol_holds_the_yardsticks() -> None:
    """reference/yardsticks.md: 5 mm to vessels and bowel, 2 mm to bone, 5-10 mm to lung, <= 60
    degrees to the skin's normal, 30 to 150 mm long."""
    shipped = shipped_protocol()
    margins = {group.name: group.margin_mm for group in shipped.avoid}
    assert margins["Vessel"] >= 5.0
    assert margins["Bowel"] >= 5.0
    assert margins["Lung"] >= 5.0
    assert margins["Bone"] >= 2.0
    assert (shipped.min_length_mm, shipped.max_length_mm) == (30.0, 150.0)
    assert shipped.max_skin_angle_deg <= 60.0
    assert "P" not in shipped.reachable_from
    assert all(group.source for group in shipped.avoid)


PROTOCOL = """
format = 1
name = "T"
min_length_mm = 30.0
max_length_mm = 150.0
max_skin_angle_deg = 60.0
reachable_from = ["A"]
[[avoid]]
name = "Bone"
structures = ["rib*"]
margin_mm = 2.0
source = "test"
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "margin_mm",
            "marign_mm",
            r"avoid\.0\.margin_mm: Field required; avoid\.0\.marign_mm: Extra",
        ),
        ("= 60.0", "= 95.0", r"max_skin_angle_deg: "),
        ('["A"]', '["X"]', r"reachable_from\.0: "),
        ("= 2.0", "= -2.0", r"avoid\.0\.margin_mm: "),
        ("format = 1", "format = 9", r"format: "),
        ("format = 1", "format == 1", "not a protocol file"),
    ],
)
def test_each_protocol_fault_is_told_with_its_key(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    path = tmp_path / "p.toml"
    path.write_text(PROTOCOL)
    assert read_protocol(path).avoid[0].structures == ("rib*",)
    path.write_text(PROTOCOL.replace(old, new, 1))
    with pytest.raises(PlanError, match=words):
        read_protocol(path)


def test_a_missing_protocol_is_told(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="not a protocol file"):
        read_protocol(tmp_path / "none.toml")
