"""Every kind of plan: written, read back, hashed, lifted, and described by its schema."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from ir_nav.planning import Plan, PlanError, load_plan, save_plan
from ir_nav.planning.ablation import zone_about
from ir_nav.planning.catalogue import all_devices, instrument_of
from ir_nav.planning.instruments import KINDS, Ablation, Biopsy, FurtherNeedle, Straight
from ir_nav.planning.notch import sample_of
from ir_nav.planning.plan import content_hash, plan_schema

ENTRY, TARGET = (-40.5, -120.25, 10.0), (-30.0, -30.0, 22.125)
SCHEMA = Path(__file__).resolve().parents[2] / "plans" / "plan.schema.json"
OLD = {
    "format": 1,
    "name": "Old",
    "ct_identity": "ct",
    "entry_ct_mm": ENTRY,
    "target_ct_mm": TARGET,
    "structure": "liver",
    "needle": {"gauge": 20, "length_mm": 120.0},
    "created": "2026-01-02T03:04:05Z",
    "author": "A",
    "software": "ir-nav 0.1.0",
    "label": "Research",
}


def plan_of(kind: str, **changes: Any) -> Plan:
    """A plan with the first shipped device of a kind."""
    device = next(one for one in all_devices(Path("/nowhere")) if one.kind == kind)
    values = {
        "name": "Segment VI",
        "ct_identity": "blake2b:1234",
        "entry_ct_mm": ENTRY,
        "target_ct_mm": TARGET,
        "instrument": instrument_of(device, 95.0),
        "created": "2026-01-02T03:04:05Z",
    }
    return Plan.model_validate(values | changes)


def with_two_needles() -> Plan:
    plan = plan_of("ablation")
    assert isinstance(plan.instrument, Ablation)
    further = FurtherNeedle(
        entry_ct_mm=(-50.0, -120.0, 10.0),
        target_ct_mm=(-40.0, -30.0, 22.0),
        needle=plan.instrument.needle,
        zone=plan.instrument.zone,
    )
    instrument = plan.instrument.model_copy(update={"further": (further,)})
    return plan.model_copy(update={"instrument": instrument})


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_read_back_as_written_and_fits_the_published_schema(
    tmp_path: Path, kind: str
) -> None:
    plan = plan_of(kind)
    save_plan(plan, tmp_path / "plan.json")
    assert load_plan(tmp_path / "plan.json") == plan
    assert plan.instrument.kind == kind
    assert plan.needle is plan.instrument.needle
    document = json.loads((tmp_path / "plan.json").read_text())
    schema = json.loads(SCHEMA.read_text())
    jsonschema.validate(document, schema)
    document["instrument"]["blade_mm"] = 3.0
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema)


def test_the_published_schema_is_the_one_in_the_code() -> None:
    assert json.loads(SCHEMA.read_text()) == plan_schema(), "run `ir-nav plan-schema`"


def test_several_needles_have_several_paths() -> None:
    plan = with_two_needles()
    first, second = plan.paths
    np.testing.assert_array_equal(first.entry_ct_mm, plan.path.entry_ct_mm)
    np.testing.assert_array_equal(second.target_ct_mm, (-40.0, -30.0, 22.0))
    assert len(plan_of("drainage").paths) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_another_instrument_keeps_entry_and_aim(kind: str) -> None:
    bare = plan_of("needle")
    instrument = plan_of(kind).instrument
    plan = bare.for_instrument(instrument)
    np.testing.assert_allclose(plan.aim_ct_mm, TARGET, atol=1e-9)
    assert plan.entry_ct_mm == ENTRY
    rest_mm = bare.path.length_mm - plan.path.length_mm
    assert rest_mm == pytest.approx(instrument.aim_ahead_mm)
    np.testing.assert_allclose(plan.path.direction_ct, bare.path.direction_ct, atol=1e-9)
    again = plan.for_instrument(bare.instrument)
    np.testing.assert_allclose(again.target_ct_mm, TARGET, atol=1e-9)


def test_what_is_aimed_at_is_the_middle_of_the_sample_and_of_the_zone() -> None:
    biopsy = plan_of("needle").for_instrument(plan_of("biopsy").instrument)
    assert isinstance(biopsy.instrument, Biopsy)
    sample = sample_of(biopsy.path, biopsy.instrument)
    assert sample is not None
    np.testing.assert_allclose((sample.near_ct_mm + sample.far_ct_mm) / 2.0, TARGET, atol=1e-9)
    ablation = plan_of("needle").for_instrument(plan_of("ablation").instrument)
    assert isinstance(ablation.instrument, Ablation)
    zone = zone_about(ablation.path, ablation.instrument.zone)
    np.testing.assert_allclose(zone.centre_ct_mm, TARGET, atol=1e-9)


def test_a_path_too_short_for_the_instrument_is_refused() -> None:
    short = plan_of("needle", entry_ct_mm=(0.0, 0.0, 0.0), target_ct_mm=(0.0, 8.0, 0.0))
    with pytest.raises(PlanError, match="8 mm long, too short for this instrument"):
        short.for_instrument(plan_of("biopsy").instrument)


def test_the_hash_is_of_the_canonical_json(tmp_path: Path) -> None:
    """Worked out again by hand: keys sorted, no spaces, whole numbers without a point."""
    plan = plan_of("needle", entry_ct_mm=(1.0, 2.5, 3.0), target_ct_mm=(1.0, 2.5, 60.0))
    path = tmp_path / "plan.json"
    save_plan(plan, path)
    document = json.loads(path.read_text(), parse_float=_shortest)
    stated = document.pop("content_hash")
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert stated == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    assert content_hash(plan) == stated


def _shortest(text: str) -> float | int:
    value = float(text)
    return int(value) if value.is_integer() else value


@pytest.mark.parametrize(
    ("old", "new"),
    [('"gauge": 14', '"gauge": 16'), ("-40.5", "-40.6"), ("Segment VI", "Segment VII")],
)
def test_a_changed_file_is_refused(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "plan.json"
    save_plan(plan_of("biopsy"), path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(PlanError, match=r"content_hash: the file was changed after"):
        load_plan(path)
    # Other spaces and another order of keys change nothing.
    path.write_text(json.dumps(dict(reversed(json.loads(text).items()))))
    assert load_plan(path).name == "Segment VI"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"content_hash": "sha256:', '"content_hash": "md5:', "content_hash: "),
        ('"content_hash"', '"hash"', "content_hash: Field required"),
        ('"format": 2,', '"format": 2, "format": 2,', "a key stands twice"),
        ('"length_mm": 100.0', '"length_mm": "1e2"', "content_hash: the file was changed"),
    ],
)
def test_a_file_without_a_sound_hash_is_refused(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    path = tmp_path / "plan.json"
    save_plan(plan_of("biopsy"), path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(PlanError, match=words):
        load_plan(path)


def test_format_1_is_lifted(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text(json.dumps(OLD))
    plan = load_plan(path)
    assert plan.format == 2
    assert isinstance(plan.instrument, Straight)
    assert (plan.needle.gauge, plan.needle.length_mm) == (20, 120.0)
    assert (plan.name, plan.structure, plan.author) == ("Old", "liver", "A")
    save_plan(plan, path)
    assert load_plan(path) == plan


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"needle": {"gauge": 20, "length_cm": 12.0}}, r"instrument\.needle\.length_cm: .*_mm"),
        ({"instrument": {"kind": "needle"}}, r"instrument \(format 1\): Extra"),
        ({"colour": "red"}, "colour: Extra"),
    ],
)
def test_format_1_is_no_way_round_the_checks(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    path = tmp_path / "old.json"
    path.write_text(json.dumps(OLD | changes))
    with pytest.raises(PlanError, match=words):
        load_plan(path)


@pytest.mark.parametrize(
    ("kind", "place", "value", "words"),
    [
        ("biopsy", "notch.throw_mm", 5.0, r"instrument\.notch: a throw of 5 mm cannot open"),
        ("coaxial", "sampler.gauge", 14, r"instrument: a 14 G needle does not go through"),
        ("coaxial", "ahead_mm", 99.0, r"instrument: a sampler of .* does not come 99 mm out"),
        ("drainage", "catheter.loop_mm", 3.0, r"instrument\.catheter: a 6 F catheter cannot curl"),
        ("ablation", "zone.ahead_mm", 90.0, r"instrument\.zone: ahead_mm must be smaller"),
        ("ablation", "margin_mm", -1.0, r"instrument\.margin_mm: "),
    ],
)
def test_instruments_that_cannot_be_are_refused(
    tmp_path: Path, kind: str, place: str, value: float, words: str
) -> None:
    path = tmp_path / "plan.json"
    save_plan(plan_of(kind), path)
    document = json.loads(path.read_text())
    *parents, key = place.split(".")
    inside = document["instrument"]
    for parent in parents:
        inside = inside[parent]
    inside[key] = value
    path.write_text(json.dumps(document))
    with pytest.raises(PlanError, match=words):
        load_plan(path)
