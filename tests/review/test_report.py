"""The PDF: it is written whatever the log holds, and says what it is on every page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from reportlab import rl_config

from ir_nav import RESEARCH_LABEL
from ir_nav.recording import LogContents
from ir_nav.review import review, write_report
from tests.review.synthetic import write


@pytest.fixture(autouse=True)
def _readable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Page streams as plain text."""
    monkeypatch.setattr(rl_config, "pageCompression", 0)


def pages(path: Path) -> list[str]:
    """What each page shows, in reading order of its text operators."""
    raw = path.read_bytes()
    assert raw.startswith(b"%PDF-")
    assert raw.rstrip().endswith(b"%%EOF")
    count = int(re.search(rb"/Count (\d+)", raw).group(1))  # type: ignore[union-attr]
    streams = [s for s in re.findall(rb"stream\r?\n(.*?)endstream", raw, re.DOTALL) if b" Tj" in s]
    assert len(streams) == count
    return [
        " ".join(
            text.decode("latin-1").replace("\\(", "(").replace("\\)", ")")
            for text in re.findall(rb"\((.*?)(?<!\\)\) Tj", stream)
        )
        for stream in streams
    ]


def says(text: str, words: str) -> bool:
    """Spaces apart: markup characters are set one by one."""
    return "".join(words.split()) in "".join(text.split())


def report(tmp_path: Path, log: LogContents, **more: Any) -> list[str]:
    path = tmp_path / "out" / "report.pdf"
    write_report(log, review(log), path, **more)
    return pages(path)


def test_every_page_says_that_it_is_research(tmp_path: Path) -> None:
    png = cv2.imencode(".png", np.full((600, 800, 3), 90, np.uint8))[1].tobytes()
    pictures = {f"View {number} <&>": png for number in range(4)}
    found = report(tmp_path, write(tmp_path / "a.irlog", (8.0, 2.0, 11.0)), pictures=pictures)
    assert len(found) >= 3
    for number, text in enumerate(found, start=1):
        assert RESEARCH_LABEL in text
        assert f"Page {number}" in text
    assert says(" ".join(found), "View 3 <&>")


def test_the_numbers_of_the_review_are_on_paper(tmp_path: Path) -> None:
    text = " ".join(report(tmp_path, write(tmp_path / "a.irlog", (8.0, 2.0, 11.0))))
    for words in (
        "Segment <VI & VII>, 100 mm",
        "Lateral error 5.0 mm",
        "2.0 mm past the target",
        "Entry error 5.0 mm",
        "the user's mark",
        "0.31 mm",
        "0.90 mm",
        "1.40 mm",
        "100%",
        "at the target",
    ):
        assert says(text, words), words


def test_a_depth_short_of_the_target_has_no_sign_but_words(tmp_path: Path) -> None:
    text = " ".join(report(tmp_path, write(tmp_path / "a.irlog", (5.0, -6.0, 7.0))))
    assert "6.0 mm short of the target" in text


def test_a_result_taken_without_a_mark_is_labelled(tmp_path: Path) -> None:
    log = write(tmp_path / "a.irlog", (5.0, 0.0, 7.0), marked_s=None)
    assert "closest approach (nothing marked)" in " ".join(report(tmp_path, log))


@pytest.mark.parametrize("blank", [(0.0, 61.0), (31.0, 35.0)])
def test_without_a_result_no_number_stands_in(tmp_path: Path, blank: tuple[float, float]) -> None:
    log = write(tmp_path / "a.irlog", (5.0, 0.0, 7.0), blank=blank)
    text = " ".join(report(tmp_path, log))
    assert "no valid guidance round the mark" in text
    assert "Lateral error" not in text


def test_a_file_name_with_markup_is_only_a_name(tmp_path: Path) -> None:
    log = write(tmp_path / "a<b>&c.irlog", (5.0, 0.0, 7.0))
    assert says(report(tmp_path, log)[0], "log a<b>&c.irlog")
