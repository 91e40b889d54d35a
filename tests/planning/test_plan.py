"""Plans: read back as written, refused with the key and the reason."""

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
    Plan,
    PlanError,
    load_plan,
    require_same_ct,
    save_plan,
)

ENTRY, TARGET = (-40.5, -120.25, 10.0), (-30.0, -30.0, 22.125)


def plan(**changes: Any) -> Plan:
    values: dict[str, Any] = {
        "name": "Segment VI",
        "ct_identity": "blake2b:1234",
        "entry_ct_mm": ENTRY,
        "target_ct_mm": TARGET,
        "structure": "liver",
        "instrument": {"kind": "needle", "needle": {"gauge": 20, "length_mm": 120.0}},
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
        ({"needle": {"gauge": 18}}, r"needle: Extra inputs"),
        ({"instrument__needle__bevel": 3}, r"instrument\.needle\.bevel: Extra inputs"),
        ({"entry_ct_cm": [1.0, 2.0, 3.0]}, r"entry_ct_cm: .*write entry_ct_mm and convert"),
        (
            {"instrument__needle__length_inch": 6.0},
            r"instrument\.needle\.length_inch: .*write length_mm and convert",
        ),
        ({"entry_ct_mm": [1.0, float("nan"), 2.0]}, r"entry_ct_mm\.1: .*finite"),
        ({"target_ct_mm": [1.0, 2.0, float("inf")]}, r"target_ct_mm\.2: .*finite"),
        ({"target_ct_mm": [1.0, 2.0]}, r"target_ct_mm\.2: Field required"),
        ({"target_ct_mm": list(ENTRY)}, r"entry and target are only 0\.0 mm apart"),
        ({"target_ct_mm": [-40.5, -116.25, 10.0]}, r"only 4\.0 mm apart"),
        ({"name": ""}, r"name: "),
        ({"format": 3}, r"format: Input should be 2"),
        ({"instrument__needle__gauge": 99}, r"instrument\.needle\.gauge: "),
        ({"instrument__needle__length_mm": -1.0}, r"instrument\.needle\.length_mm: "),
        ({"instrument": {"kind": "laser"}}, r"instrument: .*'biopsy'"),
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
