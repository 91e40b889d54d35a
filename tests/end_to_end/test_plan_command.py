"""`ir-nav plan`: a CT, its labels and a target in; plans and what limits them out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ir_nav.cli import main
from ir_nav.imaging import LabelMap, read_labels, read_volume
from ir_nav.planning import load_plan
from tests.data import data_path
from tests.planning.sampler import BoxJudge

PROTOCOL = Path(__file__).resolve().parents[2] / "plans" / "protocols" / "liver_biopsy.toml"
RADIUS_MM = 0.635


def files() -> tuple[Path, Path, Path]:
    return (
        data_path("ct", "chest_LIDC-IDRI-0001_2mm.nii.gz"),
        data_path("ct", "chest_LIDC-IDRI-0001_2mm_labels.nii.gz"),
        data_path("ct", "chest_LIDC-IDRI-0001_labels.csv"),
    )


def plan(out: Path, target: str, *more: str) -> int:
    ct, labels, names = (str(path) for path in files())
    command = ["plan", ct, "--labels", labels, "--names", names, f"--target={target}"]
    return main([*command, "--protocol", str(PROTOCOL), "--out", str(out), *more])


def document(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "proposals.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def labels() -> LabelMap:
    ct, path, names = files()
    return read_labels(path, names, like=read_volume(ct))


def test_paths_to_a_target_with_everything_that_limits_them(
    tmp_path: Path, labels: LabelMap
) -> None:
    target = labels.centroid_ct_mm("liver") + np.array([-15.0, 0.0, 0.0])
    assert plan(tmp_path, ",".join(f"{v:.2f}" for v in target), "--proposals", "5") == 0
    found = document(tmp_path)
    assert found["format"] == 1
    assert found["reason"] is None
    assert 3 <= len(found["proposals"]) <= 5
    assert found["needle"]["radius_mm"] == RADIUS_MM
    assert set(found["seconds"]) >= {"read", "body", "distances_and_skin", "search"}
    structures = {item["name"]: item for item in found["structures"]}
    assert structures["Liver"]["role"] == "traversable"
    assert structures["Aorta"] == {"name": "Aorta", "label": 52, "role": "avoid", "margin_mm": 5.0}
    for number, proposal in enumerate(found["proposals"], start=1):
        entry, tip = np.array(proposal["entry_ct_mm"]), np.array(proposal["target_ct_mm"])
        np.testing.assert_allclose(tip, target, atol=0.01)
        assert np.linalg.norm(tip - entry) == pytest.approx(proposal["length_mm"])
        saved = load_plan(tmp_path / f"plan-{number}.json")
        np.testing.assert_allclose(saved.entry_ct_mm, entry)
        assert saved.protocol == "Liver biopsy"
        assert saved.structure == "Liver"
        clear = [f for f in proposal["findings"] if f["name"] == "Clearance" and f["hard"]]
        least = min(clear, key=lambda f: f["value"] - f["limit"])
        assert least["structure"] == proposal["limiting_structure"]
        assert all(f["passes"] for f in proposal["findings"] if f["hard"])
        keys = {"name", "structure", "value", "unit", "limit", "hard", "passes"}
        assert all(set(f) == keys for f in proposal["findings"])
        for item in clear[:3]:
            judge = BoxJudge(labels, [structures[item["structure"]]["label"]])
            true = judge.distance_mm(entry, tip) - RADIUS_MM
            assert item["value"] == pytest.approx(true, abs=0.02)
            assert true >= item["limit"]
    assert not (tmp_path / f"plan-{len(found['proposals']) + 1}.json").exists()


def test_no_safe_path_is_an_answer_with_a_reason(
    tmp_path: Path, labels: LabelMap, capsys: pytest.CaptureFixture[str]
) -> None:
    target = labels.centroid_ct_mm("inferior_vena_cava")
    assert plan(tmp_path, ",".join(f"{v:.2f}" for v in target)) == 3
    found = document(tmp_path)
    assert found["proposals"] == []
    assert found["reason"].startswith("no safe straight path: the target lies in or at Inferior")
    assert "no safe straight path" in " ".join(capsys.readouterr().out.split())
    assert not list(tmp_path.glob("plan-*.json"))


@pytest.mark.parametrize(
    ("target", "more", "words"),
    [
        ("900,0,0", (), "the target lies outside the CT"),
        ("0,0,-200", ("--protocol", "none.toml"), "none.toml"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    tmp_path: Path,
    target: str,
    more: tuple[str, ...],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert plan(tmp_path, target, *more) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "proposals.json").exists()


def test_a_target_needs_three_numbers(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        plan(tmp_path, "1,2")
