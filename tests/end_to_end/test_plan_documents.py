"""Plans in and out on the command line: a markup becomes a plan, a plan a sheet and a markup."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from ir_nav.cli import main
from ir_nav.planning import load_plan
from ir_nav.planning.instruments import Biopsy
from ir_nav.planning.markups import read_markup_path
from tests.data import data_path
from tests.planning.test_markups import slicer_file

ENTRY, TARGET = [-70.0, 0.0, 4.0], [-10.0, 8.0, 0.0]
CT, LABELS = "chest_LIDC-IDRI-0001_dicom.zip", "chest_LIDC-IDRI-0001_labels.nii.gz"


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    """A water cylinder of 70 mm radius in air, 2 mm voxels, and its liver."""
    axis = np.arange(-89.0, 90.0, 2.0)
    _, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    body = np.hypot(x, y) < 70.0
    _write(tmp_path / "ct.nii.gz", np.where(body, 40, -1000).astype(np.int16))
    _write(tmp_path / "labels.nii.gz", (np.hypot(x + 10.0, y) < 30.0).astype(np.uint8))
    (tmp_path / "labels.csv").write_text("id,structure\n1,liver\n")
    return tmp_path / "ct.nii.gz"


def _write(path: Path, voxels: np.ndarray) -> None:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((2.0, 2.0, 2.0))
    image.SetOrigin((-89.0, -89.0, -89.0))
    sitk.WriteImage(image, str(path))


def imported(tmp_path: Path, ct: Path, *more: str) -> int:
    markup = slicer_file(tmp_path / "line.mrk.json", [ENTRY, TARGET])
    return main(
        ["plan-import", str(markup), "--ct", str(ct), "--out", str(tmp_path / "plan.json"), *more]
    )


def test_a_line_becomes_a_plan_a_sheet_and_a_line_again(tmp_path: Path, ct: Path) -> None:
    assert imported(tmp_path, ct, "--structure", "Liver", "--author", "A. Author") == 0
    plan = load_plan(tmp_path / "plan.json")
    assert (plan.structure, plan.author, plan.name) == ("Liver", "A. Author", "Imported path")
    np.testing.assert_allclose(plan.entry_ct_mm, ENTRY)
    np.testing.assert_allclose(plan.target_ct_mm, TARGET)
    sheet, markup = tmp_path / "sheet.pdf", tmp_path / "out.mrk.json"
    files = [str(ct), str(tmp_path / "plan.json")]
    labels = ["--labels", str(tmp_path / "labels.nii.gz"), "--protocol", "liver_biopsy"]
    assert main(["plan-sheet", *files, "--out", str(sheet), "--paper", "Letter", *labels]) == 0
    assert sheet.read_bytes().startswith(b"%PDF-")
    assert main(["plan-export", str(tmp_path / "plan.json"), "--slicer", str(markup)]) == 0
    np.testing.assert_allclose(read_markup_path(markup).entry_ct_mm, ENTRY)


def test_a_device_of_the_catalogue_is_planned_for(tmp_path: Path, ct: Path) -> None:
    assert imported(tmp_path, ct, "--device", "core-18g-22mm", "--protocol", "liver_biopsy") == 0
    plan = load_plan(tmp_path / "plan.json")
    assert isinstance(plan.instrument, Biopsy)
    assert plan.protocol == "Liver biopsy"
    np.testing.assert_allclose(plan.aim_ct_mm, TARGET, atol=1e-9)
    assert plan.path.length_mm < np.linalg.norm(np.subtract(ENTRY, TARGET))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--device", "none"], "no device 'none' in the catalogue"),
        (["--device", "rf-cooled-17g-20mm", "--setting", "9"], "has settings 0 to 1, not 9"),
        (["--margin-mm", "99", "--device", "rf-cooled-17g-20mm"], "must be between 0 and 30"),
        (["--protocol", "none.toml"], "not a protocol file"),
    ],
)
def test_what_cannot_be_planned_is_refused(
    tmp_path: Path, ct: Path, capsys: pytest.CaptureFixture[str], more: list[str], words: str
) -> None:
    assert imported(tmp_path, ct, *more) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "plan.json").exists()


def test_another_ct_is_refused(
    tmp_path: Path, ct: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imported(tmp_path, ct) == 0
    other = sitk.ReadImage(str(ct))
    other[20, 20, 20] = 500
    sitk.WriteImage(other, str(tmp_path / "other.nii.gz"))
    files = [str(tmp_path / "other.nii.gz"), str(tmp_path / "plan.json")]
    assert main(["plan-sheet", *files, "--out", str(tmp_path / "s.pdf")]) == 1
    assert "belongs to another CT" in capsys.readouterr().err
    assert not (tmp_path / "s.pdf").exists()


def test_a_markup_of_another_place_is_refused(
    tmp_path: Path, ct: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    markup = slicer_file(tmp_path / "far.mrk.json", [[-300.0, 0.0, 0.0], TARGET])
    out = str(tmp_path / "p.json")
    assert main(["plan-import", str(markup), "--ct", str(ct), "--out", out]) == 1
    assert "the entry lies outside this CT" in capsys.readouterr().err


def test_an_export_of_nothing_is_refused(
    tmp_path: Path, ct: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imported(tmp_path, ct) == 0
    plan = str(tmp_path / "plan.json")
    assert main(["plan-export", plan]) == 1
    assert main(["plan-export", plan, "--seg", str(tmp_path / "t.dcm")]) == 1
    said = capsys.readouterr().err
    assert "nothing to export" in said
    assert "--seg needs --ct and --labels" in said


def test_the_catalogue_and_the_schema_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan-schema"]) == 0
    assert json.loads(capsys.readouterr().out)["properties"]["content_hash"]
    assert main(["devices"]) == 0
    assert "rf-cooled-wet-17g-20mm" in capsys.readouterr().out


def test_the_target_of_a_real_ct_is_written_as_dicom(tmp_path: Path) -> None:
    """A cyst of the CT, counted again in the file that pydicom reads."""
    import pydicom

    ct, labels = data_path("ct", CT), data_path("ct", LABELS)
    ends = [[-110.0, -80.0, -255.0], [-50.0, -45.0, -265.0]]
    markup = slicer_file(tmp_path / "line.mrk.json", ends)
    plan, out = tmp_path / "plan.json", tmp_path / "target.dcm"
    imports = ["plan-import", str(markup), "--ct", str(ct), "--out", str(plan)]
    assert main([*imports, "--structure", "Left kidney cyst"]) == 0
    exports = ["plan-export", str(plan), "--seg", str(out), "--ct", str(ct)]
    assert main([*exports, "--labels", str(labels)]) == 0
    written = pydicom.dcmread(out)
    assert written.Modality == "SEG"
    assert written.SegmentSequence[0].SegmentLabel == "Left kidney cyst"
    frames = written.pixel_array
    image = sitk.GetArrayFromImage(sitk.ReadImage(str(labels)))
    names = labels.with_name("chest_LIDC-IDRI-0001_labels.csv").read_text().splitlines()
    header = names[0].split(",")
    row = next(line.split(",") for line in names if "kidney_cyst_left" in line)
    number = int(row[header.index("id")])
    assert np.count_nonzero(frames) == np.count_nonzero(image == number) > 0
