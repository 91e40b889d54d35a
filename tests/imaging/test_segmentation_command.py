"""`ir-nav segment`: a file in, structures out; and the roles that protocols give them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ir_nav.cli import main
from ir_nav.imaging import read_volume
from ir_nav.imaging.segmentation import read_segments
from ir_nav.imaging.segmentation.automatic import FOUND
from ir_nav.planning import shipped_protocol
from ir_nav.planning.protocol import Role
from ir_nav.session.structure_roles import given_role
from tests.imaging.phantom import write_itk
from tests.imaging.segmentation_phantoms import dice, full, grid

SIZE_IJK, SPACING_MM = (90, 80, 40), (2.0, 2.0, 3.0)


@pytest.fixture
def ct(tmp_path: Path) -> tuple[Path, np.ndarray, np.ndarray]:
    """A trunk with a dark ball about the origin and a bright tube at x = -40."""
    affine, x, y, z = grid(SIZE_IJK, SPACING_MM)
    lesion = x**2 + y**2 + z**2 <= 14.0**2
    vessel = (x + 40.0) ** 2 + y**2 <= 49.0
    hu = np.where((x / 80.0) ** 2 + (y / 70.0) ** 2 <= 1.0, 100.0, -1000.0)
    hu[lesion], hu[vessel] = 30.0, 300.0
    hu += np.random.default_rng(2).normal(0.0, 8.0, hu.shape)
    path = write_itk(tmp_path / "ct.nii.gz", np.rint(hu).astype(np.int16), affine)
    return path, lesion, vessel


def test_structures_are_written_and_read_back(
    ct: tuple[Path, np.ndarray, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    path, lesion, vessel = ct
    out = path.with_name("labels.nii.gz")
    arguments = ["segment", str(path), "--out", str(out), "--lesion=0,0,0", "--radius", "16"]
    assert main([*arguments, "--vessels=-40,0,0"]) == 0
    found = read_segments(out, read_volume(path))
    shape = lesion.shape
    masks = {item.name: full(item, shape) for item in found.segments}
    assert set(masks) == {"skin", "lesion", "vessel"}
    assert dice(masks["lesion"], lesion) > 0.93
    assert dice(masks["vessel"], vessel) > 0.93
    assert (masks["lesion"] & ~masks["skin"]).sum() == 0
    shown = capsys.readouterr().out
    assert "Lesion" in shown
    assert "Research software" in shown


def test_bad_input_ends_in_one_line(
    ct: tuple[Path, np.ndarray, np.ndarray],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    path, *_ = ct
    out = ["--out", str(path.with_name("labels.nii.gz")), "--no-automatic"]
    for more, words in (
        (["--lesion=900,0,0"], "outside the CT"),
        (["--lesion=0,0,0", "--radius", "0.5"], "radius is between"),
        (["--vessels=40,30,0"], "click on a vessel"),
        ([], "nothing was asked for"),
    ):
        assert main(["segment", str(path), *out, *more]) == 1
        assert words in capsys.readouterr().err
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["segment", str(path), *out, "--total"]) == 1
    assert "not installed" in capsys.readouterr().err


def test_the_protocols_know_the_names_that_are_given() -> None:
    liver = shipped_protocol("liver_biopsy")
    roles = {name: given_role(name, liver).role for name, _, _ in FOUND}
    assert roles.pop("skin") is Role.TRAVERSABLE
    assert set(roles.values()) == {Role.AVOID}
    assert given_role("Lesion 2", liver).words == "target"
    assert given_role("vessel", liver).words == "avoid 5 mm"
    assert given_role("gallbladder", liver).margin_mm > 0.0
    unnamed = given_role("something else", liver)
    assert (unnamed.words, unnamed.rule) == ("pass", "")
