"""`ir-nav register landmarks`: files in, a registration or its refusal out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ir_nav.cli import main
from ir_nav.registration.registration_file import read_start

CT = {
    "xiphoid": (0.0, -95.0, 40.0),
    "right rib 10": (-110.0, -40.0, -30.0),
    "left rib 10": (112.0, -38.0, -28.0),
    "navel": (2.0, -105.0, -120.0),
    "right flank": (-150.0, 10.0, -90.0),
}
TURN = Rotation.from_euler("xyz", (10, -20, 95), degrees=True)
SHIFT = np.array((30.0, -200.0, 650.0))


def touched(noise_mm: float = 0.5) -> dict[str, list[float]]:
    rng = np.random.default_rng(4)
    return {
        name: TURN.inv().apply(np.array(at) - SHIFT + rng.normal(0, noise_mm, 3)).tolist()
        for name, at in CT.items()
    }


def register(folder: Path, ct: object, reference: object, *more: str) -> int:
    for name, data in (("ct.json", ct), ("touched.json", reference)):
        (folder / name).write_text(json.dumps(data))
    return main(
        ["register", "landmarks", "--ct-points", str(folder / "ct.json"), "--reference-points",
         str(folder / "touched.json"), "--out", str(folder / "r.json"), *more]
    )  # fmt: skip


def check(folder: Path) -> None:
    found = read_start(folder / "r.json")
    np.testing.assert_allclose(found[:3, :3], TURN.as_matrix(), atol=0.02)
    np.testing.assert_allclose(found[:3, 3], SHIFT, atol=6.0)


def test_points_are_paired_by_name_whatever_their_order(tmp_path: Path) -> None:
    reference = dict(reversed(touched().items())) | {"elsewhere": [1.0, 2.0, 3.0]}
    assert register(tmp_path, CT, reference, "--target=-60,-20,-20") == 0
    check(tmp_path)
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["method"] == "landmarks"
    assert result["accepted"] is True
    assert [one["name"] for one in result["residuals"]] == list(CT)
    assert result["about_ct_mm"] == [-60.0, -20.0, -20.0]
    assert np.shape(result["covariance"]) == (6, 6)
    assert 0.1 < result["predicted_tre_mm"] < 2.0


@pytest.mark.parametrize("named", [True, False])
def test_points_without_names_are_paired_in_their_order(tmp_path: Path, named: bool) -> None:
    assert register(tmp_path, CT if named else list(CT.values()), list(touched().values())) == 0
    check(tmp_path)


def test_points_in_any_order_are_matched_and_slicers_ras_is_turned(tmp_path: Path) -> None:
    points = [
        {"label": name, "position": [-x, -y, z], "positionStatus": "defined"}
        for name, (x, y, z) in CT.items()
    ]
    markup = {"type": "Fiducial", "coordinateSystem": "RAS", "controlPoints": points}
    (tmp_path / "ct.mrk.json").write_text(json.dumps({"markups": [markup]}))
    rows = [",".join(f"{v:.3f}" for v in at) for at in list(touched().values())[::-1]]
    (tmp_path / "touched.csv").write_text("\n".join(["x,y,z", *rows]))
    arguments = [
        "register", "landmarks", "--ct-points", str(tmp_path / "ct.mrk.json"),
        "--reference-points", str(tmp_path / "touched.csv"), "--out", str(tmp_path / "r.json"),
        "--match",
    ]  # fmt: skip
    assert main(arguments) == 0
    check(tmp_path)
    names = [one["name"] for one in json.loads((tmp_path / "r.json").read_text())["residuals"]]
    assert names == list(CT)[::-1]


def test_too_large_an_error_is_refused_and_written_as_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert register(tmp_path, CT, touched(30.0), "--target=80,60,-20") == 3
    assert "15 mm are allowed: touch the points again" in capsys.readouterr().out
    assert json.loads((tmp_path / "r.json").read_text())["accepted"] is False


def test_a_bad_point_is_named_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = touched(0.3)
    x, y, z = reference["navel"]
    reference["navel"] = [x + 14.0, y, z]
    assert register(tmp_path, CT, reference) == 0
    with_it = json.loads((tmp_path / "r.json").read_text())
    assert with_it["confidence"] < 0.05
    rows = [line for line in capsys.readouterr().out.splitlines() if "Agrees least" in line]
    assert "navel" in rows[0]
    assert register(tmp_path, CT, reference, "--exclude", "navel") == 0
    without = json.loads((tmp_path / "r.json").read_text())
    assert without["predicted_tre_mm"] < 0.3 * with_it["predicted_tre_mm"]


@pytest.mark.parametrize(
    ("reference", "more", "words"),
    [
        ({"a": [0, 0, 0], "b": [50, 0, 0], "c": [0, 50, 0]}, (), "only 0 names stand in both"),
        ([[0, 0, 0], [50, 0, 0], [0, 50, 0]], (), "only 0 names stand in both"),
        (touched(), ("--exclude", "nose"), "nose: no such landmark was paired"),
        (touched(), ("--match", "--tolerance-mm", "0"), "--tolerance-mm"),
        ([[0, 0, 0], [50, 0, 0], [0, 50, 0], [7, 7, 99]], ("--match",), "find a marker within"),
        ({name: [0.0, 0.0, 0.0] for name in CT}, (), "one line"),
    ],
)
def test_what_cannot_be_registered_is_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    reference: object,
    more: tuple[str, ...],
    words: str,
) -> None:
    assert register(tmp_path, CT, reference, *more) == 1
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "r.json").exists()


def test_lists_of_different_length_without_names_are_not_guessed_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lists = list(CT.values()), list(touched().values())[:4]
    assert register(tmp_path, *lists) == 1
    assert "points without names" in capsys.readouterr().err


def test_the_protocols_limits_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from importlib import resources

    shipped = resources.files("plans") / "protocols" / "liver_biopsy.toml"
    text = shipped.read_text(encoding="utf-8")
    strict = text + "\n[registration]\nleast_landmarks = 6\n"
    (tmp_path / "p.toml").write_text(strict, encoding="utf-8")
    assert register(tmp_path, CT, touched(), "--protocol", str(tmp_path / "p.toml")) == 3
    assert "5 landmarks, 6 are needed" in capsys.readouterr().out
    wrong = text + "\n[registration]\ngood_tre_mm = 6.0\nmax_tre_mm = 5.0\n"
    (tmp_path / "p.toml").write_text(wrong, encoding="utf-8")
    assert register(tmp_path, CT, touched(), "--protocol", str(tmp_path / "p.toml")) == 1
    assert "good_tre_mm must not be larger" in capsys.readouterr().err
