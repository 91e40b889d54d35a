"""`ir-nav images`: the list, what is wrong, and the exit status."""

from __future__ import annotations

from pathlib import Path

import pytest

from ir_nav.cli import main
from tests.imaging import dicom_made, phantom

PLACE = phantom.affine()


def test_series_with_their_problems_and_no_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = phantom.dicom_slices(phantom.voxels(), PLACE, "1.2.9")
    del made[4]
    phantom.write_dicom(tmp_path / "gap", made)
    phantom.write_dicom(tmp_path / "ct", phantom.dicom_slices(phantom.voxels(), PLACE))
    phantom.write_dicom(tmp_path / "mr", dicom_made.mr_slices(phantom.voxels(), PLACE))
    (tmp_path / "ct" / "bad.dcm").write_bytes(b"")
    assert main(["images", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "Patient P-7 · 2024-05-31" in said
    assert "14 × 12 × 9" in said
    assert "8 images" in said
    assert "✕ Liver: 1 missing slice(s), the first near position -202.5 mm" in said
    assert "bad.dcm is truncated or damaged" in said
    assert "Secretname" not in said


def test_nothing_readable_is_status_2_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["images", str(tmp_path / "absent")]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert main(["images", str(tmp_path)]) == 2
    assert "no DICOM images" in capsys.readouterr().err
    phantom.write_dicom(tmp_path, phantom.dicom_slices(phantom.voxels(), PLACE)[:1])
    assert main(["images", str(tmp_path)]) == 2
    assert "a single CT slice is no volume" in capsys.readouterr().err


def test_a_nifti_file_is_one_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = phantom.write_nifti(tmp_path / "ct.nii.gz", phantom.voxels(), PLACE)
    assert main(["images", str(path)]) == 0
    assert "14 × 12 × 9 voxels" in capsys.readouterr().out
    path.write_bytes(path.read_bytes()[:-9])
    assert main(["images", str(path)]) == 2
    assert "truncated" in capsys.readouterr().err
    (tmp_path / "notes.txt").write_text("a report")
    assert main(["images", str(tmp_path / "notes.txt")]) == 2
    assert "no DICOM" in capsys.readouterr().err
