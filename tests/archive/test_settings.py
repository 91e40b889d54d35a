"""The file of named archives, and what may stand in it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from pydantic import ValidationError

from ir_nav.archive import (
    ArchiveError,
    DimseArchive,
    TlsFiles,
    WebArchive,
    archive_named,
    invalid_words,
    read_archives,
    save_archives,
)

WARD = DimseArchive(
    name="Ward", host="pacs", ae_title="PACS", tls=TlsFiles(ca_file=Path("/etc/ca.pem"))
)
WEB = WebArchive(name="Web", url="https://pacs/dicom-web", user="u", password="geheim-77")


def test_archives_come_back_as_they_were_kept(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "archives.json"
    assert read_archives(path) == ()
    save_archives(path, (WARD, WEB))
    assert read_archives(path) == (WARD, WEB)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["archives.json"]
    assert archive_named((WARD, WEB), "Web") is WEB
    with pytest.raises(ArchiveError, match=r"no archive named 'X' \(known: Ward, Web\)"):
        archive_named((WARD, WEB), "X")


def test_a_password_shows_nowhere_but_in_the_file(tmp_path: Path) -> None:
    save_archives(tmp_path / "a.json", (WEB,))
    assert "geheim-77" in (tmp_path / "a.json").read_text()
    assert "geheim-77" not in f"{WEB!r} {WEB} {WEB.model_dump_json()}"
    (tmp_path / "a.json").write_text(
        '{"format": 1, "archives": [{"kind": "dicomweb", "name": "W", "user": "u", '
        '"url": "http://far.example", "password": "geheim-77"}]}'
    )
    with pytest.raises(ArchiveError) as caught:
        read_archives(tmp_path / "a.json")
    assert "geheim-77" not in str(caught.value)
    assert "use https" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "correct or remove it"),
        ('{"format": 2}', "format"),
        ('{"format": 1, "archives": [{"kind": "dimse", "name": "W"}]}', "host: Field required"),
        (
            '{"format": 1, "archives": [{"kind": "dimse", "name": "W", "host": "h", "port": 0, '
            '"ae_title": "A"}]}',
            "port: .*greater than or equal to 1",
        ),
    ],
)
def test_a_file_that_is_wrong_says_where(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ArchiveError, match=words):
        read_archives(tmp_path / "a.json")


def test_two_archives_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="the same name"):
        save_archives(tmp_path / "a.json", (WARD, WARD))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ae_title": "A" * 17}, "ae_title"),
        ({"ae_title": "A\\B"}, "ae_title"),
        ({"tls": {"key": "k.pem"}}, "a key its certificate"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_an_entry_that_cannot_work_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        DimseArchive.model_validate({"name": "W", "host": "h", "ae_title": "A"} | changes)
    assert words in invalid_words(caught.value)
