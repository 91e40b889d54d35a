"""`ir-nav pacs` and `ir-nav deidentify`, file in, file out, with their exit statuses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pydicom
import pytest

from ir_nav.archive import read_archives
from ir_nav.cli import main
from ir_nav.commands.pacs import PASSWORD_VARIABLE
from tests.archive.conftest import IMAGES, Ward
from tests.archive.made import image, new_uid
from tests.archive.relay import Relay


@pytest.fixture
def settings(ward: Ward, tmp_path: Path) -> Path:
    """A settings file with both ways to the ward, made by the command line."""
    file, port = tmp_path / "archives.json", str(ward.running.dicom_port)
    common = ("--settings", str(file))
    dimse = ("--host", "127.0.0.1", "--port", port, "--ae-title", "WARD")
    assert main(["pacs", "archives", "add-dimse", "ward", *dimse, *common]) == 0
    assert main(["pacs", "archives", "add-web", "web", "--url", ward.running.url, *common]) == 0
    return file


def test_archives_are_named_listed_and_forgotten(
    settings: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    common = ("--settings", str(settings))
    assert main(["pacs", "archives", "list", *common]) == 0
    said = capsys.readouterr().out
    assert "WARD at 127.0.0.1" in said
    assert "dicomweb" in said
    monkeypatch.setenv(PASSWORD_VARIABLE, "geheim-77")
    with_user = ("--url", "https://pacs.example/dicom-web", "--user", "nurse")
    assert main(["pacs", "archives", "add-web", "far", *with_user, *common]) == 0
    kept = read_archives(settings)[-1]
    assert kept.kind == "dicomweb"
    assert kept.password is not None
    assert kept.password.get_secret_value() == "geheim-77"
    assert main(["pacs", "archives", "remove", "far", *common]) == 0
    assert len(read_archives(settings)) == 2
    said_all = capsys.readouterr()
    assert "geheim-77" not in said_all.out + said_all.err
    far = ("--url", "http://pacs.example", "--user", "nurse")
    assert main(["pacs", "archives", "add-web", "x", *far, *common]) == 1
    assert "use https" in capsys.readouterr().err
    assert main(["pacs", "echo", "nobody", *common]) == 1
    assert "known: ward, web" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["ward", "web"])
def test_find_fetch_and_store(
    ward: Ward, settings: Path, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ("--settings", str(settings))
    study, series = ward.series.study_uid, ward.series.series_uid
    assert main(["pacs", "echo", name, *common]) == 0
    capsys.readouterr()
    query = ("--patient-id", "HOSP*", "--from", "2026-03-01", "--modality", "CT")
    assert main(["pacs", "find", name, *query, *common]) == 0
    said = capsys.readouterr().out
    assert "2026-03-17" in said
    assert f"1  {study}\n" in said
    assert main(["pacs", "find", name, "--study", study, *common]) == 0
    assert f"1  {series}\n" in capsys.readouterr().out
    into = tmp_path / "in"
    fetch = ["pacs", "fetch", name, "--study", study, "--into", str(into), *common]
    assert main(fetch) == 0
    assert f"{IMAGES} images in" in capsys.readouterr().out
    assert len(list((into / series).iterdir())) == IMAGES
    assert main([*fetch, "--series", "1.2.3"]) == 1
    assert "does not hold such a series" in capsys.readouterr().err
    assert main(["pacs", "store", name, str(into), *common]) == 0
    assert f"{IMAGES} images stored" in capsys.readouterr().out


def test_a_wrong_date_is_refused_by_the_parser(settings: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["pacs", "find", "ward", "--from", "17.3.2026", "--settings", str(settings)])
    assert ended.value.code == 2


def test_ctrl_c_ends_a_fetch_at_once_and_leaves_nothing(ward: Ward, tmp_path: Path) -> None:
    common = ("--settings", str(tmp_path / "a.json"))
    into = tmp_path / "in"
    with Relay(ward.running.dicom_port, limit_bytes=500_000, stalling=True) as relay:
        dimse = ("--host", "127.0.0.1", "--port", str(relay.port), "--ae-title", "WARD")
        assert main(["pacs", "archives", "add-dimse", "slow", *dimse, *common]) == 0
        study = ward.series.study_uid
        command = ["pacs", "fetch", "slow", "--study", study, "--into", str(into), *common]
        process = subprocess.Popen(
            [sys.executable, "-m", "ir_nav.cli", *command],
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        deadline_s = time.monotonic() + 30.0
        while not any(into.glob(".partial-*/*.dcm")):
            assert time.monotonic() < deadline_s
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        asked_s = time.monotonic()
        while any(into.iterdir()):
            assert time.monotonic() - asked_s < 3.0
            time.sleep(0.02)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"Traceback" not in said


def test_deidentify(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, study, series = tmp_path / "in", new_uid(), new_uid()
    source.mkdir()
    for number in (1, 2):
        one = image(number, series, study)
        one.save_as(source / f"{number}", enforce_file_format=True)
    command = ["deidentify", str(source), "--keep-dates", "--keep-device", "--out"]
    assert main([*command, str(tmp_path / "a")]) == 0
    assert "2 images in 1 series" in capsys.readouterr().out
    (folder,) = (tmp_path / "a").iterdir()
    made = pydicom.dcmread(next(folder.iterdir()))
    assert len(made.DeidentificationMethodCodeSequence) == 3

    capture = image(3, series, study, BurnedInAnnotation="YES")
    capture.save_as(source / "3", enforce_file_format=True)
    assert main([*command, str(tmp_path / "b")]) == 1
    assert "confirm that the pictures are checked" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()
    report = image(4, series, study, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33")
    report.save_as(source / "4", enforce_file_format=True)
    assert main([*command, str(tmp_path / "b"), "--pixels-checked"]) == 3
    assert "4 was left out: a structured report" in capsys.readouterr().err
